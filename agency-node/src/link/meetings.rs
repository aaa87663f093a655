//! Places as circumstances: everyone who was in a cell at a minute; on the side that is related to, in the
//! cells around it too, so that two who are just across from each other meet, and meet once.

use std::sync::Arc;

use sallyport_join::link::{LinkEvidence, seal::LinkKeys};
use sallyport_trust::{
    error::Refusal,
    policy::Permit,
    question::{LinkPart, OpenedQuestion},
};

use super::{CIRCUMSTANCES_MAX, Circumstance, Found, MINUTE_MS, Whom, added, day, too_many};
use crate::{
    holdings::{CELL, EventScan, Events, NEVER, NOBODY, Scan},
    identifier::IdentifierType,
    linkage::epochs::Agreed,
    node::Node,
};

/// A cell and those next to it.
const NEAR: usize = 7;

/// Reads who was where and when.
pub(super) async fn found(
    node: &Arc<Node>,
    agreed: &Agreed,
    question: &OpenedQuestion,
    part: &LinkPart,
    whom: &Whom<'_>,
    permit: &Permit,
) -> Result<Found, Refusal> {
    let indicator = &part.indicator;
    if node.holdings.dataset(&indicator.dataset)?.place.is_none() {
        let message = format!("`{}` does not say where its rows were; ask another data set.", indicator.dataset);
        return Err(Refusal::bad_input("place_missing", message));
    }
    let scan = Scan {
        identifier: &whom.identifier.name,
        window: question.header.window.and(indicator.window),
        filter: &indicator.filter,
        within: whom.within.as_deref(),
        strength_of: None,
    };
    let wanted = EventScan { scan, contact: Some(CELL), both_ways: false, of: None };
    let events = node.holdings.events(permit, &indicator.dataset, &wanted).await?;
    let newest_ms = events.moments_ms.iter().copied().max().filter(|&moment| moment != NEVER);
    let keys = LinkKeys::derive(&agreed.secret, &question.id.0, part.link);
    let (node, follower) = (node.clone(), part.follower);
    let work = tokio::task::spawn_blocking(move || {
        let seen = seen(&events);
        let rows = seen.iter().map(|circumstance| u64::from(circumstance.evidence.events)).sum();
        if !follower && seen.len() > CIRCUMSTANCES_MAX / NEAR {
            return Err(too_many());
        }
        Ok((at_places(&node, &keys, &seen, follower), rows))
    });
    let (circumstances, rows) = work.await.map_err(|error| Refusal::internal("relation_failed", &error))??;
    let about = whom.identifier.kind;
    Ok(Found { circumstances, keyed: IdentifierType::Cell, about, rows, newest_ms, unrecorded: None })
}

/// Who was in which cell at which minute, each once, cell by cell.
fn seen(events: &Events) -> Vec<Circumstance> {
    let mut seen: Vec<Circumstance> = (0..events.len())
        .filter(|&event| events.contact(event) != NOBODY)
        .filter_map(|event| {
            let moment_ms = events.moments_ms[event];
            Some(Circumstance {
                keyed: events.contact(event),
                minute: Some(u32::try_from(moment_ms.div_euclid(MINUTE_MS)).ok()?),
                about: events.subjects[event],
                evidence: LinkEvidence {
                    strength_thousandths: 1_000,
                    newest_day: day(moment_ms),
                    events: 1,
                    ..LinkEvidence::default()
                },
            })
        })
        .collect();
    let same = |seen: &Circumstance| (seen.keyed, seen.minute, seen.about);
    seen.sort_unstable_by_key(same);
    seen.dedup_by(|again, kept| {
        let repeated = same(again) == same(kept);
        if repeated {
            kept.evidence = added(kept.evidence, again.evidence);
        }
        repeated
    });
    seen
}

/// The circumstances under the cells where they are to be met, with what the place is called.
fn at_places(node: &Node, keys: &LinkKeys, seen: &[Circumstance], follower: bool) -> Vec<Circumstance> {
    let mut found = Vec::with_capacity(seen.len() * if follower { 1 } else { NEAR });
    for in_cell in seen.chunk_by(|one, next| one.keyed == next.keyed) {
        let cell = in_cell[0].keyed;
        let mut near = node.holdings.cells_near(cell);
        near.retain(|(number, _)| !follower || *number == cell);
        let names = keys.places(near.iter().map(|(_, place)| *place));
        for (&(keyed, _), name) in near.iter().zip(names) {
            found.extend(in_cell.iter().map(|one| Circumstance {
                keyed,
                evidence: LinkEvidence { fields: name, ..one.evidence },
                ..*one
            }));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_stays_is_seen_once_a_minute_and_nobody_without_place_or_time() {
        let events = Events {
            subjects: vec![4, 4, 4, 5, 6, 7],
            contacts: vec![9, 9, 9, 9, NOBODY, 9],
            moments_ms: vec![60_000, 119_999, 120_000, 60_000, 60_000, NEVER],
            values: Vec::new(),
        };
        let seen = seen(&events);
        let told: Vec<_> = seen.iter().map(|one| (one.keyed, one.minute, one.about, one.evidence.events)).collect();
        assert_eq!(told, [(9, Some(1), 4, 2), (9, Some(1), 5, 1), (9, Some(2), 4, 1)]);
    }
}
