//! How many events a subject's own rate predicts: negative binomial, from a Poisson rate under a Gamma
//! prior of one pseudo-event at the population's rate.

/// Terms beyond which the sum gives way to the normal approximation.
const TERMS_MAX: usize = 2_000;

pub(super) struct Predicted {
    /// Shape: baseline events and the prior's one.
    shape: f64,
    /// Chance that an event of the joint time falls into the baseline.
    baseline_share: f64,
    /// False when the window, or everything, was not recorded: then nothing can be said.
    recorded: bool,
}

impl Predicted {
    /// For a subject's events in the recorded baseline, the recorded window, and the population's rate,
    /// all in the same unit of time.
    pub(super) fn new(baseline_events: f64, baseline: f64, window: f64, population_rate: f64) -> Self {
        let prior_time = if population_rate > 0.0 { 1.0 / population_rate } else { 0.0 };
        let time = baseline + prior_time;
        Self {
            shape: baseline_events + 1.0,
            baseline_share: time / (time + window.max(f64::MIN_POSITIVE)),
            recorded: window > 0.0 && time > 0.0,
        }
    }

    /// `max(0, 1 − 2·P(X ≥ n))`.
    pub(super) fn burst(&self, events: usize) -> f64 {
        if !self.recorded || events == 0 {
            return 0.0;
        }
        (1.0 - 2.0 * (1.0 - self.at_most(events - 1))).max(0.0)
    }

    /// `max(0, 1 − 2·P(X ≤ n))`.
    pub(super) fn silence(&self, events: usize) -> f64 {
        if !self.recorded {
            return 0.0;
        }
        (1.0 - 2.0 * self.at_most(events)).max(0.0)
    }

    /// `P(X ≤ n)`.
    fn at_most(&self, events: usize) -> f64 {
        let ln_first = self.shape * self.baseline_share.ln();
        // The first term must not vanish in the machine's numbers.
        if events > TERMS_MAX || ln_first < -600.0 {
            return self.normal_at_most(events as f64);
        }
        let mut term = ln_first.exp();
        let mut sum = term;
        for k in 0..events {
            let k = k as f64;
            term *= (k + self.shape) / (k + 1.0) * (1.0 - self.baseline_share);
            sum += term;
        }
        sum.clamp(0.0, 1.0)
    }

    fn normal_at_most(&self, events: f64) -> f64 {
        let odds = (1.0 - self.baseline_share) / self.baseline_share;
        let mean = self.shape * odds;
        let deviation = (mean / self.baseline_share).sqrt();
        normal((events + 0.5 - mean) / deviation.max(f64::MIN_POSITIVE))
    }
}

/// The standard normal distribution function, to 1.5e-7 (Abramowitz and Stegun, 7.1.26).
fn normal(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let series =
        t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let tail = 0.5 * series * (-x * x).exp();
    if z < 0.0 { tail } else { 1.0 - tail }
}
