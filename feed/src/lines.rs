//! Lines of bounded length: a longer one is skipped to its end and never held. A byte order mark at the beginning
//! belongs to no line.

use std::io::{self, BufRead};

/// The longest line that is read, in bytes, without its end.
pub(crate) const LINE_BYTES_MAX: usize = 64 * 1024;

/// The byte order mark of UTF-8, which some programs write.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// What follows a byte order mark.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}

/// Reads lines one by one into one buffer.
pub(crate) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    number: u64,
}

/// One line.
#[derive(Debug, PartialEq)]
pub(crate) enum Line<'a> {
    /// Its bytes without `\n` or `\r\n`.
    Whole(&'a [u8]),
    /// It was longer than [`LINE_BYTES_MAX`].
    TooLong,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), number: 0 }
    }

    /// The next line with its number from 1; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        self.buffer.clear();
        let (mut begun, mut too_long) = (false, false);
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                break;
            }
            begun = true;
            let end = available.iter().position(|&byte| byte == b'\n');
            let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            // One byte more than the limit is room for the `\r` of `\r\n`.
            too_long |= self.buffer.len() + part.len() > LINE_BYTES_MAX + 1;
            if !too_long {
                self.buffer.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !begun {
            return Ok(None);
        }
        self.number += 1;
        let line = if self.number == 1 { without_mark(&self.buffer) } else { &self.buffer };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = if too_long || line.len() > LINE_BYTES_MAX { Line::TooLong } else { Line::Whole(line) };
        Ok(Some((self.number, line)))
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.buffer.capacity()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor, Read, repeat};

    use super::*;

    #[test]
    fn lines_end_in_either_way_and_the_last_needs_no_end() {
        let mut lines = Lines::new(Cursor::new(b"a\r\n\nbc"));
        assert_eq!(lines.next().unwrap(), Some((1, Line::Whole(b"a"))));
        assert_eq!(lines.next().unwrap(), Some((2, Line::Whole(b""))));
        assert_eq!(lines.next().unwrap(), Some((3, Line::Whole(b"bc"))));
        assert_eq!(lines.next().unwrap(), None);
    }

    #[test]
    fn a_byte_order_mark_belongs_to_no_line() {
        let mut lines = Lines::new(BufReader::with_capacity(2, Cursor::new(b"\xef\xbb\xbfa\n\xef\xbb\xbfb")));
        assert_eq!(lines.next().unwrap(), Some((1, Line::Whole(b"a"))));
        assert_eq!(lines.next().unwrap(), Some((2, Line::Whole(b"\xef\xbb\xbfb"))));
    }

    #[test]
    fn a_line_of_ten_megabytes_costs_no_more_than_the_limit() {
        let long = repeat(b'x').take(10_000_000);
        let input = b"before\n".chain(long).chain(&b"\nafter\n"[..]);
        let mut lines = Lines::new(BufReader::new(input));
        assert_eq!(lines.next().unwrap(), Some((1, Line::Whole(b"before"))));
        assert_eq!(lines.next().unwrap(), Some((2, Line::TooLong)));
        assert_eq!(lines.next().unwrap(), Some((3, Line::Whole(b"after"))));
        assert!(lines.held() <= 2 * (LINE_BYTES_MAX + 1), "{}", lines.held());
    }

    #[test]
    fn the_limit_is_exact() {
        let at_limit = [vec![b'x'; LINE_BYTES_MAX], b"\r\n".to_vec(), vec![b'x'; LINE_BYTES_MAX + 1]].concat();
        let mut lines = Lines::new(Cursor::new(at_limit));
        assert!(matches!(lines.next().unwrap(), Some((1, Line::Whole(line))) if line.len() == LINE_BYTES_MAX));
        assert_eq!(lines.next().unwrap(), Some((2, Line::TooLong)));
    }
}
