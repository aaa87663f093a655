use std::fs;

use super::super::checkpoint::Signer;
use super::super::cosignature::Cosigner;
use super::super::disk::{TileFiles, TileStorage};
use super::super::fixtures::*;
use super::super::journal::encode_frame;
use super::super::tiles::append_entry;
use super::super::{Completion, Outcome};
use super::*;

/// A log of 600 entries with several checkpoints.
async fn grown() -> tempfile::TempDir {
    let directory = scratch();
    let log = open(directory.path());
    for _ in 0..4 {
        record_together(&log, 75).await;
        log.flush().await.unwrap();
    }
    directory
}

/// Files that verification has no business with.
fn private(file: &Path) -> bool {
    file == Path::new("audit.key") || file == Path::new("lock")
}

#[tokio::test]
async fn a_good_log_is_reported_as_it_is() {
    let directory = grown().await;
    let verified = verify_directory(directory.path()).unwrap();
    let expected = Verified {
        origin: ORIGIN.to_owned(),
        entries: 600,
        root: verified.root,
        pending: 0,
        opened: 300,
        completed: 300,
        still_open: 0,
        checkpoint_at_ms: Some(1_790_000_000_000),
    };
    assert_eq!(verified, expected);
    let json = serde_json::to_value(&verified).unwrap();
    assert_eq!(json["root"], verified.root.to_string());
}

#[tokio::test]
async fn a_flipped_bit_in_any_file_is_found() {
    let directory = grown().await;
    let mut flipped = 0;
    for file in files(directory.path()).into_iter().filter(|file| !private(file)) {
        let path = directory.path().join(&file);
        let bytes = fs::read(&path).unwrap();
        let step = (bytes.len() / 9).max(1);
        for at in (0..bytes.len()).step_by(step).chain([bytes.len() - 1]) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 7);
            fs::write(&path, changed).unwrap();
            assert!(verify_directory(directory.path()).is_err(), "{} byte {at}", file.display());
            flipped += 1;
        }
        fs::write(&path, bytes).unwrap();
    }
    assert!(flipped > 100);
    assert!(verify_directory(directory.path()).is_ok());
}

#[tokio::test]
async fn a_missing_or_shortened_file_is_found() {
    let directory = grown().await;
    for file in files(directory.path()).into_iter().filter(|file| !private(file)) {
        let path = directory.path().join(&file);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let shortened = verify_directory(directory.path());
        // A verifier key may stand without its final newline.
        assert!(shortened.is_err() || file == Path::new("audit.vkey"), "{}", file.display());
        fs::remove_file(&path).unwrap();
        let needed = verify_directory(directory.path()).is_err();
        // Partial tiles of older checkpoints may go once theirs is full or superseded here.
        let older = file.to_string_lossy().contains(".p/") && !current_edge(&file);
        assert!(needed || older, "{}", file.display());
        fs::write(&path, bytes).unwrap();
    }
}

/// 600 entries: two full tiles, one of 88, and two hashes above.
fn current_edge(file: &Path) -> bool {
    ["tile/0/002.p/88", "tile/entries/002.p/88", "tile/1/000.p/2"].iter().any(|tile| file == Path::new(tile))
}

#[tokio::test]
async fn the_place_of_a_change_is_named() {
    let directory = grown().await;
    let bundle = directory.path().join("tile/entries/001");
    let bytes = fs::read(&bundle).unwrap();
    let entry = split_bundle(&bytes).unwrap()[7].to_vec();
    let text = String::from_utf8(entry.clone()).unwrap();
    let at = bytes.windows(entry.len()).position(|window| window == entry).unwrap();
    let mut changed = bytes.clone();
    changed[at + text.find("1790").unwrap()] = b'2';
    fs::write(&bundle, changed).unwrap();
    let found = verify_directory(directory.path()).unwrap_err();
    assert_eq!(found, VerifyError::Hash { index: 256 + 7, tile: "tile/0/001".to_owned() });
    fs::write(&bundle, bytes).unwrap();
    let above = directory.path().join("tile/1/000.p/2");
    fs::write(&above, [0; 64]).unwrap();
    let found = verify_directory(directory.path()).unwrap_err();
    assert_eq!(found, VerifyError::Tile { tile: "tile/1/000.p/2".to_owned() });
    fs::remove_file(&above).unwrap();
    let found = verify_directory(directory.path()).unwrap_err();
    assert_eq!(found, VerifyError::Missing { tile: "tile/1/000.p/2".to_owned() });
}

