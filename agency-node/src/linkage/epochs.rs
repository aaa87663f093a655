//! Every epoch that a node takes part in: the one in use, the next, and those before.
//!
//! Own questions are asked in the epoch in use. Questions of others are answered in the epoch that they
//! name, as long as it is complete here, so that no question is lost while the members change one after
//! the other. Keys and tags of an epoch are reached through [`Agreed`] alone and never meet those of
//! another.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use sallyport_join::keys::{EpochSecret, Locators};
use sallyport_proto::node::v1::EpochProgress;
use sallyport_trust::error::{Kind, Refusal};
use tokio::sync::Notify;

use super::{
    course::{Change, Course, Plan},
    epoch::{self, Continued, Epoch, EpochError, Material, Terms},
    evaluate::Quota,
    oprf::{EpochKey, EpochKeys},
    progress::Reports,
    tags::{self, EpochTags, LocatorOrder},
};
use crate::identifier::IdentifierType;

/// An epoch, once every member has contributed.
pub(crate) struct Agreed {
    pub(crate) digest: [u8; 32],
    pub(crate) members: Vec<String>,
    pub(crate) secret: EpochSecret,
    pub(crate) locators: Locators,
    pub(crate) keys: Arc<EpochKeys>,
    /// The other members, in the order of their keys.
    pub(crate) others: Vec<String>,
    pub(crate) tags: EpochTags,
    /// Evaluations given with this node's key.
    pub(crate) quota: Arc<Quota>,
    /// Digest of the epoch that this one continues.
    pub(crate) continues: Option<[u8; 32]>,
    complete: AtomicBool,
}

impl Agreed {
    pub(crate) fn number(&self) -> u64 {
        self.keys.epoch()
    }

    /// Tagged subjects in the order of the epoch; nothing for a type that own data do not have.
    pub(crate) fn order(&self, kind: IdentifierType) -> Option<Arc<LocatorOrder>> {
        self.tags.order(kind, &self.locators)
    }

    /// True once every identifier had its tag.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    pub(crate) fn completed(&self) {
        self.complete.store(true, Ordering::Release);
    }
}

/// A node's epochs.
pub(crate) struct Epochs {
    state: PathBuf,
    federation: String,
    agency: String,
    evaluations_per_node: u64,
    course: Mutex<Course>,
    drafts: tokio::sync::Mutex<BTreeMap<u64, Epoch>>,
    agreed: ArcSwap<BTreeMap<u64, Arc<Agreed>>>,
    /// Counts by the epoch in which the key was drawn.
    quotas: Mutex<BTreeMap<u64, Arc<Quota>>>,
    pub(crate) reports: Reports,
    /// Told when there may be something to do for a change.
    pub(crate) news: Notify,
}

impl Epochs {
    /// Opens what is kept under `state`; `epoch` and `members` are those of the configuration.
    pub(crate) fn open(
        state: &Path,
        federation: &str,
        agency: &str,
        (epoch, members): (u64, &[String]),
        evaluations_per_node: u64,
    ) -> Result<Self, EpochError> {
        let course = Course::open(state, agency, epoch, members)?;
        let epochs = Self {
            state: state.to_owned(),
            federation: federation.to_owned(),
            agency: agency.to_owned(),
            evaluations_per_node,
            course: Mutex::new(course.clone()),
            drafts: tokio::sync::Mutex::default(),
            agreed: ArcSwap::default(),
            quotas: Mutex::default(),
            reports: Reports::default(),
            news: Notify::new(),
        };
        let mut drafts = BTreeMap::new();
        drafts.insert(course.in_use.epoch, epochs.draft(&course.in_use, None)?);
        for &number in &course.earlier {
            if let Some(earlier) = Epoch::reopen(state, federation, agency, number)? {
                drafts.insert(number, earlier);
            }
        }
        if let Some(next) = &course.next {
            let before = epochs.before(next, &drafts);
            drafts.insert(next.epoch, epochs.draft(next, before)?);
        }
        epochs.sweep(&course)?;
        Ok(Self { drafts: tokio::sync::Mutex::new(drafts), ..epochs })
    }

