//! What a node holds: its data sets, prepared to be asked, and the subjects they are about.
//!
//! Every read for a question asks for a [`Permit`]. Nothing in here leaves the node: neither rows nor
//! identifiers nor subject numbers can be serialised to the wire.

mod events;
mod place;
mod prepare;
mod records;
mod refresh;
mod scan;
mod source;
mod subjects;
mod tally;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, UInt32Type};
use datafusion::{
    error::DataFusionError,
    logical_expr::{col, lit},
    prelude::{ParquetReadOptions, SessionConfig, SessionContext},
};
use records::Builder;
use sallyport_trust::{
    error::{Kind, Refusal},
    policy::Permit,
};

pub(crate) use events::{EventScan, Events, NEVER, NOBODY};
pub(crate) use place::CELL;
pub(crate) use prepare::{Manifest, TIME};
pub(crate) use records::{Described, RECORD, RecordKey, Records};
pub(crate) use refresh::Seen;
pub(crate) use scan::{Held, Holding, Scan};
pub(crate) use subjects::Subjects;
pub(crate) use tally::{Counted, Counting, PLACES_MAX};

use crate::{
    dataset::Dataset,
    identifier::{Canonical, IdentifierType},
    linkage::{
        oprf::Tag,
        tags::{EpochTags, Tags},
    },
    pseudonym::PseudonymKey,
};

/// Threads that one scan may use.
const SCAN_PARTITIONS: usize = 2;

