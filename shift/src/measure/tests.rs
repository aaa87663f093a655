use proptest::prelude::*;

use super::*;

fn series(place: &str, counts: &[u64]) -> Series {
    Series { place: place.to_owned(), counts: counts.to_vec(), kept_back: Vec::new() }
}

/// Counts of some places over as many periods, one of them after the change.
fn worlds(least: u64) -> impl Strategy<Value = (Vec<Series>, usize)> {
    (6usize..20, 1usize..4, 1usize..8).prop_flat_map(move |(before, after, places)| {
        let counts = prop::collection::vec(least..5_000, before + after);
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

/// By hand, of millions so that the half event is nothing: shares before of 0.1 to the power of 0.9, 1.1, 1.0,
/// 0.8, 1.2 and 1.0 have logarithms in steps of ln 10 / 10, whose median absolute deviation is one step;
/// afterwards the share is three steps lower.
#[test]
fn a_share_is_measured_by_its_own_ups_and_downs() {
    let total = 1e12;
    let counts = |power: f64| (total * 0.1f64.powf(power)).round() as u64;
    let one = series("a", &[0.9, 1.1, 1.0, 0.8, 1.2, 1.0, 1.3].map(counts));
    let rest: Vec<u64> = one.counts.iter().map(|count| total as u64 - count).collect();
    let shifts = measure(&[one, series("b", &rest)], 6).unwrap();
    let a = shifts.places.iter().find(|shift| shift.place == "a").unwrap();
    assert!((a.z + 3.0 / 1.4826).abs() < 1e-6, "{}", a.z);
    assert!((a.share_before - 0.1).abs() < 1e-9 && (a.change().unwrap() - (0.1f64.powf(0.3) - 1.0)).abs() < 1e-9);
    assert_eq!((a.direction, a.partial), (Direction::AsBefore, 0));
    assert!(close(shifts.total_before, total) && close(shifts.total_after, total));
}

/// A place that never changed has no deviation at all; then the noise of counting is the scale: with 50 of 100
/// events it is √(0.5 / 50) = 0.1 in logarithms.
#[test]
fn counting_few_events_is_noise() {
    let steady = series("a", &[50, 50, 50, 50, 50, 50, 45]);
    let shifts = measure(&[steady, series("b", &[50, 50, 50, 50, 50, 50, 55])], 6).unwrap();
    let a = shifts.places.iter().find(|shift| shift.place == "a").unwrap();
    assert!((a.z - (45.5f64 / 50.5).ln() / 0.1).abs() < 0.02, "{}", a.z);
    assert!(shifts.places.iter().all(|shift| shift.direction == Direction::AsBefore));
}

#[test]
fn what_is_new_is_seen_and_what_is_missing_is_told() {
    let new = series("new", &[0, 0, 3, 0, 0, 0, 0, 900]);
    let shifts = measure(&[new, series("b", &[1_000, 1_000, 1_000, 1_000, 0, 1_000, 1_000, 1_000])], 7).unwrap();
    let new = shifts.places.iter().find(|shift| shift.place == "new").unwrap();
    assert_eq!((new.direction, new.change(), new.partial), (Direction::Up, None, 5));
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

/// A place with about ten events, of which nine and fewer are not told, does not jump; with nothing kept back it
/// would. One of hundreds does, whatever was kept back.
#[test]
fn what_is_kept_back_makes_no_shift() {
    let small = [0, 0, 11, 0, 0, 0, 10, 12, 13];
    let kept = small.map(|count| if count == 0 { 9 } else { 0 });
    let rest = series("b", &[1_000; 9]);
    let seen = |counts: &[u64], kept_back: &[u64]| {
        let one = Series { kept_back: kept_back.to_vec(), ..series("small", counts) };
        let shifts = measure(&[one, rest.clone()], 6).unwrap();
        shifts.places.into_iter().find(|shift| shift.place == "small").unwrap()
    };
    assert_eq!(seen(&small, &[]).direction, Direction::Up);
    let told = seen(&small, &kept);
    assert_eq!((told.direction, told.partial), (Direction::AsBefore, 5));
    assert!(told.z >= 0.0 && told.z < 1.5, "{}", told.z);
    let large = [0, 0, 11, 0, 0, 0, 500, 600, 550];
    assert_eq!(seen(&large, &kept).direction, Direction::Up);
    // It may have become fewer or more: nobody knows.
    assert_eq!(seen(&[10, 10, 10, 10, 10, 10, 0, 11, 0], &[0, 0, 0, 0, 0, 0, 9, 0, 9]).direction, Direction::AsBefore);
}

proptest! {
    /// The more can have been kept back, the less is sure.
    #[test]
    fn what_is_kept_back_makes_nothing_surer((mut all, before) in worlds(0), most in 1u64..50) {
        let Ok(sure) = measure(&all, before) else { return Ok(()) };
        for one in &mut all {
            one.kept_back = one.counts.iter().map(|count| if *count < 500 { most } else { 0 }).collect();
        }
        for shift in measure(&all, before).unwrap().places {
            let same = sure.places.iter().find(|other| other.place == shift.place).unwrap();
            prop_assert!(shift.z.abs() <= same.z.abs() && shift.z * same.z >= 0.0);
        }
    }

    #[test]
    fn shares_after_sum_to_one((all, before) in worlds(0)) {
        let Ok(shifts) = measure(&all, before) else { return Ok(()) };
        prop_assert!(close(shifts.places.iter().map(|shift| shift.share_after).sum(), 1.0));
        for shift in &shifts.places {
            prop_assert!(shift.z.is_finite() && (0.0..=1.0).contains(&shift.share_before));
        }
        prop_assert!(shifts.places.is_sorted_by(|a, b| a.z.abs() >= b.z.abs()));
    }

    #[test]
    fn z_has_the_sign_of_the_move((all, before) in worlds(500)) {
        // The middle one of an odd number is the same before and after taking logarithms.
        let before = before - usize::from(before.is_multiple_of(2));
        for shift in measure(&all, before).into_iter().flat_map(|shifts| shifts.places) {
            let change = shift.change().unwrap();
            prop_assert!(change.abs() < 0.02 || shift.z.signum() == change.signum(), "{} {change}", shift.z);
        }
    }

    /// A year in which many times as many come everywhere moves no share. Only the noise of counting shrinks.
    #[test]
    fn more_of_everything_moves_nothing((all, before) in worlds(500), times in 2u64..50) {
        let more: Vec<Series> = all
            .iter()
            .map(|one| Series { counts: one.counts.iter().map(|count| count * times).collect(), ..one.clone() })
            .collect();
        let (once, more) = (measure(&all, before).unwrap(), measure(&more, before).unwrap());
        for shift in &once.places {
            let same = more.places.iter().find(|other| other.place == shift.place).unwrap();
            prop_assert!(close(shift.share_before, same.share_before) && close(shift.share_after, same.share_after));
            prop_assert!(same.z.abs() >= shift.z.abs() * 0.9 - 0.1);
        }
    }

    /// The order of places does not matter.
    #[test]
    fn places_are_alike((mut all, before) in worlds(0)) {
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
