//! An epoch: every member's tag key, and a secret that all members share and the gateway does not.
//!
//! Each node draws its tag key, a sealing key and a contribution once, keeps them in a file that only
//! it can read, and publishes a signed statement: the public keys and a digest of the contribution.
//! Contributions travel sealed (HPKE, RFC 9180: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
//! ChaCha20-Poly1305) to one reader each. The secret is derived from all contributions, so no node
//! alone decides it; the epoch's digest covers all statements, so nodes that were told different
//! things refuse each other's questions.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use hkdf::Hkdf;
use hpke::{
    Deserializable, Kem as _, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::X25519HkdfSha256, setup_receiver, setup_sender,
};
use prost::Message;
use sallyport_join::keys::EpochSecret;
use sallyport_proto::node::v1::{EpochReply, EpochStatement, SignedMessage};
use sallyport_trust::{
    error::{Kind, Refusal},
    identity::{Identity, Role, Signature, SigningPurpose},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::oprf::{EpochKey, POINT_BYTES, PublicKey};

const STATEMENT: SigningPurpose = SigningPurpose::new("epoch statement");
const CONTRIBUTION_BYTES: usize = 32;

type PrivateKey = <X25519HkdfSha256 as hpke::Kem>::PrivateKey;
type SealingKey = <X25519HkdfSha256 as hpke::Kem>::PublicKey;

/// Which epoch of which federation, and who takes part in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) federation: String,
    pub(crate) epoch: u64,
    /// Sorted.
    pub(crate) members: Vec<String>,
    pub(crate) agency: String,
    /// The epoch before, when its members keep their tag keys and others join; else this node draws a
    /// new key, and the others know whether they keep theirs.
    pub(crate) before: Option<Continued>,
}

/// The keys of the epoch that another one continues.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Continued {
    pub(crate) digest: [u8; 32],
    /// Number of the epoch that this node's key was drawn in.
    pub(crate) keyed_since: u64,
    pub(crate) tag_key: Zeroizing<[u8; 32]>,
    /// The other members' keys.
    pub(crate) peer_keys: BTreeMap<String, [u8; POINT_BYTES]>,
}

impl std::fmt::Debug for Continued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Continued(redacted)")
    }
}

/// Why an epoch's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EpochError {
    #[error("{path} cannot be read or written ({kind}): check the state directory and its permissions")]
    File { path: PathBuf, kind: std::io::ErrorKind },
    #[error("{path} is damaged: restore it from a backup, or begin a new epoch at every node")]
    Damaged { path: PathBuf },
    #[error("the machine gives no randomness")]
    Randomness,
    #[error("the tag key of the epoch before cannot be used")]
    KeyUnusable,
    #[error("[federation]: {0}")]
    Course(String),
}

/// What this node alone knows of an epoch, and what the others told it.
pub(crate) struct Epoch {
    terms: Terms,
    path: PathBuf,
    file: EpochFile,
    tag_key: EpochKey,
    sealing_key: PrivateKey,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop, Clone)]
struct EpochFile {
    tag_key: [u8; 32],
    sealing_key: [u8; 32],
    contribution: [u8; CONTRIBUTION_BYTES],
    /// Number of the epoch that the tag key was drawn in; 0 for this one.
    #[serde(default)]
    keyed_since: u64,
    #[zeroize(skip)]
    statement: Vec<u8>,
    #[zeroize(skip)]
    peers: BTreeMap<String, Peer>,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop, Clone)]
struct Peer {
    #[zeroize(skip)]
    statement: Vec<u8>,
    contribution: [u8; CONTRIBUTION_BYTES],
}

/// What an agreed epoch's work needs.
pub(crate) struct Material {
    pub(crate) agreed: AgreedEpoch,
    pub(crate) tag_key: Zeroizing<[u8; 32]>,
    pub(crate) terms: Terms,
    pub(crate) keyed_since: u64,
    pub(crate) continues: Option<[u8; 32]>,
}

/// An epoch that every member has contributed to.
pub(crate) struct AgreedEpoch {
    /// SHA-256 over all statements, in the order of the members.
    pub(crate) digest: [u8; 32],
    pub(crate) secret: EpochSecret,
    /// The other members' tag keys.
    pub(crate) peer_keys: BTreeMap<String, PublicKey>,
}

