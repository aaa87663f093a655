//! Which epoch is in use at this node, which comes next, and which went before: what an operator decides
//! and what must survive a restart.
//!
//! A number is begun once and never again, so that no two sets of keys share it. The file is written
//! before anything is done by it. No keys are in here, and nobody is spoken with.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use sallyport_trust::error::{Kind, Refusal};
use serde::{Deserialize, Serialize};

use super::{epoch::EpochError, oprf::MAX_NODES};

/// How far a new number may lie beyond the highest: a mistyped one would use up all numbers below it.
const JUMP_MAX: u64 = 1_000;

/// An epoch as an operator names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    pub(crate) epoch: u64,
    /// Sorted.
    pub(crate) members: Vec<String>,
    /// Members of the epoch in use keep their keys, as none of them leaves.
    pub(crate) keeps_keys: bool,
}

/// What an operator may want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    NewKeys,
    Add(String),
    Remove(String),
}

/// The epochs of a node, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Course {
    pub(crate) in_use: Plan,
    pub(crate) next: Option<Plan>,
    /// Numbers of epochs before the one in use that other nodes may still ask in.
    pub(crate) earlier: Vec<u64>,
    /// The highest number that was ever begun.
    pub(crate) highest: u64,
}

impl Course {
    /// Reads what is kept under `state` and compares it with the configuration: that names the first
    /// epoch, and may name the next one.
    pub(crate) fn open(state: &Path, agency: &str, epoch: u64, members: &[String]) -> Result<Self, EpochError> {
        let path = file_of(state);
        let failed = |error: io::Error| EpochError::File { path: path.clone(), kind: error.kind() };
        let kept = match fs::read(&path) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|_| EpochError::Damaged { path: path.clone() })?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let first = || Self {
            in_use: Plan { epoch, members: members.to_vec(), keeps_keys: false },
            next: None,
            earlier: Vec::new(),
            highest: epoch,
        };
        let is_new = kept.is_none();
        let mut course: Self = kept.unwrap_or_else(first);
        let changed = course.configured(agency, epoch, members)?;
        if is_new || changed {
            course.save(state).map_err(failed)?;
        }
        Ok(course)
    }

    /// Takes up what the configuration says beyond what is known; true if that is something new.
    fn configured(&mut self, agency: &str, epoch: u64, members: &[String]) -> Result<bool, EpochError> {
        if let Some(known) = [Some(&self.in_use), self.next.as_ref()].into_iter().flatten().find(|p| p.epoch == epoch) {
            if known.members == members {
                return Ok(false);
            }
            let members = known.members.join(", ");
            return Err(EpochError::Course(format!(
                "the members of epoch {epoch} are {members}; name these, or a higher epoch with other members"
            )));
        }
        if epoch < self.in_use.epoch {
            tracing::info!(configured = epoch, in_use = self.in_use.epoch, "a later epoch is in use than configured");
            return Ok(false);
        }
        self.begin_with(agency, members.to_vec(), Some(epoch))
            .map(|_| true)
            .map_err(|refusal| EpochError::Course(refusal.message))
    }

    /// Begins the next epoch. What is prepared already is given up for another number alone, which an
    /// operator must name.
    ///
    /// # Errors
    /// A [`Refusal`] that says what does not fit.
    pub(crate) fn begin(&mut self, agency: &str, change: &Change, epoch: Option<u64>) -> Result<Plan, Refusal> {
        if let (Some(prepared), None) = (&self.next, epoch) {
            return Err(being_prepared(prepared.epoch));
        }
        let mut members = self.in_use.members.clone();
        match change {
            Change::NewKeys => {}
            Change::Add(joining) if members.contains(joining) => {
                return Err(refused("member_known", format!("`{joining}` is a member already.")));
            }
            Change::Add(joining) => members.push(joining.clone()),
            Change::Remove(leaving) if leaving == agency => {
                return Err(refused(
                    "member_own",
                    "A node does not remove itself: stop it, and let the operators of the others remove it.".to_owned(),
                ));
            }
            Change::Remove(leaving) => {
                members.retain(|member| member != leaving);
                if members.len() == self.in_use.members.len() {
                    return Err(refused("member_unknown", format!("`{leaving}` is no member.")));
                }
            }
        }
        members.sort_unstable();
        self.begin_with(agency, members, epoch)
    }

    fn begin_with(&mut self, agency: &str, members: Vec<String>, epoch: Option<u64>) -> Result<Plan, Refusal> {
        if !(2..=MAX_NODES).contains(&members.len()) || !members.iter().any(|member| member == agency) {
            return Err(refused(
                "member_count",
                format!("An epoch has 2 to {MAX_NODES} members, and `{agency}` is one of them."),
            ));
        }
        let epoch = self.number(epoch)?;
        let stays = |member: &String| members.contains(member);
        let keeps_keys = members.len() > self.in_use.members.len() && self.in_use.members.iter().all(stays);
        let plan = Plan { epoch, members, keeps_keys };
        self.next = Some(plan.clone());
        self.highest = epoch;
        Ok(plan)
    }

    /// The number of a new epoch: the next one, or one that is named and was never begun.
    fn number(&self, named: Option<u64>) -> Result<u64, Refusal> {
        let next = self.highest.checked_add(1).ok_or_else(|| {
            refused(
                "epoch_numbers_used_up",
                "The highest number there is was begun; no epoch can follow it.".to_owned(),
            )
        })?;
        let last = self.highest.saturating_add(JUMP_MAX);
        let epoch = named.unwrap_or(next);
        if epoch < next {
            return Err(refused(
                "epoch_number_taken",
                format!("Epoch {epoch} was begun before and cannot begin again; name {next} or a higher one."),
            ));
        }
        if epoch > last {
            return Err(refused(
                "epoch_number_too_high",
                format!("Epoch {epoch} lies far beyond those begun so far; name one from {next} to {last}."),
            ));
        }
        Ok(epoch)
    }

    /// Uses the next epoch; the one in use until now becomes an earlier one.
    pub(crate) fn switch(&mut self) {
        if let Some(next) = self.next.take() {
            self.earlier.push(std::mem::replace(&mut self.in_use, next).epoch);
        }
    }

    /// Writes aside, syncs and renames.
    pub(crate) fn save(&self, state: &Path) -> io::Result<()> {
        let path = file_of(state);
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        let aside = path.with_extension("new");
        let mut out = fs::File::create(&aside)?;
        out.write_all(&serde_json::to_vec_pretty(self)?)?;
        out.sync_all()?;
        fs::rename(&aside, &path)?;
        fs::File::open(directory)?.sync_all()
    }
}

