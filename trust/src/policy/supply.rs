//! The attribute schema of a party: what requests that reach it can carry, and where that comes from.
//!
//! It decides nothing. It tells a review which conditions wait for something that nobody supplies.
//! Without a `schema.toml` every attribute is taken as supplied, with any value.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use toml::Value;

use super::PolicyError;
use super::condition::fact;
use super::schema::{self, ATTRIBUTES, Fact, Part};

/// Where an attribute of a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppliedBy {
    /// The certificate of the person or process.
    Certificate,
    /// What agencies vouch for of their people.
    People,
    /// The configuration of the party, such as its descriptions of data sets.
    Configuration,
    /// The question that is put.
    Question,
    /// The clock.
    Clock,
}

/// What is known of one attribute.
#[derive(Debug)]
pub(super) struct Supplied {
    pub(super) from: SuppliedBy,
    /// All values that occur; none when there is no such list.
    pub(super) values: Option<BTreeSet<Fact>>,
}

/// A parsed schema, by position in [`ATTRIBUTES`].
#[derive(Debug)]
pub(super) struct Supply(BTreeMap<usize, Supplied>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct SupplyFile {
    subject: BTreeMap<String, WrittenSupplied>,
    resource: BTreeMap<String, WrittenSupplied>,
    context: BTreeMap<String, WrittenSupplied>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSupplied {
    from: SuppliedBy,
    values: Option<Vec<Value>>,
}

impl Supply {
    /// Reads a schema file.
    ///
    /// # Errors
    /// [`PolicyError::Schema`] or [`PolicyError::Unparsable`], with the attribute and what to change.
    pub(super) fn parse(text: &str) -> Result<Self, PolicyError> {
        let file: SupplyFile = toml::from_str(text)
            .map_err(|error| PolicyError::Unparsable { file: "schema.toml", problem: error.to_string() })?;
        let mut supply = BTreeMap::new();
        for (part, attributes) in
            [(Part::Subject, file.subject), (Part::Resource, file.resource), (Part::Context, file.context)]
        {
            for (name, written) in attributes {
                let failed =
                    |problem: String| PolicyError::Schema { problem: format!("{}.{name}: {problem}", part.as_str()) };
                let position =
                    schema::position(part, &name).ok_or_else(|| failed("there is no such attribute".to_owned()))?;
                let values = written.values.map(|values| typed(position, &values)).transpose().map_err(failed)?;
                supply.insert(position, Supplied { from: written.from, values });
            }
        }
        Ok(Self(supply))
    }

    pub(super) fn of(&self, position: usize) -> Option<&Supplied> {
        self.0.get(&position)
    }
}

fn typed(position: usize, values: &[Value]) -> Result<BTreeSet<Fact>, String> {
    let kind = ATTRIBUTES.get(position).map(|attribute| attribute.kind).ok_or("there is no such attribute")?;
    if values.is_empty() {
        return Err("a list of values has at least one; leave it out to mean any".to_owned());
    }
    values.iter().map(|value| fact(kind, value)).collect()
}
