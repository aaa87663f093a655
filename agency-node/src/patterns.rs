//! Patterns: what this agency publishes, and what its people ask of those of others.
//!
//! The owner's policy decides each time a pattern is listed to a person. A pattern that its owner's
//! node has not signed is never asked, wherever it comes from, and what it asks is decided about like
//! any other question.

mod store;

use std::collections::BTreeMap;

use prost::Message;
use sallyport_proto::{
    common::v1::{self as pb, Outcome},
    gateway::v1::NodeCatalog,
    node::v1::{AskPattern, AskedPattern, DeskAnswer, PublishPatternResponse, ask_pattern::Which},
};
use sallyport_trust::{
    error::{Kind, Refusal},
    guard::{Act, Trail},
    identity::{Identity, SpiffeId},
    policy::{Action, Attributes, Context, Request, attribute, kind},
    question::{Asker, Pattern, PatternName, SignedPattern, Why},
};

use crate::{ask::Asked, describe, node::Node};

pub(crate) use store::PatternStore;

/// Bytes of all patterns that one catalog lists, at most: those of many nodes travel in one message.
const LISTED_BYTES_MAX: usize = 384 * 1024;

/// identify person → read → open audit entry → authorise → compare with what is published → sign → keep
/// → complete audit → show
pub(crate) async fn publish(node: &Node, peer: SpiffeId, text: &str) -> Result<PublishPatternResponse, Refusal> {
    let asker = node.person(&peer)?;
    let pattern = Pattern::parse(&node.agency, text)?;
    let act = Act::by(&peer, Action::Publish.as_str(), &pattern.name().to_string());
    let mut trail = node.guard.begin(act).await?;
    let worked = (|| {
        let _permit = node.guard.authorise(&mut trail, &request(node, &asker, Action::Publish, &pattern.name()))?;
        if let Some(signed) = node.patterns.known(&pattern, text)? {
            let signed = held(&node.identity, &node.patterns, &pattern, signed)?;
            return Ok(PublishPatternResponse { pattern: Some(signed.into()), known: true });
        }
        let signed = SignedPattern::sign(&node.identity, &node.agency, text)?;
        node.patterns.keep(&pattern, &signed)?;
        Ok(PublishPatternResponse { pattern: Some(signed.into()), known: false })
    })();
    trail.complete(worked.as_ref().err()).await?;
    worked
}

fn request(node: &Node, asker: &Asker, action: Action, name: &PatternName) -> Request {
    Request {
        subject: asker.clone().into_iter().collect(),
        resource: Attributes::new()
            .with(attribute::KIND, kind::PATTERN)
            .with(attribute::OWNER, node.agency.clone())
            .with(attribute::PATTERN, name.unversioned()),
        action,
        context: Context { at_ms: node.clock.now_ms(), ..Context::default() },
    }
}

/// A published pattern under a signature that holds now: a signature lives as long as its certificate,
/// so the owner signs anew what has outlived one.
fn held(
    identity: &Identity,
    store: &PatternStore,
    pattern: &Pattern,
    signed: SignedPattern,
) -> Result<SignedPattern, Refusal> {
    match signed.verify(identity) {
        Ok(_) => Ok(signed),
        Err(refusal) if refusal.reason == "pattern_expired" => {
            let anew = SignedPattern::sign(identity, signed.agency(), signed.text())?;
            store.keep(pattern, &anew)?;
            Ok(anew)
        }
        Err(refusal) => Err(refusal),
    }
}

/// This agency's patterns that an introduced person may run: the newest of each first, then older ones
/// as far as they fit.
pub(crate) fn listed(node: &Node, trail: &mut Trail, asker: &Asker) -> (Vec<pb::SignedPattern>, Option<Refusal>) {
    let mut refused = None;
    let mut by_age: BTreeMap<usize, Vec<SignedPattern>> = BTreeMap::new();
    for (name, versions) in node.patterns.all() {
        let name = PatternName { agency: node.agency.clone(), name, version: None };
        match node.guard.authorise(trail, &request(node, asker, Action::RunPattern, &name)) {
            Ok(_permit) => {
                (0..).zip(versions.into_values().rev()).for_each(|(age, v)| by_age.entry(age).or_default().push(v));
            }
            Err(refusal) => refused = Some(refusal),
        }
    }
    let mut left_bytes = LISTED_BYTES_MAX;
    let mut listed = Vec::new();
    for signed in by_age.into_values().flatten() {
        let Some(signed) = signed.claimed().and_then(|pattern| listable(node, &pattern, signed)) else { continue };
        let signed = pb::SignedPattern::from(signed);
        match left_bytes.checked_sub(signed.encoded_len()) {
            Some(left) => left_bytes = left,
            None => break,
        }
        listed.push(signed);
    }
    trail.count("patterns_listed", listed.len() as u64);
    (listed, refused)
}

