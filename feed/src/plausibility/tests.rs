use super::*;

const NOW: i64 = 1_750_000_000_000;

fn at(seconds: i64, latitude: f64, longitude: f64) -> Position {
    Position {
        device: "T1".to_owned(),
        at_ms: NOW - 3_600_000 + seconds * 1000,
        latitude,
        longitude,
        speed_mps: None,
        heading_deg: None,
        accuracy_m: None,
        seal: None,
    }
}

fn bounds() -> Bounds {
    Bounds { clock_skew_ms: 300_000, age_max_ms: 30 * 86_400_000, speed_max_mps: 50.0, region: None }
}

fn fresh() -> Plausibility {
    Plausibility::new(bounds())
}

fn judged(position: &Position) -> Result<(), Reason> {
    fresh().check(position, NOW)
}

#[test]
fn distances_are_those_of_the_sphere() {
    let fix = |latitude, longitude| Fix::of(&at(0, latitude, longitude));
    // A quarter of the meridian, and a degree of the equator over the antimeridian.
    let quarter = fix(0.0, 0.0).distance_m(&fix(90.0, 0.0));
    assert!((quarter - EARTH_RADIUS_M * std::f64::consts::FRAC_PI_2).abs() < 1e-3);
    let degree = fix(0.0, 179.5).distance_m(&fix(0.0, -179.5));
    assert!((degree - EARTH_RADIUS_M.to_radians()).abs() < 1e-3);
    assert!(fix(10.0, 10.0).distance_m(&fix(-10.0, -170.0)).is_finite());
}

#[test]
fn numbers_that_are_no_place_are_out_of_range() {
    for (latitude, longitude) in
        [(f64::NAN, 0.0), (10.0, f64::INFINITY), (91.0, 181.0), (-200.0, 10.0), (10.0, 180.1), (95.0, 95.0)]
    {
        assert_eq!(judged(&at(0, latitude, longitude)), Err(Reason::OutOfRange), "{latitude} {longitude}");
    }
    for (latitude, longitude) in [(90.0, 180.0), (-90.0, -180.0), (27.5, -99.5)] {
        assert_eq!(judged(&at(0, latitude, longitude)), Ok(()), "{latitude} {longitude}");
    }
    for value in [-1.0, f32::NAN, f32::INFINITY] {
        assert_eq!(judged(&Position { speed_mps: Some(value), ..at(0, 27.5, -99.5) }), Err(Reason::OutOfRange));
        assert_eq!(judged(&Position { heading_deg: Some(value), ..at(0, 27.5, -99.5) }), Err(Reason::OutOfRange));
        assert_eq!(judged(&Position { accuracy_m: Some(value), ..at(0, 27.5, -99.5) }), Err(Reason::OutOfRange));
    }
    assert_eq!(judged(&Position { heading_deg: Some(360.0), ..at(0, 27.5, -99.5) }), Err(Reason::OutOfRange));
}

#[test]
fn a_latitude_beyond_the_pole_is_a_longitude() {
    assert_eq!(judged(&at(0, -99.5, 27.5)), Err(Reason::Swapped));
}

#[test]
fn a_region_tells_what_was_exchanged() {
    let region = Region { south: 24.0, west: -125.0, north: 50.0, east: -66.0 };
    let mut feed = Plausibility::new(Bounds { region: Some(region), ..bounds() });
    assert_eq!(feed.check(&at(0, -83.0, 42.3), NOW), Err(Reason::Swapped));
    assert_eq!(feed.check(&at(0, 42.3, -83.0), NOW), Ok(()));
    // Outside either way is not exchanged; a feed may have a truck abroad.
    assert_eq!(Plausibility { bounds: feed.bounds, ..fresh() }.check(&at(0, 19.4, -99.1), NOW), Ok(()));
    let pacific = Region { south: -50.0, west: 160.0, north: 0.0, east: -160.0 };
    assert!(pacific.holds(-17.0, 179.0) && pacific.holds(-17.0, -179.0) && !pacific.holds(-17.0, 0.0));
}

#[test]
fn a_device_that_is_known_tells_what_was_exchanged() {
    let mut feed = fresh();
    assert_eq!(feed.check(&at(0, 42.3, -83.0), NOW), Ok(()));
    assert_eq!(feed.check(&at(60, -83.0, 42.31), NOW), Err(Reason::Swapped));
    assert_eq!(feed.check(&at(120, 42.32, -83.0), NOW), Ok(()));
}

