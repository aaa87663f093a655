//! `sallyport bench linkage DIR`: persons with known answers, linked between two nodes that never show
//! each other a row.
//!
//! Real processes: both nodes prepare and tag their records' keys, the gateway compares what opens, and
//! the threshold is the one that it picks by itself. Beside it stands what the same model reaches on
//! the plain texts, so that the price of privacy is a number. Only here, where both nodes' secrets lie
//! on one machine, can a match's references be read back to rows.

mod files;
mod plain;
mod score;

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sallyport_node::pseudonym::PseudonymKey;
use sallyport_proto::node::v1::DeskAnswer;
use sallyport_trust::{clock::Clock, question::parse_question};
use serde_json::json;

use super::{Figure, Limit, data, show};
use crate::{
    failure::Failure,
    federation::{Federation, Member, fresh_directory},
};
use files::{FIELDS, Person, Persons};
use score::{Score, score};

const SETTLING: Duration = Duration::from_secs(1_800);
const NODES: usize = 2;
/// F1 that the best plain-text linkers measured reach on this file, without and with its document.
const FEBRL4_WITHOUT_DOCUMENT: f64 = 0.9959;
const FEBRL4_WITH_DOCUMENT: f64 = 0.9998;

/// Arguments of `sallyport bench linkage`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Directory with files of persons whose answer is known; see the essay of its module.
    data: PathBuf,
    /// Only files whose name holds this.
    #[arg(long)]
    only: Option<String>,
    /// Where the nodes live; what an earlier run left there is replaced.
    #[arg(long, value_name = "DIR", default_value = "bench")]
    directory: PathBuf,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

/// Measures every file, then tells.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let wanted = |persons: &Persons| arguments.only.as_ref().is_none_or(|only| persons.name.contains(only));
    let found = files::read(&arguments.data)?.into_iter().filter(wanted);
    let all: Vec<Persons> = found.flat_map(|persons| [persons.without_document(), Some(persons)]).flatten().collect();
    let mut objects = Vec::new();
    for persons in &all {
        if !arguments.json {
            let [left, right] = persons.sides.each_ref().map(Vec::len);
            eprintln!("{}: {left} and {right} records at two nodes", persons.name);
        }
        let measured = measure(&arguments.directory, persons).await?;
        if arguments.json {
            objects.push(measured.to_json(persons));
        } else {
            println!("\n{}", persons.name);
            show(&measured.figures(persons), false, json!({}));
        }
    }
    if arguments.json {
        let figures: Vec<_> =
            objects.iter().flat_map(|object| object["figures"].as_array().cloned()).flatten().collect();
        println!("{}", json!({ "files": objects, "figures": figures }));
    }
    Ok(())
}

/// What came of one file.
struct Measured {
    linked: Score,
    plain: Score,
    threshold: f64,
    expected_f1: f64,
    keys_per_record: f64,
    tagged: u64,
    tagging: Duration,
    asking: Duration,
    comparing_plain: Duration,
}

async fn measure(directory: &Path, persons: &Persons) -> Result<Measured, Failure> {
    let made = plain::keys_of(persons);
    let keys: usize = made.iter().flatten().map(|keys| keys.keys.len()).sum();
    let records: usize = made.iter().map(Vec::len).sum();
    let directory = fresh_directory(directory, "benchmark")?;
    data::write_policies(&directory, NODES)?;
    let members = members(&directory, persons)?;
    let started = Instant::now();
    let mut federation = Federation::start(&directory, &directory.join("policies"), &members)?;
    let mut tagged = 0;
    federation.settled(&["analyst1", "analyst2"], SETTLING, |_, all| tagged = all).await?;
    let tagging = started.elapsed();
    let started = Instant::now();
    let answer = federation
        .desk("analyst1")?
        .ask(&parse_question(&question(), Clock::system().now_ms())?.question, Vec::new(), |_| {})
        .await?;
    let asking = started.elapsed();
    federation.end();
    if answer.subjects_matched as usize > answer.matches.len() {
        eprintln!("only {} of {} persons fit into an answer", answer.matches.len(), answer.subjects_matched);
    }
    let linked = score(persons, &linked_rows(&directory, persons, &answer)?);
    let started = Instant::now();
    let plain = score(persons, &plain::links(persons, &made));
    let told = answer.comparisons.first().cloned().unwrap_or_default();
    let thousandths = |value: u32| f64::from(value) / 1_000.0;
    let (precision, recall) = (thousandths(told.precision_thousandths), thousandths(told.recall_thousandths));
    Ok(Measured {
        linked,
        plain,
        threshold: thousandths(told.threshold_thousandths),
        expected_f1: 2.0 * precision * recall / (precision + recall).max(f64::MIN_POSITIVE),
        keys_per_record: keys as f64 / records.max(1) as f64,
        tagged,
        tagging,
        asking,
        comparing_plain: started.elapsed(),
    })
}

