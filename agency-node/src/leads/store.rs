//! Leads on the disk: each in a file of its own that holds its events, replaced whole. What a lead is
//! follows from them; after a crash it is the lead of before or of after an act.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rand::{TryRng, rngs::SysRng};
use sallyport_lead::{
    event::{Event, Sighting, What},
    invalid::Invalid,
    lead::Lead,
    people::Actor,
    playbook::Plan,
    ruling::{self, Clearance, Standing},
};
use sallyport_trust::error::{Kind, Refusal};
use serde::{Deserialize, Serialize};

use super::RaisedAs;
use crate::folder::Folder;

/// Leads that one agency keeps, closed ones included, and how many of them may be open.
const LEADS_MAX: usize = 50_000;
const OPEN_MAX: usize = 10_000;
/// Clearances that hold at a time, at most.
const CLEARANCES_MAX: usize = 10_000;
const DAMAGED: &str = "restore it from a backup, as a lead must not be lost";

/// A lead as it lies on the disk.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: String,
    events: Vec<Event>,
    /// Keys of the notices that went out.
    told: BTreeSet<String>,
}

/// All leads of the agency.
pub(super) struct Store {
    leads: Folder,
    clearances: Folder,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    leads: BTreeMap<String, Held>,
    clearances: BTreeMap<String, Clearance>,
}

/// A lead in memory.
struct Held {
    lead: Lead,
    told: BTreeSet<String>,
    /// It is closed and everybody was told: nothing becomes due until something happens to it.
    is_quiet: bool,
}

