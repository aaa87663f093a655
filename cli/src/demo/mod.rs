//! `sallyport demo`: three agencies and a gateway on this machine, two questions, and a truck that leaves its
//! corridor.
//!
//! Real processes, certificates, files and policies; only the data are generated. What is planted in
//! them lies where no agency looks, and is compared with the answers.

mod cast;
mod trips;
mod trucks;
mod truth;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sallyport_trust::{audit::verify_directory, clock::Clock, question::parse_question, serve::terminated};
use serde_json::Value;

pub(crate) use self::{
    cast::write_policies,
    trucks::{QUESTION as OFF_CORRIDOR, corridor},
};
use self::{
    cast::{ASKERS, PRIVACY_OFFICERS, start},
    trucks::{Road, Told},
    truth::{Truth, compare},
};
use crate::{
    answer,
    failure::Failure,
    federation::{AUDITOR, Federation, fresh_directory},
    sample::{SampleOptions, SampleSummary, TRUTH_DEVIATIONS, TRUTH_PLANTED, generate},
    terminal,
};

/// A question that is asked, and where the truth about its answer stands.
struct Asking {
    story: &'static str,
    /// What the demonstration's directory has.
    file: &'static str,
    text: &'static str,
    truth: &'static str,
    planted: &'static str,
}

const QUESTIONS: [Asking; 2] = [
    Asking {
        story: "\nrivera, an analyst at HSI, asks at HSI's own node: which phones are busy at the border (CBP),\n\
                on the telephone (HSI) and behind the wheel (Acme, a carrier)?\n",
        file: "question.toml",
        text: include_str!("../../demo/question.toml"),
        truth: TRUTH_PLANTED,
        planted: "subjects",
    },
    Asking {
        story: "\nThen: whom do they call after they cross? Ranked are the numbers that many different crossers (CBP)\n\
                called (HSI) within 24 hours after crossing, outside the caller's own pattern.\n",
        file: "after-crossing.toml",
        text: include_str!("../../demo/after-crossing.toml"),
        truth: TRUTH_DEVIATIONS,
        planted: "called numbers",
    },
];
/// Something for the people to publish and to ask.
const PATTERN: (&str, &str) = ("pattern.toml", include_str!("../../demo/pattern.toml"));

/// Something to count.
const SHIFT: (&str, &str) = ("shift.toml", include_str!("../../demo/shift.toml"));

/// Arguments of `sallyport demo`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where the demonstration lives; what an earlier one left there is replaced.
    #[arg(long, value_name = "DIR", default_value = "demo")]
    directory: PathBuf,
    /// Another seed makes other people.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Go on running after the answer, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// One JSON object instead of the story.
    #[arg(long)]
    json: bool,
}

/// Tells the story; whoever ends it in the middle ends all of its processes.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    if arguments.keep {
        return tell(arguments).await;
    }
    tokio::select! {
        told = tell(arguments) => told,
        _ = terminated() => Err(Failure::machine("the demonstration was ended", &"it is not complete")),
    }
}

/// Brings everything up, asks, compares with the truth, verifies the logs.
async fn tell(arguments: Arguments) -> Result<(), Failure> {
    let story = Story { started: Instant::now(), told: !arguments.json };
    let directory = fresh_directory(&arguments.directory, "demonstration")?;
    story.tell("Three agencies and a gateway on this machine. Only the data are made up.\n");
    let summary = write_sample(&directory, arguments.seed)?;
    story.step(&format!("{} rows of data in three agencies' own folders", summary.rows()));
    let road = Road::write(&directory)?;
    write_files(&directory)?;
    let mut federation = start(&directory)?;
    story.step("certificates made; gateway, hsi, cbp and acme listen under mutual TLS 1.3");
    let people = ASKERS.map(|(name, _)| name);
    let mut identifiers = 0;
    federation.settled(&people, Duration::from_secs(120), |_, all| identifiers = all).await?;
    story.step(&format!("{identifiers} identifiers tagged by all nodes together, none of them seen by another"));
    let (answers, truths) = ask_all(&federation, &directory, &story).await?;
    let trucks = trucks::tell(&federation, &road, &directory, &story).await?;
    if arguments.json {
        println!("{}", terminal::json(&as_one_object(answers, &trucks)));
    }
    let planted = truths.first().map_or(&[][..], |truth| &truth.planted);
    if arguments.keep {
        if !arguments.json {
            next_commands(&directory, planted, "Everything keeps running until Ctrl-C. In another terminal:");
        }
        tokio::select! {
            _ = terminated() => {}
            () = federation.tell_of_ends(|what| eprintln!("{what}")) => {}
        }
    }
    let logs = federation.audit_logs();
    federation.end();
    verify_logs(&logs, &story)?;
    if !arguments.keep && !arguments.json {
        next_commands(&directory, planted, "To go on, run it again with `--keep` and in another terminal:");
    }
    if truths.iter().any(|truth| truth.found < truth.planted.len()) || !trucks.is_right() {
        return Err(Failure::check("planted_not_found", "not everything that was planted was found"));
    }
    Ok(())
}

