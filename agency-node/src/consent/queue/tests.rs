//! The queue on a real disk, with the policy's own holds, under many threads and across restarts.

use std::sync::atomic::{AtomicUsize, Ordering};

use sallyport_trust::{
    policy::{Action, Attributes, Context, Decision as Ruling, PolicyStore, Request, attribute},
    question::Asker,
};
use tempfile::TempDir;

use super::super::held::Verdict;
use super::*;

const RULES: &str = r#"
[[rule]]
id = "wait"
effect = "hold"
release_by = "release_officer"
actions = ["ask"]
subject = { role = { equals = "analyst" } }
obligations = { releases = 1, maximum_results = 50 }
"#;

const CASES: &str = r#"
[subjects.nobody]
role = "nobody"
[resources.crossings]
kind = "dataset"
owner = "cbp"
dataset = "cbp.crossings"
[[case]]
name = "nobody asks"
subject = "nobody"
resource = "crossings"
action = "ask"
decision = "deny"
reason = "no_rule_allows"
"#;

/// What a policy of these rules says of an analyst's question.
fn held_by(rules: &str) -> Hold {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("rules.toml", rules);
    write("cases.toml", CASES);
    write("model.conf", include_str!("../../../../policies/model.conf"));
    let resource = [("kind", "dataset"), ("owner", "cbp"), ("dataset", "cbp.crossings")];
    let request = Request {
        subject: Attributes::new().with(attribute::ROLE, "analyst"),
        resource: resource.into_iter().collect(),
        action: Action::Ask,
        context: Context { minimum_datasets: 2, top: 20, ..Context::default() },
    };
    match PolicyStore::open(directory.path()).unwrap().decide(&request) {
        Ruling::Hold(hold) => hold,
        other => panic!("not held: {other:?}"),
    }
}

fn queue() -> (TempDir, ReleaseQueue) {
    let directory = tempfile::tempdir().unwrap();
    let queue = ReleaseQueue::open(directory.path()).unwrap();
    (directory, queue)
}

/// Question number `id`, which completes question number `first`.
fn asking(id: u8, first: u8) -> Asking {
    Asking {
        id: QuestionId([id; 32]),
        first: QuestionId([first; 32]),
        context: [1; 32],
        pattern: [2; 32],
        part: [3; 32],
    }
}

fn asked(agency: &str, person: &str) -> Asked {
    Asked {
        agency: agency.to_owned(),
        asker: Asker::from([(attribute::FEDERATION_ID.to_owned(), person.to_owned())]),
        purpose: "missing-person".to_owned(),
        case_number: "C-1".to_owned(),
        reason: "why".to_owned(),
        dataset: "cbp.crossings".to_owned(),
        subject: "phone".to_owned(),
        looked_up: 0,
        identifiers: 0,
        minimum_datasets: 2,
        top: 20,
    }
}

fn part(digest: u8) -> Part {
    Part {
        digest: [digest; 32],
        identifier: String::new(),
        measure: "how often".to_owned(),
        filter: "all rows".to_owned(),
        window: "at any time".to_owned(),
        relation: String::new(),
        rows: 5,
        subjects: 3,
    }
}

fn wait(queue: &ReleaseQueue, asking: &Asking) -> HeldQuestion {
    queue.hold(asking, &held_by(RULES), asked("hsi", "rivera"), part(3), 0).unwrap()
}

fn decide(queue: &ReleaseQueue, id: &str, officer: &str, verdict: Verdict) -> Result<HeldQuestion, Refusal> {
    let role = "release_officer".to_owned();
    let decision = Decision { officer: officer.to_owned(), role, verdict, reason: "because".to_owned(), at_ms: 1 };
    queue.decide(id, decision)
}

fn granted(queue: &ReleaseQueue, asking: &Asking) -> Option<String> {
    match queue.find(asking, 2) {
        Found::Granted(held) => Some(held.id),
        _ => None,
    }
}

#[test]
fn what_waits_says_what_the_rule_says_and_waits_once() {
    let (_directory, queue) = queue();
    let held = wait(&queue, &asking(1, 1));
    assert_eq!((held.rule.as_str(), held.release_by["release_officer"]), ("wait", 1));
    assert_eq!((held.maximum_results, held.score_step_thousandths), (20, 1));
    // Tried again before anybody decided, and by another part of the same question.
    assert_eq!(wait(&queue, &asking(2, 1)).id, held.id);
    let second = Asking { part: [4; 32], ..asking(1, 1) };
    let joined = queue.hold(&second, &held_by(RULES), asked("hsi", "rivera"), part(4), 0).unwrap();
    assert_eq!((joined.id.as_str(), joined.parts.len()), (held.id.as_str(), 2));
    assert_eq!(queue.all(0).len(), 1);
}

#[test]
fn a_grant_fits_the_question_that_it_was_given_for_and_no_other() {
    let (_directory, queue) = queue();
    let held = wait(&queue, &asking(1, 1));
    decide(&queue, &held.id, "novak", Verdict::Once).unwrap();
    assert!(granted(&queue, &asking(2, 1)).is_some());
    let others = [
        Asking { context: [9; 32], ..asking(2, 1) },
        Asking { part: [9; 32], ..asking(2, 1) },
        asking(2, 2),
        asking(2, 9),
    ];
    for other in others {
        assert!(matches!(queue.find(&other, 2), Found::Nothing));
    }
}

