//! The tags of one epoch, by identifier type and subject number.
//!
//! Kept in append-only files in a directory that the epoch's digest names, so that tags of two epochs
//! never meet; a torn end is cut off when they are opened. Nothing here leaves the node.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sallyport_join::keys::Locators;

use super::{
    oprf::{KeySum, Tag, Tagged},
    tag_file::{RECORD_BYTES, SUM_RECORD_BYTES, read_record, read_sum_record, record, sum_record},
};
use crate::identifier::IdentifierType;

/// What stands for a tag that is not made yet; a real tag is this with a chance of 2⁻¹²⁸.
const NO_TAG: Tag = [0; 16];

/// Tags by subject number, as they were at one moment.
pub(crate) struct Tags(Arc<Vec<Tag>>);

impl Tags {
    pub(crate) fn get(&self, subject: u32) -> Option<Tag> {
        self.0.get(subject as usize).copied().filter(|tag| *tag != NO_TAG)
    }

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

/// All tags of one epoch.
pub(crate) struct EpochTags {
    directory: PathBuf,
    kinds: Mutex<BTreeMap<IdentifierType, KindTags>>,
}

#[derive(Default)]
struct KindTags {
    tags: Arc<Vec<Tag>>,
    tagged: u64,
    order: Option<Arc<LocatorOrder>>,
}

impl EpochTags {
    /// Reads the tags that are kept for the epoch with this digest, of so many subjects of each type.
    pub(crate) fn open(state: &Path, digest: &[u8; 32], subjects: Vec<(IdentifierType, u64)>) -> io::Result<Self> {
        let tags = Self { directory: directory(state, digest), kinds: Mutex::default() };
        fs::create_dir_all(&tags.directory)?;
        for (kind, count) in subjects {
            let count = usize::try_from(count).map_err(io::Error::other)?;
            let mut read = vec![NO_TAG; count];
            let whole = read_records(&tags.file(kind), RECORD_BYTES, |bytes| {
                let (number, tag) = read_record(bytes)?;
                if let Some(slot) = read.get_mut(number as usize) {
                    *slot = tag;
                }
                Some(())
            })?;
            cut(&tags.file(kind), whole)?;
            cut(&tags.sum_file(kind), whole_sums(&tags.sum_file(kind))?)?;
            let tagged = read.iter().filter(|tag| **tag != NO_TAG).count() as u64;
            tags.kinds().insert(kind, KindTags { tags: Arc::new(read), tagged, order: None });
        }
        Ok(tags)
    }

    fn kinds(&self) -> MutexGuard<'_, BTreeMap<IdentifierType, KindTags>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, kind: IdentifierType) -> PathBuf {
        self.directory.join(format!("{}.tags", kind.name()))
    }

    fn sum_file(&self, kind: IdentifierType) -> PathBuf {
        self.directory.join(format!("{}.sums", kind.name()))
    }

    /// The tags of `count` subjects, as they are now.
    pub(crate) fn of(&self, kind: IdentifierType, count: u64) -> Option<Tags> {
        let mut kinds = self.kinds();
        let own = kinds.get_mut(&kind)?;
        let count = usize::try_from(count).ok()?;
        if own.tags.len() < count {
            Arc::make_mut(&mut own.tags).resize(count, NO_TAG);
        }
        Some(Tags(own.tags.clone()))
    }

    /// How many subjects of a type have a tag.
    pub(crate) fn tagged(&self, kind: IdentifierType) -> u64 {
        self.kinds().get(&kind).map_or(0, |own| own.tagged)
    }

    /// How many subjects of all types have a tag.
    pub(crate) fn tagged_total(&self) -> u64 {
        self.kinds().values().map(|own| own.tagged).sum()
    }

    /// Makes tags durable, then uses them.
    pub(crate) fn record(&self, kind: IdentifierType, made: &[(u32, Tagged)]) -> io::Result<()> {
        let mut kinds = self.kinds();
        let own = kinds.entry(kind).or_default();
        // Sums first: whoever has a tag has its sum.
        append(&self.sum_file(kind), made.iter().flat_map(|&(number, made)| sum_record(number, made.sum)).collect())?;
        append(&self.file(kind), made.iter().flat_map(|&(number, made)| record(number, made.tag)).collect())?;
        let tags = Arc::make_mut(&mut own.tags);
        for &(number, Tagged { tag, .. }) in made {
            let place = number as usize;
            if tags.len() <= place {
                tags.resize(place + 1, NO_TAG);
            }
            own.tagged += u64::from(tags[place] == NO_TAG);
            tags[place] = tag;
        }
        own.order = None;
        Ok(())
    }

    /// The sums of keys that the tags of a type were made of, as far as they are kept.
    pub(crate) fn sums(&self, kind: IdentifierType) -> io::Result<HashMap<u32, KeySum>> {
        let mut sums = HashMap::new();
        read_records(&self.sum_file(kind), SUM_RECORD_BYTES, |bytes| {
            let (number, sum) = read_sum_record(bytes)?;
            sums.insert(number, sum);
            Some(())
        })?;
        Ok(sums)
    }

