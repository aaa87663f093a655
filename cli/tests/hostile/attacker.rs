//! Somebody with real certificates and bad intentions.

use std::{collections::BTreeMap, sync::Arc};

use prost::Message;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use sallyport_proto::{
    common::v1 as pb,
    node::v1::{
        ContributeRequest, EpochStatement, SignedMessage, contributed::Part, contribution_client::ContributionClient,
    },
};
use sallyport_trust::{
    error::Refusal,
    identity::{Identity, SigningPurpose, TlsFiles, refusal_of},
    question::{Asker, Circumstances, LocatorRange, Question, WrittenQuestion, parse_question},
};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tonic::{Status, transport::Channel};

use crate::world::{FEDERATION, PATIENCE, World};

/// Which phones are in both agencies' data?
pub(crate) const QUESTION: &str = r#"
    subject = "phone"
    purpose = "counter-narcotics"
    case_number = "HSI-2026-0117"
    reason = "link analysis"
    minimum_datasets = 2
    top = 50
    deadline_seconds = 60
    [[indicator]]
    dataset = "cbp.crossings"
    where = [{ attribute = "lane", is = "=", value = "cargo" }]
    [[indicator]]
    dataset = "hsi.calls"
    identifier = "caller"
"#;

/// What a stranger is told after a handshake, or the alert that ends it. Trusts every server, so that
/// only the server's judgement shows.
pub(crate) async fn knock(address: &str, files: Option<&TlsFiles>, protocol: &[u8]) -> Result<Vec<u8>, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustsAnyone(provider)));
    let mut config = match files {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let chain = CertificateDer::pem_file_iter(&files.certificate).unwrap().map(Result::unwrap).collect();
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(&files.key).unwrap()).unwrap()
        }
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    let said = async {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let name = ServerName::try_from("sallyport.invalid").unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
        // A server that has judged may be gone before this arrives.
        let _ = stream.write_all(b"GET /etc/passwd HTTP/1.1\r\nhost: node\r\n\r\n").await;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.map_err(|error| error.to_string())?;
        Ok(bytes)
    };
    timeout(PATIENCE, said).await.expect("the server neither answers nor closes")
}

#[derive(Debug)]
struct TrustsAnyone(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for TrustsAnyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Sends bytes to a port and takes what comes back until the port closes.
pub(crate) async fn throw(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(bytes).await;
    // What is half sent would be waited for.
    let _ = stream.shutdown().await;
    let mut back = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut back)).await;
    // A connection that is reset is closed as well.
    let _ = read.expect("the port neither answers nor closes");
    back
}

/// Makes questions as a node's owner could, with its real key.
pub(crate) struct Forger {
    identity: Arc<Identity>,
    agency: &'static str,
    epoch_digest: [u8; 32],
}

impl Forger {
    pub(crate) fn new(world: &World, agency: &'static str) -> Self {
        let identity = world.identity(&format!("agency-{agency}-node"));
        Self { identity, agency, epoch_digest: Epoch::read(world, agency).digest }
    }

    /// A sound question of the agency's person at this moment.
    pub(crate) fn question(&self) -> pb::SignedQuestion {
        self.question_of(QUESTION, None)
    }

    pub(crate) fn question_of(&self, text: &str, lookup: Option<Vec<LocatorRange>>) -> pb::SignedQuestion {
        self.written(&parse_question(text, 0).unwrap().question, lookup)
    }

    pub(crate) fn written(&self, question: &Question, lookup: Option<Vec<LocatorRange>>) -> pb::SignedQuestion {
        let person = if self.agency == "hsi" { "rivera" } else { "okafor" };
        let asker = Asker::from([
            ("federation_id".to_owned(), format!("spiffe://{FEDERATION}/agency/{}/user/{person}", self.agency)),
            ("agency".to_owned(), self.agency.to_owned()),
            ("role".to_owned(), "analyst".to_owned()),
            ("28cfr_certification".to_owned(), "true".to_owned()),
        ]);
        let circumstances = Circumstances {
            federation: FEDERATION.to_owned(),
            epoch_digest: self.epoch_digest,
            home_agency: self.agency.to_owned(),
            asker,
            issued_at_ms: chrono::Utc::now().timestamp_millis(),
            looked_up: lookup.as_ref().map_or(0, |ranges| ranges.len() as u32),
            lookup,
            completes: None,
            standing: false,
        };
        let written = WrittenQuestion::write(question, circumstances).unwrap();
        written.sign(&self.identity).unwrap().into_wire()
    }

    /// A question with another header, signed again as if nothing were wrong with it.
    pub(crate) fn altered(&self, alter: impl FnOnce(&mut pb::QuestionHeader)) -> pb::SignedQuestion {
        let mut question = self.question();
        self.alter(&mut question, alter);
        question
    }

