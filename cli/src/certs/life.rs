//! Development certificates in life: which there are, new ones in time, and the revocation list.
//!
//! Files are replaced in one step each; running processes read them within seconds.

use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use sallyport_trust::{
    clock::Clock,
    identity::development_ca::{DevelopmentCa, DevelopmentCaError, RevocationReason, Standing},
};
use serde_json::json;

use crate::{answer::print_table, failure::Failure, terminal};

/// The longest life of a certificate, in days.
const LIFETIME_DAYS_MAX: i64 = 3_650;

#[derive(clap::Args)]
struct Authority {
    /// Where the authority and its certificates are.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    directory: PathBuf,
}

impl Authority {
    fn open(&self) -> Result<DevelopmentCa, Failure> {
        DevelopmentCa::open(&self.directory, Clock::system()).map_err(|error| failed(&error))
    }
}

/// Arguments of `sallyport certs show`.
#[derive(clap::Args)]
pub(super) struct Show {
    #[command(flatten)]
    authority: Authority,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Arguments of `sallyport certs renew`.
#[derive(clap::Args)]
pub(super) struct Renew {
    /// These, whether or not they are due; file names without extension.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Every one that is not revoked.
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// With a new key each.
    #[arg(long)]
    new_keys: bool,
    /// Also those named that are revoked, for whoever may have a certificate again. One whose key may be
    /// in other hands needs a new key as well.
    #[arg(long, requires = "names")]
    although_revoked: bool,
    /// How long they are valid, such as 90d, 12h, 30m or 45s; as long as before if left out.
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    lifetime: Option<TimeDelta>,
    /// Only say what would be renewed.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    authority: Authority,
}

/// Arguments of `sallyport certs revoke`.
#[derive(clap::Args)]
pub(super) struct Revoke {
    /// File name without extension, such as agency-hsi-user-rivera.
    #[arg(value_name = "NAME")]
    name: String,
    /// Why.
    #[arg(long, value_enum)]
    reason: Reason,
    #[command(flatten)]
    authority: Authority,
}

/// Why a certificate is revoked (RFC 5280).
#[derive(Clone, Copy, clap::ValueEnum)]
enum Reason {
    /// Somebody else has the key, or may have.
    KeyCompromise,
    /// The holder belongs to another agency now.
    AffiliationChanged,
    /// There is a new certificate.
    Superseded,
    /// The holder does not need it any more.
    CessationOfOperation,
    /// The holder may not have it any more.
    PrivilegeWithdrawn,
}

impl From<Reason> for RevocationReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::KeyCompromise => Self::KeyCompromise,
            Reason::AffiliationChanged => Self::AffiliationChanged,
            Reason::Superseded => Self::Superseded,
            Reason::CessationOfOperation => Self::CessationOfOperation,
            Reason::PrivilegeWithdrawn => Self::PrivilegeWithdrawn,
        }
    }
}

/// Lists what there is.
pub(super) fn show(arguments: &Show) -> Result<(), Failure> {
    let standing = arguments.authority.open()?.standing().map_err(|error| failed(&error))?;
    let now = Utc::now();
    if arguments.json {
        let all: Vec<_> = standing.iter().map(|one| as_json(one, now)).collect();
        println!("{}", terminal::json(&json!({ "certificates": all })));
        return Ok(());
    }
    let rows = standing.iter().map(|one| {
        vec![
            one.name.clone(),
            day(one.validity.not_before),
            day(one.half_life()),
            day(one.validity.not_after),
            (one.validity.not_after - now).num_days().to_string(),
            state(one, now),
            one.id.to_string(),
        ]
    });
    print_table(&["name", "valid from", "half life", "until", "days left", "state", "whose"], rows.collect());
    Ok(())
}

/// Issues anew what is due, or what is named.
pub(super) fn renew(arguments: &Renew) -> Result<(), Failure> {
    let authority = arguments.authority.open()?;
    let standing = authority.standing().map_err(|error| failed(&error))?;
    let now = Utc::now();
    let chosen: Vec<&Standing> = match arguments.names.as_slice() {
        [] => standing.iter().filter(|one| one.is_due(now) || (arguments.all && one.revoked.is_none())).collect(),
        names => names.iter().map(|name| named(&standing, name)).collect::<Result<_, _>>()?,
    };
    // Before any is issued.
    chosen.iter().try_for_each(|one| arguments.may_renew(one))?;
    for one in &chosen {
        if arguments.dry_run {
            println!("would renew {}, valid until {}", one.name, day(one.validity.not_after));
            continue;
        }
        authority.renew(one, arguments.lifetime, arguments.new_keys).map_err(|error| failed(&error))?;
        println!("renewed {}", one.name);
    }
    if chosen.is_empty() {
        println!("Nothing is past half its time.");
    }
    Ok(())
}