impl Store {
    /// Opens what is kept under `state`.
    ///
    /// # Errors
    /// When it cannot be read, or a file is damaged.
    pub(super) fn open(state: &Path) -> io::Result<Self> {
        let (leads, kept) = Folder::open::<Kept>(&state.join("leads"), DAMAGED)?;
        let (clearances, held) = Folder::open::<(String, Clearance)>(&state.join("clearances"), DAMAGED)?;
        let mut all = All { clearances: held.into_iter().collect(), ..All::default() };
        for Kept { id, events, told } in kept {
            let lead = Lead::replay(&id, events).map_err(|invalid| {
                io::Error::new(io::ErrorKind::InvalidData, format!("lead {id}: {invalid} Restore it from a backup."))
            })?;
            all.leads.insert(id, Held { lead, told, is_quiet: false });
        }
        Ok(Self { leads, clearances, all: Mutex::new(all) })
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All leads, oldest first.
    pub(super) fn list(&self) -> Vec<Lead> {
        let mut leads: Vec<Lead> = self.all().leads.values().map(|held| held.lead.clone()).collect();
        leads.sort_by(|a, b| (a.raised_ms(), &a.id).cmp(&(b.raised_ms(), &b.id)));
        leads
    }

    /// The leads that `wanted` picks, made into something smaller under the lock.
    pub(super) fn pick<T>(&self, wanted: impl FnMut(&Lead) -> Option<T>) -> Vec<T> {
        self.all().leads.values().map(|held| &held.lead).filter_map(wanted).collect()
    }

    pub(super) fn get(&self, id: &str) -> Result<Lead, Refusal> {
        self.all().leads.get(id).map(|held| held.lead.clone()).ok_or_else(unknown)
    }

    /// Makes a lead of a match, unless it is known or nothing; under one lock, so that two matches of the
    /// same subject never make two leads.
    pub(super) fn raise(&self, by: Actor, sighting: Sighting, plan: &Plan, now_ms: i64) -> Result<RaisedAs, Refusal> {
        let mut all = self.all();
        let leads = all.leads.values().map(|held| &held.lead);
        match ruling::standing(leads, all.clearances.values(), (&sighting, plan), now_ms) {
            Standing::Suppressed(until_ms) => Ok(RaisedAs::Suppressed(until_ms)),
            Standing::Known(id) => {
                self.see_again(&mut all, &id, by, (sighting, plan), now_ms)?;
                Ok(RaisedAs::Known(id))
            }
            Standing::New => {
                check_room(&all)?;
                let id = fresh_id(&all)?;
                let what = What::Raised { sighting, plan: Box::new(plan.clone()) };
                let lead = Lead::begin(&id, Event { at_ms: now_ms, by, what }).map_err(refusal)?;
                self.keep(&mut all, lead, BTreeSet::new())?;
                Ok(RaisedAs::New(id))
            }
        }
    }

    /// A match of an open lead is written down if it says something new; a full history stays as it is.
    fn see_again(
        &self,
        all: &mut All,
        id: &str,
        by: Actor,
        (sighting, plan): (Sighting, &Plan),
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let Some(Held { lead, told, .. }) = all.leads.get(id) else { return Ok(()) };
        if !lead.state.is_open() || !ruling::is_news(lead, (&sighting, plan)) {
            return Ok(());
        }
        let worse = ruling::is_worse(lead, plan).then(|| Box::new(plan.clone()));
        let event = Event { at_ms: now_ms.max(lead.changed_ms()), by, what: What::SeenAgain { sighting, plan: worse } };
        match lead.after(event) {
            Ok(after) => {
                let told = told.clone();
                self.keep(all, after, told).map(|_lead| ())
            }
            Err(Invalid::Full) => Ok(()),
            Err(invalid) => Err(refusal(invalid)),
        }
    }

    /// Lets something happen to a lead; durable when this returns.
    pub(super) fn act(&self, id: &str, by: Actor, what: What, now_ms: i64) -> Result<Lead, Refusal> {
        let mut all = self.all();
        let Held { lead, told, .. } = all.leads.get(id).ok_or_else(unknown)?;
        // A clock that was set back must not make a lead impossible to act on.
        let event = Event { at_ms: now_ms.max(lead.changed_ms()), by, what };
        let (after, told) = (lead.after(event).map_err(refusal)?, told.clone());
        self.keep(&mut all, after, told)
    }

    /// Remembers that notices went out.
    pub(super) fn told(&self, id: &str, keys: impl IntoIterator<Item = String>) -> Result<(), Refusal> {
        let mut all = self.all();
        let Held { lead, told, .. } = all.leads.get(id).ok_or_else(unknown)?;
        let (lead, mut told) = (lead.clone(), told.clone());
        told.extend(keys);
        self.keep(&mut all, lead, told).map(|_lead| ())
    }

    /// What `notices` makes of each lead, without those that went out; leads that have none are left out.
    pub(super) fn untold<T>(&self, key: impl Fn(&T) -> &str, notices: impl Fn(&Lead) -> Vec<T>) -> Vec<(Lead, Vec<T>)> {
        let mut all = self.all();
        let untold = all.leads.values_mut().filter(|held| !held.is_quiet).filter_map(|held| {
            let mut due = notices(&held.lead);
            due.retain(|notice| !held.told.contains(key(notice)));
            held.is_quiet = due.is_empty() && !held.lead.state.is_open();
            (!due.is_empty()).then(|| (held.lead.clone(), due))
        });
        untold.collect()
    }

    /// Subjects of a type of which a lawful exception is known, and since when.
    pub(super) fn cleared(&self, kind: &str, now_ms: i64) -> Vec<(i64, String)> {
        let all = self.all();
        let held = all.clearances.values().filter(|held| held.subject_kind == kind && held.until_ms > now_ms);
        held.map(|held| (held.at_ms, held.subject.clone())).collect()
    }

    /// Keeps a lawful exception that is known before any lead.
    pub(super) fn clear(&self, clearance: Clearance, now_ms: i64) -> Result<(), Refusal> {
        let mut all = self.all();
        all.clearances.retain(|id, held| held.until_ms > now_ms || self.clearances.remove(id).is_err());
        if all.clearances.len() >= CLEARANCES_MAX {
            return Err(full("clearances"));
        }
        let id = random_id()?;
        self.clearances.write(&id, &(&id, &clearance)).map_err(|error| Refusal::internal("lead_not_kept", &error))?;
        all.clearances.insert(id, clearance);
        Ok(())
    }

    fn keep(&self, all: &mut All, lead: Lead, told: BTreeSet<String>) -> Result<Lead, Refusal> {
        let kept = Kept { id: lead.id.clone(), events: lead.history().to_vec(), told };
        self.leads.write(&lead.id, &kept).map_err(|error| Refusal::internal("lead_not_kept", &error))?;
        all.leads.insert(lead.id.clone(), Held { lead: lead.clone(), told: kept.told, is_quiet: false });
        Ok(lead)
    }
}

fn check_room(all: &All) -> Result<(), Refusal> {
    let open = all.leads.values().filter(|held| held.lead.state.is_open()).count();
    if all.leads.len() >= LEADS_MAX || open >= OPEN_MAX { Err(full("leads")) } else { Ok(()) }
}

fn full(what: &str) -> Refusal {
    Refusal::new(
        Kind::Exhausted,
        "too_many_leads",
        format!("The node keeps too many {what}; conclude open leads, or raise the scores that playbooks begin at."),
    )
}

fn fresh_id(all: &All) -> Result<String, Refusal> {
    loop {
        let id = random_id()?;
        if !all.leads.contains_key(&id) {
            return Ok(id);
        }
    }
}

/// Eight hexadecimal digits: short enough to be read out over the radio.
fn random_id() -> Result<String, Refusal> {
    let mut id = [0; 4];
    TryRng::try_fill_bytes(&mut SysRng, &mut id).map_err(|error| Refusal::internal("no_randomness", &error))?;
    Ok(format!("{:08x}", u32::from_be_bytes(id)))
}

/// No lead has that id.
pub(super) fn unknown() -> Refusal {
    Refusal::new(
        Kind::NotFound,
        "lead_unknown",
        "No lead has that id; `sallyport lead list` shows those that there are.",
    )
}

pub(super) fn refusal(invalid: Invalid) -> Refusal {
    let kind = match &invalid {
        Invalid::Beginning | Invalid::Backwards => Kind::Internal,
        Invalid::Full => Kind::Exhausted,
        _ if invalid.is_about_person() => Kind::Denied,
        _ if invalid.is_about_words() => Kind::BadInput,
        _ => Kind::Conflict,
    };
    Refusal::new(kind, invalid.reason(), invalid.to_string())
}
