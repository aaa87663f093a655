//! The policy in force: read, tested, swapped in whole.
//!
//! A process starts with a policy that is complete and passes its own cases, or not at all. A reload
//! builds the new policy aside; whatever goes wrong, the old one stays in force.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::cases::CaseTable;
use super::engine::{self, Engine};
use super::files::PolicyFiles;
use super::rule::RuleBook;
use super::source::{PolicySource, Prepared, Provenance};
use super::supply::Supply;
use super::{Decision, PolicyError, Request, verdict};

/// The policy of one process.
pub struct PolicyStore {
    source: PolicySource,
    current: ArcSwap<InForce>,
}

struct InForce {
    policy: Policy,
    provenance: Provenance,
}

impl PolicyStore {
    /// Loads the policy of a plain directory. Blocks on reading the files and on running the cases.
    ///
    /// # Errors
    /// A [`PolicyError`] that names the file, rule or case and what to change.
    pub fn open(directory: &Path) -> Result<Self, PolicyError> {
        let source = PolicySource::directory(directory);
        let prepared = source.prepare()?;
        Self::start(source, prepared)
    }

    /// Begins with a policy that its source has prepared. The version of a signed policy is written down
    /// before it is in force.
    ///
    /// # Errors
    /// When that version may not be taken any more, or cannot be written down.
    pub fn start(source: PolicySource, prepared: Prepared) -> Result<Self, PolicyError> {
        source.record(&prepared)?;
        Ok(Self { source, current: ArcSwap::from_pointee(InForce::of(prepared)) })
    }

    /// Loads the policy again and puts it in force. Decisions meanwhile are made by the old policy; each
    /// is made by one policy as a whole.
    ///
    /// # Errors
    /// As [`open`](Self::open); the old policy then stays in force.
    pub fn reload(&self) -> Result<(), PolicyError> {
        self.put_in_force(self.source.prepare()?)
    }

    /// Puts in force what [`source`](Self::source) has prepared.
    ///
    /// # Errors
    /// As [`start`](Self::start); the old policy then stays in force.
    pub fn put_in_force(&self, prepared: Prepared) -> Result<(), PolicyError> {
        self.source.record(&prepared)?;
        self.current.store(Arc::new(InForce::of(prepared)));
        Ok(())
    }

    /// Where the policy comes from.
    pub fn source(&self) -> &PolicySource {
        &self.source
    }

    /// How the policy in force came.
    pub fn provenance(&self) -> Provenance {
        self.current.load().provenance.clone()
    }

    /// Decides one request. Does no I/O, reads no clock; the same request and policy give the same
    /// decision.
    pub fn decide(&self, request: &Request) -> Decision {
        self.current.load().policy.decide(request)
    }

    /// SHA-256 over the files of the policy in force, as 64 hexadecimal digits.
    pub fn policy_hash(&self) -> String {
        self.current.load().policy.hash().to_owned()
    }
}

impl std::fmt::Debug for PolicyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicyStore").field("policy_hash", &self.policy_hash()).finish_non_exhaustive()
    }
}

impl InForce {
    fn of(prepared: Prepared) -> Self {
        Self { policy: prepared.policy, provenance: prepared.provenance }
    }
}

/// One policy; never changed after it is built.
pub struct Policy {
    pub(super) engine: Engine,
    hash: Arc<str>,
}

impl Policy {
    /// Checks the texts, builds the evaluator and runs the cases.
    ///
    /// # Errors
    /// A [`PolicyError`] that names the file, rule or case and what to change.
    pub fn compile(files: &PolicyFiles) -> Result<Self, PolicyError> {
        let cases = CaseTable::parse(&files.cases)?;
        let policy = Self::untested(files)?;
        cases.run(|request| policy.decide(request))?;
        Ok(policy)
    }

    /// As [`compile`](Self::compile), without the cases: to find out why one of them fails. Nothing is put
    /// in force that was not tested.
    ///
    /// # Errors
    /// A [`PolicyError`] that names the file or rule and what to change.
    pub fn untested(files: &PolicyFiles) -> Result<Self, PolicyError> {
        if !engine::is_expected_model(&files.model) {
            return Err(PolicyError::ForeignModel);
        }
        files.schema.as_deref().map(Supply::parse).transpose()?;
        Ok(Self { engine: Engine::build(RuleBook::parse(&files.rules)?)?, hash: files.hash() })
    }

    /// Agencies whose data its rules name, without those that rules for everything speak of.
    pub fn owners(&self) -> BTreeSet<&str> {
        self.engine.book().rules().iter().flat_map(|rule| rule.scope.owners()).collect()
    }

    /// SHA-256 over the files, as 64 hexadecimal digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Decides one request. Does no I/O, reads no clock; the same request and policy give the same
    /// decision.
    pub fn decide(&self, request: &Request) -> Decision {
        verdict::decide(&self.engine, &self.hash, request)
    }
}
