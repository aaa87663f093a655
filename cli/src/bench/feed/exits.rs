//! Trucks under bond that leave their corridor, and how soon each of them is a lead.

use std::time::{Duration, Instant};

use sallyport_track::geometry::Arc;
use sallyport_trust::clock::Clock;

use super::{
    load::{Load, Stream, position},
    place::{ANALYST, Place, exit_name},
};
use crate::{desk::Desk, failure::Failure};

const MINUTES: u32 = 90;
/// The minute in which they turn off: behind that they have left.
const TURNS_AFTER: u32 = 45;
const METRES_A_MINUTE: f64 = 1_500.0;
/// Minutes behind the turn that prove the exit: 15 km of half width, and ten minutes more.
const PROVEN_AFTER: u32 = 20;
/// The truck's way, before the load's pace: a lead that takes so long will not come.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Seconds from the acknowledgement of what proves an exit to the lead, of one truck after the other, while the load
/// goes on.
pub(super) async fn measure(place: &Place, load: &Load, exits: u32) -> Result<Vec<f64>, Failure> {
    let leaving = async {
        let mut seconds = Vec::new();
        for number in 1..=exits {
            seconds.push(leave(place, &exit_name(number)).await?);
        }
        Ok::<_, Failure>(seconds)
    };
    let loading = async {
        loop {
            load.pace(place).await?;
        }
    };
    tokio::select! {
        left = leaving => left,
        loaded = loading => loaded,
    }
}

async fn leave(place: &Place, truck: &str) -> Result<f64, Failure> {
    let mut desk = place.federation().desk(ANALYST)?;
    let way = way(place).ok_or_else(|| Failure::machine("the corridor", &"it is shorter than the trips"))?;
    let begin_ms = Clock::system().now_ms() - i64::from(MINUTES) * 60_000;
    let mut stream = Stream::open(&place.feed()?).await?;
    let positions = |minutes: std::ops::Range<u32>| {
        let at_ms = |minute: u32| begin_ms + i64::from(minute) * 60_000;
        let on_the_way = way.iter().zip(0..).filter(|(_, minute)| minutes.contains(minute));
        on_the_way.map(|(place, minute)| position(truck, at_ms(minute), *place)).collect::<Vec<_>>()
    };
    stream.push(positions(0..TURNS_AFTER)).await?;
    stream.push(positions(TURNS_AFTER..TURNS_AFTER + PROVEN_AFTER)).await?;
    let acknowledged = Instant::now();
    while acknowledged.elapsed() < PATIENCE {
        if has_lead(&mut desk, truck).await? {
            return Ok(acknowledged.elapsed().as_secs_f64());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(Failure::check("no_lead", format!("{truck} left its corridor and is no lead after {} s", PATIENCE.as_secs())))
}

async fn has_lead(desk: &mut Desk, truck: &str) -> Result<bool, Failure> {
    let leads = desk.list_leads(false).await?.leads;
    Ok(leads.iter().any(|lead| lead.subject.eq_ignore_ascii_case(truck)))
}

/// Where such a truck is, minute by minute: along the corridor, then at a right angle to it.
fn way(place: &Place) -> Option<Vec<(f64, f64)>> {
    let line = &place.corridor.line;
    let turn_m = f64::from(TURNS_AFTER) * METRES_A_MINUTE;
    let turn = line.at(turn_m)?;
    let (latitude, longitude) = turn.degrees();
    let away = Arc::between(turn, sallyport_track::geometry::Place::at(latitude, longitude - 1.0)?)?;
    (0..MINUTES)
        .map(|minute| {
            let driven_m = f64::from(minute) * METRES_A_MINUTE;
            let place = if driven_m <= turn_m {
                line.at(driven_m)?
            } else {
                away.point(((driven_m - turn_m) / away.length_m()).min(1.0))
            };
            Some(place.degrees())
        })
        .collect()
}
