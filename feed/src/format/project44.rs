//! project44 status updates of a truckload, as carriers send them:
//! <https://developers.project44.com/guides/carriers/visibility/ftl/send-tracking-updates> and, for all
//! members, <https://developers.eu.project44.com/api-reference/p44-api-reference/operation/postStatusUpdate/>.
//!
//! `latitude` and `longitude` in degrees; `utcTimestamp` as in RFC 3339, often without the zone. An update
//! may tell of an event or a temperature without a place: it then holds no position. The device is an
//! `equipmentIdentifiers` entry, a vehicle's number before its plate before others. A telephone number is a
//! person's, and a shipment is no device, so neither is ever taken for one.

use serde::Deserialize;

use super::{
    Reading,
    fields::{Draft, Field},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    latitude: Option<f64>,
    longitude: Option<f64>,
    utc_timestamp: Option<String>,
    equipment_identifiers: Option<Vec<Identifier>>,
}

#[derive(Deserialize)]
struct Identifier {
    #[serde(rename = "type")]
    kind: Option<String>,
    value: Option<String>,
}

/// One update.
pub(super) fn update(record: &[u8], device: Option<&str>, give: &mut dyn FnMut(Reading)) {
    give(match serde_json::from_slice::<Update>(record) {
        Ok(Update { latitude: None, longitude: None, .. }) => Reading::Other,
        Ok(update) => Reading::of(update.draft().and_then(|draft| draft.finish(update.device().or(device)))),
        Err(_) => Reading::unreadable("no project44 status update"),
    });
}

impl Update {
    fn draft(&self) -> Result<Draft, &'static str> {
        let mut draft = Draft::default();
        draft.place(self.latitude.ok_or("no latitude")?, self.longitude.ok_or("no longitude")?);
        draft.set((Field::Time, 0), self.utc_timestamp.as_deref().unwrap_or_default());
        Ok(draft)
    }

    fn device(&self) -> Option<&str> {
        let rank = |identifier: &&Identifier| match identifier.kind.as_deref().unwrap_or_default() {
            "VEHICLE_ID" => Some(0),
            "LICENSE_PLATE" => Some(1),
            kind if kind.contains("PHONE") => None,
            _ => Some(2),
        };
        let equipment = self.equipment_identifiers.iter().flatten().filter(|identifier| rank(identifier).is_some());
        equipment.min_by_key(rank)?.value.as_deref()
    }
}
