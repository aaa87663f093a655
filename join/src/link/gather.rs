//! Adds up what the meetings of a link say about everyone who is ranked.
//!
//! Bounded: beyond a number of ranked ones, or of pairs, new ones are cut and counted.

use std::collections::{HashMap, hash_map::Entry};

use super::{LinkPiece, merge::Meeting};

/// Ranked ones that are kept, at most.
pub const RANKED_MAX: usize = 1_000_000;
/// Pairs of ranked ones and others that are kept, at most.
pub const PAIRS_MAX: usize = 1_000_000;
/// Different places of one pair that are counted, at most.
pub const PLACES_MAX: u32 = 64;

/// Whom the link's second party is about, and what adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// Pairs of events.
    Events,
    /// Different ones at the first party whom the ranked one met, each as far as both parties' events
    /// are evidence: what one of them takes for ordinary counts for little, however many do it.
    Others,
    /// Different circumstances that the two have in common.
    Circumstances,
    /// Different places at which the ranked one met the same one at the first party: of all whom it met,
    /// the one that it met at the most. Nobody meets itself.
    Places {
        /// Fewer are no evidence.
        least: u32,
    },
}

/// What is known of one ranked one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Linked {
    /// Sum of the first party's strengths over what is counted, in thousandths; for
    /// [`Counting::Others`], of both parties' together; for [`Counting::Places`], 1,000 for each.
    pub anchor_sum: u64,
    /// Sum of the second party's strengths over what is counted, in thousandths; likewise.
    pub follower_sum: u64,
    /// Pairs of events for [`Counting::Events`], and otherwise what was counted.
    pub count: u64,
    /// The second party's strongest event, in thousandths.
    pub strongest: u16,
    /// Days since 1970-01-01 of the second party's newest event.
    pub newest_day: u16,
}

/// What is known of a pair that meets.
#[derive(Default)]
struct Met {
    places: Vec<u16>,
    newest_day: u16,
}

/// The sums so far.
pub struct Gather {
    counting: Counting,
    ranked: HashMap<u128, Linked>,
    /// The strongest meeting of each pair, in thousandths: the product of both strengths.
    pairs: HashMap<(u128, u64), u16>,
    /// For [`Counting::Places`].
    met: HashMap<(u128, u64), Met>,
    cut: u64,
}

impl Gather {
    /// Nothing yet.
    pub fn new(counting: Counting) -> Self {
        Self { counting, ranked: HashMap::new(), pairs: HashMap::new(), met: HashMap::new(), cut: 0 }
    }

    /// Takes what two parties sent under one key.
    pub fn take(&mut self, meeting: &Meeting<'_>) {
        let [anchors, followers] = meeting.parties else { return };
        let strongest = anchors.iter().map(|piece| piece.evidence.strength_thousandths).max().unwrap_or(0);
        for follower in followers {
            let evidence = follower.evidence;
            let Some(linked) = slot(&mut self.ranked, follower.reference, RANKED_MAX) else {
                self.cut += 1;
                continue;
            };
            linked.strongest = linked.strongest.max(evidence.strength_thousandths);
            linked.newest_day = linked.newest_day.max(evidence.newest_day);
            match self.counting {
                Counting::Events => {
                    let events: u64 = anchors.iter().map(|anchor| u64::from(anchor.evidence.events)).sum();
                    linked.count = linked.count.saturating_add(events * u64::from(evidence.events));
                }
                Counting::Circumstances => {
                    linked.count += 1;
                    linked.anchor_sum += u64::from(strongest);
                    linked.follower_sum += u64::from(evidence.strength_thousandths);
                }
                Counting::Places { .. } => anchors.iter().for_each(|anchor| self.meet(follower, anchor)),
                Counting::Others => {
                    for anchor in anchors {
                        let Some(best) = slot(&mut self.pairs, pair(follower, anchor), PAIRS_MAX) else {
                            self.cut += 1;
                            continue;
                        };
                        *best = (*best).max(joint(anchor.evidence.strength_thousandths, evidence.strength_thousandths));
                    }
                }
            }
        }
    }

    fn meet(&mut self, follower: &LinkPiece, anchor: &LinkPiece) {
        if anchor.reference == follower.reference {
            return;
        }
        let Some(met) = slot(&mut self.met, pair(follower, anchor), PAIRS_MAX) else {
            self.cut += 1;
            return;
        };
        met.newest_day = met.newest_day.max(follower.evidence.newest_day);
        let place = follower.evidence.fields;
        if met.places.len() < PLACES_MAX as usize && !met.places.contains(&place) {
            met.places.push(place);
        }
    }

    /// Everyone who is ranked, and how much was cut because there were too many.
    pub fn finish(mut self) -> (HashMap<u128, Linked>, u64) {
        for ((reference, _), strength) in self.pairs {
            if let Some(linked) = self.ranked.get_mut(&reference) {
                linked.count += 1;
                linked.anchor_sum += u64::from(strength);
                linked.follower_sum += u64::from(strength);
            }
        }
        if let Counting::Places { least } = self.counting {
            let enough = self.met.into_iter().filter(|(_, met)| met.places.len() >= least as usize);
            for ((reference, _), met) in enough {
                best_met(self.ranked.entry(reference).or_default(), &met);
            }
        }
        self.ranked.retain(|_, linked| linked.count > 0);
        (self.ranked, self.cut)
    }
}

/// Half of a reference tells others apart but for a chance of 2⁻⁶⁴ a pair.
fn pair(follower: &LinkPiece, anchor: &LinkPiece) -> (u128, u64) {
    (follower.reference, anchor.reference as u64)
}

/// Takes a pair that met at more places than those before.
fn best_met(linked: &mut Linked, met: &Met) {
    let count = met.places.len() as u64;
    if (count, met.newest_day) > (linked.count, linked.newest_day) {
        let sum = count * 1_000;
        let newest_day = met.newest_day;
        *linked = Linked { anchor_sum: sum, follower_sum: sum, count, strongest: 1_000, newest_day };
    }
}

/// Thousandths of thousandths, rounded.
fn joint(anchor: u16, follower: u16) -> u16 {
    ((u32::from(anchor) * u32::from(follower) + 500) / 1_000).min(u32::from(u16::MAX)) as u16
}

fn slot<K: std::hash::Hash + Eq, V: Default>(map: &mut HashMap<K, V>, key: K, most: usize) -> Option<&mut V> {
    let full = map.len() >= most;
    match map.entry(key) {
        Entry::Occupied(entry) => Some(entry.into_mut()),
        Entry::Vacant(_) if full => None,
        Entry::Vacant(entry) => Some(entry.insert(V::default())),
    }
}
