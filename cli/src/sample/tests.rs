//! The sample as its readers meet it: files are read back and held against the truth and the summary.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Date32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;

const CSV_FILES: [&str; 4] = [CROSSINGS, CALLS, CASE_OUTCOMES, SHIPMENTS];

pub(super) struct Sample {
    directory: TempDir,
    summary: SampleSummary,
}

pub(super) fn sample(options: &SampleOptions) -> Sample {
    let directory = tempfile::tempdir().unwrap();
    let summary = generate(options, directory.path(), &mut |_| {}).unwrap();
    Sample { directory, summary }
}

impl Sample {
    pub(super) fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.directory.path().join(file)).unwrap()
    }

    /// Rows of a CSV file by column, and lines with a wrong number of fields.
    pub(super) fn rows(&self, file: &str) -> (Vec<HashMap<String, String>>, usize) {
        let text = String::from_utf8(self.bytes(file)).unwrap();
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap().split(',').collect();
        let (mut rows, mut malformed) = (Vec::new(), 0);
        for line in lines {
            let fields: Vec<&str> = line.split(',').collect();
            if fields.len() != header.len() {
                malformed += 1;
                continue;
            }
            let named = header.iter().zip(fields);
            rows.push(named.map(|(k, v)| ((*k).into(), v.into())).collect());
        }
        (rows, malformed)
    }

    fn column(&self, file: &str, column: &str) -> Vec<String> {
        let (mut rows, _) = self.rows(file);
        rows.iter_mut().map(|row| row.remove(column).unwrap()).collect()
    }

    fn travellers(&self) -> Vec<RecordBatch> {
        let file = fs::File::open(self.directory.path().join(TRAVELLERS)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        reader.map(Result::unwrap).collect()
    }

    fn traveller_phones(&self) -> Vec<Option<String>> {
        let batches = self.travellers();
        let phones = batches.iter().flat_map(|batch| {
            let column = batch.column_by_name("phone").unwrap().as_string::<i32>();
            column.iter().map(|phone| phone.map(String::from)).collect::<Vec<_>>()
        });
        phones.collect()
    }
}

/// E.164 of a phone as written, if it can be read: ten digits, or eleven from 1, and no letter.
pub(super) fn canonical(text: &str) -> Option<String> {
    if text.chars().any(|c| c.is_ascii_alphabetic()) {
        return None;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    match digits.len() {
        10 => Some(format!("+1{digits}")),
        11 if digits.starts_with('1') => Some(format!("+{digits}")),
        _ => None,
    }
}

fn counts(phones: &[String]) -> HashMap<String, u32> {
    let mut counts = HashMap::new();
    for phone in phones.iter().filter_map(|phone| canonical(phone)) {
        *counts.entry(phone).or_default() += 1;
    }
    counts
}

pub(super) fn small(seed: u64) -> SampleOptions {
    let options = SampleOptions::default();
    SampleOptions { seed, travellers: 1_300, phones: 700, trucks: 300, planted: 5, deviators: 20, ..options }
}

#[test]
fn same_options_make_the_same_bytes_and_another_seed_other_ones() {
    let (one, same, other) = (sample(&small(9)), sample(&small(9)), sample(&small(10)));
    assert_eq!(one.summary, same.summary);
    for file in CSV_FILES.iter().chain(&[TRAVELLERS, TRUTH_PLANTED, TRUTH_DEVIATIONS, TRUTH_SUMMARY]) {
        assert_eq!(one.bytes(file), same.bytes(file), "{file}");
        assert_ne!(one.bytes(file), other.bytes(file), "{file}");
    }
}

/// What every machine must write. If this fails after a wanted change, every sample changes with it.
#[test]
fn bytes_are_pinned() {
    for (deviators, pinned) in PINNED {
        let sample = sample(&SampleOptions { deviators, ..small(9) });
        let mut hash = Sha256::new();
        for file in CSV_FILES {
            hash.update(sample.bytes(file));
        }
        let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, pinned, "{deviators} deviators");
    }
}
const PINNED: [(u32, &str); 2] = [
    (0, "fbd62ed3b45a0ccb6bc32beb059d099046229a6f5ee49b3bfdf94c63a5445ec6"),
    (20, "0f026de00d8fb1caa1f7a710f7f3b1ec68f3203a161837f8ff54072ee4a455e1"),
];

