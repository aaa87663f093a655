//! CSV: a header line that names the columns, then a line for each position. A line may end early, but has no more
//! cells than the header: what stands in which column would not be certain.

use std::io::BufRead;

use super::{
    ReadError, Reading, Record,
    fields::{Draft, Field},
};
use crate::lines::{LINE_BYTES_MAX, Line, Lines};

/// Cells of a line, at most: one, and one more for each delimiter.
const CELLS_MAX: usize = LINE_BYTES_MAX + 1;

/// Characters of a column's name that are told.
const COLUMN_SHOWN_MAX: usize = 64;

/// A table as it is read.
pub(super) struct Table<R> {
    lines: Lines<R>,
    columns: Option<Columns>,
}

/// What the header says, and the room in which lines are taken apart.
struct Columns {
    fields: Vec<Option<(Field, usize)>>,
    splitter: csv_core::Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    /// How many of the ends are of the line taken apart last.
    cells: usize,
}

impl<R: BufRead> Table<R> {
    pub(super) fn new(input: R) -> Self {
        Self { lines: Lines::new(input), columns: None }
    }

    pub(super) fn next(&mut self, device: Option<&str>) -> Result<Option<Record>, ReadError> {
        loop {
            let Some((number, line)) = self.lines.next()? else { return Ok(None) };
            let reading = match (line, &mut self.columns) {
                (Line::Whole(line), _) if line.trim_ascii().is_empty() => continue,
                (Line::Whole(line), None) => {
                    self.columns = Some(Columns::of_header(line)?);
                    continue;
                }
                (Line::TooLong, None) => {
                    return Err(ReadError::Header { missing: "anything; it is too long to be a header" });
                }
                (Line::TooLong, Some(_)) => Reading::too_long(),
                (Line::Whole(line), Some(columns)) => columns.read(line, device),
            };
            return Ok(Some(Record { number, reading }));
        }
    }
}

impl Columns {
    fn of_header(line: &[u8]) -> Result<Self, ReadError> {
        let count = |delimiter| line.iter().filter(|&&byte| byte == delimiter).count();
        let delimiter = [b',', b';', b'\t'].into_iter().max_by_key(|&delimiter| (count(delimiter), delimiter == b','));
        let mut columns = Self {
            fields: Vec::new(),
            splitter: csv_core::ReaderBuilder::new().delimiter(delimiter.unwrap_or(b',')).build(),
            text: vec![0; LINE_BYTES_MAX],
            ends: vec![0; CELLS_MAX],
            cells: 0,
        };
        columns.split(line);
        let named: Vec<_> = columns.cells().map(|cell| cell.and_then(Field::named)).collect();
        let has = |wanted: &[Field]| named.iter().flatten().any(|(field, _)| wanted.contains(field));
        for (wanted, missing) in [
            (&[Field::Latitude][..], "the latitude, such as `latitude` or `lat`"),
            (&[Field::Longitude][..], "the longitude, such as `longitude` or `lon`"),
            (&[Field::Time, Field::Milliseconds][..], "the time, such as `timestamp` or `time`"),
        ] {
            if !has(wanted) {
                return Err(ReadError::Header { missing });
            }
        }
        for (index, field) in named.iter().enumerate().filter(|(_, field)| field.is_some()) {
            if named.iter().take(index).any(|before| before == field) {
                let name = columns.cells().nth(index).flatten().unwrap_or_default();
                return Err(ReadError::Repeated { column: name.trim().chars().take(COLUMN_SHOWN_MAX).collect() });
            }
        }
        columns.fields = named;
        Ok(columns)
    }

    fn read(&mut self, line: &[u8], device: Option<&str>) -> Reading {
        self.split(line);
        // A decimal comma would move every value behind it into the next column.
        if self.cells > self.fields.len() {
            let (cells, columns) = (self.cells, self.fields.len());
            return Reading::unreadable(format!("{cells} cells, but the header has {columns}"));
        }
        let mut draft = Draft::default();
        for (cell, field) in self.cells().zip(&self.fields) {
            match (cell, field) {
                (_, None) => {}
                (Some(cell), Some(field)) => draft.set(*field, cell),
                (None, Some(_)) => return Reading::unreadable("the line is not UTF-8"),
            }
        }
        Reading::of(draft.finish(device))
    }

    /// Takes a line apart; the text never becomes longer by it.
    fn split(&mut self, line: &[u8]) {
        self.splitter.reset();
        let (_, read, written, ends) = self.splitter.read_record(line, &mut self.text, &mut self.ends);
        self.cells = ends;
        if read == line.len()
            && let (Some(text), Some(more)) = (self.text.get_mut(written..), self.ends.get_mut(ends..))
        {
            // The end of the input ends the record.
            self.cells += self.splitter.read_record(&[], text, more).3;
        }
    }

    /// The cells of the line taken apart last; none where a cell is not UTF-8.
    fn cells(&self) -> impl Iterator<Item = Option<&str>> {
        let mut begin = 0;
        self.ends.iter().take(self.cells).map(move |&end| {
            let cell = self.text.get(begin..end).unwrap_or_default();
            begin = end;
            std::str::from_utf8(cell).ok()
        })
    }
}