#[test]
fn a_standing_grant_fits_the_pattern_of_new_questions() {
    let (_directory, queue) = queue();
    let held = wait(&queue, &asking(1, 1));
    decide(&queue, &held.id, "novak", Verdict::UntilMs(1_000)).unwrap();
    let new = Asking { context: [9; 32], ..asking(7, 7) };
    assert!(granted(&queue, &new).is_some());
    assert!(granted(&queue, &Asking { part: [9; 32], ..asking(7, 7) }).is_none());
    assert!(granted(&queue, &Asking { pattern: [9; 32], ..new }).is_none());
    assert!(matches!(queue.find(&asking(8, 8), 1_000), Found::Nothing));
}

#[test]
fn of_many_that_want_one_grant_one_gets_it() {
    for _ in 0..20 {
        let (directory, queue) = queue();
        let held = wait(&queue, &asking(1, 1));
        decide(&queue, &held.id, "novak", Verdict::Once).unwrap();
        let winners = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 2..10 {
                let (queue, winners, id) = (&queue, &winners, &held.id);
                scope.spawn(move || {
                    let question = asking(thread, 1);
                    let found = granted(queue, &question).is_some();
                    if found && queue.use_up(id, question.id, 2).is_ok() {
                        winners.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(winners.load(Ordering::SeqCst), 1);
        // Nor does a restart bring it back.
        let queue = ReleaseQueue::open(directory.path()).unwrap();
        assert_eq!(
            (2..10).filter(|&id| granted(&queue, &asking(id, 1)).is_some()).count(),
            1,
            "the winner's own parts"
        );
        assert!(matches!(queue.find(&asking(77, 1), 2), Found::Nothing));
    }
}

#[test]
fn a_grant_that_cannot_be_written_down_as_used_is_not_used() {
    let (directory, queue) = queue();
    let held = wait(&queue, &asking(1, 1));
    decide(&queue, &held.id, "novak", Verdict::Once).unwrap();
    // A directory in the way of the file that is written aside.
    let aside = directory.path().join("releases").join(format!("{}.new", held.id));
    std::fs::create_dir(&aside).unwrap();
    assert_eq!(queue.use_up(&held.id, QuestionId([2; 32]), 2).unwrap_err().reason, "release_not_kept");
    std::fs::remove_dir(&aside).unwrap();
    assert!(granted(&queue, &asking(3, 1)).is_some());
    queue.use_up(&held.id, QuestionId([3; 32]), 2).unwrap();
}

#[test]
fn every_state_survives_a_restart() {
    let (directory, queue) = queue();
    for id in 1..6 {
        wait(&queue, &asking(id, id));
    }
    let ids: Vec<String> =
        (1..6).map(|id| queue.all(0).into_iter().find(|held| held.question.0[0] == id).unwrap().id).collect();
    decide(&queue, &ids[1], "novak", Verdict::Once).unwrap();
    decide(&queue, &ids[2], "novak", Verdict::UntilMs(500)).unwrap();
    decide(&queue, &ids[3], "novak", Verdict::Refuse).unwrap();
    decide(&queue, &ids[4], "novak", Verdict::Once).unwrap();
    queue.use_up(&ids[4], QuestionId([99; 32]), 2).unwrap();
    let before = queue.all(2);
    assert_eq!(before.len(), 5);
    assert_eq!(ReleaseQueue::open(directory.path()).unwrap().all(2), before);
}

#[test]
fn after_its_use_the_question_waits_anew() {
    let (_directory, queue) = queue();
    let held = wait(&queue, &asking(1, 1));
    decide(&queue, &held.id, "novak", Verdict::Once).unwrap();
    queue.use_up(&held.id, QuestionId([2; 32]), 2).unwrap();
    assert!(matches!(queue.find(&asking(3, 1), 2), Found::Nothing));
    let again = wait(&queue, &asking(3, 1));
    assert_ne!(again.id, held.id);
    assert!(matches!(queue.find(&asking(4, 1), 2), Found::Waiting(waiting) if waiting.id == again.id));
}

#[test]
fn stricter_rules_hold_what_was_granted_under_others() {
    let (_directory, queue) = queue();
    let held = wait(&queue, &asking(1, 1));
    let granted = decide(&queue, &held.id, "novak", Verdict::Once).unwrap();
    assert!(held_by(RULES).released(granted.granted_by()).is_some());
    let strict = held_by(&RULES.replace("releases = 1", "releases = 2"));
    assert!(strict.released(granted.granted_by()).is_none());
    queue.need(&held.id, &strict, 2).unwrap();
    assert!(matches!(queue.find(&asking(2, 1), 2), Found::Waiting(_)));
    let both = decide(&queue, &held.id, "silva", Verdict::Once).unwrap();
    assert!(strict.released(both.granted_by()).is_some());
}

#[test]
fn the_queue_is_bounded_and_forgets_what_has_expired() {
    let (directory, queue) = queue();
    let hold = held_by(RULES);
    let wait = |number: u32, agency: &str, person: &str, now_ms: i64| {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let asking = Asking { id: QuestionId(id), first: QuestionId(id), ..asking(0, 0) };
        queue.hold(&asking, &hold, asked(agency, person), part(3), now_ms).map(|_held| ())
    };
    let full = |held: Result<(), Refusal>| assert_eq!(held.unwrap_err().reason, "release_queue_full");
    for number in 0..OF_PERSON_MAX as u32 {
        wait(number, "hsi", "rivera", 0).unwrap();
    }
    full(wait(100, "hsi", "rivera", 0));
    for number in OF_PERSON_MAX as u32..OF_AGENCY_MAX as u32 {
        wait(number, "hsi", &format!("person {number}"), 0).unwrap();
    }
    full(wait(1_000, "hsi", "one more", 0));
    wait(1_001, "acme", "lind", 0).unwrap();
    wait(1_002, "hsi", "rivera", WAITING_MS).unwrap();
    assert_eq!(std::fs::read_dir(directory.path().join("releases")).unwrap().count(), 1);
}
