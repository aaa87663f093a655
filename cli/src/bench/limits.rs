//! What this machine could do at best: the parts that no implementation can leave out, alone.

use std::{fs::File, hint::black_box, io::Write, path::Path, time::Instant};

use sallyport_join::{
    evidence::Evidence,
    keys::{EpochSecret, QuestionKeys, Sealer, Tag},
    merge::{Merger, Step, StreamRule},
    row::ROW_BYTES,
};
use sallyport_node::linkage::oprf::{MAX_BATCH, UnavoidableMultiplications};
use sha2::{Digest, Sha256};

use crate::failure::Failure;

const ROWS_SAMPLED: u32 = 200_000;
const ROUNDS: usize = 3;

pub(super) fn processors() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64)
}

/// Processor seconds of the scalar multiplications that one tag takes among this many nodes.
pub(super) fn multiplications_s(nodes: usize) -> Result<f64, Failure> {
    let failed = |error| Failure::machine("the multiplications cannot be measured", &error);
    let work = UnavoidableMultiplications::prepare(nodes, MAX_BATCH, &mut rand::rng())
        .map_err(|error: sallyport_node::linkage::oprf::Error| failed(error))?;
    let rounds = (0..ROUNDS).map(|_| {
        let started = Instant::now();
        work.run();
        started.elapsed().as_secs_f64() / MAX_BATCH as f64
    });
    Ok(super::median(rounds.collect()))
}

/// Processor seconds to key, sort, seal and merge one row, all in memory and on one thread.
pub(super) fn join_core_s(streams: usize, overlap: f64) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let tags = sampled_tags(streams, overlap);
        let started = Instant::now();
        black_box(join(&tags));
        started.elapsed().as_secs_f64() / (f64::from(ROWS_SAMPLED) * streams as f64)
    });
    super::median(rounds.collect())
}

fn sampled_tags(streams: usize, overlap: f64) -> Vec<Vec<Tag>> {
    let shared = (f64::from(ROWS_SAMPLED) * overlap) as u32;
    let tag = |owner: usize, row: u32| -> Tag {
        let owner = if row < shared { usize::MAX } else { owner };
        let digest = Sha256::new().chain_update(owner.to_be_bytes()).chain_update(row.to_be_bytes()).finalize();
        let mut tag = [0; 16];
        tag.copy_from_slice(&digest[..16]);
        tag
    };
    (0..streams).map(|owner| (0..ROWS_SAMPLED).map(|row| tag(owner, row)).collect()).collect()
}

fn join(tags: &[Vec<Tag>]) -> u64 {
    let keys = QuestionKeys::derive(&EpochSecret::new([7; 32]), &[9; 32], 2);
    let rules = (0..tags.len()).map(|n| StreamRule {
        share_point: n as u8 + 1,
        weight_thousandths: 1_000,
        required: false,
        contributor: n,
        linked: None,
    });
    let mut sealed = tags.iter().enumerate().map(|(n, tags)| Some(seal(&keys, n as u8, tags))).collect::<Vec<_>>();
    let mut merger: Merger<Vec<u8>> = Merger::new(rules.collect(), 2, 10);
    loop {
        match merger.advance() {
            Step::Done => return merger.finish_all().subjects_matched,
            Step::Failed(..) => return 0,
            Step::Needs(stream) => match sealed[stream].take() {
                Some(rows) => merger.push(stream, rows).unwrap_or_else(|_| merger.fail(stream)),
                None => merger.finish(stream),
            },
        }
    }
}

fn seal(keys: &QuestionKeys, indicator: u8, tags: &[Tag]) -> Vec<u8> {
    let evidence = Evidence { strength_thousandths: 500, newest_day: 20_454, labels: 0 };
    let mut rows: Vec<(u128, Evidence)> = keys.join_keys(tags).into_iter().map(|key| (key, evidence)).collect();
    rows.sort_unstable_by_key(|(key, _)| *key);
    let mut bytes = Vec::with_capacity(rows.len() * ROW_BYTES);
    Sealer::new(keys, indicator, indicator + 1).seal(&rows, &mut bytes);
    bytes
}

/// Processor seconds to put one event of so many beside the others of its subject: numbers and moments in
/// memory, on one thread.
pub(super) fn grouping_s(events: u64, subjects: u64) -> f64 {
    let of_events: Vec<u32> = (0..events).map(|event| super::data::subject_of(event, subjects) as u32).collect();
    let moments_ms: Vec<i64> = (0..events as i64).collect();
    let rounds = (0..ROUNDS).map(|_| {
        let started = Instant::now();
        let mut next = vec![0usize; subjects as usize + 1];
        of_events.iter().for_each(|&subject| next[subject as usize + 1] += 1);
        (0..subjects as usize).for_each(|subject| next[subject + 1] += next[subject]);
        let mut grouped = vec![0i64; moments_ms.len()];
        for (&subject, &moment_ms) in of_events.iter().zip(&moments_ms) {
            grouped[next[subject as usize]] = moment_ms;
            next[subject as usize] += 1;
        }
        black_box(&grouped);
        started.elapsed().as_secs_f64() / events as f64
    });
    super::median(rounds.collect())
}

/// Seconds until a small write is on the disk.
pub(super) fn durable_write_s(directory: &Path) -> Result<f64, Failure> {
    let failed = |error: std::io::Error| Failure::machine("the disk cannot be measured", &error);
    let path = directory.join("durable-write");
    let mut file = File::create(&path).map_err(failed)?;
    let mut seconds = Vec::new();
    for _ in 0..32 {
        let started = Instant::now();
        file.write_all(&[0; 512]).and_then(|()| file.sync_data()).map_err(failed)?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    std::fs::remove_file(&path).map_err(failed)?;
    Ok(super::median(seconds))
}
