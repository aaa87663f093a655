//! `sallyport calibrate`: what the outcomes of the agency's own leads teach about weights, for a person to
//! accept. It changes nothing.

mod picture;
mod words;

use std::path::PathBuf;

use sallyport_proto::node::v1::{CalibrateRequest, CalibrateResponse, RankingJudgement, Share};
use serde_json::{Value, json};

use crate::{desk::Desk, failure::Failure, people::As, terminal};

/// Arguments of `sallyport calibrate`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    who: As,
    /// Learn from the leads of this playbook.
    #[arg(long, value_name = "NAME")]
    playbook: String,
    /// Only from those that this watch raised.
    #[arg(long, value_name = "NAME", default_value = "")]
    watch: String,
    /// Draw how probabilities come true, and how precise the rankings are, into an SVG file.
    #[arg(long, value_name = "OUT")]
    svg: Option<PathBuf>,
    /// One JSON object instead of sentences.
    #[arg(long)]
    json: bool,
}

/// Asks the node, and tells.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { who, playbook, watch, svg, json } = arguments;
    let request = CalibrateRequest { playbook: playbook.clone(), watch };
    let learnt = Desk::of(&who.person()?)?.calibrate(request).await?;
    if let Some(out) = &svg {
        std::fs::write(out, picture::svg(&playbook, &learnt))
            .map_err(|error| Failure::machine_with("file_unwritable", &out.display().to_string(), &error))?;
    }
    if json {
        println!("{}", terminal::json(&object(&playbook, &learnt)));
        return Ok(());
    }
    words::print(&playbook, &learnt);
    if let Some(out) = &svg {
        println!("\nDrawn into {}.", terminal::line(&out.display().to_string()));
    }
    Ok(())
}

/// Its fields are a promise to scripts.
fn object(playbook: &str, learnt: &CalibrateResponse) -> Value {
    json!({
        "playbook": playbook,
        "right": learnt.positive,
        "wrong": learnt.negative,
        "open": learnt.open,
        "untold": learnt.untold,
        "raised_by": learnt.causes.iter().map(|cause| json!({ "cause": cause.cause, "leads": cause.leads }))
            .collect::<Vec<_>>(),
        "weights": learnt.weights.iter().map(|weight| json!({
            "dataset": weight.dataset,
            "weight": thousandths(weight.weight),
            "low": thousandths(weight.low),
            "high": thousandths(weight.high),
            "learnt": weight.learnt,
        })).collect::<Vec<_>>(),
        "present": learnt.present.as_ref().map(judgement),
        "proposed": learnt.proposed.as_ref().map(judgement),
        "calibration": learnt.calibration.iter().map(|group| json!({
            "expected": group.expected,
            "came_true": group.came_true.as_ref().map(share),
        })).collect::<Vec<_>>(),
    })
}

fn judgement(judged: &RankingJudgement) -> Value {
    json!({
        "base": judged.base.as_ref().map(share),
        "precision": judged.precision.iter().map(share).collect::<Vec<_>>(),
        "lift": { "of": judged.lift_of, "ratio": judged.lift, "low": judged.lift_low, "high": judged.lift_high },
        "concordance": judged.concordance,
    })
}

fn share(share: &Share) -> Value {
    json!({ "right": share.right, "of": share.of, "low": share.low, "high": share.high })
}

/// As precise as a question file takes a weight.
fn thousandths(weight: f64) -> f64 {
    (weight * 1e3).round() / 1e3
}

/// What part was right.
fn part(share: &Share) -> f64 {
    f64::from(share.right) / f64::from(share.of.max(1))
}

#[cfg(test)]
mod tests {
    use sallyport_proto::node::v1::{CalibrationCause, CalibrationGroup, ProposedWeight};

    use super::*;

    fn shares(of: &[(u32, u32)]) -> Vec<Share> {
        of.iter().map(|&(right, of)| Share { right, of, low: 0.2, high: 0.8 }).collect()
    }

    fn judged(precision: &[(u32, u32)], lift: f64, concordance: f64) -> RankingJudgement {
        RankingJudgement {
            base: Some(Share { right: 22, of: 50, low: 0.311, high: 0.577 }),
            precision: shares(precision),
            lift_of: 5,
            lift,
            lift_low: 0.8,
            lift_high: 2.2,
            concordance,
        }
    }

    /// What a node may have learnt.
    pub(super) fn learnt() -> CalibrateResponse {
        let weight = |dataset: &str, weight: f64| ProposedWeight {
            dataset: dataset.to_owned(),
            weight,
            low: weight - 0.1,
            high: weight + 0.1,
            learnt: true,
        };
        let unlearnt =
            ProposedWeight { dataset: "cbp.watched".to_owned(), weight: 1.0, low: 1.0, high: 1.0, learnt: false };
        let group = |expected: f64, right: u32| CalibrationGroup { expected, came_true: shares(&[(right, 10)]).pop() };
        CalibrateResponse {
            positive: 22,
            negative: 28,
            open: 3,
            untold: 0,
            causes: vec![CalibrationCause { cause: "watch off-corridor".to_owned(), leads: 53 }],
            weights: vec![weight("acme.track_events", 1.2649), weight("cbp.inbond", 0.6324), unlearnt],
            present: Some(judged(&[(5, 10), (10, 20)], 1.1, 0.61)),
            proposed: Some(judged(&[(9, 10), (15, 20)], 1.9, 0.84)),
            calibration: vec![group(0.1, 1), group(0.25, 2), group(0.5, 5), group(0.7, 6), group(0.9, 8)],
        }
    }

    #[test]
    fn scripts_read_the_weights_as_a_question_file_takes_them() {
        let told = object("off-corridor", &learnt());
        assert_eq!((&told["right"], &told["weights"][0]["weight"]), (&22.into(), &1.265.into()));
        assert_eq!([1, 2].map(|place| &told["weights"][place]["learnt"]), [true, false]);
        assert_eq!(told["proposed"]["precision"][0]["right"], 9);
        assert_eq!(told["calibration"][4]["came_true"]["of"], 10);
    }
}
