//! A question under its home node's signature, with a commitment in place of each part.
//!
//! The signature covers every part through its commitment, while each reader gets only the
//! openings that are its own: nothing can be exchanged, and nobody reads what another agency is asked.

use std::collections::BTreeMap;

use prost::Message;
use sallyport_proto::common::v1 as pb;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    COUNTS, INDICATORS_MAX, OpenedIndicator, PERSON, Question, RELATIONS_MAX, TEXT_BYTES_MAX, Window, part, tally,
};
use crate::{
    error::{Kind, Refusal},
    identity::{Identity, Role, Signature, SigningPurpose, SpiffeId},
    policy::{Action, Attributes, Context, Request, attribute},
};

/// What a question's signature is for; part of the signed bytes.
const SIGNED_AS: SigningPurpose = SigningPurpose::new("question");
/// A question older than this is stale, in milliseconds.
pub const AGE_MAX_MS: i64 = 120_000;
/// How far another party's clock may be ahead of ours, in milliseconds.
pub const SKEW_MAX_MS: i64 = 30_000;
/// Ranges of locators in one look-up, at most.
const RANGES_MAX: usize = super::file::LOOKUP_MAX;
/// Parts of one question, at most: indicators, the asker's own list, two sides of every relation.
const PARTS_MAX: usize = INDICATORS_MAX + 1 + 2 * RELATIONS_MAX;

/// Attributes of the asking person, as their home node vouches for them.
pub type Asker = BTreeMap<String, String>;

/// SHA-256 of a question's signed bytes: names the question everywhere, and keys its join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct QuestionId(pub [u8; 32]);

impl QuestionId {
    fn of(header: &[u8]) -> Self {
        Self(Sha256::new().chain_update(b"sallyport question v1").chain_update(header).finalize().into())
    }
}

impl std::fmt::Display for QuestionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<QuestionId> for String {
    fn from(id: QuestionId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for QuestionId {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        text.parse()
    }
}

impl std::str::FromStr for QuestionId {
    type Err = Refusal;

    /// Reads 64 lower-case hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let half = |digits: &str| {
            let plain = digits.len() == 32 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            u128::from_str_radix(digits, 16).ok().filter(|_| plain).map(u128::to_be_bytes)
        };
        let halves = text.split_at_checked(32).and_then(|(first, second)| Some([half(first)?, half(second)?]));
        let [first, second] =
            halves.ok_or_else(|| Refusal::bad_input("question_id", "A question's id has 64 hexadecimal digits."))?;
        let mut id = [0; 32];
        id[..16].copy_from_slice(&first);
        id[16..].copy_from_slice(&second);
        Ok(Self(id))
    }
}

/// Stands for one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commitment {
    /// Hash over the part and its salt.
    pub digest: [u8; 32],
    /// Where the polynomial of shares is evaluated for this data set; 1 to 32.
    pub share_point: u8,
}

/// The locators whose first `bits` bits are `prefix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocatorRange {
    /// 0 to 64.
    pub bits: u32,
    /// In the low bits.
    pub prefix: u64,
}

/// The part of a question that every contributor reads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is documented in common.proto, message QuestionHeader")]
pub struct Header {
    pub nonce: [u8; 32],
    pub federation: String,
    pub epoch_digest: [u8; 32],
    pub home_agency: String,
    pub asker: Asker,
    pub purpose: String,
    pub case_number: String,
    pub reason: String,
    pub subject: String,
    pub window: Window,
    pub minimum_datasets: u32,
    pub top: u32,
    pub deadline_ms: u32,
    pub issued_at_ms: i64,
    pub commitments: Vec<Commitment>,
    pub ranges: Vec<LocatorRange>,
    pub completes: Option<QuestionId>,
    pub looked_up: u32,
    pub standing: bool,
}

/// A question as its home node writes it, before it is signed.
pub struct WrittenQuestion {
    header: Vec<u8>,
    openings: Vec<pb::Opening>,
}

/// Where and when a question is written.
pub struct Circumstances {
    /// Trust domain.
    pub federation: String,
    /// Digest of the epoch's statements.
    pub epoch_digest: [u8; 32],
    /// The agency whose node signs.
    pub home_agency: String,
    /// The asking person.
    pub asker: Asker,
    /// Milliseconds since 1970.
    pub issued_at_ms: i64,
    /// For a look-up: where its subjects are hidden. The asker's list then is one more indicator.
    pub lookup: Option<Vec<LocatorRange>>,
    /// The held question that this one asks again.
    pub completes: Option<QuestionId>,
    /// Identifiers on the asker's list; 0 for a question about all subjects.
    pub looked_up: u32,
    /// A watch asks it.
    pub standing: bool,
}

