//! A line of thousands of arcs with an index: the nearest point costs a few dozen dot products.
//!
//! Neighbouring arcs of a line lie near each other, so eight in a row are put into a ball, eight balls
//! in a row into a larger one, and so on. A search goes down into the nearest balls first and leaves out
//! every ball that cannot hold a nearer point than the one known. Distances are compared as chords in
//! space; a chord grows with its great-circle distance, so the order is the same and no angle is
//! computed until the end.

use super::{
    arc::Arc,
    place::{Place, Vector, chord, metres},
};

const FAN_OUT: usize = 8;

/// A sphere in space that holds everything below it.
#[derive(Debug, Clone, Copy)]
struct Ball {
    centre: Vector,
    radius: f64,
}

impl Ball {
    /// A lower bound of the chord from a place to anything in the ball.
    fn chord_at_least(&self, place: Place) -> f64 {
        ((place.vector() - self.centre).norm() - self.radius).max(0.0)
    }

    fn of_arcs(arcs: &[Arc]) -> Self {
        let ends = || arcs.iter().flat_map(|arc| [arc.start().vector(), arc.end().vector()]);
        let centre = mean(ends());
        let farthest = ends().map(|end| (end - centre).norm()).fold(0.0, f64::max);
        // A ball holds the chord between two of its points; an arc rises above its chord.
        let rise = arcs.iter().map(Arc::rise).fold(0.0, f64::max);
        Self { centre, radius: farthest + rise + 1e-12 }
    }

    fn of_balls(balls: &[Ball]) -> Self {
        let centre = mean(balls.iter().map(|ball| ball.centre));
        let farthest = balls.iter().map(|ball| (ball.centre - centre).norm() + ball.radius).fold(0.0, f64::max);
        Self { centre, radius: farthest + 1e-12 }
    }
}

fn mean(vectors: impl Iterator<Item = Vector>) -> Vector {
    let (sum, count) = vectors.fold((Vector::default(), 0.0), |(sum, count), vector| (sum + vector, count + 1.0));
    sum * (1.0 / f64::max(count, 1.0))
}

/// A line on the sphere, of one or more parts.
#[derive(Debug, Clone)]
pub struct Line {
    arcs: Vec<Arc>,
    /// For each arc the distance from the beginning of the line to its start, parts one after another.
    stations_m: Vec<f64>,
    /// For each arc the number of its part.
    parts: Vec<u32>,
    length_m: f64,
    /// Balls over arcs, balls over those balls, …, up to at most [`FAN_OUT`] balls.
    levels: Vec<Vec<Ball>>,
}

/// The point of a line that is nearest to a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    /// Distance from the place, in metres.
    pub distance_m: f64,
    /// Distance along the line from its beginning, in metres, parts one after another.
    pub station_m: f64,
    /// Which part of the line it lies on.
    pub part: u32,
    /// Which arc it lies on; a good hint for a search from a place nearby.
    pub arc: usize,
}

impl Line {
    /// A line of parts, each the places it passes; places that repeat the one before are left out.
    /// None where a part has fewer than two different places, or two opposite each other in a row.
    pub fn new(parts: &[Vec<Place>]) -> Option<Self> {
        let mut line = Self { arcs: vec![], stations_m: vec![], parts: vec![], length_m: 0.0, levels: vec![] };
        for (number, places) in parts.iter().enumerate() {
            let before = line.arcs.len();
            for pair in places.windows(2).filter(|pair| pair[0] != pair[1]) {
                let arc = Arc::between(pair[0], pair[1])?;
                line.stations_m.push(line.length_m);
                line.parts.push(u32::try_from(number).ok()?);
                line.length_m += arc.length_m();
                line.arcs.push(arc);
            }
            if line.arcs.len() == before {
                return None;
            }
        }
        if line.arcs.is_empty() {
            return None;
        }
        line.levels.push(line.arcs.chunks(FAN_OUT).map(Ball::of_arcs).collect());
        while let Some(top) = line.levels.last().filter(|top| top.len() > FAN_OUT) {
            let above = top.chunks(FAN_OUT).map(Ball::of_balls).collect();
            line.levels.push(above);
        }
        Some(line)
    }

    /// The arcs, in order.
    pub fn arcs(&self) -> &[Arc] {
        &self.arcs
    }

    /// Length in metres, all parts together.
    pub fn length_m(&self) -> f64 {
        self.length_m
    }

    /// The place at a distance along the line from its beginning, in metres, parts one after another; none before
    /// the beginning and behind the end.
    pub fn at(&self, station_m: f64) -> Option<Place> {
        if !(0.0..=self.length_m).contains(&station_m) {
            return None;
        }
        let after = self.stations_m.partition_point(|&start_m| start_m <= station_m);
        let arc = after.checked_sub(1)?;
        let (found, start_m) = (self.arcs.get(arc)?, self.stations_m.get(arc)?);
        Some(found.point(((station_m - start_m) / found.length_m()).min(1.0)))
    }

    /// The nearest point of the line, if it is within a distance in metres. `hint` is the arc that a place
    /// nearby was nearest to, or any number: it changes the cost and never the distance.
    pub fn nearest(&self, place: Place, hint: usize, within_m: f64) -> Option<Nearest> {
        let mut search = Search { line: self, place, best_squared: square_of(within_m), arc: None };
        search.try_arc(hint);
        let top = self.levels.len().checked_sub(1)?;
        search.descend(top, 0, self.levels.get(top)?.len());
        let arc = search.arc?;
        let (found, station_m, part) = (self.arcs.get(arc)?, self.stations_m.get(arc)?, self.parts.get(arc)?);
        let distance_m = metres(search.best_squared.sqrt());
        Some(Nearest { distance_m, station_m: station_m + found.along_m(place), part: *part, arc })
    }
}

