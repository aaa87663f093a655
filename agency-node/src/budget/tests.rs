use std::sync::Barrier;

use super::*;

const DAY_MS: i64 = 86_400_000;
const NOW: i64 = 1_800_000_000_000;
const ANA: Asking<'_> =
    Asking { person: "spiffe://f/agency/hsi/user/ana", agency: "hsi", purpose: "a", looked_up: 0, gist: None };
const BEN: Asking<'_> = Asking { person: "spiffe://f/agency/hsi/user/ben", ..ANA };
const CAY: Asking<'_> = Asking { person: "spiffe://f/agency/cbp/user/cay", agency: "cbp", ..ANA };

fn person(questions: u64) -> Budget {
    Budget::Person { questions, period: Period::days(1), purpose: None }
}

fn subject(scores: u64) -> Budget {
    Budget::Subject { scores, period: Period::days(1) }
}

fn phone(number: u32) -> About {
    About::Subject(IdentifierType::Phone, number)
}

fn id(number: u8) -> QuestionId {
    QuestionId([number; 32])
}

fn open(folder: &Path, budgets: &[Budget], now_ms: i64) -> Budgets {
    Budgets::open(&folder.join("uses"), budgets.to_vec(), now_ms).unwrap()
}

fn reason(taken: Result<Vec<Standing>, Refusal>) -> String {
    taken.unwrap_err().reason
}

#[test]
fn each_budget_refuses_by_its_own_reason_and_says_when_it_renews() {
    let folder = tempfile::tempdir().unwrap();
    let agency = Budget::Agency { questions: 3, period: Period::days(2), purpose: None };
    let purpose = Budget::Purpose { questions: 4, period: Period::days(7), purpose: Some("a".to_owned()) };
    let budgets = open(folder.path(), &[person(2), agency, purpose, Budget::LookUp { identifiers: 5 }], NOW);
    assert_eq!(budgets.take(&id(1), &ANA, NOW).unwrap()[0].left, Some(1));
    assert_eq!(budgets.take(&id(2), &ANA, NOW + 1).unwrap()[0].left, Some(0));
    let refusal = budgets.take(&id(3), &ANA, NOW + 2).unwrap_err();
    assert_eq!((refusal.kind, refusal.reason.as_str()), (Kind::Exhausted, "budget_person"));
    let told = "The budget of 2 questions per person and day is used up; it renews at 2027-01-16T08:00:00Z,";
    assert!(refusal.message.starts_with(told), "{}", refusal.message);
    budgets.take(&id(4), &BEN, NOW).unwrap();
    assert_eq!(reason(budgets.take(&id(5), &BEN, NOW)), "budget_agency");
    budgets.take(&id(6), &CAY, NOW).unwrap();
    let refusal = budgets.take(&id(7), &CAY, NOW).unwrap_err();
    assert_eq!(refusal.reason, "budget_purpose");
    let told = "The budget of 4 questions for a per 7 days is used up; it renews at 2027-01-22T08:00:00Z,";
    assert!(refusal.message.starts_with(told), "{}", refusal.message);
    // Another purpose is not this budget's.
    let elsewhere = Asking { purpose: "b", ..CAY };
    assert_eq!(budgets.take(&id(8), &elsewhere, NOW).unwrap().len(), 2);
    assert_eq!(reason(budgets.take(&id(9), &Asking { looked_up: 6, ..elsewhere }, NOW)), "budget_look_up");
    // What is refused costs nothing, and a day later the person may ask again, but not the agency.
    assert_eq!(budgets.take(&id(10), &ANA, NOW + DAY_MS).unwrap_err().reason, "budget_agency");
    budgets.take(&id(10), &ANA, NOW + 7 * DAY_MS).unwrap();
}