    /// The order of the tagged subjects, made anew after new tags.
    pub(crate) fn order(&self, kind: IdentifierType, locators: &Locators) -> Option<Arc<LocatorOrder>> {
        let mut kinds = self.kinds();
        let own = kinds.get_mut(&kind)?;
        let tags = &own.tags;
        Some(own.order.get_or_insert_with(|| Arc::new(LocatorOrder::new(tags.clone(), locators))).clone())
    }
}

/// Forgets the tags of the epoch with this digest.
pub(crate) fn erase(state: &Path, digest: &[u8; 32]) -> io::Result<()> {
    match fs::remove_dir_all(directory(state, digest)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn directory(state: &Path, digest: &[u8; 32]) -> PathBuf {
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    state.join("tags").join(name)
}

/// Hands over record after record up to the first that is torn; how many bytes they have.
fn read_records(path: &Path, bytes: usize, mut take: impl FnMut(&[u8]) -> Option<()>) -> io::Result<u64> {
    let kept = match fs::read(path) {
        Ok(kept) => kept,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let whole = kept.chunks_exact(bytes).take_while(|record| take(record).is_some()).count() * bytes;
    Ok(whole as u64)
}

/// Bytes of a file of sums up to the end of its last whole record; looked for from the end, as the file
/// is long and only its end can be torn.
fn whole_sums(path: &Path) -> io::Result<u64> {
    const RECORD: u64 = SUM_RECORD_BYTES as u64;
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut whole = file.metadata()?.len() / RECORD * RECORD;
    let mut record = [0; SUM_RECORD_BYTES];
    while whole > 0 {
        file.seek(SeekFrom::Start(whole - RECORD))?;
        file.read_exact(&mut record)?;
        if read_sum_record(&record).is_some() {
            break;
        }
        whole -= RECORD;
    }
    Ok(whole)
}

/// Cuts a file to so many bytes, if it is there and longer.
fn cut(path: &Path, bytes: u64) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > bytes => fs::OpenOptions::new().write(true).open(path)?.set_len(bytes),
        _ => Ok(()),
    }
}

fn append(path: &Path, bytes: Vec<u8>) -> io::Result<()> {
    let new = !path.exists();
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(&bytes)?;
    file.sync_data()?;
    match path.parent() {
        Some(parent) if new => fs::File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: IdentifierType = IdentifierType::Device;

    fn made(number: u32, byte: u8) -> (u32, Tagged) {
        (number, Tagged { tag: [byte; 16], sum: KeySum([byte; 32]) })
    }

    fn open(state: &Path, digest: u8) -> EpochTags {
        EpochTags::open(state, &[digest; 32], vec![(KIND, 4)]).unwrap()
    }

    fn append_to(path: &Path, bytes: &[u8]) {
        fs::OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
    }

    #[test]
    fn tags_and_sums_survive_a_torn_end() {
        let state = tempfile::tempdir().unwrap();
        let tags = open(state.path(), 1);
        tags.record(KIND, &[made(0, 7), made(2, 8)]).unwrap();
        for torn in [&[1][..], &[0; 39], &[0; 80]] {
            append_to(&tags.file(KIND), torn);
            append_to(&tags.sum_file(KIND), torn);
            let reopened = open(state.path(), 1);
            assert_eq!(reopened.tagged_total(), 2);
            assert_eq!(reopened.of(KIND, 4).unwrap().all(), [Some([7; 16]), None, Some([8; 16]), None]);
            assert_eq!(reopened.sums(KIND).unwrap().len(), 2);
        }
        // What comes after is found again.
        open(state.path(), 1).record(KIND, &[made(3, 9)]).unwrap();
        let reopened = open(state.path(), 1);
        assert_eq!((reopened.tagged(KIND), reopened.sums(KIND).unwrap()[&3]), (3, KeySum([9; 32])));
    }

    #[test]
    fn tags_of_two_epochs_never_meet() {
        let state = tempfile::tempdir().unwrap();
        let (one, two) = (open(state.path(), 1), open(state.path(), 2));
        one.record(KIND, &[made(0, 7)]).unwrap();
        two.record(KIND, &[made(1, 8)]).unwrap();
        assert_eq!(open(state.path(), 1).of(KIND, 4).unwrap().all(), [Some([7; 16]), None, None, None]);
        assert_eq!(open(state.path(), 2).of(KIND, 4).unwrap().all(), [None, Some([8; 16]), None, None]);
        erase(state.path(), &[1; 32]).unwrap();
        erase(state.path(), &[1; 32]).unwrap();
        assert_eq!((open(state.path(), 1).tagged_total(), open(state.path(), 2).tagged_total()), (0, 1));
    }

    #[test]
    fn a_subject_without_a_place_has_no_tag() {
        let state = tempfile::tempdir().unwrap();
        let tags = open(state.path(), 1);
        tags.record(KIND, &[made(6, 7)]).unwrap();
        assert_eq!(tags.of(KIND, 9).unwrap().all().len(), 9);
        assert_eq!(tags.of(KIND, 9).unwrap().get(6), Some([7; 16]));
        assert_eq!(tags.of(KIND, 9).unwrap().get(99), None);
        // The record of a number that no subject has is passed over.
        assert_eq!(open(state.path(), 1).tagged_total(), 0);
    }
}
