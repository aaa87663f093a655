//! `cbp/travellers.parquet`: the travellers the border agency knows, one row each.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Date32Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use chrono::NaiveDate;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::csv::{PROGRESS_ROWS, push_number};
use super::partial::PartialFile;
use super::people::write_plate;
use super::plan::{Actor, Plan, repeats};
use super::random::Stream;
use super::summary::{ERROR_RATES, FileSummary};
use super::{Progress, SampleError, TRAVELLERS};

const BATCH_ROWS: u64 = 8_192;
const ROW_GROUP_ROWS: usize = 131_072;
const PHONE: &str = "phone";
/// Travellers became known up to ten years before the period.
const KNOWN_FOR_DAYS: u64 = 3_650;

/// Writes the file.
pub(super) fn write(plan: &Plan<'_>, progress: &mut dyn FnMut(Progress)) -> Result<FileSummary, SampleError> {
    let file = PartialFile::create(plan.directory, TRAVELLERS)?;
    let path = file.path().to_path_buf();
    write_parquet(plan, file, progress).map_err(|failure| failure.at(&path))
}

/// What can go wrong on the way: the library's errors do not know the path, ours do.
enum Failure {
    Library(ParquetError),
    Ours(SampleError),
}

impl Failure {
    fn at(self, path: &Path) -> SampleError {
        match self {
            Self::Library(source) => SampleError::Parquet { path: path.into(), source },
            Self::Ours(error) => error,
        }
    }
}

impl From<ParquetError> for Failure {
    fn from(error: ParquetError) -> Self {
        Self::Library(error)
    }
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        Self::Library(error.into())
    }
}

fn write_parquet(
    plan: &Plan<'_>,
    file: PartialFile,
    progress: &mut dyn FnMut(Progress),
) -> Result<FileSummary, Failure> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // The library would name its version here, and an update would change the bytes.
        .set_created_by("sallyport sample".into())
        .build();
    let mut writer = ArrowWriter::try_new(file, schema(), Some(properties))?;

    let mut stream = plan.stream("travellers");
    let planted_rows = planted_rows(plan, &mut stream);
    let mut planted = planted_rows.iter().peekable();
    let total = plan.options.travellers + planted_rows.len() as u64;
    let mut summary = FileSummary::new(TRAVELLERS);
    let mut batch = Batch::default();
    let mut ordinary = 0;
    for row in 0..total {
        let actor = match planted.next_if(|(at, _)| *at == row) {
            Some((_, index)) => Actor::Planted(*index),
            None => {
                ordinary += 1;
                Actor::Ordinary(ordinary - 1)
            }
        };
        batch.add(plan, row + 1, actor, &mut summary, &mut stream);
        if (row + 1).is_multiple_of(BATCH_ROWS) || row + 1 == total {
            writer.write(&batch.take()?)?;
        }
        if (row + 1).is_multiple_of(PROGRESS_ROWS) || row + 1 == total {
            progress(Progress { file: TRAVELLERS.into(), rows: row + 1, total });
        }
    }
    let file = writer.into_inner()?;
    summary.bytes = file.bytes();
    file.commit().map_err(Failure::Ours)?;
    Ok(summary)
}

fn schema() -> Arc<Schema> {
    let text = |name, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("traveller_id", false),
        text(PHONE, true),
        text("plate", true),
        text("plate_state", true),
        text("passport", true),
        Field::new("trusted_traveler", DataType::Boolean, false),
        Field::new("first_seen", DataType::Date32, false),
    ]))
}

/// The rows of planted subjects, in order of rows, among all others: where they stand says nothing.
fn planted_rows(plan: &Plan<'_>, stream: &mut Stream) -> Vec<(u64, u64)> {
    let planted = plan.planted.len() as u64;
    let mut places: Vec<(u64, u64)> =
        (0..planted).map(|index| (stream.below(plan.options.travellers + 1), index)).collect();
    places.sort_unstable();
    let shifted = (0..).zip(places);
    shifted.map(|(before, (at, index))| (at + before, index)).collect()
}

#[derive(Default)]
struct Batch {
    id: StringBuilder,
    phone: StringBuilder,
    plate: StringBuilder,
    state: StringBuilder,
    passport: StringBuilder,
    trusted: BooleanBuilder,
    first_seen: Date32Builder,
}

impl Batch {
    fn add(&mut self, plan: &Plan<'_>, number: u64, actor: Actor, summary: &mut FileSummary, stream: &mut Stream) {
        let people = &plan.people;
        let person = match actor {
            Actor::Ordinary(index) => people.traveller(index),
            Actor::Planted(index) => people.planted(index),
        };
        let mut id = vec![b'T'];
        push_number(&mut id, number, 10);
        let (mut phone, mut plate) = (Vec::new(), Vec::new());
        let unusable = actor.may_err() && stream.chance(ERROR_RATES.unusable_phone);
        if unusable {
            people.phone(person).write_unusable(&mut phone, stream);
        } else {
            people.phone(person).write(&mut phone, stream);
        }
        let state = if stream.chance(ERROR_RATES.missing_plate) {
            None
        } else {
            write_plate(people.plate(person), &mut plate, stream);
            Some(people.state(person))
        };
        let first_seen = first_seen(plan, stream);
        let copies = 1 + u64::from(repeats(actor.may_err(), stream));
        for _ in 0..copies {
            self.id.append_option(text(&id));
            self.phone.append_option(text(&phone));
            self.plate.append_option(text(&plate));
            self.state.append_option(state);
            let passport = people.passport(person);
            self.passport.append_option(passport.as_ref().and_then(|passport| text(passport)));
            self.trusted.append_value(people.trusted(person));
            self.first_seen.append_value(first_seen);
        }
        summary.rows += copies;
        summary.duplicates += copies - 1;
        *summary.unusable_phones.entry(PHONE.into()).or_default() += copies * u64::from(unusable);
    }

    fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.id.finish()),
            Arc::new(self.phone.finish()),
            Arc::new(self.plate.finish()),
            Arc::new(self.state.finish()),
            Arc::new(self.passport.finish()),
            Arc::new(self.trusted.finish()),
            Arc::new(self.first_seen.finish()),
        ];
        RecordBatch::try_new(schema(), columns)
    }
}

/// Nothing written means nothing known.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

/// Days since 1970-01-01.
fn first_seen(plan: &Plan<'_>, stream: &mut Stream) -> i32 {
    let start = plan.calendar.start().signed_duration_since(NaiveDate::default());
    (start.num_days() - stream.below(KNOWN_FOR_DAYS) as i64) as i32
}