#[test]
fn a_question_counts_once_however_many_of_its_parts_come() {
    let folder = tempfile::tempdir().unwrap();
    let budgets = open(folder.path(), &[person(1), subject(2)], NOW);
    for _ in 0..3 {
        budgets.check(&id(1), &ANA, NOW).unwrap();
        assert_eq!(budgets.take(&id(1), &ANA, NOW).unwrap()[0].left, Some(0));
    }
    assert_eq!(budgets.check(&id(2), &ANA, NOW).unwrap_err().reason, "budget_person");
    // So does the score of a subject whom two data sets hold.
    budgets.release((&id(1), None), &[phone(1), phone(2)], NOW).unwrap();
    budgets.release((&id(1), None), &[phone(1)], NOW).unwrap();
    assert_eq!(budgets.over(NOW).total(), 0);
    budgets.release((&id(2), None), &[phone(1)], NOW).unwrap();
    let over = budgets.over(NOW);
    assert!(over.holds(phone(1)) && !over.holds(phone(2)));
    assert_eq!((over.count(IdentifierType::Phone), over.count(IdentifierType::Plate)), (1, 0));
    assert_eq!(budgets.over(NOW + DAY_MS).total(), 0);
}

#[test]
fn of_many_at_once_exactly_as_many_are_answered_as_are_left() {
    let folder = tempfile::tempdir().unwrap();
    let budgets = open(folder.path(), &[person(5)], NOW);
    let start = Barrier::new(16);
    let answered: usize = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..16)
            .map(|number| {
                let (budgets, start) = (&budgets, &start);
                scope.spawn(move || {
                    start.wait();
                    budgets.take(&id(number), &ANA, NOW).is_ok()
                })
            })
            .collect();
        asking.into_iter().map(|asking| usize::from(asking.join().unwrap())).sum()
    });
    assert_eq!(answered, 5);
    assert_eq!(reason(open(folder.path(), &[person(5)], NOW).take(&id(99), &ANA, NOW)), "budget_person");
}

#[test]
fn a_restart_gives_nothing_back_and_forgets_what_no_longer_counts() {
    let folder = tempfile::tempdir().unwrap();
    let all = [person(3), subject(1)];
    let budgets = open(folder.path(), &all, NOW);
    budgets.take(&id(1), &ANA, NOW).unwrap();
    budgets.take(&id(2), &ANA, NOW + DAY_MS / 2).unwrap();
    budgets.release((&id(2), None), &[phone(7)], NOW + DAY_MS / 2).unwrap();
    drop(budgets);
    let budgets = open(folder.path(), &all, NOW + DAY_MS / 2);
    assert_eq!(budgets.take(&id(3), &ANA, NOW + DAY_MS / 2).unwrap()[0].left, Some(0));
    assert!(budgets.over(NOW + DAY_MS).holds(phone(7)));
    drop(budgets);
    let written = || std::fs::read_to_string(folder.path().join("uses")).unwrap();
    let budgets = open(folder.path(), &all, NOW + DAY_MS);
    assert_eq!((written().lines().count(), written().contains("phone 7")), (3, true));
    assert_eq!(budgets.take(&id(4), &ANA, NOW + DAY_MS).unwrap()[0].left, Some(0));
    drop(budgets);
    let budgets = open(folder.path(), &all, NOW + 3 * DAY_MS / 2);
    assert_eq!((written().lines().count(), written().contains("phone 7")), (1, false));
    assert_eq!(budgets.over(NOW + 2 * DAY_MS).total(), 0);
    // Nothing is kept that no budget looks at.
    drop(budgets);
    open(folder.path(), &[], NOW + 3 * DAY_MS / 2);
    assert_eq!(written(), "");
}

#[test]
fn where_nothing_can_be_written_down_nothing_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let budgets = open(folder.path(), &[person(3)], NOW);
    budgets.journal().fail_for_test();
    // Neither the first time nor when another part of it comes; and what was used stays used.
    assert_eq!(reason(budgets.take(&id(1), &ANA, NOW)), "budget_not_kept");
    assert_eq!(reason(budgets.take(&id(1), &ANA, NOW)), "budget_not_kept");
    assert_eq!(budgets.standings(ANA.person, ANA.agency, NOW)[0].left, Some(1));
    std::fs::write(folder.path().join("uses"), "a line of somebody else\nand another\n").unwrap();
    assert!(Budgets::open(&folder.path().join("uses"), vec![person(3)], NOW).is_err());
}

