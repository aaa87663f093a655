//! What was disclosed of one subject, for a person of this agency who may know.

use std::sync::Arc;

use sallyport_proto::node::v1::{Disclosure as Wire, DisclosuresRequest, DisclosuresResponse};
use sallyport_trust::{
    error::Refusal,
    guard::{Act, Trail},
    identity::SpiffeId,
    policy::{Action, Attributes, Context, Request, attribute, kind},
    question::TEXT_BYTES_MAX,
};

use super::Disclosure;
use crate::{about::About, lookup::canonical, node::Node};

/// Disclosures in one answer.
const SHOWN_MAX: usize = 5_000;

/// identify person → open audit entry → authorise → find the subject → read → complete audit → show
pub(crate) async fn show(
    node: &Arc<Node>,
    peer: SpiffeId,
    request: DisclosuresRequest,
) -> Result<DisclosuresResponse, Refusal> {
    let asker = node.person(&peer)?;
    let said = [&request.purpose, &request.case_number, &request.reason];
    if said.into_iter().any(|text| text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control)) {
        return Err(Refusal::bad_input(
            "reason_unusable",
            format!("Purpose, case and reason are lines of at most {TEXT_BYTES_MAX} bytes without control characters."),
        ));
    }
    // Of whom is never written down: an auditor sees that somebody was looked for, and why.
    let act = Act::by(&peer, Action::Disclosures.as_str(), "disclosures").because(
        &request.purpose,
        &request.case_number,
        &request.reason,
    );
    let mut trail = node.guard.begin(act).await?;
    let asked = Request {
        subject: asker.into_iter().collect(),
        resource: Attributes::new().with(attribute::KIND, kind::AUDIT).with(attribute::OWNER, node.agency.clone()),
        action: Action::Disclosures,
        context: Context {
            purpose: request.purpose.clone(),
            case_number: request.case_number.clone(),
            reason: request.reason.clone(),
            subject_type: request.subject.clone(),
            at_ms: node.clock.now_ms(),
            ..Context::default()
        },
    };
    let found = find(node, &mut trail, &asked, request).await;
    trail.complete(found.as_ref().err()).await?;
    found
}

async fn find(
    node: &Arc<Node>,
    trail: &mut Trail,
    asked: &Request,
    request: DisclosuresRequest,
) -> Result<DisclosuresResponse, Refusal> {
    let permit = node.guard.authorise(trail, asked)?;
    let (kind, identifiers) = canonical(node, &request.subject, &[request.identifier])?;
    let number = identifiers.first().and_then(|identifier| node.holdings.number(&permit, kind, identifier));
    let found = match number {
        // Own data do not hold it, so nothing was ever disclosed of it.
        None => Vec::new(),
        Some(number) => {
            let (node, now_ms) = (node.clone(), asked.context.at_ms);
            let about = About::Subject(kind, number);
            let reading = tokio::task::spawn_blocking(move || node.books.disclosures.of(&permit, about, now_ms));
            let read = reading.await.map_err(|error| Refusal::internal("disclosures_failed", &error))?;
            read.map_err(|error| Refusal::internal("disclosures_failed", &error))?
        }
    };
    trail.count("disclosures_shown", found.len().min(SHOWN_MAX) as u64);
    let more = found.len().saturating_sub(SHOWN_MAX);
    Ok(DisclosuresResponse { disclosures: found.into_iter().skip(more).map(Wire::from).collect(), more: more as u64 })
}

impl From<Disclosure> for Wire {
    fn from(disclosure: Disclosure) -> Self {
        Self {
            at_ms: disclosure.at_ms,
            dataset: disclosure.dataset,
            question_id: disclosure.question,
            asker: disclosure.asker,
            agency: disclosure.agency,
            purpose: disclosure.purpose,
            case_number: disclosure.case_number,
            reason: disclosure.reason,
            nature: disclosure.nature,
            rows: disclosure.rows,
        }
    }
}
