//! This node's parts in questions whose accounts have not come yet.
//!
//! The gateway tells which rows were released after the answer, so until then the node keeps, on its own
//! disk, who asked what and why. A crash loses none of it: what had not been accounted for is awaited
//! again, and what had been told but not yet written down everywhere is finished at the next start.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use sallyport_trust::{
    error::{Kind, Refusal},
    policy::attribute,
    question::{Indicator, OpenedIndicator, OpenedQuestion, QuestionId, Window, words},
};
use serde::{Deserialize, Serialize};

use crate::{about::About, disk};

/// Parts awaited at a time; a gateway that accounts for none is not answered any more.
const AWAITED_MAX: usize = 10_000;
/// How long after its question's deadline an account may still come; a gateway takes ten seconds for it.
const PATIENCE_MS: i64 = 15_000;

/// One part of a question that this node answered, as its accounting needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contribution {
    question: [u8; 32],
    /// Digest of the epoch that it was asked in.
    #[serde(default)]
    pub(crate) epoch: [u8; 32],
    pub(crate) part: usize,
    /// When it was answered.
    at_ms: i64,
    deadline_ms: u32,
    /// Type of identifier, a person, or counts of nobody in particular.
    pub(crate) subject: String,
    pub(crate) minimum_datasets: u32,
    pub(crate) dataset: String,
    /// Federation Id of the person who asked.
    pub(crate) asker: String,
    pub(crate) agency: String,
    pub(crate) purpose: String,
    pub(crate) case_number: String,
    pub(crate) reason: String,
    /// What sort of score it is.
    pub(crate) nature: String,
    /// Which of the subject's rows took part, in words.
    #[serde(default)]
    pub(crate) rows: String,
    /// Of a standing question: see [`OpenedQuestion::gist`].
    #[serde(default)]
    pub(crate) gist: Option<[u8; 32]>,
    /// Absent until the account has come.
    pub(crate) released: Option<Released>,
}

/// What an account told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Released {
    pub(crate) at_ms: i64,
    /// Until when the disclosures must be kept; without end when absent.
    pub(crate) keep_until_ms: Option<i64>,
    pub(crate) about: Vec<About>,
}

impl Contribution {
    /// The part of a question as it is answered now; nothing for a list of the own person's.
    pub(crate) fn of(question: &OpenedQuestion, index: usize, now_ms: i64) -> Option<Self> {
        let header = &question.header;
        // Written by another agency, and to be shown here.
        let line = |text: &str| text.chars().filter(|character| !character.is_control()).collect::<String>();
        let (indicator, related) = match question.indicators.get(&index)? {
            OpenedIndicator::Dataset(indicator) => (indicator, false),
            OpenedIndicator::Link(link) => (&link.indicator, true),
            OpenedIndicator::OwnList => return None,
        };
        Some(Self {
            question: question.id.0,
            epoch: header.epoch_digest,
            part: index,
            at_ms: now_ms,
            deadline_ms: header.deadline_ms,
            subject: header.subject.clone(),
            minimum_datasets: header.minimum_datasets,
            dataset: indicator.dataset.clone(),
            asker: header.asker.get(attribute::FEDERATION_ID).map(|id| line(id)).unwrap_or_default(),
            agency: line(&header.home_agency),
            purpose: line(&header.purpose),
            case_number: line(&header.case_number),
            reason: line(&header.reason),
            nature: nature(indicator, related, header.is_lookup()),
            rows: rows(indicator, header.window),
            gist: question.gist(index),
            released: None,
        })
    }

    /// The same with what its account told.
    pub(crate) fn told(self, released: Released) -> Self {
        Self { released: Some(released), ..self }
    }

    pub(crate) fn question(&self) -> QuestionId {
        QuestionId(self.question)
    }

    fn name(&self) -> String {
        format!("{}-{}", self.question(), self.part)
    }

    fn is_overdue(&self, now_ms: i64) -> bool {
        now_ms > self.at_ms.saturating_add(i64::from(self.deadline_ms)).saturating_add(PATIENCE_MS)
    }
}

fn nature(indicator: &Indicator, related: bool, looked_up: bool) -> String {
    if indicator.tally.is_some() {
        return "count of events".to_owned();
    }
    let how = if related { " in relation to other events" } else { "" };
    let whom = if looked_up { "a subject looked up" } else { "a subject ranked among all" };
    format!("match score of {whom}, by {}{how}", indicator.measure.name())
}

/// With the subject and the data set this says which rows they are.
fn rows(indicator: &Indicator, window: Window) -> String {
    let (filter, window) = (words::filter(&indicator.filter), words::window(window.and(indicator.window)));
    match indicator.identifier.as_str() {
        "" => format!("{filter}, {window}"),
        identifier => format!("{filter}, {window}, by its identifier {identifier}"),
    }
}

/// Contributions that are awaited, and where they are kept.
pub(crate) struct Awaited {
    directory: PathBuf,
    waiting: Mutex<HashMap<(QuestionId, usize), Contribution>>,
}

