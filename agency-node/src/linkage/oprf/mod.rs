//! Tags: a distributed, blinded, verified pseudorandom function of identifiers.
//!
//! The pieces are those of RFC 9497, suite ristretto255-SHA512, verifiable mode: hash-to-group,
//! evaluation and the batched proof of equal discrete logarithms (DLEQ). Two things differ from the
//! RFC's protocol, on purpose:
//!
//! - **Several evaluators.** Each node j has its own epoch key `k_j` with `K_j = k_j·G`; the function
//!   is evaluated under the sum of all keys, so that nobody can compute it without every node.
//! - **Additive blinding.** A node hides `P` as `P + r·G`, which costs a fixed-base multiplication
//!   where the RFC's `r·P` costs a variable-base one, and takes `r·K_j` off the answer. The blinded
//!   point is uniform whatever `P` is, so an evaluator learns nothing. Taking `r·K_j` off is right
//!   only if `K_j` is the key that was used, which is why every answer is proved *before* use.
//!
//! # The way of one identifier `x` of type `τ`
//!
//! ```text
//! P = HashToGroup(len(τ) ‖ τ ‖ len(x) ‖ x)               lengths as two bytes, big-endian
//! B = 2·(P + r·G)                                        to every other node j
//! D_j = k_j·B, one DLEQ proof per batch for (G, K_j, B, D_j)    from every other node j
//! T = Σ_j D_j − 2r·Σ_j K_j + 2k_i·P   =   2·(Σ k)·P       node i adds its own key's part
//! tag = SHA-512/256("sallyport tag v1" ‖ epoch ‖ len(τ) ‖ τ ‖ len(x) ‖ x ‖ encode(2·T))[..16]
//! ```
//!
//! **Why the doublings.** Encoding a ristretto255 point needs an inverse square root, 5.5 µs;
//! encoding the *doubles* of a batch needs one shared inversion, 0.7 µs a point. So a node encodes
//! `2·(P + r·G)`, an evaluator multiplies by `k_j/2` and encodes the double, and the tag is taken
//! from `4·(Σ k)·P`. In a group of prime order multiplying by 2 or 4 is a bijection, so nothing is
//! lost; whoever computes a tag directly has to multiply by 4.
//!
//! **A node joins.** The others keep their keys, so `4·(Σ k)·P` of an identifier lacks the new key's part
//! alone: `4·(Σ k)·P + 2·(D_new − 2r·K_new)`, one evaluation by the new node. Each node therefore keeps
//! the sum beside the tag.
//!
//! # What this module never does
//! No I/O and no clock; randomness is passed in. It runs on the caller's thread: callers spread
//! batches over threads. Secret scalars (`k`, `r`) meet constant-time operations only; variable-time
//! ones see only points and coefficients that are on the wire. It does not decide who may evaluate
//! how much: quota and signatures are the caller's.

mod blinding;
mod cost;
mod dleq;
mod evaluation;
mod keys;
mod suite;

#[cfg(test)]
mod tests;

pub use blinding::{Blinding, KeySum, Tag, Tagged};
pub use cost::UnavoidableMultiplications;
pub use evaluation::Evaluated;
pub use keys::{EpochKey, EpochKeys, PublicKey};

/// Most identifiers in one batch.
pub const MAX_BATCH: usize = 4_096;
/// Most nodes, our own included, in one epoch.
pub const MAX_NODES: usize = 64;
/// Bytes of an encoded point.
pub const POINT_BYTES: usize = 32;
/// Bytes of a batch's DLEQ proof: challenge and response.
pub const PROOF_BYTES: usize = 64;

/// Why a step was refused. Nothing of a refused batch may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A batch must hold 1 to [`MAX_BATCH`] identifiers.
    #[error("a batch must hold 1 to {MAX_BATCH} identifiers; split the work into such batches")]
    BatchSize,
    /// An identifier is longer than its two-byte length can say.
    #[error("an identifier is too long to be tagged")]
    IdentifierLength,
    /// The bytes are not the canonical encoding of a point other than the identity.
    #[error("point {index} is malformed; the sender must repeat the batch from its own data")]
    MalformedPoint {
        /// Place in the batch, from 0.
        index: usize,
    },
    /// A public key is malformed or the identity.
    #[error("a public tag key is malformed; ask its node for a new epoch statement")]
    MalformedKey,
    /// A secret key is not a canonical scalar other than zero.
    #[error("the stored epoch key is damaged; start a new epoch")]
    MalformedSecretKey,
    /// Two nodes show the same key, or the keys of all add up to nothing.
    #[error("the nodes' tag keys are not independent; start a new epoch")]
    DependentKeys,
    /// Fewer than 2 or more than [`MAX_NODES`] nodes.
    #[error("an epoch needs 2 to {MAX_NODES} nodes")]
    NodeCount,
    /// The evaluations are not one per other node, or one has another size than the batch.
    #[error("an answer does not fit the batch that was sent; ask that node again")]
    AnswerSize,
    /// A proof does not hold: that node did not use the key it published.
    #[error("the proof of evaluator {evaluator} does not hold; report that node's operator")]
    ProofRefused {
        /// Place among the other nodes' keys in [`EpochKeys`], from 0.
        evaluator: usize,
    },
}
