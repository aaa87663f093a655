//! The conditions of a search as arguments.

use chrono::{DateTime, NaiveDate, NaiveTime};
use sallyport_trust::audit::{
    Decision, Outcome,
    query::{OPEN, Query},
};

use crate::failure::Failure;

/// Conditions on recorded actions; all have to fit, and of one that is given several times, one has to.
#[derive(clap::Args)]
pub(super) struct Filter {
    /// Who: a name, or a whole SPIFFE ID.
    #[arg(long, value_name = "NAME")]
    person: Vec<String>,
    /// Agency of whoever acted.
    #[arg(long, value_name = "AGENCY")]
    agency: Vec<String>,
    /// What was done, such as ask, look_up, contribute or account.
    #[arg(long, value_name = "ACTION")]
    action: Vec<String>,
    /// What it was done to, such as a data set.
    #[arg(long, visible_alias = "dataset", value_name = "NAME")]
    resource: Vec<String>,
    /// Purpose that was stated.
    #[arg(long)]
    purpose: Vec<String>,
    /// Case number that was stated.
    #[arg(long = "case", value_name = "NUMBER")]
    case_number: Vec<String>,
    /// Question's id, or at least its first 8 digits.
    #[arg(long, value_name = "ID")]
    question: Vec<String>,
    /// What the policy decided: allow, deny or hold.
    #[arg(long, value_parser = decision)]
    decision: Vec<Decision>,
    /// How it ended: answered, denied, held, failed, cancelled, timed_out, abandoned, or open.
    #[arg(long, value_parser = outcome)]
    outcome: Vec<Ending>,
    /// A rule that decided.
    #[arg(long)]
    rule: Vec<String>,
    /// Stable reason of the outcome, such as question_replayed.
    #[arg(long, value_name = "REASON")]
    detail: Vec<String>,
    /// Begun at this moment or later: a date (UTC) or RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = moment_ms)]
    from: Option<i64>,
    /// Begun before this moment.
    #[arg(long, value_name = "TIME", value_parser = moment_ms)]
    until: Option<i64>,
}

/// How an action ended; none for one that has not.
type Ending = Option<Outcome>;

impl Filter {
    /// The query meant.
    pub(super) fn query(&self) -> Result<Query, Failure> {
        let query = Query {
            persons: self.person.clone(),
            agencies: self.agency.clone(),
            actions: self.action.clone(),
            resources: self.resource.clone(),
            purposes: self.purpose.clone(),
            case_numbers: self.case_number.clone(),
            questions: self.question.iter().map(|question| question.to_ascii_lowercase()).collect(),
            decisions: self.decision.clone(),
            outcomes: self.outcome.clone(),
            rules: self.rule.clone(),
            details: self.detail.clone(),
            from_ms: self.from,
            until_ms: self.until,
        };
        query.check().map_err(|error| Failure::input("audit_filter", error.to_string()))?;
        Ok(query)
    }
}

fn decision(word: &str) -> Result<Decision, String> {
    let known = Decision::ALL.into_iter().find(|decision| decision.as_str() == word);
    known.ok_or_else(|| "write allow, deny or hold".to_owned())
}

fn outcome(word: &str) -> Result<Ending, String> {
    let known = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == word);
    let words = || Outcome::ALL.map(Outcome::as_str).join(", ");
    if known.is_some() || word == OPEN { Ok(known) } else { Err(format!("write one of {}, {OPEN}", words())) }
}

/// A moment in milliseconds since 1970; a date is its beginning in UTC.
pub(super) fn moment_ms(text: &str) -> Result<i64, String> {
    let date = text.parse::<NaiveDate>().map(|date| date.and_time(NaiveTime::MIN).and_utc());
    let moment = date.or_else(|_| DateTime::parse_from_rfc3339(text).map(|moment| moment.to_utc()));
    let moment = moment.map_err(|_| "write a date such as 2026-11-02, or 2026-11-02T14:00:00Z".to_owned())?;
    Ok(moment.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates_or_rfc_3339() {
        assert_eq!(moment_ms("1970-01-02"), Ok(86_400_000));
        assert_eq!(moment_ms("1970-01-01T01:00:00.5+01:00"), Ok(500));
        assert!(moment_ms("yesterday").is_err() && moment_ms("2026-02-30").is_err());
    }
}
