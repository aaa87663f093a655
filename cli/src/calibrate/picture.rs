//! Reliability and precision as a picture: one self-contained SVG, with nothing to fetch and nothing to run.

use sallyport_proto::node::v1::{CalibrateResponse, RankingJudgement, Share};

use super::part;
use crate::svg::escaped;

/// The sides of the picture and of each square plot, and where the plots begin.
const SIZE: (f64, f64) = (760.0, 450.0);
const SIDE: f64 = 280.0;
const TOP: f64 = 70.0;
const LEFTS: [f64; 2] = [70.0, 440.0];

const INK: &str = "#2b3440";
const PALE: &str = "#c9d1d9";
const NOW: &str = "#8a6d3b";
const PROPOSED: &str = "#1f6fb2";
const MIDDLE: &str = "text-anchor=\"middle\"";

/// A square in which both ways go from 0 to 1.
struct Plot {
    left: f64,
    body: String,
}

impl Plot {
    /// An empty plot with its words and a grid of quarters.
    fn new(left: f64, title: &str, across: &str, up: &str) -> Self {
        let mut plot = Self { left, body: String::new() };
        for quarter in 0..=4 {
            let share = f64::from(quarter) / 4.0;
            plot.line((0.0, share), (1.0, share), PALE, "");
            plot.text((-0.03, share - 0.012), "text-anchor=\"end\"", &format!("{:.0} %", share * 100.0));
        }
        plot.line((0.0, 0.0), (0.0, 1.0), INK, "");
        plot.line((0.0, 0.0), (1.0, 0.0), INK, "");
        plot.text((0.5, 1.09), "text-anchor=\"middle\" font-weight=\"700\"", title);
        plot.text((0.5, -0.16), MIDDLE, across);
        plot.text((0.0, 1.03), "", up);
        plot
    }

    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.left + x * SIDE, TOP + (1.0 - y) * SIDE)
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, more: &str) {
        let ((x1, y1), (x2, y2)) = (self.at(from), self.at(to));
        self.body.push_str(&format!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\"{more}/>\n"
        ));
    }

    fn text(&mut self, at: (f64, f64), style: &str, text: &str) {
        let (x, y) = self.at(at);
        self.body.push_str(&format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"12\" fill=\"{INK}\" {style}>{}</text>\n",
            escaped(text)
        ));
    }

    /// A share as a point with its interval, `x` across.
    fn share(&mut self, x: f64, share: &Share, colour: &str) {
        self.line((x, share.low), (x, share.high), colour, " stroke-width=\"2\"");
        let (x, y) = self.at((x, part(share)));
        self.body.push_str(&format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"{colour}\"><title>{} of {}</title></circle>\n",
            share.right, share.of
        ));
    }
}

/// What was learnt, drawn.
pub(super) fn svg(playbook: &str, learnt: &CalibrateResponse) -> String {
    let (width, height) = SIZE;
    let outcomes = learnt.positive.saturating_add(learnt.negative);
    let title = escaped(&format!("What {outcomes} outcomes of leads under the playbook {playbook} teach"));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"Helvetica, Arial, sans-serif\">\n\
         <title>{title}</title>\n<rect width=\"{width:.0}\" height=\"{height:.0}\" fill=\"#ffffff\"/>\n\
         <text x=\"{:.1}\" y=\"24\" font-size=\"15\" font-weight=\"700\" fill=\"{INK}\" text-anchor=\"middle\">{title}\
         </text>\n{}{}</svg>\n",
        width / 2.0,
        reliability(learnt).body,
        precision(learnt).body
    )
}

/// On the broken line everything comes true as often as expected.
fn reliability(learnt: &CalibrateResponse) -> Plot {
    let mut plot = Plot::new(LEFTS[0], "Does it come true as expected?", "expected", "came true");
    for quarter in 0..=4 {
        let share = f64::from(quarter) / 4.0;
        plot.text((share, -0.07), MIDDLE, &format!("{:.0} %", share * 100.0));
    }
    plot.line((0.0, 0.0), (1.0, 1.0), INK, " stroke-dasharray=\"4 4\"");
    for group in &learnt.calibration {
        plot.share(group.expected, &group.came_true.unwrap_or_default(), PROPOSED);
    }
    plot.text((0.5, -0.235), MIDDLE, "bars: 95 % intervals");
    plot
}

/// The broken line is what leads in no order at all would give.
fn precision(learnt: &CalibrateResponse) -> Plot {
    let mut plot = Plot::new(LEFTS[1], "How many of the first are right?", "of the first", "right");
    let none = RankingJudgement::default();
    let (present, proposed) = (learnt.present.as_ref().unwrap_or(&none), learnt.proposed.as_ref().unwrap_or(&none));
    let base = present.base.as_ref().map_or(0.0, part);
    plot.line((0.0, base), (1.0, base), INK, " stroke-dasharray=\"4 4\"");
    let heads = present.precision.len().max(1) as f64;
    for (place, (now, then)) in present.precision.iter().zip(&proposed.precision).enumerate() {
        let x = (place as f64 + 0.5) / heads;
        plot.text((x, -0.07), MIDDLE, &now.of.to_string());
        plot.share(x - 0.03, now, NOW);
        plot.share(x + 0.03, then, PROPOSED);
    }
    let rankings = [("scores that people saw", NOW), ("proposed weights", PROPOSED)];
    for (place, (name, colour)) in rankings.into_iter().enumerate() {
        let y = -0.235 - 0.06 * place as f64;
        plot.line((0.26, y + 0.014), (0.3, y + 0.014), colour, " stroke-width=\"4\"");
        plot.text((0.33, y), "", name);
    }
    plot
}

#[cfg(test)]
mod tests {
    use super::{super::tests::learnt, *};

    #[test]
    fn every_share_is_drawn_where_it_belongs() {
        let drawn = svg("off-corridor", &learnt());
        assert_eq!(drawn.matches("<circle").count(), 5 + 2 * 2, "five groups, and two heads in both rankings");
        // Expected 50 %, and 5 of 10 came true: the middle of the first plot, on its broken line.
        assert!(
            drawn.contains("cx=\"210.0\" cy=\"210.0\" r=\"4.5\" fill=\"#1f6fb2\"><title>5 of 10</title>"),
            "{drawn}"
        );
        // The interval of 20 % to 80 % beside it.
        assert!(drawn.contains("x1=\"210.0\" y1=\"294.0\" x2=\"210.0\" y2=\"126.0\""), "{drawn}");
        assert!(drawn.contains("<title>9 of 10</title>") && drawn.ends_with("</svg>\n"));
    }

    #[test]
    fn names_are_words_and_never_marks() {
        let drawn = svg("<script>&\u{1b}\"", &learnt());
        assert!(drawn.contains("&lt;script&gt;&amp;&quot; teach") && !drawn.contains("<script"), "{drawn}");
    }
}
