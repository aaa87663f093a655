//! What is out of the ordinary for a subject, by its own history. Pure: no I/O, no clock.
//!
//! Every measure compares the events of the window with those of the *baseline*, the days before it,
//! and gives evidence in [0, 1]. A subject with little history gives little evidence: nobody is unusual
//! for being unknown. Time that was not recorded is no time: neither quiet nor usual.
//!
//! - **novelty** of an event with contact o: `h(N) / (1 + n_o)`, where n_o are the subject's baseline
//!   contacts with o, N all of them, and `h(N) = N / (N + 5)`.
//! - **rarity** of an event's value v: `min(1, −log2 p(v) / 10)` with
//!   `p(v) = (n_v + 10·q(v)) / (N + 10)`, the subject's own histogram smoothed by that of all subjects
//!   q(v) (Dirichlet prior; Gelman et al., Bayesian Data Analysis, 3rd ed., section 3.4). With no
//!   history it is the surprise of the population; 10 bits, one in 1,024, are full strength.
//! - **burst** and **silence** of n events: `max(0, 1 − 2·P(X ≥ n))` and `max(0, 1 − 2·P(X ≤ n))`, where X
//!   is the number that the subject's own rate predicts: a Poisson rate under a Gamma prior with the
//!   population's mean, so X is negative binomial (ibid., section 2.6).
//! - **regularity**: `m/(m + 5) / (1 + cv²)` for m ≥ 3 times between events with the coefficient of
//!   variation cv (Goh and Barabási, EPL 81, 2008, use the same quantity).

mod prediction;
#[cfg(test)]
mod tests;

use sallyport_trust::question::Measure;

use crate::holdings::{Events, NEVER, NOBODY};
use prediction::Predicted;

/// Baseline events, or times between events, at which half of the evidence is given.
const HISTORY_HALF: f64 = 5.0;
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

/// Measures everyone. Events without a time are of no use here.
pub(crate) fn behaviour(events: &Events, measure: &Measure, periods: &Periods) -> Behaviour {
    let grouped = Grouped::by_subject(events);
    let population = Population::of(events, &grouped, measure, periods);
    let mut behaviour = Behaviour { of_events: vec![0; events.len()], of_subjects: Vec::new() };
    let mut scratch = Vec::new();
    for subject in 0..grouped.subjects() {
        let own = grouped.of(subject);
        let baseline_events = own.partition_point(|&event| events.moments_ms[event as usize] < periods.window_from_ms);
        let (baseline, window) = own.split_at(baseline_events);
        let Some(&newest) = own.last() else { continue };
        let strength = match measure {
            Measure::Novelty { .. } => novelty(events, baseline, window, &mut scratch, &mut behaviour.of_events),
            Measure::Rarity { .. } => {
                rarity(events, baseline, window, &population, &mut scratch, &mut behaviour.of_events)
            }
            Measure::Burst { .. } => population.predict(baseline.len(), periods).burst(window.len()),
            Measure::Silence { .. } if baseline.is_empty() => 0.0,
            Measure::Silence { .. } => population.predict(baseline.len(), periods).silence(window.len()),
            _ => regularity(events, window),
        };
        let strength = thousandths(strength);
        if strength > 0 || !window.is_empty() {
            behaviour.of_subjects.push(Behaving {
                subject,
                strength,
                events: window.len() as u32,
                newest_ms: events.moments_ms[newest as usize],
            });
        }
    }
    behaviour
}

fn thousandths(share: f64) -> u16 {
    (share * 1_000.0).round().clamp(0.0, 1_000.0) as u16
}

/// Events by subject, each subject's in order of time.
struct Grouped {
    starts: Vec<u32>,
    order: Vec<u32>,
}

impl Grouped {
    fn by_subject(events: &Events) -> Self {
        let subjects = events.subjects.iter().max().map_or(0, |&most| most as usize + 1);
        let timed = |event: usize| events.moments_ms[event] != NEVER;
        let mut starts = vec![0u32; subjects + 1];
        for (event, &subject) in events.subjects.iter().enumerate() {
            starts[subject as usize + 1] += u32::from(timed(event));
        }
        for subject in 0..subjects {
            starts[subject + 1] += starts[subject];
        }
        let mut next = starts.clone();
        let mut order = vec![0u32; starts[subjects] as usize];
        for (event, &subject) in events.subjects.iter().enumerate().filter(|&(event, _)| timed(event)) {
            let place = &mut next[subject as usize];
            order[*place as usize] = event as u32;
            *place += 1;
        }
        for subject in 0..subjects {
            let own = &mut order[starts[subject] as usize..starts[subject + 1] as usize];
            if !own.is_sorted_by_key(|&event| events.moments_ms[event as usize]) {
                own.sort_unstable_by_key(|&event| events.moments_ms[event as usize]);
            }
        }
        Self { starts, order }
    }

