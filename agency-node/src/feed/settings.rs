//! `[[feed]]` in the node's configuration: which partner sends for which devices, and what can be.

use std::collections::BTreeSet;

use sallyport_feed::{Bounds, Devices, plausibility::Region, position::is_device};
use sallyport_track::SPEED_MAX_KMH;
use serde::Deserialize;

use crate::period::Period;

/// One feed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedSettings {
    /// `AGENCY.NAME` of the positions, as policies speak of them.
    pub name: String,
    /// The partner, as in `spiffe://…/partner/PARTNER/feed`.
    pub partner: String,
    /// Devices that the partner sends for: names, or beginnings of names with `*` behind them.
    pub devices: Devices,
    /// How far ahead of this node's clock a position may be.
    #[serde(default = "default_clock_skew")]
    pub clock_skew: Period,
    /// How old a position may be when it comes.
    #[serde(default = "default_age")]
    pub age: Period,
    /// The fastest that a device can go, in kilometres an hour; at most what tracks are measured up to.
    #[serde(default = "default_speed")]
    pub speed_kmh: u16,
    /// Where the devices are, when they never leave it; with it more exchanged coordinates are found.
    #[serde(default)]
    pub region: Option<Region>,
}

/// Why feeds are not taken.
#[derive(Debug, thiserror::Error)]
pub enum FeedSettingsError {
    /// The name does not belong to the agency.
    #[error("name `{0}`: write AGENCY.NAME with this node's agency, at most 64 letters, digits and - _ .")]
    Name(String),
    /// A feed stands in the file twice.
    #[error("`{0}` stands there twice: keep one")]
    Twice(String),
    /// The partner's name cannot be.
    #[error("{0}: a partner is named as in its certificate, by a-z, 0-9 and -")]
    Partner(String),
    /// A bound is out of range.
    #[error(
        "{0}: clock_skew is at most 1d, age at most 3650d, speed_kmh 1 to {max}, and a region lies on the globe",
        max = SPEED_MAX_KMH
    )]
    Bounds(String),
}

fn default_clock_skew() -> Period {
    Period::from_seconds(5 * 60)
}

fn default_age() -> Period {
    Period::days(30)
}

fn default_speed() -> u16 {
    SPEED_MAX_KMH
}

impl FeedSettings {
    pub(super) fn bounds(&self) -> Bounds {
        Bounds {
            clock_skew_ms: self.clock_skew.ms(),
            age_max_ms: self.age.ms(),
            speed_max_mps: f64::from(self.speed_kmh) / 3.6,
            region: self.region,
        }
    }

    fn within_bounds(&self) -> bool {
        let on_globe = self.region.is_none_or(|region| {
            (-90.0..=90.0).contains(&region.south)
                && (region.south..=90.0).contains(&region.north)
                && [region.west, region.east].iter().all(|longitude| (-180.0..=180.0).contains(longitude))
        });
        self.clock_skew <= Period::days(1)
            && self.age <= Period::days(3650)
            && (1..=SPEED_MAX_KMH).contains(&self.speed_kmh)
            && on_globe
    }
}

/// Checks the feeds of `agency` together.
pub(crate) fn validate(agency: &str, feeds: &[FeedSettings]) -> Result<(), FeedSettingsError> {
    let mut names = BTreeSet::new();
    for feed in feeds {
        let own = feed.name.strip_prefix(agency).and_then(|rest| rest.strip_prefix('.'));
        if !is_device(&feed.name) || own.is_none_or(|name| name.is_empty() || name.contains(':')) {
            return Err(FeedSettingsError::Name(feed.name.clone()));
        }
        if !names.insert(&feed.name) {
            return Err(FeedSettingsError::Twice(feed.name.clone()));
        }
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if feed.partner.is_empty() || !feed.partner.bytes().all(plain) {
            return Err(FeedSettingsError::Partner(feed.name.clone()));
        }
        if !feed.within_bounds() {
            return Err(FeedSettingsError::Bounds(feed.name.clone()));
        }
    }
    Ok(())
}
