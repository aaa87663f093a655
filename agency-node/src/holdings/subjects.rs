//! Who a node's data are about: subject numbers, canonical identifiers, and their tags.
//!
//! Numbers are dense from 0 and never change. Identifiers and tags are kept in append-only files; a
//! torn end is cut off at the next start. Nothing here leaves the node.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use sallyport_join::keys::Locators;

use crate::{
    identifier::{Canonical, Context, IdentifierType, canonicalise},
    linkage::{
        oprf::Tag,
        tag_file::{RECORD_BYTES, read_record, record},
    },
};

/// What stands for a tag that is not made yet; a real tag is this with a chance of 2⁻¹²⁸.
const NO_TAG: Tag = [0; 16];

/// The subjects of one type.
pub(crate) struct Subjects {
    kind: IdentifierType,
    directory: PathBuf,
    identifiers: Vec<Canonical>,
    numbers: HashMap<Canonical, u32>,
    kept: usize,
    tags: Arc<Vec<Tag>>,
    tagged: u64,
    tag_file: Option<PathBuf>,
    order: Option<Arc<LocatorOrder>>,
}

/// Tags by subject number, as they were at one moment.
pub(crate) struct Tags(Arc<Vec<Tag>>);

impl Tags {
    pub(crate) fn get(&self, subject: u32) -> Option<Tag> {
        self.0.get(subject as usize).copied().filter(|tag| *tag != NO_TAG)
    }
}

impl Tags {
    /// Tags of all subjects, by number.
    pub(crate) fn all(&self) -> Vec<Option<Tag>> {
        self.0.iter().map(|tag| Some(*tag).filter(|tag| *tag != NO_TAG)).collect()
    }
}

/// Tagged subjects in the pseudo-random order of the epoch.
pub(crate) struct LocatorOrder {
    locators: Vec<u64>,
    subjects: Vec<u32>,
    tags: Arc<Vec<Tag>>,
}

impl LocatorOrder {
    fn new(tags: Arc<Vec<Tag>>, locators: &Locators) -> Self {
        let tagged: Vec<u32> = (0u32..).zip(tags.iter()).filter(|(_, tag)| **tag != NO_TAG).map(|(n, _)| n).collect();
        let own: Vec<Tag> = tagged.iter().map(|&n| tags[n as usize]).collect();
        let mut placed: Vec<(u64, u32)> = locators.of(&own).into_iter().zip(tagged).collect();
        placed.sort_unstable();
        let (locators, subjects) = placed.into_iter().unzip();
        Self { locators, subjects, tags }
    }

    /// Subjects whose locator begins with these bits.
    pub(crate) fn range(&self, bits: u32, prefix: u64) -> &[u32] {
        if bits == 0 {
            return &self.subjects;
        }
        let shift = 64 - bits.min(64);
        let from = self.locators.partition_point(|locator| locator >> shift < prefix);
        let until = self.locators.partition_point(|locator| locator >> shift <= prefix);
        &self.subjects[from..until.max(from)]
    }

    /// The subject that has this tag.
    pub(crate) fn subject(&self, locators: &Locators, tag: Tag) -> Option<u32> {
        let place = *locators.of(&[tag]).first()?;
        self.range(64, place).iter().copied().find(|&subject| self.tags[subject as usize] == tag)
    }
}

