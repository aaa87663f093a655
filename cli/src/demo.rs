//! `sallyport demo`: three agencies and a gateway on this machine, and the first two questions.
//!
//! Real processes, certificates, files and policies; only the data are generated. What is planted in
//! them lies where no agency looks, and is compared with the answer at the end.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sallyport_proto::node::v1::DeskAnswer;
use sallyport_trust::{audit::verify_directory, clock::Clock, question::parse_question, serve::terminated};
use serde_json::{Value, json};

use crate::{
    answer,
    failure::Failure,
    federation::{AGENCIES, AUDITOR, Federation, Member, fresh_directory},
    sample::{SampleOptions, SampleSummary, TRUTH_DEVIATIONS, TRUTH_PLANTED, generate},
    terminal,
};

/// A question that is asked, and where the truth about its answer stands.
struct Asking {
    story: &'static str,
    /// What the demonstration's directory has.
    file: &'static str,
    text: &'static str,
    truth: &'static str,
    planted: &'static str,
}

const QUESTIONS: [Asking; 2] = [
    Asking {
        story: "\nrivera, an analyst at HSI, asks at HSI's own node: which phones are busy at the border (CBP),\n\
                on the telephone (HSI) and behind the wheel (Acme, a carrier)?\n",
        file: "question.toml",
        text: include_str!("../demo/question.toml"),
        truth: TRUTH_PLANTED,
        planted: "subjects",
    },
    Asking {
        story: "\nThen: whom do they call after they cross? Ranked are the numbers that many different crossers (CBP)\n\
                called (HSI) within 24 hours after crossing, outside the caller's own pattern.\n",
        file: "after-crossing.toml",
        text: include_str!("../demo/after-crossing.toml"),
        truth: TRUTH_DEVIATIONS,
        planted: "called numbers",
    },
];
/// Something for the people to publish and to ask.
const PATTERN: (&str, &str) = ("pattern.toml", include_str!("../demo/pattern.toml"));
const DATASETS: [&str; 3] =
    [include_str!("../demo/hsi.toml"), include_str!("../demo/cbp.toml"), include_str!("../demo/acme.toml")];
/// Who asks at each of [`AGENCIES`], and what their agency vouches for.
const ASKERS: [(&str, &str); 3] = [
    (
        "rivera",
        "role = \"analyst\"\nemployer_name = \"Homeland Security Investigations\"\n\
         sworn_law_enforcement_officer = \"true\"\nintelligence_analyst = \"true\"\n\"28cfr_certification\" = \"true\"\n",
    ),
    (
        "okafor",
        "role = \"analyst\"\nemployer_name = \"Customs and Border Protection\"\n\
         intelligence_analyst = \"true\"\n\"28cfr_certification\" = \"true\"\n",
    ),
    ("lind", "role = \"dispatcher\"\nemployer_name = \"Acme Freight\"\n"),
];
/// Who decides at each of them about questions that a rule holds.
const RELEASE_OFFICERS: [&str; 3] = ["adeyemi", "novak", "silva"];
const RELEASE_OFFICER: &str = "role = \"release_officer\"\n";

/// Who answers at each of [`AGENCIES`] for what was disclosed.
const PRIVACY_OFFICERS: [&str; 3] = ["laurent", "ito", "berg"];
const PRIVACY_OFFICER: &str = "role = \"privacy_officer\"\n";

/// Who decides at each of [`AGENCIES`] about its node's epochs.
const OPERATORS: [&str; 3] = ["weber", "santos", "kimura"];
const OPERATOR: &str = "role = \"operator\"\n";

/// Who is told at each of them when nobody acts on a lead.
const WATCH_COMMANDERS: [&str; 3] = ["marsh", "reyes", "olsen"];
const WATCH_COMMANDER: &str = "role = \"watch_commander\"\n";
/// Which of [`AGENCIES`] have trucks that report where they are, to their own node.
const CARRIERS: [&str; 1] = ["acme"];

/// The policies that the demonstration's parties start with, as they stand in the repository.
const POLICIES: [(&str, &str); 12] = [
    ("model.conf", include_str!("../../policies/model.conf")),
    ("schema.toml", include_str!("../../policies/schema.toml")),
    ("gateway/rules.toml", include_str!("../../policies/gateway/rules.toml")),
    ("gateway/cases.toml", include_str!("../../policies/gateway/cases.toml")),
    ("hsi/rules.toml", include_str!("../../policies/hsi/rules.toml")),
    ("hsi/cases.toml", include_str!("../../policies/hsi/cases.toml")),
    ("cbp/rules.toml", include_str!("../../policies/cbp/rules.toml")),
    ("cbp/cases.toml", include_str!("../../policies/cbp/cases.toml")),
    ("hsi/playbooks/in-bond-corridor.toml", include_str!("../../policies/hsi/playbooks/in-bond-corridor.toml")),
    ("cbp/playbooks/in-bond-corridor.toml", include_str!("../../policies/cbp/playbooks/in-bond-corridor.toml")),
    ("acme/rules.toml", include_str!("../../policies/acme/rules.toml")),
    ("acme/cases.toml", include_str!("../../policies/acme/cases.toml")),
];

