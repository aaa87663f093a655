//! A request as names and texts: in audit entries, and on the command line.
//!
//! Written is exactly what a decision can depend on, attribute by attribute, and the action; what is read
//! back is the same request to every policy. Nothing is cut and nothing is guessed: a request that cannot
//! be written down whole is not written down.

use std::collections::BTreeMap;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};

use crate::audit::entry::DECIDED_ON_LIMIT_BYTES;

use super::request::VALUE_BYTES_MAX;
use super::schema::{self, ATTRIBUTES, Part};
use super::{Action, Attributes, Context, Request};

/// The name under which the action is written; attributes have a dot in theirs.
pub const ACTION: &str = "action";

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let deserializer: StrDeserializer<'_, ValueError> = text.into_deserializer();
        Action::deserialize(deserializer).map_err(|error| error.to_string())
    }
}

impl Request {
    /// The request by full names, such as `subject.agency`; none when a value is over
    /// [`VALUE_BYTES_MAX`] or holds control characters, so that it cannot stand in an audit entry.
    /// Attributes that no rule can speak of are left out.
    pub fn written(&self) -> Option<BTreeMap<String, String>> {
        let mut written = BTreeMap::from([(ACTION.to_owned(), self.action.to_string())]);
        for (part, attributes) in [(Part::Subject, &self.subject), (Part::Resource, &self.resource)] {
            let known =
                attributes.iter().filter(|(name, _)| ATTRIBUTES.iter().any(|a| a.part == part && a.name == *name));
            written.extend(known.map(|(name, value)| (format!("{}.{name}", part.as_str()), value.to_owned())));
        }
        let context = &self.context;
        let texts = [
            ("purpose", context.purpose.clone()),
            ("case_number", context.case_number.clone()),
            ("reason", context.reason.clone()),
            ("subject_type", context.subject_type.clone()),
            ("minimum_datasets", number(context.minimum_datasets)),
            ("top", number(context.top)),
            ("time", time(context.at_ms)?),
        ];
        let given = texts.into_iter().filter(|(_, text)| !text.is_empty());
        written.extend(given.map(|(name, text)| (format!("context.{name}"), text)));
        let steers = |character: char| character.is_control() && character != '\n' && character != '\t';
        let fits = |text: &String| text.len() <= VALUE_BYTES_MAX && !text.contains(steers);
        let bytes: usize = written.iter().map(|(name, value)| name.len() + value.len()).sum();
        (bytes <= DECIDED_ON_LIMIT_BYTES && written.values().all(fits)).then_some(written)
    }

    /// Reads a request that is written by full names.
    ///
    /// # Errors
    /// A sentence that names what is missing, unknown or not of its type.
    pub fn from_written(written: &BTreeMap<String, String>) -> Result<Self, String> {
        let action = written.get(ACTION).ok_or("there is no action")?.parse()?;
        let mut request =
            Request { subject: Attributes::new(), resource: Attributes::new(), action, context: Context::default() };
        for (name, value) in written.iter().filter(|(name, _)| *name != ACTION) {
            let attribute = schema::position_of(name)
                .and_then(|position| ATTRIBUTES.get(position))
                .ok_or_else(|| format!("there is no attribute `{name}`"))?;
            match attribute.part {
                Part::Subject => request.subject = request.subject.with(attribute.name, value),
                Part::Resource => request.resource = request.resource.with(attribute.name, value),
                Part::Context => request.context.set(attribute.name, value)?,
            }
        }
        Ok(request)
    }
}

impl Context {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let whole = || value.parse().map_err(|_| format!("context.{name} must be a whole number"));
        match name {
            "purpose" => self.purpose = value.to_owned(),
            "case_number" => self.case_number = value.to_owned(),
            "reason" => self.reason = value.to_owned(),
            "subject_type" => self.subject_type = value.to_owned(),
            "minimum_datasets" => self.minimum_datasets = whole()?,
            "top" => self.top = whole()?,
            "time" => {
                self.at_ms = schema::parse_time_ms(value)
                    .ok_or("context.time must be a time with its offset, such as 2026-11-02T14:00:00Z")?;
            }
            _ => return Err(format!("context.{name} cannot be given")),
        }
        Ok(())
    }
}

/// Zero is a number that was not given.
fn number(number: u32) -> String {
    if number == 0 { String::new() } else { number.to_string() }
}

/// No text for a time that was not given; none for one that has no calendar date.
fn time(at_ms: i64) -> Option<String> {
    if at_ms == 0 {
        return Some(String::new());
    }
    let time = DateTime::from_timestamp_millis(at_ms)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}
