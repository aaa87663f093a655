//! Who a node's data are about: subject numbers and canonical identifiers.
//!
//! Numbers are dense from 0 and never change. Identifiers are kept in append-only files; a torn end is
//! cut off at the next start. Nothing here leaves the node.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use crate::identifier::{Canonical, Context, IdentifierType, canonicalise};

/// The subjects of one type.
#[derive(Clone)]
pub(crate) struct Subjects {
    kind: IdentifierType,
    directory: PathBuf,
    identifiers: Vec<Canonical>,
    numbers: HashMap<Canonical, u32>,
    kept: usize,
}

impl Subjects {
    /// Reads what is kept of a type under `directory`.
    pub(crate) fn open(directory: &Path, kind: IdentifierType) -> io::Result<Self> {
        let mut subjects =
            Self { kind, directory: directory.to_owned(), identifiers: Vec::new(), numbers: HashMap::new(), kept: 0 };
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
