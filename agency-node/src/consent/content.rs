//! What makes two questions the same: digests over everything in them that a release depends on.
//!
//! A new field of the header counts by itself, unless it is taken out here.

use prost::Message;
use sallyport_proto::common::v1::{QuestionHeader, QuestionPart};
use sallyport_trust::{
    policy::attribute,
    question::{Header, OpenedIndicator, OpenedQuestion, QuestionId},
};
use sha2::{Digest, Sha256};

/// A question that looks for its release.
pub(super) struct Asking {
    /// Its own name.
    pub(super) id: QuestionId,
    /// The name under which it was asked first.
    pub(super) first: QuestionId,
    pub(super) context: [u8; 32],
    pub(super) pattern: [u8; 32],
    pub(super) part: [u8; 32],
}

impl Asking {
    pub(super) fn of(question: &OpenedQuestion, part: &OpenedIndicator) -> Self {
        Self {
            id: question.id,
            first: question.header.completes.unwrap_or(question.id),
            context: context(&question.header),
            pattern: pattern(&question.header),
            part: hash(b"sallyport released part v1", &QuestionPart::from(part).encode_to_vec()),
        }
    }
}

/// The same person of the same agency, for the same purpose, case and reason, about the same subjects
/// in the same window, with the same bounds.
fn context(header: &Header) -> [u8; 32] {
    let mut same = whoever_and_why(header);
    // Locators are of an epoch: in another one the same ranges mean other subjects.
    same.epoch_digest = if header.is_lookup() { header.epoch_digest } else { [0; 32] };
    hash(b"sallyport released context v1", &QuestionHeader::from(&same).encode_to_vec())
}

/// The same but for the words of the reason, and about as many other subjects if it looks some up.
fn pattern(header: &Header) -> [u8; 32] {
    let looked_up = header.ranges.len() as u64;
    let same = Header { reason: String::new(), ranges: Vec::new(), ..whoever_and_why(header) };
    let mut bytes = QuestionHeader::from(&same).encode_to_vec();
    bytes.extend(looked_up.to_be_bytes());
    hash(b"sallyport released pattern v1", &bytes)
}

/// Without what differs each time that a question is asked.
fn whoever_and_why(header: &Header) -> Header {
    let name = header.asker.get_key_value(attribute::FEDERATION_ID);
    Header {
        nonce: [0; 32],
        epoch_digest: [0; 32],
        // Attributes may change; the policy judges them each time.
        asker: name.map(|(name, value)| (name.clone(), value.clone())).into_iter().collect(),
        deadline_ms: 0,
        issued_at_ms: 0,
        commitments: Vec::new(),
        completes: None,
        ..header.clone()
    }
}

fn hash(domain: &[u8], bytes: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(domain).chain_update([0]).chain_update(bytes).finalize().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sallyport_trust::question::{Commitment, LocatorRange, Window};

    use super::*;

    fn header() -> Header {
        Header {
            nonce: [1; 32],
            federation: "sallyport.test".to_owned(),
            epoch_digest: [2; 32],
            home_agency: "hsi".to_owned(),
            asker: BTreeMap::from([
                (attribute::FEDERATION_ID.to_owned(), "spiffe://sallyport.test/agency/hsi/user/a".to_owned()),
                (attribute::ROLE.to_owned(), "analyst".to_owned()),
            ]),
            purpose: "missing-person".to_owned(),
            case_number: "C-1".to_owned(),
            reason: "why".to_owned(),
            subject: "phone".to_owned(),
            window: Window::default(),
            minimum_datasets: 2,
            top: 20,
            deadline_ms: 1_000,
            issued_at_ms: 5,
            commitments: vec![Commitment { digest: [3; 32], share_point: 1 }],
            ranges: vec![LocatorRange { bits: 3, prefix: 5 }],
            completes: None,
            looked_up: 1,
            standing: false,
        }
    }

    #[test]
    fn asking_again_is_the_same_and_everything_else_is_another_question() {
        type Change = fn(&mut Header);
        let again: [Change; 5] = [
            |h| h.nonce = [9; 32],
            |h| h.issued_at_ms = 9,
            |h| h.commitments.clear(),
            |h| h.completes = Some(QuestionId([7; 32])),
            |h| drop(h.asker.insert(attribute::ROLE.to_owned(), "senior_analyst".to_owned())),
        ];
        let other: [Change; 10] = [
            |h| h.home_agency = "cbp".to_owned(),
            |h| drop(h.asker.insert(attribute::FEDERATION_ID.to_owned(), "someone else".to_owned())),
            |h| h.purpose = "curiosity".to_owned(),
            |h| h.case_number = "C-2".to_owned(),
            |h| h.subject = "plate".to_owned(),
            |h| h.window.from_ms = Some(1),
            |h| h.minimum_datasets = 3,
            |h| h.top = 21,
            |h| h.federation = "elsewhere".to_owned(),
            |h| h.ranges.clear(),
        ];
        let one_question: [Change; 3] =
            [|h| h.reason = "why not".to_owned(), |h| h.ranges[0].prefix = 4, |h| h.epoch_digest = [4; 32]];
        let digests = |change: Change| {
            let mut changed = header();
            change(&mut changed);
            (context(&changed), pattern(&changed))
        };
        let same = digests(|_| {});
        again.into_iter().for_each(|change| assert_eq!(digests(change), same));
        for change in other {
            let changed = digests(change);
            assert!(changed.0 != same.0 && changed.1 != same.1);
        }
        for change in one_question {
            let changed = digests(change);
            assert!(changed.0 != same.0 && changed.1 == same.1, "a standing grant is for the pattern");
        }
    }
}
