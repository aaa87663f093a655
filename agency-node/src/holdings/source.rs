//! Source files as columns of text, batch by batch.
//!
//! Every value is read as text, so that no guess of a type loses a leading zero. Lines of a CSV file
//! that do not fit its header or are not UTF-8 are counted and passed over.

use std::{fs::File, io, path::Path};

use arrow::{
    array::{AsArray, BooleanArray, StringArray, StringBuilder},
    compute::{cast, filter},
    datatypes::DataType,
};
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};

use super::HoldingsError;

/// Rows in one batch.
const BATCH_ROWS: usize = 8_192;

/// Calls `take` with the columns, in their order, for each batch; gives the count of unreadable lines. Of a
/// Parquet file that holds several things, `only` the rows with this value in this column are taken.
pub(crate) fn read(
    path: &Path,
    columns: &[String],
    only: Option<(&str, &str)>,
    mut take: impl FnMut(&[StringArray]) -> Result<(), HoldingsError>,
) -> Result<u64, HoldingsError> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "csv" => read_csv(path, columns, &mut take),
        "parquet" => read_parquet(path, columns, only, &mut take).map(|()| 0),
        _ => Err(unreadable(path, "its name must end in .csv or .parquet".to_owned())),
    }
}

fn read_csv(
    path: &Path,
    columns: &[String],
    take: &mut impl FnMut(&[StringArray]) -> Result<(), HoldingsError>,
) -> Result<u64, HoldingsError> {
    let file = File::open(path).map_err(|error| unreadable(path, error.to_string()))?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(io::BufReader::with_capacity(1 << 16, file));
    let header = reader.byte_headers().map_err(|error| unreadable(path, error.to_string()))?.clone();
    let header: Vec<String> = header
        .iter()
        .map(|name| String::from_utf8_lossy(name).trim_start_matches('\u{feff}').trim().to_owned())
        .collect();
    let places = columns
        .iter()
        .map(|column| header.iter().position(|name| name == column).ok_or_else(|| no_column(path, column, &header)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut builders: Vec<StringBuilder> = columns.iter().map(|_| StringBuilder::new()).collect();
    let (mut rows, mut bad) = (0, 0);
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|error| unreadable(path, error.to_string()))? {
        let fits = record.len() == header.len() && record.iter().all(|field| std::str::from_utf8(field).is_ok());
        if !fits {
            bad += 1;
            continue;
        }
        for (builder, &place) in builders.iter_mut().zip(&places) {
            match record.get(place).and_then(|field| std::str::from_utf8(field).ok()) {
                Some(value) if !value.trim().is_empty() => builder.append_value(value.trim()),
                _ => builder.append_null(),
            }
        }
        rows += 1;
        if rows == BATCH_ROWS {
            take(&finish(&mut builders))?;
            rows = 0;
        }
    }
    if rows > 0 {
        take(&finish(&mut builders))?;
    }
    Ok(bad)
}

fn finish(builders: &mut [StringBuilder]) -> Vec<StringArray> {
    builders.iter_mut().map(StringBuilder::finish).collect()
}

fn read_parquet(
    path: &Path,
    columns: &[String],
    only: Option<(&str, &str)>,
    take: &mut impl FnMut(&[StringArray]) -> Result<(), HoldingsError>,
) -> Result<(), HoldingsError> {
    let failed = |error: &dyn std::fmt::Display| unreadable(path, error.to_string());
    let file = File::open(path).map_err(|error| failed(&error))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| failed(&error))?;
    let names: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    let needed: Vec<&str> = columns.iter().map(String::as_str).chain(only.map(|(column, _)| column)).collect();
    if let Some(missing) = needed.iter().find(|column| !names.iter().any(|name| name == *column)) {
        return Err(no_column(path, missing, &names));
    }
    let roots = needed.iter().filter_map(|column| names.iter().position(|name| name == column));
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(|error| failed(&error))?;
    for batch in reader {
        let batch = batch.map_err(|error| failed(&error))?;
        let text = |column: &str| -> Result<StringArray, HoldingsError> {
            let values = batch.column_by_name(column).ok_or_else(|| no_column(path, column, &names))?;
            let text = cast(values, &DataType::Utf8).map_err(|error| failed(&error))?;
            text.as_string_opt::<i32>().cloned().ok_or_else(|| failed(&"a column cannot be read as text"))
        };
        let mut texts = columns.iter().map(|column| text(column)).collect::<Result<Vec<_>, _>>()?;
        if let Some((column, value)) = only {
            let wanted: BooleanArray = text(column)?.iter().map(|found| Some(found == Some(value))).collect();
            for text in &mut texts {
                *text = filter(text, &wanted).map_err(|error| failed(&error))?.as_string().clone();
            }
        }
        take(&texts)?;
    }
    Ok(())
}

fn no_column(path: &Path, column: &str, there: &[String]) -> HoldingsError {
    unreadable(path, format!("it has no column `{column}`; there are: {}", there.join(", ")))
}

fn unreadable(path: &Path, problem: String) -> HoldingsError {
    HoldingsError::Source { path: path.to_owned(), problem }
}