    pub(crate) fn alter(&self, question: &mut pb::SignedQuestion, alter: impl FnOnce(&mut pb::QuestionHeader)) {
        let mut header = pb::QuestionHeader::decode(question.header.as_slice()).unwrap();
        alter(&mut header);
        question.header = header.encode_to_vec();
        question.signature = Some(self.sign("question", &question.header));
    }

    pub(crate) fn sign(&self, purpose: &'static str, message: &[u8]) -> pb::Signature {
        self.identity.sign(SigningPurpose::new(purpose), message).unwrap().into()
    }

    pub(crate) fn message(&self, purpose: &'static str, message: &impl Message) -> SignedMessage {
        let message = message.encode_to_vec();
        let signature = Some(self.sign(purpose, &message));
        SignedMessage { message, signature }
    }

    pub(crate) fn epoch_digest(&self) -> Vec<u8> {
        self.epoch_digest.to_vec()
    }
}

/// Leaves only one opening, as the gateway does for a contributor.
pub(crate) fn only(question: &pb::SignedQuestion, index: u32) -> pb::SignedQuestion {
    let mut question = question.clone();
    question.openings.retain(|opening| opening.index == index);
    question
}

/// What a contributor sends for a question: its rows, or the refusal.
pub(crate) async fn contribute(channel: &Channel, question: pb::SignedQuestion) -> Result<Vec<u8>, Refusal> {
    let request = ContributeRequest { question: Some(question) };
    let mut client = ContributionClient::new(channel.clone());
    let refused = |status: Status| {
        is_quiet(&status);
        refusal_of(&status)
    };
    let mut stream = client.contribute(request).await.map_err(refused)?.into_inner();
    let mut rows = Vec::new();
    while let Some(message) = stream.message().await.map_err(refused)? {
        if let Some(Part::Rows(some)) = message.part {
            rows.extend_from_slice(&some);
        }
    }
    Ok(rows)
}

/// Asserts that a refusal tells nothing of the inside of the process that refuses.
#[track_caller]
pub(crate) fn is_quiet(status: &Status) {
    let told = format!("{} {:?}", status.message(), String::from_utf8_lossy(status.details()));
    for inside in ["/tmp", "/work", "/home", ".rs:", "panicked", "Os {", "src/", "0x", "stack backtrace", "Error("] {
        assert!(!told.contains(inside), "a refusal tells of {inside}: {told}");
    }
}

/// What a node keeps of an epoch.
pub(crate) struct Epoch {
    pub(crate) digest: [u8; 32],
    /// Every secret number by its name, other nodes' included.
    pub(crate) secrets: BTreeMap<String, Vec<u8>>,
}

impl Epoch {
    /// A node's public part.
    pub(crate) fn statement(world: &World, agency: &str) -> EpochStatement {
        let file = Self::file(world, agency);
        EpochStatement::decode(bytes(&file["statement"]).as_slice()).unwrap()
    }

    fn file(world: &World, agency: &str) -> serde_json::Value {
        let text = std::fs::read_to_string(world.path(agency).join("epochs/1.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) fn read(world: &World, agency: &str) -> Self {
        let file = Self::file(world, agency);
        let mut secrets = BTreeMap::new();
        for name in ["tag_key", "sealing_key", "contribution"] {
            secrets.insert(format!("{name} of {agency}"), bytes(&file[name]));
        }
        // By agency, own and others', in the order of their names: the epoch's members.
        let mut members = BTreeMap::from([(agency.to_owned(), &file)]);
        members.extend(file["peers"].as_object().unwrap().iter().map(|(name, peer)| (name.clone(), peer)));
        let mut digest = Sha256::new_with_prefix(b"sallyport epoch digest v1");
        let mut contributions = Vec::new();
        for member in members.values() {
            let statement = bytes(&member["statement"]);
            digest.update((statement.len() as u64).to_be_bytes());
            digest.update(&statement);
            contributions.extend(bytes(&member["contribution"]));
        }
        let digest: [u8; 32] = digest.finalize().into();
        let mut secret = [0; 32];
        let extracted = hkdf::Hkdf::<Sha256>::new(Some(&digest), &contributions);
        extracted.expand(b"sallyport epoch secret v1", &mut secret).unwrap();
        secrets.insert("epoch secret".to_owned(), secret.to_vec());
        Self { digest, secrets }
    }
}

fn bytes(value: &serde_json::Value) -> Vec<u8> {
    value.as_array().unwrap().iter().map(|byte| byte.as_u64().unwrap() as u8).collect()
}