impl WrittenQuestion {
    /// Writes a question down, each part under a commitment with a fresh salt.
    ///
    /// # Errors
    /// When the machine gives no randomness, or the threshold does not fit the data sets.
    pub fn write(question: &Question, circumstances: Circumstances) -> Result<Self, Refusal> {
        question.validate()?;
        question.validate_threshold(circumstances.lookup.is_some() && !question.is_linked_only())?;
        let mut openings = Vec::new();
        let mut commitments = Vec::new();
        let lookup_at = circumstances.lookup.is_some().then_some(circumstances.home_agency.as_str());
        let parts = part::parts(question, lookup_at)?;
        for (index, (part, share_point)) in (0u32..).zip(parts) {
            let part = pb::QuestionPart::from(&part).encode_to_vec();
            let salt: [u8; 32] = random()?;
            commitments.push(Commitment { digest: commit(&salt, &part), share_point });
            openings.push(pb::Opening { index, salt: salt.to_vec(), part });
        }
        let header = Header {
            nonce: random()?,
            federation: circumstances.federation,
            epoch_digest: circumstances.epoch_digest,
            home_agency: circumstances.home_agency,
            asker: circumstances.asker,
            purpose: question.purpose.clone(),
            case_number: question.case_number.clone(),
            reason: question.reason.clone(),
            subject: question.subject.clone(),
            window: question.window,
            minimum_datasets: question.minimum_datasets,
            top: question.top,
            deadline_ms: question.deadline_ms,
            issued_at_ms: circumstances.issued_at_ms,
            commitments,
            ranges: circumstances.lookup.unwrap_or_default(),
            completes: circumstances.completes,
            looked_up: circumstances.looked_up,
            standing: circumstances.standing,
        };
        Ok(Self { header: pb::QuestionHeader::from(&header).encode_to_vec(), openings })
    }

    /// The question's name.
    pub fn id(&self) -> QuestionId {
        QuestionId::of(&self.header)
    }

    /// Puts the home node's signature under it.
    ///
    /// # Errors
    /// When the identity cannot sign.
    pub fn sign(self, identity: &Identity) -> Result<SignedQuestion, Refusal> {
        let signature =
            identity.sign(SIGNED_AS, &self.header).map_err(|error| Refusal::internal("signing_failed", &error))?;
        Ok(SignedQuestion { header: self.header, signature, openings: self.openings })
    }
}

/// A question under its home node's signature, with the openings this holder may read.
#[derive(Clone)]
pub struct SignedQuestion {
    header: Vec<u8>,
    signature: Signature,
    openings: Vec<pb::Opening>,
}

/// A question whose signature, freshness and openings were verified.
#[derive(Debug, Clone)]
pub struct OpenedQuestion {
    /// Its name.
    pub id: QuestionId,
    /// What every contributor reads.
    pub header: Header,
    /// What this reader was shown, by position.
    pub indicators: BTreeMap<usize, OpenedIndicator>,
}

impl OpenedQuestion {
    /// Checks what only a reader of several parts can: that each data set takes its shares at a point of
    /// its own, so that none counts twice toward t.
    ///
    /// # Errors
    /// `question_share_points`.
    pub fn check_share_points(&self) -> Result<(), Refusal> {
        let mut points: BTreeMap<u8, &str> = BTreeMap::new();
        let mut datasets: BTreeMap<&str, u8> = BTreeMap::new();
        for (&index, part) in &self.indicators {
            // No data set has an empty name.
            let dataset = match part {
                OpenedIndicator::Dataset(indicator) => indicator.dataset.as_str(),
                OpenedIndicator::Link(link) => link.indicator.dataset.as_str(),
                OpenedIndicator::OwnList => "",
            };
            let Some(commitment) = self.header.commitments.get(index) else { continue };
            let point = commitment.share_point;
            if *points.entry(point).or_insert(dataset) != dataset || *datasets.entry(dataset).or_insert(point) != point
            {
                return Err(Refusal::bad_input(
                    "question_share_points",
                    "The question counts a data set more than once toward its least number of data sets.",
                ));
            }
        }
        Ok(())
    }
}

impl SignedQuestion {
    /// The question's name.
    pub fn id(&self) -> QuestionId {
        QuestionId::of(&self.header)
    }

