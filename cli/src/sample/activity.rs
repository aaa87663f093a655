//! How often each of a population is active: most a few times, some often, a few very often.
//!
//! A pattern of 1,000 people is repeated over the population, so the total is known before the first
//! row, and the person behind an event is found by arithmetic: no list of people is kept in memory.

/// People in one pattern.
pub(super) const PATTERN: u64 = 1_000;

/// So many people (of [`PATTERN`]) are active from `least` to `most` times, more of them near `least`.
pub(super) struct Band {
    pub(super) people: u64,
    pub(super) least: u64,
    pub(super) most: u64,
}

/// The activity of a population.
pub(super) struct Activity {
    population: u64,
    /// For each event within a pattern, the person in the pattern.
    person_of_event: Vec<u16>,
    /// Events of all people before each one in the pattern.
    events_before: Vec<u64>,
}

impl Activity {
    /// The activity of `population` people. The first `quiet` of each pattern are active 1 to
    /// `quiet_most` times; the bands share out the rest in order, the last one takes what is left.
    pub(super) fn new(population: u64, quiet: u64, quiet_most: u64, bands: &[Band]) -> Self {
        let mut times: Vec<u64> = (0..quiet).map(|i| 1 + i % quiet_most.max(1)).collect();
        for band in bands {
            let spread = band.most - band.least;
            let square = (band.people * band.people).max(1);
            times.extend((0..band.people).map(|i| band.least + (spread + 1) * i * i / square));
        }
        let most = bands.last().map_or(1, |band| band.most);
        times.resize(PATTERN as usize, most);

        let mut person_of_event = Vec::new();
        let mut events_before = vec![0];
        for (person, times) in times.iter().enumerate() {
            person_of_event.extend((0..*times).map(|_| person as u16));
            events_before.push(person_of_event.len() as u64);
        }
        Self { population, person_of_event, events_before }
    }

    /// Events of the whole population.
    pub(super) fn total(&self) -> u64 {
        let rest = self.events_before[(self.population % PATTERN) as usize];
        self.population / PATTERN * self.person_of_event.len() as u64 + rest
    }

    /// The person behind event `event` (below [`Activity::total`]).
    pub(super) fn person(&self, event: u64) -> u64 {
        let events = self.person_of_event.len() as u64;
        event / events * PATTERN + u64::from(self.person_of_event[(event % events) as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BANDS: [Band; 2] = [Band { people: 600, least: 1, most: 3 }, Band { people: 300, least: 4, most: 40 }];

    #[test]
    fn every_person_of_any_population_is_active_within_the_bands() {
        for population in [1, 50, 999, 1_000, 1_001, 2_345] {
            let activity = Activity::new(population, 100, 5, &BANDS);
            let mut times = vec![0u64; population as usize];
            for event in 0..activity.total() {
                times[activity.person(event) as usize] += 1;
            }
            for (person, times) in times.iter().enumerate() {
                let allowed = match person as u64 % PATTERN {
                    0..100 => 1..=5,
                    100..700 => 1..=3,
                    _ => 4..=40,
                };
                assert!(allowed.contains(times), "person {person}: {times}");
            }
        }
    }
}
