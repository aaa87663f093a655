use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::Value;

use super::super::entry::{Completion, Decision, Entry, Opening, Outcome, Phase, Ruling};
use super::super::fixtures::{Ledger, permit};
use super::super::query::outcome_word;
use super::*;

const START_MS: i64 = 1_790_000_000_000;

/// Plans of one action: where it takes its words from, and how many later actions open before it ends.
#[derive(Debug, Clone)]
struct Plan {
    words: [usize; 6],
    ending: Option<(usize, Outcome, Option<Decision>)>,
}

const ACTORS: [&str; 5] = [
    "spiffe://border.example/agency/hsi/user/ana",
    "spiffe://border.example/agency/cbp/user/ana",
    "spiffe://border.example/agency/hsi/node",
    "spiffe://border.example/auditor/chen",
    "hsi",
];
const ACTIONS: [&str; 3] = ["ask", "look_up", "contribute"];
const RESOURCES: [&str; 3] = ["federation", "hsi.calls", "cbp.crossings"];
const PURPOSES: [&str; 3] = ["", "counter-narcotics", "border-security"];
const CASES: [&str; 3] = ["", "HSI-1", "HSI-2"];
const QUESTIONS: [&str; 4] = ["", "00112233445566778899", "0011223344556677ffff", "ffffffff00000000"];
const RULES: [&str; 3] = ["analysts", "analysts partners", "default-deny"];
const DETAILS: [&str; 2] = ["no_rule_allows", "question_replayed"];

fn plan() -> impl Strategy<Value = Plan> {
    let decision = prop::option::of(select(&Decision::ALL[..]));
    let ending = (0_usize..6, select(&Outcome::ALL[..]), decision);
    (prop::array::uniform6(0_usize..60), prop::option::weighted(0.9, ending))
        .prop_map(|(words, ending)| Plan { words, ending })
}

fn text(words: &[&str], place: usize) -> Option<String> {
    Some(words[place % words.len()].to_owned()).filter(|word| !word.is_empty())
}

/// The entries that a log of these actions holds, interleaved as planned.
fn entries(plans: &[Plan]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut ends: Vec<(usize, Entry)> = Vec::new();
    for (number, plan) in plans.iter().enumerate() {
        let id = EntryId::from_bytes((number as u128 + 1).to_be_bytes());
        let at_ms = START_MS + number as i64 * 1000;
        let [actor, action, resource, purpose, case, question] = plan.words;
        let opening = Opening {
            actor: ACTORS[actor % ACTORS.len()].to_owned(),
            via: None,
            action: ACTIONS[action % ACTIONS.len()].to_owned(),
            resource: RESOURCES[resource % RESOURCES.len()].to_owned(),
            question: text(&QUESTIONS, question),
            purpose: text(&PURPOSES, purpose),
            case_number: text(&CASES, case),
            reason: None,
        };
        entries.push(Entry::new(at_ms, id, Phase::Open(opening)));
        if let Some((later, outcome, decision)) = plan.ending {
            let ruling = decision.map(|decision| Ruling {
                decision,
                rule: RULES[actor % RULES.len()].to_owned(),
                policy: "00".to_owned(),
                obligations: Default::default(),
            });
            let detail = (outcome != Outcome::Answered).then(|| DETAILS[case % DETAILS.len()].to_owned());
            let completion = Completion { ruling, detail, ..Completion::new(outcome) };
            ends.push((number + later, Entry::new(at_ms + 1, id, Phase::Complete(completion))));
        }
        let (due, waiting) = ends.into_iter().partition(|(end, _)| *end <= number);
        ends = waiting;
        entries.extend(Vec::<(usize, Entry)>::into_iter(due).map(|(_, entry)| entry));
    }
    entries.extend(ends.into_iter().map(|(_, entry)| entry));
    entries
}

fn some(words: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    let chosen = subsequence(words, 1..=words.len().min(2));
    prop::option::weighted(0.3, chosen)
        .prop_map(|chosen| chosen.unwrap_or_default().into_iter().map(str::to_owned).collect())
}