/// Arguments of `sallyport demo`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where the demonstration lives; what an earlier one left there is replaced.
    #[arg(long, value_name = "DIR", default_value = "demo")]
    directory: PathBuf,
    /// Another seed makes other people.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Go on running after the answer, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// One JSON object instead of the story.
    #[arg(long)]
    json: bool,
}

/// Tells the story; whoever ends it in the middle ends all of its processes.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    if arguments.keep {
        return tell(arguments).await;
    }
    tokio::select! {
        told = tell(arguments) => told,
        _ = terminated() => Err(Failure::machine("the demonstration was ended", &"it is not complete")),
    }
}

/// Brings everything up, asks, compares with the truth, verifies the logs.
async fn tell(arguments: Arguments) -> Result<(), Failure> {
    let story = Story { started: Instant::now(), told: !arguments.json };
    let directory = fresh_directory(&arguments.directory, "demonstration")?;
    story.tell("Three agencies and a gateway on this machine. Only the data are made up.\n");
    let summary = write_sample(&directory, arguments.seed)?;
    story.step(&format!("{} rows of data in three agencies' own folders", summary.rows()));
    write_policies(&directory)?;
    let mut federation = start(&directory)?;
    story.step("certificates made; gateway, hsi, cbp and acme listen under mutual TLS 1.3");
    let people = ASKERS.map(|(name, _)| name);
    let mut identifiers = 0;
    federation.settled(&people, Duration::from_secs(120), |_, all| identifiers = all).await?;
    story.step(&format!("{identifiers} identifiers tagged by all nodes together, none of them seen by another"));
    let (mut answers, mut truths) = (Vec::new(), Vec::new());
    for asking in &QUESTIONS {
        story.tell(asking.story);
        let question = parse_question(asking.text, Clock::system().now_ms())?.question;
        let answer = federation.desk("rivera")?.ask(&question, Vec::new(), |_| {}).await?;
        let truth = compare(&directory.join("data").join(asking.truth), &answer)?;
        if !arguments.json {
            answer::print(&answer);
        }
        story.tell(&truth.sentence(asking.planted));
        answers.push(truth.beside(&answer));
        truths.push(truth);
    }
    if arguments.json {
        println!("{}", terminal::json(&as_one_object(answers)));
    }
    let planted = truths.first().map_or(&[][..], |truth| &truth.planted);
    if arguments.keep {
        if !arguments.json {
            next_commands(&directory, planted, "Everything keeps running until Ctrl-C. In another terminal:");
        }
        tokio::select! {
            _ = terminated() => {}
            () = federation.tell_of_ends(|what| eprintln!("{what}")) => {}
        }
    }
    let logs = federation.audit_logs();
    federation.end();
    verify_logs(&logs, &story)?;
    if !arguments.keep && !arguments.json {
        next_commands(&directory, planted, "To go on, run it again with `--keep` and in another terminal:");
    }
    if truths.iter().any(|truth| truth.found < truth.planted.len()) {
        return Err(Failure::check("planted_not_found", "not everything that was planted is among the first ranks"));
    }
    Ok(())
}

/// The first answer, and in it the other.
fn as_one_object(answers: Vec<Value>) -> Value {
    let mut answers = answers.into_iter();
    let mut object = answers.next().unwrap_or_default();
    object["after_crossing"] = answers.next().unwrap_or_default();
    object
}

struct Story {
    started: Instant,
    told: bool,
}

impl Story {
    fn tell(&self, text: &str) {
        if self.told {
            println!("{text}");
        }
    }

    fn step(&self, text: &str) {
        self.tell(&format!("  {:5.1} s  {text}", self.started.elapsed().as_secs_f64()));
    }
}

fn write_sample(directory: &Path, seed: u64) -> Result<SampleSummary, Failure> {
    let options = SampleOptions { seed, ..SampleOptions::default() };
    generate(&options, &directory.join("data"), &mut |_| {})
        .map_err(|error| Failure::machine("the sample cannot be written", &error))
}

fn write_policies(directory: &Path) -> Result<(), Failure> {
    for (name, text) in POLICIES {
        let path = directory.join("policies").join(name);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        written.map_err(|error| Failure::machine(&format!("{} cannot be written", path.display()), &error))?;
    }
    QUESTIONS.iter().map(|asking| (asking.file, asking.text)).chain([PATTERN]).try_for_each(|(file, text)| {
        let written = fs::write(directory.join(file), text);
        written.map_err(|error| Failure::machine(&format!("{file} cannot be written"), &error))
    })
}

