//! What is out of the ordinary for a subject, by its own history. Pure: no I/O, no clock.
//!
//! Every measure compares the events of the window with those of the *baseline*, the days before it,
//! and gives evidence in [0, 1]. A subject with little history gives little evidence: nobody is unusual
//! for being unknown. Time that was not recorded is no time: neither quiet nor usual.
//!
//! - **novelty** of an event with contact o: `h(N) · 2^(−n_o) · 5/(5 + E_o)`.
//!   N are the subject's baseline contacts and `h(N) = N / (N + 5)`. Of them n_o are with o:
//!   `2^(−n_o)` is the chance, against that of a contact never seen, that another baseline as long
//!   would be without o (a Poisson rate under a Gamma prior; Gelman et al., Bayesian Data Analysis, 3rd
//!   ed., section 2.6), so what was seen ten times is not new at all, however many do it. E_o is how
//!   many subjects take up o in a time as long as the window, as the baseline has it: sums over subjects
//!   are then observed against expected, shrunk (DuMouchel, Am. Stat. 53, 1999), and a number that
//!   everybody calls one day or other is no news.
//! - **rarity** of an event's value v: `min(1, −log2 p(v) / 10)` with
//!   `p(v) = (n_v + 10·q(v)) / (N + 10)`, the subject's own histogram smoothed by that of all subjects
//!   q(v) (Dirichlet prior; ibid., section 3.4). With no
//!   history it is the surprise of the population; 10 bits, one in 1,024, are full strength.
//! - **burst** and **silence** of n events: `max(0, 1 − 2·P(X ≥ n))` and `max(0, 1 − 2·P(X ≤ n))`, where X
//!   is the number that the subject's own rate predicts: a Poisson rate under a Gamma prior with the
//!   population's mean, so X is negative binomial (ibid., section 2.6).
//! - **regularity**: `m/(m + 5) / (1 + cv²)` for m ≥ 3 times between events with the coefficient of
//!   variation cv (Goh and Barabási, EPL 81, 2008, use the same quantity).

mod grouped;
mod prediction;
#[cfg(test)]
mod tests;

use std::ops::Range;

use sallyport_trust::question::Measure;

use crate::holdings::{Events, NOBODY};
use grouped::Grouped;
use prediction::Predicted;

/// Baseline events, or times between events, at which half of the evidence is given.
const HISTORY_HALF: f64 = 5.0;
/// Subjects expected to take up a contact, at which half of the evidence is left.
const EXPECTED_HALF: f64 = 5.0;
/// Events that the population's histogram stands for.
const PRIOR_EVENTS: f64 = 10.0;
/// Surprise that is full strength.
const SURPRISE_BITS: f64 = 10.0;
/// Fewer times between events than these say nothing of regularity.
const INTERVALS_MIN: usize = 3;

/// Which time is which.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Periods {
    /// Events from this moment on are judged; those before are the baseline. Milliseconds since 1970.
    pub(crate) window_from_ms: i64,
    /// Milliseconds of the baseline that were recorded.
    pub(crate) baseline_recorded_ms: i64,
    /// Milliseconds of the window that were recorded.
    pub(crate) window_recorded_ms: i64,
}

/// One subject's behaviour in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behaving {
    pub(crate) subject: u32,
    /// Thousandths.
    pub(crate) strength: u16,
    /// Events in the window.
    pub(crate) events: u32,
    /// The newest event, in the window if there is one.
    pub(crate) newest_ms: i64,
}

/// What the measure says.
#[derive(Debug, Default)]
pub(crate) struct Behaviour {
    /// By event, thousandths; zero before the window, and for measures that are not of events.
    pub(crate) of_events: Vec<u16>,
    /// By subject, in order of their numbers; only those with evidence or with events in the window.
    pub(crate) of_subjects: Vec<Behaving>,
}

/// Measures everyone. Events come back with each subject's together, and in that order have their
/// strengths; those without a time are of no use here.
pub(crate) fn behaviour(events: Events, measure: &Measure, periods: &Periods) -> (Events, Behaviour) {
    let grouped = Grouped::new(events, periods.window_from_ms);
    let of_events = match measure {
        Measure::Novelty { .. } => novelty(&grouped, periods),
        Measure::Rarity { .. } => rarity(&grouped),
        _ => vec![0; grouped.events.len()],
    };
    let rate = population_rate(&grouped, periods);
    let (mut of_subjects, mut scratch) = (Vec::new(), Vec::new());
    for subject in 0..grouped.subjects() {
        let (baseline, window) = (grouped.baseline(subject), grouped.window(subject));
        let newest = |events: &Range<usize>| grouped.events.moments_ms[events.clone()].iter().copied().max();
        let Some(newest_ms) = newest(&window).or_else(|| newest(&baseline)) else { continue };
        let predict = || predicted(baseline.len(), periods, rate);
        let strength = match measure {
            Measure::Novelty { .. } | Measure::Rarity { .. } => {
                of_events[window.clone()].iter().copied().max().unwrap_or_default()
            }
            Measure::Burst { .. } => thousandths(predict().burst(window.len())),
            Measure::Silence { .. } if baseline.is_empty() => 0,
            Measure::Silence { .. } => thousandths(predict().silence(window.len())),
            _ => thousandths(regularity(&grouped.events.moments_ms[window.clone()], &mut scratch)),
        };
        if strength > 0 || !window.is_empty() {
            of_subjects.push(Behaving { subject, strength, events: window.len() as u32, newest_ms });
        }
    }
    (grouped.events, Behaviour { of_events, of_subjects })
}

