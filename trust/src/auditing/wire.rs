//! The edge between the audit service's protobuf messages and what they mean; both ends use it, and it is
//! the only file that knows both.

use sallyport_proto::audit::v1 as pb;

use super::{Shown, Signed, Verification};
use crate::audit::action::RecordedAction;
use crate::audit::archive::{Page, Wanted};
use crate::audit::merkle::Hash;
use crate::audit::query::{OPEN, Query, outcome_word};
use crate::audit::report::{DenialCount, QuestionCount, ReleaseCount, Report, UnusualVolume};
use crate::audit::{Decision, Outcome, Verified};
use crate::error::{Kind, Refusal};

/// The filter of a request; one that is left out lets everything through.
pub(super) fn query(filter: Option<pb::Filter>) -> Result<Query, Refusal> {
    filter.unwrap_or_default().try_into()
}

/// What a request to show asks for.
pub(super) fn wanted(request: pb::ShowRequest) -> Result<Wanted, Refusal> {
    match request.wanted {
        Some(pb::show_request::Wanted::Index(index)) => Ok(Wanted::Index(index)),
        Some(pb::show_request::Wanted::Id(id)) => {
            let unusable = |_| Refusal::bad_input("action_name", "An action's name has 32 hexadecimal digits.");
            id.parse().map(Wanted::Id).map_err(unusable)
        }
        None => Err(Refusal::bad_input("action_missing", "Name an action, or an entry by its index.")),
    }
}

impl From<Wanted> for pb::ShowRequest {
    fn from(wanted: Wanted) -> Self {
        Self {
            wanted: Some(match wanted {
                Wanted::Index(index) => pb::show_request::Wanted::Index(index),
                Wanted::Id(id) => pb::show_request::Wanted::Id(id.to_string()),
            }),
        }
    }
}

/// Some of the actions of an export.
pub(super) fn exported(actions: Vec<RecordedAction>) -> pb::ExportResponse {
    let actions = actions.into_iter().map(Into::into).collect();
    pb::ExportResponse { part: Some(pb::export_response::Part::Actions(pb::ExportedActions { actions })) }
}

impl From<&Query> for pb::Filter {
    fn from(query: &Query) -> Self {
        Self {
            persons: query.persons.clone(),
            agencies: query.agencies.clone(),
            actions: query.actions.clone(),
            resources: query.resources.clone(),
            purposes: query.purposes.clone(),
            case_numbers: query.case_numbers.clone(),
            questions: query.questions.clone(),
            decisions: query.decisions.iter().map(|decision| decision.as_str().to_owned()).collect(),
            outcomes: query.outcomes.iter().map(|outcome| outcome_word(*outcome).to_owned()).collect(),
            rules: query.rules.clone(),
            details: query.details.clone(),
            from_ms: query.from_ms,
            until_ms: query.until_ms,
        }
    }
}

impl TryFrom<pb::Filter> for Query {
    type Error = Refusal;

    fn try_from(filter: pb::Filter) -> Result<Self, Refusal> {
        let query = Self {
            persons: filter.persons,
            agencies: filter.agencies,
            actions: filter.actions,
            resources: filter.resources,
            purposes: filter.purposes,
            case_numbers: filter.case_numbers,
            questions: filter.questions,
            decisions: filter.decisions.iter().map(|word| decision(word)).collect::<Result<_, _>>()?,
            outcomes: filter.outcomes.iter().map(|word| outcome(word)).collect::<Result<_, _>>()?,
            rules: filter.rules,
            details: filter.details,
            from_ms: filter.from_ms,
            until_ms: filter.until_ms,
        };
        query.check().map_err(|error| Refusal::bad_input("audit_filter", error.to_string()))?;
        Ok(query)
    }
}

fn decision(word: &str) -> Result<Decision, Refusal> {
    let known = Decision::ALL.into_iter().find(|decision| decision.as_str() == word);
    known.ok_or_else(|| Refusal::bad_input("audit_filter", "A decision is `allow`, `deny` or `hold`."))
}

fn outcome(word: &str) -> Result<Option<Outcome>, Refusal> {
    let known = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == word);
    if known.is_some() || word == OPEN {
        return Ok(known);
    }
    let words: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
    Err(Refusal::bad_input("audit_filter", format!("An outcome is one of {} or {OPEN}.", words.join(", "))))
}

