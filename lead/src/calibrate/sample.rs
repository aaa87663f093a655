//! Which leads teach something, and what is left of them: strengths, scores and whether they were right,
//! but no subject.

use std::collections::{BTreeMap, BTreeSet};

use super::Judged;
use crate::{
    event::{Evidence, Outcome, Sighting},
    lead::Lead,
};

/// What of one lead may teach: little beside its history.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    cause: String,
    found: Found,
}

#[derive(Debug, Clone, PartialEq)]
enum Found {
    /// Whether the match was right, since when that is known, and what spoke for it.
    Told {
        positive: bool,
        at_ms: Option<i64>,
        evidence: Vec<Evidence>,
        qe_millionths: u32,
    },
    /// Closed with nothing that tells.
    Untold,
    Open,
}

impl Lesson {
    /// What this lead may teach.
    pub fn of(lead: &Lead) -> Self {
        let Sighting { evidence, qe_millionths, .. } = &lead.sighting;
        let found = match lead.outcome.as_ref().and_then(Outcome::is_positive) {
            Some(positive) => {
                let (evidence, qe_millionths) = (evidence.clone(), *qe_millionths);
                Found::Told { positive, at_ms: lead.round.ended_ms, evidence, qe_millionths }
            }
            None if lead.state.is_open() => Found::Open,
            None => Found::Untold,
        };
        Self { cause: cause(&lead.sighting), found }
    }
}

/// Leads as calibration sees them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// Data sets with evidence in any of the judged leads, by name: what weights are for.
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
    /// What these leads teach; those of one moment stay in the order that they come in.
    pub fn of(lessons: impl IntoIterator<Item = Lesson>) -> Self {
        let (mut sample, mut told) = (Self::default(), Vec::new());
        for Lesson { cause, found } in lessons {
            *sample.causes.entry(cause).or_default() += 1;
            match found {
                Found::Told { positive, at_ms, evidence, qe_millionths } => {
                    told.push((at_ms, positive, evidence, qe_millionths))
                }
                Found::Untold => sample.untold += 1,
                Found::Open => sample.open += 1,
            }
        }
        told.sort_by_key(|(at_ms, ..)| *at_ms);
        let datasets: BTreeSet<&String> =
            told.iter().flat_map(|(_, _, evidence, _)| evidence).map(|piece| &piece.dataset).collect();
        sample.datasets = datasets.into_iter().cloned().collect();
        let judged = told.iter().map(|(_, positive, evidence, qe_millionths)| Judged {
            strengths: strengths(evidence, &sample.datasets),
            score: f64::from(*qe_millionths) / 1e6,
            positive: *positive,
        });
        sample.judged = judged.collect();
        sample
    }

    /// How many of the judged leads were right.
    pub fn positive(&self) -> usize {
        self.judged.iter().filter(|judged| judged.positive).count()
    }
}

/// Of a data set's pieces the strongest counts: a data set is one voice.
fn strengths(evidence: &[Evidence], datasets: &[String]) -> Vec<f64> {
    let mut strengths = vec![0.0_f64; datasets.len()];
    for piece in evidence {
        if let Ok(place) = datasets.binary_search(&piece.dataset) {
            strengths[place] = strengths[place].max(f64::from(piece.strength_thousandths.min(1_000)) / 1e3);
        }
    }
    strengths
}

fn cause(sighting: &Sighting) -> String {
    match (&sighting.watch, &sighting.pattern) {
        (Some(watch), _) => format!("watch {watch}"),
        (None, Some(pattern)) => format!("pattern {pattern}"),
        (None, None) => "raised by hand".to_owned(),
    }
}
