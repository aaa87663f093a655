//! What a standing question wants of one part, whenever it is asked. A watch asks the same again and again; an owner
//! that counts each asking of it would soon answer it no more. What the owner says of a subject is the same each time,
//! as long as its records are; which subjects it says something of depends on the other parts, which it cannot read:
//! so a budget bounds how often it believes that a question stands.

use prost::Message;
use sallyport_proto::common::v1 as pb;
use sha2::{Digest, Sha256};

use super::{Header, OpenedIndicator, OpenedQuestion, Window};
use crate::policy::attribute;

/// A window that ends so near to its asking moves with it, in milliseconds.
const NOW_MS: i64 = 60_000;
/// To this the width of such a window is rounded, in milliseconds.
const WIDTH_STEP_MS: i64 = 60_000;

impl OpenedQuestion {
    /// Equal for two askings of a standing question: the same person asks the same of the same part, over the same
    /// window or the same days up to now. `None` for a question that does not stand, for a list of subjects, and for
    /// counts, which no watch asks.
    pub fn gist(&self, index: usize) -> Option<[u8; 32]> {
        let header = &self.header;
        if !header.standing || header.is_lookup() || header.is_of_counts() {
            return None;
        }
        let mut part = self.indicators.get(&index)?.clone();
        let window = match &mut part {
            OpenedIndicator::Dataset(indicator) => std::mem::take(&mut indicator.window),
            OpenedIndicator::Link(link) => std::mem::take(&mut link.indicator.window),
            OpenedIndicator::OwnList => return None,
        };
        let mut digest = Sha256::new_with_prefix("sallyport standing part v1");
        let asker = header.asker.get(attribute::FEDERATION_ID).map_or("", String::as_str);
        let texts = [asker, &header.home_agency, &header.purpose, &header.case_number, &header.subject];
        let part = pb::QuestionPart::from(&part).encode_to_vec();
        let bounds =
            [told(header, header.window), told(header, window), format!("{} {}", header.minimum_datasets, header.top)];
        let texts = texts.into_iter().map(str::as_bytes).chain(bounds.iter().map(String::as_bytes));
        for field in texts.chain([part.as_slice()]) {
            digest.update((field.len() as u64).to_be_bytes());
            digest.update(field);
        }
        Some(digest.finalize().into())
    }
}

fn told(header: &Header, window: Window) -> String {
    let moves = window.until_ms.is_some_and(|until_ms| until_ms.abs_diff(header.issued_at_ms) < NOW_MS as u64);
    match (window.from_ms, window.until_ms) {
        (Some(from_ms), Some(until_ms)) if moves => {
            let width_ms = until_ms.saturating_sub(from_ms);
            format!("last {}", width_ms.saturating_add(WIDTH_STEP_MS / 2) / WIDTH_STEP_MS)
        }
        (from_ms, until_ms) => format!("{from_ms:?} {until_ms:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::question::{COUNTS, Indicator, Measure, QuestionId};

    const DAY_MS: i64 = 86_400_000;

    fn asked(standing: bool, at_ms: i64, window: Window) -> OpenedQuestion {
        let indicator = Indicator {
            dataset: "cbp.crossings".to_owned(),
            identifier: String::new(),
            filter: Vec::new(),
            measure: Measure::Presence,
            weight_thousandths: 1_000,
            required: false,
            name: String::new(),
            window,
            contact: String::new(),
            both_ways: false,
            relation: None,
            tally: None,
        };
        let header = Header {
            nonce: [at_ms as u8; 32],
            federation: "f".to_owned(),
            epoch_digest: [0; 32],
            home_agency: "hsi".to_owned(),
            asker: [(attribute::FEDERATION_ID.to_owned(), "ana".to_owned())].into(),
            purpose: "p".to_owned(),
            case_number: "c".to_owned(),
            reason: format!("watch at {at_ms}"),
            subject: "phone".to_owned(),
            window: Window::default(),
            minimum_datasets: 2,
            top: 20,
            deadline_ms: 1_000,
            issued_at_ms: at_ms,
            commitments: Vec::new(),
            ranges: Vec::new(),
            completes: None,
            looked_up: 0,
            standing,
        };
        let indicators = BTreeMap::from([(0, OpenedIndicator::Dataset(indicator))]);
        OpenedQuestion { id: QuestionId([at_ms as u8; 32]), header, indicators }
    }

    fn days(until_ms: i64, days: i64) -> Window {
        Window { from_ms: Some(until_ms - days * DAY_MS), until_ms: Some(until_ms) }
    }

    #[test]
    fn askings_of_one_standing_question_are_alike_and_others_are_not() {
        let now_ms = 100 * DAY_MS;
        let first = asked(true, now_ms + 20, days(now_ms, 5));
        let gist = first.gist(0).unwrap();
        let later_ms = now_ms + 7 * 3_600_000;
        assert_eq!(asked(true, later_ms + 90, days(later_ms, 5)).gist(0), Some(gist));
        assert_ne!(asked(true, later_ms, days(later_ms, 6)).gist(0), Some(gist));
        // A window that stands still is another one than the next.
        let fixed = |from_ms| asked(true, now_ms, days(from_ms, 5)).gist(0);
        assert_eq!(fixed(DAY_MS), asked(true, later_ms, days(DAY_MS, 5)).gist(0));
        assert_ne!(fixed(DAY_MS), fixed(DAY_MS + 1));
        assert_eq!(asked(false, now_ms, days(now_ms, 5)).gist(0), None);
        assert_eq!(first.gist(1), None);
        let mut other = first.clone();
        other.header.asker.clear();
        assert_ne!(other.gist(0), Some(gist));
        let mut other = first.clone();
        other.header.minimum_datasets = 3;
        assert_ne!(other.gist(0), Some(gist));
        let mut counts = first;
        counts.header.subject = COUNTS.to_owned();
        assert_eq!(counts.gist(0), None);
    }
}
