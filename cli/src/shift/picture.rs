//! Shares over time as a picture: one self-contained SVG, with nothing to fetch and nothing to run.

use sallyport_shift::{Direction, Shift, Shifts};

use super::{Told, words::signed};
use crate::svg::escaped;

/// A panel for each place, two in a row.
const PANEL: (f64, f64) = (360.0, 150.0);
const COLUMNS: usize = 2;
/// Panels at most.
const PANELS: usize = 8;
/// Where the panels begin, and what their plots leave for words.
const TOP: f64 = 80.0;
const MARGIN: f64 = 20.0;
const INSIDE: (f64, f64, f64, f64) = (56.0, 34.0, 16.0, 26.0);

const INK: &str = "#2b3440";
const PALE: &str = "#c9d1d9";
const UP: &str = "#1f6fb2";
const DOWN: &str = "#b3402e";
const AS_BEFORE: &str = "#6b7680";

/// The places that changed, then those that shifted most, drawn.
pub(super) fn svg(told: &Told<'_>, shifts: &Shifts) -> String {
    let changed = shifts.places.iter().filter(|shift| told.has_changed(&shift.place));
    let shifted = shifts.places.iter().filter(|shift| !told.has_changed(&shift.place));
    // Without any shift the first few say so.
    let shifted = shifted.enumerate().filter(|(rank, shift)| shift.direction != Direction::AsBefore || *rank < 2);
    let shown: Vec<&Shift> = changed.chain(shifted.map(|(_, shift)| shift)).take(PANELS).collect();
    let rows = shown.len().div_ceil(COLUMNS).max(1) as f64;
    let (width, height) = (PANEL.0 * COLUMNS as f64 + 2.0 * MARGIN, TOP + PANEL.1 * rows + MARGIN);
    let title = if told.asked.question.title.is_empty() { "Shift of traffic" } else { &told.asked.question.title };
    let (title, under) = (escaped(title), under(told));
    let panels: String = shown.iter().enumerate().map(|(place, shift)| panel(told, place, shift)).collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"Helvetica, Arial, sans-serif\" fill=\"{INK}\">\n\
         <title>{title}</title>\n<rect width=\"{width:.0}\" height=\"{height:.0}\" fill=\"#ffffff\"/>\n\
         <text x=\"{MARGIN}\" y=\"30\" font-size=\"16\" font-weight=\"700\">{title}</text>\n\
         {under}{panels}</svg>\n"
    )
}

/// What the panels show, in two lines.
fn under(told: &Told<'_>) -> String {
    let period = told.asked.period.name();
    let lines = [
        format!("Share of all that was counted, by {period}. Hollow: nothing told, or something kept back."),
        format!("Shaded: {}. Broken line: median of the {} {period}s before.", told.after(), told.asked.before),
    ];
    let line = |(place, line): (usize, &String)| {
        let y = 50.0 + 16.0 * place as f64;
        format!("<text x=\"{MARGIN}\" y=\"{y:.1}\" font-size=\"12\">{}</text>\n", escaped(line))
    };
    lines.iter().enumerate().map(line).collect()
}

/// Where a plot lies.
struct Plot {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    /// What its whole height stands for.
    most: f64,
    periods: usize,
}

impl Plot {
    fn x(&self, period: f64) -> f64 {
        self.left + self.width * (period + 0.5) / self.periods.max(1) as f64
    }

    fn y(&self, share: f64) -> f64 {
        self.top + self.height * (1.0 - share / self.most)
    }
}

