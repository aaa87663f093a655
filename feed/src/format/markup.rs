//! XML taken apart into its tags and texts, in bounded memory.
//!
//! Only as much of XML as positions need: comments, declarations and processing instructions are passed
//! over, entities are never defined, nothing is fetched. What is malformed spoils its own tag alone.

use std::io::{self, BufRead};

/// The longest tag or text that is held, in bytes.
pub(super) const MARKUP_BYTES_MAX: usize = 16 * 1024;

pub(super) struct Markup<R> {
    input: R,
    held: Vec<u8>,
    too_long: bool,
    within: Within,
}

/// A tag or a text.
#[derive(Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// What stands between `<` and `>`.
    Tag(&'a [u8]),
    /// Characters, with their entities as they came.
    Text(&'a [u8]),
    /// Characters of a CDATA section, which are as they are.
    Literal(&'a [u8]),
    /// A tag longer than [`MARKUP_BYTES_MAX`].
    TagTooLong,
    /// A text longer than [`MARKUP_BYTES_MAX`].
    TextTooLong,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Within {
    Text,
    /// In a tag, and in which quotes.
    Tag(Option<u8>),
    Comment,
    Literal,
    /// `<!DOCTYPE …>` or `<?…?>`.
    Declaration,
}

impl<R: BufRead> Markup<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, held: Vec::new(), too_long: false, within: Within::Text }
    }

    /// The next tag or text that is not empty; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Token<'_>>> {
        self.held.clear();
        self.too_long = false;
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                break;
            }
            let mut used = 0;
            let mut ended = None;
            for &byte in available {
                used += 1;
                ended = step(&mut self.within, &mut self.held, &mut self.too_long, byte);
                if ended.is_some() {
                    break;
                }
            }
            self.input.consume(used);
            if let Some(ended) = ended {
                return Ok(Some(self.token(ended)));
            }
        }
        let rest = std::mem::replace(&mut self.within, Within::Text);
        Ok((!self.held.is_empty() || self.too_long).then(|| self.token(rest)))
    }

    fn token(&self, ended: Within) -> Token<'_> {
        match (ended, self.too_long) {
            (Within::Tag(_), false) => Token::Tag(&self.held),
            (Within::Tag(_), true) => Token::TagTooLong,
            (Within::Literal, false) => Token::Literal(self.held.strip_suffix(b"]]").unwrap_or(&self.held)),
            (_, false) => Token::Text(&self.held),
            (_, true) => Token::TextTooLong,
        }
    }
}

/// Takes one byte; what is complete with it.
fn step(within: &mut Within, held: &mut Vec<u8>, too_long: &mut bool, byte: u8) -> Option<Within> {
    let now = *within;
    match now {
        Within::Text if byte == b'<' => {
            *within = Within::Tag(None);
            return (!held.is_empty() || *too_long).then_some(now);
        }
        Within::Tag(None) if byte == b'>' => {
            *within = Within::Text;
            return Some(now);
        }
        // No tag and no value of an attribute may hold this: the tag before was never ended.
        Within::Tag(_) if byte == b'<' => {
            *within = Within::Tag(None);
            return Some(now);
        }
        Within::Tag(None) if matches!(byte, b'"' | b'\'') => *within = Within::Tag(Some(byte)),
        Within::Tag(Some(quote)) if byte == quote => *within = Within::Tag(None),
        Within::Comment if byte == b'>' && held.ends_with(b"--") => return passed(within, held),
        Within::Declaration if byte == b'>' => return passed(within, held),
        Within::Literal if byte == b'>' && held.ends_with(b"]]") => {
            *within = Within::Text;
            return Some(now);
        }
        _ => {}
    }
    hold(held, too_long, byte, matches!(now, Within::Comment | Within::Declaration));
    if matches!(now, Within::Tag(_)) {
        *within = match held.as_slice() {
            b"!--" => Within::Comment,
            b"![CDATA[" => Within::Literal,
            b"?" => Within::Declaration,
            [b'!', letter, ..] if held.len() == 2 && !matches!(letter, b'-' | b'[') => Within::Declaration,
            _ => return None,
        };
        held.clear();
    }
    None
}

fn passed(within: &mut Within, held: &mut Vec<u8>) -> Option<Within> {
    *within = Within::Text;
    held.clear();
    None
}

/// Holds a byte within the limit; of what is passed over, the end alone.
fn hold(held: &mut Vec<u8>, too_long: &mut bool, byte: u8, passing: bool) {
    if passing && held.len() >= 2 {
        held.remove(0);
    }
    if held.len() == MARKUP_BYTES_MAX {
        *too_long = true;
        // The end of a CDATA section must still be seen.
        held.drain(..MARKUP_BYTES_MAX - 2);
    }
    held.push(byte);
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor, Read, repeat};

    use super::*;

    fn tokens(text: &str) -> Vec<String> {
        let mut markup = Markup::new(BufReader::with_capacity(3, Cursor::new(text)));
        let mut all = Vec::new();
        while let Some(token) = markup.next().unwrap() {
            all.push(match token {
                Token::Tag(bytes) => format!("<{}>", String::from_utf8_lossy(bytes)),
                Token::Text(bytes) | Token::Literal(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                other => format!("{other:?}"),
            });
        }
        all
    }

    #[test]
    fn tags_and_texts_come_one_by_one() {
        let text = "<?xml version='1.0'?><!DOCTYPE x><a b=\"1>2\">t&lt;<!-- <no/> -> -- -->u</a><c/><![CDATA[<x>]]]>";
        assert_eq!(tokens(text), ["<a b=\"1>2\">", "t&lt;", "u", "</a>", "<c/>", "<x>]"]);
    }

    #[test]
    fn a_tag_that_never_ends_spoils_itself_alone() {
        assert_eq!(tokens("<a b=\"1><c>x</c>"), ["<a b=\"1>>", "<c>", "x", "</c>"]);
    }

    #[test]
    fn ten_megabytes_of_tag_or_text_cost_no_more_than_the_limit() {
        let long = || repeat(b'x').take(10_000_000);
        let input = (&b"<a>"[..]).chain(long()).chain(&b"</a><b "[..]).chain(long()).chain(&b"/><![CDATA["[..]);
        let input = input.chain(long()).chain(&b"]]><!--"[..]).chain(long()).chain(&b"--><c/>"[..]);
        let mut markup = Markup::new(BufReader::new(input));
        for expected in [
            Token::Tag(b"a"),
            Token::TextTooLong,
            Token::Tag(b"/a"),
            Token::TagTooLong,
            Token::TextTooLong,
            Token::Tag(b"c/"),
        ] {
            assert_eq!(markup.next().unwrap(), Some(expected));
        }
        assert_eq!(markup.next().unwrap(), None);
        assert!(markup.held.capacity() <= 2 * MARKUP_BYTES_MAX);
    }
}