    /// What the question says of itself, not verified in any way: for the audit log alone.
    pub fn claimed(&self) -> Option<Header> {
        pb::QuestionHeader::decode(self.header.as_slice()).ok()?.try_into().ok()
    }

    /// The data set that the first opening names, not verified in any way: for the audit log alone.
    pub fn claimed_dataset(&self) -> Option<String> {
        let part = pb::QuestionPart::decode(self.openings.first()?.part.as_slice()).ok()?.part?;
        let indicator = match part {
            pb::question_part::Part::Indicator(indicator) => indicator,
            pb::question_part::Part::Link(link) => link.indicator?,
            pb::question_part::Part::OwnList(_) => return None,
        };
        let name: String = indicator.dataset.chars().filter(char::is_ascii_graphic).take(128).collect();
        (!name.is_empty()).then_some(name)
    }

    /// The same question for a reader who may read one indicator only.
    pub fn only(&self, index: usize) -> Self {
        Self {
            header: self.header.clone(),
            signature: self.signature.clone(),
            openings: self.openings.iter().filter(|opening| opening.index as usize == index).cloned().collect(),
        }
    }

    /// Verifies signature, federation, freshness and openings.
    ///
    /// # Errors
    /// A [`Refusal`] with the reason `question_signature`, `question_wrong_signer`,
    /// `question_wrong_federation`, `question_stale`, `question_from_the_future`,
    /// `question_unreadable` or `question_opening`.
    pub fn open(&self, identity: &Identity, now_ms: i64) -> Result<OpenedQuestion, Refusal> {
        let signer = identity.verify(SIGNED_AS, &self.header, &self.signature).map_err(|error| {
            tracing::warn!(%error, "a question's signature was refused");
            Refusal::new(
                Kind::Unauthenticated,
                "question_signature",
                "The question's signature does not hold: it was changed on its way, or the signing certificate is \
                 not valid in this federation.",
            )
        })?;
        let header = pb::QuestionHeader::decode(self.header.as_slice())
            .map_err(|_| Refusal::bad_input("question_unreadable", "The question's header cannot be read."))?;
        let header = Header::try_from(header)?;
        header.validate()?;
        // Policies decide by the asker's attributes, so nobody may speak for another agency's people.
        if signer.agency() != Some(&header.home_agency) || !vouches_for(&signer, &header.asker) {
            return Err(Refusal::denied(
                "question_wrong_signer",
                "A question must be signed by the node of the asking person's own agency.",
            ));
        }
        if header.federation != identity.id().federation || signer.federation != header.federation {
            return Err(Refusal::denied("question_wrong_federation", "The question is for another federation."));
        }
        check_freshness(header.issued_at_ms, now_ms)?;
        let indicators: BTreeMap<_, _> =
            self.openings.iter().map(|o| open_one(&header, o)).collect::<Result<_, Refusal>>()?;
        if indicators.values().any(|part: &OpenedIndicator| part.is_counted() != header.is_of_counts()) {
            return Err(Refusal::bad_input("counts_mixed", "The question counts in some of its parts only."));
        }
        Ok(OpenedQuestion { id: QuestionId::of(&self.header), header, indicators })
    }

    /// To its wire form.
    pub fn into_wire(self) -> pb::SignedQuestion {
        pb::SignedQuestion { header: self.header, signature: Some(self.signature.into()), openings: self.openings }
    }

    /// From its wire form.
    ///
    /// # Errors
    /// When the signature is missing or too much was sent.
    pub fn from_wire(wire: pb::SignedQuestion) -> Result<Self, Refusal> {
        let signature = wire
            .signature
            .ok_or_else(|| Refusal::new(Kind::Unauthenticated, "question_unsigned", "The question is not signed."))?;
        if wire.openings.len() > PARTS_MAX {
            return Err(Refusal::bad_input("question_opening", "The question opens more parts than it may have."));
        }
        Ok(Self { header: wire.header, signature: signature.try_into()?, openings: wire.openings })
    }
}

/// True when `signer` is the node of the agency that the person in `asker` belongs to: by the agency
/// claimed and by the name claimed.
pub fn vouches_for(signer: &SpiffeId, asker: &Asker) -> bool {
    let Role::Node { agency } = &signer.role else { return false };
    let name = asker.get(attribute::FEDERATION_ID).and_then(|name| name.parse::<SpiffeId>().ok());
    let is_own = |name: SpiffeId| {
        name.federation == signer.federation && matches!(&name.role, Role::User { agency: own, .. } if own == agency)
    };
    asker.get(attribute::AGENCY) == Some(agency) && name.is_some_and(is_own)
}