fn file_of(state: &Path) -> PathBuf {
    state.join("epochs").join("course.json")
}

fn being_prepared(epoch: u64) -> Refusal {
    refused(
        "epoch_being_prepared",
        format!(
            "Epoch {epoch} is being prepared already; `sallyport epoch show` tells how far it is. Give it up with \
             `sallyport epoch cancel` first, or name the number of another one with --number."
        ),
    )
}

fn refused(reason: &str, message: String) -> Refusal {
    Refusal::new(Kind::Conflict, reason, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn open(state: &Path, epoch: u64, members: &[&str]) -> Result<Course, EpochError> {
        Course::open(state, "hsi", epoch, &names(members))
    }

    #[test]
    fn a_change_survives_a_restart_and_the_configuration_may_lag_behind() {
        let state = tempfile::tempdir().unwrap();
        let mut course = open(state.path(), 1, &["cbp", "hsi"]).unwrap();
        let plan = course.begin("hsi", &Change::Add("acme".to_owned()), None).unwrap();
        assert_eq!(plan, Plan { epoch: 2, members: names(&["acme", "cbp", "hsi"]), keeps_keys: true });
        course.save(state.path()).unwrap();
        assert_eq!(open(state.path(), 1, &["cbp", "hsi"]).unwrap(), course);
        course.switch();
        course.save(state.path()).unwrap();
        let reopened = open(state.path(), 1, &["cbp", "hsi"]).unwrap();
        assert_eq!((reopened.in_use.epoch, &reopened.earlier[..], &reopened.next), (2, &[1][..], &None));
        assert!(open(state.path(), 2, &["cbp", "hsi"]).is_err(), "epoch 2 has other members");
        assert!(open(state.path(), 2, &["acme", "cbp", "hsi"]).is_ok());
    }

    #[test]
    fn the_configuration_may_name_the_next_epoch() {
        let state = tempfile::tempdir().unwrap();
        open(state.path(), 1, &["cbp", "hsi"]).unwrap();
        let course = open(state.path(), 5, &["cbp", "hsi"]).unwrap();
        assert_eq!(course.in_use.epoch, 1, "until it is complete, the old one answers");
        assert_eq!(course.next, Some(Plan { epoch: 5, members: names(&["cbp", "hsi"]), keeps_keys: false }));
        assert!(open(state.path(), 4, &["cbp", "hsi"]).is_err(), "below what was begun");
    }

    #[test]
    fn members_who_leave_take_the_keys_with_them() {
        let state = tempfile::tempdir().unwrap();
        let mut course = open(state.path(), 1, &["acme", "cbp", "hsi"]).unwrap();
        let mut begin = |change| {
            course.next = None;
            course.begin("hsi", &change, None)
        };
        assert!(!begin(Change::Remove("acme".to_owned())).unwrap().keeps_keys);
        assert!(!begin(Change::NewKeys).unwrap().keeps_keys);
        let reason = |answer: Result<Plan, Refusal>| answer.unwrap_err().reason;
        assert_eq!(reason(begin(Change::Remove("hsi".to_owned()))), "member_own");
        assert_eq!(reason(begin(Change::Remove("fbi".to_owned()))), "member_unknown");
        assert_eq!(reason(begin(Change::Add("cbp".to_owned()))), "member_known");
        let mut two = open(tempfile::tempdir().unwrap().path(), 1, &["cbp", "hsi"]).unwrap();
        assert_eq!(reason(two.begin("hsi", &Change::Remove("cbp".to_owned()), None)), "member_count");
    }

    #[test]
    fn no_number_is_begun_twice() {
        let state = tempfile::tempdir().unwrap();
        let mut course = open(state.path(), 1, &["cbp", "hsi"]).unwrap();
        assert_eq!(course.begin("hsi", &Change::NewKeys, Some(7)).unwrap().epoch, 7);
        course.next = None;
        assert_eq!(course.begin("hsi", &Change::NewKeys, Some(7)).unwrap_err().reason, "epoch_number_taken");
        assert_eq!(course.begin("hsi", &Change::NewKeys, None).unwrap().epoch, 8);
    }

    #[test]
    fn a_number_far_off_is_refused_and_takes_nothing_away() {
        let state = tempfile::tempdir().unwrap();
        let mut course = open(state.path(), 1, &["cbp", "hsi"]).unwrap();
        for far in [1_002, u64::MAX] {
            let refusal = course.begin("hsi", &Change::NewKeys, Some(far)).unwrap_err();
            assert_eq!(refusal.reason, "epoch_number_too_high");
            assert!(refusal.message.contains("from 2 to 1001"), "{}", refusal.message);
        }
        assert_eq!(course, open(state.path(), 1, &["cbp", "hsi"]).unwrap());
        assert!(open(state.path(), u64::MAX, &["cbp", "hsi"]).is_err(), "the configuration is no way round it");
        assert_eq!(course.begin("hsi", &Change::NewKeys, Some(1_001)).unwrap().epoch, 1_001);
    }

    #[test]
    fn after_the_last_number_none_is_begun_again() {
        let state = tempfile::tempdir().unwrap();
        let mut course = open(state.path(), u64::MAX, &["cbp", "hsi"]).unwrap();
        for number in [None, Some(u64::MAX)] {
            let refusal = course.begin("hsi", &Change::NewKeys, number).unwrap_err();
            assert_eq!(refusal.reason, "epoch_numbers_used_up");
        }
        assert_eq!((course.in_use.epoch, course.next), (u64::MAX, None));
    }

    #[test]
    fn what_is_prepared_is_given_up_for_a_number_that_is_named_alone() {
        let state = tempfile::tempdir().unwrap();
        let mut course = open(state.path(), 1, &["cbp", "hsi"]).unwrap();
        course.begin("hsi", &Change::NewKeys, None).unwrap();
        let prepared = course.clone();
        for change in [Change::NewKeys, Change::Add("acme".to_owned())] {
            let refusal = course.begin("hsi", &change, None).unwrap_err();
            assert_eq!(refusal.reason, "epoch_being_prepared");
            assert!(refusal.message.starts_with("Epoch 2 "), "{}", refusal.message);
            assert_eq!(course, prepared);
        }
        assert_eq!(course.begin("hsi", &Change::NewKeys, Some(5)).unwrap().epoch, 5);
    }
}
