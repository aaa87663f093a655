//! `sallyport audit report`: what happened at one party in a period, as text, HTML or JSON.

use std::{fs, path::PathBuf};

use sallyport_trust::audit::report::{HISTORY_DAYS, HISTORY_DAYS_MIN, Report, UNUSUAL_Z};
use serde_json::{Value, json};

use super::{Place, filter::moment_ms, html, moment, remote::Checked, search::short_name};
use crate::{
    answer::{day, print_table},
    failure::Failure,
    terminal,
};

/// Arguments of `sallyport audit report`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Beginning of the period: a date (UTC) or RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = moment_ms)]
    from: i64,
    /// End of the period, which is not part of it; at most 366 days later.
    #[arg(long, value_name = "TIME", value_parser = moment_ms)]
    until: i64,
    /// Also write a page that stands for itself: no scripts, nothing loaded, fit for print.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

/// Reports.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let report = arguments.place.log()?.report(arguments.from, arguments.until).await?;
    if arguments.json {
        println!("{}", terminal::json(&to_json(&report)));
    } else {
        print(&report);
    }
    if let Some(file) = &arguments.html {
        let page = html::page(&heading(&report), &summary(&report), &sections(&report.answer));
        fs::write(file, page)
            .map_err(|error| Failure::machine(&format!("{} cannot be written", file.display()), &error))?;
    }
    Ok(())
}

/// One table of a report.
pub(super) struct Section {
    pub(super) title: &'static str,
    /// How to read it.
    pub(super) note: String,
    pub(super) head: &'static [&'static str],
    /// Columns of numbers, which stand to the right.
    pub(super) numbers: std::ops::RangeFrom<usize>,
    pub(super) rows: Vec<Vec<String>>,
}

fn heading(report: &Checked<Report>) -> String {
    format!("Audit report of {}", report.checkpoint.origin)
}

fn summary(report: &Checked<Report>) -> Vec<String> {
    let answer = &report.answer;
    let mut lines = vec![
        format!("Period: {} until before {} (UTC).", moment(answer.from_ms), moment(answer.until_ms)),
        format!("{} actions begun, {} of them without an end.", answer.actions, answer.still_open),
        format!("Read under the checkpoint over {} entries, root {}.", report.checkpoint.size, report.checkpoint.root),
    ];
    if answer.not_listed > 0 {
        lines.push(format!("{} actions stand in no table, because it was full.", answer.not_listed));
    }
    lines
}

fn sections(report: &Report) -> [Section; 4] {
    let word = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let questions = report.questions.iter().map(|line| {
        let decision = line.decision.map_or("not decided", |decision| decision.as_str());
        vec![word(&line.agency), word(&line.purpose), decision.to_owned(), line.action.clone(), line.count.to_string()]
    });
    let denials = report.denials.iter().map(|line| vec![word(&line.rule), word(&line.reason), line.count.to_string()]);
    let releases = report.releases.iter().map(|line| {
        vec![line.resource.clone(), line.action.clone(), line.answers.to_string(), line.scores.to_string()]
    });
    [
        Section {
            title: "Questions by agency, purpose and decision",
            note: "ask and look_up are of people at their own node or of agencies at the gateway; contribute is a \
                   part of a question at an owner. Where it was not decided, a check before the policy refused, and \
                   the agency is only what the question claims."
                .to_owned(),
            head: &["agency", "purpose", "decision", "did", "questions"],
            numbers: 4..,
            rows: questions.collect(),
        },
        Section {
            title: "Denials by rule",
            note: "Without a rule, a check beside the policy denied, or another party did.".to_owned(),
            head: &["rule", "reason", "denied"],
            numbers: 2..,
            rows: denials.collect(),
        },
        Section {
            title: "Scores released by data set",
            note: "At an owner what it was told of its own rows (account); at the gateway, which holds no data set, \
                   what its answers held (ask)."
                .to_owned(),
            head: &["data set", "did", "answers", "scores"],
            numbers: 2..,
            rows: releases.collect(),
        },
        unusual(report),
    ]
}

fn unusual(report: &Report) -> Section {
    let rows = report.unusual.iter().map(|line| {
        vec![
            u32::try_from(line.day).ok().and_then(|number| day(Some(number))).unwrap_or_else(|| line.day.to_string()),
            short_name(&line.actor),
            line.action.clone(),
            line.count.to_string(),
            format!("{:.1}", line.median),
            format!("{:.1}", line.mad),
            format!("{:.1}", line.z),
        ]
    });
    Section {
        title: "Unusual volumes",
        note: format!(
            "A day of a person beside the person's own active days of the {HISTORY_DAYS} days before: \
             z = 0.6745 · (count − median) / max(MAD, 1), listed above {UNUSUAL_Z}. MAD is the median absolute \
             deviation. {} days could not be judged, for want of {HISTORY_DAYS_MIN} earlier days.",
            report.unjudged_days
        ),
        head: &["day (UTC)", "who", "did", "count", "median", "MAD", "z"],
        numbers: 3..,
        rows: rows.collect(),
    }
}

fn print(report: &Checked<Report>) {
    println!("{}", terminal::line(&heading(report)));
    summary(report).iter().for_each(|line| println!("{}", terminal::line(line)));
    for section in sections(&report.answer) {
        println!("\n{}", section.title);
        if section.rows.is_empty() {
            println!("  none");
        } else {
            print_table(section.head, section.rows);
        }
        println!("  {}", section.note);
    }
}

fn to_json(report: &Checked<Report>) -> Value {
    let answer = &report.answer;
    let questions = answer.questions.iter().map(|line| {
        json!({
            "action": line.action,
            "agency": line.agency,
            "purpose": line.purpose,
            "decision": line.decision.map(|decision| decision.as_str()),
            "count": line.count,
        })
    });
    let denials =
        answer.denials.iter().map(|line| json!({ "rule": line.rule, "reason": line.reason, "count": line.count }));
    let releases = answer.releases.iter().map(|line| {
        json!({ "action": line.action, "dataset": line.resource, "answers": line.answers, "scores": line.scores })
    });
    let unusual = answer.unusual.iter().map(|line| {
        json!({
            "actor": line.actor,
            "action": line.action,
            "day": u32::try_from(line.day).ok().and_then(|number| day(Some(number))),
            "count": line.count,
            "median": line.median,
            "mad": line.mad,
            "z": line.z,
        })
    });
    json!({
        "origin": report.checkpoint.origin,
        "from": moment(answer.from_ms),
        "until": moment(answer.until_ms),
        "actions": answer.actions,
        "still_open": answer.still_open,
        "not_listed": answer.not_listed,
        "questions": questions.collect::<Vec<_>>(),
        "denials": denials.collect::<Vec<_>>(),
        "releases": releases.collect::<Vec<_>>(),
        "unusual": unusual.collect::<Vec<_>>(),
        "unjudged_days": answer.unjudged_days,
        "checkpoint": {
            "origin": report.checkpoint.origin,
            "entries": report.checkpoint.size,
            "root": report.checkpoint.root.to_string(),
        },
    })
}
