//! OwnTracks messages, as its applications publish them: <https://owntracks.org/booklet/tech/json/>.
//!
//! `lat` and `lon` in degrees, `tst` in seconds since 1970, `acc` in metres, `vel` in kilometres per hour,
//! `cog` in degrees. A negative `vel` or `cog` is how a device says that it does not know.

use serde::Deserialize;

use super::{Reading, fields::Draft, moment};
use crate::position::Position;

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "_type")]
    kind: String,
    topic: Option<String>,
    tid: Option<String>,
    tst: Option<f64>,
    lat: Option<f64>,
    lon: Option<f64>,
    acc: Option<f64>,
    vel: Option<f64>,
    cog: Option<f64>,
}

/// One message; other kinds than `location` hold no position.
pub(super) fn message(record: &[u8], device: Option<&str>, give: &mut dyn FnMut(Reading)) {
    give(match serde_json::from_slice::<Message>(record) {
        Ok(message) if message.kind == "location" => Reading::of(message.position(device)),
        Ok(_) => Reading::Other,
        Err(_) => Reading::unreadable("no OwnTracks message"),
    });
}

impl Message {
    fn position(self, device: Option<&str>) -> Result<Position, &'static str> {
        let named = self.topic.as_deref().and_then(of_topic).or(self.tid);
        let mut draft = Draft::default();
        draft.place(self.lat.ok_or("no latitude")?, self.lon.ok_or("no longitude")?);
        draft.at(self.tst.ok_or("no time").and_then(|seconds| {
            // Seconds by definition, however large.
            moment::milliseconds_of(seconds * 1000.0).ok_or("the time is no moment")
        })?);
        let known = |value: Option<f64>| value.filter(|value| *value >= 0.0);
        draft.movement(known(self.vel).map(|speed| speed / 3.6), known(self.cog), self.acc);
        draft.finish(named.as_deref().or(device))
    }
}

/// `owntracks/USER/DEVICE` names a device among all users.
fn of_topic(topic: &str) -> Option<String> {
    let mut parts = topic.rsplit('/');
    let (device, user) = (parts.next()?, parts.next()?);
    Some(format!("{user}:{device}"))
}
