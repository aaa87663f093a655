//! Leads with real files, through restarts in the middle of everything.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use sallyport_lead::{event::Outcome, lead::State};

use super::*;
use crate::{
    holdings::{Holdings, Seen},
    identifier::{Context, canonicalise},
};

const PLAYBOOK: &str = include_str!("../../../policies/cbp/playbooks/in-bond-corridor.toml");
const WATCH: &str = "in-bond-off-corridor";

fn config(folder: &Path) -> Config {
    fs::create_dir_all(folder.join("policies/playbooks")).unwrap();
    fs::write(folder.join("policies/playbooks/corridor.toml"), PLAYBOOK).unwrap();
    fs::write(folder.join("trucks.csv"), "truck,status\nTRK-1,old\nTRK-2,old\n").unwrap();
    let tls = "[tls]\ncertificate = \"c\"\nkey = \"k\"\nauthorities = \"a\"\n";
    let people: String = [("okafor", "analyst"), ("lund", "analyst"), ("reyes", "watch_commander")]
        .iter()
        .map(|(name, role)| format!("[[person]]\nname = \"{name}\"\n[person.attributes]\nrole = \"{role}\"\n"))
        .collect();
    let text = format!(
        "agency = \"cbp\"\nlisten = \"x\"\ngateway = \"x\"\nstate = \"{0}/state\"\npolicies = \"{0}/policies\"\n\
         [federation]\nepoch = 1\nmembers = [\"cbp\", \"hsi\"]\n{tls}{people}\
         [leads.mail]\ndirectory = \"{0}/mail\"\nfrom = \"s@cbp.example\"\ndomain = \"cbp.example\"\n\
         [[dataset]]\nname = \"cbp.trucks\"\nfiles = [\"{0}/trucks.csv\"]\nsensitivity = \"official\"\n\
         [dataset.label]\ncolumn = \"status\"\n\
         [[dataset.identifier]]\nname = \"truck\"\ncolumn = \"truck\"\ntype = \"device\"\n",
        folder.display()
    );
    toml::from_str(&text).unwrap()
}

fn open(folder: &Path) -> Leads {
    Leads::open(&config(folder)).unwrap()
}

fn truck(name: &str) -> Canonical {
    canonicalise(IdentifierType::Device, name, &Context::default()).unwrap()
}

fn matched(name: &str, qe_millionths: u32, newest_day: u32, at_ms: i64) -> Raised {
    let evidence = ["acme.track_events", "cbp.movements"].map(|dataset| Evidence {
        dataset: dataset.to_owned(),
        strength_thousandths: 900,
        newest_day,
    });
    Raised {
        cause: Cause::Watch { name: WATCH.to_owned(), pattern: Some("cbp.in-bond-off-corridor@2".to_owned()) },
        question: "ab".repeat(32),
        kind: IdentifierType::Device,
        subject: truck(name),
        qe_millionths,
        evidence: evidence.into(),
        at_ms,
    }
}

fn new(raised: RaisedAs) -> String {
    match raised {
        RaisedAs::New(id) => id,
        other => panic!("{other:?}"),
    }
}

fn by(name: &str, role: &str) -> Actor {
    Actor { name: name.to_owned(), role: role.to_owned() }
}

fn okafor() -> Actor {
    by("okafor", "analyst")
}

fn assigned(to: &str) -> What {
    What::Assigned { to: to.to_owned() }
}

fn concluded(outcome: Outcome) -> What {
    What::Concluded { outcome, note: String::new() }
}

fn reason<T: std::fmt::Debug>(done: Result<T, Refusal>) -> String {
    done.unwrap_err().reason
}