impl Awaited {
    /// Reads what was left, and gives back what a crash kept from being written down everywhere.
    ///
    /// # Errors
    /// When the directory cannot be used, or a file in it is damaged.
    pub(crate) fn open(directory: &Path) -> io::Result<(Self, Vec<Contribution>)> {
        disk::create_directory(directory)?;
        let (mut waiting, mut interrupted) = (HashMap::new(), Vec::new());
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_some() {
                // A crash came before it had its name.
                disk::remove(&path)?;
                continue;
            }
            let contribution: Contribution =
                serde_json::from_slice(&fs::read(&path)?).map_err(|_| disk::damaged("a file of awaited accounts"))?;
            match &contribution.released {
                Some(_) => interrupted.push(contribution),
                None => drop(waiting.insert((contribution.question(), contribution.part), contribution)),
            }
        }
        Ok((Self { directory: directory.to_owned(), waiting: Mutex::new(waiting) }, interrupted))
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<(QuestionId, usize), Contribution>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Awaits an account; durable when this returns.
    ///
    /// # Errors
    /// `too_many_unaccounted`, or `awaited_not_kept`; nothing may leave then.
    pub(crate) fn expect(&self, contribution: Contribution) -> Result<(), Refusal> {
        if self.waiting().len() >= AWAITED_MAX {
            return Err(Refusal::new(
                Kind::Exhausted,
                "too_many_unaccounted",
                "Too many answers of this node were not accounted for by the gateway; ask again in some minutes.",
            ));
        }
        self.keep(&contribution)?;
        self.put_back(contribution);
        Ok(())
    }

    /// The contribution that an account is about, once.
    pub(crate) fn take(&self, question: QuestionId, part: usize) -> Option<Contribution> {
        self.waiting().remove(&(question, part))
    }

    /// Awaits what was taken after all: its account could not be written down.
    pub(crate) fn put_back(&self, contribution: Contribution) {
        self.waiting().insert((contribution.question(), contribution.part), contribution);
    }

    /// Keeps a contribution as it is; durable when this returns.
    ///
    /// # Errors
    /// `awaited_not_kept`.
    pub(crate) fn keep(&self, contribution: &Contribution) -> Result<(), Refusal> {
        let failed = |error: &dyn std::fmt::Display| Refusal::internal("awaited_not_kept", error);
        let bytes = serde_json::to_vec(contribution).map_err(|error| failed(&error))?;
        disk::replace(&self.directory.join(contribution.name()), &bytes).map_err(|error| failed(&error))
    }

    /// It is accounted for, or will never be.
    ///
    /// # Errors
    /// `awaited_not_kept`.
    pub(crate) fn forget(&self, contribution: &Contribution) -> Result<(), Refusal> {
        disk::remove(&self.directory.join(contribution.name()))
            .map_err(|error| Refusal::internal("awaited_not_kept", &error))
    }

    /// True while an account of a question in this epoch may come.
    pub(crate) fn awaits(&self, epoch: &[u8; 32]) -> bool {
        self.waiting().values().any(|contribution| contribution.epoch == *epoch)
    }

    /// Takes those whose account should have come long since.
    pub(crate) fn take_overdue(&self, now_ms: i64) -> Vec<Contribution> {
        self.waiting().extract_if(|_, contribution| contribution.is_overdue(now_ms)).map(|(_, one)| one).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::identifier::IdentifierType;

    /// A part of question `number` that was answered at the moment 1,000.
    pub(crate) fn contribution(number: u8) -> Contribution {
        Contribution {
            question: [number; 32],
            epoch: [9; 32],
            part: 0,
            at_ms: 1_000,
            deadline_ms: 5_000,
            subject: "phone".to_owned(),
            minimum_datasets: 2,
            dataset: "hsi.calls".to_owned(),
            asker: "spiffe://f/agency/cbp/user/ana".to_owned(),
            agency: "cbp".to_owned(),
            purpose: "border-security".to_owned(),
            case_number: "C-1".to_owned(),
            reason: "a \"seizure\"\nat Laredo".to_owned(),
            nature: "match score of a subject ranked among all, by presence".to_owned(),
            rows: "all rows, at any time".to_owned(),
            gist: None,
            released: None,
        }
    }

    #[test]
    fn a_restart_awaits_what_was_awaited_and_finishes_what_was_told() {
        let folder = tempfile::tempdir().unwrap();
        let (awaited, interrupted) = Awaited::open(folder.path()).unwrap();
        assert!(interrupted.is_empty());
        (1..=3).for_each(|number| awaited.expect(contribution(number)).unwrap());
        let about = vec![About::Subject(IdentifierType::Phone, 4)];
        let released = Released { at_ms: 2_000, keep_until_ms: Some(3_000), about };
        let told = awaited.take(QuestionId([1; 32]), 0).unwrap().told(released);
        assert_eq!(awaited.take(QuestionId([1; 32]), 0), None, "an account is taken once");
        awaited.keep(&told).unwrap();
        awaited.forget(&awaited.take(QuestionId([2; 32]), 0).unwrap()).unwrap();
        // What a crash left before it had its name.
        fs::write(folder.path().join("half.new"), "{").unwrap();
        drop(awaited);
        let (awaited, interrupted) = Awaited::open(folder.path()).unwrap();
        assert_eq!(interrupted, [told]);
        assert_eq!(awaited.take(QuestionId([2; 32]), 0), None);
        assert_eq!(awaited.take(QuestionId([3; 32]), 0), Some(contribution(3)));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn an_account_is_overdue_some_time_after_the_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let (awaited, _) = Awaited::open(folder.path()).unwrap();
        awaited.expect(contribution(1)).unwrap();
        assert!(awaited.awaits(&[9; 32]) && !awaited.awaits(&[8; 32]));
        assert!(awaited.take_overdue(21_000).is_empty());
        assert_eq!(awaited.take_overdue(21_001), [contribution(1)]);
        assert!(awaited.take_overdue(21_001).is_empty() && !awaited.awaits(&[9; 32]));
    }
}
