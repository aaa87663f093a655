//! Known answers for every problem a playbook can have, and properties of ranges.

use proptest::prelude::*;

use super::*;
use crate::people::Who;

const CBP: &str = include_str!("../../../policies/cbp/playbooks/in-bond-corridor.toml");
const HSI: &str = include_str!("../../../policies/hsi/playbooks/in-bond-corridor.toml");

const WHOLE: &str = r#"
name = "a"
title = "t"
watches = ["w"]
patterns = ["cbp.p"]
[[severity]]
name = "low"
from_qe = 0.0
below_qe = 1.2
who = { role = "analyst" }
steps = ["look"]
acknowledge_within = "1h"
pursue_within = "2h"
escalation = "first"
[[severity]]
name = "high"
from_qe = 1.2
who = { person = "ana" }
steps = ["go"]
acknowledge_within = "10m"
pursue_within = "30m"
conclude_within = "1d"
escalation = "first"
[[escalation]]
name = "first"
to = { role = "commander" }
after = "5m"
then = "second"
[[escalation]]
name = "second"
to = { person = "dir" }
after = "1h"
[[exception]]
name = "diverted"
title = "t"
check = "c"
confirmed_by = [{ role = "analyst" }]
clears_for = "1d"
"#;

fn people() -> People {
    [("ana", "analyst"), ("com", "commander"), ("dir", "director")].into_iter().collect()
}

fn reasons(text: &str) -> Vec<&'static str> {
    match Playbooks::read([("a.toml", text)], Some(&people())) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(|problem| problem.reason).collect(),
    }
}

fn changed(from: &str, to: &str) -> Vec<&'static str> {
    assert!(WHOLE.contains(from), "{from}");
    reasons(&WHOLE.replacen(from, to, 1))
}

#[test]
fn a_whole_playbook_says_who_acts_at_every_score() {
    let books = Playbooks::read([("a.toml", WHOLE)], Some(&people())).unwrap();
    let book = books.covering(Covered::Watch("w", None)).unwrap();
    assert_eq!(book.plan(0).unwrap().severity, "low");
    assert_eq!(book.plan(1_199_999).unwrap().severity, "low");
    let high = book.plan(1_200_000).unwrap();
    assert_eq!((high.severity.as_str(), high.rank), ("high", 1));
    assert_eq!(book.plan(u32::MAX).unwrap().severity, "high");
    assert_eq!((high.acknowledge_ms, high.pursue_ms, high.conclude_ms), (600_000, 1_800_000, Some(86_400_000)));
    let chain: Vec<(String, i64)> = high.chain.iter().map(|step| (step.to.to_string(), step.after_ms)).collect();
    assert_eq!(chain, [("any commander".to_owned(), 300_000), ("dir".to_owned(), 3_600_000)]);
    assert_eq!(high.exceptions[0].confirmed_by, [Who::Role("analyst".to_owned())]);
}

#[test]
fn the_sample_playbooks_are_whole() {
    let people: People = [("okafor", "analyst"), ("reyes", "watch_commander")].into_iter().collect();
    for text in [CBP, HSI] {
        let books = Playbooks::read([("in-bond-corridor.toml", text)], Some(&people)).unwrap();
        let book = books.covering(Covered::Pattern("cbp.in-bond-off-corridor@3")).unwrap();
        assert_eq!((book.plan(999_999), book.raises_from()), (None, 1_000_000));
        assert!(book.plan(1_414_213).unwrap().exceptions.len() + book.plan(1_414_213).unwrap().steps.len() > 4);
    }
}