impl From<RecordedAction> for pb::RecordedAction {
    fn from(action: RecordedAction) -> Self {
        let completion_index = action.completion.as_ref().map(|completion| completion.index);
        let completion = action.completion.map(|completion| completion.bytes).unwrap_or_default();
        let (opening_index, opening) = (action.opening.index, action.opening.bytes);
        Self { opening_index, opening, completion_index, completion }
    }
}

impl TryFrom<pb::RecordedAction> for RecordedAction {
    type Error = Refusal;

    fn try_from(action: pb::RecordedAction) -> Result<Self, Refusal> {
        let completion = action.completion_index.map(|index| (index, action.completion));
        Self::of((action.opening_index, action.opening), completion).map_err(|error| unusable(&error.to_string()))
    }
}

/// What the server sent is not what it promises to send.
fn unusable(problem: &str) -> Refusal {
    let message = format!("The other party's answer cannot be used: {problem}.");
    Refusal::new(Kind::Internal, "audit_answer_unusable", message)
}

fn actions(actions: Vec<pb::RecordedAction>) -> Result<Vec<RecordedAction>, Refusal> {
    actions.into_iter().map(TryInto::try_into).collect()
}

fn hash(bytes: Vec<u8>) -> Result<Hash, Refusal> {
    bytes.try_into().map(Hash).map_err(|_| unusable("a hash is not 32 bytes long"))
}

fn hashes(proof: Vec<Vec<u8>>) -> Result<Vec<Hash>, Refusal> {
    proof.into_iter().map(hash).collect()
}

fn bytes(proof: Vec<Hash>) -> Vec<Vec<u8>> {
    proof.into_iter().map(|hash| hash.0.to_vec()).collect()
}

impl<T> Signed<T> {
    fn of(answer: T, checkpoint: Option<pb::Checkpoint>) -> Self {
        let pb::Checkpoint { note, verifier_key } = checkpoint.unwrap_or_default();
        Self { answer, note, verifier_key }
    }

    fn into_wire(self) -> (T, Option<pb::Checkpoint>) {
        (self.answer, Some(pb::Checkpoint { note: self.note, verifier_key: self.verifier_key }))
    }
}

impl From<Signed<Page>> for pb::SearchResponse {
    fn from(page: Signed<Page>) -> Self {
        let (page, checkpoint) = page.into_wire();
        let actions = page.actions.into_iter().map(Into::into).collect();
        Self { actions, next_before: page.next_before, checkpoint }
    }
}

impl TryFrom<pb::SearchResponse> for Signed<Page> {
    type Error = Refusal;

    fn try_from(response: pb::SearchResponse) -> Result<Self, Refusal> {
        let page = Page { actions: actions(response.actions)?, next_before: response.next_before };
        Ok(Self::of(page, response.checkpoint))
    }
}

impl From<Signed<Shown>> for pb::ShowResponse {
    fn from(shown: Signed<Shown>) -> Self {
        let (shown, checkpoint) = shown.into_wire();
        Self {
            action: Some(shown.action.into()),
            opening_proof: bytes(shown.opening_proof),
            completion_proof: bytes(shown.completion_proof),
            checkpoint,
        }
    }
}

impl TryFrom<pb::ShowResponse> for Signed<Shown> {
    type Error = Refusal;

    fn try_from(response: pb::ShowResponse) -> Result<Self, Refusal> {
        let action = response.action.ok_or_else(|| unusable("it holds no action"))?;
        let shown = Shown {
            action: action.try_into()?,
            opening_proof: hashes(response.opening_proof)?,
            completion_proof: hashes(response.completion_proof)?,
        };
        Ok(Self::of(shown, response.checkpoint))
    }
}

impl From<Signed<u64>> for pb::ExportResponse {
    fn from(exported: Signed<u64>) -> Self {
        let (actions, checkpoint) = exported.into_wire();
        Self { part: Some(pb::export_response::Part::Closing(pb::ExportClosing { actions, checkpoint })) }
    }
}

/// A part of an export, as it is received.
#[derive(Debug)]
pub enum Exported {
    /// The next actions.
    Actions(Vec<RecordedAction>),
    /// The end: how many actions there were.
    Closing(Signed<u64>),
}

impl TryFrom<pb::ExportResponse> for Exported {
    type Error = Refusal;

