//! Look-ups: the subjects' tags and the ranges that hide them.
//!
//! The list of identifiers stays here. Others learn ranges of the epoch's locators, each wide enough
//! for at least a hundred of their own subjects, and the same for every look-up of a subject, so that
//! no two look-ups together narrow it down.

use sallyport_proto::{common::v1::Outcome, gateway::v1::NodeCatalog};
use sallyport_trust::{
    error::Refusal,
    guard::Act,
    identity::SpiffeId,
    policy::Request,
    question::{LOOKUP_MAX, LocatorRange, PERSON, Question},
};

use crate::{
    ask::Asked,
    consent::Kept,
    contribute::HIDDEN_AMONG_MIN,
    describe,
    identifier::{Canonical, Context, IdentifierType, canonicalise},
    linkage::{epochs::Agreed, oprf::Tag},
    node::Node,
};

/// How many subjects of the smallest data set a range should hold; the least is far below it.
const HIDDEN_AMONG_AIM: u64 = 2 * HIDDEN_AMONG_MIN as u64 + 56;

/// What a look-up needs beside its question.
pub(crate) struct LookedUp {
    pub(crate) tags: Vec<Tag>,
    pub(crate) ranges: Vec<LocatorRange>,
    /// How many bits every range has.
    pub(crate) range_bits: u32,
}

/// Canonical forms, tags (asking the other nodes for those that are not kept) and hiding ranges, under
/// an audit entry and a permit of their own, since the other nodes are called.
pub(crate) async fn look_up(
    node: &Node,
    peer: &SpiffeId,
    agreed: &Agreed,
    request: &Request,
    asked: &Asked,
) -> Result<LookedUp, Refusal> {
    let question = &asked.question;
    let act = Act::by(peer, "tag", "look-up").because(&question.purpose, &question.case_number, &question.reason);
    let mut trail = node.guard.begin(act).await?;
    let worked = async {
        let (kind, identifiers) = canonical(node, &question.subject, &asked.lookup)?;
        let _permit = node.guard.authorise(&mut trail, request)?;
        trail.count("identifiers", identifiers.len() as u64);
        let tags = tags(node, agreed, kind, identifiers).await?;
        let bits = match &asked.completes {
            // Other ranges would be another question.
            Some(Kept { range_bits: Some(bits), .. }) => *bits,
            // Where only relations rank, others look at all of their subjects.
            _ if question.is_linked_only() => 0,
            _ => range_bits(node, peer, question).await?,
        };
        let mut ranges: Vec<LocatorRange> = agreed
            .locators
            .of(&tags)
            .into_iter()
            .map(|locator| LocatorRange { bits, prefix: locator.checked_shr(64 - bits).unwrap_or(0) })
            .collect();
        ranges.sort_unstable();
        ranges.dedup();
        Ok(LookedUp { tags, ranges, range_bits: bits })
    }
    .await;
    trail.complete(worked.as_ref().err()).await?;
    worked
}

/// The canonical forms of identifiers as a person wrote them, each once.
pub(crate) fn canonical(
    node: &Node,
    subject: &str,
    raw: &[String],
) -> Result<(IdentifierType, Vec<Canonical>), Refusal> {
    if subject == PERSON {
        return Err(Refusal::bad_input(
            "person_lookup",
            "Persons are ranked and not looked up; look up what you know of one, such as `subject = \"phone\"`.",
        ));
    }
    let kind = IdentifierType::asked(subject)?;
    if raw.len() > LOOKUP_MAX {
        return Err(Refusal::bad_input(
            "lookup_too_long",
            format!("A look-up takes at most {LOOKUP_MAX} identifiers."),
        ));
    }
    let country = node.config.country.as_deref().and_then(|code| code.parse().ok());
    let context = Context { default_country: country, ..Context::default() };
    let mut identifiers = Vec::with_capacity(raw.len());
    for (line, raw) in raw.iter().enumerate() {
        let identifier = canonicalise(kind, raw, &context).map_err(|unusable| {
            Refusal::bad_input(
                "identifier_unusable",
                format!("Identifier number {} cannot be looked up as a {kind}: {unusable}.", line + 1),
            )
        })?;
        identifiers.push(identifier);
    }
    identifiers.sort_unstable();
    identifiers.dedup();
    Ok((kind, identifiers))
}

/// Tags that are kept, and those that the other nodes help to make; looked-up identifiers are not kept.
async fn tags(
    node: &Node,
    agreed: &Agreed,
    kind: IdentifierType,
    identifiers: Vec<Canonical>,
) -> Result<Vec<Tag>, Refusal> {
    let mut tags = Vec::with_capacity(identifiers.len());
    let mut unknown = Vec::new();
    for identifier in identifiers {
        match node.holdings.tag_of(kind, &identifier, &agreed.tags) {
            Some(tag) => tags.push(tag),
            None => unknown.push(identifier),
        }
    }
    if !unknown.is_empty() {
        tags.extend(node.tagger(agreed).tags(kind, unknown).await?);
    }
    tags.sort_unstable();
    tags.dedup();
    Ok(tags)
}

/// Bits of a prefix that leave enough subjects of the smallest data set asked.
async fn range_bits(node: &Node, peer: &SpiffeId, question: &Question) -> Result<u32, Refusal> {
    let catalog = describe::of_all(node, peer).await?;
    let sizes = question.indicators.iter().filter_map(|indicator| tagged_in(&catalog, indicator, &question.subject));
    Ok(sizes.min().map_or(0, bits_for))
}

/// Tagged subjects of an indicator's identifier; nothing for a data set that will not answer.
fn tagged_in(catalog: &[NodeCatalog], indicator: &sallyport_trust::question::Indicator, subject: &str) -> Option<u64> {
    catalog
        .iter()
        .filter(|node| node.outcome() == Outcome::Answered)
        .flat_map(|node| &node.datasets)
        .find(|dataset| dataset.name == indicator.dataset)?
        .identifiers
        .iter()
        .filter(|identifier| identifier.r#type == subject)
        .filter(|identifier| indicator.identifier.is_empty() || identifier.name == indicator.identifier)
        .map(|identifier| identifier.tagged)
        .min()
}

fn bits_for(subjects: u64) -> u32 {
    (subjects / HIDDEN_AMONG_AIM).checked_ilog2().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_leaves_enough_subjects_of_the_smallest_data_set() {
        for subjects in [0, 1, 99, 256, 511, 512, 6_000, 1_000_000, 10_000_000] {
            let bits = bits_for(subjects);
            assert!(bits == 0 || subjects >> bits >= HIDDEN_AMONG_AIM, "{subjects}");
        }
        assert_eq!(bits_for(1_000_000), 11);
    }
}
