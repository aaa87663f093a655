//! The multiplications that no implementation of the protocol can do without, by themselves.
//!
//! A benchmark times them in the same run as the whole, which gives a ratio that does not depend on
//! the machine. Never used to make a tag.

use std::hint::black_box;

use curve25519_dalek::{RistrettoPoint, Scalar, ristretto::RistrettoBasepointTable};
use rand::CryptoRng;

use super::{Error, MAX_BATCH, MAX_NODES};

/// Prepared inputs, so that only multiplications are timed.
pub struct UnavoidableMultiplications {
    nodes: usize,
    key: Scalar,
    other_keys: RistrettoBasepointTable,
    points: Vec<RistrettoPoint>,
    scalars: Vec<Scalar>,
}

impl UnavoidableMultiplications {
    /// Random inputs for a batch of `identifiers` in an epoch of `nodes` nodes.
    ///
    /// # Errors
    /// [`Error::BatchSize`] unless there are 1 to [`MAX_BATCH`] identifiers; [`Error::NodeCount`]
    /// unless there are 2 to [`MAX_NODES`] nodes.
    pub fn prepare<R: CryptoRng + ?Sized>(nodes: usize, identifiers: usize, rng: &mut R) -> Result<Self, Error> {
        if !(1..=MAX_BATCH).contains(&identifiers) {
            return Err(Error::BatchSize);
        }
        if !(2..=MAX_NODES).contains(&nodes) {
            return Err(Error::NodeCount);
        }
        Ok(Self {
            nodes,
            key: Scalar::random(rng),
            other_keys: RistrettoBasepointTable::create(&RistrettoPoint::random(rng)),
            points: (0..identifiers).map(|_| RistrettoPoint::random(rng)).collect(),
            scalars: (0..identifiers).map(|_| Scalar::random(rng)).collect(),
        })
    }

    /// For every identifier: one variable-base multiplication `k_j·B` at each node, one fixed-base
    /// `r·G` to blind and one fixed-base `r·K` to unblind, all in constant time; nothing else.
    pub fn run(&self) {
        for (point, scalar) in self.points.iter().zip(&self.scalars) {
            for _ in 0..self.nodes {
                black_box(black_box(point) * black_box(&self.key));
            }
            black_box(RistrettoPoint::mul_base(black_box(scalar)));
            black_box(black_box(&self.other_keys) * black_box(scalar));
        }
    }
}