#[test]
fn a_lead_lives_through_a_restart_after_every_step() {
    let folder = tempfile::tempdir().unwrap();
    let id = new(open(folder.path()).raise(matched("TRK-1", 1_300_000, 7, 1_000)).unwrap());
    assert_eq!((id.len(), open(folder.path()).covers(WATCH, None).is_ok()), (8, true));
    let seizure = Outcome::Seizure { what: "cocaine".to_owned(), amount: 4.5, unit: "kg".to_owned() };
    let steps = [
        (assigned("okafor"), State::Assigned),
        (What::Noted { text: "the dispatcher does not answer".to_owned() }, State::Assigned),
        (What::Pursued, State::Pursued),
        (concluded(seizure), State::Concluded),
    ];
    for (number, (what, expected)) in (2..).zip(steps) {
        let lead = open(folder.path()).act(&id, okafor(), what, number * 1_000).unwrap();
        assert_eq!(lead.state, expected);
        assert_eq!(open(folder.path()).store.get(&id).unwrap(), lead);
    }
    let lead = open(folder.path()).store.get(&id).unwrap();
    assert_eq!((lead.plan.severity.as_str(), lead.history().len()), ("stop", 5));
    // A clock that was set back keeps the order of events.
    let note = What::Noted { text: "later".to_owned() };
    assert_eq!(open(folder.path()).act(&id, okafor(), note, 0).unwrap().changed_ms(), 5_000);
}

#[test]
fn a_subject_has_one_lead_however_often_and_by_whomever_it_is_raised() {
    let folder = tempfile::tempdir().unwrap();
    let leads = Arc::new(open(folder.path()));
    let raisings: Vec<_> = (0..8)
        .map(|_| {
            let leads = leads.clone();
            std::thread::spawn(move || leads.raise(matched("TRK-1", 1_100_000, 7, 1_000)).unwrap())
        })
        .collect();
    let raised: Vec<RaisedAs> = raisings.into_iter().map(|raising| raising.join().unwrap()).collect();
    let id = raised.iter().find_map(|raised| if let RaisedAs::New(id) = raised { Some(id) } else { None }).unwrap();
    let known = RaisedAs::Known(id.clone());
    assert_eq!(raised.iter().filter(|raised| **raised == known).count(), 7);
    assert_eq!(leads.store.get(id).unwrap().history().len(), 1);
    drop(leads);
    let leads = open(folder.path());
    assert_eq!(leads.raise(matched("TRK-1", 1_400_000, 8, 2_000)), Ok(known));
    let lead = leads.store.get(id).unwrap();
    assert_eq!((lead.plan.severity.as_str(), lead.sighting.qe_millionths), ("stop", 1_400_000));
    assert!(matches!(leads.raise(matched("TRK-2", 1_100_000, 7, 2_000)), Ok(RaisedAs::New(_))));
}

#[test]
fn what_no_playbook_covers_is_not_raised() {
    let folder = tempfile::tempdir().unwrap();
    let leads = open(folder.path());
    let person = |pattern: Option<&str>, playbook: Option<&str>| Cause::Person {
        by: okafor(),
        pattern: pattern.map(str::to_owned),
        playbook: playbook.map(str::to_owned),
    };
    let raise = |cause: Cause| leads.raise(Raised { cause, ..matched("TRK-1", 1_300_000, 7, 0) });
    for cause in [person(None, None), person(Some("hsi.other@1"), None), person(None, Some("other"))] {
        assert_eq!(reason(raise(cause)), "playbook_missing");
    }
    assert_eq!(reason(raise(Cause::Watch { name: "other".to_owned(), pattern: None })), "playbook_missing");
    assert_eq!(reason(leads.covers("other", None)), "playbook_missing");
    assert_eq!(reason(leads.raise(matched("TRK-1", 999_999, 7, 0))), "score_below_playbook");
    assert!(matches!(raise(person(Some("cbp.in-bond-off-corridor@9"), None)), Ok(RaisedAs::New(_))));
}

#[test]
fn rulings_keep_a_match_from_being_raised_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let leads = open(folder.path());
    let id = new(leads.raise(matched("TRK-1", 1_300_000, 7, 1_000)).unwrap());
    leads.act(&id, okafor(), assigned("okafor"), 2_000).unwrap();
    leads.act(&id, okafor(), concluded(Outcome::FalseMatch { until_ms: 9_000 }), 3_000).unwrap();
    let clearing = desk::Clearing {
        playbook: "in-bond-corridor".to_owned(),
        exception: "port-diversion".to_owned(),
        kind: IdentifierType::Device,
        subject: truck("TRK-2"),
        note: "diversion 42 was approved".to_owned(),
    };
    let until_ms = leads.clear(&okafor(), clearing, 1_000).unwrap();
    drop(leads);
    let leads = open(folder.path());
    assert_eq!(leads.raise(matched("TRK-1", 1_300_000, 8, 8_999)), Ok(RaisedAs::Suppressed(9_000)));
    assert!(matches!(leads.raise(matched("TRK-1", 1_300_000, 8, 9_000)), Ok(RaisedAs::New(_))));
    assert_eq!(leads.raise(matched("TRK-2", 1_300_000, 8, until_ms - 1)), Ok(RaisedAs::Suppressed(until_ms)));
    assert!(matches!(leads.raise(matched("TRK-2", 1_300_000, 8, until_ms)), Ok(RaisedAs::New(_))));
}

