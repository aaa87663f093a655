//! What came of a lead, as it stands on the command line.

use chrono::{DateTime, Utc};
use sallyport_node::Period;
use sallyport_proto::node::v1::{Arrest, FalseMatch, LeadOutcome, NoFinding, Seizure, lead_outcome::Outcome};

use crate::failure::Failure;

/// Exactly one of them.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct OutcomeArguments {
    /// So many people were arrested.
    #[arg(long, value_name = "PEOPLE")]
    arrest: Option<u32>,
    /// What was seized, with how much: "4.5 kg cocaine".
    #[arg(long, value_name = "AMOUNT UNIT WHAT")]
    seizure: Option<String>,
    /// Nothing was found.
    #[arg(long)]
    no_finding: bool,
    /// It was not who or what it seemed to be; it is not raised again for so long: 12h, 30d.
    #[arg(long, value_name = "TIME")]
    false_match: Option<String>,
    /// It was handed to somebody else.
    #[arg(long, value_name = "TO")]
    referred: Option<String>,
    /// Anything else.
    #[arg(long, value_name = "WHAT")]
    other: Option<String>,
}

impl OutcomeArguments {
    /// The outcome, recorded at `now`.
    pub(super) fn outcome(self, now: DateTime<Utc>) -> Result<LeadOutcome, Failure> {
        let outcome = match self {
            Self { arrest: Some(people), .. } => Outcome::Arrest(Arrest { people }),
            Self { seizure: Some(text), .. } => Outcome::Seizure(seizure(&text)?),
            Self { no_finding: true, .. } => Outcome::NoFinding(NoFinding {}),
            Self { false_match: Some(text), .. } => {
                let lasting: Period = text.parse().map_err(|error: sallyport_node::NoPeriod| {
                    Failure::input("false_match_until", error.to_string())
                })?;
                let until_ms = now.timestamp_millis().saturating_add(lasting.ms());
                Outcome::FalseMatch(FalseMatch { until_ms })
            }
            Self { referred: Some(to), .. } => Outcome::Referred(to),
            Self { other: Some(what), .. } => Outcome::Other(what),
            _ => return Err(Failure::input("lead_outcome", "say what came of the lead, such as --no-finding")),
        };
        Ok(LeadOutcome { outcome: Some(outcome) })
    }
}

fn seizure(text: &str) -> Result<Seizure, Failure> {
    let unreadable =
        || Failure::input("outcome_amount", "write how much of what was seized, such as \"4.5 kg cocaine\"");
    let (amount, of) = text.split_once(' ').ok_or_else(unreadable)?;
    let (unit, what) = of.split_once(' ').ok_or_else(unreadable)?;
    let amount = amount.parse().map_err(|_| unreadable())?;
    Ok(Seizure { what: what.to_owned(), amount, unit: unit.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seizure_says_how_much_of_what() {
        let read = |text: &str| seizure(text).ok().map(|seizure| (seizure.amount, seizure.unit, seizure.what));
        assert_eq!(read("4.5 kg cocaine, cut"), Some((4.5, "kg".to_owned(), "cocaine, cut".to_owned())));
        assert_eq!(read("20000 USD cash"), Some((20_000.0, "USD".to_owned(), "cash".to_owned())));
        for wrong in ["", "kg cocaine", "4.5 kg", "much kg cocaine"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
