//! The books that a node keeps of what it gave away: budgets, awaited accounts, disclosures.
//! All of them lie under the node's state directory and survive a crash.

use std::io;

use sallyport_trust::error::Refusal;

use crate::{
    Config,
    awaited::{Awaited, Contribution, Released},
    budget::Budgets,
    disclosure::{Disclosure, Disclosures, Written},
    period::Period,
};

/// What 5 U.S.C. 552a(c) asks for at least; five years hold two leap days at most.
pub(crate) const KEPT_BY_LAW: Period = Period::days(5 * 365 + 2);

/// Everything that is counted or written down for others to check.
pub(crate) struct Books {
    pub(crate) budgets: Budgets,
    pub(crate) awaited: Awaited,
    pub(crate) disclosures: Disclosures,
}

impl Books {
    /// Opens all of them and finishes what a crash interrupted.
    ///
    /// # Errors
    /// When one cannot be read or written, or is damaged.
    pub(crate) fn open(config: &Config, now_ms: i64) -> io::Result<Self> {
        let (awaited, interrupted) = Awaited::open(&config.state.join("awaited"))?;
        let keep = config.disclosures.keep;
        if keep < KEPT_BY_LAW {
            tracing::warn!("disclosures are kept for {keep} only; 5 U.S.C. 552a(c) asks for five years");
        }
        let books = Self {
            budgets: Budgets::open(&config.state.join("budgets"), config.budget.clone(), now_ms)?,
            awaited,
            disclosures: Disclosures::open(&config.state, keep)?,
        };
        for contribution in interrupted {
            books.finish(&contribution).map_err(|refusal| io::Error::other(refusal.message))?;
            tracing::info!(question = %contribution.question(), "finished an account that was interrupted");
        }
        Ok(books)
    }

    /// Writes down what an account told: first what is needed to finish after a crash, then budgets, then
    /// disclosures. All of it is durable when this returns.
    ///
    /// # Errors
    /// When something cannot be written; it is then finished at the next start.
    pub(crate) fn write_down(
        &self,
        contribution: Contribution,
        released: Released,
    ) -> Result<Option<Written>, Refusal> {
        let contribution = contribution.told(released);
        self.awaited.keep(&contribution)?;
        self.finish(&contribution)
    }

    /// Done twice around a crash, it may count a score twice, and never too little.
    fn finish(&self, contribution: &Contribution) -> Result<Option<Written>, Refusal> {
        let Some(released) = contribution.released.as_ref().filter(|released| !released.about.is_empty()) else {
            self.awaited.forget(contribution)?;
            return Ok(None);
        };
        let question = (&contribution.question(), contribution.gist);
        self.budgets.release(question, &released.about, released.at_ms)?;
        let disclosure = Disclosure {
            at_ms: released.at_ms,
            dataset: contribution.dataset.clone(),
            question: contribution.question().to_string(),
            asker: contribution.asker.clone(),
            agency: contribution.agency.clone(),
            purpose: contribution.purpose.clone(),
            case_number: contribution.case_number.clone(),
            reason: contribution.reason.clone(),
            nature: contribution.nature.clone(),
            rows: contribution.rows.clone(),
        };
        let written = self
            .disclosures
            .record(&disclosure, &released.about, released.keep_until_ms)
            .map_err(|error| Refusal::internal("disclosure_not_kept", &error))?;
        self.awaited.forget(contribution)?;
        Ok(Some(written))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sallyport_trust::question::QuestionId;

    use super::*;
    use crate::{about::About, awaited::tests::contribution, budget::Budget, identifier::IdentifierType};

    const ANA: About = About::Subject(IdentifierType::Phone, 4);

    fn open(state: &Path) -> Books {
        let (awaited, interrupted) = Awaited::open(&state.join("awaited")).unwrap();
        let budgets = vec![Budget::Subject { scores: 2, period: Period::days(1) }];
        let books = Books {
            budgets: Budgets::open(&state.join("budgets"), budgets, 2_000).unwrap(),
            awaited,
            disclosures: Disclosures::open(state, Period::days(30)).unwrap(),
        };
        interrupted.iter().for_each(|contribution| drop(books.finish(contribution).unwrap()));
        books
    }

    fn released() -> Released {
        Released { at_ms: 2_000, keep_until_ms: None, about: vec![ANA] }
    }

    /// Whatever step a crash comes after, the score is counted, disclosed, and no longer awaited.
    #[test]
    fn an_account_that_a_crash_interrupts_is_finished_at_the_next_start() {
        type Step = fn(&Books, &Contribution);
        let steps: [(Step, bool); 4] = [
            (|_, _| {}, false),
            (|books, told| books.budgets.release((&told.question(), None), &[ANA], 2_000).unwrap(), true),
            (|books, told| drop(books.finish(told).unwrap()), false),
            (
                |books, told| {
                    books.finish(told).unwrap();
                    books.awaited.keep(told).unwrap();
                },
                true,
            ),
        ];
        for (number, (step, counts_twice)) in (1..).zip(steps) {
            let folder = tempfile::tempdir().unwrap();
            let books = open(folder.path());
            let told = contribution(number).told(released());
            books.awaited.keep(&told).unwrap();
            step(&books, &told);
            drop(books);
            let books = open(folder.path());
            assert_eq!(books.awaited.take(QuestionId([number; 32]), 0), None);
            let disclosed = books.disclosures.read_for_test(ANA, 3_000);
            assert_eq!(disclosed.len(), 1, "step {number}");
            assert_eq!((disclosed[0].asker.as_str(), disclosed[0].at_ms), ("spiffe://f/agency/cbp/user/ana", 2_000));
            assert_eq!(books.budgets.over(3_000).holds(ANA), counts_twice, "step {number}");
            books.budgets.release((&QuestionId([99; 32]), None), &[ANA], 3_000).unwrap();
            assert!(books.budgets.over(3_000).holds(ANA));
        }
    }

    #[test]
    fn an_account_of_nothing_discloses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let books = open(folder.path());
        books.awaited.expect(contribution(1)).unwrap();
        let taken = books.awaited.take(QuestionId([1; 32]), 0).unwrap();
        let nothing = Released { about: Vec::new(), ..released() };
        assert_eq!(books.write_down(taken, nothing).unwrap(), None);
        assert!(books.disclosures.read_for_test(ANA, 3_000).is_empty());
        assert_eq!(open(folder.path()).awaited.take(QuestionId([1; 32]), 0), None);
    }
}