fn start(directory: &Path) -> Result<Federation, Failure> {
    let members: Vec<Member> = AGENCIES
        .iter()
        .zip(ASKERS)
        .zip(RELEASE_OFFICERS)
        .zip(DATASETS)
        .zip(PRIVACY_OFFICERS.into_iter().zip(OPERATORS).zip(WATCH_COMMANDERS))
        .map(|((((agency, asker), officer), datasets), ((privacy_officer, operator), commander))| Member {
            agency: (*agency).to_owned(),
            people: [
                asker,
                (officer, RELEASE_OFFICER),
                (privacy_officer, PRIVACY_OFFICER),
                (operator, OPERATOR),
                (commander, WATCH_COMMANDER),
            ]
            .map(|(name, attributes)| (name.to_owned(), attributes.to_owned()))
            .to_vec(),
            datasets: datasets.to_owned(),
            partners: CARRIERS.iter().filter(|carrier| *carrier == agency).map(|&carrier| carrier.to_owned()).collect(),
            policies: directory.join("policies").join(agency),
        })
        .collect();
    Federation::start(directory, &directory.join("policies/gateway"), &members)
}

/// How well the answer meets the planted truth.
struct Truth {
    planted: Vec<String>,
    found: usize,
    in_order: bool,
}

impl Truth {
    fn sentence(&self, what: &str) -> String {
        let Self { planted, found, in_order } = self;
        let order = if *in_order { ", in the right order" } else { "" };
        format!("\n{0} {what} were planted in the data; {found} of them are the first {0}{order}.", planted.len())
    }

    fn beside(&self, answer: &DeskAnswer) -> Value {
        let mut object = answer::to_json(answer);
        object["truth"] = json!({ "planted": self.planted.len(), "found": self.found, "in_order": self.in_order });
        object
    }
}

fn compare(path: &Path, answer: &DeskAnswer) -> Result<Truth, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::machine("the truth cannot be read", &error))?;
    // rank,phone,…
    let planted: Vec<String> =
        text.lines().skip(1).filter_map(|line| line.split(',').nth(1)).map(str::to_owned).collect();
    // The answer shows phones with their last four digits hidden.
    let masked: Vec<String> = planted
        .iter()
        .map(|phone| format!("{}XXXX", phone.trim_start_matches('+').get(..7).unwrap_or_default()))
        .collect();
    let mut first: Vec<&str> =
        answer.matches.iter().take(planted.len()).filter_map(|found| found.label.as_deref()).collect();
    let in_order = masked.iter().map(String::as_str).eq(first.iter().copied());
    let found = masked
        .iter()
        .filter(|phone| {
            let place = first.iter().position(|label| label == phone);
            place.map(|place| first.swap_remove(place)).is_some()
        })
        .count();
    Ok(Truth { planted, found, in_order })
}

fn verify_logs(logs: &[PathBuf], story: &Story) -> Result<(), Failure> {
    let mut entries = 0;
    for log in logs {
        let verified = verify_directory(log)
            .map_err(|error| Failure::check("audit_log_broken", format!("{}: {error}", log.display())))?;
        entries += verified.entries;
    }
    story.tell(&format!("{} audit logs hold {entries} entries and verify.", logs.len()));
    Ok(())
}

fn next_commands(directory: &Path, planted: &[String], when: &str) {
    let here = std::env::current_dir().ok();
    let shown = here.and_then(|here| directory.strip_prefix(here).ok().map(Path::to_owned));
    let shown = shown.as_deref().unwrap_or(directory).display().to_string();
    // The people file of the usual place need not be named.
    let people = if shown == "demo" { String::new() } else { format!(" --people {shown}/people.toml") };
    let phone = planted.first().map_or("", String::as_str);
    println!("\n{when}");
    let program = "cargo run --release --";
    println!("  {program} catalog --as rivera{people}");
    for asking in &QUESTIONS {
        println!("  {program} ask {shown}/{} --as rivera{people}", asking.file);
    }
    println!(
        "  {program} ask --phone \"{phone}\" --purpose counter-narcotics --case HSI-2026-0117 --as rivera{people}"
    );
    println!("  {program} pattern publish {shown}/pattern.toml --as rivera{people}");
    println!(
        "  {program} pattern ask hsi.deviating-crossers --as-of 2026-07-01 --purpose counter-narcotics --case CBP-2026-0042 \
         --as okafor{people}"
    );
    println!("  {program} ask --phone \"{phone}\" --purpose missing-person --case HSI-2026-0118 --as rivera{people}");
    println!("  {program} release list --as novak{people}");
    println!("  {program} disclosures --phone \"{phone}\" --as {}{people}", PRIVACY_OFFICERS[0]);
    println!("  {program} audit search --as {AUDITOR} --at cbp --agency hsi{people}");
    println!("  {program} audit verify {shown}/gateway-audit {shown}/hsi/audit");
}

#[cfg(test)]
mod tests {
    use sallyport_trust::question::Pattern;

    #[test]
    fn the_sample_pattern_is_sound() {
        let pattern = Pattern::parse("hsi", super::PATTERN.1).map(|pattern| pattern.name().to_string());
        assert_eq!(pattern.unwrap(), "hsi.deviating-crossers@1");
    }
}