impl Epoch {
    /// Reads the epoch's file, or draws keys and writes it.
    pub(crate) fn open(state: &Path, terms: Terms) -> Result<Self, EpochError> {
        let directory = state.join("epochs");
        let path = file_of(state, terms.epoch);
        let failed = |error: std::io::Error| EpochError::File { path: path.clone(), kind: error.kind() };
        fs::create_dir_all(&directory).map_err(failed)?;
        let file = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| EpochError::Damaged { path: path.clone() })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let file = draw(&terms)?;
                write_private(&path, &file).map_err(failed)?;
                file
            }
            Err(error) => return Err(failed(error)),
        };
        let damaged = || EpochError::Damaged { path: path.clone() };
        let tag_key = EpochKey::from_bytes(&file.tag_key).map_err(|_| damaged())?;
        let sealing_key = PrivateKey::from_bytes(&file.sealing_key).map_err(|_| damaged())?;
        let statement = EpochStatement::decode(file.statement.as_slice()).map_err(|_| damaged())?;
        if statement.members != terms.members || statement.federation != terms.federation {
            return Err(damaged());
        }
        Ok(Self { terms, path, file, tag_key, sealing_key })
    }

    /// Opens an epoch that is kept, by what its own statement says; nothing if it is not there.
    pub(crate) fn reopen(state: &Path, federation: &str, agency: &str, epoch: u64) -> Result<Option<Self>, EpochError> {
        let path = file_of(state, epoch);
        if !path.exists() {
            return Ok(None);
        }
        let damaged = || EpochError::Damaged { path: path.clone() };
        let bytes = fs::read(&path).map_err(|error| EpochError::File { path: path.clone(), kind: error.kind() })?;
        let file: EpochFile = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        let statement = EpochStatement::decode(file.statement.as_slice()).map_err(|_| damaged())?;
        let terms = Terms {
            federation: federation.to_owned(),
            epoch,
            members: statement.members,
            agency: agency.to_owned(),
            before: None,
        };
        Self::open(state, terms).map(Some)
    }

    /// Digest of the epoch whose keys this one keeps.
    pub(crate) fn continues(&self) -> Option<[u8; 32]> {
        let statement = EpochStatement::decode(self.file.statement.as_slice()).ok()?;
        statement.continues.as_slice().try_into().ok()
    }

    /// Number of the epoch that the tag key was drawn in: evaluations are counted for a key.
    pub(crate) fn keyed_since(&self) -> u64 {
        if self.file.keyed_since == 0 { self.terms.epoch } else { self.file.keyed_since }
    }

    /// What an epoch that continues this one needs to know of it, once it is agreed.
    pub(crate) fn continued(&self) -> Option<Continued> {
        let agreed = self.agreed()?;
        Some(Continued {
            digest: agreed.digest,
            keyed_since: self.keyed_since(),
            tag_key: self.tag_key.to_bytes(),
            peer_keys: agreed.peer_keys.iter().map(|(agency, key)| (agency.clone(), key.to_bytes())).collect(),
        })
    }

    /// True when other members keep keys of an epoch that this node was not in.
    pub(crate) fn joins(&self) -> bool {
        let continues = |peer: &Peer| {
            EpochStatement::decode(peer.statement.as_slice()).is_ok_and(|statement| !statement.continues.is_empty())
        };
        self.continues().is_none() && self.file.peers.values().any(continues)
    }

    /// Everything that the epoch's work needs, once nobody is missing.
    pub(crate) fn material(&self) -> Option<Material> {
        Some(Material {
            agreed: self.agreed()?,
            tag_key: self.tag_key.to_bytes(),
            terms: self.terms.clone(),
            keyed_since: self.keyed_since(),
            continues: self.continues(),
        })
    }

    /// Members that have not contributed yet.
    pub(crate) fn missing(&self) -> Vec<String> {
        let others = self.terms.members.iter().filter(|member| **member != self.terms.agency);
        others.filter(|member| !self.file.peers.contains_key(*member)).cloned().collect()
    }

    /// This node's statement under its signature.
    pub(crate) fn statement(&self, identity: &Identity) -> Result<SignedMessage, Refusal> {
        let signature = identity.sign(STATEMENT, &self.file.statement).map_err(Refusal::from)?;
        Ok(SignedMessage { message: self.file.statement.clone(), signature: Some(signature.into()) })
    }

    /// Answers a member's greeting: our statement, and our contribution sealed to it.
    pub(crate) fn answer(
        &self,
        identity: &Identity,
        from: &str,
        greeting: SignedMessage,
    ) -> Result<EpochReply, Refusal> {
        let (_, statement) = self.verify(identity, from, greeting)?;
        let reader = SealingKey::from_bytes(&statement.sealing_key).map_err(|_| unusable(from))?;
        let info = self.sealing_info(&self.terms.agency, from);
        let sealed = setup_sender::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(&OpModeS::Base, &reader, &info)
            .and_then(|(key, mut context)| Ok((key, context.seal(&self.file.contribution, &[])?)));
        let (key, ciphertext) = sealed.map_err(|_| unusable(from))?;
        Ok(EpochReply {
            statement: Some(self.statement(identity)?),
            encapsulated_key: key.to_bytes().to_vec(),
            ciphertext,
            progress: None,
        })
    }

    /// Takes a member's contribution and keeps it; one that is kept is not replaced.
    pub(crate) fn take(&mut self, identity: &Identity, from: &str, reply: EpochReply) -> Result<(), Refusal> {
        let signed = reply.statement.ok_or_else(|| unusable(from))?;
        let (bytes, statement) = self.verify(identity, from, signed)?;
        if self.file.peers.contains_key(from) {
            return Ok(());
        }
        public_key(&statement).ok_or_else(|| unusable(from))?;
        let key = <X25519HkdfSha256 as hpke::Kem>::EncappedKey::from_bytes(&reply.encapsulated_key)
            .map_err(|_| unusable(from))?;
        let info = self.sealing_info(from, &self.terms.agency);
        let opened = setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.sealing_key,
            &key,
            &info,
        )
        .and_then(|mut context| context.open(&reply.ciphertext, &[]))
        .map_err(|_| unusable(from))?;
        let contribution: [u8; CONTRIBUTION_BYTES] = opened.as_slice().try_into().map_err(|_| unusable(from))?;
        if digest_of(&contribution).as_slice() != statement.contribution_digest {
            return Err(unusable(from));
        }
        self.file.peers.insert(from.to_owned(), Peer { statement: bytes, contribution });
        write_private(&self.path, &self.file).map_err(|error| Refusal::internal("epoch_not_kept", &error))
    }

    /// The agreed epoch, once nobody is missing.
    pub(crate) fn agreed(&self) -> Option<AgreedEpoch> {
        let mut digest = Sha256::new_with_prefix(b"sallyport epoch digest v1");
        let mut contributions = Vec::new();
        let mut peer_keys = BTreeMap::new();
        for member in &self.terms.members {
            let (statement, contribution) = if *member == self.terms.agency {
                (&self.file.statement, &self.file.contribution)
            } else {
                let peer = self.file.peers.get(member)?;
                let read = EpochStatement::decode(peer.statement.as_slice()).ok()?;
                peer_keys.insert(member.clone(), public_key(&read)?);
                (&peer.statement, &peer.contribution)
            };
            digest.update((statement.len() as u64).to_be_bytes());
            digest.update(statement);
            contributions.extend_from_slice(contribution);
        }
        let digest: [u8; 32] = digest.finalize().into();
        let mut secret = [0; 32];
        Hkdf::<Sha256>::new(Some(&digest), &contributions).expand(b"sallyport epoch secret v1", &mut secret).ok()?;
        contributions.zeroize();
        Some(AgreedEpoch { digest, secret: EpochSecret::new(secret), peer_keys })
    }

    fn verify(
        &self,
        identity: &Identity,
        from: &str,
        signed: SignedMessage,
    ) -> Result<(Vec<u8>, EpochStatement), Refusal> {
        let statement = read_statement(identity, from, &signed)?;
        if !self.terms.members.iter().any(|member| member == from) {
            return Err(wrong_signer());
        }
        let same_terms = statement.federation == self.terms.federation
            && statement.epoch == self.terms.epoch
            && statement.members == self.terms.members;
        if !same_terms {
            return Err(other_terms(from));
        }
        let known = self.file.peers.get(from).is_none_or(|peer| peer.statement == signed.message);
        if !known || !self.terms.before.as_ref().is_none_or(|before| before.allows(from, &statement)) {
            return Err(Refusal::new(
                Kind::Conflict,
                "epoch_other_keys",
                format!(
                    "The node of `{from}` has another tag key than it must have in this epoch; begin a new epoch at \
                     every node."
                ),
            ));
        }
        Ok((signed.message, statement))
    }

    fn sealing_info(&self, sender: &str, reader: &str) -> Vec<u8> {
        format!("sallyport contribution v1\0{}\0{}\0{sender}\0{reader}", self.terms.federation, self.terms.epoch)
            .into_bytes()
    }
}

