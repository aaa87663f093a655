//! `sallyport audit export`: recorded actions as JSON lines or CSV.
//!
//! Much of what a log records was written by other agencies, so nothing of it may do anything where it
//! is opened: JSON escapes what steers a terminal, CSV leaves it out, and a CSV field that a spreadsheet
//! would take for a formula begins with an apostrophe.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use sallyport_trust::audit::{action::RecordedAction, query::outcome_word};

use super::{Place, filter::Filter, moment, ocsf};
use crate::{failure::Failure, terminal};

/// Arguments of `sallyport audit export`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    filter: Filter,
    /// `jsonl`: one OCSF event (API Activity) a line; `csv`: one action a line.
    #[arg(long, default_value = "jsonl")]
    format: Format,
    /// Write here instead of to standard output; the file appears when the export is whole.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

/// Exports everything that fits.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let query = arguments.filter.query()?;
    let mut log = arguments.place.log()?;
    let target = Target::open(arguments.output.as_deref())?;
    let mut lines = Lines::new(arguments.format, log.origin(), target.writer()?)?;
    let exported = log.export(&query, |action| lines.write(action)).await?;
    lines.finish()?;
    target.finish()?;
    eprintln!(
        "{} actions, under the checkpoint of {} over {} entries.",
        exported.answer,
        terminal::line(&exported.checkpoint.origin),
        exported.checkpoint.size
    );
    Ok(())
}

/// Where an export goes: a file that is put in its place when it is whole, or the standard output.
struct Target<'a>(Option<(&'a Path, PathBuf)>);

impl<'a> Target<'a> {
    fn open(file: Option<&'a Path>) -> Result<Self, Failure> {
        let aside = |file: &'a Path| {
            let mut name = file.file_name()?.to_owned();
            name.push(".part");
            Some((file, file.with_file_name(name)))
        };
        match file {
            None => Ok(Self(None)),
            Some(file) => aside(file)
                .map(|target| Self(Some(target)))
                .ok_or_else(|| Failure::input("output_file", format!("{} is no file name", file.display()))),
        }
    }

    fn writer(&self) -> Result<Box<dyn Write>, Failure> {
        Ok(match &self.0 {
            None => Box::new(BufWriter::new(std::io::stdout())),
            Some((_, aside)) => Box::new(BufWriter::new(File::create(aside).map_err(|error| unwritable(&error))?)),
        })
    }

    fn finish(self) -> Result<(), Failure> {
        self.0.map_or(Ok(()), |(file, aside)| fs::rename(aside, file)).map_err(|error| unwritable(&error))
    }
}

fn unwritable(error: &dyn std::fmt::Display) -> Failure {
    Failure::machine("the export cannot be written", error)
}

/// The lines of an export on their way out.
enum Lines {
    Jsonl { origin: String, out: Box<dyn Write> },
    Csv(Box<csv::Writer<Box<dyn Write>>>),
}

/// Titles of the columns of CSV.
const COLUMNS: [&str; 21] = [
    "entry",
    "completion_entry",
    "id",
    "opened",
    "completed",
    "actor",
    "agency",
    "via",
    "action",
    "resource",
    "question",
    "purpose",
    "case_number",
    "reason",
    "outcome",
    "detail",
    "decision",
    "rule",
    "policy",
    "obligations",
    "counts",
];

impl Lines {
    fn new(format: Format, origin: &str, out: Box<dyn Write>) -> Result<Self, Failure> {
        match format {
            Format::Jsonl => Ok(Self::Jsonl { origin: origin.to_owned(), out }),
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                writer.write_record(COLUMNS).map_err(|error| unwritable(&error))?;
                Ok(Self::Csv(Box::new(writer)))
            }
        }
    }

    fn write(&mut self, action: &RecordedAction) -> Result<(), Failure> {
        match self {
            Self::Jsonl { origin, out } => {
                let line = terminal::json(&ocsf::event(action, origin));
                writeln!(out, "{line}").map_err(|error| unwritable(&error))
            }
            Self::Csv(writer) => writer.write_record(record(action)).map_err(|error| unwritable(&error)),
        }
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Jsonl { mut out, .. } => out.flush().map_err(|error| unwritable(&error)),
            Self::Csv(mut writer) => writer.flush().map_err(|error| unwritable(&error)),
        }
    }
}

/// The fields of one action, in the order of [`COLUMNS`].
fn record(action: &RecordedAction) -> [String; 21] {
    let (opening, completion) = (&action.opening, action.completion.as_ref());
    let ruling = completion.and_then(|completion| completion.said.ruling.as_ref());
    let text = |text: &Option<String>| text.as_deref().map(harmless).unwrap_or_default();
    let pairs = |pairs: Vec<String>| harmless(&pairs.join(" "));
    [
        opening.index.to_string(),
        completion.map(|completion| completion.index.to_string()).unwrap_or_default(),
        action.id.to_string(),
        moment(opening.at_ms),
        completion.map(|completion| moment(completion.at_ms)).unwrap_or_default(),
        harmless(&opening.said.actor),
        action.agency().unwrap_or_default(),
        text(&opening.said.via),
        harmless(&opening.said.action),
        harmless(&opening.said.resource),
        text(&opening.said.question),
        text(&opening.said.purpose),
        text(&opening.said.case_number),
        text(&opening.said.reason),
        outcome_word(action.outcome()).to_owned(),
        harmless(action.detail()),
        action.decision().map(|decision| decision.as_str().to_owned()).unwrap_or_default(),
        harmless(action.rule()),
        ruling.map(|ruling| harmless(&ruling.policy)).unwrap_or_default(),
        pairs(ruling.into_iter().flat_map(|it| &it.obligations).map(|(k, v)| format!("{k}={v}")).collect()),
        pairs(completion.into_iter().flat_map(|it| &it.said.counts).map(|(k, v)| format!("{k}={v}")).collect()),
    ]
}

