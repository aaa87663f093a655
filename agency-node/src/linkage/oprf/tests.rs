mod vectors;

use std::collections::HashSet;

use curve25519_dalek::{RistrettoPoint, Scalar};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha512_256};

use super::suite::{Expander, HASH_TO_GROUP};
use super::*;
use crate::identifier::{Canonical, Context, IdentifierType, canonicalise};

fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

fn devices(names: impl IntoIterator<Item = String>) -> Vec<Canonical> {
    let read = |name: String| canonicalise(IdentifierType::Device, &name, &Context::default());
    names.into_iter().map(|name| read(name).unwrap()).collect()
}

fn numbered(count: usize) -> Vec<Canonical> {
    devices((0..count).map(|n| format!("device-{n}")))
}

/// A federation with secrets that a test can copy.
struct Federation {
    secrets: Vec<[u8; 32]>,
}

impl Federation {
    fn new(nodes: usize, rng: &mut StdRng) -> Self {
        Self { secrets: (0..nodes).map(|_| *EpochKey::generate(rng).to_bytes()).collect() }
    }

    fn key(&self, node: usize) -> EpochKey {
        EpochKey::from_bytes(&self.secrets[node]).unwrap()
    }

    fn others(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.secrets.len()).filter(move |other| *other != node)
    }

    fn keys(&self, node: usize, epoch: u64) -> EpochKeys {
        let others = self.others(node).map(|j| self.key(j).public().clone()).collect();
        EpochKeys::new(epoch, self.key(node), others).unwrap()
    }

    fn evaluate(&self, node: usize, blinding: &Blinding, rng: &mut StdRng) -> Vec<Evaluated> {
        self.others(node).map(|j| self.key(j).evaluate_batch(blinding.blinded(), rng).unwrap()).collect()
    }

    fn tags(
        &self,
        (node, epoch): (usize, u64),
        kind: IdentifierType,
        identifiers: &[Canonical],
        rng: &mut StdRng,
    ) -> Vec<Tag> {
        let blinding = Blinding::blind_batch(kind, identifiers, rng).unwrap();
        let evaluations = self.evaluate(node, &blinding, rng);
        let tagged = blinding.finish(&self.keys(node, epoch), &evaluations).unwrap();
        tagged.into_iter().map(|tagged| tagged.tag).collect()
    }

    /// The documented formula with all secrets in one hand, by the plainest operations.
    fn direct(&self, epoch: u64, kind: &str, identifier: &str) -> Tag {
        let mut framed = Vec::new();
        for part in [kind, identifier] {
            framed.extend_from_slice(&u16::try_from(part.len()).unwrap().to_be_bytes());
            framed.extend_from_slice(part.as_bytes());
        }
        let point = Expander::new(HASH_TO_GROUP).hash_to_group(&[&framed]);
        let sum: Scalar = self.secrets.iter().map(|k| Scalar::from_bytes_mod_order(*k)).sum();
        let encoded = (point * sum * Scalar::from(4_u8)).compress();
        let mut message = b"sallyport tag v1".to_vec();
        message.extend_from_slice(&epoch.to_be_bytes());
        message.extend_from_slice(&framed);
        message.extend_from_slice(encoded.as_bytes());
        Sha512_256::digest(&message)[..16].try_into().unwrap()
    }
}

#[test]
fn every_node_computes_the_tag_of_the_documented_formula() {
    for nodes in [2, 3, 5] {
        let rng = &mut rng(nodes as u64);
        let federation = Federation::new(nodes, rng);
        let identifiers = numbered(7);
        let expected: Vec<Tag> = identifiers.iter().map(|id| federation.direct(9, "device", id.as_str())).collect();
        for node in 0..nodes {
            let tags = federation.tags((node, 9), IdentifierType::Device, &identifiers, rng);
            assert_eq!(tags, expected, "node {node} of {nodes}");
        }
    }
}

