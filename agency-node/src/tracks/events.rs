//! What tracks have shown, as a file that the node's own questions and those of others can ask about.
//!
//! An event has one row, which follows it: device, corridor, kind and beginning name it. One that turned out not
//! to have been has none.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, SecondsFormat};
use sallyport_track::{Kind, TrackEvent};

use super::TrackSettings;
use crate::{
    dataset::{Attribute, AttributeType, Coverage, Dataset, Identifier, Time},
    identifier::IdentifierType,
};

/// Events that are kept, at most; the oldest go first.
const EVENTS_MAX: usize = 200_000;
const HEAD: [&str; 9] = ["device", "at", "ended", "corridor", "kind", "away_m", "outside_s", "lasted_s", "strength"];
const KINDS: [Kind; 6] = [Kind::Excursion, Kind::Dwell, Kind::Dark, Kind::Overdue, Kind::Seal, Kind::Arrived];

/// Beginning, device, corridor, kind.
type Name = (i64, String, String, &'static str);
/// The rest of the row.
type Rest = [String; 5];

/// All events, oldest first.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Events(BTreeMap<Name, Rest>);

impl Events {
    /// Reads what [`Events::written`] gave.
    pub(super) fn open(file: &Path) -> io::Result<Self> {
        let text = match fs::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let mut rows = BTreeMap::new();
        for record in csv::Reader::from_reader(text.as_slice()).into_records() {
            let record = record.map_err(io::Error::other)?;
            let row = read(&record).ok_or_else(|| crate::disk::damaged(&file.display().to_string()))?;
            rows.insert(row.0, row.1);
        }
        Ok(Self(rows))
    }

    /// Takes in what is newly known of an event; true when that changes a row.
    pub(super) fn take(&mut self, event: TrackEvent) -> bool {
        let was_not = event.is_withdrawn();
        let name = (event.began_ms, event.device, event.corridor.name, event.kind.name());
        if was_not {
            return self.0.remove(&name).is_some();
        }
        let rest = [
            event.ended_ms.map(moment).unwrap_or_default(),
            format!("{:.0}", event.away_m),
            format!("{:.0}", event.outside_s),
            format!("{:.0}", event.lasted_s),
            format!("{:.3}", event.strength),
        ];
        let before = self.0.insert(name, rest.clone());
        while self.0.len() > EVENTS_MAX {
            self.0.pop_first();
        }
        before.as_ref() != Some(&rest)
    }

    /// Forgets events that began before a moment; true when there were any.
    pub(super) fn forget_before(&mut self, began_ms: i64) -> bool {
        let kept = self.0.split_off(&(began_ms, String::new(), String::new(), ""));
        let forgotten = std::mem::replace(&mut self.0, kept);
        !forgotten.is_empty()
    }

    /// The whole file.
    pub(super) fn written(&self) -> io::Result<Vec<u8>> {
        let mut out = csv::Writer::from_writer(Vec::new());
        out.write_record(HEAD)?;
        for ((began_ms, device, corridor, kind), [ended, away_m, outside_s, lasted_s, strength]) in &self.0 {
            let at = moment(*began_ms);
            out.write_record([
                device,
                &at,
                ended,
                corridor,
                &(*kind).to_owned(),
                away_m,
                outside_s,
                lasted_s,
                strength,
            ])?;
        }
        out.into_inner().map_err(|error| io::Error::other(error.to_string()))
    }
}

fn read(record: &csv::StringRecord) -> Option<(Name, Rest)> {
    let text = |place: usize| record.get(place).map(str::to_owned);
    let began_ms = DateTime::parse_from_rfc3339(record.get(1)?).ok()?.timestamp_millis();
    let kind = KINDS.into_iter().map(Kind::name).find(|name| Some(*name) == record.get(4))?;
    Some(((began_ms, text(0)?, text(3)?, kind), [text(2)?, text(5)?, text(6)?, text(7)?, text(8)?]))
}

fn moment(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The data set in `file`.
pub(super) fn dataset(agency: &str, settings: &TrackSettings, file: PathBuf) -> Dataset {
    let attribute = |(name, kind): (&str, AttributeType)| Attribute {
        name: name.to_owned(),
        column: name.to_owned(),
        kind,
        title: String::new(),
    };
    let attributes = [
        ("corridor", AttributeType::Text),
        ("kind", AttributeType::Text),
        ("away_m", AttributeType::Decimal),
        ("outside_s", AttributeType::Decimal),
        ("lasted_s", AttributeType::Decimal),
        ("strength", AttributeType::Decimal),
    ];
    Dataset {
        name: format!("{agency}.track_events"),
        title: "What tracks show on their corridors: excursions, dwell, darkness, overdue arrival, seals".to_owned(),
        files: vec![file],
        live: true,
        feed: None,
        news_to: settings.news_to.clone(),
        sensitivity: settings.sensitivity,
        retention_days: settings.retention_days,
        time: Some(Time { column: "at".to_owned(), format: None }),
        identifier: vec![Identifier {
            name: "device".to_owned(),
            column: "device".to_owned(),
            kind: IdentifierType::Device,
            country: None,
            state_column: None,
            of_subject: None,
        }],
        person: None,
        place: None,
        attribute: attributes.into_iter().map(attribute).collect(),
        counts: None,
        label: None,
        coverage: Coverage {
            gaps: vec!["devices that have not joined a corridor are not measured".to_owned()],
            unrecorded: Vec::new(),
        },
    }
}
