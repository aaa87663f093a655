//! Formats of positions, read as a stream: no file is ever held whole.
//!
//! | format | what is read | device |
//! |---|---|---|
//! | [`Format::Csv`] | a header line, then a line for each position; `,` `;` or tab. A line break ends a record even within quotes | a column |
//! | [`Format::JsonLines`] | an object on each line, or an array of objects | a member |
//! | [`Format::GeoJson`] | RFC 7946 features: `Point` with properties, `LineString` with `coordTimes` | a property, else the feature's `id` |
//! | [`Format::Gpx`] | GPX 1.1 track points | the name of the track |
//! | [`Format::OwnTracks`] | OwnTracks messages of `_type` `location` | `USER:DEVICE` of the topic, else `tid` |
//! | [`Format::Project44`] | project44 truckload status updates | an equipment identifier |
//!
//! How columns, members and properties may be spelt is said in `fields.rs`. Where a record names no device, the
//! one named to the [`Reader`] is meant. A moment without a zone is UTC. Nothing is judged here but
//! whether a record can be read; see [`crate::plausibility`].

mod csv;
mod detect;
mod elements;
mod fields;
mod geojson;
mod gpx;
mod json;
mod markup;
mod moment;
mod owntracks;
mod project44;

use std::{
    borrow::Cow,
    collections::VecDeque,
    io::{self, BufRead},
};

use crate::{
    lines::{Line, Lines},
    position::Position,
    reason::Reason,
};

use elements::{Element, Elements};

/// How positions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, with a header.
    Csv,
    /// JSON objects, one a line.
    JsonLines,
    /// GeoJSON, RFC 7946.
    GeoJson,
    /// GPX 1.1, <https://www.topografix.com/GPX/1/1/>.
    Gpx,
    /// OwnTracks JSON, <https://owntracks.org/booklet/tech/json/>.
    OwnTracks,
    /// project44 status updates,
    /// <https://developers.project44.com/guides/carriers/visibility/ftl/send-tracking-updates>.
    Project44,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 6] =
        [Format::Csv, Format::JsonLines, Format::GeoJson, Format::Gpx, Format::OwnTracks, Format::Project44];

    /// The word by which it is chosen.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::JsonLines => "jsonl",
            Format::GeoJson => "geojson",
            Format::Gpx => "gpx",
            Format::OwnTracks => "owntracks",
            Format::Project44 => "project44",
        }
    }

    /// The format behind a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }

    /// The format of a file by its first bytes, and by its name where they leave it open.
    pub fn detect(name: &str, first: &[u8]) -> Self {
        detect::detect(name, first)
    }
}

/// One record of a file or stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// From 1: the line, or where a format has none, the track point or the feature.
    pub number: u64,
    /// What it says.
    pub reading: Reading,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// A position, judged by nobody yet.
    Position(Position),
    /// Nothing that can be sent.
    Refused {
        /// [`Reason::Unreadable`] or [`Reason::LineTooLong`].
        reason: Reason,
        /// What is wrong, in a few words for a person.
        why: Cow<'static, str>,
    },
    /// A record that rightly holds no position, such as a device's farewell or a polygon.
    Other,
}

impl Reading {
    fn unreadable(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused { reason: Reason::Unreadable, why: why.into() }
    }

    fn too_long() -> Self {
        Self::Refused { reason: Reason::LineTooLong, why: "longer than the limit; skipped unread".into() }
    }

    fn of(read: Result<Position, &'static str>) -> Self {
        read.map_or_else(Self::unreadable, Self::Position)
    }
}

/// Why the rest of a file cannot be read.
#[derive(Debug)]
pub enum ReadError {
    /// The input failed.
    Input(io::Error),
    /// The header of a CSV file lacks a column; without it no line can be read.
    Header {
        /// What is missing, with its usual spellings.
        missing: &'static str,
    },
    /// The input is compressed.
    Compressed,
    /// The input is in UTF-16.
    Utf16,
    /// The header of a CSV file names one column twice; which of them is meant is not known.
    Repeated {
        /// Its name.
        column: String,
    },
}

impl ReadError {
    /// Stable reason in `snake_case`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Compressed => "feed_compressed",
            Self::Utf16 => "feed_utf16",
            Self::Input(_) | Self::Header { .. } | Self::Repeated { .. } => "feed_unreadable",
        }
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Input(error)
    }
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Input(error) => write!(f, "the input cannot be read ({error})"),
            Self::Header { missing } => write!(f, "the first line names no column for {missing}"),
            Self::Compressed => f.write_str("the input is compressed; unpack it first"),
            Self::Utf16 => f.write_str("the input is UTF-16; save it as UTF-8"),
            Self::Repeated { column } => {
                write!(f, "the first line names the column `{column}` twice; leave the one that is meant")
            }
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads records one after the other.
pub struct Reader<R> {
    source: Source<R>,
    device: Option<String>,
    waiting: VecDeque<Record>,
}

enum Source<R> {
    Csv(csv::Table<R>),
    Lines(Lines<R>, json::Shape),
    Elements(Elements<R>, json::Shape),
    Gpx(gpx::Track<R>),
}

impl<R: BufRead> Reader<R> {
    /// Reads `input` as `format`; `device` is meant where a record names none.
    ///
    /// # Errors
    /// When the input fails at its beginning, or is no text that can be read.
    pub fn new(mut input: R, format: Format, device: Option<String>) -> Result<Self, ReadError> {
        detect::text(input.fill_buf()?)?;
        let shape = match format {
            Format::JsonLines => json::flat,
            Format::GeoJson => geojson::feature,
            Format::OwnTracks => owntracks::message,
            Format::Project44 => project44::update,
            Format::Csv => return Ok(Self::of(Source::Csv(csv::Table::new(input)), device)),
            Format::Gpx => return Ok(Self::of(Source::Gpx(gpx::Track::new(input)), device)),
        };
        let by_line = format != Format::GeoJson && detect::one_a_line(input.fill_buf()?);
        let source = match by_line {
            true => Source::Lines(Lines::new(input), shape),
            false => Source::Elements(Elements::new(input), shape),
        };
        Ok(Self::of(source, device))
    }

    fn of(source: Source<R>, device: Option<String>) -> Self {
        Self { source, device, waiting: VecDeque::new() }
    }

    fn read(&mut self) -> Result<Option<Record>, ReadError> {
        let device = self.device.as_deref();
        loop {
            if let Some(record) = self.waiting.pop_front() {
                return Ok(Some(record));
            }
            let (number, bytes, shape) = match &mut self.source {
                Source::Csv(table) => return table.next(device),
                Source::Gpx(track) => return Ok(track.next(device)?),
                Source::Lines(lines, shape) => match lines.next()? {
                    None => return Ok(None),
                    Some((_, Line::Whole(line))) if line.trim_ascii().is_empty() => continue,
                    Some((number, Line::Whole(line))) => (number, line, *shape),
                    Some((number, Line::TooLong)) => return Ok(Some(Record { number, reading: Reading::too_long() })),
                },
                Source::Elements(elements, shape) => match elements.next()? {
                    None => return Ok(None),
                    Some((number, Element::Whole(element))) => (number, element, *shape),
                    Some((number, Element::TooLong)) => {
                        return Ok(Some(Record { number, reading: Reading::too_long() }));
                    }
                },
            };
            let waiting = &mut self.waiting;
            shape(bytes, device, &mut |reading| waiting.push_back(Record { number, reading }));
        }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests;