/// Asks every question, and compares what comes with what was planted.
async fn ask_all(
    federation: &Federation,
    directory: &Path,
    story: &Story,
) -> Result<(Vec<Value>, Vec<Truth>), Failure> {
    let (mut answers, mut truths) = (Vec::new(), Vec::new());
    for asking in &QUESTIONS {
        story.tell(asking.story);
        let question = parse_question(asking.text, Clock::system().now_ms())?.question;
        let answer = federation.desk("rivera")?.ask(&question, Vec::new(), |_| {}).await?;
        let truth = compare(&directory.join("data").join(asking.truth), &answer)?;
        if story.told {
            answer::print(&answer);
        }
        story.tell(&truth.sentence(asking.planted));
        answers.push(truth.beside(&answer));
        truths.push(truth);
    }
    Ok((answers, truths))
}

/// The first answer, and in it the rest.
fn as_one_object(answers: Vec<Value>, trucks: &Told) -> Value {
    let mut answers = answers.into_iter();
    let mut object = answers.next().unwrap_or_default();
    object["after_crossing"] = answers.next().unwrap_or_default();
    object["off_corridor"] = trucks.to_json();
    object
}

/// The policies, and what people of the demonstration work with.
fn write_files(directory: &Path) -> Result<(), Failure> {
    write_policies(directory)?;
    let files = QUESTIONS.iter().map(|asking| (asking.file, asking.text)).chain([PATTERN, SHIFT, trucks::QUESTION]);
    files.into_iter().try_for_each(|(file, text)| {
        let written = fs::write(directory.join(file), text);
        written.map_err(|error| Failure::machine(&format!("{file} cannot be written"), &error))
    })
}

struct Story {
    started: Instant,
    told: bool,
}

impl Story {
    fn tell(&self, text: &str) {
        if self.told {
            println!("{text}");
        }
    }

    fn step(&self, text: &str) {
        self.tell(&format!("  {:5.1} s  {text}", self.started.elapsed().as_secs_f64()));
    }
}

fn write_sample(directory: &Path, seed: u64) -> Result<SampleSummary, Failure> {
    let options = SampleOptions { seed, ..SampleOptions::default() };
    generate(&options, &directory.join("data"), &mut |_| {})
        .map_err(|error| Failure::machine("the sample cannot be written", &error))
}

fn verify_logs(logs: &[PathBuf], story: &Story) -> Result<(), Failure> {
    let mut entries = 0;
    for log in logs {
        let verified = verify_directory(log)
            .map_err(|error| Failure::check("audit_log_broken", format!("{}: {error}", log.display())))?;
        entries += verified.entries;
    }
    story.tell(&format!("{} audit logs hold {entries} entries and verify.", logs.len()));
    Ok(())
}

fn next_commands(directory: &Path, planted: &[String], when: &str) {
    let here = std::env::current_dir().ok();
    let shown = here.and_then(|here| directory.strip_prefix(here).ok().map(Path::to_owned));
    let shown = shown.as_deref().unwrap_or(directory).display().to_string();
    // The people file of the usual place need not be named.
    let people = if shown == "demo" { String::new() } else { format!(" --people {shown}/people.toml") };
    let phone = planted.first().map_or("", String::as_str);
    println!("\n{when}");
    let program = "cargo run --release --";
    println!("  {program} catalog --as rivera{people}");
    for asking in &QUESTIONS {
        println!("  {program} ask {shown}/{} --as rivera{people}", asking.file);
    }
    println!(
        "  {program} ask --phone \"{phone}\" --purpose counter-narcotics --case HSI-2026-0117 --as rivera{people}"
    );
    println!("  {program} shift {shown}/{} --svg shift.svg --as okafor{people}", SHIFT.0);
    println!("  {program} pattern publish {shown}/pattern.toml --as rivera{people}");
    println!(
        "  {program} pattern ask hsi.deviating-crossers --as-of 2026-07-01 --purpose counter-narcotics --case CBP-2026-0042 \
         --as okafor{people}"
    );
    println!("  {program} ask --phone \"{phone}\" --purpose missing-person --case HSI-2026-0118 --as rivera{people}");
    println!("  {program} release list --as novak{people}");
    println!("  {program} watch list --as okafor{people}");
    println!("  {program} lead list --closed --as okafor{people}");
    println!("  {program} ask {shown}/{} --as okafor{people}", trucks::QUESTION.0);
    println!(
        "  {program} corridor trace {shown}/{} --corridor {shown}/policies/{}",
        trucks::POSITIONS,
        trucks::CORRIDOR.0
    );
    println!("  {program} disclosures --phone \"{phone}\" --as {}{people}", PRIVACY_OFFICERS[0]);
    println!("  {program} audit search --as {AUDITOR} --at cbp --agency hsi{people}");
    println!("  {program} audit verify {shown}/gateway-audit {shown}/hsi/audit");
}

#[cfg(test)]
mod tests {
    use sallyport_trust::question::{Pattern, parse_shift};

    #[test]
    fn the_sample_shift_is_sound() {
        let shift = parse_shift(super::SHIFT.1).unwrap();
        assert_eq!((shift.before, shift.changed), (16, vec!["2304".to_owned()]));
    }

    #[test]
    fn the_sample_pattern_is_sound() {
        let pattern = Pattern::parse("hsi", super::PATTERN.1).map(|pattern| pattern.name().to_string());
        assert_eq!(pattern.unwrap(), "hsi.deviating-crossers@1");
    }
}
