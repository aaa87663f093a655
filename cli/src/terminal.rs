//! What may reach a terminal. Much of what is shown was written by other agencies: none of it may move
//! the cursor, recolour a line, or make text read in another order than it is written in.

use std::{any::Any, panic};

use serde_json::Value;

/// What a process ended by SIGPIPE gives to a shell.
pub(crate) const CLOSED_PIPE: u8 = 141;

/// Whether a panic says that whoever read has stopped: `| head` is no fault of the command's.
pub(crate) fn is_closed_pipe(panicked: &(dyn Any + Send)) -> bool {
    let told = panicked.downcast_ref::<String>();
    told.is_some_and(|told| told.starts_with("failed printing to stdout") && told.contains("Broken pipe"))
}

/// Lets such a panic pass without a word.
pub(crate) fn say_nothing_of_a_closed_pipe() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        if !is_closed_pipe(panicked.payload()) {
            before(panicked);
        }
    }));
}

/// Characters that steer instead of showing: C0 and C1 controls, and marks of direction.
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line without anything that steers.
pub(crate) fn line(text: &str) -> String {
    text.chars().filter(|&character| !steers(character)).collect()
}

/// The same for messages of several lines.
pub(crate) fn lines(text: &str) -> String {
    text.chars().filter(|&character| character == '\n' || !steers(character)).collect()
}

/// JSON in one line, with everything that steers as an escape: a parser reads what was sent.
pub(crate) fn json(value: &Value) -> String {
    let mut text = String::new();
    for character in value.to_string().chars() {
        match character {
            // Outside of strings JSON is plain ASCII, and all of these lie in the first plane.
            _ if steers(character) => text.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[2Jb\u{9b}31mc\u{202e}d\u{7f}\re\n";

    #[test]
    fn nothing_that_steers_is_left() {
        assert_eq!(line(HOSTILE), "a[2Jb31mcde");
        assert_eq!(lines(HOSTILE), "a[2Jb31mcde\n");
    }

    #[test]
    fn json_says_the_same_without_steering() {
        let value = serde_json::json!({ "title": HOSTILE });
        let text = json(&value);
        assert!(!text.chars().any(steers), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
