//! Each place's share of all counts after a change, against its shares before.
//!
//! With n(p, t) events at place p in period t, the share is s(p, t) = n(p, t) / Σ n(q, t): what moves all
//! places alike, a season or a bad year, leaves it as it was. After the change counts are pooled. Shares of
//! busy and of quiet places move by parts of themselves, so they are compared as logarithms, of n + ½ so that
//! 0 has one. How far a place is from the median m of its logarithms before is told as the modified z-score
//! of Iglewicz and Hoaglin (How to Detect and Handle Outliers, ASQC 1993),
//!
//! z = (ln share after − m) / max(1.4826 · MAD, √((1 − eᵐ) / (eᵐ N))),
//!
//! whose scale is the median absolute deviation of the logarithms before, 1.4826 making it the standard
//! deviation of normal ones, and never less than the noise of counting N events after. They call 3.5 an
//! outlier; here it is called a shift.
//!
//! Counts that were too few to be told are missing, and a place whose counts are now told and now kept back
//! would seem to jump. So z is computed with nothing and with the most that can have been kept back, before and
//! after, and the smallest of them holds, so that beginning or ceasing to be told is no shift by itself. Ups and
//! downs within what was kept back are not known, and neither are totals with it.

/// From this |z| on a place has shifted (Iglewicz and Hoaglin).
pub const SHIFT_FROM_Z: f64 = 3.5;
/// Periods with counts that a baseline needs.
pub const BASELINE_MIN: usize = 6;
/// Makes a median absolute deviation the standard deviation of a normal distribution: 1 / Φ⁻¹(3/4).
const NORMAL: f64 = 1.4826;

/// A place and its counts in each period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// What the data call it.
    pub place: String,
    /// One for each period; 0 where nothing was told of it.
    pub counts: Vec<u64>,
    /// How many more there can be in each period at most, of what was kept back for being few.
    pub kept_back: Vec<u64>,
}

impl Series {
    fn told(&self, period: usize) -> f64 {
        at(&self.counts, period) as f64
    }

    fn at_most(&self, period: usize) -> f64 {
        self.told(period) + at(&self.kept_back, period) as f64
    }
}

/// Where a place's share went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Its share is larger than before.
    Up,
    /// Its share is smaller than before.
    Down,
    /// Its share is what it was, as far as its ups and downs before tell.
    AsBefore,
}

impl Direction {
    fn of(z: f64) -> Self {
        if z.abs() < SHIFT_FROM_Z {
            Self::AsBefore
        } else if z > 0.0 {
            Self::Up
        } else {
            Self::Down
        }
    }

    /// As people and scripts read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::AsBefore => "as before",
        }
    }
}

/// What became of one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Shift {
    /// What the data call it.
    pub place: String,
    /// Median of its shares before, 0 to 1.
    pub share_before: f64,
    /// Its share of all counts after.
    pub share_after: f64,
    /// How far its share is from the median before, by its own ups and downs, at least.
    pub z: f64,
    /// Median count of a period before.
    pub count_before: f64,
    /// Mean count of a period after.
    pub count_after: f64,
    /// Periods in which nothing was told of it although something was of others, or something can have been kept
    /// back.
    pub partial: usize,
    /// In a word.
    pub direction: Direction,
}

impl Shift {
    /// Change of the share as a part of the share before; absent where that is 0.
    pub fn change(&self) -> Option<f64> {
        (self.share_before > 0.0).then(|| self.share_after / self.share_before - 1.0)
    }

    /// Change of the share, of all counts.
    pub fn moved(&self) -> f64 {
        self.share_after - self.share_before
    }
}

/// What became of all places.
#[derive(Debug, Clone, PartialEq)]
pub struct Shifts {
    /// Largest |z| first.
    pub places: Vec<Shift>,
    /// Median of all counts of a period before.
    pub total_before: f64,
    /// Mean of all counts of a period after.
    pub total_after: f64,
    /// Periods, by position, in which nothing was counted anywhere; they take no part.
    pub empty: Vec<usize>,
}

/// Why nothing can be said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmeasurable {
    /// Too few periods to know what is usual.
    #[error(
        "only {found} periods before the change have counts, and what is usual takes {BASELINE_MIN}; ask for more \
         periods before, or for shorter ones"
    )]
    Baseline {
        /// How many have any.
        found: usize,
    },
    /// Nothing to compare.
    #[error(
        "nothing was counted after the change; ask about a time that the data sets have, `sallyport catalog` says which"
    )]
    NothingAfter,
}