fn thousandths(share: f64) -> u16 {
    (share * 1_000.0).round().clamp(0.0, 1_000.0) as u16
}

/// Events of a subject for each recorded millisecond of the baseline.
fn population_rate(grouped: &Grouped, periods: &Periods) -> f64 {
    let (mut subjects, mut baseline_events) = (0.0, 0.0);
    for subject in 0..grouped.subjects() {
        let baseline = grouped.baseline(subject).len();
        subjects += f64::from(u8::from(baseline + grouped.window(subject).len() > 0));
        baseline_events += baseline as f64;
    }
    baseline_events / (subjects * periods.baseline_recorded_ms as f64).max(1.0)
}

fn predicted(baseline_events: usize, periods: &Periods, rate: f64) -> Predicted {
    let (baseline_ms, window_ms) = (periods.baseline_recorded_ms as f64, periods.window_recorded_ms as f64);
    Predicted::new(baseline_events as f64, baseline_ms, window_ms, rate)
}

fn novelty(grouped: &Grouped, periods: &Periods) -> Vec<u16> {
    let contacts = &grouped.events.contacts;
    if contacts.is_empty() {
        return vec![0; grouped.events.len()];
    }
    let usual = grouped.baseline_sorted(contacts);
    let mut taken_up = vec![0u32; most(contacts.iter().filter(|&&contact| contact != NOBODY))];
    for subject in 0..grouped.subjects() {
        for own in usual[grouped.baseline(subject)].chunk_by(u32::eq) {
            if let Some(count) = taken_up.get_mut(own[0] as usize) {
                *count += 1;
            }
        }
    }
    let windows_in_baseline = periods.window_recorded_ms as f64 / periods.baseline_recorded_ms.max(1) as f64;
    let mut strengths = vec![0; contacts.len()];
    for subject in 0..grouped.subjects() {
        let usual = &usual[grouped.baseline(subject)];
        let usual = &usual[..usual.partition_point(|&contact| contact != NOBODY)];
        let history = usual.len() as f64 / (usual.len() as f64 + HISTORY_HALF);
        for event in grouped.window(subject).filter(|&event| contacts[event] != NOBODY) {
            let known = occurrences(usual, contacts[event]);
            let expected = f64::from(taken_up[contacts[event] as usize]) * windows_in_baseline;
            let chance = (-(known as f64)).exp2() * EXPECTED_HALF / (EXPECTED_HALF + expected);
            strengths[event] = thousandths(history * chance);
        }
    }
    strengths
}

fn rarity(grouped: &Grouped) -> Vec<u16> {
    let values = &grouped.events.values;
    let own = grouped.baseline_sorted(values);
    let mut counts = vec![0u32; most(values.iter())];
    for subject in 0..grouped.subjects() {
        own[grouped.baseline(subject)].iter().for_each(|&value| counts[value as usize] += 1);
    }
    let all = counts.iter().map(|&count| f64::from(count)).sum::<f64>() + counts.len() as f64;
    let usual: Vec<f64> = counts.iter().map(|&count| (f64::from(count) + 1.0) / all).collect();
    let mut strengths = vec![0; values.len()];
    for subject in 0..grouped.subjects() {
        let own = &own[grouped.baseline(subject)];
        for event in grouped.window(subject) {
            let seen = occurrences(own, values[event]) as f64;
            let share = (seen + PRIOR_EVENTS * usual[values[event] as usize]) / (own.len() as f64 + PRIOR_EVENTS);
            strengths[event] = thousandths(-share.log2() / SURPRISE_BITS);
        }
    }
    strengths
}

/// Places that an array by these numbers needs.
fn most<'a>(numbers: impl Iterator<Item = &'a u32>) -> usize {
    numbers.max().map_or(0, |&most| most as usize + 1)
}

/// How often a sorted list has `wanted`.
fn occurrences(sorted: &[u32], wanted: u32) -> usize {
    let from = &sorted[sorted.partition_point(|&number| number < wanted)..];
    from.partition_point(|&number| number == wanted)
}

fn regularity(moments_ms: &[i64], sorted: &mut Vec<i64>) -> f64 {
    let count = moments_ms.len().saturating_sub(1);
    if count < INTERVALS_MIN {
        return 0.0;
    }
    sorted.clear();
    sorted.extend_from_slice(moments_ms);
    sorted.sort_unstable();
    let intervals = || sorted.windows(2).map(|pair| (pair[1] - pair[0]) as f64);
    let (count, mean) = (count as f64, intervals().sum::<f64>() / count as f64);
    if mean <= 0.0 {
        return 0.0;
    }
    let variance = intervals().map(|interval| (interval - mean).powi(2)).sum::<f64>() / count;
    count / (count + HISTORY_HALF) / (1.0 + variance / (mean * mean))
}