    fn try_from(response: pb::ExportResponse) -> Result<Self, Refusal> {
        match response.part {
            Some(pb::export_response::Part::Actions(part)) => Ok(Self::Actions(actions(part.actions)?)),
            Some(pb::export_response::Part::Closing(closing)) => {
                Ok(Self::Closing(Signed::of(closing.actions, closing.checkpoint)))
            }
            None => Err(unusable("a message is empty")),
        }
    }
}

impl From<Signed<Report>> for pb::ReportResponse {
    fn from(report: Signed<Report>) -> Self {
        let (report, checkpoint) = report.into_wire();
        let word = |decision: Option<Decision>| decision.map_or("", Decision::as_str).to_owned();
        let question = |QuestionCount { action, agency, purpose, decision, count }| {
            let decision = word(decision);
            pb::QuestionCount { action, agency, purpose, decision, count }
        };
        let denial = |DenialCount { rule, reason, count }| pb::DenialCount { rule, reason, count };
        let release =
            |ReleaseCount { action, resource, answers, scores }| pb::ReleaseCount { action, resource, answers, scores };
        let unusual = |UnusualVolume { actor, action, day, count, median, mad, z }| pb::UnusualVolume {
            actor,
            action,
            day,
            count,
            median,
            mad,
            z,
        };
        Self {
            from_ms: report.from_ms,
            until_ms: report.until_ms,
            actions: report.actions,
            still_open: report.still_open,
            questions: report.questions.into_iter().map(question).collect(),
            denials: report.denials.into_iter().map(denial).collect(),
            releases: report.releases.into_iter().map(release).collect(),
            unusual: report.unusual.into_iter().map(unusual).collect(),
            unjudged_days: report.unjudged_days,
            not_listed: report.not_listed,
            checkpoint,
        }
    }
}

impl TryFrom<pb::ReportResponse> for Signed<Report> {
    type Error = Refusal;

    fn try_from(response: pb::ReportResponse) -> Result<Self, Refusal> {
        let question = |line: pb::QuestionCount| {
            let decided = if line.decision.is_empty() { None } else { Some(decision(&line.decision)?) };
            let (action, agency, purpose, count) = (line.action, line.agency, line.purpose, line.count);
            Ok(QuestionCount { action, agency, purpose, decision: decided, count })
        };
        let denial = |pb::DenialCount { rule, reason, count }| DenialCount { rule, reason, count };
        let release =
            |pb::ReleaseCount { action, resource, answers, scores }| ReleaseCount { action, resource, answers, scores };
        let unusual = |pb::UnusualVolume { actor, action, day, count, median, mad, z }| UnusualVolume {
            actor,
            action,
            day,
            count,
            median,
            mad,
            z,
        };
        let report = Report {
            from_ms: response.from_ms,
            until_ms: response.until_ms,
            actions: response.actions,
            still_open: response.still_open,
            questions: response.questions.into_iter().map(question).collect::<Result<_, Refusal>>()?,
            denials: response.denials.into_iter().map(denial).collect(),
            releases: response.releases.into_iter().map(release).collect(),
            unusual: response.unusual.into_iter().map(unusual).collect(),
            unjudged_days: response.unjudged_days,
            not_listed: response.not_listed,
        };
        Ok(Self::of(report, response.checkpoint))
    }
}

impl From<Verification> for pb::VerifyResponse {
    fn from(verification: Verification) -> Self {
        match verification {
            Verification::Broken(problem) => Self { problem, ..Self::default() },
            Verification::Holds(verified) => Self {
                holds: true,
                problem: String::new(),
                origin: verified.origin,
                entries: verified.entries,
                root: verified.root.0.to_vec(),
                pending: verified.pending,
                opened: verified.opened,
                completed: verified.completed,
                still_open: verified.still_open,
                checkpoint_at_ms: verified.checkpoint_at_ms,
            },
        }
    }
}

impl TryFrom<pb::VerifyResponse> for Verification {
    type Error = Refusal;

    fn try_from(response: pb::VerifyResponse) -> Result<Self, Refusal> {
        if !response.holds {
            return Ok(Self::Broken(response.problem));
        }
        Ok(Self::Holds(Verified {
            origin: response.origin,
            entries: response.entries,
            root: hash(response.root)?,
            pending: response.pending,
            opened: response.opened,
            completed: response.completed,
            still_open: response.still_open,
            checkpoint_at_ms: response.checkpoint_at_ms,
        }))
    }
}
