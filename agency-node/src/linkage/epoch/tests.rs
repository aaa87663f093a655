use std::sync::Arc;

use sallyport_trust::{
    clock::Clock,
    identity::development_ca::{DevelopmentSet, development_set},
};
use tempfile::TempDir;

use super::*;
use crate::linkage::progress;

const AGENCIES: [&str; 3] = ["acme", "cbp", "hsi"];

/// Everybody's certificates, and a state directory for each agency.
struct World(TempDir);

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let set = DevelopmentSet {
            federation: "border.example",
            agencies: &AGENCIES,
            users: &[("hsi", "rivera")],
            auditors: &[],
            partners: &[],
        };
        development_set(&directory.path().join("certs"), &set, Clock::system()).unwrap();
        Self(directory)
    }

    fn identity(&self, name: &str) -> Arc<Identity> {
        let path = |file: String| self.0.path().join("certs").join(file);
        let files = sallyport_trust::identity::TlsFiles {
            certificate: path(format!("{name}.pem")),
            key: path(format!("{name}.key")),
            authorities: path("authority.pem".to_owned()),
            revocations: None,
        };
        Identity::load(&files, Clock::system()).unwrap()
    }

    fn node(&self, agency: &str) -> Arc<Identity> {
        self.identity(&format!("agency-{agency}-node"))
    }

    fn state(&self, agency: &str) -> PathBuf {
        self.0.path().join(agency)
    }

    fn open(&self, agency: &str, epoch: u64, members: &[&str], before: Option<Continued>) -> Epoch {
        let terms = Terms {
            federation: "border.example".to_owned(),
            epoch,
            members: members.iter().map(|&member| member.to_owned()).collect(),
            agency: agency.to_owned(),
            before,
        };
        Epoch::open(&self.state(agency), terms).unwrap()
    }

    /// Lets `reader` greet `member` and take what it answers.
    fn greet(&self, reader: &mut Epoch, member: &Epoch) -> Result<(), Refusal> {
        let (own, other) = (reader.terms.agency.clone(), member.terms.agency.clone());
        let reply = member.answer(&self.node(&other), &own, reader.statement(&self.node(&own))?)?;
        reader.take(&self.node(&own), &other, reply)
    }

    fn agree(&self, epochs: &mut [Epoch]) {
        for reader in 0..epochs.len() {
            for member in (0..epochs.len()).filter(|member| *member != reader) {
                let [reader, member] = epochs.get_disjoint_mut([reader, member]).unwrap();
                self.greet(reader, member).unwrap();
            }
        }
    }
}

fn digests(epochs: &[Epoch]) -> Vec<[u8; 32]> {
    epochs.iter().map(|epoch| epoch.agreed().unwrap().digest).collect()
}

fn keys(epoch: &Epoch) -> BTreeMap<String, [u8; POINT_BYTES]> {
    epoch.continued().unwrap().peer_keys
}

#[test]
fn an_epoch_is_agreed_once_and_the_same_after_a_restart() {
    let world = World::new();
    let mut epochs = AGENCIES.map(|agency| world.open(agency, 1, &AGENCIES, None));
    assert_eq!(epochs[0].missing(), ["cbp", "hsi"]);
    world.agree(&mut epochs);
    let agreed = digests(&epochs);
    assert!(agreed.iter().all(|digest| *digest == agreed[0]));
    let reopened = AGENCIES.map(|agency| world.open(agency, 1, &AGENCIES, None));
    assert_eq!(digests(&reopened), agreed);
    assert_eq!(numbers(&world.state("hsi")).unwrap(), [1]);
    erase(&world.state("hsi"), 1).unwrap();
    assert!(Epoch::reopen(&world.state("hsi"), "border.example", "hsi", 1).unwrap().is_none());
}