#[test]
fn planted_subjects_rank_first_in_their_order_at_every_seed() {
    for seed in [1, 2, 3, 42, u64::MAX] {
        let options = SampleOptions { seed, ..SampleOptions::default() };
        let sample = sample(&options);
        let planted = planted_subjects(&options).unwrap();
        assert_eq!(planted.len(), 12);
        let data = [
            counts(&sample.column(CROSSINGS, "traveler_phone")),
            counts(&sample.column(CALLS, "caller")),
            counts(&sample.column(SHIPMENTS, "driver_phone")),
        ];
        for subject in &planted {
            let found = data.each_ref().map(|counts| counts[&subject.phone]);
            let wanted = subject.counts;
            assert_eq!(found, [wanted.crossings, wanted.calls, wanted.shipments]);
        }
        let everybody: BTreeSet<&String> = data.iter().flat_map(HashMap::keys).collect();
        let mut ranked: Vec<(f64, &String)> =
            everybody.into_iter().map(|phone| (quality(&data, phone), phone)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (subject, place) in planted.iter().zip(&ranked) {
            assert_eq!(&subject.phone, place.1, "seed {seed}, rank {}", subject.rank);
        }
        for pair in ranked[..planted.len()].windows(2) {
            assert!(pair[0].0 - pair[1].0 > 0.002, "seed {seed}: {pair:?}");
        }
        let (last, next) = (ranked[planted.len() - 1].0, ranked[planted.len()].0);
        assert!(last - next > 0.1, "seed {seed}: {last} {next}");
        // Some ordinary people are in several data sets, or finding the planted ones would be no feat.
        let overlapping = data[0].keys().filter(|phone| data[1].contains_key(*phone));
        assert!(overlapping.count() > 100);
        let everywhere = data[0].keys().filter(|p| data[1..].iter().all(|d| d.contains_key(*p)));
        assert!(everywhere.count() > planted.len());
    }
}

fn quality(data: &[HashMap<String, u32>; 3], phone: &String) -> f64 {
    let evidence = data.iter().map(|counts| {
        let n = f64::from(counts.get(phone).copied().unwrap_or(0));
        n / (n + 10.0)
    });
    evidence.map(|e| e * e).sum::<f64>().sqrt()
}

#[test]
fn planted_subjects_have_a_case_a_traveller_and_many_forms_and_are_in_the_truth() {
    let options = SampleOptions::default();
    let sample = sample(&options);
    let (cases, _) = sample.rows(CASE_OUTCOMES);
    let crossings = sample.column(CROSSINGS, "traveler_phone");
    let travellers: Vec<_> = sample.traveller_phones();
    let mut lines = String::from("rank,phone,plate,crossings,calls,shipments,status\n");
    for subject in planted_subjects(&options).unwrap() {
        let is = |phone: &str| canonical(phone).as_ref() == Some(&subject.phone);
        let own: Vec<_> = cases.iter().filter(|case| is(&case["phone"])).collect();
        assert_eq!(own.len(), 1);
        assert_eq!(own[0]["status"], subject.status);
        assert!(["Arrested", "Unpursued"].contains(&subject.status));
        let known = travellers.iter().flatten().filter(|phone| is(phone)).count();
        assert_eq!(known, 1);
        let forms: BTreeSet<_> = crossings.iter().filter(|phone| is(phone)).collect();
        assert!(forms.len() >= 3, "{forms:?}");
        lines += &format!(
            "{},{},{},{},{},{},{}\n",
            subject.rank,
            subject.phone,
            subject.plate,
            subject.counts.crossings,
            subject.counts.calls,
            subject.counts.shipments,
            subject.status
        );
    }
    assert_eq!(sample.bytes(TRUTH_PLANTED), lines.as_bytes());
}

#[test]
fn summary_counts_what_is_in_the_files_and_rates_are_as_documented() {
    let sample = sample(&SampleOptions::default());
    let phones: [(&str, &[&str]); 4] = [
        (CROSSINGS, &["traveler_phone"]),
        (CALLS, &["caller", "callee"]),
        (CASE_OUTCOMES, &["phone"]),
        (SHIPMENTS, &["driver_phone"]),
    ];
    for (file, columns) in phones {
        let summary = sample.summary.file(file).unwrap();
        let text = String::from_utf8(sample.bytes(file)).unwrap();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        let repeated = lines.windows(2).filter(|pair| pair[0] == pair[1]).count();
        assert_eq!(summary.rows, lines.len() as u64, "{file}");
        assert_eq!(summary.duplicates, repeated as u64, "{file}");
        assert_eq!(summary.bytes, text.len() as u64, "{file}");
        let unusable = |column: &str| {
            let column = sample.column(file, column);
            column.iter().filter(|phone| canonical(phone).is_none()).count() as u64
        };
        let found: BTreeMap<String, u64> = columns.iter().map(|c| (c.to_string(), unusable(c))).collect();
        assert_eq!(summary.unusable_phones, found, "{file}");
        if file != CASE_OUTCOMES {
            assert_share(repeated, lines.len(), ERROR_RATES.duplicate_row);
            found.values().for_each(|n| assert_share(*n as usize, lines.len(), ERROR_RATES.unusable_phone));
        }
    }
    let stored: SampleSummary = serde_json::from_slice(&sample.bytes(TRUTH_SUMMARY)).unwrap();
    assert_eq!(stored, sample.summary);
    let total: u64 = sample.summary.files.iter().map(|file| file.rows).sum();
    assert_eq!(sample.summary.rows(), total);
    assert_eq!(sample.summary.files.len(), 5);
}

/// Within half of the documented rate either way.
fn assert_share(found: usize, of: usize, per_mille: u32) {
    let share = 1_000.0 * found as f64 / of as f64;
    let wanted = f64::from(per_mille);
    assert!((wanted * 0.5..wanted * 1.5).contains(&share), "{share} for {wanted}");
}

#[test]
fn travellers_can_be_read_and_are_as_the_summary_says() {
    let options = SampleOptions::default();
    let sample = sample(&options);
    let batches = sample.travellers();
    let summary = sample.summary.file(TRAVELLERS).unwrap();
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(summary.rows, rows as u64);
    let people = options.travellers + u64::from(options.planted);
    assert_eq!(summary.rows - summary.duplicates, people);
    assert_eq!(summary.bytes, sample.bytes(TRAVELLERS).len() as u64);

    let phones = sample.traveller_phones();
    let readable = phones.iter().flatten().filter(|phone| canonical(phone).is_some());
    let unusable = rows - readable.count();
    assert_eq!(summary.unusable_phones["phone"], unusable as u64);
    assert_share(unusable, rows, ERROR_RATES.unusable_phone);

    let (mut without_plate, mut trusted, mut ids) = (0, 0, BTreeSet::new());
    let start = options.start.signed_duration_since(NaiveDate::default()).num_days() as i32;
    for batch in &batches {
        let of = |name| batch.column_by_name(name).unwrap();
        without_plate += of("plate").null_count();
        assert_eq!(of("plate").null_count(), of("plate_state").null_count());
        trusted += of("trusted_traveler").as_boolean().true_count();
        let ids_here = of("traveller_id").as_string::<i32>();
        ids.extend(ids_here.iter().map(|id| id.unwrap().to_owned()));
        let first_seen = of("first_seen").as_primitive::<Date32Type>();
        assert!(first_seen.values().iter().all(|day| *day <= start && *day > start - 3_660));
    }
    assert_eq!(ids.len() as u64, people);
    assert_share(without_plate, rows, ERROR_RATES.missing_plate);
    assert_share(trusted, rows, 120);
}

#[test]
fn crossings_are_inbound_in_order_of_time_and_keep_to_their_lanes() {
    let options = SampleOptions::default();
    let sample = sample(&options);
    let (rows, malformed) = sample.rows(CROSSINGS);
    assert_eq!(malformed, 0);
    let mut times: Vec<_> = rows.iter().map(|row| &row["crossed_at"]).collect();
    assert!(times.is_sorted());
    times.dedup();
    assert!(times.len() > rows.len() / 2, "spread over the period");
    let (first, last) = (times[0], times[times.len() - 1]);
    assert!(first.starts_with("2026-01-01T") && last.starts_with("2026-06-29T"));
    let mut lanes: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        assert_eq!(row["direction"], "inbound");
        assert!(row["port_code"].len() == 4 && row["crossed_at"].ends_with(":00Z"));
        assert_eq!(row["plate"].is_empty(), row["plate_state"].is_empty());
        assert!(row["lane"] != "pedestrian" || row["plate"].is_empty());
        assert!(row["passport"].is_empty() || row["passport"].len() == 9);
        *lanes.entry(row["lane"].as_str()).or_default() += 1;
    }
    assert_eq!(lanes.keys().copied().collect::<Vec<_>>(), ["cargo", "pedestrian", "pov"]);
    let vehicles = rows.iter().filter(|row| row["lane"] != "pedestrian");
    let (all, without) =
        vehicles.fold((0, 0), |(all, without), row| (all + 1, without + usize::from(row["plate"].is_empty())));
    assert_share(without, all, ERROR_RATES.missing_plate);
}

