//! How a node's data sets are described in its configuration, and what is checked before it starts.

mod counts;

use std::{collections::BTreeSet, path::PathBuf};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

pub(crate) use counts::Counts;

use crate::identifier::{Country, IdentifierType};

/// A data set: where it is, whom its rows are about, what may be filtered on, what it lacks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// `AGENCY.NAME`; the agency is the node's own.
    pub name: String,
    /// A line for people.
    #[serde(default)]
    pub title: String,
    /// CSV or Parquet files with the same columns, relative to the configuration's folder; none for a feed.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// The files change while the node runs and are then read again, whole. Without this they are read at a
    /// start only.
    #[serde(default)]
    pub live: bool,
    /// Agencies whose nodes are told that there are new rows, for their watches; never what is in them.
    #[serde(default)]
    pub news_to: Vec<String>,
    /// The feed whose positions are the rows, instead of files. The columns are those of the table of positions:
    /// `device`, `at`, `latitude`, `longitude`, `speed_mps`, `heading_deg`, `accuracy_m`, `seal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<String>,
    /// Who may see that it exists.
    pub sensitivity: Sensitivity,
    /// How long the owner keeps a row, in days; 0 when it is not limited.
    #[serde(default)]
    pub retention_days: u32,
    /// When an event happened; absent for lists without time.
    pub time: Option<Time>,
    /// Whom rows are about; at least one, unless there is a `person`, or rows are only counted.
    #[serde(default)]
    pub identifier: Vec<Identifier>,
    /// Columns that describe a person.
    pub person: Option<Person>,
    /// Where an event happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What may be filtered on.
    #[serde(default)]
    pub attribute: Vec<Attribute>,
    /// What events may be counted by, for questions that are about nobody; without it they are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// What became of a subject, for the agency's own people; the newest row wins.
    pub label: Option<Label>,
    /// What the data set does not hold.
    #[serde(default)]
    pub coverage: Coverage,
}

/// Sensitivity, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Sensitivity {
    Public,
    Official,
    LawEnforcementSensitive,
}

impl Sensitivity {
    /// As policies name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Official => "official",
            Self::LawEnforcementSensitive => "law_enforcement_sensitive",
        }
    }
}

/// The column of an event's time.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// Column name.
    pub column: String,
    /// As in strftime, such as `%Y%m%d %H%M`, read as UTC; RFC 3339 or a date when absent.
    pub format: Option<String>,
}

/// The columns of an event's place, in degrees north and east.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Column name.
    pub latitude: String,
    /// Column name.
    pub longitude: String,
}

/// A column that names a subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identifier {
    /// How questions call it.
    pub name: String,
    /// Column name.
    pub column: String,
    /// What sort of identifier it is.
    #[serde(rename = "type", with = "type_name")]
    pub kind: IdentifierType,
    /// Country of phone numbers without a country code, such as `US`.
    pub country: Option<String>,
    /// Column with the issuing state of plates or documents.
    pub state_column: Option<String>,
    /// It is the row's own subject's, and so connects the subject's identifiers with each other in questions
    /// about persons. When absent, it is unless an identifier of the same type stands before it: of a
    /// caller and a callee the second is somebody else.
    pub of_subject: Option<bool>,
}

/// The columns that describe the person whom a row is about; any of them may be left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Person {
    pub given_names: Option<String>,
    pub surname: Option<String>,
    /// The whole name, where it says more than the two above or stands instead of them.
    pub full_name: Option<String>,
    pub birth_date: Option<String>,
    /// How dates are written in which the year does not come first.
    #[serde(default)]
    pub date_order: DateOrder,
    pub sex: Option<String>,
    pub street_number: Option<String>,
    pub street: Option<String>,
    /// Building, flat, property: the second line of an address.
    pub premises: Option<String>,
    pub town: Option<String>,
    pub postcode: Option<String>,
    pub region: Option<String>,
    /// Number of a document or of an insurance that is no [`Identifier`] of its own.
    pub document: Option<String>,
    pub birth_place: Option<String>,
    pub occupation: Option<String>,
    /// An address of electronic mail, an account.
    pub contact: Option<String>,
    /// Every person stands in the data set once.
    #[serde(default)]
    pub once: bool,
}

