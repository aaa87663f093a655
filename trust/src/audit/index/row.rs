//! One action in an index: a row of fixed width, and the conditions on it.
//!
//! Pure. A row says enough to leave out almost every action that a query does not mean, and where the
//! entries of the others stand; what it says is never shown.

use aws_lc_rs::digest::{SHA256, digest};

use super::super::entry::{Completion, Decision, EntryId, Opening, Outcome};
use super::super::query::{Query, one_of};
use super::words::Words;

/// Width of a row in its file, in bytes.
pub(super) const ROW_BYTES: usize = 5 * 8 + 16 + 6 * 2 + 2;

/// The completion of an action that has none.
const NO_ENTRY: u64 = u64::MAX;

/// One action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Row {
    /// Index of the opening.
    pub(in super::super) opening: u64,
    completion: u64,
    at_ms: i64,
    pub(in super::super) id: EntryId,
    /// The first 16 hexadecimal digits of the question.
    question: u64,
    /// Digest of the case number, cut; 0 without one.
    case_number: u64,
    actor: u16,
    action: u16,
    resource: u16,
    purpose: u16,
    rule: u16,
    detail: u16,
    /// Place in [`Outcome::ALL`], counted from 1; 0 without a completion.
    outcome: u8,
    /// Place in [`Decision::ALL`], counted from 1; 0 without a ruling.
    decision: u8,
}

impl Row {
    /// The row of an action that begins.
    pub(super) fn open(index: u64, at_ms: i64, id: EntryId, opening: &Opening, words: &mut Words) -> Self {
        Self {
            opening: index,
            completion: NO_ENTRY,
            at_ms,
            id,
            question: question_range(opening.question.as_deref().unwrap_or_default()).0,
            case_number: opening.case_number.as_deref().map_or(0, cut_digest),
            actor: words.number(&opening.actor),
            action: words.number(&opening.action),
            resource: words.number(&opening.resource),
            purpose: words.number(opening.purpose.as_deref().unwrap_or_default()),
            rule: 0,
            detail: 0,
            outcome: 0,
            decision: 0,
        }
    }

    /// Adds what is known when the work has ended.
    pub(super) fn complete(&mut self, index: u64, completion: &Completion, words: &mut Words) {
        let place = |place: Option<usize>| place.map_or(0, |place| place as u8 + 1);
        let ruling = completion.ruling.as_ref();
        self.completion = index;
        self.rule = words.number(ruling.map_or("", |ruling| &ruling.rule));
        self.detail = words.number(completion.detail.as_deref().unwrap_or_default());
        self.outcome = place(Outcome::ALL.iter().position(|outcome| *outcome == completion.outcome));
        let decision = ruling.map(|ruling| ruling.decision);
        self.decision = place(Decision::ALL.iter().position(|each| Some(*each) == decision));
    }

    /// Index of the completion, if there is one.
    pub(in super::super) fn completion(&self) -> Option<u64> {
        (self.completion != NO_ENTRY).then_some(self.completion)
    }

    pub(super) fn to_bytes(self) -> [u8; ROW_BYTES] {
        let mut bytes = [0; ROW_BYTES];
        let fields: [&[u8]; 14] = [
            &self.opening.to_le_bytes(),
            &self.completion.to_le_bytes(),
            &self.at_ms.to_le_bytes(),
            &self.id.to_bytes(),
            &self.question.to_le_bytes(),
            &self.case_number.to_le_bytes(),
            &self.actor.to_le_bytes(),
            &self.action.to_le_bytes(),
            &self.resource.to_le_bytes(),
            &self.purpose.to_le_bytes(),
            &self.rule.to_le_bytes(),
            &self.detail.to_le_bytes(),
            &[self.outcome],
            &[self.decision],
        ];
        let mut at = 0;
        for field in fields {
            bytes[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; ROW_BYTES]) -> Self {
        let mut rest = &bytes[..];
        Self {
            opening: u64::from_le_bytes(take(&mut rest)),
            completion: u64::from_le_bytes(take(&mut rest)),
            at_ms: i64::from_le_bytes(take(&mut rest)),
            id: EntryId::from_bytes(take(&mut rest)),
            question: u64::from_le_bytes(take(&mut rest)),
            case_number: u64::from_le_bytes(take(&mut rest)),
            actor: u16::from_le_bytes(take(&mut rest)),
            action: u16::from_le_bytes(take(&mut rest)),
            resource: u16::from_le_bytes(take(&mut rest)),
            purpose: u16::from_le_bytes(take(&mut rest)),
            rule: u16::from_le_bytes(take(&mut rest)),
            detail: u16::from_le_bytes(take(&mut rest)),
            outcome: u8::from_le_bytes(take(&mut rest)),
            decision: u8::from_le_bytes(take(&mut rest)),
        }
    }
}

/// The next `N` bytes; the widths of a row's fields add up, so they are there.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (field, others) = rest.split_first_chunk().unwrap_or((&[0; N], &[]));
    *rest = others;
    *field
}

