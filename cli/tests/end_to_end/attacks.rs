//! Whoever speaks out of turn at a socket, with certificates that are real and roles that are not theirs.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use sallyport_proto::{
    common::v1::SignedQuestion,
    gateway::v1::{AskRequest, federation_client::FederationClient},
    node::v1::{ContributeRequest, DeskAskRequest, contribution_client::ContributionClient, desk_client::DeskClient},
};
use sallyport_trust::{
    clock::Clock,
    error::Refusal,
    identity::{ConnectSettings, Identity, Role, SpiffeId, TlsFiles, connect, refusal_of},
    question::{Circumstances, WrittenQuestion, parse_question},
};
use tonic::transport::Channel;

use crate::{
    answers::{CALLS, CROSSINGS, QUESTION, calls, crossings},
    federation::{Agency, Federation, PROGRAM, reason, tls},
};

const FEDERATION: &str = "sallyport.demo";

struct Attacker<'a>(&'a Federation);

impl Attacker<'_> {
    fn identity(&self, certificate: &str) -> Arc<Identity> {
        let certs = self.0.path().join("certs");
        let files = TlsFiles {
            certificate: certs.join(format!("{certificate}.pem")),
            key: certs.join(format!("{certificate}.key")),
            authorities: certs.join("authority.pem"),
            revocations: None,
        };
        Identity::load(&files, Clock::system()).unwrap()
    }

    fn channel(&self, identity: &Arc<Identity>, port: u16, role: Role) -> Channel {
        let peer = SpiffeId { federation: FEDERATION.to_owned(), role };
        connect(identity, &format!("127.0.0.1:{port}"), &peer, &ConnectSettings::default()).unwrap()
    }

    fn gateway(&self, identity: &Arc<Identity>) -> FederationClient<Channel> {
        FederationClient::new(self.channel(identity, self.0.ports[0], Role::Gateway))
    }

    fn cbp(&self, identity: &Arc<Identity>) -> Channel {
        self.channel(identity, self.0.ports[1], Role::Node { agency: "cbp".to_owned() })
    }
}

fn signed(by: &Identity, home: &str, issued_at_ms: i64) -> SignedQuestion {
    let question = parse_question(QUESTION).unwrap().question;
    let circumstances = Circumstances {
        federation: FEDERATION.to_owned(),
        epoch_digest: [7; 32],
        home_agency: home.to_owned(),
        asker: [("role", "analyst"), ("agency", home)].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        issued_at_ms,
        lookup: None,
    };
    WrittenQuestion::write(&question, circumstances).unwrap().sign(by).unwrap().into_wire()
}

async fn ask(client: &mut FederationClient<Channel>, question: SignedQuestion) -> Result<(), Refusal> {
    let mut events =
        client.ask(AskRequest { question: Some(question) }).await.map_err(|status| refusal_of(&status))?.into_inner();
    while events.message().await.map_err(|status| refusal_of(&status))?.is_some() {}
    Ok(())
}

#[test]
fn nobody_gets_further_than_their_role() {
    let (crossings, calls) = ([crossings()], calls());
    let federation = Federation::start(&[Agency::new("cbp", CROSSINGS, &crossings), Agency::new("hsi", CALLS, &calls)]);
    for port in &federation.ports {
        noise(*port);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        questions_at_the_gateway(&Attacker(&federation)).await;
        roles(&Attacker(&federation)).await;
    });
    people(&federation);
    // After all of it the federation works as before.
    assert_eq!(federation.ask("hsi", QUESTION, &[])["subjects_matched"], 2);
    for name in ["gateway", "cbp", "hsi"] {
        assert!(!federation.log(name).contains("panicked"), "{name}");
    }
}

/// What is no TLS 1.3 with a certificate of the federation gets no answer worth reading.
fn noise(port: u16) {
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0xff; 4_096],
        &[22, 3, 1, 255, 255],
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut told = Vec::new();
        let _ = stream.read_to_end(&mut told);
        assert!(told.len() < 64, "a TLS alert at most: {told:?}");
    }
}

