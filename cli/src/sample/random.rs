//! Random choices that are the same on every machine.
//!
//! Two sources: a ChaCha8 stream for what is drawn row after row, and keyed mixing for what belongs to
//! a person or a row and must be found again without being remembered. Only integers, only fixed
//! widths: no floating point and no sampling code whose results may change with a library's version.
//! This is for sample data; nothing here is a cryptographic secret.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of random choices, named by what it is for, so that a new kind of row never shifts the
/// choices made for the others.
pub(super) struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream `name` (its first 24 bytes) of the sample with this seed.
    pub(super) fn new(seed: u64, name: &str) -> Self {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        for (slot, byte) in key[8..].iter_mut().zip(name.bytes()) {
            *slot = byte;
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// 64 uniform bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        scale(self.bits(), bound)
    }

    /// True in `per_mille` of 1,000 cases.
    pub(super) fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < u64::from(per_mille)
    }
}

/// Maps 64 uniform bits to a number below `bound` (multiply and take the high half).
pub(super) fn scale(bits: u64, bound: u64) -> u64 {
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

/// Mixes a key and a value to 64 uniform bits: the output function of SplitMix64 (Steele, Lea and
/// Flood, "Fast splittable pseudorandom number generators", 2014), applied twice to keep keys apart.
pub(super) fn mix(key: u64, value: u64) -> u64 {
    finish(finish(value.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ key)
}

fn finish(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The entry of a table of `(value, weight)` that `bits` falls on; the weights need not add up to
/// anything in particular. `None` only for an empty table.
pub(super) fn weighted<T>(table: &[(T, u32)], bits: u64) -> Option<&T> {
    let total: u64 = table.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let mut left = scale(bits, total);
    for (value, weight) in table {
        let weight = u64::from(*weight);
        if left < weight {
            return Some(value);
        }
        left -= weight;
    }
    None
}

const ROUNDS: usize = 6;

/// A keyed permutation of `0..size`: rows are put in random order, and people are given distinct
/// numbers, without a table in memory. An unbalanced Feistel network over the next power of two, walked
/// until it lands inside (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
pub(super) struct Shuffle {
    size: u64,
    low_bits: u32,
    high_bits: u32,
    keys: [u64; ROUNDS],
}

impl Shuffle {
    /// The permutation of `0..size` that `stream` picks.
    pub(super) fn new(size: u64, stream: &mut Stream) -> Self {
        let bits = (u64::BITS - size.saturating_sub(1).leading_zeros()).max(2);
        Self { size, low_bits: bits / 2, high_bits: bits - bits / 2, keys: std::array::from_fn(|_| stream.bits()) }
    }

    /// Where `index` goes. An index outside the domain stays what it is.
    pub(super) fn apply(&self, index: u64) -> u64 {
        if index >= self.size {
            return index;
        }
        let mut at = self.permute(index);
        while at >= self.size {
            at = self.permute(at);
        }
        at
    }

    fn permute(&self, value: u64) -> u64 {
        let low_mask = (1u64 << self.low_bits) - 1;
        let high_mask = (1u64 << self.high_bits) - 1;
        let (mut low, mut high) = (value & low_mask, value >> self.low_bits);
        for pair in self.keys.chunks_exact(2) {
            low ^= mix(pair[0], high) & low_mask;
            high ^= mix(pair[1], low) & high_mask;
        }
        (high << self.low_bits) | low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffle_is_a_permutation_for_every_small_size() {
        for size in 0..300u64 {
            let shuffle = Shuffle::new(size, &mut Stream::new(size, "shuffle"));
            let mut seen = vec![false; size as usize];
            for index in 0..size {
                let at = shuffle.apply(index) as usize;
                assert!(!seen[at], "size {size}: {at} twice");
                seen[at] = true;
            }
        }
    }

    #[test]
    fn streams_differ_by_seed_and_by_name_and_repeat() {
        let draw = |seed, name| Stream::new(seed, name).bits();
        assert_eq!(draw(1, "calls"), draw(1, "calls"));
        assert_ne!(draw(1, "calls"), draw(2, "calls"));
        assert_ne!(draw(1, "calls"), draw(1, "crossings"));
    }

    /// Fixed values: a change of any of these would change every sample ever made.
    #[test]
    fn values_are_pinned() {
        assert_eq!(mix(1, 2), PINNED_MIX);
        assert_eq!(Stream::new(7, "pinned").bits(), PINNED_STREAM);
    }
    const PINNED_MIX: u64 = 17_474_652_204_475_260_503;
    const PINNED_STREAM: u64 = 2_118_258_639_691_727_236;
}
