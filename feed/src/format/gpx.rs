//! Track points of GPX 1.1, <https://www.topografix.com/GPX/1/1/>.
//!
//! A point is numbered among all of its file. Its device is the name of its track. Of a point its own `time` is
//! read, and `speed` in metres per second and `course` in degrees, where a program put them: as its own (GPX 1.0),
//! or else within its extensions. What else stands deeper, such as the name or the time of a sensor, is nobody's
//! business. Way points and routes are places somebody thought of, not positions.

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
    /// Elements that are open within the track, outside of its points.
    depth: u32,
    point: Option<Point>,
    /// What the next text says.
    expected: Expected,
}

struct Point {
    draft: Draft,
    refused: Option<Reading>,
    /// Elements that are open within it: what is unended elsewhere does not count.
    depth: u32,
}

#[derive(Clone, Copy)]
enum Expected {
    Nothing,
    Name,
    Value(Field),
}

impl<R: BufRead> Track<R> {
    pub(super) fn new(input: R) -> Self {
        Self { markup: Markup::new(input), number: 0, name: None, depth: 0, point: None, expected: Expected::Nothing }
    }

    pub(super) fn next(&mut self, device: Option<&str>) -> io::Result<Option<Record>> {
        while let Some(token) = self.markup.next()? {
            let Self { name, depth, point, expected, .. } = self;
            let state = State { name, depth, point, expected };
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
    depth: &'a mut u32,
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
            return self.end(local(name.trim_end()), device);
        }
        let (content, is_empty) = text.strip_suffix('/').map_or((&*text, false), |content| (content, true));
        let name = content.split_ascii_whitespace().next().unwrap_or_default();
        match local(name) {
            "trk" => (*self.name, *self.depth) = (None, 0),
            "trkpt" => {
                let before = self.point.replace(Point::of_tag(content, name.len()));
                if is_empty {
                    return self.end("trkpt", device);
                }
                return before.map(|_| Reading::unreadable("the track point is not ended"));
            }
            inner => {
                *self.expected = match self.point {
                    Some(point) => point.expected(inner),
                    None if inner == "name" && *self.depth == 0 => Expected::Name,
                    None => Expected::Nothing,
                };
                let depth = self.point.as_mut().map_or(self.depth, |point| &mut point.depth);
                *depth = depth.saturating_add(u32::from(!is_empty));
            }
        }
        None
    }

    /// An element ends.
    fn end(self, name: &str, device: Option<&str>) -> Option<Reading> {
        match name {
            "trkpt" => return self.point.take().map(|point| point.finish(self.name.as_deref().or(device))),
            "trk" => *self.name = None,
            _ => {
                let depth = self.point.as_mut().map_or(self.depth, |point| &mut point.depth);
                *depth = depth.saturating_sub(1);
            }
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
        let mut point = Self { draft: Draft::default(), refused: None, depth: 0 };
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

    /// What the text of an element within the point says.
    fn expected(&self, name: &str) -> Expected {
        let field = match name {
            "time" => Field::Time,
            "speed" => Field::Speed(Unit::MetresPerSecond),
            "course" => Field::Heading,
            _ => return Expected::Nothing,
        };
        let is_own = self.depth == 0;
        let is_read = is_own || field != Field::Time && !self.draft.has_movement(field);
        if is_read { Expected::Value(field) } else { Expected::Nothing }
    }

    fn finish(self, device: Option<&str>) -> Reading {
        self.refused.unwrap_or_else(|| Reading::of(self.draft.finish(device)))
    }
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}
