use proptest::prelude::*;

use super::super::checkpoint::Signer;
use super::super::merkle::{Frontier, consistency_proof, leaf_hash, root_at};
use super::*;

const ORIGIN: &str = "sallyport.test/hsi";

/// A log in memory: its entries are numbers.
struct Log {
    signer: Signer,
    leaves: Vec<Hash>,
}

impl Log {
    fn new() -> Self {
        Self { signer: Signer::generate(ORIGIN).unwrap().0, leaves: Vec::new() }
    }

    fn grow(&mut self, entries: impl IntoIterator<Item = u32>) {
        self.leaves.extend(entries.into_iter().map(|entry| leaf_hash(&entry.to_be_bytes())));
    }

    fn stored(&self) -> impl Fn(u32, u64) -> Result<Hash, crate::audit::merkle::MerkleError> {
        |height, index| {
            let mut frontier = Frontier::default();
            let first = (index << height) as usize;
            self.leaves[first..first + (1 << height)].iter().for_each(|leaf| frontier.push(*leaf));
            Ok(frontier.root())
        }
    }

    fn root(&self, size: u64) -> Hash {
        root_at(size, self.stored()).unwrap()
    }

    fn request(&self, old: u64, size: u64) -> AddCheckpoint {
        let proof = consistency_proof(old.min(size), size, self.stored()).unwrap();
        AddCheckpoint { old, proof, note: self.signer.sign(size, self.root(size)).unwrap() }
    }
}

fn judged(log: &Log, request: &AddCheckpoint, held: &mut Option<Checkpoint>) -> Result<u64, Refused> {
    let kept = judge(request, log.signer.verifier(), held.as_ref())?;
    let size = kept.size;
    *held = Some(kept);
    Ok(size)
}

#[test]
fn every_outcome_has_its_status() {
    let mut log = Log::new();
    log.grow(0..10);
    let key = log.signer.verifier().clone();
    let held = judge(&log.request(0, 6), &key, None).unwrap();
    let refused = |request: &AddCheckpoint| judge(request, &key, Some(&held)).unwrap_err();
    assert_eq!(judge(&log.request(6, 10), &key, Some(&held)).unwrap().size, 10);
    assert_eq!(judge(&log.request(6, 6), &key, Some(&held)).unwrap(), held, "the same again is cosigned again");
    assert_eq!(refused(&log.request(7, 6)), Refused::Malformed);
    assert_eq!(refused(&log.request(0, 10)), Refused::OtherSize);
    assert_eq!(refused(&log.request(8, 10)), Refused::OtherSize);
    assert_eq!(refused(&log.request(0, 4)), Refused::Behind);
    assert_eq!(refused(&log.request(4, 4)), Refused::Behind);
    let mut other = Log { signer: Log::new().signer, leaves: log.leaves.clone() };
    assert_eq!(refused(&other.request(6, 10)), Refused::NotSigned);
    other.signer = Signer::generate("sallyport.test/cbp").unwrap().0;
    assert_eq!(refused(&other.request(6, 10)), Refused::UnknownLog);
    let mut fork = Log { signer: log.signer, leaves: log.leaves };
    fork.leaves[5] = leaf_hash(b"another");
    assert_eq!(refused(&fork.request(6, 6)), Refused::Forked);
    assert_eq!(refused(&fork.request(6, 10)), Refused::Inconsistent);
    let statuses = [Refused::Malformed, Refused::NotSigned, Refused::UnknownLog, Refused::OtherSize];
    assert_eq!(statuses.map(Refused::status), [400, 403, 404, 409]);
    let statuses = [Refused::Behind, Refused::Forked, Refused::Inconsistent];
    assert_eq!(statuses.map(Refused::status), [409, 409, 422]);
    // What an honest log can meet accuses nobody.
    assert!([Refused::Malformed, Refused::UnknownLog, Refused::OtherSize].iter().all(|r| r.accusation().is_none()));
}

#[test]
fn a_request_reads_back_as_it_was_written() {
    let mut log = Log::new();
    log.grow(0..100);
    for (old, size) in [(0, 0), (0, 1), (64, 100), (99, 100), (100, 100)] {
        let request = log.request(old, size);
        assert_eq!(request.to_string().parse::<AddCheckpoint>().unwrap(), request);
    }
    let text = log.request(3, 100).to_string();
    for wrong in [
        String::new(),
        text.replacen("old 3", "old 03", 1),
        text.replacen("old 3", "old +3", 1),
        text.replacen("old 3", "old -3", 1),
        text.replacen("old 3", "new 3", 1),
        text.replacen("old 3\n", "old 3\nAAAA\n", 1),
        text.replacen("old 3\n", "old 3\nnot base64!\n", 1),
        text.replacen("old 3\n", &format!("old 3\n{}", format!("{}\n", log.root(1)).repeat(63)), 1),
        text.replace("\n\n", "\n"),
    ] {
        assert_eq!(wrong.parse::<AddCheckpoint>(), Err(Refused::Malformed), "{wrong}");
    }
}

proptest! {
    /// Whatever is asked, in whatever order: a witness only ever goes on to a tree that continues the
    /// one before, and an honest log that asks with the right old size is always cosigned.
    #[test]
    fn a_witness_never_cosigns_two_histories(
        steps in prop::collection::vec((0_u64..40, 0_u64..40, any::<bool>()), 1..60),
        forked_at in 0_usize..40,
    ) {
        let mut log = Log::new();
        log.grow(0..40);
        let mut fork = Log { signer: Signer::generate(ORIGIN).unwrap().0, leaves: log.leaves.clone() };
        std::mem::swap(&mut fork.signer, &mut log.signer);
        let signer = fork.signer;
        // Both histories are signed by the same key.
        for (at, leaf) in fork.leaves.iter_mut().enumerate().skip(forked_at) {
            *leaf = leaf_hash(format!("fork {at}").as_bytes());
        }
        let histories = [log.leaves, fork.leaves];
        let mut one = Log { signer, leaves: Vec::new() };
        let mut held = None;
        let mut cosigned: Vec<(u64, Hash)> = Vec::new();
        for (old, size, forks) in steps {
            one.leaves = histories[usize::from(forks)].clone();
            let before = held.clone();
            match judged(&one, &one.request(old, size), &mut held) {
                Ok(size) => cosigned.push((size, one.root(size))),
                Err(_) => prop_assert_eq!(&held, &before),
            }
            let honest = |size: u64, root: Hash, leaves: &Vec<Hash>| {
                let log = Log { signer: Signer::generate(ORIGIN).unwrap().0, leaves: leaves.clone() };
                log.root(size) == root
            };
            prop_assert!(cosigned.is_sorted_by_key(|(size, _)| *size));
            prop_assert!(
                histories.iter().any(|leaves| cosigned.iter().all(|(size, root)| honest(*size, *root, leaves))),
                "two histories under one witness"
            );
            let now = held.as_ref().map_or(0, |held: &Checkpoint| held.size);
            let root = held.as_ref().map(|held: &Checkpoint| held.root);
            if root.is_none_or(|root| one.root(now) == root) {
                prop_assert_eq!(judged(&one, &one.request(now, 40), &mut held.clone()), Ok(40));
            }
        }
    }

    #[test]
    fn noise_is_refused_and_nothing_panics(text in ".{0,200}") {
        prop_assert!(text.parse::<AddCheckpoint>().is_err() || text.contains("\n\n"));
        let request = AddCheckpoint { old: 0, proof: Vec::new(), note: text };
        prop_assert!(judge(&request, Log::new().signer.verifier(), None).is_err());
    }
}
