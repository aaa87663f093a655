//! How wrong the sphere is, against geodesics of the WGS 84 ellipsoid by Vincenty's formulae.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sallyport_track::geometry::{Arc, Place};

const A_M: f64 = 6_378_137.0;
const F: f64 = 1.0 / 298.257_223_563;

fn series(square: f64) -> (f64, f64) {
    let a = 1.0 + square / 16_384.0 * (4_096.0 + square * (-768.0 + square * (320.0 - 175.0 * square)));
    let b = square / 1_024.0 * (256.0 + square * (-128.0 + square * (74.0 - 47.0 * square)));
    (a, b)
}

fn correction(b: f64, sin: f64, cos: f64, cos_2m: f64) -> f64 {
    let inner = cos * (2.0 * cos_2m.powi(2) - 1.0);
    let outer = b / 6.0 * cos_2m * (4.0 * sin * sin - 3.0) * (4.0 * cos_2m.powi(2) - 3.0);
    b * sin * (cos_2m + b / 4.0 * (inner - outer))
}

/// Distance in metres and azimuth at the start in radians.
fn inverse(from: (f64, f64), to: (f64, f64)) -> (f64, f64) {
    let reduced = |latitude: f64| ((1.0 - F) * latitude.to_radians().tan()).atan();
    let ((sin1, cos1), (sin2, cos2)) = (reduced(from.0).sin_cos(), reduced(to.0).sin_cos());
    let change = (to.1 - from.1).to_radians();
    let mut lambda = change;
    for _ in 0..200 {
        let (sin_l, cos_l) = lambda.sin_cos();
        let sin = (cos2 * sin_l).hypot(cos1 * sin2 - sin1 * cos2 * cos_l);
        let cos = sin1 * sin2 + cos1 * cos2 * cos_l;
        let sigma = sin.atan2(cos);
        let sin_alpha = cos1 * cos2 * sin_l / sin;
        let cos_squared = 1.0 - sin_alpha * sin_alpha;
        let cos_2m = if cos_squared < 1e-12 { 0.0 } else { cos - 2.0 * sin1 * sin2 / cos_squared };
        let c = F / 16.0 * cos_squared * (4.0 + F * (4.0 - 3.0 * cos_squared));
        let before = lambda;
        let inner = sigma + c * sin * (cos_2m + c * cos * (2.0 * cos_2m * cos_2m - 1.0));
        lambda = change + (1.0 - c) * F * sin_alpha * inner;
        if (lambda - before).abs() < 1e-13 {
            let b_m = A_M * (1.0 - F);
            let (a, b) = series(cos_squared * (A_M * A_M - b_m * b_m) / (b_m * b_m));
            let azimuth = (cos2 * lambda.sin()).atan2(cos1 * sin2 - sin1 * cos2 * lambda.cos());
            return (b_m * a * (sigma - correction(b, sin, cos, cos_2m)), azimuth);
        }
    }
    panic!("no convergence");
}

/// Where a geodesic leads.
fn direct(from: (f64, f64), azimuth: f64, distance_m: f64) -> (f64, f64) {
    let b_m = A_M * (1.0 - F);
    let tan1 = (1.0 - F) * from.0.to_radians().tan();
    let (sin1, cos1) = tan1.atan().sin_cos();
    let (sin_azimuth, cos_azimuth) = azimuth.sin_cos();
    let sigma1 = tan1.atan2(cos_azimuth);
    let sin_alpha = cos1 * sin_azimuth;
    let cos_squared = 1.0 - sin_alpha * sin_alpha;
    let (a, b) = series(cos_squared * (A_M * A_M - b_m * b_m) / (b_m * b_m));
    let mut sigma = distance_m / (b_m * a);
    let mut cos_2m = 0.0;
    for _ in 0..50 {
        cos_2m = (2.0 * sigma1 + sigma).cos();
        sigma = distance_m / (b_m * a) + correction(b, sigma.sin(), sigma.cos(), cos_2m);
    }
    let (sin, cos) = sigma.sin_cos();
    let north = sin1 * cos + cos1 * sin * cos_azimuth;
    let across = sin_alpha.hypot(sin1 * sin - cos1 * cos * cos_azimuth);
    let latitude = north.atan2((1.0 - F) * across);
    let lambda = (sin * sin_azimuth).atan2(cos1 * cos - sin1 * sin * cos_azimuth);
    let c = F / 16.0 * cos_squared * (4.0 + F * (4.0 - 3.0 * cos_squared));
    let inner = sigma + c * sin * (cos_2m + c * cos * (2.0 * cos_2m * cos_2m - 1.0));
    (latitude.to_degrees(), from.1 + (lambda - (1.0 - c) * F * sin_alpha * inner).to_degrees())
}

fn place((latitude, longitude): (f64, f64)) -> Place {
    Place::at(latitude, longitude).unwrap()
}

/// The largest relative error of distances of 10 km in all directions, at latitudes of a range.
fn worst_distance(latitudes: impl Iterator<Item = i32>) -> f64 {
    let mut worst: f64 = 0.0;
    for latitude in latitudes {
        for direction in 0..24 {
            let from = (f64::from(latitude), -95.0);
            let to = direct(from, f64::from(direction).to_radians() * 15.0, 10_000.0);
            worst = worst.max((place(from).distance_m(place(to)) / 10_000.0 - 1.0).abs());
        }
    }
    worst
}

#[test]
fn vincenty_gives_the_published_distance() {
    // Flinders Peak to Buninyong, Geoscience Australia's test case (on GRS 80, whose difference is below a millimetre).
    let (from, to) = ((-37.951_033_416_7, 144.424_867_888_9), (-37.652_821_138_9, 143.926_495_527_8));
    let (distance_m, azimuth) = inverse(from, to);
    assert!((distance_m - 54_972.271).abs() < 0.002, "{distance_m}");
    let there = direct(from, azimuth, distance_m);
    assert!((there.0 - to.0).abs() < 1e-9 && (there.1 - to.1).abs() < 1e-9);
}

#[test]
fn distances_are_as_wrong_as_the_geometry_says() {
    let everywhere = worst_distance(-89..=89);
    assert!((0.005..0.005_7).contains(&everywhere), "{everywhere}");
    let here = worst_distance(25..=50);
    assert!((0.003..0.004).contains(&here), "{here}");
}

#[test]
fn great_circles_leave_geodesics_as_far_as_the_geometry_says() {
    for (length_m, limit_m) in [(50_000.0, 1.0), (500_000.0, 70.0)] {
        let mut worst: f64 = 0.0;
        for latitude in (-80..=80).step_by(5) {
            for direction in 0..24 {
                let azimuth = f64::from(direction).to_radians() * 15.0;
                let from = (f64::from(latitude), -95.0);
                let arc = Arc::between(place(from), place(direct(from, azimuth, length_m))).unwrap();
                for share in 1..10 {
                    let on_geodesic = direct(from, azimuth, length_m * f64::from(share) / 10.0);
                    worst = worst.max(arc.distance_m(place(on_geodesic)));
                }
            }
        }
        assert!((limit_m / 10.0..limit_m).contains(&worst), "{length_m} m: {worst} m");
    }
}
