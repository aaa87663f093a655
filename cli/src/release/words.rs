//! A held question as a release officer reads it.

use sallyport_proto::node::v1::{HeldPart, HeldQuestion, ReleaseState};
use sallyport_trust::question::{COUNTS, words::moment};
use serde_json::{Value, json};

use super::{granted, state_name};
use crate::terminal;

/// One line of the list.
pub(super) fn row(question: &HeldQuestion) -> Vec<String> {
    vec![
        question.id.clone(),
        who(question),
        format!("{} {}", question.purpose, question.case_number).trim().to_owned(),
        format!("{}, {}", question.dataset, sort(question)),
        if is_of_counts(question) {
            question.subject.clone()
        } else {
            format!("{} {}", at_most(question), question.subject)
        },
        moment(question.asked_at_ms),
        moment(question.expires_at_ms),
        match question.state() {
            ReleaseState::Waiting => granted(question),
            state => state_name(state).to_owned(),
        },
    ]
}

/// Whether it is about nobody.
fn is_of_counts(question: &HeldQuestion) -> bool {
    question.subject == COUNTS
}

/// Subjects that an answer can show, at most.
fn at_most(question: &HeldQuestion) -> u64 {
    let asked = match question.identifiers {
        0 => question.parts.iter().map(|part| part.subjects).max().unwrap_or_default(),
        identifiers => identifiers.into(),
    };
    asked.min(question.maximum_results.into())
}

/// The whole of it, in sentences.
pub(super) fn print(question: &HeldQuestion) {
    let mut lines = vec![
        format!("{}  {}", question.id, standing(question)),
        String::new(),
        format!("who      {} of {}", person(question), question.agency),
        format!("         vouched for: {}", vouched_for(question)),
        format!("why      {}, case {}", question.purpose, or_none(&question.case_number)),
        format!("         {}", or_none(&question.reason)),
        format!("what     of {}: {}", question.dataset, sort(question)),
    ];
    question.parts.iter().for_each(|part| lines.extend(part_lines(part, question)));
    lines.extend(how_much(question));
    lines.extend([
        format!("asked    {}, question {}", moment(question.asked_at_ms), question.question_id),
        format!("rule     {}: {} must agree", question.rule, needs(question)),
    ]);
    for decision in &question.decisions {
        let verdict = match (decision.granted, decision.until_ms) {
            (true, None) => "granted for one answer".to_owned(),
            (true, Some(until_ms)) => format!("granted until {}", moment(until_ms)),
            (false, _) => "refused".to_owned(),
        };
        lines.push(format!("decided  {} {verdict}, {}: {}", decision.officer, moment(decision.at_ms), decision.reason));
    }
    lines.iter().for_each(|line| println!("{}", terminal::line(line)));
}

fn how_much(question: &HeldQuestion) -> Vec<String> {
    if is_of_counts(question) {
        return vec![format!("how much counts of {} events and more", question.minimum_cohort)];
    }
    vec![
        format!(
            "how much the best {} at most, each a {} that at least {} data sets hold,",
            question.maximum_results, question.subject, question.minimum_datasets
        ),
        format!("         with scores to the nearest {} thousandths below", question.score_step_thousandths),
    ]
}

fn part_lines(part: &HeldPart, question: &HeldQuestion) -> Vec<String> {
    let mut lines = vec![
        format!("         {}{}", part.measure, in_column(&part.identifier)),
        format!("         {}, {}", part.filter, part.window),
    ];
    if !part.relation.is_empty() {
        lines.push(format!("         {}", part.relation));
    }
    lines.push(match (is_of_counts(question), question.looked_up) {
        (true, _) => format!("         these are {} rows", part.rows),
        (_, 0) => format!("         these are {} rows about {} different subjects", part.rows, part.subjects),
        _ => format!("         it is hidden among {} rows about {} different subjects", part.rows, part.subjects),
    });
    lines
}

fn in_column(identifier: &str) -> String {
    if identifier.is_empty() { String::new() } else { format!(", subjects as {identifier}") }
}

/// How the question stands, in one sentence.
pub(super) fn standing(question: &HeldQuestion) -> String {
    let until = moment(question.expires_at_ms);
    match question.state() {
        ReleaseState::Waiting => format!("waits: {} granted; it can be released until {until}", granted(question)),
        ReleaseState::Granted => format!("granted for one answer, which must be asked for until {until}"),
        ReleaseState::Standing => {
            format!("granted until {until} for every question of this pattern: {}", pattern(question))
        }
        ReleaseState::Refused => "refused".to_owned(),
        ReleaseState::Used => "granted and answered".to_owned(),
        _ => "expired".to_owned(),
    }
}

