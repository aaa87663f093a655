use std::sync::Arc;

use arrow::{
    array::{Int64Array, StringArray},
    datatypes::{Field, Schema},
};
use datafusion::prelude::SessionContext;
use sallyport_shift::{Period, period::midnight_ms};
use sallyport_trust::{
    error::Refusal,
    question::{Operator, Value},
};

use super::*;

const DATASET: &str = r#"
name = "cbp.monthly"
files = ["monthly.csv"]
sensitivity = "official"
time = { column = "at" }
attribute = [
    { name = "port", column = "port", type = "text" },
    { name = "value", column = "value", type = "integer" },
]
"#;
const COUNTS: &str = "[counts]\nby = [\"port\"]\nof = \"value\"\nonce = [\"port\", \"time\"]\n";

/// Place, day and number.
type Rows<'a> = &'a [(Option<&'a str>, i32, Option<i64>)];

fn frame(rows: Rows<'_>) -> DataFrame {
    let fields = [
        Field::new("port", DataType::Utf8, true),
        Field::new(TIME, DataType::Int64, true),
        Field::new("value", DataType::Int64, true),
    ];
    let batch = RecordBatch::try_new(
        Arc::new(Schema::new(fields.to_vec())),
        vec![
            Arc::new(rows.iter().map(|row| row.0).collect::<StringArray>()),
            Arc::new(rows.iter().map(|row| Some(midnight_ms(row.1))).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()),
        ],
    );
    SessionContext::new().read_batch(batch.unwrap()).unwrap()
}

async fn counted(rows: Rows<'_>, counts: &str, place: &str) -> Result<Counted, Refusal> {
    let dataset: Dataset = toml::from_str(&format!("{DATASET}{counts}")).unwrap();
    let tally = Tally { place: place.to_owned(), period: Period::Week };
    let window = Window { from_ms: Some(midnight_ms(4)), until_ms: Some(midnight_ms(18)) };
    let wanted = Counting { tally: &tally, window, filter: &[] };
    let declared = declared(&dataset, &wanted)?;
    Ok(collect(plan(frame(rows), &dataset, declared, &wanted)?, &wanted).await?)
}

fn cells(counted: &Counted) -> Vec<(&str, i32, u64)> {
    counted.cells.iter().map(|(cell, count)| (cell.place.as_str(), cell.begin, *count)).collect()
}

/// 1970-01-05, day 4, was a Monday.
const ROWS: Rows<'static> = &[
    (Some("3310"), 11, Some(40)),
    (Some("3310"), 4, Some(100)),
    (Some("3310"), 5, Some(1)),
    (Some("0104"), 4, Some(7)),
    // Said again, and contradicted.
    (Some("0104"), 4, Some(7)),
    (Some("3401"), 4, Some(0)),
    (Some("3401"), 4, Some(2_175)),
    // Before and after the window.
    (Some("3310"), 3, Some(1_000)),
    (Some("3310"), 18, Some(1_000)),
    // Of no use.
    (None, 4, Some(5)),
    (Some(" "), 4, Some(5)),
    (Some("a name that has more bytes than fit"), 4, Some(5)),
    (Some("0901"), 4, Some(-1)),
    (Some("0901"), 5, None),
    // Counted, and nobody came.
    (Some("0902"), 4, Some(0)),
];

#[tokio::test]
async fn rows_are_counted_once_by_place_and_period() {
    let counted = counted(ROWS, COUNTS, "port").await.unwrap();
    assert_eq!(cells(&counted), [("0104", 4, 7), ("3310", 4, 101), ("3310", 11, 40)]);
    assert_eq!((counted.repeated, counted.contradicting, counted.unusable), (1, 2, 5));
    assert_eq!((counted.rows, counted.newest_ms), (5, Some(midnight_ms(11))));
}

#[tokio::test]
async fn without_a_key_every_row_counts_and_without_a_number_it_is_one() {
    let every = counted(ROWS, "[counts]\nby = [\"port\"]\nof = \"value\"\n", "port").await.unwrap();
    assert_eq!(cells(&every), [("0104", 4, 14), ("3310", 4, 101), ("3310", 11, 40), ("3401", 4, 2_175)]);
    assert_eq!((every.repeated, every.contradicting), (0, 0));
    let rows = counted(ROWS, "[counts]\nby = [\"port\"]\n", "port").await.unwrap();
    assert_eq!(cells(&rows)[0], ("0104", 4, 2));
    assert_eq!(rows.unusable, 3);
}

#[tokio::test]
async fn only_what_the_owner_declares_is_counted_by() {
    let refused = async |counts: &str, place: &str| {
        let refusal = counted(ROWS, counts, place).await.unwrap_err();
        assert!(refusal.message.contains("[dataset.counts]"), "{}", refusal.message);
        refusal.reason
    };
    assert_eq!(refused("", "port").await, "counts_undeclared");
    assert_eq!(refused(COUNTS, "value").await, "counts_undeclared");
    assert_eq!(refused(COUNTS, "nothing").await, "counts_undeclared");
}

/// Who could ask for rows of five and more would be told of fewer than are told.
#[test]
fn what_a_row_counts_is_no_filter() {
    let dataset: Dataset = toml::from_str(&format!("{DATASET}{COUNTS}")).unwrap();
    let tally = Tally { place: "port".to_owned(), period: Period::Week };
    let refused = |attribute: &str, values: Vec<Value>| {
        let filter = [Comparison { attribute: attribute.to_owned(), operator: Operator::AtLeast, values }];
        let wanted = Counting { tally: &tally, window: Window::default(), filter: &filter };
        declared(&dataset, &wanted).map(drop).map_err(|error| Refusal::from(error).reason)
    };
    assert_eq!(refused("value", vec![Value::Integer(5)]), Err("counts_filter".to_owned()));
    assert_eq!(refused("port", vec![Value::Text("3310".to_owned())]), Ok(()));
}

#[tokio::test]
async fn too_many_places_are_refused() {
    let names: Vec<String> = (0..=PLACES_MAX).map(|n| n.to_string()).collect();
    let rows: Vec<(Option<&str>, i32, Option<i64>)> = names.iter().map(|n| (Some(n.as_str()), 4, Some(1))).collect();
    assert_eq!(counted(&rows, COUNTS, "port").await.unwrap_err().reason, "too_many_cells");
}

#[test]
fn what_is_declared_wrongly_is_told_at_the_start() {
    let problem = |counts: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut dataset: Dataset = toml::from_str(&format!("{DATASET}{counts}")).unwrap();
        dataset.files = vec![file.path().to_owned()];
        crate::dataset::validate("cbp", &[dataset]).err().map(|error| error.problem).unwrap_or_default()
    };
    assert_eq!(problem(COUNTS), "");
    assert!(problem("").contains("or [dataset.counts]"));
    for (changed, to, told) in [
        ("[\"port\"]\nof", "[]\nof", "what may be counted by"),
        ("[\"port\"]\nof", "[\"ports\"]\nof", "`ports`"),
        ("of = \"value\"", "of = \"port\"", "`port`"),
        ("\"time\"]", "\"day\"]", "`day`"),
        (", \"time\"]", "]", "`once`"),
    ] {
        let problem = problem(&COUNTS.replacen(changed, to, 1));
        assert!(problem.contains(told), "{told}: {problem}");
    }
}
