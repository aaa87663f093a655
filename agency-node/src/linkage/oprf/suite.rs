//! RFC 9497, suite ristretto255-SHA512: hashing to group elements and to scalars, decoding of points.
//!
//! Never decides what is hashed; the callers frame their messages.

use curve25519_dalek::{RistrettoPoint, Scalar, ristretto::CompressedRistretto};
use sha2::{Digest, Sha512};

use super::{Error, POINT_BYTES};

/// Domain separation of hash-to-group in verifiable mode (RFC 9497 sections 3.1 and 4.1).
pub(super) const HASH_TO_GROUP: &[u8] = b"HashToGroup-OPRFV1-\x01-ristretto255-SHA512";
/// Domain separation of hash-to-scalar in verifiable mode.
pub(super) const HASH_TO_SCALAR: &[u8] = b"HashToScalar-OPRFV1-\x01-ristretto255-SHA512";
/// Label of the seed of composites in verifiable mode (RFC 9497 section 2.2.1).
pub(super) const SEED: &[u8] = b"Seed-OPRFV1-\x01-ristretto255-SHA512";

/// Input block of SHA-512, in bytes.
const BLOCK_BYTES: usize = 128;
/// Output that both uses ask for, in bytes.
const UNIFORM_BYTES: usize = 64;

/// `expand_message_xmd` of RFC 9380 section 5.3.1 with SHA-512 and 64 bytes of output, for one
/// domain separation tag.
///
/// Every message starts with the same block of zeros, so the state after it is kept.
pub(super) struct Expander {
    after_zero_block: Sha512,
    /// `I2OSP(64, 2) ‖ I2OSP(0, 1) ‖ DST ‖ I2OSP(len(DST), 1)`: what follows the message.
    tail: Vec<u8>,
}

impl Expander {
    /// An expander for a tag of at most 255 bytes.
    pub(super) fn new(domain: &[u8]) -> Self {
        debug_assert!(domain.len() <= 255, "RFC 9380 hashes longer tags first");
        let mut tail = Vec::with_capacity(3 + domain.len() + 1);
        tail.extend_from_slice(&(UNIFORM_BYTES as u16).to_be_bytes());
        tail.push(0);
        tail.extend_from_slice(domain);
        tail.push(domain.len() as u8);
        Self { after_zero_block: Sha512::new_with_prefix([0_u8; BLOCK_BYTES]), tail }
    }

    /// 64 uniform bytes from the concatenation of `parts`.
    fn expand(&self, parts: &[&[u8]]) -> [u8; UNIFORM_BYTES] {
        let mut first = self.after_zero_block.clone();
        for part in parts {
            first.update(part);
        }
        first.update(&self.tail);
        let first = first.finalize();
        // 64 bytes are one block of output: b_1 = H(b_0 ‖ 1 ‖ DST_prime).
        let mut second = Sha512::new_with_prefix(first);
        second.update([1]);
        second.update(&self.tail[3..]);
        second.finalize().into()
    }

    /// `hash_to_ristretto255` of RFC 9380 appendix B.
    pub(super) fn hash_to_group(&self, parts: &[&[u8]]) -> RistrettoPoint {
        RistrettoPoint::from_uniform_bytes(&self.expand(parts))
    }

    /// RFC 9497 section 4.1: 64 bytes, little-endian, reduced modulo the order of the group.
    pub(super) fn hash_to_scalar(&self, parts: &[&[u8]]) -> Scalar {
        Scalar::from_bytes_mod_order_wide(&self.expand(parts))
    }
}

/// A length as RFC 9497 frames it: two bytes, big-endian. Callers check that `bytes` fits.
pub(super) fn framed_len(bytes: &[u8]) -> [u8; 2] {
    (bytes.len() as u16).to_be_bytes()
}

/// Decodes a point; refuses what is not canonical and the identity (RFC 9497 section 2.1).
pub(super) fn decode_point(bytes: &[u8; POINT_BYTES]) -> Option<RistrettoPoint> {
    // The identity is the only point that is encoded as zeros.
    if *bytes == [0; POINT_BYTES] {
        return None;
    }
    CompressedRistretto(*bytes).decompress()
}

/// Decodes a batch of points, naming the first that is refused.
pub(super) fn decode_points(batch: &[[u8; POINT_BYTES]]) -> Result<Vec<RistrettoPoint>, Error> {
    batch.iter().enumerate().map(|(index, bytes)| decode_point(bytes).ok_or(Error::MalformedPoint { index })).collect()
}

/// Encodes the double of every point.
pub(super) fn encode_doubles(points: &[RistrettoPoint]) -> Vec<[u8; POINT_BYTES]> {
    RistrettoPoint::double_and_compress_batch(points).into_iter().map(|c| c.0).collect()
}
