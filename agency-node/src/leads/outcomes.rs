//! What became of leads, as a data set of the node: one row for each closed lead. Questions can use it, and
//! it labels the node's own answers.

use std::{collections::HashMap, io, path::Path};

use chrono::{DateTime, SecondsFormat};
use sallyport_lead::{
    event::Outcome,
    lead::{Lead, State},
};

use super::store::Store;
use crate::{
    dataset::{Attribute, AttributeType, Coverage, Dataset, Identifier, Label, Sensitivity, Time},
    disk,
    identifier::IdentifierType,
};

/// Columns beside those of the identifiers: name, type.
const COLUMNS: [(&str, AttributeType); 7] = [
    ("outcome", AttributeType::Text),
    ("watch", AttributeType::Text),
    ("pattern", AttributeType::Text),
    ("what", AttributeType::Text),
    ("amount", AttributeType::Decimal),
    ("unit", AttributeType::Text),
    ("qe", AttributeType::Decimal),
];

/// The data set in `file`, described for the types of identifiers that the agency's other data sets have;
/// none when the agency describes one of that name itself, or names nobody in its data.
pub(super) fn dataset(agency: &str, datasets: &[Dataset], file: &Path) -> Option<Dataset> {
    let name = format!("{agency}.outcomes");
    let has = |kind: &IdentifierType| {
        datasets.iter().flat_map(|dataset| &dataset.identifier).any(|identifier| identifier.kind == *kind)
    };
    let kinds: Vec<IdentifierType> = IdentifierType::ALL.into_iter().filter(has).collect();
    if kinds.is_empty() || datasets.iter().any(|dataset| dataset.name == name) {
        return None;
    }
    let identifier = kinds.into_iter().map(|kind| Identifier {
        name: kind.name().to_owned(),
        column: kind.name().to_owned(),
        kind,
        country: None,
        state_column: None,
        of_subject: None,
    });
    let attribute = COLUMNS.into_iter().map(|(column, kind)| Attribute {
        name: column.to_owned(),
        column: column.to_owned(),
        kind,
        title: String::new(),
    });
    Some(Dataset {
        name,
        title: "What became of the agency's leads".to_owned(),
        files: vec![file.to_owned()],
        live: true,
        feed: None,
        news_to: Vec::new(),
        sensitivity: Sensitivity::LawEnforcementSensitive,
        retention_days: 0,
        time: Some(Time { column: "at".to_owned(), format: None }),
        identifier: identifier.collect(),
        person: None,
        place: None,
        attribute: attribute.collect(),
        counts: None,
        label: Some(Label { column: "outcome".to_owned() }),
        coverage: Coverage {
            gaps: vec![
                "leads of this agency alone; what became of matches that were no lead is not recorded".to_owned(),
            ],
            unrecorded: Vec::new(),
        },
    })
}

/// Writes all outcomes, in place of those of before.
pub(super) fn write(store: &Store, file: &Path) -> io::Result<()> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let kinds = IdentifierType::ALL.map(IdentifierType::name);
    out.write_record(kinds.into_iter().chain(["at"]).chain(COLUMNS.map(|(column, _)| column)))?;
    let mut rows = store.pick(|lead| Some((lead.round.ended_ms?, row(lead)?)));
    rows.sort();
    for (_, row) in rows {
        out.write_record(row)?;
    }
    disk::replace(file, &out.into_inner().map_err(|error| io::Error::other(error.to_string()))?)
}

/// The outcome of each subject's newest closed lead, or that a lawful exception is known of it.
pub(super) fn labels(store: &Store, kind: IdentifierType, now_ms: i64) -> HashMap<String, &'static str> {
    let mut closed = store.pick(|lead| {
        let is_of_kind = lead.sighting.subject_kind == kind.name();
        is_of_kind.then(|| Some((lead.round.ended_ms?, lead.sighting.subject.clone(), outcome(lead)?)))?
    });
    let cleared = store.cleared(kind.name(), now_ms);
    closed.extend(cleared.into_iter().map(|(at_ms, subject)| (at_ms, subject, State::Cleared.name())));
    closed.sort_unstable();
    closed.into_iter().map(|(_, subject, outcome)| (subject, outcome)).collect()
}

/// How a closed lead ended.
fn outcome(lead: &Lead) -> Option<&'static str> {
    match lead.state {
        State::Concluded => lead.outcome.as_ref().map(Outcome::name),
        State::Unpursued | State::Cleared => Some(lead.state.name()),
        State::Raised | State::Assigned | State::Pursued => None,
    }
}

fn row(lead: &Lead) -> Option<Vec<String>> {
    let sighting = &lead.sighting;
    let at = DateTime::from_timestamp_millis(lead.round.ended_ms?)?.to_rfc3339_opts(SecondsFormat::Millis, true);
    let (what, amount, unit) = match &lead.outcome {
        Some(Outcome::Seizure { what, amount, unit }) => (what.clone(), amount.to_string(), unit.clone()),
        Some(Outcome::Arrest { people }) => (String::new(), people.to_string(), "people".to_owned()),
        Some(Outcome::Referred { to: what } | Outcome::Other { what }) => (what.clone(), String::new(), String::new()),
        _ => Default::default(),
    };
    let subjects = IdentifierType::ALL
        .map(|kind| if kind.name() == sighting.subject_kind { sighting.subject.clone() } else { String::new() });
    let more = [
        at,
        outcome(lead)?.to_owned(),
        sighting.watch.clone().unwrap_or_default(),
        sighting.pattern.clone().unwrap_or_default(),
        what,
        amount,
        unit,
        format!("{:.6}", f64::from(sighting.qe_millionths) / 1e6),
    ];
    Some(subjects.into_iter().chain(more).collect())
}
