//! What outcomes teach, as a person reads it who has never heard of calibration.

use sallyport_proto::node::v1::{CalibrateResponse, CalibrationGroup, RankingJudgement, Share};

use super::part;
use crate::{answer::print_table, terminal};

/// Columns of the plot.
const PLOT: usize = 41;
/// Outcomes below which intervals are so wide that a person should be told.
const FEW: u32 = 200;

/// Everything that was learnt.
pub(super) fn print(playbook: &str, learnt: &CalibrateResponse) {
    said(&counted(playbook, learnt));
    println!("\nDo the right ones come first? (95 % intervals in brackets)\n");
    let present = learnt.present.clone().unwrap_or_default();
    let proposed = learnt.proposed.clone().unwrap_or_default();
    print_table(&["", "scores that people saw", "with the weights below"], ranking(&present, &proposed));
    said(&[
        "  Lift: how much more often the first tenth was right than all were; 1 is no better than chance.".to_owned(),
        "  Right before wrong: how often a right one stands before a wrong one; 50 % is no better than chance."
            .to_owned(),
    ]);
    println!("\nDoes it come true as often as the weights below expect? (each line is a fifth of the leads)\n");
    print_table(&["expected", "came true", &scale()], learnt.calibration.iter().map(group).collect());
    said(&["  +  expected    o  came true    *  both    ─  95 % interval".to_owned()]);
    println!("\nWeights for you to accept. Nothing was changed: copy them into the question file.\n");
    said(&weights(learnt));
    println!("\nBefore you do\n");
    said(&caveats(learnt));
}

fn said(lines: &[String]) {
    lines.iter().for_each(|line| println!("{}", terminal::line(line)));
}

fn counted(playbook: &str, learnt: &CalibrateResponse) -> Vec<String> {
    let causes: Vec<String> = learnt.causes.iter().map(|cause| format!("{} ({})", cause.cause, cause.leads)).collect();
    vec![
        format!("What {} outcomes of leads under the playbook {playbook} teach", outcomes(learnt)),
        String::new(),
        format!(
            "{} were right (arrest, seizure), {} wrong (no finding, false match).",
            learnt.positive, learnt.negative
        ),
        format!("Not counted: {} still open, {} closed with nothing that tells.", learnt.open, learnt.untold),
        format!("Raised by: {}.", causes.join(", ")),
    ]
}

fn outcomes(learnt: &CalibrateResponse) -> u32 {
    learnt.positive.saturating_add(learnt.negative)
}

fn ranking(present: &RankingJudgement, proposed: &RankingJudgement) -> Vec<Vec<String>> {
    let row = |name: String, tell: &dyn Fn(&RankingJudgement) -> String| vec![name, tell(present), tell(proposed)];
    let mut rows = vec![row("right of all".to_owned(), &|judged| judged.base.as_ref().map_or_else(String::new, share))];
    let heads = present.precision.iter().zip(&proposed.precision);
    rows.extend(heads.map(|(a, b)| vec![format!("right of the first {}", a.of), share(a), share(b)]));
    rows.push(row(format!("lift of the first {}", present.lift_of), &|judged| {
        format!("{:.2} ({:.2} to {:.2})", judged.lift, judged.lift_low, judged.lift_high)
    }));
    rows.push(row("right before wrong".to_owned(), &|judged| percent(judged.concordance)));
    rows
}

fn share(share: &Share) -> String {
    format!("{} ({} to {})", percent(part(share)), percent(share.low), percent(share.high))
}

fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

fn scale() -> String {
    format!("0 %{:>width$}", "100 %", width = PLOT - 3)
}

fn group(group: &CalibrationGroup) -> Vec<String> {
    let came_true = group.came_true.unwrap_or_default();
    vec![percent(group.expected), format!("{} of {}", came_true.right, came_true.of), plot(group.expected, &came_true)]
}

