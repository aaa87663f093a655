//! Which leads teach something, and what is left of them: strengths, scores and whether they were right,
//! but no subject.

use std::collections::{BTreeMap, BTreeSet};

use super::Judged;
use crate::{
    event::{Outcome, Sighting},
    lead::Lead,
};

/// Leads as calibration sees them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// Data sets with evidence in any of the leads, by name: what weights are for.
    pub datasets: Vec<String>,
    /// Leads whose outcome tells right from wrong, by the moment of their outcome.
    pub judged: Vec<Judged>,
    /// Leads that are still open.
    pub open: usize,
    /// Leads that were closed with nothing that tells whether the match was right: not pursued, lawful,
    /// handed to somebody else.
    pub untold: usize,
    /// What raised them, with how many each.
    pub causes: BTreeMap<String, usize>,
}

impl Sample {
    /// What these leads teach.
    pub fn of<'a>(leads: impl IntoIterator<Item = &'a Lead>) -> Self {
        let leads: Vec<&Lead> = leads.into_iter().collect();
        let datasets: BTreeSet<&str> =
            leads.iter().flat_map(|lead| &lead.sighting.evidence).map(|piece| piece.dataset.as_str()).collect();
        let datasets: Vec<&str> = datasets.into_iter().collect();
        let mut sample = Self { datasets: datasets.iter().map(|name| (*name).to_owned()).collect(), ..Self::default() };
        let mut judged = Vec::new();
        for lead in leads {
            *sample.causes.entry(cause(&lead.sighting)).or_default() += 1;
            match lead.outcome.as_ref().and_then(Outcome::is_positive) {
                Some(positive) => {
                    judged.push((lead.round.ended_ms, &lead.id, seen(&lead.sighting, &datasets, positive)))
                }
                None if lead.state.is_open() => sample.open += 1,
                None => sample.untold += 1,
            }
        }
        judged.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        sample.judged = judged.into_iter().map(|(.., judged)| judged).collect();
        sample
    }

    /// How many of the judged leads were right.
    pub fn positive(&self) -> usize {
        self.judged.iter().filter(|judged| judged.positive).count()
    }
}

/// Of a data set's pieces the strongest counts: a data set is one voice.
fn seen(sighting: &Sighting, datasets: &[&str], positive: bool) -> Judged {
    let mut strengths = vec![0.0_f64; datasets.len()];
    for piece in &sighting.evidence {
        if let Ok(place) = datasets.binary_search(&piece.dataset.as_str()) {
            strengths[place] = strengths[place].max(f64::from(piece.strength_thousandths.min(1_000)) / 1e3);
        }
    }
    Judged { strengths, score: f64::from(sighting.qe_millionths) / 1e6, positive }
}

fn cause(sighting: &Sighting) -> String {
    match (&sighting.watch, &sighting.pattern) {
        (Some(watch), _) => format!("watch {watch}"),
        (None, Some(pattern)) => format!("pattern {pattern}"),
        (None, None) => "raised by hand".to_owned(),
    }
}