impl Continued {
    /// Whether a member keeps the key that it had, or has a new one because it joins.
    fn allows(&self, from: &str, statement: &EpochStatement) -> bool {
        match self.peer_keys.get(from) {
            Some(key) => statement.continues == self.digest && statement.tag_key == key,
            None => statement.continues.is_empty(),
        }
    }
}

/// Where the epoch with this number is kept.
pub(crate) fn file_of(state: &Path, epoch: u64) -> PathBuf {
    state.join("epochs").join(format!("{epoch}.json"))
}

/// Numbers of the epochs that are kept.
pub(crate) fn numbers(state: &Path) -> Result<Vec<u64>, EpochError> {
    let directory = state.join("epochs");
    let entries =
        fs::read_dir(&directory).map_err(|error| EpochError::File { path: directory.clone(), kind: error.kind() })?;
    let name = |entry: std::io::Result<fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    Ok(entries.filter_map(|entry| name(entry)?.strip_suffix(".json")?.parse().ok()).collect())
}

/// Reads a member's statement, whatever epoch it is of.
///
/// # Errors
/// When it is not signed by that member.
pub(crate) fn read_statement(
    identity: &Identity,
    from: &str,
    signed: &SignedMessage,
) -> Result<EpochStatement, Refusal> {
    let signature: Signature = signed.signature.clone().ok_or_else(|| unusable(from))?.try_into()?;
    let signer = identity.verify(STATEMENT, &signed.message, &signature)?;
    let statement = EpochStatement::decode(signed.message.as_slice()).map_err(|_| unusable(from))?;
    let is_theirs = signer.role == (Role::Node { agency: from.to_owned() })
        && signer.federation == identity.id().federation
        && statement.agency == from;
    if is_theirs { Ok(statement) } else { Err(wrong_signer()) }
}