/// Compares the periods from `before` on with those before it.
///
/// # Errors
/// [`Unmeasurable`] when there is too little on either side.
pub fn measure(series: &[Series], before: usize) -> Result<Shifts, Unmeasurable> {
    let totals = totals(series);
    let counted: Vec<usize> = (0..totals.len()).filter(|&period| totals[period] > 0).collect();
    let (baseline, after): (Vec<usize>, Vec<usize>) = counted.iter().partition(|&&period| period < before);
    if baseline.len() < BASELINE_MIN {
        return Err(Unmeasurable::Baseline { found: baseline.len() });
    }
    if after.is_empty() {
        return Err(Unmeasurable::NothingAfter);
    }
    let compared = Compared { totals: &totals, baseline: &baseline, after: &after };
    let mut places: Vec<Shift> = series.iter().map(|one| compared.shift(one)).collect();
    places.sort_by(|a, b| b.z.abs().total_cmp(&a.z.abs()).then_with(|| a.place.cmp(&b.place)));
    Ok(Shifts {
        places,
        total_before: median(baseline.iter().map(|&period| totals[period] as f64).collect()),
        total_after: compared.after_of(&|period| totals[period] as f64) / after.len() as f64,
        empty: (0..totals.len()).filter(|&period| totals[period] == 0).collect(),
    })
}

/// All counts of each period.
fn totals(series: &[Series]) -> Vec<u64> {
    let periods = series.iter().map(|one| one.counts.len()).max().unwrap_or_default();
    let total = |period: usize| {
        series.iter().filter_map(|one| one.counts.get(period)).fold(0u64, |sum, &count| sum.saturating_add(count))
    };
    (0..periods).map(total).collect()
}

/// The periods that have counts, and how many.
struct Compared<'a> {
    totals: &'a [u64],
    baseline: &'a [usize],
    after: &'a [usize],
}

impl Compared<'_> {
    fn shift(&self, one: &Series) -> Shift {
        let told = |period: usize| one.told(period);
        let share = |period: usize| told(period) / self.total(period);
        let counted = self.after_of(&told);
        let periods = self.baseline.iter().chain(self.after);
        let z = self.surest_z(one);
        Shift {
            place: one.place.clone(),
            share_before: self.median_before(&share),
            share_after: counted / self.after_of(&|period| self.total(period)),
            z,
            count_before: self.median_before(&told),
            count_after: counted / self.after.len() as f64,
            partial: periods.filter(|&&period| told(period) == 0.0 || one.at_most(period) > told(period)).count(),
            direction: Direction::of(z),
        }
    }

    /// Nothing, or as much as can be, was kept back before and after: the z nearest to 0 of all four, and 0 where
    /// they are not of one mind.
    fn surest_z(&self, one: &Series) -> f64 {
        let (told, most) = (|period: usize| one.told(period), |period: usize| one.at_most(period));
        let all = [self.z(&told, &told), self.z(&told, &most), self.z(&most, &told), self.z(&most, &most)];
        let sign = if all[0] < 0.0 { -1.0 } else { 1.0 };
        sign * all.iter().map(|z| z * sign).fold(f64::INFINITY, f64::min).max(0.0)
    }

    fn z(&self, before: &dyn Fn(usize) -> f64, after: &dyn Fn(usize) -> f64) -> f64 {
        let log = |period: usize| log_share(before(period), self.total(period));
        let usual = self.median_before(&log);
        let spread = NORMAL * self.median_before(&|period| (log(period) - usual).abs());
        let events = self.after_of(&|period| self.total(period));
        let noise = ((1.0 - usual.exp()).max(0.0) / (usual.exp() * events)).sqrt();
        let scale = spread.max(noise);
        let moved = log_share(self.after_of(after), events) - usual;
        if scale > 0.0 { moved / scale } else { 0.0 }
    }

    fn total(&self, period: usize) -> f64 {
        at(self.totals, period) as f64
    }

    fn median_before(&self, value: &dyn Fn(usize) -> f64) -> f64 {
        median(self.baseline.iter().map(|&period| value(period)).collect())
    }

    fn after_of(&self, value: &dyn Fn(usize) -> f64) -> f64 {
        self.after.iter().map(|&period| value(period)).sum()
    }
}

/// Half an event more, so that none has a logarithm.
fn log_share(count: f64, of: f64) -> f64 {
    ((count + 0.5) / (of + 0.5)).ln()
}

fn at(counts: &[u64], period: usize) -> u64 {
    counts.get(period).copied().unwrap_or_default()
}

/// The middle of the values, or the mean of both in the middle; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (None, _) => 0.0,
        (Some(&upper), 1) => upper,
        (Some(&upper), _) => (upper + values[middle - 1]) / 2.0,
    }
}

#[cfg(test)]
mod tests;
