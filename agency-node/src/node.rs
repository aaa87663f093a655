//! What every question's way through a node needs, and who may walk it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use sallyport_proto::gateway::v1::federation_client::FederationClient;
use sallyport_trust::{
    clock::Clock,
    error::Refusal,
    guard::Guard,
    identity::{Identity, PeerChannel, Role, SpiffeId},
    policy::attribute,
    question::{AGE_MAX_MS, Asker, LocatorRange, QuestionId, ReplayGuard},
    witnessing::Witness,
};

use crate::{
    Config,
    books::Books,
    budget::OverBudget,
    consent::{KeptQuestions, ReleaseQueue},
    contribute::HIDDEN_AMONG_MIN,
    holdings::Holdings,
    identifier::IdentifierType,
    leads::Leads,
    linkage::{
        epochs::{Agreed, Epochs},
        oprf::Tag,
        tagging::Tagger,
    },
    patterns::PatternStore,
    receipt::Receipts,
    reveal::Revealing,
    watches::Watches,
};

/// A running node.
pub(crate) struct Node {
    pub(crate) agency: String,
    pub(crate) config: Config,
    pub(crate) identity: Arc<Identity>,
    pub(crate) guard: Guard,
    pub(crate) clock: Clock,
    pub(crate) witness: Arc<Witness>,
    pub(crate) receipts: Receipts,
    pub(crate) gateway: FederationClient<PeerChannel>,
    pub(crate) holdings: Holdings,
    pub(crate) patterns: PatternStore,
    pub(crate) books: Books,
    /// Others' questions that wait for people of this agency.
    pub(crate) releases: ReleaseQueue,
    /// Questions of this agency's people that owners hold.
    pub(crate) kept: KeptQuestions,
    /// Matches that people of this agency must act on.
    pub(crate) leads: Leads,
    /// Questions of this agency's people that stand.
    pub(crate) watches: Watches,
    pub(crate) replays: ReplayGuard,
    pub(crate) epochs: Epochs,
    pub(crate) settled: Mutex<Settled>,
    pub(crate) revealing: Revealing,
    lookups: Mutex<HashMap<QuestionId, (i64, Vec<Tag>)>>,
}

/// What a node keeps in its state directory.
pub(crate) struct State {
    pub(crate) holdings: Holdings,
    pub(crate) patterns: PatternStore,
    pub(crate) books: Books,
    pub(crate) epochs: Epochs,
    pub(crate) releases: ReleaseQueue,
    pub(crate) kept: KeptQuestions,
    pub(crate) leads: Leads,
    pub(crate) watches: Watches,
}

impl AsRef<Guard> for Node {
    fn as_ref(&self) -> &Guard {
        &self.guard
    }
}

/// How far the node has come since its start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settled {
    pub(crate) ready: bool,
    pub(crate) waiting_for: Vec<String>,
}

impl Node {
    pub(crate) fn new(
        config: Config,
        identity: Arc<Identity>,
        guard: Guard,
        witness: Arc<Witness>,
        gateway: FederationClient<PeerChannel>,
        state: State,
    ) -> Self {
        let clock = guard.clock().clone();
        Self {
            agency: config.agency.clone(),
            replays: ReplayGuard::new(clock.now_ms()),
            config,
            identity,
            guard,
            clock,
            witness,
            receipts: Receipts::default(),
            gateway,
            holdings: state.holdings,
            patterns: state.patterns,
            books: state.books,
            releases: state.releases,
            kept: state.kept,
            leads: state.leads,
            watches: state.watches,
            epochs: state.epochs,
            settled: Mutex::default(),
            revealing: Revealing::default(),
            lookups: Mutex::default(),
        }
    }

