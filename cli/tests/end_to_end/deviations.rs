//! Whom do they call after they cross? The planted numbers, and not those that look like them.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::federation::{Agency, Federation, OPEN_RULES, PROGRAM};

const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;
/// The demonstration's question, as an analyst has it.
const QUESTION: &str = include_str!("../../demo/after-crossing.toml");

fn write_sample(directory: &Path, seed: u64) {
    let mut command = Command::new(PROGRAM);
    command.arg("sample").arg(directory.join(format!("seed-{seed}")));
    command.args(["--travellers", "600", "--deviators", "30", "--json", "--seed", &seed.to_string()]);
    assert!(command.output().unwrap().status.success());
}

/// One data set for each seed, called `NAME_SEED`.
fn data_sets(directory: &Path, name: &str, time: &str, phones: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for seed in SEEDS {
        let file = directory.join(format!("seed-{seed}")).join(name.replace('.', "/")).with_extension("csv");
        text.push_str(&format!(
            "[[dataset]]\nname = \"{name}_{seed}\"\nfiles = [\"{}\"]\nsensitivity = \"official\"\n\
             [dataset.time]\ncolumn = \"{time}\"\n",
            file.display()
        ));
        for (phone, column) in phones {
            text.push_str(&format!(
                "[[dataset.identifier]]\nname = \"{phone}\"\ncolumn = \"{column}\"\ntype = \"phone\"\ncountry = \"US\"\n"
            ));
        }
    }
    text
}

#[test]
fn the_planted_numbers_come_first_in_order_of_their_crossers_at_every_seed() {
    let samples = tempfile::tempdir().unwrap();
    SEEDS.for_each(|seed| write_sample(samples.path(), seed));
    let crossings = data_sets(samples.path(), "cbp.crossings", "crossed_at", &[("phone", "traveler_phone")]);
    let calls = data_sets(samples.path(), "hsi.calls", "started_at", &[("caller", "caller"), ("callee", "callee")]);
    // The analyst may see the numbers, so that the answer can be compared.
    let shown = OPEN_RULES.replace("mask = \"last_four\"", "mask = \"none\"");
    let mut asking = Agency::new("hsi", &calls, &[]);
    asking.rules = Some(&shown);
    let federation = Federation::start(&[Agency::new("cbp", &crossings, &[]), asking]);
    for seed in SEEDS {
        let mut question = QUESTION.to_owned();
        for name in ["cbp.crossings", "hsi.calls"] {
            question = question.replace(&format!("\"{name}\""), &format!("\"{name}_{seed}\""));
        }
        let answer = federation.ask("hsi", &question, &[]);
        println!("seed {seed}");
        compare(&answer, &samples.path().join(format!("seed-{seed}/truth/deviations.csv")));
    }
}

fn compare(answer: &Value, truth: &Path) {
    let truth = fs::read_to_string(truth).unwrap();
    let planted: Vec<(&str, u64)> = truth
        .lines()
        .skip(1)
        .map(|line| line.split(',').skip(1).collect::<Vec<_>>())
        .map(|fields| (fields[0], fields[1].parse().unwrap()))
        .collect();
    assert_eq!(planted.len(), 5);
    let found = answer["matches"].as_array().unwrap();
    for found in found {
        println!("{} {} {} {}", found["rank"], found["label"], found["qe"], found["others"]);
    }
    for ((phone, crossers), found) in planted.iter().zip(found) {
        assert_eq!(found["label"], *phone, "{answer}");
        let (least, most) = found["others"].as_str().unwrap().split_once('-').unwrap();
        assert!((least.parse().unwrap()..=most.parse().unwrap()).contains(crossers), "{found}");
    }
    let qe = |rank: usize| found[rank].pointer("/qe").unwrap().as_f64().unwrap();
    assert!(qe(4) > 1.2 * qe(5), "nobody else is near");
}
