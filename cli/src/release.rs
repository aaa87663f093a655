//! `sallyport release`: release officers read what waits for them, in plain words, and decide.

mod words;

use chrono::{DateTime, Utc};
use sallyport_proto::node::v1::{
    GrantOnce, HeldQuestion, Refuse, ReleaseRequest, ReleaseState, ReleasesRequest, release_request::Verdict,
};
use sallyport_trust::question::{parse_moment, words::moment};
use serde_json::json;

use crate::{answer::print_table, desk::Desk, failure::Failure, people::As, terminal};

/// Arguments of `sallyport release`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the questions that wait for you.
    List {
        #[command(flatten)]
        who: As,
        /// Also those that need no decision any more.
        #[arg(long)]
        decided: bool,
        /// One JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Show one of them whole.
    Show {
        /// As the list calls it, or the first eight digits or more.
        id: String,
        #[command(flatten)]
        who: As,
        /// One JSON object instead of sentences.
        #[arg(long)]
        json: bool,
    },
    /// Let it be answered, once or until a moment.
    Grant {
        /// As the list calls it, or the first eight digits or more.
        id: String,
        #[command(flatten)]
        who: As,
        /// Why, for the record.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        how_long: HowLong,
    },
    /// Refuse it; also takes back a grant that was not used yet.
    Refuse {
        /// As the list calls it, or the first eight digits or more.
        id: String,
        #[command(flatten)]
        who: As,
        /// Why; the asker reads it.
        #[arg(long)]
        reason: String,
    },
}

/// How long a grant lasts; for one answer when nothing is said.
#[derive(clap::Args)]
#[group(multiple = false)]
struct HowLong {
    /// For every such question of the same person for so long: 30m, 8h, 7d.
    #[arg(long = "for", value_name = "TIME")]
    lasting: Option<String>,
    /// The same until a moment, such as 2026-12-01T18:00:00Z, or until a day begins in UTC: 2026-12-01.
    #[arg(long, value_name = "MOMENT")]
    until: Option<String>,
}

/// Does what the officer says.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::List { who, decided, json } => list(&who, decided, json).await,
        Command::Show { id, who, json } => show(&who, &id, json).await,
        Command::Grant { id, who, reason, how_long } => {
            let verdict = how_long.verdict(Utc::now())?;
            decide(&who, ReleaseRequest { id, verdict: Some(verdict), reason }).await
        }
        Command::Refuse { id, who, reason } => {
            let verdict = Some(Verdict::Refuse(Refuse {}));
            decide(&who, ReleaseRequest { id, verdict, reason }).await
        }
    }
}

async fn list(who: &As, decided: bool, json: bool) -> Result<(), Failure> {
    let waiting = Desk::of(&who.person()?)?.releases(ReleasesRequest { decided, id: String::new() }).await?;
    if json {
        let questions: Vec<_> = waiting.questions.iter().map(words::json).collect();
        println!("{}", terminal::json(&json!({ "questions": questions, "more": waiting.more })));
        return Ok(());
    }
    if waiting.questions.is_empty() {
        println!("No question waits for you.");
        return Ok(());
    }
    let rows = waiting.questions.iter().map(words::row);
    print_table(&["id", "who", "why", "of what", "releases at most", "asked", "until", "granted"], rows.collect());
    if waiting.more > 0 {
        println!("  and {} more, which show when these are decided", waiting.more);
    }
    println!("\n`sallyport release show ID` tells all; `grant` and `refuse` decide.");
    Ok(())
}

async fn show(who: &As, id: &str, json: bool) -> Result<(), Failure> {
    let one = Desk::of(&who.person()?)?.releases(ReleasesRequest { decided: true, id: id.to_owned() }).await?;
    let question = one.questions.into_iter().next().ok_or_else(|| {
        Failure::input(
            "release_unknown",
            "no question waits for you under that id; `sallyport release list` shows them",
        )
    })?;
    if json {
        println!("{}", terminal::json(&words::json(&question)));
    } else {
        words::print(&question);
    }
    Ok(())
}

async fn decide(who: &As, request: ReleaseRequest) -> Result<(), Failure> {
    let question = Desk::of(&who.person()?)?.release(request).await?;
    println!("{}", terminal::line(&words::standing(&question)));
    Ok(())
}

impl HowLong {
    fn verdict(&self, now: DateTime<Utc>) -> Result<Verdict, Failure> {
        let unreadable = || {
            Failure::input(
                "release_until",
                "write how long as 30m, 8h or 7d, or the moment as 2026-12-01T18:00:00Z or 2026-12-01",
            )
        };
        match (&self.lasting, &self.until) {
            (None, None) => Ok(Verdict::Once(GrantOnce {})),
            (Some(lasting), _) => {
                let lasting_ms = milliseconds(lasting).ok_or_else(unreadable)?;
                Ok(Verdict::UntilMs(now.timestamp_millis().saturating_add(lasting_ms)))
            }
            (None, Some(until)) => {
                let until_ms = parse_moment("--until", until).map_err(|_| unreadable())?;
                if until_ms <= now.timestamp_millis() {
                    let past = format!("{} is past; name a moment to come", moment(until_ms));
                    return Err(Failure::input("release_until", past));
                }
                Ok(Verdict::UntilMs(until_ms))
            }
        }
    }
}

/// `30m`, `8h` or `7d`.
fn milliseconds(text: &str) -> Option<i64> {
    let (unit, factor) =
        [('m', 60_000), ('h', 3_600_000), ('d', 86_400_000)].into_iter().find(|(unit, _)| text.ends_with(*unit))?;
    let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
    i64::from(number).checked_mul(factor).filter(|&lasting_ms| lasting_ms > 0)
}

/// A state as scripts read it.
pub(crate) fn state_name(state: ReleaseState) -> &'static str {
    match state {
        ReleaseState::Waiting => "waiting",
        ReleaseState::Granted => "granted",
        ReleaseState::Standing => "standing",
        ReleaseState::Refused => "refused",
        ReleaseState::Used => "used",
        ReleaseState::Expired => "expired",
        ReleaseState::Answered => "answered",
        ReleaseState::Unspecified => "unknown",
    }
}

/// How many have granted of how many that must: `1 of 2 release_officer`.
fn granted(question: &HeldQuestion) -> String {
    let needs = question.needs.iter().map(|need| format!("{} of {} {}", need.granted, need.needed, need.role));
    needs.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_is_read_or_refused() {
        let now = DateTime::from_timestamp_millis(1_000).unwrap();
        let verdict = |lasting: Option<&str>, until: Option<&str>| {
            HowLong { lasting: lasting.map(str::to_owned), until: until.map(str::to_owned) }.verdict(now).ok()
        };
        assert_eq!(verdict(None, None), Some(Verdict::Once(GrantOnce {})));
        assert_eq!(verdict(Some("8h"), None), Some(Verdict::UntilMs(1_000 + 8 * 3_600_000)));
        assert_eq!(verdict(None, Some("1970-01-01T01:00:02+01:00")), Some(Verdict::UntilMs(2_000)));
        assert_eq!(verdict(None, Some("1970-01-02")), Some(Verdict::UntilMs(86_400_000)));
        for lasting in ["", "8", "h", "-8h", "8 h", "0h", "99999999999d", "8w", "ü"] {
            assert_eq!(verdict(Some(lasting), None), None, "{lasting}");
        }
        assert_eq!(verdict(None, Some("tomorrow")), None);
        let past = HowLong { lasting: None, until: Some("1970-01-01".to_owned()) }.verdict(now).unwrap_err();
        assert_eq!(past.message, "1970-01-01 is past; name a moment to come");
    }
}
