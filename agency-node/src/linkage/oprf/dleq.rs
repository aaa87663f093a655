//! Batched proof that one key was used for a whole batch (RFC 9497 section 2.2).
//!
//! `log_G(K) = log_{C_i}(D_i)` for all i at once: both sides are folded with coefficients that
//! nobody can choose (`ComputeComposites`), and a Chaum-Pedersen proof covers the fold. The
//! challenge proves *knowledge* of the key too, so a node cannot publish a key made up from the
//! others' keys. Only public values meet variable-time operations here, except in [`prove`], which
//! has none.

use curve25519_dalek::{RistrettoPoint, Scalar, traits::VartimeMultiscalarMul};
use sha2::{Digest, Sha512};
use zeroize::Zeroize;

use super::suite::{Expander, HASH_TO_SCALAR, SEED, framed_len};
use super::{EpochKey, POINT_BYTES, PROOF_BYTES, PublicKey};

/// Length prefix of an encoded point.
const POINT_LEN: [u8; 2] = (POINT_BYTES as u16).to_be_bytes();

/// The coefficients `d_i` of `ComputeComposites`, one for each pair of encoded points.
pub(super) fn coefficients(
    key: &PublicKey,
    blinded: &[[u8; POINT_BYTES]],
    evaluated: &[[u8; POINT_BYTES]],
) -> Vec<Scalar> {
    let mut seed = Sha512::new();
    seed.update(POINT_LEN);
    seed.update(key.to_bytes());
    seed.update(framed_len(SEED));
    seed.update(SEED);
    let seed = seed.finalize();
    let scalars = Expander::new(HASH_TO_SCALAR);
    let seed_len = framed_len(&seed);
    (0_u16..)
        .zip(blinded.iter().zip(evaluated))
        .map(|(index, (c, d))| {
            let index = index.to_be_bytes();
            let parts: [&[u8]; 8] = [&seed_len, &seed, &index, &POINT_LEN, c, &POINT_LEN, d, b"Composite"];
            scalars.hash_to_scalar(&parts)
        })
        .collect()
}

/// `Σ d_i·C_i`, in variable time: all of it is on the wire.
pub(super) fn fold(coefficients: &[Scalar], points: &[RistrettoPoint]) -> RistrettoPoint {
    RistrettoPoint::vartime_multiscalar_mul(coefficients, points)
}

/// `GenerateProof` over folded points: `m = Σ d_i·C_i`, with the proof's random scalar `r`.
///
/// The prover knows the key and gets `Z = k·M` by one multiplication (`ComputeCompositesFast`).
pub(super) fn prove(key: &EpochKey, m: &RistrettoPoint, mut r: Scalar) -> [u8; PROOF_BYTES] {
    let z = m * key.scalar();
    let c = challenge(key.public(), m, &z, &RistrettoPoint::mul_base(&r), &(m * r));
    let s = r - c * key.scalar();
    r.zeroize();
    let mut proof = [0; PROOF_BYTES];
    let (challenge, response) = proof.split_at_mut(POINT_BYTES);
    challenge.copy_from_slice(c.as_bytes());
    response.copy_from_slice(s.as_bytes());
    proof
}

/// `VerifyProof` over folded points: `m = Σ d_i·C_i`, `z = Σ d_i·D_i`.
pub(super) fn verify(key: &PublicKey, m: &RistrettoPoint, z: &RistrettoPoint, proof: &[u8; PROOF_BYTES]) -> bool {
    let (Some(c), Some(s)) = (scalar(&proof[..POINT_BYTES]), scalar(&proof[POINT_BYTES..])) else {
        return false;
    };
    let t2 = RistrettoPoint::vartime_double_scalar_mul_basepoint(&c, key.point(), &s);
    let t3 = RistrettoPoint::vartime_multiscalar_mul([s, c], [m, z]);
    challenge(key, m, z, &t2, &t3) == c
}

/// A canonical scalar; others are refused, so that a proof has one spelling.
fn scalar(bytes: &[u8]) -> Option<Scalar> {
    Scalar::from_canonical_bytes(bytes.try_into().ok()?).into()
}

fn challenge(
    key: &PublicKey,
    m: &RistrettoPoint,
    z: &RistrettoPoint,
    t2: &RistrettoPoint,
    t3: &RistrettoPoint,
) -> Scalar {
    let [m, z, t2, t3] = [m, z, t2, t3].map(|point| point.compress().0);
    let key = key.to_bytes();
    let parts: [&[u8]; 11] =
        [&POINT_LEN, &key, &POINT_LEN, &m, &POINT_LEN, &z, &POINT_LEN, &t2, &POINT_LEN, &t3, b"Challenge"];
    Expander::new(HASH_TO_SCALAR).hash_to_scalar(&parts)
}