#[test]
fn who_may_not_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let leads = open(folder.path());
    let id = new(leads.raise(matched("TRK-1", 1_300_000, 7, 1_000)).unwrap());
    assert_eq!(reason(leads.act("00000000", okafor(), What::Pursued, 2_000)), "lead_unknown");
    assert_eq!(reason(leads.act(&id, okafor(), assigned("nobody"), 2_000)), "person_unknown");
    let road = |by: Actor| {
        let what = What::ExceptionConfirmed { exception: "road-closed".to_owned(), note: "flooded".to_owned() };
        leads.act(&id, by, what, 2_000)
    };
    let refused = road(by("reyes", "watch_commander")).unwrap_err();
    assert_eq!((refused.kind, refused.reason.as_str()), (Kind::Denied, "exception_not_yours"));
    assert_eq!(road(okafor()).unwrap().state, State::Cleared);
}

fn mails(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder.join("mail"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy()[9..].to_owned())
        .collect();
    names.sort();
    names
}

/// Everybody is told once of what was due, whenever the node was down.
#[tokio::test]
async fn clocks_run_through_restarts_and_nobody_is_told_twice() {
    let folder = tempfile::tempdir().unwrap();
    let minute_ms = 60_000;
    let clock = sallyport_trust::clock::Clock::system();
    let leads = open(folder.path());
    new(leads.raise(matched("TRK-1", 1_300_000, 7, 0)).unwrap());
    let mut expected = vec!["0-raised.eml"];
    for (at_minute, more) in [
        (0, vec![]),
        (14, vec![]),
        (15, vec!["0-acknowledge-0.eml"]),
        (30, vec!["0-acknowledge-1.eml"]),
        (90, vec!["0-pursue-0.eml", "0-pursue-1.eml"]),
        (900, vec![]),
    ] {
        let leads = open(folder.path());
        leads.tell(at_minute * minute_ms);
        // Put twice, as around a crash between the two writes, it lies there once.
        leads.tell(at_minute * minute_ms);
        drop(leads);
        let leads = open(folder.path());
        // The outbox gives up what is older than a week: these are of 1970.
        let waits = fs::read_dir(folder.path().join("state/leads/outbox")).unwrap().count();
        assert_eq!(waits, more.len() + usize::from(at_minute == 0), "{at_minute}");
        leads.outbox.deliver(&clock).await;
        expected.extend(more);
        expected.sort_unstable();
        assert_eq!(mails(folder.path()), expected, "{at_minute}");
    }
    let to = fs::read_dir(folder.path().join("mail")).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        path.to_string_lossy().contains("pursue-1").then(|| fs::read_to_string(path).unwrap())
    });
    let mail = to.unwrap();
    assert!(mail.contains("To: reyes@cbp.example\r\n"), "{mail}");
    assert!(!mail.to_lowercase().contains("trk"), "a notice names no subject: {mail}");
}

/// What came of leads is a data set that can be asked, and it labels their subjects.
/// The data sets that one look found changed and at rest.
async fn look(holdings: &Holdings, seen: &mut Seen) -> Vec<String> {
    let mut refreshed = BTreeSet::new();
    holdings.refresh(seen, &mut refreshed).await.unwrap();
    refreshed.into_iter().collect()
}

