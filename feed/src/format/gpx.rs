//! Track points of GPX 1.1, <https://www.topografix.com/GPX/1/1/>.
//!
//! A point is numbered among all of its file. Its device is the name of its track. Within a point `time` is
//! read, and `speed` in metres per second and `course` in degrees, where a program put them (GPX 1.0 and the
//! usual extensions). Way points and routes are places somebody thought of, not positions.

use std::{
    borrow::Cow,
    io::{self, BufRead},
};

use quick_xml::{XmlVersion, events::BytesStart};

use super::{
    Reading, Record,
    fields::{Draft, Field, Unit},
    markup::{Markup, Token},
};

pub(super) struct Track<R> {
    markup: Markup<R>,
    number: u64,
    /// The name of the track that is being read.
    name: Option<String>,
    point: Option<Point>,
    /// What the next text says.
    expected: Expected,
}

struct Point {
    draft: Draft,
    refused: Option<Reading>,
}

#[derive(Clone, Copy)]
enum Expected {
    Nothing,
    Name,
    Value(Field),
}

impl<R: BufRead> Track<R> {
    pub(super) fn new(input: R) -> Self {
        Self { markup: Markup::new(input), number: 0, name: None, point: None, expected: Expected::Nothing }
    }

    pub(super) fn next(&mut self, device: Option<&str>) -> io::Result<Option<Record>> {
        while let Some(token) = self.markup.next()? {
            let state = State { name: &mut self.name, point: &mut self.point, expected: &mut self.expected };
            if let Some(reading) = state.take(token, device) {
                self.number += 1;
                return Ok(Some(Record { number: self.number, reading }));
            }
        }
        let cut_off = self.point.take().map(|_| Reading::unreadable("the track point is cut off"));
        Ok(cut_off.map(|reading| Record { number: self.number + 1, reading }))
    }
}

/// The state beside the token that was just read.
struct State<'a> {
    name: &'a mut Option<String>,
    point: &'a mut Option<Point>,
    expected: &'a mut Expected,
}

impl State<'_> {
    fn take(self, token: Token<'_>, device: Option<&str>) -> Option<Reading> {
        match token {
            Token::Tag(tag) => self.tag(tag, device),
            Token::Text(text) => {
                let text = std::str::from_utf8(text).ok().and_then(|text| quick_xml::escape::unescape(text).ok());
                self.text(text)
            }
            Token::Literal(text) => self.text(std::str::from_utf8(text).ok().map(Cow::Borrowed)),
            Token::TagTooLong => match self.point {
                Some(point) => {
                    point.refused = Some(Reading::too_long());
                    None
                }
                None => Some(Reading::too_long()),
            },
            Token::TextTooLong => {
                if let (Expected::Value(_), Some(point)) = (*self.expected, self.point) {
                    point.refused = Some(Reading::too_long());
                }
                None
            }
        }
    }

    fn tag(self, tag: &[u8], device: Option<&str>) -> Option<Reading> {
        *self.expected = Expected::Nothing;
        let text = String::from_utf8_lossy(tag);
        if let Some(name) = text.strip_prefix('/') {
            return match local(name.trim_end()) {
                "trkpt" => self.point.take().map(|point| point.finish(self.name.as_deref().or(device))),
                "trk" => {
                    *self.name = None;
                    None
                }
                _ => None,
            };
        }
        let (content, empty) = text.strip_suffix('/').map_or((&*text, false), |content| (content, true));
        let name = content.split_ascii_whitespace().next().unwrap_or_default();
        match local(name) {
            "trk" => *self.name = None,
            "name" if self.point.is_none() => *self.expected = Expected::Name,
            "time" => *self.expected = Expected::Value(Field::Time),
            "speed" => *self.expected = Expected::Value(Field::Speed(Unit::MetresPerSecond)),
            "course" => *self.expected = Expected::Value(Field::Heading),
            "trkpt" => {
                let before = self.point.replace(Point::of_tag(content, name.len()));
                if empty {
                    return self.point.take().map(|point| point.finish(self.name.as_deref().or(device)));
                }
                return before.map(|_| Reading::unreadable("the track point is not ended"));
            }
            _ => {}
        }
        None
    }

    fn text(self, text: Option<Cow<'_, str>>) -> Option<Reading> {
        match (*self.expected, self.point) {
            (Expected::Name, _) => {
                *self.name = text.map(|text| text.trim().to_owned()).filter(|name| !name.is_empty());
            }
            (Expected::Value(field), Some(point)) => match text {
                Some(text) => point.draft.set((field, 0), &text),
                None => point.refused = Some(Reading::unreadable("the text is no UTF-8, or holds an unknown entity")),
            },
            _ => {}
        }
        None
    }
}

impl Point {
    fn of_tag(content: &str, name_len: usize) -> Self {
        let mut point = Self { draft: Draft::default(), refused: None };
        for attribute in BytesStart::from_content(content, name_len).attributes() {
            let value = attribute.as_ref().ok().and_then(|one| one.normalized_value(XmlVersion::Explicit1_0).ok());
            let field = match attribute.as_ref().map(|one| one.key.as_ref()) {
                Ok(b"lat") => Field::Latitude,
                Ok(b"lon") => Field::Longitude,
                Ok(_) => continue,
                Err(_) => {
                    point.refused = Some(Reading::unreadable("the track point's attributes are malformed"));
                    break;
                }
            };
            point.draft.set((field, 0), value.as_deref().unwrap_or("?"));
        }
        point
    }

    fn finish(self, device: Option<&str>) -> Reading {
        self.refused.unwrap_or_else(|| Reading::of(self.draft.finish(device)))
    }
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}