impl Subjects {
    /// Reads what is kept of a type under `directory`.
    pub(crate) fn open(directory: &Path, kind: IdentifierType) -> io::Result<Self> {
        let mut subjects = Self {
            kind,
            directory: directory.to_owned(),
            identifiers: Vec::new(),
            numbers: HashMap::new(),
            kept: 0,
            tags: Arc::new(Vec::new()),
            tagged: 0,
            tag_file: None,
            order: None,
        };
        let mut text = String::new();
        match fs::File::open(subjects.identifier_file()) {
            Ok(mut file) => file.read_to_string(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        // The last line may be torn: what is not closed by a line feed was never relied on.
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let canonical = canonicalise(kind, line, &Context::default())
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the subject table is damaged"))?;
            subjects.add(canonical);
        }
        let whole: usize = subjects.identifiers.iter().map(|identifier| identifier.as_str().len() + 1).sum();
        if whole < text.len() {
            fs::OpenOptions::new().write(true).open(subjects.identifier_file())?.set_len(whole as u64)?;
        }
        subjects.kept = subjects.identifiers.len();
        Ok(subjects)
    }

    fn identifier_file(&self) -> PathBuf {
        self.directory.join(format!("{}.subjects", self.kind.name()))
    }

    pub(crate) fn count(&self) -> u64 {
        self.identifiers.len() as u64
    }

    pub(crate) fn untagged_count(&self) -> u64 {
        self.count() - self.tagged
    }

    pub(crate) fn identifier(&self, subject: u32) -> Option<&Canonical> {
        self.identifiers.get(subject as usize)
    }

    pub(crate) fn number(&self, identifier: &Canonical) -> Option<u32> {
        self.numbers.get(identifier).copied()
    }

    /// The subject's number; a new one for a new identifier.
    pub(crate) fn add(&mut self, identifier: Canonical) -> u32 {
        if let Some(&number) = self.numbers.get(&identifier) {
            return number;
        }
        let number = self.identifiers.len() as u32;
        self.numbers.insert(identifier.clone(), number);
        self.identifiers.push(identifier);
        Arc::make_mut(&mut self.tags).push(NO_TAG);
        number
    }

    /// Makes new identifiers durable; prepared data may only then refer to them.
    pub(crate) fn keep(&mut self) -> io::Result<()> {
        if self.kept == self.identifiers.len() {
            return Ok(());
        }
        fs::create_dir_all(&self.directory)?;
        let mut lines = String::new();
        for identifier in &self.identifiers[self.kept..] {
            lines.push_str(identifier.as_str());
            lines.push('\n');
        }
        append(&self.identifier_file(), lines.as_bytes())?;
        self.kept = self.identifiers.len();
        Ok(())
    }

    /// Reads the tags of an epoch and keeps new ones there.
    pub(crate) fn open_tags(&mut self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let path = directory.join(format!("{}.tags", self.kind.name()));
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut tags = vec![NO_TAG; self.identifiers.len()];
        let mut whole = 0;
        for record in bytes.chunks_exact(RECORD_BYTES) {
            let Some((number, tag)) = read_record(record) else { break };
            if let Some(slot) = tags.get_mut(number as usize) {
                *slot = tag;
            }
            whole += RECORD_BYTES;
        }
        if whole < bytes.len() {
            fs::OpenOptions::new().write(true).open(&path)?.set_len(whole as u64)?;
        }
        self.tagged = tags.iter().filter(|tag| **tag != NO_TAG).count() as u64;
        self.tags = Arc::new(tags);
        self.tag_file = Some(path);
        self.order = None;
        Ok(())
    }

    /// Makes tags durable, then uses them.
    pub(crate) fn record_tags(&mut self, pairs: &[(u32, Tag)]) -> io::Result<()> {
        let path = self.tag_file.as_ref().ok_or_else(|| io::Error::other("no epoch is agreed"))?;
        let mut records = Vec::with_capacity(pairs.len() * RECORD_BYTES);
        pairs.iter().for_each(|&(number, tag)| records.extend_from_slice(&record(number, tag)));
        append(path, &records)?;
        let tags = Arc::make_mut(&mut self.tags);
        for &(number, tag) in pairs {
            if let Some(slot) = tags.get_mut(number as usize) {
                self.tagged += u64::from(*slot == NO_TAG);
                *slot = tag;
            }
        }
        self.order = None;
        Ok(())
    }

    pub(crate) fn tags(&self) -> Tags {
        Tags(self.tags.clone())
    }

    /// Batches of subjects without a tag.
    pub(crate) fn untagged(&self, batch: usize) -> Vec<(Vec<u32>, Vec<Canonical>)> {
        let open: Vec<u32> =
            (0u32..).zip(self.tags.iter()).filter(|(_, tag)| **tag == NO_TAG).map(|(n, _)| n).collect();
        open.chunks(batch)
            .map(|numbers| (numbers.to_vec(), numbers.iter().map(|&n| self.identifiers[n as usize].clone()).collect()))
            .collect()
    }

    /// The order of the tagged subjects, made anew after new tags.
    pub(crate) fn order(&mut self, locators: &Locators) -> Arc<LocatorOrder> {
        let tags = &self.tags;
        self.order.get_or_insert_with(|| Arc::new(LocatorOrder::new(tags.clone(), locators))).clone()
    }
}

fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = !path.exists();
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    match path.parent() {
        Some(parent) if new => fs::File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}