    /// Erases what a change that was given up has left behind.
    fn sweep(&self, course: &Course) -> Result<(), EpochError> {
        let kept = |number: &u64| {
            *number == course.in_use.epoch
                || course.earlier.contains(number)
                || course.next.as_ref().is_some_and(|next| next.epoch == *number)
        };
        for number in epoch::numbers(&self.state)?.into_iter().filter(|number| !kept(number)) {
            let left = Epoch::reopen(&self.state, &self.federation, &self.agency, number)?;
            let mut drafts = left.map(|left| (number, left)).into_iter().collect();
            if let Err(refusal) = self.erase(number, &mut drafts) {
                tracing::warn!(epoch = number, reason = refusal.reason, "what is left of an epoch cannot be erased");
            }
        }
        Ok(())
    }

    fn draft(&self, plan: &Plan, before: Option<Continued>) -> Result<Epoch, EpochError> {
        let terms = Terms {
            federation: self.federation.clone(),
            epoch: plan.epoch,
            members: plan.members.clone(),
            agency: self.agency.clone(),
            before,
        };
        Epoch::open(&self.state, terms)
    }

    /// The epoch in use, if the plan keeps its keys.
    fn before(&self, plan: &Plan, drafts: &BTreeMap<u64, Epoch>) -> Option<Continued> {
        let in_use = self.course().in_use.epoch;
        drafts.get(&in_use).filter(|_| plan.keeps_keys)?.continued()
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was decided, as it is now.
    pub(crate) fn plans(&self) -> Course {
        self.course().clone()
    }

    /// The epochs with their keys, for what has to be said about them.
    pub(crate) fn drafts(&self) -> &tokio::sync::Mutex<BTreeMap<u64, Epoch>> {
        &self.drafts
    }

    /// True while an epoch is in use or about to be: what was begun for another is in vain.
    pub(crate) fn is_wanted(&self, number: u64) -> bool {
        let course = self.course();
        course.in_use.epoch == number || course.next.as_ref().is_some_and(|next| next.epoch == number)
    }

    /// The epoch with this number, if it is agreed.
    pub(crate) fn agreed(&self, number: u64) -> Option<Arc<Agreed>> {
        self.agreed.load().get(&number).cloned()
    }

    /// The epoch that own questions are asked in.
    ///
    /// # Errors
    /// `epoch_not_agreed` while a member is missing.
    pub(crate) fn in_use(&self) -> Result<Arc<Agreed>, Refusal> {
        let number = self.course().in_use.epoch;
        self.agreed(number).ok_or_else(not_agreed)
    }

    /// Refuses while there is no epoch to do anything in.
    ///
    /// # Errors
    /// `epoch_not_agreed`.
    pub(crate) fn any_agreed(&self) -> Result<(), Refusal> {
        if self.agreed.load().is_empty() { Err(not_agreed()) } else { Ok(()) }
    }

    /// The agreed epoch with this digest.
    pub(crate) fn with_digest(&self, digest: &[u8]) -> Option<Arc<Agreed>> {
        self.agreed.load().values().find(|agreed| agreed.digest == digest).cloned()
    }

    /// The epoch in which a member asks for evaluations.
    ///
    /// # Errors
    /// `epoch_not_agreed` while there is none; `epoch_differs` when it is not known here, or the asking
    /// agency is no member of it.
    pub(crate) fn evaluating(&self, from: &str, digest: &[u8]) -> Result<Arc<Agreed>, Refusal> {
        self.any_agreed()?;
        let agreed = self.with_digest(digest).ok_or_else(differs)?;
        if agreed.members.iter().any(|member| member == from) { Ok(agreed) } else { Err(differs()) }
    }

    /// The epoch that a question of `home` names, if questions are answered in it here.
    ///
    /// # Errors
    /// As [`Epochs::evaluating`], and `epoch_not_complete` while identifiers are tagged.
    pub(crate) fn answering(&self, home: &str, digest: &[u8]) -> Result<Arc<Agreed>, Refusal> {
        let agreed = self.evaluating(home, digest)?;
        if self.course().next.as_ref().is_some_and(|next| next.epoch == agreed.number()) && !agreed.is_complete() {
            return Err(Refusal::new(
                Kind::Unavailable,
                "epoch_not_complete",
                format!("This node still tags its identifiers for epoch {}; ask again later.", agreed.number()),
            ));
        }
        Ok(agreed)
    }

    /// Begins what an operator wants.
    ///
    /// # Errors
    /// A [`Refusal`] that says what does not fit.
    pub(crate) async fn begin(&self, change: &Change, number: Option<u64>) -> Result<(), Refusal> {
        let mut drafts = self.drafts.lock().await;
        let mut course = self.plans();
        if matches!(change, Change::Add(_)) && self.agreed(course.in_use.epoch).is_none() {
            return Err(not_agreed());
        }
        let replaced = course.next.clone();
        let plan = course.begin(&self.agency, change, number)?;
        let before = self.before(&plan, &drafts);
        // The number is taken before its keys are drawn, and the keys before anybody is told.
        self.keep(course)?;
        let draft = self.draft(&plan, before).map_err(|error| Refusal::internal("epoch_not_kept", &error))?;
        drafts.insert(plan.epoch, draft);
        if let Some(replaced) = replaced {
            self.drop_unless_complete(replaced.epoch, &mut drafts)?;
        }
        self.news.notify_one();
        Ok(())
    }

    /// Drops an epoch that was to come. Once it is complete here, others may use it already: then their
    /// questions are answered until everybody is further.
    fn drop_unless_complete(&self, number: u64, drafts: &mut BTreeMap<u64, Epoch>) -> Result<(), Refusal> {
        if self.agreed(number).is_some_and(|agreed| agreed.is_complete()) {
            let mut course = self.plans();
            course.earlier.push(number);
            return self.keep(course);
        }
        self.erase(number, drafts)
    }

    /// Gives up the next epoch.
    ///
    /// # Errors
    /// `epoch_not_begun` when there is none.
    pub(crate) async fn give_up(&self) -> Result<(), Refusal> {
        let mut drafts = self.drafts.lock().await;
        let mut course = self.plans();
        let next = course
            .next
            .take()
            .ok_or_else(|| Refusal::new(Kind::Conflict, "epoch_not_begun", "No new epoch is being prepared here."))?;
        self.keep(course)?;
        self.drop_unless_complete(next.epoch, &mut drafts)
    }

    /// Takes an epoch that every member has contributed to, with the tags that are kept for it. Blocks
    /// while they are read.
    ///
    /// # Errors
    /// When what is kept cannot be used.
    pub(crate) fn settle(
        &self,
        Material { agreed, tag_key, terms, keyed_since, continues }: Material,
        subjects: Vec<(IdentifierType, u64)>,
    ) -> Result<Arc<Agreed>, Refusal> {
        let unusable = |error: &dyn std::fmt::Display| Refusal::internal("epoch_unusable", error);
        let own = EpochKey::from_bytes(&tag_key).map_err(|error| unusable(&error))?;
        let (others, keys) = agreed.peer_keys.into_iter().unzip();
        let keys = EpochKeys::new(terms.epoch, own, keys).map_err(|error| unusable(&error))?;
        let tags = EpochTags::open(&self.state, &agreed.digest, subjects)
            .map_err(|error| Refusal::internal("tags_unusable", &error))?;
        let agreed = Arc::new(Agreed {
            digest: agreed.digest,
            members: terms.members,
            locators: Locators::new(&agreed.secret),
            secret: agreed.secret,
            keys: Arc::new(keys),
            others,
            tags,
            quota: self.quota(keyed_since)?,
            continues,
            complete: AtomicBool::new(false),
        });
        self.agreed.rcu(|all| {
            let mut all = BTreeMap::clone(all);
            all.insert(agreed.number(), agreed.clone());
            all
        });
        Ok(agreed)
    }

    fn quota(&self, keyed_since: u64) -> Result<Arc<Quota>, Refusal> {
        let mut quotas = self.quotas.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(quota) = quotas.get(&keyed_since) {
            return Ok(quota.clone());
        }
        let directory = self.state.join("quota").join(keyed_since.to_string());
        let quota = Quota::open(directory, self.evaluations_per_node)
            .map_err(|error| Refusal::internal("quota_not_kept", &error))?;
        let quota = Arc::new(quota);
        quotas.insert(keyed_since, quota.clone());
        Ok(quota)
    }

    /// Uses the next epoch from now on; durable when this returns.
    ///
    /// # Errors
    /// When it cannot be written; then nothing has changed.
    pub(crate) fn switch(&self, number: u64) -> Result<(), Refusal> {
        let mut course = self.plans();
        if course.next.as_ref().is_some_and(|next| next.epoch == number) {
            course.switch();
            self.keep(course)?;
            tracing::info!(epoch = number, "a new epoch is in use");
        }
        Ok(())
    }

    /// Digests of the earlier epochs.
    pub(crate) fn earlier(&self) -> Vec<[u8; 32]> {
        self.plans().earlier.iter().filter_map(|&number| Some(self.agreed(number)?.digest)).collect()
    }

    /// Forgets the keys and tags of every earlier epoch.
    ///
    /// # Errors
    /// When a file cannot be written or removed; what is left is tried again.
    pub(crate) async fn forget_earlier(&self) -> Result<(), Refusal> {
        let mut drafts = self.drafts.lock().await;
        let mut course = self.plans();
        for number in std::mem::take(&mut course.earlier) {
            self.erase(number, &mut drafts)?;
            tracing::info!(epoch = number, "keys and tags of an earlier epoch erased");
        }
        self.reports.forget_before(course.in_use.epoch);
        self.keep(course)
    }

    /// Erases keys and tags, never those of an epoch that is in use or about to be.
    fn erase(&self, number: u64, drafts: &mut BTreeMap<u64, Epoch>) -> Result<(), Refusal> {
        if self.is_wanted(number) {
            return Ok(());
        }
        let failed = |error: std::io::Error| Refusal::internal("epoch_not_erased", &error);
        let digest = drafts.get(&number).and_then(Epoch::agreed).map(|agreed| agreed.digest);
        self.agreed.rcu(|all| {
            let mut all = BTreeMap::clone(all);
            all.remove(&number);
            all
        });
        drafts.remove(&number);
        if let Some(digest) = digest {
            tags::erase(&self.state, &digest).map_err(failed)?;
        }
        epoch::erase(&self.state, number).map_err(failed)
    }

    fn keep(&self, course: Course) -> Result<(), Refusal> {
        course.save(&self.state).map_err(|error| Refusal::internal("epoch_not_kept", &error))?;
        *self.course() = course;
        Ok(())
    }

    /// How far this node is with an epoch, of so many subjects.
    pub(crate) fn progress(&self, number: u64, subjects: u64) -> EpochProgress {
        let agreed = self.agreed(number);
        let tagged = agreed.as_ref().map_or(0, |agreed| agreed.tags.tagged_total().min(subjects));
        let in_use = self.course().in_use.epoch;
        EpochProgress {
            federation: self.federation.clone(),
            epoch: number,
            agency: self.agency.clone(),
            epoch_digest: agreed.as_ref().map(|agreed| agreed.digest.to_vec()).unwrap_or_default(),
            tagged_thousandths: (tagged * 1_000).checked_div(subjects).unwrap_or(1_000) as u32,
            complete: agreed.is_some_and(|agreed| agreed.is_complete()),
            in_use: in_use == number,
        }
    }
}

fn not_agreed() -> Refusal {
    Refusal::new(
        Kind::Unavailable,
        "epoch_not_agreed",
        "The nodes have not agreed on the epoch yet; every member must be up once. Try again shortly.",
    )
}

/// What is asked belongs to an epoch that this node does not know.
fn differs() -> Refusal {
    Refusal::new(
        Kind::Conflict,
        "epoch_differs",
        "The nodes were told different things about this epoch, or it is over; compare `sallyport epoch show` at all \
         of them.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keys_in_use_are_never_erased() {
        let state = tempfile::tempdir().unwrap();
        let members = ["cbp".to_owned(), "hsi".to_owned()];
        let epochs = Epochs::open(state.path(), "border.example", "hsi", (1, &members), 100).unwrap();
        epochs.begin(&Change::NewKeys, None).await.unwrap();
        let mut drafts = epochs.drafts().lock().await;
        for number in [1, 2] {
            epochs.erase(number, &mut drafts).unwrap();
            assert!(drafts.contains_key(&number));
        }
        drop(drafts);
        assert_eq!(epoch::numbers(state.path()).unwrap().len(), 2);
        epochs.give_up().await.unwrap();
        assert_eq!(epoch::numbers(state.path()).unwrap(), [1]);
    }
}