/// A field that neither a terminal nor a spreadsheet takes for more than text.
///
/// Spreadsheets compute a field that begins with `=`, `+`, `-` or `@`, also in full width, and some skip
/// tabs, returns and spaces before it (OWASP, *CSV Injection*).
fn harmless(text: &str) -> String {
    let computes = |c: char| matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠');
    let skipped = |c: char| c.is_whitespace() || c.is_control();
    let begins_so = text.trim_start_matches(skipped).starts_with(computes) || text.starts_with(['\t', '\r', '\n']);
    let line = terminal::line(text);
    if begins_so || line.trim_start().starts_with(computes) { format!("'{line}") } else { line }
}

#[cfg(test)]
pub(super) mod tests {
    use sallyport_trust::audit::{Completion, Decision, Entry, Opening, Outcome, Phase, Ruling};

    use super::*;

    /// A denied question of somebody, with a reason.
    pub(in super::super) fn recorded(actor: &str, reason: &str) -> RecordedAction {
        let opening = Opening {
            actor: actor.to_owned(),
            via: Some("spiffe://border.example/agency/hsi/node".to_owned()),
            action: "ask".to_owned(),
            resource: "federation".to_owned(),
            question: Some("00ff00ff".to_owned()),
            purpose: Some("border-security".to_owned()),
            case_number: Some("-1+1".to_owned()),
            reason: Some(reason.to_owned()),
        };
        let ruling = Ruling {
            decision: Decision::Deny,
            rule: "a-rule".to_owned(),
            policy: "ab".to_owned(),
            obligations: Default::default(),
        };
        let completion = Completion {
            ruling: Some(ruling),
            counts: [("rows".to_owned(), 7)].into(),
            detail: Some("denied_by_rule".to_owned()),
            ..Completion::new(Outcome::Denied)
        };
        let entry = "00112233445566778899aabbccddeeff".parse().unwrap();
        let bytes = |at_ms, phase| Entry { format: 1, at_ms, entry, phase }.to_bytes().unwrap();
        let opening = bytes(1_790_000_000_000, Phase::Open(opening));
        let completion = bytes(1_790_000_000_250, Phase::Complete(completion));
        RecordedAction::of((5, opening), Some((9, completion))).unwrap()
    }

    #[test]
    fn nothing_begins_a_formula_or_steers_a_terminal() {
        let hostile = [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'=1"),
            ("\r=1", "'=1"),
            ("\n=1", "'=1"),
            ("  =1", "'  =1"),
            ("\u{202e}=1", "'=1"),
            ("\u{1b}]0;x\u{7}=1", "]0;x=1"),
            ("\u{1b}=cmd|'/c calc'!A0", "'=cmd|'/c calc'!A0"),
            ("＝1", "'＝1"),
            ("\ttext", "'text"),
            ("plain - text", "plain - text"),
            ("", ""),
        ];
        for (text, expected) in hostile {
            assert_eq!(harmless(text), expected, "{text:?}");
        }
    }

    /// A place to write to that can be read afterwards.
    #[derive(Clone, Default)]
    struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(format: Format, actions: &[RecordedAction]) -> String {
        let out = Shared::default();
        let mut lines = Lines::new(format, "border.example/hsi", Box::new(out.clone())).unwrap();
        actions.iter().for_each(|action| lines.write(action).unwrap());
        lines.finish().unwrap();
        let bytes = out.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn csv_reads_back_as_one_harmless_line_for_each_action() {
        let reasons = ["=HYPERLINK(\"http://x\",\"y\")", "two\nlines, \"quoted\"", "a\tb"];
        let text = written(Format::Csv, &reasons.map(|reason| recorded("spiffe://b.example/agency/hsi/node", reason)));
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert_eq!(text.lines().count(), 4);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), COLUMNS);
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let column = |name: &str| COLUMNS.iter().position(|column| *column == name).unwrap();
        assert_eq!(&rows[0][column("reason")], "'=HYPERLINK(\"http://x\",\"y\")");
        assert_eq!(&rows[1][column("reason")], "twolines, \"quoted\"");
        assert_eq!(&rows[2][column("reason")], "ab");
        for row in &rows {
            assert_eq!((&row[0], &row[1], &row[column("agency")]), ("5", "9", "hsi"));
            assert_eq!((&row[column("case_number")], &row[column("counts")]), ("'-1+1", "rows=7"));
            assert_eq!(&row[column("opened")], "2026-09-21T14:13:20.000Z");
        }
    }

    #[test]
    fn json_lines_parse_and_steer_nothing() {
        let text = written(Format::Jsonl, &[recorded("spiffe://b.example/agency/hsi/user/ana", "a\nb\u{202e}c")]);
        assert_eq!(text.lines().count(), 1);
        assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(event["unmapped"]["reason"], "a\nb\u{202e}c");
        assert_eq!(event["metadata"]["log_name"], "border.example/hsi");
    }
}
