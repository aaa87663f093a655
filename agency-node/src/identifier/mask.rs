//! How an identifier is shown to a person who may not see all of it.

use super::{Canonical, IdentifierType};

/// How much of an identifier is hidden when it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    /// Nothing: the canonical spelling is shown.
    None,
    /// So many characters at the end; four is the usual choice.
    Last(usize),
    /// Everything; only the length shows.
    All,
}

/// The identifier with its hidden characters replaced by `X`.
///
/// A masked phone is written without its `+`, as `1603999XXXX`. An identifier that is not longer
/// than what must be hidden is hidden whole.
pub fn mask(kind: IdentifierType, identifier: &Canonical, hidden: Hidden) -> String {
    let hidden_chars = match hidden {
        Hidden::None => return identifier.as_str().to_owned(),
        Hidden::Last(count) => count,
        Hidden::All => usize::MAX,
    };
    let shown = match kind {
        IdentifierType::Phone => identifier.as_str().trim_start_matches('+'),
        _ => identifier.as_str(),
    };
    let length = shown.chars().count();
    let kept = length.saturating_sub(hidden_chars);
    shown.chars().take(kept).chain(std::iter::repeat_n('X', length - kept)).collect()
}
