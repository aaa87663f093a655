//! The answering node's part: evaluate blinded points and prove that its published key was used.
//!
//! It sees uniform points and learns nothing from them. Never answers part of a batch.

use curve25519_dalek::{RistrettoPoint, Scalar};
use rand::CryptoRng;

use super::{EpochKey, Error, MAX_BATCH, POINT_BYTES, PROOF_BYTES, dleq, suite};

/// One node's answer to a batch: `k·B_i` for every blinded point, and the proof for all of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evaluated {
    elements: Vec<[u8; POINT_BYTES]>,
    proof: [u8; PROOF_BYTES],
}

impl Evaluated {
    /// Reads an answer from the wire. Its points and its proof are checked when the tags are
    /// finished, by [`Blinding::finish`](super::Blinding::finish).
    ///
    /// # Errors
    /// [`Error::BatchSize`] unless `elements` are 1 to [`MAX_BATCH`] whole points;
    /// [`Error::AnswerSize`] unless `proof` has [`PROOF_BYTES`] bytes.
    pub fn from_bytes(elements: &[u8], proof: &[u8]) -> Result<Self, Error> {
        let elements = whole_points(elements)?.to_vec();
        let proof = proof.try_into().map_err(|_| Error::AnswerSize)?;
        Ok(Self { elements, proof })
    }

    /// The evaluated points, 32 bytes each, in the order of the blinded ones.
    pub fn elements(&self) -> &[u8] {
        self.elements.as_flattened()
    }

    /// The proof: challenge and response, 32 bytes each, little-endian.
    pub fn proof(&self) -> &[u8; PROOF_BYTES] {
        &self.proof
    }

    pub(super) fn points(&self) -> &[[u8; POINT_BYTES]] {
        &self.elements
    }
}

impl EpochKey {
    /// Evaluates a batch of blinded points, 32 bytes each, one after the other.
    ///
    /// # Errors
    /// [`Error::BatchSize`] unless there are 1 to [`MAX_BATCH`] whole points;
    /// [`Error::MalformedPoint`] if one is not canonical or the identity.
    pub fn evaluate_batch<R: CryptoRng + ?Sized>(&self, blinded: &[u8], rng: &mut R) -> Result<Evaluated, Error> {
        self.evaluate_with(blinded, Scalar::random(rng))
    }

    /// [`evaluate_batch`](Self::evaluate_batch) with the proof's random scalar given. It must never
    /// be used twice: two proofs with the same one reveal the key.
    pub(super) fn evaluate_with(&self, blinded: &[u8], proof_random: Scalar) -> Result<Evaluated, Error> {
        let encoded = whole_points(blinded)?;
        let points = suite::decode_points(encoded)?;
        let halves: Vec<RistrettoPoint> = points.iter().map(|b| b * self.half()).collect();
        let elements = suite::encode_doubles(&halves);
        let coefficients = dleq::coefficients(self.public(), encoded, &elements);
        let proof = dleq::prove(self, &dleq::fold(&coefficients, &points), proof_random);
        Ok(Evaluated { elements, proof })
    }
}

/// Splits 1 to [`MAX_BATCH`] encoded points that stand one after the other.
fn whole_points(bytes: &[u8]) -> Result<&[[u8; POINT_BYTES]], Error> {
    let (points, rest) = bytes.as_chunks::<POINT_BYTES>();
    let fits = rest.is_empty() && (1..=MAX_BATCH).contains(&points.len());
    fits.then_some(points).ok_or(Error::BatchSize)
}