#[test]
fn who_joins_adds_one_evaluation_and_the_tags_are_those_of_all_keys() {
    let rng = &mut rng(7);
    let mut federation = Federation::new(3, rng);
    let identifiers = numbered(9);
    let kind = IdentifierType::Device;
    let blind = |rng: &mut StdRng| Blinding::blind_batch(kind, &identifiers, rng).unwrap();
    let blinding = blind(rng);
    let before = blinding.finish(&federation.keys(0, 1), &federation.evaluate(0, &blinding, rng)).unwrap();
    let before: Vec<KeySum> = before.into_iter().map(|tagged| tagged.sum).collect();

    federation.secrets.extend((0..2).map(|_| *EpochKey::generate(rng).to_bytes()));
    let keys = federation.keys(0, 2);
    let blinding = blind(rng);
    let by = |node: usize, rng: &mut StdRng| federation.key(node).evaluate_batch(blinding.blinded(), rng).unwrap();
    // Nodes 3 and 4 have joined; among the others of node 0 they stand at 2 and 3.
    let joined = [(2, by(3, rng)), (3, by(4, rng))];
    let after = blinding.finish_joined(&keys, &before, &joined).unwrap();
    let expected: Vec<Tag> = identifiers.iter().map(|id| federation.direct(2, "device", id.as_str())).collect();
    assert_eq!(after.iter().map(|tagged| tagged.tag).collect::<Vec<_>>(), expected);
    // The sums serve for the next one to join.
    let whole = blinding.finish(&keys, &federation.evaluate(0, &blinding, rng)).unwrap();
    assert_eq!(after, whole);

    let refused =
        |before: &[KeySum], joined: &[(usize, Evaluated)]| blinding.finish_joined(&keys, before, joined).unwrap_err();
    assert_eq!(refused(&before, &[]), Error::AnswerSize);
    assert_eq!(refused(&before[1..], &joined), Error::AnswerSize);
    assert_eq!(refused(&before, &[(9, joined[0].1.clone())]), Error::AnswerSize);
    let exchanged = [(3, joined[0].1.clone()), (2, joined[1].1.clone())];
    assert_eq!(refused(&before, &exchanged), Error::ProofRefused { evaluator: 3 });
    let mut malformed = before;
    malformed[4] = KeySum([0xff; 32]);
    assert_eq!(refused(&malformed, &joined), Error::MalformedPoint { index: 4 });
}

#[test]
fn a_tag_depends_on_type_epoch_identifier_and_keys() {
    let rng = &mut rng(1);
    let (one, another) = (Federation::new(3, rng), Federation::new(3, rng));
    // Digits only, so that the same text is canonical as several types.
    let identifiers = devices(["1234567".to_owned(), "123456".to_owned()]);
    let mut tags = HashSet::new();
    for federation in [&one, &another] {
        for epoch in [1, 2] {
            for kind in [IdentifierType::Device, IdentifierType::Usdot] {
                tags.extend(federation.tags((0, epoch), kind, &identifiers, rng));
            }
        }
    }
    assert_eq!(tags.len(), 16);
}

#[test]
fn batches_of_every_size_agree_with_single_ones() {
    let rng = &mut rng(2);
    let federation = Federation::new(2, rng);
    // Both sides of the library's change of algorithm at 190 points, and the bound itself.
    for size in [1, 2, 189, 191, 600, MAX_BATCH] {
        let identifiers = numbered(size);
        let tags = federation.tags((0, 3), IdentifierType::Device, &identifiers, rng);
        assert_eq!(tags.len(), size);
        for index in [0, size / 2, size - 1] {
            let expected = federation.direct(3, "device", identifiers[index].as_str());
            assert_eq!(tags[index], expected, "{index} of {size}");
        }
    }
}

#[test]
fn blinding_the_same_identifiers_twice_shows_nothing_in_common() {
    let rng = &mut rng(3);
    let identifiers = numbered(2);
    let mut blind = || Blinding::blind_batch(IdentifierType::Device, &identifiers, rng).unwrap();
    let (first, second) = (blind(), blind());
    let seen: HashSet<&[u8]> = [&first, &second].into_iter().flat_map(|b| b.blinded().chunks(POINT_BYTES)).collect();
    assert_eq!(seen.len(), 4);
    let plain = Expander::new(HASH_TO_GROUP).hash_to_group(&[b"\0\x06device\0\x08device-0"]);
    for multiple in [1_u8, 2, 4] {
        let encoded = (plain * Scalar::from(multiple)).compress();
        assert!(!seen.contains(encoded.as_bytes().as_slice()));
    }
}