/// Order of a date's parts when the year is not written first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum DateOrder {
    #[default]
    DayMonthYear,
    MonthDayYear,
}

impl Person {
    /// Column names, in the order in which [`crate::holdings`] reads them; nothing for those left out.
    pub(crate) fn columns(&self) -> [Option<&String>; 15] {
        [
            &self.given_names,
            &self.surname,
            &self.full_name,
            &self.birth_date,
            &self.sex,
            &self.street_number,
            &self.street,
            &self.premises,
            &self.town,
            &self.postcode,
            &self.region,
            &self.document,
            &self.birth_place,
            &self.occupation,
            &self.contact,
        ]
        .map(Option::as_ref)
    }
}

/// A column that filters may use.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// How questions call it.
    pub name: String,
    /// Column name.
    pub column: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: AttributeType,
    /// A line for people.
    #[serde(default)]
    pub title: String,
}

/// What an attribute's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum AttributeType {
    Text,
    Integer,
    Decimal,
    Boolean,
    Time,
}

impl AttributeType {
    /// As questions and catalogs name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::Time => "time",
        }
    }
}

/// The column of a subject's outcome.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Column name.
    pub column: String,
}

/// What is known to be missing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// Sentences for people.
    #[serde(default)]
    pub gaps: Vec<String>,
    /// Periods in which nothing was recorded: silence in them is no behaviour.
    #[serde(default)]
    pub unrecorded: Vec<Unrecorded>,
}

/// Days in which nothing was recorded, the last one included.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unrecorded {
    /// `2026-03-01`.
    pub from: NaiveDate,
    /// `2026-03-07`.
    pub through: NaiveDate,
}

impl Coverage {
    /// How much of `from_ms..until_ms` was recorded, in milliseconds.
    pub(crate) fn recorded_ms(&self, from_ms: i64, until_ms: i64) -> i64 {
        let midnight = |day: NaiveDate| day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis();
        let mut gaps: Vec<(i64, i64)> = self
            .unrecorded
            .iter()
            .map(|gap| (midnight(gap.from), midnight(gap.through).saturating_add(DAY_MS)))
            .collect();
        gaps.sort_unstable();
        let (mut recorded, mut reached) = (0i64, from_ms);
        for (gap_from, gap_until) in gaps {
            recorded += (gap_from.min(until_ms) - reached).max(0);
            reached = reached.max(gap_until);
        }
        recorded + (until_ms - reached).max(0)
    }
}

const DAY_MS: i64 = 86_400_000;
/// Names that columns of the prepared data set have, or questions use.
const RESERVED: [&str; 5] = ["time", "label", "record", "person", "cell"];

mod type_name {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::identifier::IdentifierType;

