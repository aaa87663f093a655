//! `sallyport corridor`: what whoever designates routes works with, from the files alone.

mod trace;

use std::path::{Path, PathBuf};

use sallyport_track::{Corridor, CorridorError, Corridors, FILE_BYTES_MAX, corridor::Finding, picture};
use sallyport_trust::operator_file::read_text;
use serde_json::{Value, json};

use crate::{answer::print_table, failure::Failure, terminal};

/// Arguments of `sallyport corridor`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Say what a corridor is and what is wrong with it, and draw it.
    Check(Check),
    /// Say what positions show against corridors, and draw a device's track: from files, before anything is sent.
    Trace(trace::Arguments),
}

#[derive(clap::Args)]
struct Check {
    /// Corridors, GeoJSON files; several are also checked against one another.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Draw the corridor into an SVG file. With one corridor only.
    #[arg(long, value_name = "OUT")]
    svg: Option<PathBuf>,
    /// One JSON object instead of words.
    #[arg(long)]
    json: bool,
}

/// Runs one of the commands.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Check(arguments) => check(arguments),
        Command::Trace(arguments) => trace::run(arguments),
    }
}

fn check(arguments: &Check) -> Result<(), Failure> {
    if arguments.svg.is_some() && arguments.files.len() != 1 {
        return Err(Failure::input("one_corridor_only", "--svg draws one corridor; name one FILE"));
    }
    let (_, checked) = read_all(&arguments.files)?;
    if let Some(out) = &arguments.svg {
        for (_, corridor) in &checked {
            std::fs::write(out, picture::svg(corridor))
                .map_err(|error| Failure::machine_with("file_unwritable", &out.display().to_string(), &error))?;
        }
    }
    if arguments.json {
        let corridors: Vec<Value> = checked.iter().map(|(path, corridor)| object(path, corridor)).collect();
        println!("{}", terminal::json(&json!({ "corridors": corridors })));
        return Ok(());
    }
    for (path, corridor) in &checked {
        print(path, corridor);
    }
    if let Some(out) = &arguments.svg {
        println!("Drawn into {}.", terminal::line(&out.display().to_string()));
    }
    Ok(())
}

fn print(path: &Path, corridor: &Corridor) {
    println!("{}  ({})", terminal::line(&corridor.id.name), terminal::line(&path.display().to_string()));
    if !corridor.description.is_empty() {
        println!("{}", terminal::line(&corridor.description));
    }
    let facts = corridor.facts();
    print_table(
        &["about", "what it says"],
        facts.into_iter().map(|fact| vec![fact.about.to_owned(), fact.says]).collect(),
    );
    let findings = corridor.findings();
    for Finding { kind, sentence } in &findings {
        println!("{}", terminal::line(&format!("look at this  {sentence}  [{kind}]")));
    }
    match findings.len() {
        0 => println!("It can be used as it is."),
        count => println!("It can be used; things to look at: {count}."),
    }
}

fn object(path: &Path, corridor: &Corridor) -> Value {
    json!({
        "file": path.display().to_string(),
        "name": corridor.id.name,
        "from_ms": corridor.id.from_ms,
        "description": corridor.description,
        "facts": corridor.facts(),
        "findings": corridor.findings(),
        "exceptions": corridor.exceptions,
    })
}

/// Corridors with the files that they are from.
type Read<'a> = Vec<(&'a Path, Corridor)>;

/// Every file's corridor; two versions of one may not be valid at the same time.
fn read_all(files: &[PathBuf]) -> Result<(Corridors, Read<'_>), Failure> {
    let mut corridors = Corridors::default();
    let mut checked = Vec::new();
    for path in files {
        let corridor = read(path)?;
        corridors.add(corridor.clone()).map_err(|error| refused(path, &error))?;
        checked.push((path.as_path(), corridor));
    }
    Ok((corridors, checked))
}

/// The corridor of a file.
pub(crate) fn read(path: &Path) -> Result<Corridor, Failure> {
    let text = read_text(path, FILE_BYTES_MAX as u64)
        .map_err(|error| Failure::input("file_unreadable", format!("{}: {error}", path.display())))?;
    Corridor::parse(&text).map_err(|error| refused(path, &error))
}

fn refused(path: &Path, error: &CorridorError) -> Failure {
    Failure::input(error.reason(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_of(files: &[&Path], svg: Option<PathBuf>) -> Result<(), Failure> {
        let files = files.iter().map(|path| path.to_path_buf()).collect();
        check(&Check { files, svg, json: false })
    }

    #[test]
    fn the_own_corridor_is_drawn_and_is_no_second_version_of_itself() {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/corridors/laredo-detroit.geojson");
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("own.svg");
        check_of(&[&own], Some(out.clone())).unwrap();
        assert!(std::fs::read_to_string(&out).unwrap().contains("laredo-detroit"));
        let twice = format!("{:?}", check_of(&[&own, &own], None).unwrap_err());
        assert!(twice.contains("validity_overlaps"), "{twice}");
        let drawn_twice = format!("{:?}", check_of(&[&own, &own], Some(out)).unwrap_err());
        assert!(drawn_twice.contains("one_corridor_only"), "{drawn_twice}");
    }

    #[test]
    fn a_file_without_end_is_none() {
        let endless = format!("{:?}", check_of(&[Path::new("/dev/zero")], None).unwrap_err());
        assert!(endless.contains("file_unreadable") && endless.contains("regular file"), "{endless}");
    }
}