#[test]
fn every_gap_has_its_reason() {
    let who = "who = { role = \"analyst\" }\n";
    for (from, to, expected) in [
        ("watches = [\"w\"]\npatterns = [\"cbp.p\"]", "", vec!["covers_nothing"]),
        ("\"cbp.p\"", "\"p\"", vec!["pattern_name"]),
        ("\"cbp.p\"", "\"cbp.p@1\"", vec!["pattern_name"]),
        ("title = \"t\"", "", vec!["playbook_text"]),
        ("name = \"a\"", "name = \"A b\"", vec!["playbook_name"]),
        ("name = \"high\"", "name = \"low\"", vec!["name_twice"]),
        ("below_qe = 1.2", "below_qe = 1.1", vec!["scores_uncovered"]),
        ("from_qe = 0.0", "from_qe = 0.5", vec!["scores_uncovered"]),
        ("below_qe = 1.2", "below_qe = 1.3", vec!["scores_covered_twice"]),
        ("below_qe = 1.2", "", vec!["scores_covered_twice"]),
        ("from_qe = 1.2", "from_qe = 1.2\nbelow_qe = 2.0", vec!["scores_uncovered"]),
        ("from_qe = 1.2", "from_qe = nan", vec!["score_range", "scores_uncovered"]),
        ("from_qe = 0.0", "from_qe = -1.0", vec!["score_range", "scores_uncovered"]),
        ("below_qe = 1.2", "below_qe = 0.0", vec!["score_range", "scores_uncovered"]),
        ("name = \"a\"", "name = \"a\"\nraise_from_qe = 0.5", vec!["scores_covered_twice"]),
        ("name = \"a\"", "name = \"a\"\nraise_from_qe = inf", vec!["score_range"]),
        (who, "", vec!["severity_without_actor"]),
        ("steps = [\"look\"]", "", vec!["severity_without_steps"]),
        ("steps = [\"look\"]", "steps = [\" \"]", vec!["playbook_text"]),
        ("acknowledge_within = \"1h\"", "", vec!["severity_without_deadline"]),
        ("pursue_within = \"2h\"", "", vec!["severity_without_deadline"]),
        ("acknowledge_within = \"1h\"", "acknowledge_within = \"3h\"", vec!["deadlines_crossed"]),
        ("escalation = \"first\"\n", "", vec!["deadline_without_escalation"]),
        ("escalation = \"first\"", "escalation = \"none\"", vec!["escalation_unknown"]),
        ("then = \"second\"", "then = \"none\"", vec!["escalation_unknown", "escalation_unused"]),
        ("then = \"second\"", "", vec!["escalation_unused"]),
        ("after = \"1h\"", "after = \"1h\"\nthen = \"first\"", vec!["escalation_circle"]),
        ("then = \"second\"", "then = \"first\"", vec!["escalation_circle", "escalation_unused"]),
        ("{ person = \"dir\" }", "{ role = \"commander\" }", vec!["escalation_to_nobody_new"; 2]),
        ("{ person = \"dir\" }", "{ person = \"com\" }", vec!["escalation_to_nobody_new"; 2]),
        ("{ person = \"dir\" }", "{ person = \"bob\" }", vec!["person_unknown"]),
        (who, "who = { role = \"pilot\" }\n", vec!["role_unfilled"]),
        ("confirmed_by = [{ role = \"analyst\" }]", "", vec!["exception_unconfirmable"]),
        ("confirmed_by = [{ role = \"analyst\" }]", "confirmed_by = [{ person = \"bob\" }]", vec!["person_unknown"]),
        ("clears_for = \"1d\"", "", vec!["exception_without_end"]),
        ("clears_for = \"1d\"", "clears_for = \"2000d\"", vec!["exception_without_end"]),
        ("after = \"5m\"", "after = \"soon\"", vec!["playbook_unreadable"]),
        ("title = \"t\"", "tittle = \"t\"", vec!["playbook_unreadable"]),
    ] {
        assert_eq!(changed(from, to), expected, "{from:?} became {to:?}");
    }
    assert_eq!(reasons("name = \"a\"\ntitle = \"t\"\nwatches = [\"w\"]\n"), ["no_severity"]);
    assert_eq!(reasons(&"#".repeat(PLAYBOOK_BYTES_MAX + 1)), ["playbook_unreadable"]);
}

