//! The model of GPS noise: what a fix may be wrong by, and how much it proves.
//!
//! **How far.** The error of a fix has independent normal components east and north. A device's accuracy is the
//! radius that holds 68 % of its fixes (so Android's `Location.getAccuracy` and OwnTracks' `acc` define it), which
//! is 1.51 of one component's deviation σ, as 68 % of a Rayleigh distribution lie within σ √(−2 ln 0.32).
//! Where a device claims nothing, 15 m are taken: three times the 4.9 m that GPS.gov gives for receivers of
//! consumers under open sky (van Diggelen and Enge, ION GNSS+ 2015). No claim is believed below 9.2 m: the GPS
//! SPS Performance Standard (5th edition, 2020, table 3.8-3) lets the signal alone be wrong by 15 m for 5 % of
//! the time at the worst site, which is as much at 68 %. What counts is the error across the edge
//! of a corridor, one component, and it exceeds **4 σ** once in 30,000 fixes.
//!
//! **How often.** Successive errors are alike: multipath and the troposphere change over tens of seconds, so
//! sixty fixes of one minute do not prove sixty times as much as one. A fix speaks for the time since the fix
//! before it, and for **30 s** at most; what is sampled faster shares those 30 s.
//!
//! **When it is enough.** Evidence is summed by Page's rule (E. S. Page, *Continuous inspection schemes*, Biometrika
//! 41, 1954): `S ← max(0, S + e)`. A change is certain at **S = 60 s**, so never by fewer than two fixes whose errors
//! are independent, and it began where S last rose from 0. Two in a row beyond 4 σ come by chance once in 10⁹ if
//! errors are normal, and the floor above leaves room for those that are not: on a
//! trip of sixty hours that keeps exactly to the edge, one false excursion in 100,000 trips. A single wild fix,
//! of whatever size, gives 30 s and is forgotten after as much time on the right side.
//!
//! All of these values are those of the sources named here; none was fitted to a data set. That claims need a floor
//! was seen when real noise was replayed under a claim smaller than it; how high it is, the standard says.

use serde::{Deserialize, Serialize};

/// The accuracy taken for a fix that claims none, in metres.
const ACCURACY_DEFAULT_M: f32 = 15.0;
/// What the Performance Standard promises at the worst site: 15 m at 95 %, in metres at 68 %.
const ACCURACY_MIN_M: f32 = 9.2;
/// Above this a fix comes from a cell of the telephone network, and shows no side of a corridor.
const ACCURACY_MAX_M: f32 = 1_000.0;
/// √(−2 ln 0.32): radius of 68 % over one component's deviation.
const ACCURACY_PER_DEVIATION: f64 = 1.509_6;
/// Deviations that noise does not exceed.
const DEVIATIONS: f64 = 4.0;
/// The longest time that one fix speaks for, in milliseconds.
pub(crate) const FIX_SPEAKS_MS: i64 = 30_000;
/// The sum of evidence that makes a change certain, in milliseconds.
pub(crate) const CERTAIN_MS: i64 = 60_000;

/// 4 σ of one component in metres, from the accuracy that a device claims; none where it is too coarse to
/// be used.
pub(crate) fn margin_m(accuracy_m: Option<f32>) -> Option<f64> {
    let accuracy_m = accuracy_m.filter(|accuracy_m| *accuracy_m > 0.0).unwrap_or(ACCURACY_DEFAULT_M);
    // Infinity is too coarse, and so is anything that is no number.
    (accuracy_m <= ACCURACY_MAX_M)
        .then(|| DEVIATIONS * f64::from(accuracy_m.max(ACCURACY_MIN_M)) / ACCURACY_PER_DEVIATION)
}

/// How long a fix speaks for, given the time since the one before it.
pub(crate) fn speaks_ms(since_ms: i64) -> i64 {
    since_ms.clamp(0, FIX_SPEAKS_MS)
}

/// How much a distance beyond an edge proves, from −1 to 1, with 0 at one margin beyond it.
pub(crate) fn beyond(away_m: f64, margin_m: f64) -> f64 {
    ((away_m - margin_m) / margin_m).clamp(-1.0, 1.0)
}

/// How much a distance within an edge proves, from −1 to 1, with 0 at the edge.
pub(crate) fn within(away_m: f64, margin_m: f64) -> f64 {
    (-away_m / margin_m).clamp(-1.0, 1.0)
}

/// Evidence for a change, summed by Page's rule. Whole milliseconds, so that no order of summing matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Evidence {
    sum_ms: i64,
    /// When the sum rose from 0.
    began_ms: i64,
}

impl Evidence {
    /// Adds what one fix proves, from −1 to 1, over the time it speaks for. `began_ms` is when the change
    /// happened, if this fix is the first to show it. True once it is certain.
    pub(crate) fn add(&mut self, proof: f64, speaks_ms: i64, began_ms: i64) -> bool {
        if self.sum_ms == 0 {
            self.began_ms = began_ms;
        }
        self.sum_ms = (self.sum_ms + (proof * speaks_ms as f64).round() as i64).clamp(0, CERTAIN_MS);
        self.is_certain()
    }

    pub(crate) fn is_certain(&self) -> bool {
        self.sum_ms >= CERTAIN_MS
    }

    /// When the change began, while there is evidence of one.
    pub(crate) fn began_ms(&self) -> Option<i64> {
        (self.sum_ms > 0).then_some(self.began_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_believed_within_bounds() {
        assert!((margin_m(None).unwrap() - 39.7).abs() < 0.1);
        assert!((margin_m(Some(30.2)).unwrap() - 80.0).abs() < 0.1);
        assert_eq!(margin_m(Some(0.1)), margin_m(Some(9.2)));
        assert_eq!(margin_m(Some(f32::NAN)), margin_m(None));
        assert_eq!(margin_m(Some(-1.0)), margin_m(None));
        assert_eq!(margin_m(Some(1_500.0)), None);
        assert_eq!(margin_m(Some(f32::INFINITY)), None);
    }

    #[test]
    fn two_independent_fixes_are_needed_and_enough() {
        let mut evidence = Evidence::default();
        assert!(!evidence.add(1.0, FIX_SPEAKS_MS, 10));
        assert!(evidence.add(1.0, FIX_SPEAKS_MS, 20));
        assert_eq!(evidence.began_ms(), Some(10));
    }

    #[test]
    fn a_wild_fix_is_forgotten() {
        let mut evidence = Evidence::default();
        evidence.add(1.0, FIX_SPEAKS_MS, 10);
        evidence.add(-1.0, FIX_SPEAKS_MS, 20);
        assert_eq!(evidence.began_ms(), None);
        evidence.add(1.0, FIX_SPEAKS_MS, 30);
        assert_eq!(evidence.began_ms(), Some(30));
    }
}
