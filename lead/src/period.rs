//! A length of time as people write it: `90s`, `15m`, `12h`, `30d`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de};

/// Seconds in each unit, longest first, with its letter and its name.
const UNITS: [(u64, char, &str); 4] =
    [(86_400, 'd', "day"), (3_600, 'h', "hour"), (60, 'm', "minute"), (1, 's', "second")];
/// A hundred years.
const SECONDS_MAX: u64 = 100 * 366 * 86_400;

/// A length of time; one second to a hundred years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(u64);

impl Period {
    /// So many days.
    pub const fn days(days: u32) -> Self {
        Self(days as u64 * UNITS[0].0)
    }

    /// So many seconds, as they came over the wire.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// In seconds.
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// In milliseconds.
    pub fn ms(self) -> i64 {
        i64::try_from(self.0.saturating_mul(1_000)).unwrap_or(i64::MAX)
    }
}

/// A text that is no [`Period`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a length of time as a number with its unit, such as \"90s\", \"15m\", \"12h\" or \"30d\"")]
pub struct NoPeriod;

impl FromStr for Period {
    type Err = NoPeriod;

    fn from_str(text: &str) -> Result<Self, NoPeriod> {
        let unit = UNITS.iter().find(|(_, letter, _)| text.ends_with(*letter)).ok_or(NoPeriod)?;
        let digits = &text[..text.len() - 1];
        let number: u64 = digits.parse().map_err(|_| NoPeriod)?;
        let seconds = number.checked_mul(unit.0).filter(|seconds| (1..=SECONDS_MAX).contains(seconds));
        // `+5d` is a number to the parser.
        seconds.filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit())).map(Self).ok_or(NoPeriod)
    }
}

impl fmt::Display for Period {
    /// As in "questions a person and …": `day`, `12 hours`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(seconds, ..)| self.0.is_multiple_of(*seconds)).unwrap_or(&UNITS[3]);
        match (self.0 / whole.0, whole.2) {
            (1, name) => f.write_str(name),
            (number, name) => write!(f, "{number} {name}s"),
        }
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_read_and_told() {
        let told = |text: &str| text.parse::<Period>().map(|period| (period.seconds(), period.to_string()));
        assert_eq!(told("1d"), Ok((86_400, "day".to_owned())));
        assert_eq!(told("30d"), Ok((2_592_000, "30 days".to_owned())));
        assert_eq!(told("36h"), Ok((129_600, "36 hours".to_owned())));
        assert_eq!(told("60m"), Ok((3_600, "hour".to_owned())));
        assert_eq!(told("90s"), Ok((90, "90 seconds".to_owned())));
        for wrong in ["", "d", "5", "0d", "-1d", "+1d", "1.5d", "5 d", "1w", "9999999d", "99999999999999999999s", "1д"]
        {
            assert_eq!(told(wrong), Err(NoPeriod), "{wrong}");
        }
    }
}