/// One line of the reliability plot.
fn plot(expected: f64, came_true: &Share) -> String {
    let column = |part: f64| ((part * (PLOT - 1) as f64).round() as usize).min(PLOT - 1);
    let (low, high) = (column(came_true.low), column(came_true.high));
    let (expected, came_true) = (column(expected), column(part(came_true)));
    let drawn = (0..PLOT).map(|column| match column {
        _ if column == expected && column == came_true => '*',
        _ if column == expected => '+',
        _ if column == came_true => 'o',
        _ if (low..=high).contains(&column) => '─',
        _ => '·',
    });
    drawn.collect()
}

fn weights(learnt: &CalibrateResponse) -> Vec<String> {
    let lines = learnt.weights.iter().flat_map(|weight| {
        let taught = match weight.learnt {
            true => format!("{:.3} to {:.3} with a fifth of the outcomes left out", weight.low, weight.high),
            false => "the same in every lead: nothing learnt".to_owned(),
        };
        [
            "  [[indicator]]".to_owned(),
            format!("  dataset = \"{}\"", weight.dataset),
            format!("  weight = {:.3}                  # {taught}", weight.weight),
        ]
    });
    lines.collect()
}

fn caveats(learnt: &CalibrateResponse) -> Vec<String> {
    let mut told = vec![
        "- Only leads that somebody looked into have an outcome. What was no lead or was not pursued teaches nothing."
            .to_owned(),
        "- A weight says what went together with being right, not why. Data sets that tell the same share it."
            .to_owned(),
        "- A weight is for all indicators of its data set.".to_owned(),
        "- Scores change with the weights and the playbook's do not: look at its raise_from_qe and from_qe.".to_owned(),
    ];
    if outcomes(learnt) < FEW {
        told.push(format!(
            "- {} outcomes are few: look at the intervals, and calibrate again when there are more.",
            outcomes(learnt)
        ));
    }
    if learnt.causes.len() > 1 {
        told.push(
            "- The leads come from several questions, which may differ: --watch NAME takes one of them.".to_owned(),
        );
    }
    told
}

#[cfg(test)]
mod tests {
    use super::{super::tests::learnt, *};

    #[test]
    fn a_line_of_the_plot_shows_what_was_expected_and_what_came_true() {
        let came_true = |right: u32| Share { right, of: 10, low: 0.25, high: 0.75 };
        assert_eq!(plot(0.1, &came_true(5)), "····+·····──────────o──────────··········");
        assert_eq!(plot(0.5, &came_true(5)), "··········──────────*──────────··········");
        // Whatever a node sends, a line is as long.
        let odd = Share { right: 9, of: 0, low: f64::NAN, high: 7.0 };
        assert_eq!(plot(-1.0, &odd).chars().count(), PLOT);
    }

    #[test]
    fn weights_stand_as_a_question_file_takes_them() {
        let lines = weights(&learnt()).join("\n");
        let read: toml::Table = toml::from_str(&lines).unwrap();
        let indicators = read["indicator"].as_array().unwrap();
        assert_eq!(indicators[0]["dataset"].as_str(), Some("acme.track_events"));
        assert_eq!(indicators[1]["weight"].as_float(), Some(0.632));
        assert!(lines.contains("# 1.165 to 1.365 with a fifth"), "{lines}");
        assert_eq!(indicators[2]["weight"].as_float(), Some(1.0));
        assert!(lines.ends_with("# the same in every lead: nothing learnt"), "{lines}");
    }

    #[test]
    fn who_decides_is_told_what_the_numbers_cannot_say() {
        let few = caveats(&learnt()).join("\n");
        assert!(few.contains("50 outcomes are few") && !few.contains("several questions"), "{few}");
        let mut many = learnt();
        (many.positive, many.causes) = (180, vec![many.causes[0].clone(); 2]);
        let many = caveats(&many).join("\n");
        assert!(!many.contains("are few") && many.contains("several questions"), "{many}");
        let (present, proposed) = (learnt().present.unwrap(), learnt().proposed.unwrap());
        let rows = ranking(&present, &proposed);
        assert_eq!(rows[1], ["right of the first 10", "50 % (20 % to 80 %)", "90 % (20 % to 80 %)"]);
        assert_eq!(rows[3], ["lift of the first 5", "1.10 (0.80 to 2.20)", "1.90 (0.80 to 2.20)"]);
    }
}