impl Renew {
    /// A certificate in the place of a revoked one gives back what was taken away, so a person must say it.
    fn may_renew(&self, one: &Standing) -> Result<(), Failure> {
        let Some((at, reason)) = one.revoked else { return Ok(()) };
        let fix = match reason {
            RevocationReason::KeyCompromise if self.new_keys => return Ok(()),
            RevocationReason::KeyCompromise => "somebody else may have its key: give `--new-keys`",
            _ if self.although_revoked => return Ok(()),
            _ => "if the holder is to have a certificate again, give `--although-revoked`",
        };
        let was = revoked(at, reason);
        Err(Failure::input("certificate_revoked", format!("{} was {was}; {fix}", one.name)))
    }
}

/// Revokes one; processes that read the list close its connections within seconds.
pub(super) fn revoke(arguments: &Revoke) -> Result<(), Failure> {
    let authority = arguments.authority.open()?;
    let standing = authority.standing().map_err(|error| failed(&error))?;
    let one = named(&standing, &arguments.name)?;
    if let Some((at, reason)) = one.revoked {
        println!("{} was {} already; nothing has changed", one.name, revoked(at, reason));
        return Ok(());
    }
    authority.revoke(&one.serial, arguments.reason.into()).map_err(|error| failed(&error))?;
    let list = arguments.authority.directory.join("authority.crl");
    println!("revoked {} in {}", one.name, list.display());
    Ok(())
}

fn named<'a>(standing: &'a [Standing], name: &str) -> Result<&'a Standing, Failure> {
    // Who completes the name in a shell names the file.
    let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or(name);
    standing.iter().find(|one| one.name == stem).ok_or_else(|| {
        let known: Vec<&str> = standing.iter().map(|one| one.name.as_str()).collect();
        Failure::input("certificate_unknown", format!("no certificate is called `{name}`; known: {}", known.join(", ")))
    })
}

fn state(one: &Standing, now: DateTime<Utc>) -> String {
    match &one.revoked {
        Some((at, reason)) => revoked(*at, *reason),
        None if now > one.validity.not_after => "expired".to_owned(),
        None if one.is_due(now) => "renew".to_owned(),
        None => "good".to_owned(),
    }
}

/// When, and why if that was said.
fn revoked(at: DateTime<Utc>, reason: RevocationReason) -> String {
    match reason_name(reason) {
        None => format!("revoked {}", day(at)),
        Some(reason) => format!("revoked {} ({reason})", day(at)),
    }
}

/// A reason as `--reason` takes it.
fn reason_name(reason: RevocationReason) -> Option<&'static str> {
    match reason {
        RevocationReason::Unspecified => None,
        RevocationReason::KeyCompromise => Some("key-compromise"),
        RevocationReason::AffiliationChanged => Some("affiliation-changed"),
        RevocationReason::Superseded => Some("superseded"),
        RevocationReason::CessationOfOperation => Some("cessation-of-operation"),
        RevocationReason::PrivilegeWithdrawn => Some("privilege-withdrawn"),
    }
}

fn as_json(one: &Standing, now: DateTime<Utc>) -> serde_json::Value {
    json!({
        "name": one.name,
        "id": one.id.to_string(),
        "not_before": one.validity.not_before.to_rfc3339(),
        "half_life": one.half_life().to_rfc3339(),
        "not_after": one.validity.not_after.to_rfc3339(),
        "days_left": (one.validity.not_after - now).num_days(),
        "due": one.is_due(now),
        "revoked": one.revoked.as_ref().map(|(at, _)| at.to_rfc3339()),
        "revoked_because": one.revoked.and_then(|(_, reason)| reason_name(reason)),
        "state": state(one, now),
    })
}

fn day(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%d %H:%M").to_string()
}

fn lifetime(text: &str) -> Result<TimeDelta, String> {
    let wrong = || format!("write a number and d, h, m or s, such as 90d; at most {LIFETIME_DAYS_MAX}d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let time = match unit {
        "d" => TimeDelta::try_days(number),
        "h" => TimeDelta::try_hours(number),
        "m" => TimeDelta::try_minutes(number),
        "s" => TimeDelta::try_seconds(number),
        _ => None,
    };
    let longest = TimeDelta::days(LIFETIME_DAYS_MAX);
    time.filter(|time| *time > TimeDelta::zero() && *time <= longest).ok_or_else(wrong)
}

fn failed(error: &DevelopmentCaError) -> Failure {
    match error {
        DevelopmentCaError::Absent { .. } => Failure::input("authority_absent", error.to_string()),
        _ => Failure::machine("the authority's directory cannot be used", error),
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn a_reason_is_shown_as_it_is_given() {
        for given in Reason::value_variants() {
            let name = given.to_possible_value().unwrap();
            assert_eq!(reason_name((*given).into()), Some(name.get_name()));
        }
    }

    #[test]
    fn a_lifetime_is_a_number_and_a_unit() {
        assert_eq!(lifetime("90d"), Ok(TimeDelta::days(90)));
        assert_eq!(lifetime("45s"), Ok(TimeDelta::seconds(45)));
        assert_eq!(lifetime("12h").ok(), lifetime("720m").ok());
        for wrong in ["", "d", "0s", "-1d", "90", "3651d", "9999999999999999d", "1w", "1é"] {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
