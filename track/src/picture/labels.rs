//! Where names go: beside what they name, off the route, and not over one another.

const LETTER: f64 = 6.6;
const HEIGHT: f64 = 13.0;

#[derive(Clone, Copy)]
struct Frame {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Frame {
    fn meets(&self, other: &Frame) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    fn comes_near(&self, (x, y): (f64, f64), distance: f64) -> bool {
        (self.left - distance..=self.right + distance).contains(&x)
            && (self.top - distance..=self.bottom + distance).contains(&y)
    }
}

/// Names that have found their place.
pub(crate) struct Labels {
    size: (f64, f64),
    taken: Vec<Frame>,
    clear: Vec<(f64, f64)>,
    /// How far names should keep from a line.
    distance: f64,
}

impl Labels {
    pub(crate) fn new(size: (f64, f64), distance: f64) -> Self {
        Self { size, taken: vec![], clear: vec![], distance }
    }

    /// Keeps names off the scale bar, at the one of two places that the lines leave free.
    pub(crate) fn reserve(&mut self, places: [(f64, f64); 2], width: f64) -> (f64, f64) {
        let frame = |(x, y): (f64, f64)| Frame { left: x - 10.0, top: y - 20.0, right: x + width, bottom: y + HEIGHT };
        let covered = |place: &(f64, f64)| {
            let frame = frame(*place);
            self.clear.iter().filter(|&&point| frame.comes_near(point, 40.0)).count()
        };
        let [first, second] = places;
        let place = if covered(&second) < covered(&first) { second } else { first };
        self.taken.push(frame(place));
        place
    }

    /// A line that names should not cover.
    pub(crate) fn keep_clear(&mut self, line: impl Iterator<Item = (f64, f64)>) {
        let points: Vec<(f64, f64)> = line.collect();
        for pair in points.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            let parts = ((to.0 - from.0).hypot(to.1 - from.1) / 6.0).ceil().clamp(1.0, 500.0);
            let step = |part: i32| f64::from(part) / parts;
            let at = |part: i32| (from.0 + step(part) * (to.0 - from.0), from.1 + step(part) * (to.1 - from.1));
            self.clear.extend((0..=parts as i32).map(at));
        }
    }

    /// The left end of the base line for a name beside a circle; none where it would cover another.
    pub(crate) fn place(&mut self, name: &str, (x, y): (f64, f64), radius: f64) -> Option<(f64, f64)> {
        let width = name.chars().count() as f64 * LETTER;
        let gap = radius.max(self.distance) + 5.0;
        let slant = gap * 0.8;
        let candidates = [
            (x + gap, y + 4.0),
            (x - gap - width, y + 4.0),
            (x + slant, y + slant + 6.0),
            (x - slant - width, y - slant),
            (x + slant, y - slant),
            (x - slant - width, y + slant + 6.0),
            (x - width / 2.0, y - gap - 2.0),
            (x - width / 2.0, y + gap + HEIGHT - 2.0),
        ];
        let frame =
            |(left, base): (f64, f64)| Frame { left, top: base - 11.0, right: left + width, bottom: base + 3.0 };
        let covered = |candidate: &(f64, f64)| {
            let frame = frame(*candidate);
            self.clear.iter().filter(|&&point| frame.comes_near(point, self.distance)).count()
        };
        let is_free = |candidate: &(f64, f64)| {
            let frame = frame(*candidate);
            let is_inside =
                frame.left > 2.0 && frame.right < self.size.0 - 2.0 && frame.top > 2.0 && frame.bottom < self.size.1;
            is_inside && !self.taken.iter().any(|other| frame.meets(other))
        };
        let best = candidates.into_iter().filter(is_free).min_by_key(covered)?;
        self.taken.push(frame(best));
        Some(best)
    }
}