fn query() -> impl Strategy<Value = Query> {
    let who = (
        some(&["ana", "chen", "spiffe://border.example/agency/hsi/user/ana", "nobody"]),
        some(&["hsi", "cbp", "nowhere"]),
    );
    let what = (some(&["ask", "contribute", "none"]), some(&["hsi.calls", "federation", "none"]));
    let why = (some(&["counter-narcotics", "none"]), some(&["HSI-1", "HSI-3"]));
    let question = some(&["00112233", "0011223344556677", "0011223344556677ffff", "ffffffff", "abcdef01"]);
    let how = (
        vec(select(&Decision::ALL[..]), 0..2),
        prop::option::weighted(0.3, prop::option::of(select(&Outcome::ALL[..]))),
        some(&["analysts", "partners", "default-deny", "none"]),
        some(&["no_rule_allows", "question_replayed", "none"]),
    );
    let when = (prop::option::of(0_i64..60), prop::option::of(61_i64..120));
    (who, what, why, question, how, when).prop_map(|(who, what, why, questions, how, when)| Query {
        persons: who.0,
        agencies: who.1,
        actions: what.0,
        resources: what.1,
        purposes: why.0,
        case_numbers: why.1,
        questions,
        decisions: how.0,
        outcomes: how.1.into_iter().collect(),
        rules: how.2,
        details: how.3,
        from_ms: when.0.map(|second| START_MS + second * 1000),
        until_ms: when.1.map(|second| START_MS + second * 1000),
    })
}

/// The meaning of a query once more, on the JSON of the entries and without anything of the product.
fn naively_fits(query: &Query, opening: &Value, completion: Option<&Value>) -> bool {
    let said = &opening["phase"]["open"];
    let ended = completion.map_or(&Value::Null, |completion| &completion["phase"]["complete"]);
    let among = |wanted: &[String], found: &Value| {
        wanted.is_empty() || found.as_str().is_some_and(|found| wanted.iter().any(|wanted| wanted == found))
    };
    let actor = said["actor"].as_str().unwrap();
    let path: Vec<&str> = actor.split('/').collect();
    let person = match path[..] {
        [_, _, _, "agency", _, "user", name] | [_, _, _, "auditor", name] => name,
        _ => "",
    };
    let agency = if path.get(3) == Some(&"agency") { path[4] } else { "" };
    let rules: Vec<&str> = ended["ruling"]["rule"].as_str().unwrap_or_default().split(' ').collect();
    let decisions: Vec<String> = query.decisions.iter().map(|each| each.as_str().to_owned()).collect();
    let outcomes: Vec<String> = query.outcomes.iter().map(|each| outcome_word(*each).to_owned()).collect();
    let open = Value::from("open");
    let at_ms = opening["at_ms"].as_i64().unwrap();
    let question = said["question"].as_str().unwrap_or_default();
    (query.persons.is_empty() || query.persons.iter().any(|wanted| wanted == actor || wanted == person))
        && (query.agencies.is_empty() || query.agencies.iter().any(|wanted| wanted == agency))
        && among(&query.actions, &said["action"])
        && among(&query.resources, &said["resource"])
        && among(&query.purposes, &said["purpose"])
        && among(&query.case_numbers, &said["case_number"])
        && (query.questions.is_empty() || query.questions.iter().any(|wanted| question.find(wanted) == Some(0)))
        && among(&decisions, &ended["ruling"]["decision"])
        && among(&outcomes, if completion.is_some() { &ended["outcome"] } else { &open })
        && (query.rules.is_empty() || query.rules.iter().any(|wanted| rules.contains(&wanted.as_str())))
        && among(&query.details, &ended["detail"])
        && query.from_ms.is_none_or(|from| from <= at_ms)
        && query.until_ms.is_none_or(|until| at_ms < until)
}

