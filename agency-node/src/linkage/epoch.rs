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
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::oprf::{EpochKey, PublicKey};

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
}

/// What this node alone knows of an epoch, and what the others told it.
pub(crate) struct Epoch {
    terms: Terms,
    path: PathBuf,
    file: EpochFile,
    pub(crate) tag_key: EpochKey,
    sealing_key: PrivateKey,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop, Clone)]
struct EpochFile {
    tag_key: [u8; 32],
    sealing_key: [u8; 32],
    contribution: [u8; CONTRIBUTION_BYTES],
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
        let path = directory.join(format!("{}.json", terms.epoch));
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
        })
    }

    /// Takes a member's contribution and keeps it.
    pub(crate) fn take(&mut self, identity: &Identity, from: &str, reply: EpochReply) -> Result<(), Refusal> {
        let signed = reply.statement.ok_or_else(|| unusable(from))?;
        let (bytes, statement) = self.verify(identity, from, signed)?;
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
        let signature: Signature = signed.signature.ok_or_else(|| unusable(from))?.try_into()?;
        let signer = identity.verify(STATEMENT, &signed.message, &signature)?;
        let statement = EpochStatement::decode(signed.message.as_slice()).map_err(|_| unusable(from))?;
        let is_theirs = signer.role == (Role::Node { agency: from.to_owned() })
            && signer.federation == self.terms.federation
            && statement.agency == from;
        let same_terms = statement.federation == self.terms.federation
            && statement.epoch == self.terms.epoch
            && statement.members == self.terms.members;
        if !is_theirs || !self.terms.members.iter().any(|member| member == from) {
            return Err(Refusal::denied(
                "epoch_wrong_signer",
                "An epoch's statement must be signed by the member itself.",
            ));
        }
        if !same_terms {
            return Err(Refusal::new(
                Kind::Conflict,
                "epoch_other_terms",
                format!("The node of `{from}` is configured for another epoch or other members; compare [federation]."),
            ));
        }
        Ok((signed.message, statement))
    }

    fn sealing_info(&self, sender: &str, reader: &str) -> Vec<u8> {
        format!("sallyport contribution v1\0{}\0{}\0{sender}\0{reader}", self.terms.federation, self.terms.epoch)
            .into_bytes()
    }
}

fn public_key(statement: &EpochStatement) -> Option<PublicKey> {
    PublicKey::from_bytes(statement.tag_key.as_slice().try_into().ok()?).ok()
}

fn draw(terms: &Terms) -> Result<EpochFile, EpochError> {
    let (sealing_key, sealing_public) = X25519HkdfSha256::gen_keypair();
    let tag_key = EpochKey::generate(&mut rand::rng());
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
    };
    Ok(EpochFile {
        tag_key: *tag_key.to_bytes(),
        sealing_key: sealing_key.to_bytes().into(),
        contribution,
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