#[test]
fn a_forged_answer_is_refused() {
    let rng = &mut rng(4);
    let federation = Federation::new(3, rng);
    let keys = federation.keys(0, 1);
    let identifiers = numbered(5);
    let blinding = Blinding::blind_batch(IdentifierType::Device, &identifiers, rng).unwrap();
    let honest = federation.evaluate(0, &blinding, rng);
    assert!(blinding.finish(&keys, &honest).is_ok());
    let refused = |second: Evaluated| blinding.finish(&keys, &[honest[0].clone(), second]).unwrap_err();
    let proof_refused = Error::ProofRefused { evaluator: 1 };
    let (elements, proof) = (honest[1].elements().to_vec(), *honest[1].proof());

    let mut changed = elements.clone();
    changed[64..96].copy_from_slice(RistrettoPoint::random(rng).compress().as_bytes());
    assert_eq!(refused(Evaluated::from_bytes(&changed, &proof).unwrap()), proof_refused);

    let mut swapped = elements.clone();
    let (left, right) = swapped.split_at_mut(32);
    left.swap_with_slice(&mut right[..32]);
    assert_eq!(refused(Evaluated::from_bytes(&swapped, &proof).unwrap()), proof_refused);

    // Two errors that cancel out in a plain sum do not in the fold.
    let decoded = suite::decode_points(elements.as_chunks().0).unwrap();
    let shift = RistrettoPoint::random(rng);
    let mut cancelling = elements.clone();
    cancelling[..32].copy_from_slice((decoded[0] + shift).compress().as_bytes());
    cancelling[32..64].copy_from_slice((decoded[1] - shift).compress().as_bytes());
    assert_eq!(refused(Evaluated::from_bytes(&cancelling, &proof).unwrap()), proof_refused);

    let wrong_key = EpochKey::generate(rng).evaluate_batch(blinding.blinded(), rng).unwrap();
    assert_eq!(refused(wrong_key), proof_refused);

    // Another node's honest answer, in the wrong place.
    assert_eq!(refused(honest[0].clone()), proof_refused);

    let other_batch = Blinding::blind_batch(IdentifierType::Device, &identifiers, rng).unwrap();
    let replayed = federation.key(2).evaluate_batch(other_batch.blinded(), rng).unwrap();
    assert_eq!(refused(replayed), proof_refused);

    for bit in [0, 255, 256, 511] {
        let mut bent = proof;
        bent[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(refused(Evaluated::from_bytes(&elements, &bent).unwrap()), proof_refused);
    }
}

#[test]
fn answers_of_the_wrong_size_are_refused() {
    let rng = &mut rng(5);
    let federation = Federation::new(3, rng);
    let keys = federation.keys(0, 1);
    let blinding = Blinding::blind_batch(IdentifierType::Device, &numbered(3), rng).unwrap();
    let honest = federation.evaluate(0, &blinding, rng);
    assert_eq!(blinding.finish(&keys, &honest[..1]), Err(Error::AnswerSize));
    let short = Evaluated::from_bytes(&honest[1].elements()[..64], honest[1].proof()).unwrap();
    let answers = [honest[0].clone(), short];
    assert_eq!(blinding.finish(&keys, &answers), Err(Error::AnswerSize));
    assert_eq!(Evaluated::from_bytes(honest[0].elements(), &[0; 63]), Err(Error::AnswerSize));
    assert_eq!(Evaluated::from_bytes(&[1; 33], &[0; 64]), Err(Error::BatchSize));
}

#[test]
fn malformed_points_are_refused() {
    let rng = &mut rng(6);
    let federation = Federation::new(2, rng);
    let keys = federation.keys(0, 1);
    let blinding = Blinding::blind_batch(IdentifierType::Device, &numbered(2), rng).unwrap();
    let honest = federation.evaluate(0, &blinding, rng);
    let identity = [0; 32];
    // The field's modulus 2^255 − 19 is a second spelling of zero.
    let mut not_canonical = [0xff; 32];
    (not_canonical[0], not_canonical[31]) = (0xed, 0x7f);
    let mut negative = [0; 32];
    negative[0] = 1;
    for malformed in [identity, not_canonical, negative, [0xff; 32]] {
        let mut blinded = blinding.blinded().to_vec();
        blinded[32..].copy_from_slice(&malformed);
        let error = Error::MalformedPoint { index: 1 };
        assert_eq!(federation.key(1).evaluate_batch(&blinded, rng), Err(error));
        let mut elements = honest[0].elements().to_vec();
        elements[32..].copy_from_slice(&malformed);
        let answer = Evaluated::from_bytes(&elements, honest[0].proof()).unwrap();
        assert_eq!(blinding.finish(&keys, &[answer]), Err(error));
        assert_eq!(PublicKey::from_bytes(&malformed), Err(Error::MalformedKey));
    }
}

#[test]
fn batches_and_keys_outside_their_bounds_are_refused() {
    let rng = &mut rng(7);
    let blind =
        |count, rng: &mut StdRng| Blinding::blind_batch(IdentifierType::Device, &numbered(count), rng).map(|_| ());
    assert_eq!(blind(0, rng), Err(Error::BatchSize));
    assert_eq!(blind(MAX_BATCH + 1, rng), Err(Error::BatchSize));
    let key = EpochKey::generate(rng);
    for bytes in [0, 31, 33, (MAX_BATCH + 1) * 32] {
        assert_eq!(key.evaluate_batch(&vec![1; bytes], rng), Err(Error::BatchSize));
    }
    for damaged in [[0; 32], [0xff; 32]] {
        assert_eq!(EpochKey::from_bytes(&damaged).map(|_| ()), Err(Error::MalformedSecretKey));
    }
    let public = |secret: Scalar| EpochKey::from_bytes(secret.as_bytes()).unwrap().public().clone();
    let (a, b) = (Scalar::random(rng), Scalar::random(rng));
    let keys =
        |others: Vec<PublicKey>| EpochKeys::new(1, EpochKey::from_bytes(a.as_bytes()).unwrap(), others).map(|_| ());
    assert_eq!(keys(vec![]), Err(Error::NodeCount));
    assert_eq!(keys(vec![public(b); MAX_NODES]), Err(Error::NodeCount));
    assert_eq!(keys(vec![public(b), public(b)]), Err(Error::DependentKeys));
    assert_eq!(keys(vec![public(a)]), Err(Error::DependentKeys));
    assert_eq!(keys(vec![public(b), public(-(a + b))]), Err(Error::DependentKeys));
    assert_eq!(keys(vec![public(b)]), Ok(()));
}

#[test]
fn debug_output_shows_no_secret() {
    let rng = &mut rng(8);
    let federation = Federation::new(2, rng);
    let blinding = Blinding::blind_batch(IdentifierType::Device, &devices(["hidden".into()]), rng).unwrap();
    assert_eq!(format!("{blinding:?}"), "Blinding(1 identifiers, redacted)");
    assert_eq!(format!("{:?}", federation.key(0)), "EpochKey(redacted)");
    assert_eq!(format!("{:?}", federation.keys(0, 7)), "EpochKeys(epoch 7, own and 1 others)");
}

#[test]
fn the_cost_probe_keeps_its_bounds() {
    let rng = &mut rng(9);
    let prepare = |nodes, identifiers, rng: &mut StdRng| {
        UnavoidableMultiplications::prepare(nodes, identifiers, rng).map(|probe| probe.run())
    };
    assert_eq!(prepare(3, 2, rng), Ok(()));
    assert_eq!(prepare(1, 2, rng), Err(Error::NodeCount));
    assert_eq!(prepare(3, 0, rng), Err(Error::BatchSize));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn two_nodes_agree_on_any_identifiers(
        seed in any::<u64>(),
        nodes in prop_oneof![Just(2_usize), Just(3), Just(5)],
        names in proptest::collection::vec("[a-z0-9._:-]{1,64}", 1..6),
        epoch in any::<u64>(),
    ) {
        let rng = &mut rng(seed);
        let federation = Federation::new(nodes, rng);
        let identifiers = devices(names);
        let first = federation.tags((0, epoch), IdentifierType::Device, &identifiers, rng);
        let last = federation.tags((nodes - 1, epoch), IdentifierType::Device, &identifiers, rng);
        prop_assert_eq!(&first, &last);
        prop_assert_eq!(first[0], federation.direct(epoch, "device", identifiers[0].as_str()));
    }

    #[test]
    fn any_bytes_are_refused_or_evaluated_without_panic(
        points in proptest::collection::vec(any::<[u8; 32]>(), 1..4),
        seed in any::<u64>(),
    ) {
        let rng = &mut rng(seed);
        let mut proof = [0; PROOF_BYTES];
        rng.fill_bytes(&mut proof);
        let federation = Federation::new(2, rng);
        let count = points.len();
        let bytes = points.as_flattened();
        if let Err(error) = federation.key(1).evaluate_batch(bytes, rng) {
            let named = matches!(error, Error::MalformedPoint { index } if index < count);
            prop_assert!(named);
        }
        let blinding =
            Blinding::blind_batch(IdentifierType::Device, &numbered(count), rng).unwrap();
        let answer = Evaluated::from_bytes(bytes, &proof).unwrap();
        prop_assert!(blinding.finish(&federation.keys(0, 1), &[answer]).is_err());
    }
}
