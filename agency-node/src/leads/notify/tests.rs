//! Notices that are delivered, retried and never lost.

use std::{fs, path::PathBuf};

use chrono::DateTime;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::leads::settings::Webhook;

fn message(id: &str) -> Message {
    Message {
        id: format!("0a0b0c0d-{id}"),
        lead: "0a0b0c0d".to_owned(),
        about: "escalated".to_owned(),
        clock: "pursue".to_owned(),
        level: 2,
        playbook: "in-bond-corridor".to_owned(),
        title: "A truck under bond left its corridor".to_owned(),
        severity: "stop".to_owned(),
        to: "any analyst".to_owned(),
        people: vec!["okafor".to_owned(), "lund".to_owned()],
        at_ms: 1_000,
        due_ms: [("pursue".to_owned(), 61_000)].into(),
    }
}

fn settings(port: Option<u16>, mail: Option<PathBuf>) -> LeadSettings {
    LeadSettings {
        webhook: port.map(|port| Webhook {
            url: format!("http://127.0.0.1:{port}/leads?x=1").parse().unwrap(),
            authorities: None,
        }),
        mail: mail.map(|directory| Mail {
            directory,
            from: "sallyport@cbp.example".to_owned(),
            domain: "cbp.example".to_owned(),
        }),
        ..LeadSettings::default()
    }
}

/// Takes one request and answers with `status`; the request as it came.
async fn serve(listener: &TcpListener, status: &str) -> String {
    take(listener.accept().await.unwrap().0, status).await
}

async fn take(mut stream: impl AsyncRead + AsyncWrite + Unpin, status: &str) -> String {
    let mut told = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        let read = stream.read(&mut piece).await.unwrap();
        told.extend_from_slice(&piece[..read]);
        // The message ends its JSON, which ends the request.
        if told.ends_with(b"}}") || read == 0 {
            break;
        }
    }
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8(told).unwrap()
}

fn waiting(state: &Path) -> usize {
    fs::read_dir(state.join("outbox")).unwrap().count()
}

#[tokio::test]
async fn a_notice_waits_until_the_program_takes_it_and_survives_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = settings(Some(listener.local_addr().unwrap().port()), None);
    let clock = Clock::manual(DateTime::from_timestamp_millis(1_000).unwrap());
    let outbox = Outbox::open(state.path(), &settings).unwrap();
    outbox.put(message("0-raised")).unwrap();
    let (refused, ()) = tokio::join!(serve(&listener, "503 Busy"), outbox.deliver(&clock));
    assert!(refused.starts_with("POST /leads?x=1 HTTP/1.1\r\n"), "{refused}");
    assert!(refused.contains("idempotency-key: 0a0b0c0d-0-raised\r\n"), "{refused}");
    let json: serde_json::Value = serde_json::from_str(refused.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!((&json["about"], &json["due_ms"]["pursue"]), (&"escalated".into(), &61_000.into()));
    // Not before its pause is over: nobody answers here, so a try would last.
    tokio::time::timeout(std::time::Duration::from_secs(2), outbox.deliver(&clock)).await.unwrap();
    assert_eq!(waiting(state.path()), 1);
    drop(outbox);
    let outbox = Outbox::open(state.path(), &settings).unwrap();
    let (again, ()) = tokio::join!(serve(&listener, "204 Taken"), outbox.deliver(&clock));
    assert_eq!(again, refused);
    assert_eq!(waiting(state.path()), 0);
}

