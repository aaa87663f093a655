//! What is counted by.

use sallyport_shift::Period;

use super::*;

impl From<&Tally> for pb::Tally {
    fn from(tally: &Tally) -> Self {
        let period = match tally.period {
            Period::Day => pb::Period::Day,
            Period::Week => pb::Period::Week,
            Period::Month => pb::Period::Month,
        };
        pb::Tally { place: tally.place.clone(), period: period.into() }
    }
}

impl TryFrom<pb::Tally> for Tally {
    type Error = Refusal;

    fn try_from(tally: pb::Tally) -> Result<Self, Refusal> {
        let period = match tally.period() {
            pb::Period::Unspecified => return Err(missing("period")),
            pb::Period::Day => Period::Day,
            pb::Period::Week => Period::Week,
            pb::Period::Month => Period::Month,
        };
        Ok(Tally { place: tally.place, period })
    }
}