#[test]
fn who_was_there_keeps_the_key_and_who_joins_draws_one() {
    let world = World::new();
    let two = ["cbp", "hsi"];
    let mut before = two.map(|agency| world.open(agency, 1, &two, None));
    world.agree(&mut before);
    let [of_cbp, of_hsi] = before.each_ref().map(|epoch| epoch.continued().unwrap());
    let mut epochs = [
        world.open("acme", 2, &AGENCIES, None),
        world.open("cbp", 2, &AGENCIES, Some(of_cbp)),
        world.open("hsi", 2, &AGENCIES, Some(of_hsi.clone())),
    ];
    world.agree(&mut epochs);
    let agreed = digests(&epochs);
    assert!(agreed.iter().all(|digest| *digest == agreed[0] && *digest != of_hsi.digest));
    assert_eq!(keys(&epochs[2])["cbp"], keys(&before[1])["cbp"]);
    assert_eq!(keys(&epochs[0])["hsi"], keys(&before[0])["hsi"]);
    // Evaluations are counted for a key, however many epochs it serves.
    assert_eq!((epochs[2].keyed_since(), epochs[0].keyed_since()), (1, 2));
    assert_eq!(epochs[2].continues(), Some(of_hsi.digest));
    assert!(epochs[0].joins() && !epochs[1].joins());
    let secret = |epoch: &Epoch| epoch.file.contribution;
    assert_ne!(secret(&epochs[2]), secret(&before[1]), "the epoch's secret is another one");
}

#[test]
fn a_member_that_changes_its_key_where_it_must_keep_it_is_refused() {
    let world = World::new();
    let two = ["cbp", "hsi"];
    let mut before = two.map(|agency| world.open(agency, 1, &two, None));
    world.agree(&mut before);
    let of_hsi = before[1].continued().unwrap();
    let mut hsi = world.open("hsi", 2, &AGENCIES, Some(of_hsi.clone()));
    let lost = world.open("cbp", 2, &AGENCIES, None);
    assert_eq!(world.greet(&mut hsi, &lost).unwrap_err().reason, "epoch_other_keys");

    // And one that was taken is not exchanged for another.
    let mut hsi = world.open("hsi", 3, &two, None);
    let cbp = world.open("cbp", 3, &two, None);
    world.greet(&mut hsi, &cbp).unwrap();
    let digest = hsi.agreed().unwrap().digest;
    erase(&world.state("cbp"), 3).unwrap();
    let again = world.open("cbp", 3, &two, None);
    assert_eq!(world.greet(&mut hsi, &again).unwrap_err().reason, "epoch_other_keys");
    assert_eq!(hsi.agreed().unwrap().digest, digest);
    let other = world.open("cbp", 4, &two, None);
    assert_eq!(world.greet(&mut hsi, &other).unwrap_err().reason, "epoch_other_terms");
}

#[test]
fn progress_is_told_by_the_member_itself() {
    let world = World::new();
    let told = |agency: &str, epoch| sallyport_proto::node::v1::EpochProgress {
        federation: "border.example".to_owned(),
        epoch,
        agency: agency.to_owned(),
        epoch_digest: vec![7; 32],
        tagged_thousandths: 1_000,
        complete: true,
        in_use: false,
    };
    let reader = world.node("hsi");
    let read = |from: &str, epoch, signed| progress::verify(&reader, from, epoch, signed).map_err(|r| r.reason);
    let sound = progress::sign(&world.node("cbp"), &told("cbp", 2)).unwrap();
    assert_eq!(read("cbp", 2, sound.clone()), Ok(told("cbp", 2)));
    // Of another epoch, in another's name, by a person, and changed on its way.
    assert_eq!(read("cbp", 3, sound.clone()).unwrap_err(), "epoch_wrong_signer");
    assert_eq!(read("acme", 2, sound.clone()).unwrap_err(), "epoch_wrong_signer");
    for signer in ["gateway", "agency-acme-node", "agency-hsi-user-rivera"] {
        let forged = progress::sign(&world.identity(signer), &told("cbp", 2)).unwrap();
        assert_eq!(read("cbp", 2, forged).unwrap_err(), "epoch_wrong_signer", "{signer}");
    }
    let changed = SignedMessage { message: told("cbp", 3).encode_to_vec(), ..sound };
    assert_eq!(read("cbp", 3, changed).unwrap_err(), "signature_invalid");
}
