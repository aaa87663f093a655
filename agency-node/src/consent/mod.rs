//! Consent: what a rule holds, people of the owner decide.
//!
//! Two halves that meet in the id of a question. At its **owner** a held question waits in a durable
//! [queue] until [release officers](officers) grant or refuse it. At its **home node** it is
//! [kept] until the person who asked completes it: it is then asked again, as a new question that names
//! the first under its signature, and the owner looks for the release.
//!
//! A release fits one question: the same person and agency, purpose, case, subjects and part. A grant
//! for one answer is used up, durably, before rows leave. What is held is counted for those who decide,
//! and read no further. Nothing here names a subject, but what the home node keeps of a look-up.

mod content;
mod count;
mod held;
mod kept;
mod officers;
mod queue;
mod status;
mod wire;

use std::sync::Arc;

use sallyport_trust::{
    error::Refusal,
    guard::Trail,
    policy::{Hold, Permit},
    question::{Indicator, OpenedIndicator, OpenedQuestion, QuestionId, words},
};

pub(crate) use kept::{Kept, KeptQuestions};
pub(crate) use officers::{decide, list};
pub(crate) use queue::ReleaseQueue;
pub(crate) use status::{answer_status, held_questions};
pub(crate) use wire::{decided, held_question, wanted};

use crate::{link, linkage::epochs::Agreed, node::Node};
use content::Asking;
use held::{Asked, HeldQuestion, Part};
use queue::Found;

/// Characters that a part's filter takes in words, at most: whoever decides must be able to read it.
const FILTER_CHARS_MAX: usize = 4_000;
/// Digits of an id that name a question, at least.
const DIGITS_MIN: usize = 8;
/// What to do about a damaged file of a question.
const DAMAGED: &str = "remove it, and its question must be asked again";

/// A permit, and the release that it came from if a rule held the question.
pub(crate) struct Consent {
    pub(crate) permit: Permit,
    release: Option<String>,
}

impl Consent {
    /// What the policy allows without anybody's release.
    pub(crate) fn not_needed(permit: Permit) -> Self {
        Self { permit, release: None }
    }

    /// Takes the release; only then may rows leave.
    ///
    /// # Errors
    /// `held` when another question was faster, or when it cannot be written down.
    pub(crate) fn use_up(&self, node: &Node, question: QuestionId) -> Result<(), Refusal> {
        match &self.release {
            Some(id) => node.releases.use_up(id, question, node.clock.now_ms()),
            None => Ok(()),
        }
    }
}

/// Looks for the release of a question that a rule holds; where nobody has been asked yet, puts it into
/// the queue.
///
/// # Errors
/// `held` while it waits, `release_refused` with the officer's reason.
pub(crate) async fn released(
    node: &Arc<Node>,
    trail: &mut Trail,
    agreed: &Agreed,
    question: &OpenedQuestion,
    (part, indicator): (&OpenedIndicator, &Indicator),
    hold: Hold,
) -> Result<Consent, Refusal> {
    let asking = Asking::of(question, part);
    let now_ms = node.clock.now_ms();
    let waiting = match node.releases.find(&asking, now_ms) {
        Found::Granted(held) => match node.guard.release(trail, &hold, held.question, held.granted_by()) {
            Some(permit) => return Ok(Consent { permit, release: Some(held.id) }),
            // The rules have become stricter since.
            None => node.releases.need(&held.id, &hold, now_ms)?,
        },
        Found::Refused(held) => return Err(refused(node, &held)),
        Found::Waiting(held) => held,
        Found::Nothing => {
            let (rows, subjects) = count::count(node, agreed, question, (part, indicator), &hold.to_count()).await?;
            let subject =
                link::subject_told(node.holdings.dataset(&indicator.dataset)?, &question.header.subject, part);
            let part = in_words(question, part, indicator, asking.part, (rows, subjects))?;
            trail.count("held_rows", rows);
            node.releases.hold(&asking, &hold, asked(question, indicator, &subject), part, now_ms)?
        }
    };
    Err(waits(node, &waiting))
}

fn asked(question: &OpenedQuestion, indicator: &Indicator, subject: &str) -> Asked {
    let header = &question.header;
    // Another agency wrote these; they go into lists and into the audit log.
    let line = |text: &str| text.chars().filter(|c| !c.is_control()).collect();
    Asked {
        agency: line(&header.home_agency),
        asker: header.asker.iter().map(|(name, value)| (line(name), line(value))).collect(),
        purpose: line(&header.purpose),
        case_number: line(&header.case_number),
        reason: line(&header.reason),
        dataset: indicator.dataset.clone(),
        subject: line(subject),
        looked_up: header.ranges.len() as u32,
        identifiers: header.looked_up,
        minimum_datasets: header.minimum_datasets,
        top: header.top,
    }
}

fn in_words(
    question: &OpenedQuestion,
    part: &OpenedIndicator,
    indicator: &Indicator,
    digest: [u8; 32],
    (rows, subjects): (u64, u64),
) -> Result<Part, Refusal> {
    let filter = words::filter(&indicator.filter);
    if filter.chars().count() > FILTER_CHARS_MAX {
        return Err(Refusal::bad_input(
            "held_filter_too_long",
            format!(
                "People of the owner decide about this question, and its filter on `{}` is too long for anyone to \
                 read; ask with a shorter one.",
                indicator.dataset
            ),
        ));
    }
    Ok(Part {
        digest,
        identifier: indicator.identifier.clone(),
        measure: words::told(indicator),
        filter,
        window: words::window(question.header.window.and(indicator.window)),
        relation: match part {
            OpenedIndicator::Link(link) => words::relation(link.kind, link.follower),
            _ => String::new(),
        },
        rows,
        subjects,
    })
}

fn waits(node: &Node, held: &HeldQuestion) -> Refusal {
    Refusal::denied(
        "held",
        format!(
            "Rule `{}` leaves this to people of {}, who can release it until {}. Complete the answer by the \
             question's id when they have.",
            held.rule,
            node.agency,
            words::moment(held.expires_at_ms)
        ),
    )
}

fn refused(node: &Node, held: &HeldQuestion) -> Refusal {
    let reason = held.refusal().map_or("", |decision| decision.reason.as_str());
    Refusal::denied("release_refused", format!("People of {} refused to release this: {reason}", node.agency))
}
