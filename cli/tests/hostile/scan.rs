//! Looking for many needles in everything that a process holds.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::FileExt,
    path::Path,
};

/// Bytes that a needle begins with at least, so that nothing is found by chance.
const HEAD: usize = 8;
/// log2 of the bits that say quickly that nothing begins here.
const FILTER_BITS: u32 = 22;

/// Byte strings to look for, each with a name.
pub(crate) struct Needles {
    by_head: HashMap<u64, Vec<(String, Vec<u8>)>>,
    filter: Vec<u64>,
}

impl Needles {
    pub(crate) fn new() -> Self {
        Self { by_head: HashMap::new(), filter: vec![0; 1 << (FILTER_BITS - 6)] }
    }

    pub(crate) fn add(&mut self, name: &str, bytes: &[u8]) {
        let head = u64::from_le_bytes(*bytes.first_chunk::<HEAD>().expect("a needle of eight bytes"));
        let place = place(head);
        self.filter[place >> 6] |= 1 << (place & 63);
        self.by_head.entry(head).or_default().push((name.to_owned(), bytes.to_vec()));
    }

    pub(crate) fn count(&self) -> usize {
        self.by_head.values().map(Vec::len).sum()
    }

    /// Names of all needles in the bytes.
    pub(crate) fn find(&self, bytes: &[u8], found: &mut BTreeSet<String>) {
        let Some(first) = bytes.first_chunk::<HEAD>() else { return };
        let mut head = u64::from_le_bytes(*first);
        for at in 0.. {
            let place = place(head);
            if self.filter[place >> 6] >> (place & 63) & 1 == 1 {
                let here = self.by_head.get(&head).into_iter().flatten();
                found.extend(here.filter(|(_, needle)| bytes[at..].starts_with(needle)).map(|(name, _)| name.clone()));
            }
            let Some(&next) = bytes.get(at + HEAD) else { return };
            head = head >> 8 | u64::from(next) << 56;
        }
    }

    /// Names of all needles in the memory of a process that it could have written.
    pub(crate) fn in_memory(&self, process: u32) -> BTreeSet<String> {
        let memory = fs::File::open(format!("/proc/{process}/mem")).unwrap();
        let maps = BufReader::new(fs::File::open(format!("/proc/{process}/maps")).unwrap());
        let mut found = BTreeSet::new();
        let mut scanned = 0;
        for line in maps.lines() {
            let line = line.unwrap();
            let mut fields = line.split_whitespace();
            let (Some(range), Some(rights)) = (fields.next(), fields.next()) else { continue };
            // What cannot be written is the program and its libraries.
            if !rights.starts_with("rw") {
                continue;
            }
            let (from, until) = range.split_once('-').unwrap();
            let (from, until) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(until, 16).unwrap());
            let mut bytes = vec![0; (until - from) as usize];
            // A mapping may be gone since the list was read.
            if memory.read_exact_at(&mut bytes, from).is_ok() {
                scanned += bytes.len();
                self.find(&bytes, &mut found);
            }
        }
        assert!(scanned > 1_000_000, "only {scanned} bytes of memory could be read");
        found
    }

    /// Names of all needles in a file or in all files under a directory.
    pub(crate) fn in_files(&self, path: &Path) -> BTreeSet<String> {
        // A file that is replaced while others are read makes it all begin again: nothing is overlooked.
        loop {
            match self.in_files_once(path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && path.exists() => {}
                found => return found.unwrap(),
            }
        }
    }

    fn in_files_once(&self, path: &Path) -> std::io::Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let mut paths = vec![path.to_owned()];
        while let Some(path) = paths.pop() {
            if path.is_dir() {
                for entry in fs::read_dir(&path)? {
                    paths.push(entry?.path());
                }
            } else {
                self.find(&fs::read(&path)?, &mut found);
            }
        }
        Ok(found)
    }
}

fn place(head: u64) -> usize {
    (head.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER_BITS)) as usize
}

#[test]
fn a_needle_is_found_wherever_it_lies() {
    let mut needles = Needles::new();
    needles.add("phone", b"+19567001000");
    needles.add("same head", b"+1956700999");
    for before in [0, 1, 7, 100] {
        let mut hay = vec![b'+'; before];
        hay.extend_from_slice(b"+19567001000");
        let mut found = BTreeSet::new();
        needles.find(&hay, &mut found);
        assert_eq!(found, BTreeSet::from(["phone".to_owned()]));
        found.clear();
        needles.find(&hay[..hay.len() - 1], &mut found);
        assert!(found.is_empty());
    }
}
