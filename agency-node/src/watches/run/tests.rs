use super::{super::watch::Behalf, *};

fn watch(number: usize) -> Watch {
    let question =
        "subject = \"phone\"\npurpose = \"p\"\n[[indicator]]\ndataset = \"a.x\"\n[[indicator]]\ndataset = \"b.y\"";
    let what = Standing::Question(question.to_owned());
    let mut watch = Watch::arm(&format!("w-{number}"), what, &Behalf::default(), 1_000, "because", 0).unwrap();
    watch.datasets = vec!["a.x".to_owned(), "b.y".to_owned()];
    watch
}

/// All of them asked a while ago, and ask again in any case in an hour.
fn asked(watches: &[Watch]) -> Rounds {
    let (now, hour) = (Instant::now(), Duration::from_secs(3_600));
    let asked = now.checked_sub(2 * REST).unwrap();
    let round = |watch: &Watch| (watch.name.clone(), Round { asked, again: now + hour, until_ms: watch.until_ms });
    Rounds { rounds: watches.iter().map(round).collect(), ..Rounds::default() }
}

#[test]
fn each_of_many_watches_asks_once_for_one_piece_of_news() {
    let watches: Vec<Watch> = (0..2 * AT_ONCE + 3).map(watch).collect();
    let mut rounds = asked(&watches);
    assert!(rounds.due(watches.clone()).is_empty());
    rounds.hear(&watches, &BTreeSet::from(["b.y".to_owned(), "c.z".to_owned()]));
    let mut names = Vec::new();
    for expected in [AT_ONCE, AT_ONCE, 3, 0, 0] {
        let due = rounds.due(watches.clone());
        assert_eq!(due.len(), expected);
        names.extend(due.into_iter().map(|watch| watch.name));
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), watches.len());
    // News of what none of them asks, or of one that is gone, is nobody's.
    rounds.hear(&watches, &BTreeSet::from(["c.z".to_owned()]));
    assert!(rounds.due(watches.clone()).is_empty());
    rounds.hear(&watches, &BTreeSet::from(["a.x".to_owned()]));
    assert!(rounds.due(Vec::new()).is_empty() && rounds.due(watches).is_empty());
}

#[test]
fn what_forbids_it_to_one_person_stops_it_for_nobody_who_has_renewed_it_meanwhile() {
    let denied = || Ended::refused(Refusal::denied("no_rule_allows", "Nobody may."));
    let asked = watch(1);
    let mut renewed = asked.clone();
    let other = Behalf { person: "other".to_owned(), name: "other".to_owned(), shown: Vec::new() };
    renewed.renew(&other, 2_000, "I take it over", 10).unwrap();
    denied().note(&asked, &mut renewed, 20).unwrap();
    assert_eq!((renewed.state(20), renewed.ended.as_str()), ("armed", "no_rule_allows"));
    let mut same = asked.clone();
    denied().note(&asked, &mut same, 20).unwrap();
    assert_eq!(same.state(20), "stopped");
}