fn listable(node: &Node, pattern: &Pattern, signed: SignedPattern) -> Option<SignedPattern> {
    held(&node.identity, &node.patterns, pattern, signed)
        .inspect_err(|refusal| tracing::error!(pattern = %pattern.name(), reason = refusal.reason, "not listed"))
        .ok()
}

/// A pattern that a person wants to ask.
pub(crate) struct WantedPattern {
    which: Which,
    why: Why,
    lookup_type: String,
    as_of_ms: Option<i64>,
}

impl TryFrom<AskPattern> for WantedPattern {
    type Error = Refusal;

    fn try_from(asked: AskPattern) -> Result<Self, Refusal> {
        let which = asked
            .which
            .ok_or_else(|| Refusal::bad_input("pattern_name", "Name a pattern, or give its signed file."))?;
        let why = Why { purpose: asked.purpose, case_number: asked.case_number, reason: asked.reason };
        why.validate()?;
        Ok(Self { which, why, lookup_type: asked.lookup_type, as_of_ms: asked.as_of_ms })
    }
}

/// What is asked: the question that a pattern makes of what the person gave.
pub(crate) async fn asked(
    node: &Node,
    peer: &SpiffeId,
    wanted: WantedPattern,
    lookup: Vec<String>,
) -> Result<Asked, Refusal> {
    let pattern = obtain(node, peer, &wanted).await?;
    let subject = &pattern.summary().subject;
    if !wanted.lookup_type.is_empty() && wanted.lookup_type != *subject {
        return Err(Refusal::bad_input(
            "lookup_type",
            format!("The pattern is about a {subject}, and something else is looked up."),
        ));
    }
    let question = pattern.question(&wanted.why, node.clock.now_ms(), wanted.as_of_ms)?;
    Ok(Asked { question, lookup, completes: None, pattern: Some(pattern), standing: false })
}

/// open audit entry → take from the owner's catalog or from the file → verify → complete audit
async fn obtain(node: &Node, peer: &SpiffeId, wanted: &WantedPattern) -> Result<Pattern, Refusal> {
    let name = match &wanted.which {
        Which::Published(name) => Some(name.parse::<PatternName>()?),
        Which::File(_) => None,
    };
    // Whose a file is, is known once its signature was verified.
    let resource = name.as_ref().map_or_else(|| "pattern file".to_owned(), PatternName::to_string);
    let Why { purpose, case_number, reason } = &wanted.why;
    let act = Act::by(peer, Action::RunPattern.as_str(), &resource).because(purpose, case_number, reason);
    let mut trail = node.guard.begin(act).await?;
    let worked = match (&wanted.which, &name) {
        (Which::File(file), _) => {
            SignedPattern::try_from(file.clone()).and_then(|signed| signed.verify(&node.identity))
        }
        (_, Some(name)) => published(node, &mut trail, peer, name).await,
        _ => Err(Refusal::bad_input("pattern_name", "Name a pattern, or give its signed file.")),
    };
    trail.complete(worked.as_ref().err()).await?;
    worked
}

/// A pattern as its owner lists it to this person at this moment.
async fn published(node: &Node, trail: &mut Trail, peer: &SpiffeId, name: &PatternName) -> Result<Pattern, Refusal> {
    let catalog = describe::authorised(node, trail, peer).await?;
    find(catalog, name)?.verify(&node.identity)
}

fn find(catalog: Vec<NodeCatalog>, name: &PatternName) -> Result<SignedPattern, Refusal> {
    let owner = catalog.into_iter().find(|node| node.agency == name.agency);
    let away = |owner: &NodeCatalog| !matches!(owner.outcome(), Outcome::Answered | Outcome::Denied);
    if owner.as_ref().is_some_and(away) {
        return Err(Refusal::new(
            Kind::Unavailable,
            "pattern_owner_away",
            format!(
                "The node of {} cannot be asked for its patterns now; try again, or give the signed file.",
                name.agency
            ),
        ));
    }
    let listed = owner.map(|owner| owner.patterns).unwrap_or_default();
    SignedPattern::choose(listed.into_iter().filter_map(|pattern| pattern.try_into().ok()), name)
}

/// The answer without matches below the pattern's quality of evidence, and what the pattern was.
pub(crate) fn above_minimum(pattern: Option<&Pattern>, trail: &mut Trail, mut answer: DeskAnswer) -> DeskAnswer {
    let Some(pattern) = pattern else { return answer };
    let minimum_qe_millionths = pattern.minimum_qe_millionths();
    let found = answer.matches.len();
    answer.matches.retain(|found| found.qe_millionths >= minimum_qe_millionths);
    let below_minimum_qe = (found - answer.matches.len()) as u64;
    trail.count("below_minimum_qe", below_minimum_qe);
    answer.pattern = Some(AskedPattern {
        name: pattern.name().to_string(),
        looks_for: pattern.looks_for().to_owned(),
        minimum_qe_millionths,
        below_minimum_qe,
    });
    answer
}

#[cfg(test)]
mod tests;
