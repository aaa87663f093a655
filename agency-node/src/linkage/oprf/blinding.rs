//! The asking node's part: blind identifiers, verify what comes back, finish the tags.
//!
//! Never uses an evaluation before its proof holds, and never lets the points or the blinding
//! scalars outlive the batch: whoever has a scalar can take the blinding off.

use std::fmt;

use curve25519_dalek::{RistrettoPoint, Scalar, traits::MultiscalarMul};
use rand::CryptoRng;
use sha2::{Digest, Sha512_256};
use zeroize::Zeroizing;

use super::suite::{self, Expander, framed_len};
use super::{EpochKeys, Error, Evaluated, MAX_BATCH, POINT_BYTES, dleq};
use crate::identifier::{Canonical, IdentifierType};

/// A tag: 16 bytes that every node computes alike for the same identifier, type and epoch.
pub type Tag = [u8; 16];

/// `4·(Σ k)·P` of an identifier, encoded: what its tag is a hash of. As secret as the tag, and what a
/// node that joins adds its own part to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeySum(pub [u8; POINT_BYTES]);

impl fmt::Debug for KeySum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySum(redacted)")
    }
}

/// What is kept of an identifier in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tagged {
    /// Its tag.
    pub tag: Tag,
    /// What the tag was made of.
    pub sum: KeySum,
}

/// Separates tags from every other use of the hash.
const TAG_LABEL: &[u8] = b"sallyport tag v1";

/// A batch of identifiers that is out for evaluation.
pub struct Blinding {
    kind: IdentifierType,
    identifiers: Vec<Canonical>,
    /// `P_i`, the identifiers hashed to the group.
    points: Zeroizing<Vec<RistrettoPoint>>,
    /// `r_i`.
    scalars: Zeroizing<Vec<Scalar>>,
    /// `P_i + r_i·G`, half of what was sent.
    halves: Vec<RistrettoPoint>,
    /// `B_i`, encoded: what was sent.
    blinded: Vec<[u8; POINT_BYTES]>,
}

impl Blinding {
    /// Blinds a batch of identifiers of one type.
    ///
    /// # Errors
    /// [`Error::BatchSize`] unless there are 1 to [`MAX_BATCH`] identifiers;
    /// [`Error::IdentifierLength`] if one is longer than 65,535 bytes.
    pub fn blind_batch<R: CryptoRng + ?Sized>(
        kind: IdentifierType,
        identifiers: &[Canonical],
        rng: &mut R,
    ) -> Result<Self, Error> {
        let scalars = identifiers.iter().map(|_| Scalar::random(rng)).collect();
        Self::blind_with(kind, identifiers, Zeroizing::new(scalars))
    }

    fn blind_with(
        kind: IdentifierType,
        identifiers: &[Canonical],
        scalars: Zeroizing<Vec<Scalar>>,
    ) -> Result<Self, Error> {
        if !(1..=MAX_BATCH).contains(&identifiers.len()) {
            return Err(Error::BatchSize);
        }
        if identifiers.iter().any(|id| id.as_str().len() > usize::from(u16::MAX)) {
            return Err(Error::IdentifierLength);
        }
        let expander = Expander::new(suite::HASH_TO_GROUP);
        let points: Vec<_> = identifiers.iter().map(|id| hash_identifier(&expander, kind, id)).collect();
        let halves: Vec<_> = points.iter().zip(&*scalars).map(|(p, r)| p + RistrettoPoint::mul_base(r)).collect();
        let blinded = suite::encode_doubles(&halves);
        let identifiers = identifiers.to_vec();
        Ok(Self { kind, identifiers, points: Zeroizing::new(points), scalars, halves, blinded })
    }

    /// The blinded points, 32 bytes each, in the order of the identifiers: what every other node is
    /// sent.
    pub fn blinded(&self) -> &[u8] {
        self.blinded.as_flattened()
    }

    /// Verifies every other node's answer and computes the tags, in the order of the identifiers.
    ///
    /// `evaluations` stand in the order of [`EpochKeys::others`].
    ///
    /// # Errors
    /// [`Error::AnswerSize`], [`Error::MalformedPoint`] or [`Error::ProofRefused`] if an answer does
    /// not fit the batch, holds a malformed point or was not made with the key published; no tag of
    /// the batch is computed then.
    pub fn finish(&self, keys: &EpochKeys, evaluations: &[Evaluated]) -> Result<Vec<Tagged>, Error> {
        if evaluations.len() != keys.others().len() {
            return Err(Error::AnswerSize);
        }
        let mut sums = Zeroizing::new(self.own_parts(keys));
        for (evaluator, evaluated) in evaluations.iter().enumerate() {
            let points = self.verified(keys, evaluator, evaluated)?;
            for (sum, point) in sums.iter_mut().zip(points) {
                *sum += point;
            }
        }
        let encoded = Zeroizing::new(suite::encode_doubles(&sums));
        Ok(self.tagged(keys, &encoded))
    }

