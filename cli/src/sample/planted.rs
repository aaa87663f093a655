//! The subjects planted in the sample: what a good answer must find, and in which order.
//!
//! A planted subject is active in three data sets at once: crosses, calls and ships. Each one is
//! strictly more active than the next in all three, by steps that grow with the counts, so that under
//! the saturating frequency measure `n / (n + half)` the order of quality of evidence is the order of
//! planting, whatever `half` is, and no two neighbours lie closer than 0.002 at `half` = 10. Rows of
//! planted subjects are never repeated and their phones never unreadable: the counts are exact.

use std::io::Write;
use std::path::Path;

use super::SampleOptions;
use super::partial::PartialFile;
use super::people::People;
use super::random::Stream;
use super::{SampleError, TRUTH_PLANTED};

/// Most planted subjects there can be: beyond, the margins between neighbours would be too small.
pub(crate) const MAX_PLANTED: u32 = 50;

/// Activity of the last rank; every rank before it has more.
const LEAST: Counts = Counts { crossings: 20, calls: 40, shipments: 15 };

/// What an agency decided about a planted subject's case.
const STATUSES: [&str; 2] = ["Arrested", "Unpursued"];

/// How often a planted subject appears in each data set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    /// Border crossings.
    pub crossings: u32,
    /// Calls made.
    pub calls: u32,
    /// Shipments driven.
    pub shipments: u32,
}

/// One planted subject, as `truth/planted.csv` has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PlantedSubject {
    /// Place in the order that an answer must give, from 1.
    pub rank: u32,
    /// Phone in E.164.
    pub phone: String,
    /// Plate in canonical form, without its state.
    pub plate: String,
    /// How often it appears.
    pub counts: Counts,
    /// Status of its case: `Arrested` or `Unpursued`.
    pub status: &'static str,
}

/// The planted subjects in order of rank.
pub(super) fn subjects(options: &SampleOptions, people: &People) -> Vec<PlantedSubject> {
    let mut stream = Stream::new(options.seed, "planted");
    let counts = ladder(options.planted);
    let ranked = counts.into_iter().zip(1u32..);
    ranked
        .map(|(counts, rank)| {
            let person = people.planted(u64::from(rank - 1));
            PlantedSubject {
                rank,
                phone: people.phone(person).e164(),
                plate: people.plate(person).map(char::from).iter().collect(),
                counts,
                status: STATUSES[stream.below(2) as usize],
            }
        })
        .collect()
}

/// Counts of each rank, the most active first. A few subjects are set 8 % apart, many 4 %, so that the
/// first of 50 still has counts that a person can reach in half a year.
fn ladder(planted: u32) -> Vec<Counts> {
    let percent = if planted > 16 { 4 } else { 8 };
    let more = |count: u32| count + (count * percent).div_ceil(100).max(1);
    let climb = std::iter::successors(Some(LEAST), |last| {
        Some(Counts { crossings: more(last.crossings), calls: more(last.calls), shipments: more(last.shipments) })
    });
    let mut counts: Vec<Counts> = climb.take(planted as usize).collect();
    counts.reverse();
    counts
}

/// Writes `truth/planted.csv`.
pub(super) fn write(directory: &Path, subjects: &[PlantedSubject]) -> Result<(), SampleError> {
    let mut text = String::from("rank,phone,plate,crossings,calls,shipments,status\n");
    for subject in subjects {
        let Counts { crossings, calls, shipments } = subject.counts;
        let PlantedSubject { rank, phone, plate, status, .. } = subject;
        text += &format!("{rank},{phone},{plate},{crossings},{calls},{shipments},{status}\n");
    }
    let mut file = PartialFile::create(directory, TRUTH_PLANTED)?;
    file.write_all(text.as_bytes()).map_err(|source| file.error(source))?;
    file.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quality(counts: Counts, half: f64) -> f64 {
        let of = |n: u32| f64::from(n) / (f64::from(n) + half);
        let all = [counts.crossings, counts.calls, counts.shipments];
        all.iter().map(|n| of(*n).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn neighbours_lie_apart_however_many_are_planted() {
        for planted in 1..=MAX_PLANTED {
            let counts = ladder(planted);
            assert_eq!(counts.len(), planted as usize);
            assert_eq!(counts.last(), Some(&LEAST));
            for pair in counts.windows(2) {
                assert!(pair[0].crossings > pair[1].crossings);
                assert!(pair[0].calls > pair[1].calls);
                assert!(pair[0].shipments > pair[1].shipments);
                let margin = quality(pair[0], 10.0) - quality(pair[1], 10.0);
                assert!(margin > 0.002, "{planted} planted: {margin}");
            }
        }
    }
}