/// An authority in `folder` and a program on this machine that shows a certificate of it.
fn program(folder: &Path, name: &str) -> TlsAcceptor {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    fs::write(folder.join(name), pem).unwrap();
    let issuer = Issuer::from_params(&authority, &authority_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(std::sync::Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(std::sync::Arc::new(config))
}

#[tokio::test]
async fn over_tls_a_notice_goes_to_the_program_that_the_authorities_vouch_for_alone() {
    let state = tempfile::tempdir().unwrap();
    let (known, stranger) = (program(state.path(), "ca.pem"), program(state.path(), "other.pem"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let webhook = Webhook { url: url.parse().unwrap(), authorities: Some(state.path().join("ca.pem")) };
    let outbox = Outbox::open(state.path(), &LeadSettings { webhook: Some(webhook), ..LeadSettings::default() });
    let (outbox, clock) = (outbox.unwrap(), Clock::manual(DateTime::from_timestamp_millis(1_000).unwrap()));
    outbox.put(message("0-raised")).unwrap();
    let shown_out = async { stranger.accept(listener.accept().await.unwrap().0).await.is_err() };
    assert!(tokio::join!(shown_out, outbox.deliver(&clock)).0, "a stranger learns nothing");
    assert_eq!(waiting(state.path()), 1);
    clock.advance_ms(1_000);
    let told = async { take(known.accept(listener.accept().await.unwrap().0).await.unwrap(), "200 OK").await };
    assert!(tokio::join!(told, outbox.deliver(&clock)).0.starts_with("POST / HTTP/1.1\r\n"));
    assert_eq!(waiting(state.path()), 0);
}

#[tokio::test]
async fn tries_become_rarer_and_end_after_a_week() {
    let state = tempfile::tempdir().unwrap();
    // Nobody listens on the port any more.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let clock = Clock::manual(DateTime::from_timestamp_millis(1_000).unwrap());
    let outbox = Outbox::open(state.path(), &settings(Some(port), None)).unwrap();
    outbox.put(message("0-raised")).unwrap();
    let next_ms = || outbox.waiting().values().next().map(|waiting| waiting.next_ms - clock.now_ms());
    for pause_ms in [1_000, 2_000, 4_000, 8_000] {
        outbox.deliver(&clock).await;
        assert_eq!(next_ms(), Some(pause_ms));
        clock.advance_ms(pause_ms);
    }
    clock.advance_ms(GIVEN_UP_MS);
    outbox.deliver(&clock).await;
    assert_eq!((next_ms(), waiting(state.path())), (None, 0));
}

#[tokio::test]
async fn an_e_mail_appears_whole_and_once() {
    let state = tempfile::tempdir().unwrap();
    let mail = state.path().join("mail");
    let outbox = Outbox::open(state.path(), &settings(None, Some(mail.clone()))).unwrap();
    let clock = Clock::manual(DateTime::from_timestamp_millis(1_000).unwrap());
    for _ in 0..2 {
        outbox.put(message("0-pursue-2")).unwrap();
        outbox.deliver(&clock).await;
    }
    let files: Vec<_> = fs::read_dir(&mail).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["0a0b0c0d-0-pursue-2.eml"]);
    let text = fs::read_to_string(mail.join("0a0b0c0d-0-pursue-2.eml")).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        head.lines().collect::<Vec<_>>(),
        [
            "From: sallyport@cbp.example",
            "To: okafor@cbp.example,",
            " lund@cbp.example",
            "Date: Thu, 1 Jan 1970 00:00:01 +0000",
            "Message-ID: <0a0b0c0d-0-pursue-2@cbp.example>",
            "Subject: [sallyport] stop: lead 0a0b0c0d escalates to you, step 2, as it missed its time to pursue",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 8bit",
            "Auto-Submitted: auto-generated",
        ]
    );
    assert!(body.contains("pursue by 1970-01-01T00:01:01Z\r\n") && body.ends_with("lead show 0a0b0c0d\r\n"), "{body}");
    assert!(!text.replace("\r\n", "").contains('\n'), "every line ends with CR LF");
}

#[test]
fn without_any_channel_nothing_waits() {
    let state = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(state.path(), &LeadSettings::default()).unwrap();
    outbox.put(message("0-raised")).unwrap();
    assert_eq!(waiting(state.path()), 0);
}