fn panel(told: &Told<'_>, place: usize, shift: &Shift) -> String {
    let shares = shares(told, &shift.place);
    let most = shares.iter().flatten().copied().fold(shift.share_before.max(shift.share_after), f64::max);
    let (left, top, right, bottom) = INSIDE;
    let plot = Plot {
        left: MARGIN + PANEL.0 * (place % COLUMNS) as f64 + left,
        top: TOP + PANEL.1 * (place / COLUMNS) as f64 + top,
        width: PANEL.0 - left - right,
        height: PANEL.1 - top - bottom,
        most: if most > 0.0 { most * 1.08 } else { 1.0 },
        periods: shares.len(),
    };
    let colour = match shift.direction {
        Direction::Up => UP,
        Direction::Down => DOWN,
        Direction::AsBefore => AS_BEFORE,
    };
    let change = shift.change().map_or_else(|| "new".to_owned(), |change| format!("{} %", signed(change * 100.0, 0)));
    let mark = if told.has_changed(&shift.place) { ", changed" } else { "" };
    let head = format!("{}{mark}: {change}, z {}, {}", shift.place, signed(shift.z, 1), shift.direction.word());
    let mut body = format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"13\" font-weight=\"700\" fill=\"{colour}\">{}</text>\n",
        plot.left,
        plot.top - 10.0,
        escaped(&head)
    );
    body.push_str(&ground(told, &plot, shift));
    let own = told.series.iter().find(|series| series.place == shift.place);
    let is_whole = |period: usize| {
        let at = |counts: &[u64]| counts.get(period).copied().unwrap_or_default();
        own.is_some_and(|own| at(&own.counts) > 0 && at(&own.kept_back) == 0)
    };
    body.push_str(&line(&plot, &shares, colour, is_whole));
    body
}

/// Shares by period; nothing where nothing was counted anywhere.
fn shares(told: &Told<'_>, place: &str) -> Vec<Option<f64>> {
    let count = |period: usize, of: &[u64]| of.get(period).copied().unwrap_or_default();
    let own = told.series.iter().find(|series| series.place == place);
    let share = |period: usize| {
        let all: f64 = told.series.iter().map(|series| count(period, &series.counts) as f64).sum();
        (all > 0.0).then(|| own.map_or(0, |own| count(period, &own.counts)) as f64 / all)
    };
    (0..told.begins.len()).map(share).collect()
}

/// The change, the median, the axes.
fn ground(told: &Told<'_>, plot: &Plot, shift: &Shift) -> String {
    let (bottom, right) = (plot.top + plot.height, plot.left + plot.width);
    let from = plot.x(told.asked.before as f64 - 0.5);
    let usual = plot.y(shift.share_before);
    let last = plot.periods.saturating_sub(1);
    let label = plot.left - 6.0;
    // Where the median is about 0, its own label says so.
    let zero = if bottom - usual < 12.0 {
        String::new()
    } else {
        format!("<text x=\"{label:.1}\" y=\"{:.1}\" font-size=\"11\" text-anchor=\"end\">0</text>\n", bottom + 4.0)
    };
    format!(
        "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#f4ecd8\"/>\n\
         <line x1=\"{:.1}\" y1=\"{usual:.1}\" x2=\"{right:.1}\" y2=\"{usual:.1}\" stroke=\"{INK}\" \
         stroke-dasharray=\"4 4\"/>\n\
         <line x1=\"{:.1}\" y1=\"{bottom:.1}\" x2=\"{right:.1}\" y2=\"{bottom:.1}\" stroke=\"{PALE}\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\" text-anchor=\"end\">{:.2} %</text>\n\
         {zero}\
         <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\">{}</text>\n\
         <text x=\"{right:.1}\" y=\"{:.1}\" font-size=\"11\" text-anchor=\"end\">{}</text>\n",
        plot.top,
        right - from,
        plot.height,
        plot.left,
        plot.left,
        label,
        usual + 4.0,
        shift.share_before * 100.0,
        plot.left,
        bottom + 16.0,
        escaped(&told.period(0)),
        bottom + 16.0,
        escaped(&told.period(last)),
    )
}

/// The shares, broken where there are none.
fn line(plot: &Plot, shares: &[Option<f64>], colour: &str, is_whole: impl Fn(usize) -> bool) -> String {
    let (mut path, mut points, mut joined) = (String::new(), String::new(), false);
    for (period, share) in shares.iter().enumerate() {
        let Some(share) = share else {
            joined = false;
            continue;
        };
        let (x, y) = (plot.x(period as f64), plot.y(*share));
        path.push_str(&format!("{}{x:.1} {y:.1} ", if joined { 'L' } else { 'M' }));
        let fill = if is_whole(period) { colour } else { "#ffffff" };
        points.push_str(&format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{fill}\" stroke=\"{colour}\"><title>{:.2} %</title>\
             </circle>\n",
            share * 100.0
        ));
        joined = true;
    }
    format!("<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n{points}", path.trim_end())
}
