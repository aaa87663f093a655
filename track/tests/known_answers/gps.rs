//! The noise of a real receiver, second by second.
//!
//! What a fix differs from the parabola through the ten seconds around it is noise, and some steering. It shows the
//! quick part of the error only, so it is scaled until its robust deviation is the 4.07 m that Newson and
//! Krumm measured for this very record against the true roads. That makes its tails heavier than they were: the
//! largest are above 50 m.

use std::path::Path;

const DEVIATION_M: f64 = 4.07;
const AROUND_S: i64 = 10;
const DEGREE_M: f64 = 111_195.0;

/// Which half of the record is replayed.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    /// What may be looked at while something is changed.
    First,
    /// What is kept for judging.
    HeldOut,
}

/// Errors east and north in metres, one for each second.
pub(crate) struct Noise(Vec<(f64, f64)>);

impl Noise {
    pub(crate) fn read(file: &Path, part: Part) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        let fixes: Vec<(i64, f64, f64)> = text.lines().skip(1).filter_map(fix).collect();
        let (first, held_out) = fixes.split_at(fixes.len() / 2);
        let residuals = residuals(match part {
            Part::First => first,
            Part::HeldOut => held_out,
        });
        let mut sizes: Vec<f64> = residuals.iter().flat_map(|(east, north)| [east.abs(), north.abs()]).collect();
        sizes.sort_by(f64::total_cmp);
        let scale = DEVIATION_M / (1.4826 * sizes[sizes.len() / 2]);
        Self(residuals.iter().map(|(east, north)| (east * scale, north * scale)).collect())
    }

    /// The error at a second.
    pub(crate) fn at(&self, second: u64) -> (f64, f64) {
        self.0[(second % self.0.len() as u64) as usize]
    }
}

/// Second of the day, metres east and north.
fn fix(line: &str) -> Option<(i64, f64, f64)> {
    let fields: Vec<&str> = line.split('\t').collect();
    let clock: Vec<i64> = fields.get(1)?.split(':').map(|part| part.parse().unwrap()).collect();
    let (latitude, longitude): (f64, f64) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
    let second = clock[0] * 3_600 + clock[1] * 60 + clock[2];
    Some((second, longitude * DEGREE_M * 47.6_f64.to_radians().cos(), latitude * DEGREE_M))
}

/// With times symmetric around 0, the parabola through the neighbours has at 0 the value
/// `(Σt⁴ Σy − Σt² Σt²y) / (n Σt⁴ − (Σt²)²)`.
fn residuals(fixes: &[(i64, f64, f64)]) -> Vec<(f64, f64)> {
    let width = 2 * AROUND_S as usize + 1;
    let gapless = |window: &&[(i64, f64, f64)]| window[width - 1].0 - window[0].0 == 2 * AROUND_S;
    let residual = |window: &[(i64, f64, f64)]| {
        let middle = window[AROUND_S as usize];
        let (mut count, mut t2, mut t4, mut sums) = (0.0, 0.0, 0.0, [0.0; 4]);
        for (second, east, north) in window.iter().filter(|fix| fix.0 != middle.0) {
            let square = ((second - middle.0) as f64).powi(2);
            (count, t2, t4) = (count + 1.0, t2 + square, t4 + square * square);
            let (east, north) = (east - middle.1, north - middle.2);
            for (sum, term) in sums.iter_mut().zip([east, north, square * east, square * north]) {
                *sum += term;
            }
        }
        let at_zero = |sum: f64, weighted: f64| (t4 * sum - t2 * weighted) / (count * t4 - t2 * t2);
        (-at_zero(sums[0], sums[2]), -at_zero(sums[1], sums[3]))
    };
    fixes.windows(width).filter(gapless).map(residual).collect()
}

#[test]
fn the_record_has_an_hour_of_noise_in_each_half() {
    let Some(folder) = super::data("gps_us_tracks") else { return };
    for part in [Part::First, Part::HeldOut] {
        let Noise(errors) = Noise::read(&folder.join("seattle_newson_krumm_gps_data.txt"), part);
        assert!(errors.len() > 3_600, "{}", errors.len());
        let largest_m = errors.iter().map(|(east, north)| east.hypot(*north)).fold(0.0, f64::max);
        assert!((20.0..200.0).contains(&largest_m), "{largest_m} m");
    }
}