/// The least and the greatest first 16 digits of questions that begin so.
fn question_range(digits: &str) -> (u64, u64) {
    let first = digits.get(..16).unwrap_or(digits);
    let missing = 4 * (16 - first.len() as u32);
    let begin = u64::from_str_radix(first, 16).unwrap_or(0).checked_shl(missing).unwrap_or(0);
    (begin, begin | u64::MAX.checked_shr(64 - missing).unwrap_or(0))
}

fn cut_digest(text: &str) -> u64 {
    let mut cut = [0; 8];
    cut.copy_from_slice(&digest(&SHA256, text.as_bytes()).as_ref()[..8]);
    // 0 stands for none.
    u64::from_le_bytes(cut).max(1)
}

/// A query in the numbers of one dictionary, put to the first `size` entries of a log.
pub(super) struct Filter<'a> {
    query: &'a Query,
    size: u64,
    questions: Vec<(u64, u64)>,
    case_numbers: Vec<u64>,
    actors: Option<Vec<bool>>,
    actions: Option<Vec<bool>>,
    resources: Option<Vec<bool>>,
    purposes: Option<Vec<bool>>,
    rules: Option<Vec<bool>>,
    details: Option<Vec<bool>>,
}

impl<'a> Filter<'a> {
    pub(super) fn new(query: &'a Query, size: u64, words: &Words) -> Self {
        let among = |wanted: &[String]| {
            (!wanted.is_empty()).then(|| words.fitting(|word| wanted.iter().any(|wanted| wanted == word)))
        };
        let anyone = query.persons.is_empty() && query.agencies.is_empty();
        Self {
            query,
            size,
            questions: query.questions.iter().map(|question| question_range(question)).collect(),
            case_numbers: query.case_numbers.iter().map(|case| cut_digest(case)).collect(),
            actors: (!anyone).then(|| words.fitting(|word| query.is_actor(word))),
            actions: among(&query.actions),
            resources: among(&query.resources),
            purposes: among(&query.purposes),
            rules: (!query.rules.is_empty()).then(|| words.fitting(|word| query.is_rule(word))),
            details: among(&query.details),
        }
    }

    /// Whether the action may be meant. Never false for one that is.
    pub(super) fn may_match(&self, row: &Row) -> bool {
        let fits = |fitting: &Option<Vec<bool>>, number: u16| {
            fitting.as_ref().is_none_or(|fitting| fitting.get(usize::from(number)).copied().unwrap_or(true))
        };
        let ended = |outcome: &Option<Outcome>| match outcome {
            // What has ended since was open when the log had that size.
            None => row.completion >= self.size,
            Some(outcome) => named(&Outcome::ALL, row.outcome) == Some(*outcome),
        };
        row.opening < self.size
            && self.query.covers(row.at_ms)
            && fits(&self.actors, row.actor)
            && fits(&self.actions, row.action)
            && fits(&self.resources, row.resource)
            && fits(&self.purposes, row.purpose)
            && one_of(&self.case_numbers, |case| *case == row.case_number)
            && one_of(&self.questions, |(least, greatest)| (*least..=*greatest).contains(&row.question))
            && one_of(&self.query.decisions, |wanted| named(&Decision::ALL, row.decision) == Some(*wanted))
            && one_of(&self.query.outcomes, ended)
            && fits(&self.rules, row.rule)
            && fits(&self.details, row.detail)
    }
}

fn named<T: Copy>(all: &[T], number: u8) -> Option<T> {
    all.get(usize::from(number).checked_sub(1)?).copied()
}