/// Indices of the openings that fit, oldest first.
fn naive(query: &Query, entries: &[Entry]) -> Vec<u64> {
    let json: Vec<Value> =
        entries.iter().map(|entry| serde_json::from_slice(&entry.to_bytes().unwrap()).unwrap()).collect();
    let completion = |id: &Value| json.iter().find(|e| e["entry"] == *id && e["phase"]["complete"].is_object());
    let openings = (0_u64..).zip(&json).filter(|(_, entry)| entry["phase"]["open"].is_object());
    let fits = |entry: &Value| naively_fits(query, entry, completion(&entry["entry"]));
    openings.filter(|(_, entry)| fits(entry)).map(|(index, _)| index).collect()
}

fn exported(archive: &Archive, query: &Query) -> Vec<u64> {
    let mut found = Vec::new();
    let mut reading = archive.read(&permit()).unwrap();
    let count = reading.each(query, |action| {
        found.push(action.opening.index);
        true
    });
    assert_eq!(count.unwrap(), found.len() as u64);
    found
}

fn paged(archive: &Archive, query: &Query, limit: usize) -> Vec<u64> {
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = archive.read(&permit()).unwrap().search(query, before, limit).unwrap();
        assert!(page.actions.len() <= limit);
        found.extend(page.actions.iter().map(|action| action.opening.index));
        match page.next_before {
            Some(next) => before = Some(next),
            None => return found,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Every combination of conditions finds what a filter over all entries finds, in pages of any size,
    /// also while the log grows.
    #[test]
    fn a_search_finds_exactly_what_a_naive_filter_finds(
        plans in vec(plan(), 1..120),
        cut in 0.0_f64..1.0,
        queries in vec(query(), 4),
        limit in 1_usize..40,
    ) {
        let all = entries(&plans);
        let mut ledger = Ledger::new();
        let archive = Archive::new(&ledger.log(), ledger.key());
        let first = (all.len() as f64 * cut) as usize;
        for (published, more) in [(first, &all[..first]), (all.len(), &all[first..])] {
            ledger.publish(more);
            for query in &queries {
                let expected = naive(query, &all[..published]);
                prop_assert_eq!(exported(&archive, query), expected.clone(), "{}", query);
                let newest_first: Vec<u64> = expected.into_iter().rev().collect();
                prop_assert_eq!(paged(&archive, query, limit), newest_first, "{}", query);
            }
        }
    }
}

/// A log of many actions, several blocks of the index long, whose last actions stay open.
fn long(actions: usize) -> Vec<Entry> {
    entries(&plans(actions).collect::<Vec<_>>())
}

/// Another log of as many entries.
fn other_of(actions: usize) -> Vec<Entry> {
    entries(&plans(actions).rev().collect::<Vec<_>>())
}

fn plans(actions: usize) -> impl DoubleEndedIterator<Item = Plan> {
    let plan = move |number: usize| Plan {
        words: [number, number / 3, number / 7, number / 2, number, number],
        ending: (number + 10 < actions).then_some((
            number % 4,
            Outcome::ALL[number % 7],
            Some(Decision::ALL[number % 3]),
        )),
    };
    (0..actions).map(plan)
}

fn of_cbp() -> Query {
    Query { agencies: vec!["cbp".to_owned()], decisions: vec![Decision::Deny], ..Query::default() }
}

#[test]
fn an_index_that_is_gone_damaged_or_of_another_log_is_built_again() {
    let all = long(2500);
    let mut ledger = Ledger::new();
    ledger.publish(&all);
    let expected = naive(&of_cbp(), &all);
    let folder = ledger.directory.path().join("audit-index");
    let search = || exported(&Archive::new(&ledger.log(), ledger.key()), &of_cbp());
    assert_eq!(search(), expected);
    let kept = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let whole = ["rows", "words", "head"].map(|name| (name, kept(name)));

    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(search(), expected);
    for (name, bytes) in &whole {
        assert_eq!(kept(name), *bytes, "the same log has the same index");
        for at in [0, bytes.len() / 3, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            for damaged in [damaged, bytes[..at].to_vec()] {
                std::fs::write(folder.join(name), damaged).unwrap();
                assert_eq!(search(), expected, "{name} at {at}");
                assert_eq!(kept(name), *bytes, "{name} at {at} is whole again");
            }
        }
        std::fs::remove_file(folder.join(name)).unwrap();
        assert_eq!(search(), expected, "without {name}");
    }

    // Damage under an archive that has the index open is found as well.
    let archive = Archive::new(&ledger.log(), ledger.key());
    assert_eq!(exported(&archive, &of_cbp()), expected);
    std::fs::write(folder.join("rows"), vec![0xff; whole[0].1.len()]).unwrap();
    assert_eq!(exported(&archive, &of_cbp()), expected);
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(exported(&archive, &of_cbp()), expected);
    ledger.publish(&long(1)[..1]);
    assert_eq!(exported(&archive, &of_cbp()), expected, "the folder is gone when there is something to write");
    assert!(folder.join("head").exists());

    // The index of a longer log, and that of another one with the same origin.
    let mut shorter = Ledger::new();
    shorter.publish(&all[..700]);
    let other_entries = other_of(2500);
    let mut other = Ledger::new();
    other.publish(&other_entries);
    for foreign in [&shorter, &other] {
        let foreign_folder = foreign.directory.path().join("audit-index");
        std::fs::create_dir(&foreign_folder).unwrap();
        for (name, bytes) in &whole {
            std::fs::write(foreign_folder.join(name), bytes).unwrap();
        }
    }
    assert_eq!(exported(&Archive::new(&shorter.log(), shorter.key()), &of_cbp()), naive(&of_cbp(), &all[..700]));
    assert_eq!(exported(&Archive::new(&other.log(), other.key()), &of_cbp()), naive(&of_cbp(), &other_entries));
}

#[test]
fn an_index_grows_with_its_log_by_any_steps() {
    let all = long(1800);
    let mut ledger = Ledger::new();
    let open = Query { outcomes: vec![None], ..Query::default() };
    let mut published = 0;
    let mut archive = Archive::new(&ledger.log(), ledger.key());
    for step in [1, 254, 1, 1, 511, 2000, 3, 10_000] {
        let end = (published + step).min(all.len());
        ledger.publish(&all[published..end]);
        published = end;
        for query in [&of_cbp(), &open] {
            assert_eq!(exported(&archive, query), naive(query, &all[..published]), "{published}: {query}");
        }
        if step == 511 {
            // As after a restart: the index is read from its files.
            archive = Archive::new(&ledger.log(), ledger.key());
        }
    }
    assert_eq!(published, all.len());
    assert!(!exported(&archive, &open).is_empty());
}

#[test]
fn whoever_fills_the_dictionary_hides_nothing() {
    let mut all = Vec::new();
    let mut record = |number: u32, actor: String| {
        let id = EntryId::from_bytes((u128::from(number) + 1).to_be_bytes());
        let opening =
            Opening { actor, action: "ask".to_owned(), resource: "federation".to_owned(), ..Opening::default() };
        all.push(Entry::new(START_MS, id, Phase::Open(opening)));
    };
    // More than 4 MiB of names.
    (0..2_200).for_each(|number| record(number, format!("{number:02000}")));
    record(2_200, ACTORS[0].to_owned());
    record(2_201, ACTORS[1].to_owned());
    let mut ledger = Ledger::new();
    ledger.publish(&all);
    let archive = Archive::new(&ledger.log(), ledger.key());
    let ana = Query { persons: vec!["ana".to_owned()], ..Query::default() };
    assert_eq!(paged(&archive, &ana, 10), [2_201, 2_200]);
    let first = Query { persons: vec![format!("{:02000}", 3)], ..Query::default() };
    assert_eq!(first.check(), Err(QueryError::Value { field: "person" }));
}

#[test]
fn a_forged_index_shows_nothing_that_the_log_does_not_say() {
    let all = long(300);
    let (mut ledger, mut victim) = (Ledger::new(), Ledger::new());
    ledger.publish(&all);
    // The same number of entries, and the head says that it is of the victim's log.
    let other = other_of(300);
    assert_eq!(other.len(), all.len());
    victim.publish(&other);
    assert!(!exported(&Archive::new(&ledger.log(), ledger.key()), &of_cbp()).is_empty());
    let folder = |ledger: &Ledger| ledger.directory.path().join("audit-index");
    let root = |ledger: &Ledger| Published::read(&ledger.log(), &ledger.key()).unwrap().checkpoint().root.to_string();
    let head = std::fs::read(folder(&ledger).join("head")).unwrap();
    let text = String::from_utf8(head[..head.len() - 32].to_vec()).unwrap();
    let forged = text.replace(&root(&ledger), &root(&victim)).into_bytes();
    let check = super::super::merkle::sha256(&[&forged]);
    std::fs::create_dir(folder(&victim)).unwrap();
    for name in ["rows", "words"] {
        std::fs::copy(folder(&ledger).join(name), folder(&victim).join(name)).unwrap();
    }
    std::fs::write(folder(&victim).join("head"), [&forged[..], &check[..]].concat()).unwrap();

    let archive = Archive::new(&victim.log(), victim.key());
    let answer = archive.read(&permit()).unwrap().each(&Query::default(), |_| true);
    assert!(matches!(answer, Err(ArchiveError::Action(ActionError::OtherHalf { .. }))), "{answer:?}");
    // The forgery is gone with that, and the next search is right.
    assert_eq!(exported(&archive, &of_cbp()), naive(&of_cbp(), &other));
}

#[test]
fn an_action_is_found_by_either_entry_and_by_its_name() {
    let all = long(100);
    let mut ledger = Ledger::new();
    ledger.publish(&all);
    let archive = Archive::new(&ledger.log(), ledger.key());
    let mut reading = archive.read(&permit()).unwrap();
    for (index, entry) in (0_u64..).zip(&all) {
        let found = reading.find(Wanted::Index(index)).unwrap().unwrap();
        assert_eq!(found.id, entry.entry);
        assert_eq!(reading.find(Wanted::Id(entry.entry)).unwrap().unwrap(), found);
        let (first, last) = (found.opening.index, found.completion.as_ref().map(|completion| completion.index));
        assert!(first == index || last == Some(index));
    }
    assert_eq!(reading.find(Wanted::Index(all.len() as u64)).unwrap(), None);
    assert_eq!(reading.find(Wanted::Id(EntryId::from_bytes([0xee; 16]))).unwrap(), None);
}

#[test]
fn a_log_that_was_changed_is_not_read() {
    let all = long(600);
    let mut ledger = Ledger::new();
    ledger.publish(&all);
    let archive = Archive::new(&ledger.log(), ledger.key());
    assert!(!exported(&archive, &of_cbp()).is_empty());
    let bundle = ledger.log().join("tile/entries/001");
    let mut bytes = std::fs::read(&bundle).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let answer = archive.read(&permit()).unwrap().each(&Query::default(), |_| true);
    assert!(matches!(answer, Err(ArchiveError::Log(ReadError::Unproven { .. }))), "{answer:?}");
}

#[test]
fn values_beyond_the_limits_are_refused() {
    let refused = |query: Query| query.check().unwrap_err();
    let words = |count: usize, bytes: usize| vec!["x".repeat(bytes); count];
    assert_eq!(refused(Query { rules: words(33, 1), ..Query::default() }), QueryError::TooManyValues { field: "rule" });
    assert_eq!(refused(Query { purposes: words(1, 0), ..Query::default() }), QueryError::Value { field: "purpose" });
    assert_eq!(refused(Query { persons: words(1, 513), ..Query::default() }), QueryError::Value { field: "person" });
    for question in ["0011223", "0011223g", "0011223A", "é0112233"] {
        let query = Query { questions: vec![question.to_owned()], ..Query::default() };
        assert_eq!(refused(query), QueryError::Question, "{question}");
    }
    let empty = Query { from_ms: Some(5), until_ms: Some(5), ..Query::default() };
    assert_eq!(refused(empty), QueryError::Period);
}