    pub(super) fn serialize<S: Serializer>(kind: &IdentifierType, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IdentifierType, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A data set that is described wrongly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[[dataset]] {dataset}: {problem}")]
pub struct DatasetError {
    /// Its name.
    pub dataset: String,
    /// What is wrong and what to do.
    pub problem: String,
}

/// Checks all of an agency's data sets.
///
/// # Errors
/// [`DatasetError`] for the first that cannot be used.
pub(crate) fn validate(agency: &str, datasets: &[Dataset]) -> Result<(), DatasetError> {
    let mut names = BTreeSet::new();
    for dataset in datasets {
        let wrong = |problem: String| DatasetError { dataset: dataset.name.clone(), problem };
        if !names.insert(&dataset.name) {
            return Err(wrong("stands in the file twice; keep one".to_owned()));
        }
        dataset.validate(agency).map_err(wrong)?;
    }
    Ok(())
}

impl Dataset {
    fn validate(&self, agency: &str) -> Result<(), String> {
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        match self.name.split_once('.') {
            Some((owner, name)) if owner == agency && is_name(name) => {}
            _ => return Err(format!("write {agency}.NAME with a name of a-z, 0-9 and _")),
        }
        if self.files.is_empty() == self.feed.is_none() {
            return Err("name at least one file, or a feed and no file".to_owned());
        }
        if let Some(file) = self.files.iter().find(|file| !file.is_file()) {
            return Err(format!("there is no file {}; correct the path", file.display()));
        }
        let described = self.person.as_ref().is_some_and(|person| person.columns().iter().any(Option::is_some));
        if self.identifier.is_empty() && !described && self.counts.is_none() {
            return Err(
                "name at least one [[dataset.identifier]], columns in [dataset.person], or [dataset.counts]".to_owned()
            );
        }
        if let Some(counts) = &self.counts {
            counts.validate(self)?;
        }
        if self.live && self.person.is_some() {
            return Err("is `live` and has a [dataset.person]: leave one of them out".to_owned());
        }
        if self.place.is_some() && self.time.is_none() {
            return Err("has a [dataset.place] and no [dataset.time]: without a time no place is shared".to_owned());
        }
        let mut used = BTreeSet::new();
        let names = self.identifier.iter().map(|i| &i.name).chain(self.attribute.iter().map(|a| &a.name));
        for name in names {
            if !is_name(name) || RESERVED.contains(&name.as_str()) || !used.insert(name) {
                return Err(format!("`{name}` is used twice, is reserved, or is not of a-z, 0-9 and _"));
            }
        }
        let countries = self.identifier.iter().filter_map(|identifier| identifier.country.as_ref());
        match countries.into_iter().find(|country| country.parse::<Country>().is_err()) {
            Some(country) => Err(format!("`{country}` is no country; write two capitals such as US")),
            None => Ok(()),
        }
    }

    /// What is numbered and tagged of it: identifiers, keys of persons, cells; some more than once.
    pub(crate) fn subject_types(&self) -> impl Iterator<Item = IdentifierType> {
        let identified = self.identifier.iter().map(|identifier| identifier.kind);
        let described = self.person.iter().map(|_| IdentifierType::PersonKey);
        identified.chain(described).chain(self.place.iter().map(|_| IdentifierType::Cell))
    }

    /// Which identifiers are the row's own subject's, in their order.
    pub(crate) fn of_subject(&self) -> Vec<bool> {
        let first = |place: usize, kind| !self.identifier[..place].iter().any(|earlier| earlier.kind == kind);
        let places = self.identifier.iter().enumerate();
        places.map(|(place, one)| one.of_subject.unwrap_or_else(|| first(place, one.kind))).collect()
    }

    /// The identifier of this type that a question means.
    pub(crate) fn identifier_for(&self, kind: IdentifierType, name: &str) -> Result<&Identifier, String> {
        let fitting: Vec<&Identifier> = self
            .identifier
            .iter()
            .filter(|identifier| identifier.kind == kind && (name.is_empty() || identifier.name == name))
            .collect();
        match fitting.as_slice() {
            [one] => Ok(one),
            [] => Err(format!("`{}` has no {kind} that is called `{name}`.", self.name)),
            several => Err(format!(
                "`{}` has more than one {kind}: say `identifier = \"{}\"` or another.",
                self.name, several[0].name
            )),
        }
    }

    /// The identifier of any type that a question means.
    pub(crate) fn identifier_named(&self, name: &str) -> Result<&Identifier, String> {
        let mut fitting = self.identifier.iter().filter(|one| name.is_empty() || one.name == name);
        match (fitting.next(), fitting.next()) {
            (Some(one), None) => Ok(one),
            (Some(first), Some(_)) => Err(format!(
                "`{}` has more than one identifier: say `identifier = \"{}\"` or another.",
                self.name, first.name
            )),
            (None, _) => Err(format!("`{}` has no identifier that is called `{name}`.", self.name)),
        }
    }
}
