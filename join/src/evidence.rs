//! What a row says of its subject, and the seal on it.
//!
//! A sealed block is one AES-128 encryption under the row's secret. Ten of its sixteen bytes are
//! redundancy (the indicator's number and zeros), so a block opened with a wrong secret, or changed
//! on its way, passes with a chance of 2⁻⁸⁰.

use aes::{
    Aes128Dec, Aes128Enc,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};

use crate::field::Element;

/// Evidence about one subject in one data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evidence {
    /// 0 to 1,000.
    pub strength_thousandths: u16,
    /// Days since 1970-01-01 of the newest event; 0 without time.
    pub newest_day: u16,
    /// Bits that the owner's policy lets say something about the subject; none are given out yet.
    pub labels: u16,
}

/// Seals `evidence` of indicator number `indicator` under the row's secret.
pub fn seal(secret: &Element, indicator: u8, evidence: Evidence) -> [u8; 16] {
    let mut block = [0; 16];
    block[..2].copy_from_slice(&evidence.strength_thousandths.to_le_bytes());
    block[2..4].copy_from_slice(&evidence.newest_day.to_le_bytes());
    block[4..6].copy_from_slice(&evidence.labels.to_le_bytes());
    block[6] = indicator;
    let mut block = block.into();
    Aes128Enc::new(&(*secret).into()).encrypt_block(&mut block);
    block.into()
}

/// Opens sealed blocks of one subject; the key is scheduled once for all of them.
pub struct Opener(Aes128Dec);

impl Opener {
    /// For the secret that at least t shares gave.
    pub fn new(secret: &Element) -> Self {
        Self(Aes128Dec::new(&(*secret).into()))
    }

    /// The evidence, or nothing when the secret is not this block's or the block was changed.
    pub fn open(&self, indicator: u8, sealed: &[u8; 16]) -> Option<Evidence> {
        let mut block = (*sealed).into();
        self.0.decrypt_block(&mut block);
        let block: [u8; 16] = block.into();
        let evidence = Evidence {
            strength_thousandths: u16::from_le_bytes([block[0], block[1]]),
            newest_day: u16::from_le_bytes([block[2], block[3]]),
            labels: u16::from_le_bytes([block[4], block[5]]),
        };
        let whole = block[6] == indicator && block[7..] == [0; 9] && evidence.strength_thousandths <= 1_000;
        whole.then_some(evidence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn opens_with_its_secret_alone(
            secret: Element, other: Element, indicator: u8, strength in 0u16..=1000, day: u16, bit in 0usize..128,
        ) {
            let evidence = Evidence { strength_thousandths: strength, newest_day: day, labels: 0 };
            let sealed = seal(&secret, indicator, evidence);
            prop_assert_eq!(Opener::new(&secret).open(indicator, &sealed), Some(evidence));
            prop_assert_eq!(Opener::new(&secret).open(indicator.wrapping_add(1), &sealed), None);
            prop_assume!(other != secret);
            prop_assert_eq!(Opener::new(&other).open(indicator, &sealed), None);
            let mut changed = sealed;
            changed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Opener::new(&secret).open(indicator, &changed), None);
        }
    }
}
