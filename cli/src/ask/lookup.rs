//! Who is looked up, and the question that stands for "who holds these?" when no file says otherwise.

use std::path::PathBuf;

use sallyport_proto::{
    common::v1::{DatasetDescription, Outcome},
    gateway::v1::NodeCatalog,
};
use sallyport_trust::question::{INDICATORS_MAX, Indicator, LOOKUP_MAX, Measure, Question, Why, Window};

use crate::failure::Failure;

const DEADLINE_MS: u32 = 20_000;
const WEIGHT_THOUSANDTHS: u32 = 1_000;

/// Identifiers by their types, as they stand on the command line.
#[derive(clap::Args)]
pub(crate) struct Identifiers {
    /// A phone number. A look-up takes more of the same type: repeat it then. So with the others.
    #[arg(long, value_name = "NUMBER")]
    phone: Vec<String>,
    /// STATE-NUMBER.
    #[arg(long, value_name = "PLATE")]
    plate: Vec<String>,
    #[arg(long, value_name = "VIN")]
    vin: Vec<String>,
    /// COUNTRY-NUMBER.
    #[arg(long, value_name = "PASSPORT")]
    passport: Vec<String>,
    #[arg(long, value_name = "NUMBER")]
    container: Vec<String>,
    #[arg(long, value_name = "NUMBER")]
    usdot: Vec<String>,
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
}

/// What of a look-up stands on the command line: who is looked up instead of ranking everyone, and why.
#[derive(clap::Args)]
pub(crate) struct LookUpArguments {
    #[command(flatten)]
    named: Identifiers,
    /// Look up the identifiers in this file, one a line; the question's file says of which type.
    #[arg(long, value_name = "FILE")]
    lookup_file: Option<PathBuf>,
    /// Why, in the words that policies know. A question's file says it itself; so with the next two.
    #[arg(long)]
    purpose: Option<String>,
    /// The case it belongs to.
    #[arg(long = "case")]
    case_number: Option<String>,
    /// Why, in your own words.
    #[arg(long, default_value = "")]
    reason: String,
}

impl LookUpArguments {
    /// All identifiers, which must be of the question's type.
    pub(super) fn identifiers(&self, subject: &str) -> Result<Vec<String>, Failure> {
        let other = self.named.by_type().into_iter().find(|(kind, given)| *kind != subject && !given.is_empty());
        if let Some((kind, _)) = other {
            return Err(Failure::input(
                "lookup_type",
                format!("the question is about a {subject}, and --{kind} names something else"),
            ));
        }
        let mut identifiers: Vec<String> =
            self.named.by_type().into_iter().flat_map(|(_, given)| given.clone()).collect();
        if let Some(file) = &self.lookup_file {
            let lines = super::read(file)?;
            identifiers.extend(lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
        }
        if identifiers.len() > LOOKUP_MAX {
            return Err(Failure::input("lookup_too_long", format!("a look-up takes at most {LOOKUP_MAX} identifiers")));
        }
        Ok(identifiers)
    }

    /// A look-up without a question's file.
    pub(super) fn without_file(&self) -> Result<LookUp, Failure> {
        let [subject] = self.types()[..] else {
            return Err(Failure::input(
                "nothing_asked",
                "name a question's file, or identifiers of one type to look up, such as --phone NUMBER",
            ));
        };
        Ok(LookUp { subject, why: self.why()?, identifiers: self.identifiers(subject)? })
    }

    /// Identifiers for a question that stands elsewhere, and of which type they were said to be, if any.
    pub(crate) fn typed(&self) -> Result<(&'static str, Vec<String>), Failure> {
        let subject = self.types().first().copied().unwrap_or_default();
        Ok((subject, self.identifiers(subject)?))
    }

    /// Why it is asked.
    pub(crate) fn why(&self) -> Result<Why, Failure> {
        let (Some(purpose), Some(case_number)) = (&self.purpose, &self.case_number) else {
            return Err(Failure::input(
                "purpose_missing",
                "say why with --purpose and --case, as the policies of all owners decide by them",
            ));
        };
        Ok(Why { purpose: purpose.clone(), case_number: case_number.clone(), reason: self.reason.clone() })
    }

    fn types(&self) -> Vec<&'static str> {
        self.named.by_type().into_iter().filter(|(_, given)| !given.is_empty()).map(|(kind, _)| kind).collect()
    }
}

impl Identifiers {
    /// The only identifier that is named, and its type.
    pub(crate) fn one(self) -> Result<(&'static str, String), Failure> {
        let mut given =
            self.by_type().into_iter().flat_map(|(kind, given)| given.iter().map(move |identifier| (kind, identifier)));
        let (Some((subject, identifier)), None) = (given.next(), given.next()) else {
            return Err(Failure::input("one_subject", "name one identifier of the subject, such as --phone NUMBER"));
        };
        Ok((subject, identifier.clone()))
    }

    fn by_type(&self) -> [(&'static str, &Vec<String>); 7] {
        [
            ("phone", &self.phone),
            ("plate", &self.plate),
            ("vin", &self.vin),
            ("passport", &self.passport),
            ("container", &self.container),
            ("usdot", &self.usdot),
            ("device", &self.device),
        ]
    }
}

/// Who holds these?
pub(super) struct LookUp {
    subject: &'static str,
    why: Why,
    identifiers: Vec<String>,
}

impl LookUp {
    /// The question to every data set of the catalog that has the identifier, by presence.
    pub(super) fn question(self, catalog: &[NodeCatalog]) -> Result<(Question, Vec<String>), Failure> {
        let subject = self.subject;
        let answered = catalog.iter().filter(|node| node.outcome() == Outcome::Answered);
        let indicators: Vec<Indicator> =
            answered.flat_map(|node| &node.datasets).flat_map(|dataset| indicators(dataset, subject)).collect();
        if indicators.is_empty() {
            return Err(Failure::input("no_dataset", format!("no data set that you may ask knows a {subject}")));
        }
        if indicators.len() > INDICATORS_MAX {
            return Err(Failure::input(
                "indicator_count",
                format!("more than {INDICATORS_MAX} data sets know a {subject}: choose in a question's file"),
            ));
        }
        let question = Question {
            title: format!("Who holds this {subject}?"),
            subject: subject.to_owned(),
            indicators,
            window: Window::default(),
            minimum_datasets: 2,
            top: self.identifiers.len().max(1) as u32,
            purpose: self.why.purpose,
            case_number: self.why.case_number,
            reason: self.why.reason,
            deadline_ms: DEADLINE_MS,
            rank_contacts: false,
        };
        Ok((question, self.identifiers))
    }
}

fn indicators(dataset: &DatasetDescription, subject: &str) -> Vec<Indicator> {
    let fitting = dataset.identifiers.iter().filter(|identifier| identifier.r#type == subject);
    let indicators = fitting.map(|identifier| Indicator {
        dataset: dataset.name.clone(),
        identifier: identifier.name.clone(),
        filter: Vec::new(),
        measure: Measure::Presence,
        weight_thousandths: WEIGHT_THOUSANDTHS,
        required: false,
        name: String::new(),
        window: Window::default(),
        contact: String::new(),
        both_ways: false,
        relation: None,
        tally: None,
    });
    indicators.collect()
}
