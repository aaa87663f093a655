//! JSON objects whose members are the fields of a position.

use serde_json::{Map, Value};

use super::{
    Reading,
    fields::{Draft, Field},
};

/// How the bytes of one record become readings.
pub(super) type Shape = fn(&[u8], device: Option<&str>, give: &mut dyn FnMut(Reading));

/// A flat object.
pub(super) fn flat(record: &[u8], device: Option<&str>, give: &mut dyn FnMut(Reading)) {
    give(match serde_json::from_slice::<Map<String, Value>>(record) {
        Ok(members) => Reading::of(draft(&members).finish(device)),
        Err(_) => Reading::unreadable("no JSON object"),
    });
}

/// What the members of an object say of a position; members of other names are nobody's business.
pub(super) fn draft(members: &Map<String, Value>) -> Draft {
    let mut draft = Draft::default();
    for (name, value) in members {
        let Some(field) = Field::named(name) else { continue };
        match value {
            Value::String(text) => draft.set(field, text),
            Value::Number(number) => draft.set(field, &number.to_string()),
            Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => {}
        }
    }
    draft
}