/// Both nodes, each with one side's records in a file of its own.
fn members(directory: &Path, persons: &Persons) -> Result<Vec<Member>, Failure> {
    let fields = persons.fields();
    let columns: String =
        fields.iter().map(|field| format!("{0} = \"{0}\"\n", FIELDS[*field].0)).collect::<Vec<_>>().concat();
    let failed = |error: &dyn std::fmt::Display| Failure::machine("the benchmark's data cannot be written", error);
    fs::create_dir_all(directory.join("data")).map_err(|error| failed(&error))?;
    let mut members = Vec::new();
    for (node, side) in persons.sides.iter().enumerate() {
        let agency = data::agency(node);
        let file = format!("data/{agency}.csv");
        let mut out = csv::Writer::from_path(directory.join(&file)).map_err(|error| failed(&error))?;
        out.write_record(fields.iter().map(|field| FIELDS[*field].0)).map_err(|error| failed(&error))?;
        for person in side {
            out.write_record(fields.iter().map(|field| &person.texts[*field])).map_err(|error| failed(&error))?;
        }
        out.flush().map_err(|error| failed(&error))?;
        members.push(Member {
            people: vec![(format!("analyst{}", node + 1), "role = \"analyst\"\n".to_owned())],
            policies: directory.join("policies"),
            partners: Vec::new(),
            datasets: format!(
                "[[dataset]]\nname = \"{agency}.persons\"\nfiles = [\"{file}\"]\nsensitivity = \"official\"\n\
                 [dataset.person]\nonce = {}\n{columns}",
                persons.once
            ),
            agency,
        });
    }
    Ok(members)
}

fn question() -> String {
    let indicators: String =
        (0..NODES).map(|node| format!("[[indicator]]\ndataset = \"{}.persons\"\n", data::agency(node))).collect();
    format!(
        "subject = \"person\"\npurpose = \"{}\"\ncase_number = \"BENCH-1\"\ntop = {}\ndeadline_seconds = 600\n{indicators}",
        data::POLICY_PURPOSE,
        sallyport_trust::question::TOP_MAX
    )
}

/// Pairs of rows in one person of the answer, one of either side.
fn linked_rows(directory: &Path, persons: &Persons, answer: &DeskAnswer) -> Result<HashSet<(u32, u32)>, Failure> {
    let wrong = || Failure::check("wrong_answer", "the answer holds a reference that is no record's");
    let id = question_id(&answer.question_id).ok_or_else(wrong)?;
    let mut names = Vec::new();
    for node in 0..NODES {
        let agency = data::agency(node);
        let key = PseudonymKey::open(&directory.join(&agency))
            .map_err(|error| Failure::machine("a node's secret cannot be read", &error))?;
        names.push((format!("{agency}.persons"), key.of(&id, &format!("{agency}.persons"))));
    }
    let rows = persons.sides.each_ref().map(|side| rows_of_records(side));
    let mut pairs = HashSet::new();
    for found in &answer.matches {
        let mut of_sides: [Vec<u32>; NODES] = Default::default();
        for record in &found.records {
            let side = names.iter().position(|(dataset, _)| *dataset == record.dataset).ok_or_else(wrong)?;
            let name = u128::from_str_radix(&record.reference, 16).map_err(|_| wrong())?;
            let number = names[side].1.record(name).ok_or_else(wrong)?;
            of_sides[side].extend(rows[side].get(number as usize).ok_or_else(wrong)?);
        }
        let [left, right] = of_sides;
        pairs.extend(left.iter().flat_map(|one| right.iter().map(|other| (*one, *other))));
    }
    Ok(pairs)
}

fn question_id(text: &str) -> Option<[u8; 32]> {
    let bytes: Option<Vec<u8>> =
        (0..32).map(|byte| u8::from_str_radix(text.get(2 * byte..2 * byte + 2)?, 16).ok()).collect();
    bytes?.try_into().ok()
}

/// A node numbers what its rows say, each combination once, in the order of first appearance.
fn rows_of_records(side: &[Person]) -> Vec<Vec<u32>> {
    let mut numbers: HashMap<&[String], usize> = HashMap::new();
    let mut rows: Vec<Vec<u32>> = Vec::new();
    for (row, person) in (0u32..).zip(side) {
        let number = *numbers.entry(&person.texts).or_insert(rows.len());
        if number == rows.len() {
            rows.push(Vec::new());
        }
        rows[number].push(row);
    }
    rows
}

impl Measured {
    fn figures(&self, persons: &Persons) -> Vec<Figure> {
        let promised = match persons.name.ends_with("without document") {
            true => FEBRL4_WITHOUT_DOCUMENT,
            false => FEBRL4_WITH_DOCUMENT,
        };
        let limit = if persons.name.contains("febrl4") { Limit::AtLeast(promised) } else { Limit::None };
        let plain = |value: f64| Some((value, "on the plain texts"));
        let told = |name, value, unit| Figure { name, value, unit, limit: Limit::None, at_best: None };
        vec![
            Figure { name: "F1 of pairs", value: self.linked.f1, unit: "", limit, at_best: plain(self.plain.f1) },
            Figure { at_best: plain(self.plain.precision), ..told("precision", self.linked.precision, "") },
            Figure { at_best: plain(self.plain.recall), ..told("recall", self.linked.recall, "") },
            told("threshold of a link's probability", self.threshold, ""),
            told("F1 that was expected", self.expected_f1, ""),
            told("keys for a record", self.keys_per_record, "keys"),
            told("keys tagged", self.tagged as f64, "keys"),
            told("from start to tagged", self.tagging.as_secs_f64(), "s"),
            Figure {
                at_best: Some((self.comparing_plain.as_secs_f64(), "comparing plain texts")),
                ..told("the question", self.asking.as_secs_f64(), "s")
            },
        ]
    }

    fn to_json(&self, persons: &Persons) -> serde_json::Value {
        let figures: Vec<_> = self
            .figures(persons)
            .iter()
            .map(Figure::to_json)
            .map(|mut figure| {
                figure["file"] = json!(persons.name);
                figure
            })
            .collect();
        json!({
            "file": persons.name,
            "records": persons.sides.each_ref().map(Vec::len),
            "matches": score::matches(persons),
            "figures": figures,
        })
    }
}