    /// The same for an epoch in which nodes have joined and all others kept their keys: `before` are the
    /// identifiers' sums of keys in the epoch before, `joined` the answers of those who joined, each
    /// with its place in [`EpochKeys::others`]. The sums must be this node's own: nobody proves them.
    ///
    /// # Errors
    /// As [`Blinding::finish`]; a sum that is no point counts as a malformed one.
    pub fn finish_joined(
        &self,
        keys: &EpochKeys,
        before: &[KeySum],
        joined: &[(usize, Evaluated)],
    ) -> Result<Vec<Tagged>, Error> {
        if before.len() != self.blinded.len() || joined.is_empty() {
            return Err(Error::AnswerSize);
        }
        let mut parts = Zeroizing::new(vec![RistrettoPoint::default(); self.blinded.len()]);
        let mut joined_keys = RistrettoPoint::default();
        for (evaluator, evaluated) in joined {
            for (part, point) in parts.iter_mut().zip(self.verified(keys, *evaluator, evaluated)?) {
                *part += point;
            }
            joined_keys += keys.others()[*evaluator].point();
        }
        let mut encoded = Zeroizing::new(Vec::with_capacity(before.len()));
        for (index, ((sum, part), r)) in before.iter().zip(&*parts).zip(&*self.scalars).enumerate() {
            let sum = suite::decode_point(&sum.0).ok_or(Error::MalformedPoint { index })?;
            let unblind = Zeroizing::new(r + r);
            let own = Zeroizing::new(part - joined_keys * *unblind);
            encoded.push((sum + *own + *own).compress().0);
        }
        Ok(self.tagged(keys, &encoded))
    }

    fn tagged(&self, keys: &EpochKeys, encoded: &[[u8; POINT_BYTES]]) -> Vec<Tagged> {
        let each = self.identifiers.iter().zip(encoded);
        each.map(|(id, encoded)| Tagged { tag: self.tag(keys, id, encoded), sum: KeySum(*encoded) }).collect()
    }

    /// `2k_i·P − 2r·Σ_j K_j`: our own key's part, and what takes the blinding off the others'.
    ///
    /// One constant-time multiplication of two points shares the doublings of both, which costs less
    /// than a table for the second would.
    fn own_parts(&self, keys: &EpochKeys) -> Vec<RistrettoPoint> {
        let own = Zeroizing::new(keys.own().scalar() + keys.own().scalar());
        self.points
            .iter()
            .zip(&*self.scalars)
            .map(|(point, r)| {
                let unblind = Zeroizing::new(-(r + r));
                RistrettoPoint::multiscalar_mul([&*own, &*unblind], [point, keys.sum_of_others()])
            })
            .collect()
    }

    /// The decoded points of one answer, once its proof holds.
    fn verified(
        &self,
        keys: &EpochKeys,
        evaluator: usize,
        evaluated: &Evaluated,
    ) -> Result<Vec<RistrettoPoint>, Error> {
        if evaluated.points().len() != self.blinded.len() {
            return Err(Error::AnswerSize);
        }
        let key = keys.others().get(evaluator).ok_or(Error::AnswerSize)?;
        let points = suite::decode_points(evaluated.points())?;
        let coefficients = dleq::coefficients(key, &self.blinded, evaluated.points());
        // What was sent is known undecoded, as the double of `halves`; a fold is linear.
        let half_m = dleq::fold(&coefficients, &self.halves);
        let z = dleq::fold(&coefficients, &points);
        if dleq::verify(key, &(half_m + half_m), &z, evaluated.proof()) {
            Ok(points)
        } else {
            Err(Error::ProofRefused { evaluator })
        }
    }

    fn tag(&self, keys: &EpochKeys, identifier: &Canonical, encoded: &[u8; POINT_BYTES]) -> Tag {
        let (kind, identifier) = (self.kind.name().as_bytes(), identifier.as_str().as_bytes());
        let mut hash = Sha512_256::new_with_prefix(TAG_LABEL);
        hash.update(keys.epoch().to_be_bytes());
        hash.update(framed_len(kind));
        hash.update(kind);
        hash.update(framed_len(identifier));
        hash.update(identifier);
        hash.update(encoded);
        let digest = hash.finalize();
        let mut tag = Tag::default();
        tag.copy_from_slice(&digest[..size_of::<Tag>()]);
        tag
    }
}

impl fmt::Debug for Blinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blinding({} identifiers, redacted)", self.identifiers.len())
    }
}

/// `P`: the type and the identifier, each after its length, under the RFC's hash-to-group.
fn hash_identifier(expander: &Expander, kind: IdentifierType, identifier: &Canonical) -> RistrettoPoint {
    let (kind, identifier) = (kind.name().as_bytes(), identifier.as_str().as_bytes());
    expander.hash_to_group(&[&framed_len(kind), kind, &framed_len(identifier), identifier])
}