#[test]
fn the_point_without_a_place_is_null_island() {
    assert_eq!(judged(&at(0, 0.0, 0.0)), Err(Reason::NullIsland));
    assert_eq!(judged(&at(0, -0.0005, 0.0005)), Err(Reason::NullIsland));
    assert_eq!(judged(&at(0, 0.0, 9.45)), Ok(()));
}

#[test]
fn clocks_may_differ_by_minutes_and_not_by_a_day() {
    let moment = |at_ms| Position { at_ms, ..at(0, 27.5, -99.5) };
    let bounds = bounds();
    assert_eq!(judged(&moment(NOW + bounds.clock_skew_ms)), Ok(()));
    assert_eq!(judged(&moment(NOW + bounds.clock_skew_ms + 1)), Err(Reason::InFuture));
    assert_eq!(judged(&moment(NOW + 86_400_000)), Err(Reason::InFuture));
    assert_eq!(judged(&moment(NOW - bounds.age_max_ms)), Ok(()));
    for at_ms in [NOW - bounds.age_max_ms - 1, 0, i64::MIN] {
        assert_eq!(judged(&moment(at_ms)), Err(Reason::TooOld));
    }
    assert_eq!(judged(&moment(i64::MAX)), Err(Reason::InFuture));
}

#[test]
fn a_jump_is_refused_and_the_next_good_point_accepted() {
    let mut feed = fresh();
    assert_eq!(feed.check(&at(0, 27.5, -99.5), NOW), Ok(()));
    // 11 km in 60 s are 667 km/h.
    assert_eq!(feed.check(&at(60, 27.6, -99.5), NOW), Err(Reason::ImpossibleJump));
    assert_eq!(feed.check(&at(120, 27.52, -99.5), NOW), Ok(()));
    // 300 km/h, the usual fault, over two minutes.
    assert_eq!(feed.check(&at(240, 27.52 + 0.0899, -99.5), NOW), Err(Reason::ImpossibleJump));
}

#[test]
fn what_comes_late_is_accepted_and_turns_nothing_back() {
    let mut feed = fresh();
    assert_eq!(feed.check(&at(600, 27.5, -99.5), NOW), Ok(()));
    assert_eq!(feed.check(&at(0, 27.4, -99.5), NOW), Ok(()));
    assert_eq!((feed.newest_ms("T1"), feed.newest_ms("T2")), (Some(at(600, 0.0, 0.0).at_ms), None));
    assert_eq!(feed.check(&at(601, 27.5, -99.5), NOW), Ok(()));
    assert_eq!(feed.check(&at(601, 27.5, -99.5), NOW), Ok(()), "the same again is no jump");
}

#[test]
fn jumps_that_follow_from_each_other_are_believed() {
    let mut feed = fresh();
    assert_eq!(feed.check(&at(0, 27.5, -99.5), NOW), Ok(()));
    let elsewhere: Vec<_> = (1..=6).map(|n| feed.check(&at(n, 42.3, -83.0), NOW)).collect();
    let (doubted, believed) = elsewhere.split_at(usize::from(BELIEVED_AFTER) - 1);
    assert!(doubted.iter().all(|judged| *judged == Err(Reason::ImpossibleJump)), "{elsewhere:?}");
    assert!(believed.iter().all(Result::is_ok), "{elsewhere:?}");
    // Jumps to ever other places never are.
    let mut feed = fresh();
    assert_eq!(feed.check(&at(0, 27.5, -99.5), NOW), Ok(()));
    for n in 1..50 {
        let away = at(n, 27.5 + f64::from(n as i32), -99.5);
        assert_eq!(feed.check(&away, NOW), Err(Reason::ImpossibleJump), "{n}");
    }
}

#[test]
fn devices_are_judged_each_by_itself_and_forgotten_within_bounds() {
    let mut feed = fresh();
    for n in 0..DEVICES_MAX + 10 {
        let place = Position { device: format!("T{n}"), ..at(0, 27.5, -99.5) };
        assert_eq!(feed.check(&place, NOW), Ok(()));
    }
    assert!(feed.recent.len() + feed.older.len() <= DEVICES_MAX);
    let last = Position { device: format!("T{}", DEVICES_MAX + 9), ..at(1, 42.0, -83.0) };
    assert_eq!(feed.check(&last, NOW), Err(Reason::ImpossibleJump));
}
