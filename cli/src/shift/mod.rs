//! `sallyport shift`: how traffic moved between places when something changed at one of them.

mod picture;
mod words;

use std::path::PathBuf;

use sallyport_proto::node::v1::{DeskAnswer, DeskCounts};
use sallyport_shift::{Period, Series, Shifts, Unmeasurable, measure, period};
use sallyport_trust::question::{ShiftFile, parse_shift};

use crate::{answer, ask::read, desk::Desk, failure::Failure, people::As, terminal};

/// Arguments of `sallyport shift`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What is counted, and when something changed: a TOML file.
    file: PathBuf,
    /// Complete the answer to this file's question, which an owner held: its id, or the first digits.
    #[arg(long, value_name = "QUESTION_ID")]
    complete: Option<String>,
    #[command(flatten)]
    who: As,
    /// Draw the shares of the places that shifted or changed, as an SVG.
    #[arg(long, value_name = "OUT")]
    svg: Option<PathBuf>,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

/// Asks, measures and shows.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let asked = parse_shift(&read(&arguments.file)?)?;
    let mut desk = Desk::of(&arguments.who.person()?)?;
    let answer = match &arguments.complete {
        Some(id) => desk.complete(id, |_| {}).await?,
        None => desk.ask(&asked.question, Vec::new(), |_| {}).await?,
    };
    let told = Told::of(&asked, answer)?;
    if let (Some(out), Ok(shifts)) = (&arguments.svg, &told.shifts) {
        std::fs::write(out, picture::svg(&told, shifts))
            .map_err(|error| Failure::machine(&format!("{} cannot be written", out.display()), &error))?;
    }
    if arguments.json {
        println!("{}", terminal::json(&words::to_json(&told)));
        return Ok(());
    }
    words::print(&told);
    if let Some(out) = arguments.svg.filter(|_| told.shifts.is_ok()) {
        println!("Drawn in {}.", terminal::line(&out.display().to_string()));
    }
    answer::print_what_is_held(&told.answer, &arguments.who);
    Ok(())
}

/// An answer and what it says.
struct Told<'a> {
    asked: &'a ShiftFile,
    answer: DeskAnswer,
    /// The days on which the periods begin.
    begins: Vec<i32>,
    series: Vec<Series>,
    shifts: Result<Shifts, Unmeasurable>,
}

impl<'a> Told<'a> {
    fn of(asked: &'a ShiftFile, mut answer: DeskAnswer) -> Result<Self, Failure> {
        let tally = asked.question.indicators.first().and_then(|indicator| indicator.tally.as_ref());
        let begins = tally.map_or(Ok(Vec::new()), |tally| tally.begins(asked.question.window))?;
        let counts: &mut DeskCounts = answer.counts.get_or_insert_default();
        if !counts.begins.is_empty() && counts.begins != begins {
            return Err(Failure::input(
                "other_question",
                "The answer is about other periods than the file: name the file that the question was asked from.",
            ));
        }
        let series: Vec<Series> = counts
            .series
            .iter()
            .map(|one| Series {
                place: one.place.clone(),
                counts: one.counts.clone(),
                kept_back: one.kept_back.clone(),
            })
            .collect();
        Ok(Self { shifts: measure(&series, asked.before), asked, answer, begins, series })
    }

    fn has_changed(&self, place: &str) -> bool {
        self.asked.changed.iter().any(|changed| changed == place)
    }

    /// A period as people call it.
    fn period(&self, place: usize) -> String {
        let Some(date) = self.begins.get(place).copied().and_then(period::date) else { return String::new() };
        match self.asked.period {
            Period::Day => date.to_string(),
            Period::Week => format!("week of {date}"),
            Period::Month => date.format("%b %Y").to_string(),
        }
    }

    /// `Feb 2022`, or `Feb 2022 to Apr 2022`.
    fn after(&self) -> String {
        let (first, last) = (self.asked.before, self.begins.len().saturating_sub(1));
        let first_name = self.period(first);
        if first >= last { first_name } else { format!("{first_name} to {}", self.period(last)) }
    }
}
