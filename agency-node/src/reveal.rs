//! Evidence of persons' records, told when the gateway knows which of them are in enough data sets.
//!
//! Rows of persons open wherever two data sets have any key in common, so they carry no evidence. It is
//! kept here, under the permit that the question got, until the gateway asks for single records or the
//! question is over.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use sallyport_proto::node::v1::{RevealRequest, RevealResponse};
use sallyport_trust::{
    error::{Kind, Refusal},
    guard::Act,
    identity::SpiffeId,
    policy::Permit,
    question::{DEADLINE_MS, QuestionId},
};

use crate::{node::Node, pseudonym::Pseudonyms};

/// Records of all questions together, at most: 8 bytes each.
const RECORDS_MAX: usize = 20_000_000;
/// Records in one call, as the contract has it.
const ASKED_MAX: usize = 65_536;
const REFERENCE_BYTES: usize = 16;

/// What the records of one part of a question are worth.
pub(crate) struct Evidence {
    /// What the records are called in this question.
    pub(crate) pseudonyms: Pseudonyms,
    /// Record, strength in thousandths, newest day; in order of the records.
    pub(crate) records: Vec<(u32, u16, u16)>,
    /// That they may be told.
    pub(crate) permit: Permit,
}

struct Kept {
    question: QuestionId,
    part: usize,
    at_ms: i64,
    evidence: Arc<Evidence>,
}

/// The evidence of questions under way, oldest first.
#[derive(Default)]
pub(crate) struct Revealing(Mutex<VecDeque<Kept>>);

impl Revealing {
    /// Keeps the evidence; what is over, and the oldest where there is too much, is forgotten.
    pub(crate) fn keep(&self, question: QuestionId, part: usize, now_ms: i64, evidence: Evidence) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over_ms = now_ms - i64::from(*DEADLINE_MS.end());
        kept.retain(|kept| kept.at_ms >= over_ms);
        let records = |kept: &VecDeque<Kept>| kept.iter().map(|kept| kept.evidence.records.len()).sum::<usize>();
        while !kept.is_empty() && records(&kept) + evidence.records.len() > RECORDS_MAX {
            kept.pop_front();
        }
        kept.push_back(Kept { question, part, at_ms: now_ms, evidence: Arc::new(evidence) });
    }

    fn find(&self, question: QuestionId, part: usize) -> Option<Arc<Evidence>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|kept| (kept.question, kept.part) == (question, part)).map(|kept| kept.evidence.clone())
    }
}

/// identify gateway → open audit entry → find the evidence and its permit → tell → complete audit
pub(crate) async fn reveal(node: &Node, peer: SpiffeId, asked: RevealRequest) -> Result<RevealResponse, Refusal> {
    node.only_gateway(&peer)?;
    let id = QuestionId(asked.question_id.as_slice().try_into().map_err(|_| unknown())?);
    let mut trail = node.guard.begin(Act::by(&peer, "reveal", "records of persons").about(Some(id))).await?;
    let told = node.revealing.find(id, asked.part as usize).ok_or_else(unknown).and_then(|evidence| {
        trail.under(&evidence.permit);
        evidence.of(&asked.references)
    });
    trail.count("records", told.as_ref().map_or(0, |told| told.newest_day.len() as u64));
    trail.complete(told.as_ref().err()).await?;
    told
}

impl Evidence {
    fn of(&self, references: &[u8]) -> Result<RevealResponse, Refusal> {
        let (references, rest) = references.as_chunks::<REFERENCE_BYTES>();
        if !rest.is_empty() || references.len() > ASKED_MAX {
            return Err(Refusal::bad_input("references", format!("Ask for at most {ASKED_MAX} records of 16 bytes.")));
        }
        let mut told = RevealResponse::default();
        for reference in references {
            let record = self.pseudonyms.record(u128::from_be_bytes(*reference));
            let place = record.and_then(|record| self.records.binary_search_by_key(&record, |kept| kept.0).ok());
            // A name that is no record's is worth nothing; to say so would say which ones are.
            let (strength, day) = place.map_or((0, 0), |place| (self.records[place].1, self.records[place].2));
            told.strength_thousandths.push(u32::from(strength));
            told.newest_day.push(u32::from(day));
        }
        Ok(told)
    }
}

fn unknown() -> Refusal {
    Refusal::new(Kind::NotFound, "question_unknown", "This node has no evidence of persons for that question.")
}