async fn questions_at_the_gateway(attacker: &Attacker<'_>) {
    let now_ms = Clock::system().now_ms();
    let (hsi, cbp) = (attacker.identity("agency-hsi-node"), attacker.identity("agency-cbp-node"));
    let mut as_hsi = attacker.gateway(&hsi);
    let question = signed(&hsi, "hsi", now_ms);
    ask(&mut as_hsi, question.clone()).await.unwrap();
    let expect = |result: Result<(), Refusal>, reason: &str| assert_eq!(result.unwrap_err().reason, reason);
    expect(ask(&mut as_hsi, question.clone()).await, "question_replayed");
    expect(ask(&mut as_hsi, signed(&hsi, "hsi", now_ms - 600_000)).await, "question_stale");
    expect(ask(&mut as_hsi, signed(&hsi, "hsi", now_ms + 600_000)).await, "question_from_the_future");
    // A node vouches for its own people only, and brings only its own questions.
    expect(ask(&mut as_hsi, signed(&hsi, "cbp", now_ms)).await, "question_wrong_signer");
    expect(ask(&mut as_hsi, signed(&cbp, "cbp", now_ms)).await, "question_wrong_signer");
    let unsigned = SignedQuestion { signature: None, ..signed(&hsi, "hsi", now_ms) };
    expect(ask(&mut as_hsi, unsigned).await, "question_unsigned");
    // Every bit of the header, and of the openings, is covered.
    for place in 0..8 {
        let mut changed = signed(&hsi, "hsi", now_ms);
        let at = changed.header.len() * place / 8;
        changed.header[at] ^= 1 << place;
        expect(ask(&mut as_hsi, changed).await, "question_signature");
        let mut changed = signed(&hsi, "hsi", now_ms);
        let at = changed.openings[0].part.len() * place / 8;
        changed.openings[0].part[at] ^= 1 << place;
        expect(ask(&mut as_hsi, changed).await, "question_opening");
    }
    let mut swapped = signed(&hsi, "hsi", now_ms);
    swapped.openings.swap(0, 1);
    let (first, second) = (swapped.openings[0].index, swapped.openings[1].index);
    (swapped.openings[0].index, swapped.openings[1].index) = (second, first);
    expect(ask(&mut as_hsi, swapped).await, "question_opening");
}

async fn roles(attacker: &Attacker<'_>) {
    let now_ms = Clock::system().now_ms();
    let hsi = attacker.identity("agency-hsi-node");
    let (person, auditor) = (attacker.identity("agency-hsi-user-hsi-analyst"), attacker.identity("auditor-chen"));
    for someone in [&person, &auditor] {
        let refused = ask(&mut attacker.gateway(someone), signed(&hsi, "hsi", now_ms)).await.unwrap_err();
        assert_eq!(refused.reason, "wrong_role", "only nodes bring questions");
    }
    // Another agency's node cannot pass itself off as the gateway.
    for someone in [&hsi, &person, &auditor] {
        let question = signed(&hsi, "hsi", now_ms);
        let request = ContributeRequest { question: Some(question) };
        let refused = match ContributionClient::new(attacker.cbp(someone)).contribute(request).await {
            Err(status) => refusal_of(&status),
            Ok(rows) => refusal_of(&rows.into_inner().message().await.unwrap_err()),
        };
        assert_eq!(refused.reason, "wrong_role");
    }
    for (someone, expected) in [(&hsi, "wrong_role"), (&auditor, "wrong_role"), (&person, "wrong_agency")] {
        let question = parse_question(QUESTION).unwrap().question;
        let request = DeskAskRequest { question: Some((&question).into()), lookup: Vec::new() };
        let refused = match DeskClient::new(attacker.cbp(someone)).ask(request).await {
            Err(status) => refusal_of(&status),
            Ok(events) => refusal_of(&events.into_inner().message().await.unwrap_err()),
        };
        assert_eq!(refused.reason, expected);
    }
    // A message beyond all bounds is refused while it is read.
    let question = parse_question(QUESTION).unwrap().question;
    let cbp_person = attacker.identity("agency-cbp-user-cbp-analyst");
    let huge = DeskAskRequest { question: Some((&question).into()), lookup: vec!["6".repeat(1 << 20); 24] };
    let refused = DeskClient::new(attacker.cbp(&cbp_person)).ask(huge).await.unwrap_err();
    assert!(matches!(refused.code(), tonic::Code::OutOfRange | tonic::Code::ResourceExhausted), "{refused:?}");
}

/// The same through the command line: another federation's certificate, and none at all.
fn people(federation: &Federation) {
    let path = federation.path();
    let foreign = path.join("foreign");
    let mut certs = Command::new(PROGRAM);
    certs.args(["certs", "--agency", "hsi", "--user", "hsi/hsi-analyst", "--directory"]).arg(&foreign);
    assert!(certs.stdout(Stdio::null()).status().unwrap().success());
    let known = fs::read_to_string(path.join("people.toml")).unwrap();
    let own = tls("agency-hsi-user-hsi-analyst").replace("[tls]", "[person.tls]");
    for (files, expected) in [
        (own.replace("certs/agency", "foreign/agency"), "identity"),
        (own.replace("certs/", "foreign/"), "certificate_foreign"),
    ] {
        fs::write(path.join("others.toml"), known.replace(&own, &files)).unwrap();
        let output = federation.output(&["catalog", "--as", "hsi-analyst", "--people", "others.toml"]);
        assert!(!output.status.success());
        assert_eq!(reason(&output), expected);
    }
}
