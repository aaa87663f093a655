//! One CSV file of the sample: lines, repeated rows, lines that cannot be read, and what is counted.
//!
//! No field of the sample holds a comma, a quote or a line break, so nothing is quoted. Memory is one
//! line and one buffer, however long the file.

use std::io::{BufWriter, Write};
use std::path::Path;

use super::partial::PartialFile;
use super::summary::FileSummary;
use super::{Progress, SampleError};

const BUFFER_BYTES: usize = 1 << 18;
/// Rows between two reports of progress.
pub(super) const PROGRESS_ROWS: u64 = 100_000;

/// The line being put together.
#[derive(Default)]
pub(super) struct Line {
    bytes: Vec<u8>,
    fields: u32,
    /// Columns of this line that hold a phone nobody can read.
    unusable: Vec<&'static str>,
    late: bool,
}

impl Line {
    /// Begins the next field; what is written to the result becomes the field.
    pub(super) fn next(&mut self) -> &mut Vec<u8> {
        if self.fields > 0 {
            self.bytes.push(b',');
        }
        self.fields += 1;
        &mut self.bytes
    }

    /// A whole field.
    pub(super) fn text(&mut self, text: &[u8]) {
        self.next().extend_from_slice(text);
    }

    /// A field that is a letter and a number of at least ten digits, such as `C0000000042`.
    pub(super) fn id(&mut self, letter: u8, number: u64) {
        let out = self.next();
        out.push(letter);
        push_number(out, number, 10);
    }

    /// Notes that the phone in `column` of this line cannot be read.
    pub(super) fn unusable(&mut self, column: &'static str) {
        self.unusable.push(column);
    }

    /// Notes that this line reports something long past.
    pub(super) fn late(&mut self) {
        self.late = true;
    }
}

/// Appends `number` in decimal with at least `width` digits.
pub(super) fn push_number(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    while number > 0 {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits[at.min(digits.len() - width.clamp(1, digits.len()))..]);
}

/// A CSV file being written.
pub(super) struct CsvFile<'a> {
    out: BufWriter<PartialFile>,
    line: Line,
    summary: FileSummary,
    /// Rows to come, without repeated ones.
    expected: u64,
    /// Rows done, without repeated ones.
    done: u64,
    malformed_wanted: u64,
    progress: &'a mut dyn FnMut(Progress),
}

impl<'a> CsvFile<'a> {
    /// Starts the file `name` under `directory` with its header. `expected` rows will follow; between
    /// them come `malformed` lines with a wrong number of fields.
    pub(super) fn create(
        directory: &Path,
        name: &'static str,
        header: &str,
        expected: u64,
        malformed: u32,
        progress: &'a mut dyn FnMut(Progress),
    ) -> Result<Self, SampleError> {
        let file = PartialFile::create(directory, name)?;
        let mut file = Self {
            out: BufWriter::with_capacity(BUFFER_BYTES, file),
            line: Line::default(),
            summary: FileSummary::new(name),
            expected,
            done: 0,
            malformed_wanted: u64::from(malformed),
            progress,
        };
        file.write(header.as_bytes())?;
        file.write(b"\n")?;
        Ok(file)
    }

    /// The line to fill.
    pub(super) fn line(&mut self) -> &mut Line {
        &mut self.line
    }

    /// Rows done so far, without repeated ones: the number of the next row's identifier is one more.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    /// Writes the line, twice if it is `repeated`.
    pub(super) fn end_row(&mut self, repeated: bool) -> Result<(), SampleError> {
        let mut line = std::mem::take(&mut self.line);
        line.bytes.push(b'\n');
        let copies = 1 + u64::from(repeated);
        for _ in 0..copies {
            self.write(&line.bytes)?;
        }
        self.summary.rows += copies;
        self.summary.duplicates += copies - 1;
        self.summary.late += copies * u64::from(line.late);
        for column in &line.unusable {
            *self.summary.unusable_phones.entry((*column).into()).or_default() += copies;
        }
        self.done += 1;
        // Lines that cannot be read stand at even distances, made from the row before them.
        let due = self.done * self.malformed_wanted / self.expected.max(1);
        while self.summary.malformed < due.min(self.malformed_wanted) {
            self.write_malformed(&line.bytes)?;
        }
        self.line = Line {
            bytes: {
                line.bytes.clear();
                line.bytes
            },
            ..Line::default()
        };
        if self.done.is_multiple_of(PROGRESS_ROWS) {
            self.report();
        }
        Ok(())
    }

    /// Completes the file and puts it in its place.
    pub(super) fn finish(mut self) -> Result<FileSummary, SampleError> {
        self.report();
        let flushed = self.out.flush();
        flushed.map_err(|source| self.out.get_ref().error(source))?;
        let (file, _) = self.out.into_parts();
        self.summary.bytes = file.bytes();
        file.commit()?;
        Ok(self.summary)
    }

    /// By turns a line cut short and a line with two fields too many.
    fn write_malformed(&mut self, row: &[u8]) -> Result<(), SampleError> {
        let row = row.strip_suffix(b"\n").unwrap_or(row);
        let written = if self.summary.malformed.is_multiple_of(2) {
            let cut = row.iter().rposition(|byte| *byte == b',').unwrap_or(0);
            self.write(&row[..cut])
        } else {
            self.write(row).and_then(|()| self.write(b",?,?"))
        };
        written?;
        self.summary.malformed += 1;
        self.write(b"\n")
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SampleError> {
        let written = self.out.write_all(bytes);
        written.map_err(|source| self.out.get_ref().error(source))
    }

    fn report(&mut self) {
        (self.progress)(Progress { file: self.summary.file.clone(), rows: self.done, total: self.expected });
    }
}