/// The square of the chord that belongs to a distance; a place exactly there is still within.
fn square_of(within_m: f64) -> f64 {
    if within_m < 0.0 { 0.0 } else { chord(within_m).powi(2) * (1.0 + 1e-12) + f64::MIN_POSITIVE }
}

struct Search<'a> {
    line: &'a Line,
    place: Place,
    best_squared: f64,
    arc: Option<usize>,
}

impl Search<'_> {
    fn try_arc(&mut self, index: usize) {
        let Some(arc) = self.line.arcs.get(index) else { return };
        let squared = arc.chord_squared(self.place);
        if squared < self.best_squared {
            (self.best_squared, self.arc) = (squared, Some(index));
        }
    }

    /// Searches `count` balls of a level, from `first` on.
    fn descend(&mut self, level: usize, first: usize, count: usize) {
        let Some(balls) = self.line.levels.get(level).and_then(|balls| balls.get(first..first + count)) else { return };
        let mut order = [(f64::INFINITY, 0); FAN_OUT];
        for (slot, (index, ball)) in order.iter_mut().zip((first..).zip(balls)) {
            *slot = (ball.chord_at_least(self.place), index);
        }
        let order = order.get_mut(..count).unwrap_or_default();
        order.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
        for &(at_least, index) in order.iter() {
            if at_least * at_least >= self.best_squared {
                return;
            }
            let (below, end) = (index * FAN_OUT, (index + 1) * FAN_OUT);
            match level.checked_sub(1) {
                None => (below..end).for_each(|arc| self.try_arc(arc)),
                Some(lower) => {
                    let size = self.line.levels.get(lower).map_or(0, Vec::len);
                    self.descend(lower, below, end.min(size).saturating_sub(below));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Distance from a place to an arc by bisection over its points: another way than the formula.
    fn by_bisection(arc: &Arc, place: Place) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..80 {
            let (left, right) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
            if arc.point(left).chord(place) < arc.point(right).chord(place) { high = right } else { low = left }
        }
        let inner = arc.point((low + high) / 2.0).distance_m(place);
        inner.min(arc.start().distance_m(place)).min(arc.end().distance_m(place))
    }

    fn walk(steps: &[(f64, f64)], from: (f64, f64)) -> Vec<Place> {
        let mut at = from;
        let step = |(north, east): &(f64, f64)| {
            at = ((at.0 + north).clamp(-89.0, 89.0), (at.1 + east + 540.0).rem_euclid(360.0) - 180.0);
            Place::at(at.0, at.1).unwrap()
        };
        steps.iter().map(step).collect()
    }

    proptest! {
        #[test]
        fn the_index_finds_what_trying_every_arc_finds(
            steps in prop::collection::vec((-0.2_f64..0.3, -0.2_f64..0.3), 2..300),
            from in (-80.0_f64..80.0, -180.0_f64..180.0),
            offset in (-3.0_f64..3.0, -3.0_f64..3.0),
            hint in 0_usize..400,
        ) {
            let places = walk(&steps, from);
            let middle = places[places.len() / 2].degrees();
            let longitude = (middle.1 + offset.1 + 540.0).rem_euclid(360.0) - 180.0;
            let place = Place::at((middle.0 + offset.0).clamp(-90.0, 90.0), longitude).unwrap();
            let Some(line) = Line::new(&[places]) else { return Ok(()) };
            let brute = line.arcs().iter().map(|arc| by_bisection(arc, place)).fold(f64::INFINITY, f64::min);
            let found = line.nearest(place, hint, f64::INFINITY).unwrap();
            prop_assert!((found.distance_m - brute).abs() < 0.05, "{} {}", found.distance_m, brute);
            prop_assert!((line.arcs()[found.arc].distance_m(place) - found.distance_m).abs() < 1e-6);
            // A limit keeps what is within it and drops what is not.
            prop_assert!(line.nearest(place, 0, brute + 1.0).is_some());
            prop_assert!(brute < 1.0 || line.nearest(place, 0, brute - 0.5).is_none());
        }
    }

    #[test]
    fn stations_run_on_over_parts() {
        let part = |longitude: f64| vec![Place::at(0.0, longitude).unwrap(), Place::at(0.0, longitude + 1.0).unwrap()];
        let line = Line::new(&[part(0.0), part(10.0)]).unwrap();
        let nearest = line.nearest(Place::at(0.1, 10.5).unwrap(), 0, f64::INFINITY).unwrap();
        assert_eq!((nearest.part, nearest.arc), (1, 1));
        assert!((nearest.station_m - 1.5 * line.length_m() / 2.0).abs() < 1.0);
    }

    #[test]
    fn a_station_is_where_the_nearest_point_finds_it_again() {
        let places = walk(&[(0.1, 0.2), (0.3, -0.1), (0.05, 0.2), (0.2, 0.2)], (20.0, 30.0));
        let line = Line::new(&[places]).unwrap();
        for tenth in 0..=10 {
            let station_m = line.length_m() * f64::from(tenth) / 10.0;
            let found = line.nearest(line.at(station_m).unwrap(), 0, f64::INFINITY).unwrap();
            assert!((found.station_m - station_m).abs() < 0.1, "{} {station_m}", found.station_m);
        }
        assert!(line.at(-1.0).is_none() && line.at(line.length_m() + 1.0).is_none() && line.at(f64::NAN).is_none());
    }

    #[test]
    fn a_line_without_length_is_none() {
        let place = Place::at(1.0, 1.0).unwrap();
        assert!(Line::new(&[]).is_none());
        assert!(Line::new(&[vec![place, place]]).is_none());
    }
}
