//! Known answers: generated trips along a real corridor, with the noise of a real receiver.
//!
//! The corridor is chained from the interstates of the Travel Mapping project, the noise is that of the car of Newson
//! and Krumm's *Hidden Markov map matching through noise and sparseness* (ACM GIS 2009). Where these data are
//! absent, the tests say so and end, or fail where `SALLYPORT_DATA_REQUIRED` is set. No value of the tracker was estimated from them; what is replayed is the second
//! half of the car's record, the first is for trying things.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod clean;
mod drive;
mod excursions;
mod gps;
mod route;
mod silence;

use std::path::PathBuf;

use sallyport_track::Corridors;

/// A folder of the data with answers; none where it is absent, which is said.
fn data(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SALLYPORT_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let path = root.join(folder);
    if !path.is_dir() {
        assert!(std::env::var_os("SALLYPORT_DATA_REQUIRED").is_none(), "{folder} is not at SALLYPORT_DATA");
        println!("{folder} is not here: skipped");
        return None;
    }
    Some(path)
}

/// The real corridor, and the noise to replay.
struct World {
    route: route::Route,
    corridors: Corridors,
    noise: gps::Noise,
}

impl World {
    fn read(part: gps::Part) -> Option<Self> {
        let interstates = data("corridor_travelmapping")?.join("interstate_waypoints.csv");
        let tracks = data("gps_us_tracks")?.join("seattle_newson_krumm_gps_data.txt");
        let route = route::laredo_to_detroit(&interstates);
        let text = route::geojson(&route);
        let corridors = Corridors::load([("real", text.as_str())]).unwrap();
        Some(Self { route, corridors, noise: gps::Noise::read(&tracks, part) })
    }
}

/// Runs a function for every number below `count`, on all cores.
fn for_each(count: u64, run: impl Fn(u64) + Sync) {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    std::thread::scope(|scope| {
        for core in 0..cores {
            let run = &run;
            scope.spawn(move || (core..count).step_by(cores as usize).for_each(run));
        }
    });
}
