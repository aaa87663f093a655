//! The relations of a question: each is merged from the streams of its two sides before anything is
//! ranked.

use std::collections::HashMap;

use bytes::Bytes;
use sallyport_join::{
    link::{
        LINK_ROW_BYTES,
        gather::{Counting, Gather, Linked},
        merge::LinkMerger,
    },
    merge::{Found, LinkedEvidence, Merged, Piece, Step},
    score,
};
use sallyport_proto::common::v1::Outcome;
use sallyport_trust::{
    error::{Kind, Refusal},
    question::{LinkPart, OpenedIndicator, OpenedQuestion, RelationKind, saturating},
};
use tokio::time::Instant;

use crate::streams::{ContributorStream, Next, broken_format, patience};

const DAY_MS: i64 = 86_400_000;
/// Rows of one circumstance and one side that are looked at, at most.
const ROWS_OF_A_KEY_MAX: usize = 1_024;

/// What came of one relation.
pub(crate) struct Link {
    pub(crate) anchor: LinkPart,
    pub(crate) follower: LinkPart,
    /// By plain join key of whoever is ranked; empty when a side did not answer.
    pub(crate) linked: HashMap<u128, Linked>,
    pub(crate) rows: u64,
    pub(crate) unopened: u64,
}

/// Merges every relation, one after the other, from the streams of its sides.
pub(crate) async fn merge_all(
    question: &OpenedQuestion,
    streams: &mut [ContributorStream],
    soft: Instant,
    hard: Instant,
) -> Vec<Link> {
    let mut links = Vec::new();
    for number in 0u8.. {
        let Some(sides) = sides(question, streams, number) else { break };
        let link = merge(question, streams, sides, soft, hard).await;
        links.push(link);
    }
    links
}

/// Places among the streams, and parts, of a relation's anchor and follower.
type Sides = [(usize, LinkPart); 2];

fn sides(question: &OpenedQuestion, streams: &[ContributorStream], number: u8) -> Option<Sides> {
    let side = |follower: bool| {
        streams.iter().enumerate().find_map(|(place, stream)| match question.indicators.get(&stream.part) {
            Some(OpenedIndicator::Link(part)) if part.link == number && part.follower == follower => {
                Some((place, part.clone()))
            }
            _ => None,
        })
    };
    Some([side(false)?, side(true)?])
}

async fn merge(
    question: &OpenedQuestion,
    streams: &mut [ContributorStream],
    [(anchor_place, anchor), (follower_place, follower)]: Sides,
    soft: Instant,
    hard: Instant,
) -> Link {
    let places = [anchor_place, follower_place];
    let point = |place: usize| question.header.commitments[streams[place].part].share_point;
    let mut merger: LinkMerger<Bytes> =
        LinkMerger::new(&[point(anchor_place), point(follower_place)], ROWS_OF_A_KEY_MAX);
    let mut gather = Gather::new(counting(&follower));
    let answered = loop {
        if places.iter().any(|&place| streams[place].coverage.outcome() != Outcome::Answered) {
            break false;
        }
        match merger.advance(|meeting| gather.take(&meeting)) {
            Step::Done => break true,
            Step::Failed(side, fault) => streams[places[side]].fail(&broken_format(&fault.to_string())),
            Step::Needs(side) => match streams[places[side]].next(LINK_ROW_BYTES, patience(soft, hard)).await {
                Next::Rows(rows) => {
                    if let Err(fault) = merger.push(side, rows) {
                        streams[places[side]].fail(&broken_format(&fault.to_string()));
                    }
                }
                Next::End => merger.finish(side),
                Next::Broken => {}
            },
        }
    };
    let (linked, cut) = gather.finish();
    tell_what_is_missing(streams, places, answered, cut + merger.skipped());
    Link {
        anchor,
        follower,
        linked: if answered { linked } else { HashMap::new() },
        rows: merger.rows(),
        unopened: merger.unopened(),
    }
}