#[test]
fn a_person_is_shown_every_budget_and_what_is_left_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let period = Period::days(1);
    let all = [
        person(3),
        Budget::Agency { questions: 9, period, purpose: Some("b".to_owned()) },
        Budget::Purpose { questions: 8, period, purpose: Some("a".to_owned()) },
        Budget::Purpose { questions: 7, period, purpose: None },
        subject(6),
        Budget::LookUp { identifiers: 5 },
    ];
    let budgets = open(folder.path(), &all, NOW);
    budgets.take(&id(1), &ANA, NOW).unwrap();
    let shown = budgets.standings(ANA.person, ANA.agency, NOW);
    let told: Vec<_> = shown.iter().map(|standing| (standing.of, standing.limit, standing.left)).collect();
    let expected = [
        ("person", 3, Some(2)),
        ("agency", 9, Some(9)),
        ("purpose", 8, Some(7)),
        ("purpose", 7, None),
        ("subject", 6, None),
        ("look_up", 5, None),
    ];
    assert_eq!(told, expected);
    assert_eq!((shown[0].renews_at_ms, shown[1].renews_at_ms), (Some(NOW + DAY_MS), None));
    assert_eq!((shown[4].period, shown[5].period), (Some(period), None));
}

#[test]
fn what_a_standing_question_asks_and_is_told_again_within_a_day_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let of_person = Budget::Person { questions: 3, period: Period::days(30), purpose: None };
    let subject = Budget::Subject { scores: 2, period: Period::days(30) };
    let budgets = open(folder.path(), &[of_person, subject], NOW);
    let (watch, other) = (Some([1; 32]), Some([2; 32]));
    let left = |budgets: &Budgets| budgets.standings(ANA.person, ANA.agency, NOW)[0].left.unwrap();
    for n in 0..50 {
        let now_ms = NOW - DAY_MS / 2 + i64::from(n);
        budgets.take(&id(n), &Asking { gist: watch, ..ANA }, now_ms).unwrap();
        budgets.release((&id(n), watch), &[phone(1)], now_ms).unwrap();
    }
    assert_eq!(left(&budgets), 2);
    assert_eq!(budgets.over(NOW).total(), 0);
    // Another part of the same question, another watch, and whoever asks by hand count.
    budgets.take(&id(49), &Asking { gist: other, ..ANA }, NOW).unwrap();
    assert_eq!(left(&budgets), 2);
    budgets.take(&id(60), &Asking { gist: Some([3; 32]), ..ANA }, NOW).unwrap();
    budgets.take(&id(61), &ANA, NOW).unwrap();
    assert_eq!(left(&budgets), 0);
    budgets.release((&id(61), None), &[phone(1)], NOW).unwrap();
    assert!(budgets.over(NOW).holds(phone(1)));
    // With nothing left the watch goes on within its day, and no longer.
    let asking = Asking { gist: watch, ..ANA };
    assert!(budgets.check(&id(70), &asking, NOW).is_ok());
    assert_eq!(reason(budgets.take(&id(70), &asking, NOW + DAY_MS / 2)), "budget_person");
    budgets.tidy(NOW + 3 * DAY_MS).unwrap();
    assert!(budgets.check(&id(71), &asking, NOW).is_err(), "what is forgotten counts again");
}

#[test]
fn what_stands_is_believed_so_many_times_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let budgets = open(folder.path(), &[person(10)], NOW);
    let asking = Asking { gist: Some([1; 32]), ..ANA };
    let asked = |number: u32| {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        budgets.take(&QuestionId(id), &asking, NOW).unwrap()[0].left.unwrap()
    };
    let left: Vec<u64> = (0..1_100).map(asked).collect();
    assert_eq!((left[0], left[500], left[501], left[1_001], left[1_002], left[1_099]), (9, 9, 8, 8, 7, 7));
}