    /// True once every data set could be asked.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).ready
    }

    /// Refuses everyone but this federation's gateway.
    pub(crate) fn only_gateway(&self, peer: &SpiffeId) -> Result<(), Refusal> {
        if peer.role == Role::Gateway && peer.federation == self.identity.id().federation {
            return Ok(());
        }
        let refusal =
            Refusal::denied("wrong_role", "Only the federation's gateway may bring questions of other agencies.");
        Err(self.guard.turn_away(peer, refusal))
    }

    /// The person behind a client certificate, with the attributes this agency vouches for.
    pub(crate) fn person(&self, peer: &SpiffeId) -> Result<Asker, Refusal> {
        self.known_person(peer).map_err(|refusal| self.guard.turn_away(peer, refusal))
    }

    /// The attributes of one of the agency's people, who asks nothing now.
    pub(crate) fn colleague(&self, id: &SpiffeId) -> Option<Asker> {
        self.known_person(id).ok()
    }

    fn known_person(&self, peer: &SpiffeId) -> Result<Asker, Refusal> {
        let Role::User { agency, name } = &peer.role else {
            return Err(Refusal::denied("wrong_role", "Only people of the agency may ask at its node."));
        };
        if *agency != self.agency || peer.federation != self.identity.id().federation {
            return Err(Refusal::denied("wrong_agency", "Ask at the node of your own agency."));
        }
        let person = self.config.person.iter().find(|person| person.name == *name).ok_or_else(|| {
            Refusal::denied(
                "person_unknown",
                format!("`{name}` is not among the people of this node; its operator adds you as [[person]]."),
            )
        })?;
        let mut asker: Asker = person.attributes.clone();
        asker.insert(attribute::FEDERATION_ID.to_owned(), peer.to_string());
        asker.insert(attribute::AGENCY.to_owned(), self.agency.clone());
        Ok(asker)
    }

    /// The epoch that own questions are asked in.
    ///
    /// # Errors
    /// `epoch_not_agreed` while a member is missing.
    pub(crate) fn agreed(&self) -> Result<Arc<Agreed>, Refusal> {
        self.epochs.in_use()
    }

    /// Subjects of a type that have no tag yet in the epoch in use.
    pub(crate) fn untagged_count(&self, kind: IdentifierType) -> u64 {
        let tagged = self.agreed().map_or(0, |agreed| agreed.tags.tagged(kind));
        self.holdings.subject_count(kind).saturating_sub(tagged)
    }

    /// What tagging needs, once the epoch is agreed.
    pub(crate) fn tagger(&self, agreed: &Agreed) -> Tagger {
        Tagger {
            identity: self.identity.clone(),
            clock: self.clock.clone(),
            gateway: self.gateway.clone(),
            epoch_digest: agreed.digest,
            keys: agreed.keys.clone(),
            others: agreed.others.clone(),
            joined: self.joined(agreed),
        }
    }

    /// Places among the others of those who were not in the epoch that this one continues.
    fn joined(&self, agreed: &Agreed) -> Vec<usize> {
        let before = agreed.continues.and_then(|digest| self.epochs.with_digest(&digest));
        let Some(before) = before else { return Vec::new() };
        let others = agreed.others.iter().enumerate();
        others.filter(|(_, other)| !before.members.contains(other)).map(|(place, _)| place).collect()
    }

    /// This node's subjects in the ranges of a look-up, each range widened until it holds at least
    /// [`HIDDEN_AMONG_MIN`] of them: what is asked never narrows down to a few.
    pub(crate) fn hidden_among(&self, subject: IdentifierType, agreed: &Agreed, ranges: &[LocatorRange]) -> Vec<u32> {
        let Some(order) = agreed.order(subject) else { return Vec::new() };
        let mut subjects: Vec<u32> = Vec::new();
        for range in ranges {
            let (mut bits, mut prefix) = (range.bits.min(64), range.prefix);
            let mut hidden = order.range(bits, prefix);
            while hidden.len() < HIDDEN_AMONG_MIN && bits > 0 {
                bits -= 1;
                prefix >>= 1;
                hidden = order.range(bits, prefix);
            }
            subjects.extend_from_slice(hidden);
        }
        subjects.sort_unstable();
        subjects.dedup();
        subjects
    }

    /// Subjects of whom nothing more may be released for now.
    pub(crate) fn over_budget(&self) -> OverBudget {
        self.books.budgets.over(self.clock.now_ms())
    }

    /// Keeps a look-up's subjects until the gateway asks for them.
    pub(crate) fn keep_lookup(&self, question: QuestionId, tags: Vec<Tag>) {
        let now_ms = self.clock.now_ms();
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        lookups.retain(|_, (at_ms, _)| *at_ms >= now_ms - AGE_MAX_MS);
        lookups.insert(question, (now_ms, tags));
    }

    pub(crate) fn take_lookup(&self, question: &QuestionId) -> Option<Vec<Tag>> {
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        lookups.remove(question).map(|(_, tags)| tags)
    }

    /// Own subjects on the list of a look-up, in order of their numbers.
    ///
    /// # Errors
    /// `own_list_elsewhere` when the list is not at this node.
    pub(crate) fn looked_up(
        &self,
        subject: IdentifierType,
        agreed: &Agreed,
        question: &QuestionId,
    ) -> Result<Vec<u32>, Refusal> {
        let tags = self.take_lookup(question).ok_or_else(own_list_elsewhere)?;
        let Some(order) = agreed.order(subject) else { return Ok(Vec::new()) };
        let mut own: Vec<u32> = tags.into_iter().filter_map(|tag| order.subject(&agreed.locators, tag)).collect();
        own.sort_unstable();
        own.dedup();
        Ok(own)
    }
}

/// The list of a look-up stays at the home node.
pub(crate) fn own_list_elsewhere() -> Refusal {
    Refusal::denied("own_list_elsewhere", "The list of a look-up is at the node of the person who asks.")
}