#[test]
fn vehicles_go_around_the_portals_and_people_on_foot_do_not() {
    let options = SampleOptions::default();
    let sample = sample(&options);
    let (rows, _) = sample.rows(CROSSINGS);
    let portals = options.portals_on().unwrap().to_string();
    assert_eq!(portals, "2026-05-04");
    let share = |port: &str, on_foot: bool, after: bool| {
        let is_in = |row: &&HashMap<String, String>| {
            (row["lane"] == "pedestrian") == on_foot && (row["crossed_at"][..10] >= *portals) == after
        };
        let all = rows.iter().filter(is_in).count();
        rows.iter().filter(is_in).filter(|row| row["port_code"] == port).count() as f64 / all as f64
    };
    let change = |port: &str, on_foot: bool| share(port, on_foot, true) / share(port, on_foot, false) - 1.0;
    assert!((-0.65..-0.55).contains(&change("2304", false)), "{}", change("2304", false));
    assert!(change("2305", false) > 0.4 && change("2303", false) > 0.3);
    assert!(change("2402", false).abs() < 0.1 && change("2304", true).abs() < 0.2);
}

#[test]
fn shipments_are_silent_for_a_week_and_some_come_late() {
    let options = SampleOptions::default();
    let sample = sample(&options);
    let (rows, _) = sample.rows(SHIPMENTS);
    let (from, until) = options.silent_week().unwrap();
    assert_eq!((until - from).num_days(), 7);
    assert_eq!(sample.summary.gaps, [Gap { file: SHIPMENTS.into(), from, until }]);
    let day = |row: &HashMap<String, String>| row["booked_at"][..10].parse::<NaiveDate>().unwrap();
    assert!(rows.iter().all(|row| !(from..until).contains(&day(row))));
    for near in [from.pred_opt().unwrap(), until] {
        assert!(rows.iter().any(|row| day(row) == near), "only that week is silent");
    }
    let (mut newest, mut behind) = (String::new(), 0);
    for row in &rows {
        behind += usize::from(row["booked_at"] < newest);
        newest = newest.max(row["booked_at"].clone());
    }
    let summary = sample.summary.file(SHIPMENTS).unwrap();
    assert_eq!(behind as u64, summary.late);
    assert_share(behind, rows.len(), ERROR_RATES.late_row);
    assert!(sample.summary.files.iter().all(|file| file.late == 0 || file.file == SHIPMENTS));
    for row in &rows {
        assert!([0, 11].contains(&row["container"].len()));
        assert!(row["usdot"].len() == 7 && ["true", "false"].contains(&row["in_bond"].as_str()));
        assert_ne!(row["origin"][..2], row["destination"][..2]);
    }
}

