//! Which format a file is in: by its first bytes, then by its name.

use super::{Format, ReadError};
use crate::lines::without_mark;

/// What the first bytes of gzip are (RFC 1952), and of UTF-16 in either order of its bytes.
const GZIP: &[u8] = b"\x1f\x8b";
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// That an input does not begin as what is no text of any format.
pub(super) fn text(first: &[u8]) -> Result<(), ReadError> {
    if first.starts_with(GZIP) {
        return Err(ReadError::Compressed);
    }
    if UTF_16.iter().any(|mark| first.starts_with(mark)) {
        return Err(ReadError::Utf16);
    }
    Ok(())
}

pub(super) fn detect(name: &str, first: &[u8]) -> Format {
    let named = |ending: &str| name.len() > ending.len() && name.to_ascii_lowercase().ends_with(ending);
    let holds = |word: &str| first.windows(word.len()).any(|window| window == word.as_bytes());
    let start = without_mark(first).trim_ascii_start().first();
    match start {
        Some(b'<') => Format::Gpx,
        Some(b'{' | b'[' | 0x1e) => {
            if named(".geojson") || holds("\"FeatureCollection\"") || holds("\"Feature\"") {
                Format::GeoJson
            } else if holds("\"_type\"") {
                Format::OwnTracks
            } else if holds("\"utcTimestamp\"") {
                Format::Project44
            } else {
                Format::JsonLines
            }
        }
        _ if named(".gpx") => Format::Gpx,
        _ if named(".geojson") => Format::GeoJson,
        _ if named(".jsonl") || named(".ndjson") || named(".json") => Format::JsonLines,
        _ => Format::Csv,
    }
}

/// Whether JSON values stand one a line: they do not where the text begins with an array, or with an
/// object that is spread over lines.
pub(super) fn one_a_line(first: &[u8]) -> bool {
    let text = without_mark(first).trim_ascii_start();
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii();
    !(line.first() == Some(&b'[') || line == b"{")
}