#[tokio::test]
async fn outcomes_are_a_data_set_of_the_node() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let leads = Leads::open(&config).unwrap();
    let described = leads.outcomes_dataset("cbp", &config.dataset).unwrap();
    let mut datasets = config.dataset.clone();
    datasets.push(described);
    crate::dataset::validate("cbp", &datasets).unwrap();
    let holdings = Holdings::open(&config.state, datasets).unwrap();
    holdings.prepare().await.unwrap();
    let rows = || holdings.manifest("cbp.outcomes").unwrap().rows;
    assert_eq!(rows(), 0);
    let mut seen = Seen::default();

    let id = new(leads.raise(matched("TRK-1", 1_300_000, 7, 1_000)).unwrap());
    assert!(leads.labels(IdentifierType::Device, 9_000).is_empty());
    leads.act(&id, okafor(), assigned("okafor"), 2_000).unwrap();
    leads.act(&id, okafor(), What::Pursued, 3_000).unwrap();
    let seizure = Outcome::Seizure { what: "cocaine, cut".to_owned(), amount: 4.5, unit: "kg".to_owned() };
    leads.act(&id, okafor(), concluded(seizure), 4_000).unwrap();
    assert_eq!(leads.labels(IdentifierType::Device, 9_000)[truck("TRK-1").as_str()], "seizure");
    assert!(leads.labels(IdentifierType::Plate, 9_000).is_empty());
    leads.write_changed_outcomes();
    // What has just changed must rest for one look.
    assert!(look(&holdings, &mut seen).await.is_empty());
    assert_eq!(look(&holdings, &mut seen).await, ["cbp.outcomes"]);
    assert!(look(&holdings, &mut seen).await.is_empty());
    let manifest = holdings.manifest("cbp.outcomes").unwrap();
    assert_eq!((manifest.rows, manifest.unreadable, manifest.subjects["device"]), (1, 0, 1));
    assert_eq!((manifest.bad_times, manifest.bad_attributes, manifest.newest_ms), (0, 0, Some(4_000)));
    let csv = fs::read_to_string(&leads.outcomes).unwrap();
    assert_eq!(
        csv.lines().nth(1).unwrap(),
        ",,,,,,trk-1,1970-01-01T00:00:04.000Z,seizure,in-bond-off-corridor,cbp.in-bond-off-corridor@2,\
         \"cocaine, cut\",4.5,kg,1.300000"
    );
    // Reopened, it has no outcome any more.
    leads.act(&id, okafor(), What::Reopened { reason: "another truck".to_owned() }, 5_000).unwrap();
    leads.write_changed_outcomes();
    while look(&holdings, &mut seen).await.is_empty() {}
    assert_eq!((rows(), leads.labels(IdentifierType::Device, 9_000).len()), (0, 0));
    // What is cleared before any lead says so, for as long as it is.
    let clearance = Clearance {
        subject_kind: "device".to_owned(),
        subject: truck("TRK-2").as_str().to_owned(),
        playbook: "in-bond-corridor".to_owned(),
        exception: "port-diversion".to_owned(),
        note: "approved".to_owned(),
        by: "okafor".to_owned(),
        at_ms: 6_000,
        until_ms: 10_000,
    };
    leads.store.clear(clearance, 6_000).unwrap();
    assert_eq!(leads.labels(IdentifierType::Device, 9_000)[truck("TRK-2").as_str()], "cleared");
    assert!(leads.labels(IdentifierType::Device, 10_000).is_empty());
}

#[test]
fn a_damaged_lead_keeps_the_node_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let id = new(open(folder.path()).raise(matched("TRK-1", 1_300_000, 7, 1_000)).unwrap());
    let file = folder.path().join(format!("state/leads/leads/{id}.json"));
    let whole = fs::read_to_string(&file).unwrap();
    // What a crash left of an unfinished write is passed over.
    fs::write(file.with_extension("new"), &whole[..20]).unwrap();
    assert!(Leads::open(&config(folder.path())).is_ok());
    for damaged in [&whole[..20], &whole.replace("\"raised\":{", "\"pursued\":{")] {
        fs::write(&file, damaged).unwrap();
        assert!(Leads::open(&config(folder.path())).err().unwrap().to_string().contains("restore it"));
    }
    // A history that cannot have happened is no lead.
    let mut kept: serde_json::Value = serde_json::from_str(&whole).unwrap();
    let pursued = serde_json::json!({ "at_ms": 2_000, "by": { "name": "okafor" }, "what": "pursued" });
    kept["events"].as_array_mut().unwrap().push(pursued);
    fs::write(&file, kept.to_string()).unwrap();
    assert!(Leads::open(&config(folder.path())).err().unwrap().to_string().contains("Nobody has this lead"));
}