#[test]
fn calls_have_many_quiet_and_few_busy_callers_with_circles_of_their_own() {
    let sample = sample(&SampleOptions::default());
    let callers = counts(&sample.column(CALLS, "caller"));
    let mut times: Vec<u32> = callers.values().copied().collect();
    times.sort_unstable();
    let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
    assert!((2..=8).contains(&median) && most > 150, "{median} {most}");

    let mut pairs: HashMap<(String, String), u32> = HashMap::new();
    let (rows, _) = sample.rows(CALLS);
    for row in &rows {
        if let (Some(caller), Some(callee)) = (canonical(&row["caller"]), canonical(&row["callee"])) {
            assert_ne!(caller, callee);
            *pairs.entry((caller, callee)).or_default() += 1;
        }
    }
    assert!(pairs.len() * 2 < rows.len(), "people call the same numbers again");
}

#[test]
fn malformed_lines_are_as_many_as_asked_for_and_change_no_other_line() {
    let plain = sample(&small(4));
    let broken = sample(&SampleOptions { malformed_lines: 7, ..small(4) });
    for file in CSV_FILES {
        let ((good, none), (rest, seven)) = (plain.rows(file), broken.rows(file));
        assert_eq!((none, seven), (0, 7), "{file}");
        assert_eq!(good, rest, "{file}");
        assert_eq!(broken.summary.file(file).unwrap().malformed, 7);
    }
    let many = sample(&SampleOptions { malformed_lines: 500, ..small(4) });
    assert_eq!(many.rows(CASE_OUTCOMES).1, 500, "more than there are rows");
}

