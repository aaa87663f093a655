//! One typed comparison of one attribute, compiled from TOML when the policy is loaded.
//!
//! Three-valued: met, not met, or unknown when the request lacks the attribute or has it in another
//! type. Unknown never satisfies anything, `not_one_of` included. All comparing is done here, in
//! Rust; no text from a rule ever reaches the rule language.

use toml::{Table, Value};

use super::request::attribute;
use super::schema::{self, ATTRIBUTES, Fact, Facts, Part, Type};

/// Values in one list, at most.
const VALUES_MAX: usize = 1_000;

/// A comparison of one attribute.
#[derive(Debug)]
pub(super) struct Condition {
    attribute: usize,
    test: Test,
    /// What an asker is told, such as "must be analyst".
    requirement: String,
}

/// What is asked of the attribute.
#[derive(Debug)]
pub(super) enum Test {
    Equals(Fact),
    OneOf(Vec<Fact>),
    NotOneOf(Vec<Fact>),
    AtLeast(i64),
    Below(i64),
    Present,
    SameAs(usize),
}

impl Test {
    /// Whether a value alone satisfies it; none when that takes another attribute.
    pub(super) fn accepts(&self, fact: &Fact) -> Option<bool> {
        match self {
            Test::Equals(wanted) => Some(fact == wanted),
            Test::OneOf(wanted) => Some(wanted.contains(fact)),
            Test::NotOneOf(unwanted) => Some(!unwanted.contains(fact)),
            Test::AtLeast(bound) => order(fact).map(|value| value >= *bound),
            Test::Below(bound) => order(fact).map(|value| value < *bound),
            Test::Present => Some(true),
            Test::SameAs(_) => None,
        }
    }
}

impl Condition {
    /// Reads the conditions on one part of a request; all of them must hold.
    ///
    /// # Errors
    /// A sentence that names the attribute and what is wrong with it.
    pub(super) fn parse_all(part: Part, table: &Table) -> Result<Vec<Condition>, String> {
        let mut conditions = Vec::new();
        for (name, operators) in table {
            let place = format!("{}.{name}", part.as_str());
            let attribute = schema::position(part, name)
                .ok_or_else(|| format!("there is no attribute `{place}`; use one of {}", names(part)))?;
            let operators = operators
                .as_table()
                .filter(|operators| !operators.is_empty())
                .ok_or_else(|| format!("write `{name} = {{ equals = … }}` or another operator for `{place}`"))?;
            for (operator, value) in operators {
                let condition = parse(attribute, operator, value).map_err(|problem| format!("`{place}`: {problem}"))?;
                conditions.push(condition);
            }
        }
        Ok(conditions)
    }

    /// Whether the condition holds; none when that cannot be known.
    pub(super) fn holds(&self, facts: &Facts) -> Option<bool> {
        let fact = facts.get(self.attribute)?;
        match &self.test {
            Test::SameAs(other) => facts.get(*other).map(|other| fact == other),
            test => test.accepts(fact),
        }
    }

    /// Position of the attribute.
    pub(super) fn attribute(&self) -> usize {
        self.attribute
    }

    pub(super) fn test(&self) -> &Test {
        &self.test
    }

    /// Positions of the attributes that the condition reads.
    pub(super) fn reads(&self) -> impl Iterator<Item = usize> {
        let other = if let Test::SameAs(other) = self.test { Some(other) } else { None };
        [Some(self.attribute), other].into_iter().flatten()
    }

    /// Full names of what the condition needs and the request lacks.
    pub(super) fn missing<'a>(&'a self, facts: &'a Facts) -> impl Iterator<Item = String> + 'a {
        self.reads()
            .filter(|position| facts.get(*position).is_none())
            .filter_map(|position| ATTRIBUTES.get(position).map(ToString::to_string))
    }

    /// The attribute and the values one of which it must have, when the condition lists them.
    pub(super) fn wants(&self) -> Option<(usize, &[Fact])> {
        match &self.test {
            Test::Equals(wanted) => Some((self.attribute, std::slice::from_ref(wanted))),
            Test::OneOf(wanted) => Some((self.attribute, wanted)),
            _ => None,
        }
    }

    /// Whether the condition says whom a rule is written for, rather than what they must bring.
    pub(super) fn addresses(&self) -> bool {
        ATTRIBUTES.get(self.attribute).is_some_and(|attribute| {
            matches!(attribute.name, attribute::FEDERATION_ID | attribute::AGENCY | attribute::ROLE)
        })
    }

