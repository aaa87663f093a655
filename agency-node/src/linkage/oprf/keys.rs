//! The nodes' epoch keys: our own secret one, and what the others published.
//!
//! Never shows a secret in `Debug`, and erases it from memory when dropped.

use std::collections::HashSet;
use std::fmt;

use curve25519_dalek::{RistrettoPoint, Scalar, traits::IsIdentity};
use rand::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use super::suite::decode_point;
use super::{Error, MAX_NODES, POINT_BYTES};

/// A node's secret key `k` of one epoch, with its public key.
pub struct EpochKey {
    scalar: Scalar,
    /// `k/2`: what a point is multiplied by when its double is what gets encoded.
    half: Scalar,
    public: PublicKey,
}

impl EpochKey {
    /// A fresh key, uniform among the scalars other than zero.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        loop {
            let scalar = Scalar::random(rng);
            if scalar != Scalar::ZERO {
                return Self::of(scalar);
            }
        }
    }

    /// Reads a key that [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`Error::MalformedSecretKey`] unless the bytes are a canonical scalar other than zero.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
        Option::<Scalar>::from(Scalar::from_canonical_bytes(*bytes))
            .filter(|scalar| *scalar != Scalar::ZERO)
            .map(Self::of)
            .ok_or(Error::MalformedSecretKey)
    }

    fn of(scalar: Scalar) -> Self {
        let point = RistrettoPoint::mul_base(&scalar);
        let public = PublicKey { point, bytes: point.compress().0 };
        Self { scalar, half: scalar.div_by_2(), public }
    }

    /// The secret, 32 bytes, little-endian; for storage on this node only.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.scalar.to_bytes())
    }

    /// `K = k·G`, to be published.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(super) fn scalar(&self) -> &Scalar {
        &self.scalar
    }

    pub(super) fn half(&self) -> &Scalar {
        &self.half
    }
}

impl Drop for EpochKey {
    fn drop(&mut self) {
        self.scalar.zeroize();
        self.half.zeroize();
    }
}

impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochKey(redacted)")
    }
}

/// A node's public key `K = k·G` of one epoch.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    point: RistrettoPoint,
    bytes: [u8; POINT_BYTES],
}

impl PublicKey {
    /// Reads a published key.
    ///
    /// # Errors
    /// [`Error::MalformedKey`] unless the bytes encode a point other than the identity.
    pub fn from_bytes(bytes: &[u8; POINT_BYTES]) -> Result<Self, Error> {
        let point = decode_point(bytes).ok_or(Error::MalformedKey)?;
        Ok(Self { point, bytes: *bytes })
    }

    /// The encoded point.
    pub fn to_bytes(&self) -> [u8; POINT_BYTES] {
        self.bytes
    }

    pub(super) fn point(&self) -> &RistrettoPoint {
        &self.point
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.bytes;
        write!(f, "PublicKey({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// All keys of one epoch as one node sees them: its own, and every other node's public key.
pub struct EpochKeys {
    epoch: u64,
    own: EpochKey,
    others: Vec<PublicKey>,
    sum_of_others: RistrettoPoint,
}

impl fmt::Debug for EpochKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochKeys(epoch {}, own and {} others)", self.epoch, self.others.len())
    }
}

impl EpochKeys {
    /// Brings the keys of an epoch together. The order of `others` is the order in which their
    /// evaluations are handed over later.
    ///
    /// # Errors
    /// [`Error::NodeCount`] unless there are 1 to [`MAX_NODES`]` − 1` others;
    /// [`Error::DependentKeys`] if a key occurs twice or all keys add up to the identity.
    pub fn new(epoch: u64, own: EpochKey, others: Vec<PublicKey>) -> Result<Self, Error> {
        if !(1..MAX_NODES).contains(&others.len()) {
            return Err(Error::NodeCount);
        }
        let mut seen = HashSet::from([own.public.bytes]);
        if !others.iter().all(|key| seen.insert(key.bytes)) {
            return Err(Error::DependentKeys);
        }
        let sum_of_others: RistrettoPoint = others.iter().map(|key| key.point).sum();
        if (sum_of_others + own.public.point).is_identity() {
            return Err(Error::DependentKeys);
        }
        Ok(Self { epoch, own, others, sum_of_others })
    }

    /// Number of the epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Our own key, with which this node answers others.
    pub fn own(&self) -> &EpochKey {
        &self.own
    }

    /// The other nodes' keys, in the order of their evaluations.
    pub fn others(&self) -> &[PublicKey] {
        &self.others
    }

    pub(super) fn sum_of_others(&self) -> &RistrettoPoint {
        &self.sum_of_others
    }
}