fn wrong_signer() -> Refusal {
    Refusal::denied("epoch_wrong_signer", "An epoch's statement must be signed by the member itself.")
}

/// The terms of two nodes for an epoch are not the same.
fn other_terms(from: &str) -> Refusal {
    Refusal::new(
        Kind::Conflict,
        "epoch_other_terms",
        format!(
            "The node of `{from}` was told of other members for this epoch; compare `sallyport epoch show` and \
             [federation] at both."
        ),
    )
}

/// Forgets an epoch's keys.
pub(crate) fn erase(state: &Path, epoch: u64) -> std::io::Result<()> {
    match fs::remove_file(file_of(state, epoch)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => fs::File::open(state.join("epochs"))?.sync_all(),
    }
}

fn public_key(statement: &EpochStatement) -> Option<PublicKey> {
    PublicKey::from_bytes(statement.tag_key.as_slice().try_into().ok()?).ok()
}

fn draw(terms: &Terms) -> Result<EpochFile, EpochError> {
    let (sealing_key, sealing_public) = X25519HkdfSha256::gen_keypair();
    let tag_key = match &terms.before {
        Some(before) => EpochKey::from_bytes(&before.tag_key).map_err(|_| EpochError::KeyUnusable)?,
        None => EpochKey::generate(&mut rand::rng()),
    };
    let mut contribution = [0; CONTRIBUTION_BYTES];
    rand::TryRng::try_fill_bytes(&mut rand::rngs::SysRng, &mut contribution).map_err(|_| EpochError::Randomness)?;
    let statement = EpochStatement {
        federation: terms.federation.clone(),
        epoch: terms.epoch,
        members: terms.members.clone(),
        agency: terms.agency.clone(),
        tag_key: tag_key.public().to_bytes().to_vec(),
        sealing_key: sealing_public.to_bytes().to_vec(),
        contribution_digest: digest_of(&contribution).to_vec(),
        continues: terms.before.as_ref().map(|before| before.digest.to_vec()).unwrap_or_default(),
    };
    Ok(EpochFile {
        tag_key: *tag_key.to_bytes(),
        sealing_key: sealing_key.to_bytes().into(),
        contribution,
        keyed_since: terms.before.as_ref().map_or(0, |before| before.keyed_since),
        statement: statement.encode_to_vec(),
        peers: BTreeMap::new(),
    })
}

fn digest_of(contribution: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix(b"sallyport contribution v1").chain_update(contribution).finalize().into()
}

/// Writes aside, syncs and renames; readable by the owner alone.
fn write_private(path: &Path, file: &EpochFile) -> std::io::Result<()> {
    let aside = path.with_extension("new");
    let mut bytes = serde_json::to_vec(file)?;
    let mut out = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    let written = out.write_all(&bytes).and_then(|()| out.sync_all());
    bytes.zeroize();
    written?;
    fs::rename(&aside, path)?;
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn unusable(from: &str) -> Refusal {
    Refusal::bad_input("epoch_unusable", format!("What the node of `{from}` sent for the epoch cannot be used."))
}

#[cfg(test)]
mod tests;
