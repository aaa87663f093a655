use proptest::prelude::*;

use super::*;

fn series(place: &str, counts: &[u64]) -> Series {
    Series { place: place.to_owned(), counts: counts.to_vec() }
}

/// Counts of some places over as many periods, one of them after the change.
fn worlds() -> impl Strategy<Value = (Vec<Series>, usize)> {
    (6usize..20, 1usize..4, 1usize..8).prop_flat_map(|(before, after, places)| {
        let counts = prop::collection::vec(0u64..5_000, before + after);
        let all = prop::collection::vec(counts, places);
        let named = |all: Vec<Vec<u64>>| {
            all.iter().enumerate().map(|(number, counts)| series(&number.to_string(), counts)).collect::<Vec<_>>()
        };
        (all.prop_map(named), Just(before))
    })
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
}

/// By hand: shares before 0.10 0.12 0.11 0.09 0.13 0.11 have the median 0.11 and the absolute deviations
/// 0.01 0.01 0 0.02 0.02 0, whose median is 0.01; 0.05 afterwards is −0.06 / 0.014826.
#[test]
fn a_share_is_measured_by_its_own_ups_and_downs() {
    let one = series("a", &[1_000, 1_200, 1_100, 900, 1_300, 1_100, 500]);
    let rest: Vec<u64> = one.counts.iter().map(|count| 10_000 - count).collect();
    let shifts = measure(&[one, series("b", &rest)], 6).unwrap();
    let a = shifts.places.iter().find(|shift| shift.place == "a").unwrap();
    assert!(close(a.share_before, 0.11) && close(a.share_after, 0.05) && close(a.z.unwrap(), -0.06 / 0.014826));
    assert!(close(a.change().unwrap(), 0.05 / 0.11 - 1.0) && close(a.moved(), -0.06));
    assert_eq!((a.direction, a.count_before, a.count_after), (Direction::Down, 1_100.0, 500.0));
    assert_eq!((shifts.total_before, shifts.total_after), (10_000.0, 10_000.0));
}

/// A place that never changed has no deviation at all; then the noise of counting is the scale.
#[test]
fn counting_few_events_is_noise() {
    let steady = series("a", &[50, 50, 50, 50, 50, 50, 45]);
    let shifts = measure(&[steady, series("b", &[50, 50, 50, 50, 50, 50, 55])], 6).unwrap();
    let z = shifts.places[0].z.unwrap();
    assert!(close(z.abs(), 0.05 / 0.05), "{z}");
    assert!(shifts.places.iter().all(|shift| shift.direction == Direction::AsBefore));
}

#[test]
fn what_is_new_has_no_z_and_what_is_missing_is_told() {
    let rare = series("rare", &[0, 0, 3, 0, 0, 0, 0, 9]);
    let shifts = measure(&[rare, series("b", &[10, 10, 10, 10, 0, 10, 10, 10])], 7).unwrap();
    let rare = shifts.places.last().unwrap();
    assert_eq!((rare.place.as_str(), rare.z, rare.change(), rare.uncounted), ("rare", None, None, 5));
    assert_eq!(rare.direction, Direction::AsBefore);
    // Nobody counted anything in the fifth period: it says nothing of any place.
    assert_eq!(shifts.empty, [4]);
}

#[test]
fn too_little_is_refused() {
    let short = [series("b", &[1, 1, 1, 1, 0, 1, 1])];
    assert_eq!(measure(&short, 6).unwrap_err(), Unmeasurable::Baseline { found: 5 });
    assert_eq!(measure(&[series("b", &[1, 1, 1, 1, 1, 1, 0])], 6).unwrap_err(), Unmeasurable::NothingAfter);
    assert_eq!(measure(&[], 6).unwrap_err(), Unmeasurable::Baseline { found: 0 });
}

proptest! {
    #[test]
    fn shares_after_sum_to_one_and_z_has_the_sign_of_the_move((all, before) in worlds()) {
        let Ok(shifts) = measure(&all, before) else { return Ok(()) };
        prop_assert!(close(shifts.places.iter().map(|shift| shift.share_after).sum(), 1.0));
        for shift in &shifts.places {
            let (z, moved) = (shift.z.unwrap_or_default(), shift.moved());
            prop_assert!(z.is_finite() && (0.0..=1.0).contains(&shift.share_before));
            prop_assert!(shift.z.is_none() || z == 0.0 && moved == 0.0 || z.signum() == moved.signum());
        }
        let sizes: Vec<f64> = shifts.places.iter().map(|shift| shift.z.map_or(-1.0, f64::abs)).collect();
        prop_assert!(sizes.is_sorted_by(|a, b| a >= b));
    }

    /// A year in which twice as many come everywhere moves no share. Only the noise of counting shrinks.
    #[test]
    fn more_of_everything_moves_nothing((all, before) in worlds(), times in 2u64..50) {
        let more: Vec<Series> = all
            .iter()
            .map(|one| Series { counts: one.counts.iter().map(|count| count * times).collect(), ..one.clone() })
            .collect();
        let (Ok(once), Ok(more)) = (measure(&all, before), measure(&more, before)) else { return Ok(()) };
        for shift in &once.places {
            let same = more.places.iter().find(|other| other.place == shift.place).unwrap();
            prop_assert!(close(shift.share_before, same.share_before) && close(shift.share_after, same.share_after));
            let size = |shift: &Shift| shift.z.unwrap_or_default().abs();
            prop_assert!(size(same) >= size(shift) - 1e-6);
        }
    }

    /// The order of places does not matter.
    #[test]
    fn places_are_alike((mut all, before) in worlds()) {
        let forward = measure(&all, before);
        all.reverse();
        prop_assert_eq!(forward, measure(&all, before));
    }

    #[test]
    fn nothing_panics_on_any_counts(counts in prop::collection::vec(prop::collection::vec(any::<u64>(), 0..12), 0..4)) {
        let all: Vec<Series> = counts.iter().map(|counts| series("p", counts)).collect();
        for before in 0..13 {
            let _ = measure(&all, before);
        }
    }
}