    fn subjects(&self) -> u32 {
        self.starts.len() as u32 - 1
    }

    fn of(&self, subject: u32) -> &[u32] {
        let subject = subject as usize;
        &self.order[self.starts[subject] as usize..self.starts[subject + 1] as usize]
    }
}

/// What is usual for everyone.
struct Population {
    /// Share of each value in the baseline, smoothed.
    shares: Vec<f64>,
    /// Events of a subject for each recorded millisecond of the baseline.
    rate: f64,
}

impl Population {
    fn of(events: &Events, grouped: &Grouped, measure: &Measure, periods: &Periods) -> Self {
        let mut subjects = 0.0;
        let mut baseline_events = 0.0;
        let values = events.values.iter().max().map_or(0, |&most| most as usize + 1);
        let mut counts = vec![0u64; if matches!(measure, Measure::Rarity { .. }) { values } else { 0 }];
        for subject in 0..grouped.subjects() {
            let own = grouped.of(subject);
            subjects += f64::from(u8::from(!own.is_empty()));
            for &event in own.iter().take_while(|&&e| events.moments_ms[e as usize] < periods.window_from_ms) {
                baseline_events += 1.0;
                if let Some(count) = events.values.get(event as usize).and_then(|&v| counts.get_mut(v as usize)) {
                    *count += 1;
                }
            }
        }
        let all = counts.iter().sum::<u64>() as f64 + counts.len() as f64;
        Self {
            shares: counts.iter().map(|&count| (count as f64 + 1.0) / all).collect(),
            rate: baseline_events / (subjects * periods.baseline_recorded_ms as f64).max(1.0),
        }
    }

    fn predict(&self, baseline_events: usize, periods: &Periods) -> Predicted {
        Predicted::new(
            baseline_events as f64,
            periods.baseline_recorded_ms as f64,
            periods.window_recorded_ms as f64,
            self.rate,
        )
    }
}

fn novelty(events: &Events, baseline: &[u32], window: &[u32], usual: &mut Vec<u32>, of_events: &mut [u16]) -> f64 {
    usual.clear();
    usual.extend(baseline.iter().map(|&event| events.contact(event as usize)).filter(|&contact| contact != NOBODY));
    usual.sort_unstable();
    let history = usual.len() as f64 / (usual.len() as f64 + HISTORY_HALF);
    let mut strongest = 0.0f64;
    for &event in window {
        let contact = events.contact(event as usize);
        if contact == NOBODY {
            continue;
        }
        let known = usual.partition_point(|&other| other <= contact) - usual.partition_point(|&other| other < contact);
        let strength = history / (1.0 + known as f64);
        of_events[event as usize] = thousandths(strength);
        strongest = strongest.max(strength);
    }
    strongest
}

fn rarity(
    events: &Events,
    baseline: &[u32],
    window: &[u32],
    population: &Population,
    own: &mut Vec<u32>,
    of_events: &mut [u16],
) -> f64 {
    let value = |event: u32| events.values.get(event as usize).copied().unwrap_or_default();
    own.clear();
    own.extend(baseline.iter().map(|&event| value(event)));
    own.sort_unstable();
    let mut strongest = 0.0f64;
    for &event in window {
        let value = value(event);
        let seen = own.partition_point(|&other| other <= value) - own.partition_point(|&other| other < value);
        let usual = population.shares.get(value as usize).copied().unwrap_or_default();
        let share = (seen as f64 + PRIOR_EVENTS * usual) / (own.len() as f64 + PRIOR_EVENTS);
        let strength = (-share.log2() / SURPRISE_BITS).clamp(0.0, 1.0);
        of_events[event as usize] = thousandths(strength);
        strongest = strongest.max(strength);
    }
    strongest
}

fn regularity(events: &Events, window: &[u32]) -> f64 {
    let intervals: Vec<f64> = window
        .windows(2)
        .map(|pair| (events.moments_ms[pair[1] as usize] - events.moments_ms[pair[0] as usize]) as f64)
        .collect();
    let count = intervals.len() as f64;
    let mean = intervals.iter().sum::<f64>() / count;
    if intervals.len() < INTERVALS_MIN || mean <= 0.0 {
        return 0.0;
    }
    let variance = intervals.iter().map(|interval| (interval - mean).powi(2)).sum::<f64>() / count;
    count / (count + HISTORY_HALF) / (1.0 + variance / (mean * mean))
}
