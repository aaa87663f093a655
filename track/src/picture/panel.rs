//! The words beside the map.

use super::{BAND, DESTINATION, INK, ORIGIN, QUIET, STOP, canvas::Canvas};
use crate::corridor::{Corridor, Fact};

/// Width of the panel, in pixels.
pub(crate) const WIDTH: f64 = 340.0;
const LINE: f64 = 17.0;
const TOP: f64 = 52.0;
const LETTERS: usize = 46;

enum Row {
    Heading(String),
    Text(String),
    Key(&'static str, &'static str),
    Gap,
}

pub(crate) struct Panel {
    title: String,
    rows: Vec<Row>,
}

impl Panel {
    pub(crate) fn of(corridor: &Corridor, scales_band: bool) -> Self {
        let mut rows = Vec::new();
        let mut words = |text: &str| rows.extend(wrapped(text).into_iter().map(Row::Text));
        words(&corridor.description);
        rows.push(Row::Gap);
        let band = if scales_band { "the corridor, to scale" } else { "the corridor, widened to be seen" };
        rows.push(Row::Key(BAND, band));
        rows.push(Row::Key(ORIGIN, "origin"));
        rows.push(Row::Key(DESTINATION, "destination"));
        rows.push(Row::Key(STOP, "allowed stop"));
        rows.push(Row::Gap);
        let mut about = "";
        for Fact { about: next, says } in corridor.facts() {
            if next != about {
                rows.push(Row::Heading(next.to_owned()));
                about = next;
            }
            rows.extend(wrapped(&says).into_iter().map(Row::Text));
        }
        Self { title: corridor.id.name.clone(), rows }
    }

    pub(crate) fn height(&self) -> f64 {
        TOP + self.rows.iter().map(Row::height).sum::<f64>() + 24.0
    }

    pub(crate) fn draw(&self, canvas: &mut Canvas, left: f64) {
        let x = left + 24.0;
        canvas.text((x, 34.0), &format!("font-size=\"21\" font-weight=\"700\" fill=\"{INK}\""), &self.title);
        let mut y = TOP;
        for row in &self.rows {
            y += row.height();
            match row {
                Row::Heading(text) => {
                    let style = format!("font-size=\"10.5\" letter-spacing=\"0.8\" fill=\"{QUIET}\"");
                    canvas.text((x, y), &style, &text.to_uppercase());
                }
                Row::Text(text) => canvas.text((x, y), &format!("font-size=\"12.5\" fill=\"{INK}\""), text),
                Row::Key(color, text) => {
                    let top = y - 10.0;
                    canvas.element(&format!(
                        "rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"20\" height=\"11\" rx=\"2\" fill=\"{color}\" \
                         fill-opacity=\"0.35\" stroke=\"{color}\""
                    ));
                    canvas.text((x + 30.0, y), &format!("font-size=\"12.5\" fill=\"{INK}\""), text);
                }
                Row::Gap => {}
            }
        }
    }
}

impl Row {
    fn height(&self) -> f64 {
        match self {
            Row::Heading(_) => LINE + 6.0,
            Row::Text(_) => LINE,
            Row::Key(..) => LINE + 3.0,
            Row::Gap => 8.0,
        }
    }
}

/// Words in lines that fit the panel.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= LETTERS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
