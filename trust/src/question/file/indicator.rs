//! One `[[indicator]]` of a question file.

use serde::Deserialize;

use super::{super::*, FileComparison, FileWindow};

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileIndicator {
    #[serde(default)]
    name: String,
    dataset: String,
    #[serde(default)]
    identifier: String,
    #[serde(default)]
    contact: String,
    #[serde(default)]
    both_ways: bool,
    from: Option<toml::Value>,
    until: Option<toml::Value>,
    last_days: Option<u32>,
    #[serde(default = "default_measure")]
    measure: String,
    half_at: Option<u32>,
    half_life_hours: Option<u32>,
    baseline_days: Option<u32>,
    rarity_of: Option<String>,
    strength_of: Option<String>,
    #[serde(default = "default_weight")]
    weight: f64,
    #[serde(default)]
    required: bool,
    #[serde(default, rename = "where")]
    filter: Vec<FileComparison>,
    after: Option<String>,
    before: Option<String>,
    around: Option<String>,
    within: Option<String>,
    contacts_in_common_with: Option<String>,
    hops: Option<u8>,
    same_place_as: Option<String>,
    places: Option<u32>,
    others_half_at: Option<u32>,
}

fn default_measure() -> String {
    "presence".to_owned()
}

fn default_weight() -> f64 {
    1.0
}

const MEASURES: [&str; 9] =
    ["presence", "frequency", "recency", "novelty", "rarity", "burst", "silence", "regularity", "strongest"];

/// Others at which the evidence of a relation is one half, unless the file says otherwise.
const OTHERS_HALF_AT: u32 = 5;
/// Different places at which two must meet, unless the file says otherwise.
const PLACES: u32 = 3;

impl FileIndicator {
    pub(super) fn window(&self) -> FileWindow {
        FileWindow { from: self.from.clone(), until: self.until.clone(), last_days: self.last_days }
    }

    /// The indicator as it is at `now_ms`.
    pub(super) fn read(self, now_ms: i64) -> Result<Indicator, Refusal> {
        if !(0.0..=10.0).contains(&self.weight) {
            return Err(Refusal::bad_input("weight_out_of_range", "A weight must be 0 to 10."));
        }
        Ok(Indicator {
            measure: self.measure()?,
            relation: self.relation()?,
            window: self.window().into_window("", now_ms)?,
            name: self.name,
            dataset: self.dataset,
            identifier: self.identifier,
            contact: self.contact,
            both_ways: self.both_ways,
            filter: self.filter.into_iter().map(FileComparison::into_comparison).collect::<Result<_, _>>()?,
            weight_thousandths: (self.weight * 1000.0).round() as u32,
            required: self.required,
            tally: None,
        })
    }

    fn measure(&self) -> Result<Measure, Refusal> {
        let settings = (
            self.half_at,
            self.half_life_hours,
            self.baseline_days,
            self.rarity_of.as_deref(),
            self.strength_of.as_deref(),
        );
        match (self.measure.as_str(), settings) {
            ("presence", (None, None, None, None, None)) => Ok(Measure::Presence),
            ("frequency", (Some(half_at), None, None, None, None)) => Ok(Measure::Frequency { half_at }),
            ("recency", (None, Some(half_life_hours), None, None, None)) => Ok(Measure::Recency { half_life_hours }),
            ("novelty", (None, None, Some(baseline_days), None, None)) => Ok(Measure::Novelty { baseline_days }),
            ("rarity", (None, None, Some(baseline_days), Some(of), None)) => {
                Ok(Measure::Rarity { of: rarity_of(of), baseline_days })
            }
            ("burst", (None, None, Some(baseline_days), None, None)) => Ok(Measure::Burst { baseline_days }),
            ("silence", (None, None, Some(baseline_days), None, None)) => Ok(Measure::Silence { baseline_days }),
            ("regularity", (None, None, None, None, None)) => Ok(Measure::Regularity),
            ("strongest", (None, None, None, None, Some(of))) => Ok(Measure::Strongest { of: of.to_owned() }),
            (measure, _) if MEASURES.contains(&measure) => Err(Refusal::bad_input(
                "measure_settings",
                "`frequency` takes `half_at`, `recency` takes `half_life_hours`, `novelty`, `burst` and `silence` take \
                 `baseline_days`, `rarity` takes that and `rarity_of`, `strongest` takes `strength_of`, `presence` and \
                 `regularity` take none.",
            )),
            (other, _) => Err(Refusal::bad_input(
                "measure_unknown",
                format!("`{other}` is no measure; use one of {}.", MEASURES.join(", ")),
            )),
        }
    }

    fn relation(&self) -> Result<Option<Relation>, Refusal> {
        let in_time = [(Order::After, &self.after), (Order::Before, &self.before), (Order::Around, &self.around)];
        let mut in_time = in_time.into_iter().filter_map(|(order, to)| Some((order, to.clone()?)));
        let (first, second) = (in_time.next(), in_time.next());
        let half_at = self.others_half_at.unwrap_or(OTHERS_HALF_AT);
        let others = (self.contacts_in_common_with.clone(), self.same_place_as.clone());
        let settings = (self.within.as_deref(), self.hops, self.places);
        let (to, kind) = match (first, second, others, settings) {
            (None, None, (None, None), (None, None, None)) => return Ok(None),
            (Some((order, to)), None, (None, None), (Some(within), None, None)) => {
                (to, RelationKind::InTime { order, minutes: minutes(within)? })
            }
            (None, None, (Some(to), None), (None, hops, None)) => {
                (to, RelationKind::CommonContacts { hops: hops.unwrap_or(1) })
            }
            (None, None, (None, Some(to)), (Some(within), None, places)) => {
                (to, RelationKind::SamePlace { minutes: minutes(within)?, places: places.unwrap_or(PLACES) })
            }
            _ => {
                return Err(Refusal::bad_input(
                    "relation_settings",
                    "An indicator takes one of `after`, `before` and `around`, each with `within`, or \
                     `contacts_in_common_with`, with `hops` if it is 2, or `same_place_as` with `within`, and with \
                     `places` if they are not 3.",
                ));
            }
        };
        Ok(Some(Relation { to, kind, half_at }))
    }
}

fn rarity_of(text: &str) -> Trait {
    match text {
        "hour" => Trait::Hour,
        "weekday" => Trait::Weekday,
        name => Trait::Attribute(name.to_owned()),
    }
}

/// `90m`, `24h` or `7d`, or with the unit as a word, in minutes.
fn minutes(text: &str) -> Result<u32, Refusal> {
    let refused = || {
        Refusal::bad_input(
            "relation_minutes",
            "`within` must be one minute to 90 days, such as \"90m\", \"24h\" or \"7d\".",
        )
    };
    let (number, unit) = text.find(|c: char| !c.is_ascii_digit()).map(|at| text.split_at(at)).ok_or_else(refused)?;
    let factor = match unit.trim_start() {
        "m" | "minute" | "minutes" => 1,
        "h" | "hour" | "hours" => 60,
        "d" | "day" | "days" => 24 * 60,
        _ => return Err(refused()),
    };
    let number: u32 = number.parse().map_err(|_| refused())?;
    let minutes = number.checked_mul(factor).ok_or_else(refused)?;
    if (1..=MINUTES_MAX).contains(&minutes) { Ok(minutes) } else { Err(refused()) }
}