/// What a standing grant lets pass.
fn pattern(question: &HeldQuestion) -> String {
    let about = match question.looked_up {
        0 if is_of_counts(question) => "the same counts".to_owned(),
        0 => "the same ranking".to_owned(),
        _ => format!("a look-up of anybody, {} at a time, with the same filter and window", question.looked_up),
    };
    format!("{about}, by the same person for the same purpose and case")
}

fn sort(question: &HeldQuestion) -> String {
    match (question.looked_up, question.identifiers) {
        (0, _) if is_of_counts(question) => "counts of events".to_owned(),
        (0, _) => format!("a ranking of everyone by {}", question.subject),
        (_, 1) => format!("a look-up by {} of one person or thing, hidden among a hundred or more", question.subject),
        (places, count) => {
            format!("a look-up by {} of {count} in {places} places, each of a hundred or more", question.subject)
        }
    }
}

fn who(question: &HeldQuestion) -> String {
    let name = person(question).rsplit('/').next().unwrap_or_default().to_owned();
    let role = question.asker.get("role").map_or("", String::as_str);
    format!("{name} ({role}) of {}", question.agency)
}

fn person(question: &HeldQuestion) -> &str {
    question.asker.get("federation_id").map_or("somebody", String::as_str)
}

fn vouched_for(question: &HeldQuestion) -> String {
    let mut attributes: Vec<String> = question
        .asker
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "federation_id" | "agency"))
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    attributes.sort_unstable();
    attributes.join(", ")
}

fn needs(question: &HeldQuestion) -> String {
    let needs = question.needs.iter().map(|need| format!("{} {}", need.needed, need.role));
    needs.collect::<Vec<_>>().join(" and ")
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "(nothing said)" } else { text }
}

/// The question as one JSON object; its fields are a promise to scripts.
pub(super) fn json(question: &HeldQuestion) -> Value {
    let asker: std::collections::BTreeMap<_, _> = question.asker.iter().collect();
    let parts = question.parts.iter().map(|part| {
        json!({
            "identifier": part.identifier,
            "measure": part.measure,
            "filter": part.filter,
            "window": part.window,
            "relation": part.relation,
            "rows": part.rows,
            "subjects": part.subjects,
        })
    });
    let needs =
        question.needs.iter().map(|need| json!({ "role": need.role, "needed": need.needed, "granted": need.granted }));
    let decisions = question.decisions.iter().map(|decision| {
        json!({
            "officer": decision.officer,
            "granted": decision.granted,
            "reason": decision.reason,
            "at": moment(decision.at_ms),
            "until": decision.until_ms.map(moment),
        })
    });
    json!({
        "id": question.id,
        "question_id": question.question_id,
        "state": state_name(question.state()),
        "agency": question.agency,
        "asker": asker,
        "purpose": question.purpose,
        "case_number": question.case_number,
        "reason": question.reason,
        "dataset": question.dataset,
        "subject": question.subject,
        "looked_up": question.looked_up,
        "identifiers": question.identifiers,
        "releases_at_most": at_most(question),
        "minimum_datasets": question.minimum_datasets,
        "parts": parts.collect::<Vec<_>>(),
        "maximum_results": question.maximum_results,
        "score_step_thousandths": question.score_step_thousandths,
        "minimum_cohort": question.minimum_cohort,
        "rule": question.rule,
        "needs": needs.collect::<Vec<_>>(),
        "asked_at": moment(question.asked_at_ms),
        "expires_at": moment(question.expires_at_ms),
        "decisions": decisions.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_up_releases_no_more_than_was_looked_up() {
        let part = HeldPart { rows: 26_362, subjects: 310, ..HeldPart::default() };
        let question = |identifiers, maximum_results| HeldQuestion {
            subject: "phone".to_owned(),
            looked_up: u32::from(identifiers > 0),
            identifiers,
            maximum_results,
            parts: vec![part.clone()],
            ..HeldQuestion::default()
        };
        assert_eq!(row(&question(1, 20))[4], "1 phone");
        assert_eq!(row(&question(5, 3))[4], "3 phone");
        assert_eq!((at_most(&question(0, 50)), at_most(&question(0, 500))), (50, 310));
    }
}
