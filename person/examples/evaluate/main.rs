//! How well persons are matched: precision, recall and F1 on published files with known answers, at the
//! threshold that the system picks by itself, beside the ceiling of a full comparison of plain text.
//!
//! Reads `$SALLYPORT_DATA` or `../shared/data`; where it is absent, says so and ends. The protocol is
//! simulated by the equality of key texts; nothing in it knows which file it works on. A file of one
//! data set is dealt to two nodes by the parity of its rows, and only pairs across them count.

mod data;
mod plain;

use std::{collections::HashMap, error::Error, path::PathBuf, time::Instant};

use data::DataSet;
use sallyport_join::agreement::{Gatherer, KeyRow, Limits, Link, Model, Observed, Resolution, Scheme, choose, rarity};
use sallyport_person::{Keys, keys};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::var_os("SALLYPORT_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    if !folder.is_dir() {
        println!("skipped: no data in {} (set SALLYPORT_DATA)", folder.display());
        return Ok(());
    }
    let only = std::env::args().nth(1);
    for name in data::NAMES {
        if only.as_ref().is_none_or(|only| name.contains(only.as_str())) {
            evaluate(&data::load(&folder, name)?);
        }
    }
    Ok(())
}

fn evaluate(set: &DataSet) {
    let started = Instant::now();
    let made = set.sides.each_ref().map(|side| side.iter().map(|p| keys(&p.record())).collect::<Vec<_>>());
    let (made_in, gathered) = (started.elapsed(), Instant::now());
    let observed = gather(&made);
    let gathered_in = gathered.elapsed();
    let started = Instant::now();
    let model = Model::fit(&observed);
    let counts: Vec<usize> = made.iter().flatten().map(|keys| keys.keys.len()).collect();
    let unusable = made.iter().flatten().filter(|keys| keys.birth_date_unusable).count();
    println!("\n{} ({} + {} records, {:?})", set.name, set.sides[0].len(), set.sides[1].len(), set.resolution);
    println!(
        "  keys per record: mean {:.1}, most {}; birth dates unusable: {unusable}; keys made in {made_in:.1?}",
        counts.iter().sum::<usize>() as f64 / counts.len().max(1) as f64,
        counts.iter().max().unwrap_or(&0),
    );
    println!(
        "  pairs found {}, kept {}; keys too common to find pairs: {}; compared in {gathered_in:.1?}",
        observed.report.pairs_found, observed.report.pairs_kept, observed.report.keys_skipped
    );
    report("keys", set, &observed, &model, started);
    if std::env::var_os("DETAIL").is_some() {
        detail(set, &observed, &model);
    }
    let started = Instant::now();
    let observed = plain::observe(set, &observed);
    let model = Model::fit(&observed);
    report("plain text", set, &observed, &model, started);
    if std::env::var_os("DETAIL").is_some() {
        detail(set, &observed, &model);
    }
}

/// What nodes and gateway do, with the key's text for its tag.
fn gather(made: &[Vec<Keys>; 2]) -> Observed {
    let scheme = Scheme::persons();
    let mut values: HashMap<&str, [Vec<(u128, u8)>; 2]> = HashMap::new();
    for (side, records) in made.iter().enumerate() {
        for (record, keys) in (0u128..).zip(records) {
            for key in &keys.keys {
                values.entry(&key.text).or_default()[side].push((record, key.kind.number()));
            }
        }
    }
    let present = made.each_ref().map(|records| {
        records.iter().map(|k| scheme.present(k.keys.iter().map(|key| key.kind.number()))).collect::<Vec<_>>()
    });
    let announced = made.each_ref().map(|records| records.len() as u32);
    let mut gatherer = Gatherer::new(scheme, Limits::default(), announced);
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_unstable_by_key(|(text, _)| *text);
    for (_, sides) in values {
        // A row opens where both have its key.
        if sides.iter().any(Vec::is_empty) {
            continue;
        }
        let rows: [Vec<KeyRow>; 2] = std::array::from_fn(|side| {
            let row = |&(record, kind): &(u128, u8)| KeyRow {
                record,
                kind,
                rarity: rarity(
                    sides[side].iter().filter(|(_, other)| *other == kind).count() as u64,
                    u64::from(announced[side]),
                ),
                present: present[side][record as usize],
            };
            sides[side].iter().map(row).collect()
        });
        gatherer.push(&rows[0], &rows[1]);
    }
    gatherer.finish()
}

/// Prints precision, recall and F1 at the chosen threshold, and the best F1 of any.
fn report(what: &str, set: &DataSet, observed: &Observed, model: &Model, started: Instant) {
    let (links, choice) = choose::choose(observed, model, set.resolution);
    let took = started.elapsed();
    let right = links.iter().filter(|link| set.is_match(link)).count();
    let (precision, recall, f1) = scores(right, links.len(), set.matches);
    let (best, at) = best_f1(set, &choose::ranked(observed, model, set.resolution));
    println!(
        "  {what:<10} precision {precision:.4} recall {recall:.4} F1 {f1:.4} at probability {:.3} (expected F1 {:.4}); \
         best F1 of any threshold {best:.4} at {at:.3}; {} rounds, {took:.1?}",
        choice.threshold, choice.f1, model.rounds
    );
}

fn scores(right: usize, taken: usize, matches: usize) -> (f64, f64, f64) {
    let share = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    (share(right, taken), share(right, matches), share(2 * right, taken + matches))
}

fn best_f1(set: &DataSet, ranked: &[Link]) -> (f64, f64) {
    let (mut right, mut best) = (0, (0.0, 1.0));
    for (taken, link) in (1..).zip(ranked) {
        right += usize::from(set.is_match(link));
        let f1 = scores(right, taken, set.matches).2;
        if f1 > best.0 {
            best = (f1, link.probability);
        }
    }
    best
}

/// Parameters and errors, for whoever works on the keys.
fn detail(set: &DataSet, observed: &Observed, model: &Model) {
    println!("    prior {:.3e}, unseen {:.1}, patterns {}", model.prior, model.unseen, observed.patterns.len());
    for (field, name) in Scheme::persons().fields().iter().enumerate() {
        if observed.chance.both_have[field] > 0.0 {
            let level = |l: usize| format!("{l}: m {:.4} u {:.6}", model.m[field][l], model.u[field][l]);
            let levels: Vec<String> = (0..16).filter(|l| model.m[field][*l] > 0.0).map(level).collect();
            println!("    {name}: {}", levels.join("; "));
        }
    }
    let pairs: HashMap<(u128, u128), f64> = choose::ranked(observed, model, Resolution::ManyToMany)
        .iter()
        .map(|link| ((link.left, link.right), link.probability))
        .collect();
    let (links, _) = choose::choose(observed, model, set.resolution);
    let linked: std::collections::HashSet<_> = links.iter().map(|link| (link.left, link.right)).collect();
    let show = |left: u128, right: u128| {
        let p = pairs.get(&(left, right)).copied().unwrap_or(0.0);
        println!("      {p:.4} {:?}\n             {:?}", set.sides[0][left as usize], set.sides[1][right as usize]);
    };
    println!("    false links:");
    links.iter().filter(|link| !set.is_match(link)).rev().take(25).for_each(|link| show(link.left, link.right));
    println!("    missed:");
    let missed = set.all_matches().filter(|pair| !linked.contains(pair));
    missed.step_by(if set.matches > 20_000 { 997 } else { 3 }).take(40).for_each(|(left, right)| show(left, right));
}