/// Refuses what is older or newer than a signed message may be.
///
/// # Errors
/// `question_stale` or `question_from_the_future`.
pub fn check_freshness(issued_at_ms: i64, now_ms: i64) -> Result<(), Refusal> {
    if issued_at_ms < now_ms.saturating_sub(AGE_MAX_MS) {
        return Err(Refusal::new(
            Kind::Conflict,
            "question_stale",
            "The question is older than two minutes; ask it anew. If it is new, compare the clocks of both nodes.",
        ));
    }
    if issued_at_ms > now_ms.saturating_add(SKEW_MAX_MS) {
        return Err(Refusal::new(
            Kind::Conflict,
            "question_from_the_future",
            "The question was signed more than 30 seconds in the future; compare the clocks of both nodes.",
        ));
    }
    Ok(())
}

impl Header {
    fn validate(&self) -> Result<(), Refusal> {
        let texts =
            [&self.federation, &self.home_agency, &self.purpose, &self.case_number, &self.reason, &self.subject];
        let attributes = self.asker.iter().flat_map(|(name, value)| [name, value]);
        let bounded = texts.into_iter().chain(attributes).all(|text| text.len() <= TEXT_BYTES_MAX)
            && self.asker.len() <= 32
            && (1..=PARTS_MAX).contains(&self.commitments.len())
            && self.ranges.len() <= RANGES_MAX
            && self.ranges.iter().all(|range| range.bits <= 64)
            && (self.ranges.len()..=RANGES_MAX).contains(&(self.looked_up as usize))
            && (self.looked_up > 0) == self.is_lookup()
            && self.commitments.iter().all(|c| (1..=32).contains(&c.share_point))
            && super::DEADLINE_MS.contains(&self.deadline_ms)
            && (1..=super::TOP_MAX).contains(&self.top);
        if !bounded {
            return Err(Refusal::bad_input("question_out_of_bounds", "A part of the question is out of its bounds."));
        }
        if self.is_of_counts() {
            return tally::validate_threshold(self.minimum_datasets, self.is_lookup());
        }
        if self.minimum_datasets < 2 || self.minimum_datasets as usize > self.share_point_count() {
            return Err(Refusal::bad_input(
                "minimum_datasets_too_large",
                "The question needs more data sets to agree than it asks, or fewer than two.",
            ));
        }
        Ok(())
    }

    fn share_point_count(&self) -> usize {
        self.commitments.iter().map(|c| c.share_point).collect::<std::collections::BTreeSet<_>>().len()
    }

    /// What a policy is asked about this question, for a resource of the deciding party.
    pub fn policy_request(&self, action: Action, resource: Attributes, at_ms: i64) -> Request {
        Request {
            subject: self.asker.clone().into_iter().collect(),
            resource,
            action,
            context: Context {
                purpose: self.purpose.clone(),
                case_number: self.case_number.clone(),
                reason: self.reason.clone(),
                subject_type: self.subject.clone(),
                minimum_datasets: self.minimum_datasets,
                top: self.top,
                at_ms,
            },
        }
    }

    /// True when subjects are persons.
    pub fn is_of_persons(&self) -> bool {
        self.subject == PERSON
    }

    /// True when it asks how many events there were; it is about no subjects.
    pub fn is_of_counts(&self) -> bool {
        self.subject == COUNTS
    }

    /// True when the question looks up given subjects.
    pub fn is_lookup(&self) -> bool {
        !self.ranges.is_empty()
    }
}

fn open_one(header: &Header, opening: &pb::Opening) -> Result<(usize, OpenedIndicator), Refusal> {
    let refused = || Refusal::bad_input("question_opening", "A part of the question is not the one that was signed.");
    let index = opening.index as usize;
    let commitment = header.commitments.get(index).ok_or_else(refused)?;
    let salt: [u8; 32] = opening.salt.as_slice().try_into().map_err(|_| refused())?;
    if commit(&salt, &opening.part) != commitment.digest {
        return Err(refused());
    }
    let part = pb::QuestionPart::decode(opening.part.as_slice()).map_err(|_| refused())?;
    Ok((index, part.try_into()?))
}

fn commit(salt: &[u8; 32], part: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(b"sallyport question part v1").chain_update(salt).chain_update(part).finalize().into()
}

fn random<const N: usize>() -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Refusal::internal("no_randomness", &"the machine's random generator failed"))?;
    Ok(bytes)
}