fn counting(follower: &LinkPart) -> Counting {
    match follower.kind {
        RelationKind::CommonContacts { .. } => Counting::Circumstances,
        RelationKind::SamePlace { places, .. } => Counting::Places { least: places },
        RelationKind::InTime { .. } if follower.rank_contacts => Counting::Others,
        RelationKind::InTime { .. } => Counting::Events,
    }
}

fn tell_what_is_missing(streams: &mut [ContributorStream], places: [usize; 2], answered: bool, cut: u64) {
    let follower = places[1];
    if cut > 0 {
        let more = format!("{cut} meetings more than can be kept were left out; narrow the question. ");
        streams[follower].coverage.explanation.insert_str(0, &more);
    }
    if answered {
        return;
    }
    // What still answers is dropped: it says nothing without its other side.
    for place in places {
        if streams[place].coverage.outcome() == Outcome::Answered {
            streams[place].fail(&Refusal::new(
                Kind::Unavailable,
                "relation_unanswered",
                "What this stands in relation to was not answered, so it gives no evidence.",
            ));
        }
    }
}

impl Link {
    /// What the follower's plain rows mean in the light of the relation.
    pub(crate) fn evidence(&self, question: &OpenedQuestion) -> HashMap<u128, LinkedEvidence> {
        let header = &question.header;
        let window = header.window.and(self.follower.indicator.window);
        let as_of_ms = window.until_ms.unwrap_or(header.issued_at_ms);
        let strength = |linked: &Linked| {
            let newest_ms = (linked.newest_day > 0).then(|| i64::from(linked.newest_day) * DAY_MS);
            self.follower.indicator.measure.strength(linked.count, newest_ms, as_of_ms, linked.strongest)
        };
        let evidence = self.linked.iter().map(|(reference, linked)| {
            let evidence = LinkedEvidence { strength_thousandths: strength(linked), newest_day: linked.newest_day };
            (*reference, evidence)
        });
        evidence.collect()
    }

    /// The best, when the relation alone ranks: whoever it ranks is held by its two data sets, and by
    /// no more.
    pub(crate) fn ranked(&self, threshold: u32, top: u32) -> Merged {
        let enough = self.linked.iter().filter(|_| threshold <= 2);
        let mut best: Vec<Found> = enough.map(|(&key, linked)| self.found(key, linked)).collect();
        let subjects_matched = best.len() as u64;
        best.sort_unstable_by(|a, b| b.sum_of_squares.cmp(&a.sum_of_squares).then(a.key.cmp(&b.key)));
        best.truncate(top as usize);
        Merged { best, subjects_matched, rows: self.rows, unopened: self.unopened, incomplete: false }
    }

    fn found(&self, key: u128, linked: &Linked) -> Found {
        let piece = |part: &LinkPart, sum: u64, newest_day: u16| Piece {
            indicator: part.position,
            strength_thousandths: saturating(sum, part.half_at),
            newest_day,
        };
        let pieces = vec![
            piece(&self.anchor, linked.anchor_sum, 0),
            piece(&self.follower, linked.follower_sum, linked.newest_day),
        ];
        let weights = [&self.anchor, &self.follower].map(|part| part.indicator.weight_thousandths);
        let squares =
            pieces.iter().zip(weights).map(|(piece, weight)| score::square(weight, piece.strength_thousandths));
        Found { key, sum_of_squares: squares.sum(), pieces }
    }
}

/// The band in which a number is told: 1, 2 to 4, 5 to 9, 10 to 19, 20 to 49, 50 to 99, 100 and more.
pub(crate) fn band(number: u64) -> sallyport_proto::gateway::v1::Band {
    const STARTS: [u64; 7] = [1, 2, 5, 10, 20, 50, 100];
    let place = STARTS.iter().rposition(|&start| start <= number).unwrap_or(0);
    let at_most = STARTS.get(place + 1).map_or(0, |next| next - 1);
    sallyport_proto::gateway::v1::Band { at_least: STARTS[place], at_most }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_told_by_its_band() {
        let told = |number| {
            let band = band(number);
            (band.at_least, band.at_most)
        };
        assert_eq!([1, 4, 5, 99, 100, 10_000].map(told), [(1, 1), (2, 4), (5, 9), (50, 99), (100, 0), (100, 0)]);
    }
}