/// Why holdings cannot be opened, prepared or scanned.
#[derive(Debug, thiserror::Error)]
pub enum HoldingsError {
    /// A source file cannot be used.
    #[error("{path}: {problem}")]
    Source {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The node's own state cannot be read or written.
    #[error("the state directory cannot be used ({0}): check space and permissions")]
    State(io::Error),
    /// The files are being read.
    #[error("the node is still reading its data sets; ask again shortly")]
    Preparing,
    /// The engine failed.
    #[error("the data engine failed: {0}")]
    Engine(String),
    /// No such data set.
    #[error("there is no data set `{0}`; `sallyport catalog` lists those you may ask")]
    UnknownDataset(String),
    /// The identifier does not fit the question's subject.
    #[error("{0}")]
    Identifier(String),
    /// More events than one question may look at.
    #[error("the question looks at more than 50 million events of one data set; narrow its window or filter")]
    TooMany,
    /// Events cannot be counted that way.
    #[error("{problem}")]
    Uncountable {
        /// Stable.
        reason: &'static str,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A filter names what is not declared.
    #[error("`{dataset}` has no attribute `{attribute}` to filter on; there are: {declared}")]
    UnknownAttribute {
        /// The data set.
        dataset: String,
        /// As the question names it.
        attribute: String,
        /// All that are declared.
        declared: String,
    },
    /// The strength of events is asked of what is no decimal.
    #[error("the attribute `{attribute}` is {kind} and no decimal, so it holds no strength of events")]
    StrengthType {
        /// The attribute.
        attribute: String,
        /// Its declared type.
        kind: &'static str,
    },
    /// A filter compares with a value of another type.
    #[error("the attribute `{attribute}` is compared with a value that is no {kind}")]
    ValueType {
        /// The attribute.
        attribute: String,
        /// Its declared type.
        kind: &'static str,
    },
}

impl HoldingsError {
    fn state(error: io::Error) -> Self {
        Self::State(error)
    }
}

impl From<DataFusionError> for HoldingsError {
    fn from(error: DataFusionError) -> Self {
        Self::Engine(error.to_string())
    }
}

impl From<HoldingsError> for Refusal {
    fn from(error: HoldingsError) -> Self {
        match &error {
            HoldingsError::Preparing => Refusal::new(Kind::Unavailable, "preparing", error.to_string()),
            HoldingsError::UnknownDataset(_) => Refusal::new(Kind::NotFound, "dataset_unknown", error.to_string()),
            HoldingsError::Identifier(_) => Refusal::bad_input("identifier_unknown", error.to_string()),
            HoldingsError::UnknownAttribute { .. } => Refusal::bad_input("attribute_unknown", error.to_string()),
            HoldingsError::Uncountable { reason: reason @ "counts_undeclared", .. } => {
                Refusal::new(Kind::Denied, reason, error.to_string())
            }
            HoldingsError::Uncountable { reason, .. } => Refusal::new(Kind::Exhausted, reason, error.to_string()),
            HoldingsError::TooMany => Refusal::new(Kind::Exhausted, "too_many_events", error.to_string()),
            HoldingsError::StrengthType { .. } => Refusal::bad_input("strength_type", error.to_string()),
            HoldingsError::ValueType { .. } => Refusal::bad_input("filter_value_type", error.to_string()),
            _ => Refusal::internal("holdings_failed", &error),
        }
    }
}

/// A node's data sets and subjects.
pub(crate) struct Holdings {
    state: PathBuf,
    datasets: Vec<Dataset>,
    session: SessionContext,
    /// What records are called in answers.
    pub(crate) pseudonyms: PseudonymKey,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    subjects: BTreeMap<IdentifierType, Subjects>,
    manifests: HashMap<String, Manifest>,
    /// Read when they are first asked for.
    records: HashMap<String, Arc<Records>>,
    /// Numbers of records of data sets that change, so that a number never means somebody else.
    numbering: HashMap<String, Builder>,
}

impl Holdings {
    /// Opens what is kept under `state`; nothing is read from the sources yet.
    pub(crate) fn open(state: &Path, datasets: Vec<Dataset>) -> Result<Self, HoldingsError> {
        let directory = state.join("subjects");
        let mut subjects = BTreeMap::new();
        for kind in datasets.iter().flat_map(Dataset::subject_types) {
            if let std::collections::btree_map::Entry::Vacant(place) = subjects.entry(kind) {
                place.insert(Subjects::open(&directory, kind).map_err(HoldingsError::state)?);
            }
        }
        let config = SessionConfig::new().with_target_partitions(SCAN_PARTITIONS);
        Ok(Self {
            state: state.to_owned(),
            datasets,
            session: SessionContext::new_with_config(config),
            pseudonyms: PseudonymKey::open(state).map_err(HoldingsError::state)?,
            inner: Arc::new(Mutex::new(Inner {
                subjects,
                manifests: HashMap::new(),
                records: HashMap::new(),
                numbering: HashMap::new(),
            })),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes every data set ready; those whose source has not changed are not read again. Until it is
    /// done nothing can be asked, and everything that does not need the data goes on.
    pub(crate) async fn prepare(&self) -> Result<(), HoldingsError> {
        let (inner, state, datasets) = (self.inner.clone(), self.state.clone(), self.datasets.clone());
        let work = tokio::task::spawn_blocking(move || {
            let lock = || inner.lock().unwrap_or_else(PoisonError::into_inner);
            // Taken out, so that no caller waits for the lock while files are read.
            let mut subjects = std::mem::take(&mut lock().subjects);
            let prepared = datasets.iter().try_for_each(|dataset| {
                let mut numbering = Builder::default();
                let manifest = prepare::prepare(&state, dataset, &mut subjects, &mut numbering)?;
                prepare::sweep(&state, dataset, &[&manifest.fingerprint]).map_err(HoldingsError::state)?;
                manifest.tell(&dataset.name);
                let mut inner = lock();
                inner.manifests.insert(dataset.name.clone(), manifest);
                inner.records.remove(&dataset.name);
                if dataset.live {
                    inner.numbering.insert(dataset.name.clone(), numbering);
                }
                Ok(())
            });
            lock().subjects = subjects;
            prepared
        });
        work.await.map_err(|error| HoldingsError::Engine(error.to_string()))?
    }

    pub(crate) fn datasets(&self) -> &[Dataset] {
        &self.datasets
    }

    pub(crate) fn dataset(&self, name: &str) -> Result<&Dataset, HoldingsError> {
        self.datasets
            .iter()
            .find(|dataset| dataset.name == name)
            .ok_or_else(|| HoldingsError::UnknownDataset(name.to_owned()))
    }

    /// What is known of a prepared data set.
    pub(crate) fn manifest(&self, dataset: &str) -> Option<Manifest> {
        self.inner().manifests.get(dataset).cloned()
    }

    /// Who is in the data set, how often and how lately.
    pub(crate) async fn fold(&self, _permit: &Permit, name: &str, scan: &Scan<'_>) -> Result<Holding, HoldingsError> {
        let dataset = self.dataset(name)?;
        let kind = dataset
            .identifier
            .iter()
            .find(|identifier| identifier.name == scan.identifier)
            .map(|identifier| identifier.kind)
            .ok_or_else(|| HoldingsError::Identifier(format!("`{name}` has no identifier `{}`.", scan.identifier)))?;
        let subjects = self.inner().subjects.get(&kind).map(Subjects::count).ok_or(HoldingsError::Preparing)?;
        let plan = scan::plan(self.frame(dataset).await?, dataset, scan)?;
        scan::fold(plan, dataset, scan, subjects).await
    }

    /// Which records are in the data set, how often and how lately.
    pub(crate) async fn fold_records(
        &self,
        permit: &Permit,
        name: &str,
        scan: &Scan<'_>,
    ) -> Result<(Arc<Records>, Holding), HoldingsError> {
        let dataset = self.dataset(name)?;
        let frame = self.frame(dataset).await?;
        let records = self.records(permit, dataset).await?;
        let scan = Scan { identifier: RECORD, within: None, ..*scan };
        let plan = scan::plan(frame, dataset, &scan)?;
        let holding = scan::fold(plan, dataset, &scan, records.count()).await?;
        Ok((records, holding))
    }

    /// The records of a prepared data set.
    pub(crate) async fn records(&self, _permit: &Permit, dataset: &Dataset) -> Result<Arc<Records>, HoldingsError> {
        if let Some(records) = self.inner().records.get(&dataset.name) {
            return Ok(records.clone());
        }
        let folder = self.folder(dataset)?;
        let reading = tokio::task::spawn_blocking(move || Records::open(&folder));
        let read = reading.await.map_err(|error| HoldingsError::Engine(error.to_string()))?;
        let records = Arc::new(read.map_err(HoldingsError::state)?);
        self.inner().records.insert(dataset.name.clone(), records.clone());
        Ok(records)
    }

    /// Single events, for behaviour and relations.
    pub(crate) async fn events(
        &self,
        _permit: &Permit,
        name: &str,
        wanted: &EventScan<'_>,
    ) -> Result<Events, HoldingsError> {
        let dataset = self.dataset(name)?;
        let plan = events::plan(self.frame(dataset).await?, dataset, wanted)?;
        events::collect(plan, dataset, wanted).await
    }

    /// How many events there are, by place and period.
    pub(crate) async fn count(
        &self,
        _permit: &Permit,
        name: &str,
        wanted: &Counting<'_>,
    ) -> Result<Counted, HoldingsError> {
        let dataset = self.dataset(name)?;
        // What is not allowed is refused before anything is read.
        let counts = tally::declared(dataset, wanted)?;
        let plan = tally::plan(self.frame(dataset).await?, dataset, counts, wanted)?;
        tally::collect(plan, wanted).await
    }

    /// Where the data set lies as it is now.
    fn folder(&self, dataset: &Dataset) -> Result<PathBuf, HoldingsError> {
        let manifest = self.manifest(&dataset.name).ok_or(HoldingsError::Preparing)?;
        Ok(prepare::folder(&self.state, dataset, &manifest.fingerprint))
    }

    async fn frame(&self, dataset: &Dataset) -> Result<datafusion::dataframe::DataFrame, HoldingsError> {
        let folder = self.folder(dataset)?;
        let path = folder.join("part-0.parquet");
        Ok(self.session.read_parquet(path.display().to_string(), ParquetReadOptions::default()).await?)
    }

    /// The newest outcome label of own subjects.
    pub(crate) async fn labels(
        &self,
        _permit: &Permit,
        kind: IdentifierType,
        subjects: &[u32],
    ) -> Result<HashMap<u32, String>, HoldingsError> {
        let mut newest: HashMap<u32, (i64, String)> = HashMap::new();
        for dataset in self.datasets.iter().filter(|dataset| dataset.label.is_some() && !subjects.is_empty()) {
            for identifier in dataset.identifier.iter().filter(|identifier| identifier.kind == kind) {
                let column = prepare::subject_column(&identifier.name);
                let wanted = subjects.iter().map(|&subject| lit(subject)).collect();
                let condition = col(column.as_str()).in_list(wanted, false).and(col(prepare::LABEL).is_not_null());
                let mut columns = vec![column.as_str(), prepare::LABEL];
                columns.extend(dataset.time.iter().map(|_| prepare::TIME));
                let rows = self.frame(dataset).await?.filter(condition)?.select_columns(&columns)?.collect().await?;
                for batch in rows {
                    let numbers = batch.column(0).as_primitive::<UInt32Type>();
                    let labels = arrow::compute::cast(batch.column(1), &arrow::datatypes::DataType::Utf8)
                        .map_err(|error| HoldingsError::Engine(error.to_string()))?;
                    let labels = labels.as_string::<i32>();
                    let times = batch.columns().get(2).map(|times| times.as_primitive::<Int64Type>());
                    for row in 0..batch.num_rows() {
                        let moment = times.map_or(i64::MIN, |times| times.value(row));
                        let entry = newest.entry(numbers.value(row)).or_insert((i64::MIN, String::new()));
                        if moment >= entry.0 {
                            *entry = (moment, labels.value(row).to_owned());
                        }
                    }
                }
            }
        }
        Ok(newest.into_iter().map(|(subject, (_, label))| (subject, label)).collect())
    }

    /// Types of identifiers that the data sets have.
    pub(crate) fn identifier_types(&self) -> Vec<IdentifierType> {
        self.inner().subjects.keys().copied().collect()
    }

    pub(crate) fn identifier_count(&self) -> u64 {
        self.inner().subjects.values().map(Subjects::count).sum()
    }

    /// How many subjects of each type there are.
    pub(crate) fn subject_counts(&self) -> Vec<(IdentifierType, u64)> {
        self.inner().subjects.iter().map(|(&kind, subjects)| (kind, subjects.count())).collect()
    }

    /// Subjects of a type.
    pub(crate) fn subject_count(&self, kind: IdentifierType) -> u64 {
        self.inner().subjects.get(&kind).map_or(0, Subjects::count)
    }

    /// Subjects that lack a tag of the epoch.
    pub(crate) fn untagged(&self, kind: IdentifierType, tags: &EpochTags) -> Vec<(u32, Canonical)> {
        let inner = self.inner();
        let Some(subjects) = inner.subjects.get(&kind) else { return Vec::new() };
        let Some(tags) = tags.of(kind, subjects.count()) else { return Vec::new() };
        (0u32..)
            .map_while(|number| Some((number, subjects.identifier(number)?)))
            .filter(|(number, _)| tags.get(*number).is_none())
            .map(|(number, identifier)| (number, identifier.clone()))
            .collect()
    }

    /// Tags of the epoch by subject number, as they are now.
    pub(crate) fn tags(&self, kind: IdentifierType, tags: &EpochTags) -> Option<Tags> {
        let count = self.inner().subjects.get(&kind).map(Subjects::count)?;
        tags.of(kind, count)
    }

    /// The epoch's tag of an identifier that own data hold.
    pub(crate) fn tag_of(&self, kind: IdentifierType, identifier: &Canonical, tags: &EpochTags) -> Option<Tag> {
        let number = self.inner().subjects.get(&kind)?.number(identifier)?;
        self.tags(kind, tags)?.get(number)
    }

    /// The number of an own subject.
    pub(crate) fn number(&self, _permit: &Permit, kind: IdentifierType, identifier: &Canonical) -> Option<u32> {
        self.inner().subjects.get(&kind)?.number(identifier)
    }

    /// A cell of own rows and those next to it, by number, each with the number that stands for its area.
    pub(crate) fn cells_near(&self, cell: u32) -> Vec<(u32, u32)> {
        self.inner().subjects.get(&IdentifierType::Cell).map_or_else(Vec::new, |cells| place::near(cells, cell))
    }

    /// The identifier of an own subject.
    pub(crate) fn identifier(&self, kind: IdentifierType, subject: u32) -> Option<Canonical> {
        self.inner().subjects.get(&kind)?.identifier(subject).cloned()
    }
}