    /// The same for whoever was refused: whom a rule names is nobody else's business.
    pub(super) fn describe_to_asker(&self) -> String {
        let names_people =
            ATTRIBUTES.get(self.attribute).is_some_and(|attribute| attribute.name == attribute::FEDERATION_ID);
        match &self.test {
            Test::Equals(_) | Test::OneOf(_) | Test::NotOneOf(_) if names_people => {
                format!("subject.{} is none that the rule is for", attribute::FEDERATION_ID)
            }
            _ => self.describe(),
        }
    }

    /// The attribute and what it must be, in words.
    pub(super) fn describe(&self) -> String {
        let name = ATTRIBUTES.get(self.attribute).map(ToString::to_string).unwrap_or_default();
        format!("{name} {}", self.requirement)
    }
}

fn order(fact: &Fact) -> Option<i64> {
    match fact {
        Fact::Ordered(value) => Some(*value),
        Fact::Text(_) | Fact::Flag(_) => None,
    }
}

fn parse(attribute: usize, operator: &str, value: &Value) -> Result<Condition, String> {
    let kind = ATTRIBUTES.get(attribute).map_or(Type::Text, |attribute| attribute.kind);
    let (test, requirement) = match operator {
        "equals" => (Test::Equals(fact(kind, value)?), format!("must be {}", words(value))),
        "one_of" => (Test::OneOf(facts(kind, value)?), format!("must be one of {}", words(value))),
        "not_one_of" => (Test::NotOneOf(facts(kind, value)?), format!("must be given and none of {}", words(value))),
        "at_least" => (Test::AtLeast(bound(kind, value)?), format!("must be at least {}", words(value))),
        "below" => (Test::Below(bound(kind, value)?), format!("must be below {}", words(value))),
        "present" if *value == Value::Boolean(true) => (Test::Present, "must be given".to_owned()),
        "present" => return Err("only `present = true` can be asked for".to_owned()),
        "same_as" => (Test::SameAs(other(kind, value)?), format!("must be the same as {}", words(value))),
        _ => {
            return Err(format!(
                "there is no operator `{operator}`; use equals, one_of, not_one_of, at_least, below, present or same_as"
            ));
        }
    };
    Ok(Condition { attribute, test, requirement })
}

/// A value of a rule in its attribute's type.
pub(super) fn fact(kind: Type, value: &Value) -> Result<Fact, String> {
    match (kind, value) {
        (Type::Text, Value::String(text)) if !text.is_empty() => Ok(Fact::Text(text.clone())),
        (Type::Flag, Value::Boolean(flag)) => Ok(Fact::Flag(*flag)),
        (Type::Level(levels), Value::String(text)) => levels
            .iter()
            .position(|level| level == text)
            .and_then(|rank| i64::try_from(rank).ok())
            .map(Fact::Ordered)
            .ok_or_else(|| format!("`{text}` is no level; use one of {}", levels.join(", "))),
        (Type::Number, Value::Integer(number)) => Ok(Fact::Ordered(*number)),
        (Type::Time, Value::Datetime(time)) => schema::parse_time_ms(&time.to_string())
            .map(Fact::Ordered)
            .ok_or_else(|| "write a date and a time with its offset, such as 2027-01-01T00:00:00Z".to_owned()),
        (Type::Text, _) => Err("compare it with a text in quotes that is not empty".to_owned()),
        (Type::Flag, _) => Err("compare it with true or false, without quotes".to_owned()),
        (Type::Level(levels), _) => Err(format!("compare it with one of {}", levels.join(", "))),
        (Type::Number, _) => Err("compare it with a whole number, without quotes".to_owned()),
        (Type::Time, _) => Err("compare it with a time such as 2027-01-01T00:00:00Z, without quotes".to_owned()),
    }
}

fn facts(kind: Type, value: &Value) -> Result<Vec<Fact>, String> {
    let values = value.as_array().ok_or("write a list in square brackets")?;
    if values.is_empty() || values.len() > VALUES_MAX {
        return Err(format!("a list needs 1 to {VALUES_MAX} values"));
    }
    values.iter().map(|value| fact(kind, value)).collect()
}

fn bound(kind: Type, value: &Value) -> Result<i64, String> {
    order(&fact(kind, value)?).ok_or_else(|| "only levels, numbers and times have an order".to_owned())
}

fn other(kind: Type, value: &Value) -> Result<usize, String> {
    let position = value
        .as_str()
        .and_then(schema::position_of)
        .ok_or("name another attribute with its part, such as \"resource.owner\"")?;
    if ATTRIBUTES.get(position).map(|attribute| attribute.kind) != Some(kind) {
        return Err("it can only be compared with an attribute of the same type".to_owned());
    }
    Ok(position)
}

fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn names(part: Part) -> String {
    let names: Vec<_> = ATTRIBUTES.iter().filter(|a| a.part == part).map(|a| a.name).collect();
    names.join(", ")
}
