//! `sallyport sample`: generated data of three agencies, with a planted truth.

use std::{io::IsTerminal, path::PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::{
    failure::Failure,
    sample::{SampleOptions, TRUTH_DEVIATIONS, TRUTH_PLANTED, generate},
};

/// Arguments of `sallyport sample`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where to write.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Another seed makes other people.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Travellers; phones and trucks grow with them. Up to 10,000,000.
    #[arg(long, default_value_t = 6_000)]
    travellers: u64,
    /// Subjects that are active in all three agencies' data.
    #[arg(long, default_value_t = 12)]
    planted: u32,
    /// Crossers with a steady pattern who call planted numbers after crossing; 0, or 20 to 1,000.
    #[arg(long, default_value_t = 40)]
    deviators: u32,
    /// Lines with a wrong number of fields in each CSV file.
    #[arg(long, default_value_t = 0)]
    malformed_lines: u32,
    /// One JSON object instead of sentences.
    #[arg(long)]
    json: bool,
}

/// Writes the sample.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let options = SampleOptions {
        seed: arguments.seed,
        travellers: arguments.travellers,
        phones: (arguments.travellers * 2 / 3).max(1),
        trucks: (arguments.travellers / 4).max(1),
        planted: arguments.planted,
        deviators: arguments.deviators,
        malformed_lines: arguments.malformed_lines,
        ..SampleOptions::default()
    };
    let visible = !arguments.json && std::io::stderr().is_terminal();
    let bar = if visible { ProgressBar::new(0) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{msg:24} {bar:30} {human_pos}/{human_len} rows") {
        bar.set_style(style);
    }
    let summary = generate(&options, &arguments.directory, &mut |progress| {
        bar.set_message(progress.file.clone());
        bar.set_length(progress.total);
        bar.set_position(progress.rows);
    });
    bar.finish_and_clear();
    let summary = summary.map_err(|error| Failure::input("sample", error.to_string()))?;
    if arguments.json {
        println!("{}", json!(summary));
    } else {
        println!(
            "{} rows of three agencies in {}; what is planted stands in {} and {}.",
            summary.rows(),
            arguments.directory.display(),
            arguments.directory.join(TRUTH_PLANTED).display(),
            arguments.directory.join(TRUTH_DEVIATIONS).display()
        );
    }
    Ok(())
}