#[tokio::test]
async fn another_key_does_not_verify() {
    let directory = grown().await;
    let (other, _) = Signer::generate(ORIGIN).unwrap();
    let found = verify_directory_with(directory.path(), other.verifier()).unwrap_err();
    assert!(matches!(found, VerifyError::Checkpoint(CheckpointError::NotSigned { .. })));
}

#[test]
fn a_directory_without_a_log_is_an_error() {
    let directory = scratch();
    let found = verify_directory(directory.path()).unwrap_err();
    assert!(matches!(&found, VerifyError::Io { .. }));
    assert!(found.to_string().contains("name the audit directory"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_being_written_verifies_at_every_moment() {
    let directory = scratch();
    let log = open(directory.path());
    let writing = tokio::spawn({
        let log = log.clone();
        async move {
            for _ in 0..10 {
                record_together(&log, 100).await;
                log.flush().await.unwrap();
            }
        }
    });
    let mut seen = 0;
    while !writing.is_finished() {
        let path = directory.path().to_owned();
        let verified = tokio::task::spawn_blocking(move || verify_directory(&path)).await.unwrap().unwrap();
        assert!(verified.entries >= seen);
        seen = verified.entries;
    }
    writing.await.unwrap();
    assert_eq!(verify_directory(directory.path()).unwrap().entries, 2000);
}

/// A log over any entries, signed and hashed as it should be.
fn forged(entries: &[Vec<u8>]) -> Result<Verified, VerifyError> {
    let directory = scratch();
    let (signer, _) = Signer::generate(ORIGIN).unwrap();
    let mut storage = TileFiles::new(directory.path());
    let (mut tree, mut payload) = (TileTree::default(), Vec::new());
    for entry in entries {
        tree.push(entry).unwrap();
        append_entry(&mut payload, entry).unwrap();
    }
    for (tile, bytes) in tree.edge() {
        storage.put(&tile.path(), &bytes).unwrap();
    }
    storage.put(&format!("journal/{:020}", 0), &encode_frame(0, &payload)).unwrap();
    let note = signer.sign(tree.size(), tree.root()).unwrap();
    storage.put(CHECKPOINT_FILE, note.as_bytes()).unwrap();
    verify_directory_with(directory.path(), signer.verifier())
}

#[test]
fn entries_have_to_tell_a_possible_story() {
    let (one, two) = (EntryId::random().unwrap(), EntryId::random().unwrap());
    let at = |at_ms, id, phase| Entry::new(at_ms, id, phase).to_bytes().unwrap();
    let begun = |at_ms, id| at(at_ms, id, Phase::Open(opening(1)));
    let ended = |at_ms, id| at(at_ms, id, Phase::Complete(Completion::new(Outcome::Answered)));

    let good = forged(&[begun(0, one), begun(0, two), ended(5, two), begun(9, two)]).unwrap();
    assert_eq!((good.opened, good.completed, good.still_open), (3, 1, 2));
    let late = forged(&[begun(60_000, one), ended(0, one)]).unwrap();
    assert_eq!(late.checkpoint_at_ms, Some(60_000));

    let found = forged(&[begun(0, one), ended(0, one), ended(0, one)]);
    assert_eq!(found, Err(VerifyError::NotOpen { index: 2 }));
    assert_eq!(forged(&[ended(0, one)]), Err(VerifyError::NotOpen { index: 0 }));
    let found = forged(&[begun(0, one), begun(0, one)]);
    assert_eq!(found, Err(VerifyError::OpenedTwice { index: 1 }));
    let found = forged(&[begun(60_001, one), begun(60_000, two), ended(0, one)]);
    assert_eq!(found, Err(VerifyError::TimeWentBack { index: 2, behind_ms: 60_001 }));
    let found = forged(&[begun(0, one), b"{}".to_vec()]).unwrap_err();
    assert!(matches!(found, VerifyError::Entry { index: 1, .. }));
    assert!(found.to_string().starts_with("entry 1: "));
}

/// A log whose first 300 of 600 entries a witness has cosigned.
async fn witnessed() -> (tempfile::TempDir, Cosigner) {
    let (directory, (cosigner, _)) = (scratch(), Cosigner::generate("sallyport.test/gateway").unwrap());
    let log = open(directory.path());
    record_together(&log, 150).await;
    log.flush().await.unwrap();
    let note = log.published().borrow().note.clone();
    log.keep_cosigned(format!("{note}{}", cosigner.cosign(&note, 1_790_000_000).unwrap())).await.unwrap();
    record_together(&log, 150).await;
    log.flush().await.unwrap();
    (directory, cosigner)
}

#[tokio::test]
async fn a_log_leads_to_what_its_witnesses_have_cosigned() {
    let (directory, cosigner) = witnessed().await;
    let key = own_key(directory.path()).unwrap();
    let (verified, cosigned) = verify_witnessed(directory.path(), &key).unwrap();
    let cosigned = cosigned.unwrap();
    assert_eq!((verified.entries, cosigned.checkpoint.size), (600, 300));
    assert_eq!(
        (cosigned.names.as_slice(), cosigned.by(cosigner.key())),
        (&[cosigner.key().name().to_owned()][..], Ok(Some(1_790_000_000)))
    );
    assert_eq!(cosigned.by(Cosigner::generate("sallyport.test/cbp").unwrap().0.key()), Ok(None));

    let path = directory.path().join("cosigned");
    let whole = fs::read_to_string(&path).unwrap();
    // Of the witness's own line, its key decides; of everything else, the log's.
    let line = whole.trim_end().rfind('\n').unwrap() + 1;
    for at in 0..line {
        let mut changed = whole.clone().into_bytes();
        changed[at] ^= 1;
        fs::write(&path, changed).unwrap();
        assert!(verify_directory(directory.path()).is_err(), "byte {at}");
    }
    let mut changed = whole.clone().into_bytes();
    let last = changed.len() - 20;
    changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
    fs::write(&path, changed).unwrap();
    let (_, cosigned) = verify_witnessed(directory.path(), &key).unwrap();
    assert!(cosigned.unwrap().by(cosigner.key()).is_err());
    for end in [0, 10, line, whole.len() - 1] {
        fs::write(&path, &whole[..end]).unwrap();
        let found = verify_directory(directory.path()).unwrap_err();
        assert!(matches!(found, VerifyError::Cosigned { .. }), "{end}: {found}");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(verify_witnessed(directory.path(), &key).unwrap().1, None);
}

#[tokio::test]
async fn a_log_that_its_own_signature_contradicts_does_not_hold() {
    let (directory, cosigner) = witnessed().await;
    let signer = Signer::from_pkcs8(ORIGIN, &fs::read(directory.path().join("audit.key")).unwrap()).unwrap();
    let other = signer.sign(300, Hash([7; 32])).unwrap();
    let cosigned = fs::read_to_string(directory.path().join("cosigned")).unwrap();
    fs::write(directory.path().join("cosigned"), format!("{other}{}", cosigner.cosign(&other, 1).unwrap())).unwrap();
    let found = verify_directory(directory.path()).unwrap_err();
    assert_eq!(found, VerifyError::NotAsCosigned { cosigned: 300, entries: 600 });
    fs::write(directory.path().join("cosigned"), &cosigned).unwrap();

    let path = directory.path().join("contradiction");
    let accuse = |note: &str| {
        fs::write(&path, format!("spiffe://border.example/gateway\n{note}")).unwrap();
        verify_directory(directory.path())
    };
    let longer = signer.sign(601, Hash([7; 32])).unwrap();
    for (note, held) in [(&other, 300), (&longer, 601)] {
        let witness = "spiffe://border.example/gateway".to_owned();
        assert_eq!(accuse(note).unwrap_err(), VerifyError::Contradicted { witness, held, entries: 600 });
    }
    assert!(accuse("nonsense").is_err());
    // The entries are back that the witness has seen.
    assert!(accuse(&cosigned).is_ok());
}