#[test]
fn the_smallest_sample_and_the_most_planted_work() {
    for planted in [0, 1, MAX_PLANTED] {
        let options =
            SampleOptions { travellers: 1, phones: 1, trucks: 1, planted, days: 1, ..SampleOptions::default() };
        let sample = sample(&options);
        assert!(sample.summary.gaps.is_empty());
        let crossers = counts(&sample.column(CROSSINGS, "traveler_phone"));
        let found = planted_subjects(&options).unwrap();
        assert_eq!(found.len(), planted as usize);
        assert!(found.iter().all(|subject| crossers[&subject.phone] == subject.counts.crossings));
    }
}

#[test]
fn options_out_of_range_are_refused_before_anything_is_written() {
    let base = SampleOptions::default;
    let refused = [
        (SampleOptions { travellers: 0, ..base() }, "travellers = 0"),
        (SampleOptions { travellers: MAX_PEOPLE + 1, ..base() }, "travellers = 10000001"),
        (SampleOptions { phones: 0, ..base() }, "phones = 0"),
        (SampleOptions { trucks: 0, ..base() }, "trucks = 0"),
        (SampleOptions { planted: 51, ..base() }, "planted = 51"),
        (SampleOptions { deviators: MIN_DEVIATORS - 1, ..base() }, "deviators = 19"),
        (SampleOptions { deviators: MAX_DEVIATORS + 1, ..base() }, "deviators = 1001"),
        (SampleOptions { days: 0, ..base() }, "days = 0"),
        (SampleOptions { malformed_lines: 10_001, ..base() }, "malformed lines = 10001"),
        (SampleOptions { start: NaiveDate::MAX, ..base() }, "the period"),
        (SampleOptions { start: first_of_january(1999), ..base() }, "the period"),
        (SampleOptions { days: 3_660, start: first_of_january(2095), ..base() }, "the period"),
    ];
    let directory = tempfile::tempdir().unwrap();
    for (options, said) in refused {
        let error = generate(&options, directory.path(), &mut |_| {}).unwrap_err();
        assert!(error.to_string().starts_with(said), "{error}");
        assert!(planted_subjects(&options).is_err());
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    let error = generate(&small(1), &file, &mut |_| {}).unwrap_err();
    assert!(matches!(error, SampleError::Write { .. }), "{error}");
    assert!(error.to_string().contains("choose a directory"), "{error}");
}

#[test]
fn a_run_that_fails_leaves_no_half_file_and_does_not_look_complete() {
    let Sample { directory, .. } = sample(&small(1));
    let at = |file: &str| directory.path().join(file);
    // A directory in the file's place: it can be written beside, but not renamed over.
    fs::remove_file(at(CALLS)).unwrap();
    fs::create_dir(at(CALLS)).unwrap();
    fs::write(at(CALLS).join("in the way"), "").unwrap();
    let crossings = fs::read(at(CROSSINGS)).unwrap();
    let error = generate(&small(2), directory.path(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("calls.csv"), "{error}");
    assert!(!at(TRUTH_SUMMARY).exists());
    assert_ne!(fs::read(at(CROSSINGS)).unwrap(), crossings, "whole and new");
    assert_eq!(fs::read(at(CROSSINGS)).unwrap(), sample(&small(2)).bytes(CROSSINGS));
    let names = fs::read_dir(at("hsi")).unwrap().map(|entry| entry.unwrap().file_name());
    let left = names.filter(|name| name.to_string_lossy().ends_with(".partial"));
    assert_eq!(left.count(), 0);
}

#[test]
fn progress_goes_up_to_the_total_of_every_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut reports: Vec<Progress> = Vec::new();
    let options = SampleOptions { travellers: 60_000, ..small(1) };
    generate(&options, directory.path(), &mut |report| reports.push(report)).unwrap();
    let of = |file: &str| -> Vec<&Progress> { reports.iter().filter(|r| r.file == file).collect() };
    for file in CSV_FILES.iter().chain(&[TRAVELLERS]) {
        let last = *of(file).last().unwrap();
        assert_eq!(last.rows, last.total, "{file}");
        assert!(of(file).is_sorted_by_key(|report| report.rows));
    }
    assert!(of(CROSSINGS).len() >= 3, "one about every 100,000 rows");
}