#[test]
fn without_people_names_are_taken_as_written() {
    assert!(Playbooks::read([("a.toml", WHOLE)], None).is_ok());
    assert!(Playbooks::read([("a.toml", WHOLE)], Some(&People::default())).is_err());
}

#[test]
fn two_playbooks_never_cover_the_same() {
    let other = WHOLE.replace("name = \"a\"", "name = \"b\"").replace("[\"w\"]", "[\"v\"]");
    let both = |other: &str| {
        let read = Playbooks::read([("a.toml", WHOLE), ("b.toml", other)], None);
        read.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(
        both(&other).unwrap_err(),
        ["b.toml: The pattern `cbp.p` also stands in a.toml; keep it in one of them."]
    );
    let other = other.replace("cbp.p", "cbp.q");
    assert_eq!(both(&other).unwrap().iter().count(), 2);
    assert_eq!(both(&other.replace("name = \"b\"", "name = \"a\"")).unwrap_err().len(), 1);
}

#[test]
fn what_nothing_covers_is_told() {
    let books = Playbooks::read([("a.toml", WHOLE)], None).unwrap();
    for covered in [
        Covered::Watch("w", None),
        Covered::Watch("other", Some("cbp.p@7")),
        Covered::Pattern("cbp.p"),
        Covered::Named("a"),
    ] {
        assert_eq!(books.covering(covered).unwrap().name, "a");
    }
    for (what, told) in [
        (Covered::Watch("x", None), "watches = [\"x\"]"),
        (Covered::Watch("x", Some("cbp.x")), "its pattern `cbp.x`"),
        (Covered::Pattern("cbp.x"), "patterns = [\"cbp.x\"]"),
        (Covered::Named("x"), "no playbook `x`"),
    ] {
        let missing = books.covering(what).unwrap_err().to_string();
        assert!(missing.contains(told), "{missing}");
    }
}

proptest! {
    /// Severities that meet cover every score once; with any of them taken out or moved, that is told.
    #[test]
    fn a_gap_or_an_overlap_never_goes_unseen(
        cuts in proptest::collection::btree_set(1_u32..5_000, 1..6),
        hurt in 0_usize..6,
        shift in prop_oneof![-300_i32..0, 1_i32..300],
    ) {
        let mut cuts: Vec<u32> = cuts.into_iter().collect();
        cuts.insert(0, 0);
        let write = |bounds: &[(u32, Option<u32>)]| {
            let severities: String = bounds.iter().enumerate().map(|(number, (from, below))| {
                let below = below.map_or(String::new(), |below| format!("below_qe = {}\n", f64::from(below) / 1e3));
                format!(
                    "[[severity]]\nname = \"s{number}\"\nfrom_qe = {:?}\n{below}who = {{ role = \"r\" }}\n\
                     steps = [\"s\"]\nacknowledge_within = \"1m\"\npursue_within = \"1m\"\nescalation = \"e\"\n",
                    f64::from(*from) / 1e3,
                )
            }).collect();
            let text = format!(
                "name = \"a\"\ntitle = \"t\"\nwatches = [\"w\"]\n{severities}\
                 [[escalation]]\nname = \"e\"\nto = {{ role = \"c\" }}\nafter = \"1m\"\n"
            );
            Playbooks::read([("a.toml", text.as_str())], None)
        };
        let bounds: Vec<_> = cuts.iter().enumerate().map(|(n, from)| (*from, cuts.get(n + 1).copied())).collect();
        let books = write(&bounds).unwrap();
        let book = books.iter().next().unwrap();
        for (number, (from, _)) in bounds.iter().enumerate() {
            prop_assert_eq!(&book.plan(from * 1_000).unwrap().severity, &format!("s{number}"));
        }
        let hurt = hurt % bounds.len();
        let mut moved = bounds.clone();
        moved[hurt].0 = moved[hurt].0.saturating_add_signed(shift);
        prop_assert!(moved == bounds || write(&moved).is_err());
        let mut without = bounds;
        without.remove(hurt);
        prop_assert!(write(&without).is_err());
    }
}
