//! Certificates that are renewed, revoked and run out while connections are open.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use tonic::transport::Channel;

use super::*;
use crate::audit::AuditLog;
use crate::error::Refusal;
use crate::guard::Guard;
use crate::life::{Settings, Watch};
use crate::policy::PolicyStore;

const PATIENCE: Duration = Duration::from_secs(60);

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Fixture {
    /// A new certificate with a new key in the place of the party's.
    fn renew(&self, path: &str, lifetime: Option<TimeDelta>) -> Vec<u8> {
        let name = file_name(&id(path));
        let standing = self.authority.standing().unwrap().into_iter().find(|one| one.name == name).unwrap();
        self.authority.renew(&standing, lifetime, true).unwrap().serial
    }

    fn load_at(&self, path: &str, days: i64, clock: &Clock) -> Arc<Identity> {
        Identity::load(&self.issue(&id(path), days).files, clock.clone()).unwrap()
    }
}

/// Serial numbers of the certificates that open connections were made with.
fn serials(connections: &Connections) -> Vec<Vec<u8>> {
    let seen = Mutex::new(Vec::new());
    connections.close_where(|peer| {
        seen.lock().unwrap().push(peer.serial().to_vec());
        false
    });
    seen.into_inner().unwrap()
}

async fn call(channel: &PeerChannel) -> Result<(), String> {
    let answer = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
    answer.map(drop).map_err(|status| refusal_of(&status).reason)
}

fn lasting(identity: &Identity, server: &Server) -> PeerChannel {
    PeerChannel::new(identity, &server.address, &id("gateway"), &ConnectSettings::default()).unwrap()
}

/// A connection that was used and is kept.
async fn held(identity: &Identity, server: &Server) -> Channel {
    let channel = connect(identity, &server.address, &id("gateway"), &ConnectSettings::default()).unwrap();
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    channel
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_renew_under_load_and_no_call_fails() {
    let fixture = Fixture::new();
    let (gateway, node) = (fixture.identity("gateway"), fixture.identity("agency/hsi/node"));
    let server = Server::start(&gateway, &Limits::default()).await;
    let channel = lasting(&node, &server);
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (channel, stop, calls) = (channel.clone(), stop.clone(), calls.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    call(&channel).await.unwrap();
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for _ in 0..5 {
        let before = calls.load(Ordering::Relaxed);
        let serial = fixture.renew("agency/hsi/node", None);
        assert_eq!(node.reload(), Ok(true));
        until("the new certificate is shown, the old connection gone", || {
            serials(&server.connections) == std::slice::from_ref(&serial)
        })
        .await;
        fixture.renew("gateway", None);
        assert_eq!(gateway.reload(), Ok(true));
        assert_eq!(gateway.reload(), Ok(false), "nothing is new");
        until("calls go on", || calls.load(Ordering::Relaxed) > before + 20).await;
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("no call failed");
    }
}

#[tokio::test]
async fn a_certificate_that_the_other_end_does_not_believe_costs_no_call() {
    let (old, new) = (Fixture::new(), Fixture::new());
    let server = Server::start(&old.identity("gateway"), &Limits::default()).await;
    let files = old.issue(&id("agency/hsi/node"), 365).files;
    let authorities = joined(&old.path("both.pem"), &[&old.path("authority.pem"), &new.path("authority.pem")]);
    let node = load(&TlsFiles { authorities, revocations: None, ..files.clone() }, now()).unwrap();
    let channel = lasting(&node, &server);
    call(&channel).await.unwrap();
    let before = serials(&server.connections);

    let fresh = new.issue(&id("agency/hsi/node"), 365).files;
    std::fs::copy(&fresh.certificate, &files.certificate).unwrap();
    std::fs::copy(&fresh.key, &files.key).unwrap();
    assert_eq!(node.reload(), Ok(true));
    until("the server refuses the new certificate", || server.refused(Reason::CertificateForeign) > 0).await;
    call(&channel).await.expect("the old connection still serves");
    assert_eq!(serials(&server.connections), before);
}

#[tokio::test]
async fn trust_roots_roll_over_while_calls_go_on() {
    let (old, new) = (Fixture::new(), Fixture::new());
    let lists = old.path("lists");
    std::fs::create_dir(&lists).unwrap();
    let authorities = old.path("authorities.pem");
    let believe = |fixtures: &[&Fixture]| {
        let all: Vec<PathBuf> = fixtures.iter().map(|fixture| fixture.path("authority.pem")).collect();
        joined(&authorities, &all.iter().map(PathBuf::as_path).collect::<Vec<_>>());
        for (fixture, name) in fixtures.iter().zip(["one.crl", "two.crl"]) {
            std::fs::copy(fixture.path("authority.crl"), lists.join(name)).unwrap();
        }
    };
    believe(&[&old]);
    let files = |fixture: &Fixture, path: &str| {
        let files = fixture.issue(&id(path), 365).files;
        TlsFiles { authorities: authorities.clone(), revocations: Some(lists.clone()), ..files }
    };
    let place = |path: &str| {
        let (from, to) = (files(&new, path), files(&old, path));
        std::fs::copy(from.certificate, to.certificate).unwrap();
        std::fs::copy(from.key, to.key).unwrap();
    };
    let gateway = load(&files(&old, "gateway"), now()).unwrap();
    let node = load(&files(&old, "agency/hsi/node"), now()).unwrap();
    let server = Server::start(&gateway, &Limits::default()).await;
    let channel = lasting(&node, &server);
    call(&channel).await.unwrap();
    let stranger = load(&new.issue(&id("agency/hsi/node"), 365).files, now()).unwrap();
    assert_eq!(ask(&stranger, &server.address, &id("gateway")).await, Err("certificate_foreign".to_owned()));

    // First everybody believes both, then the certificates change, at last the old root goes.
    believe(&[&old, &new]);
    assert_eq!((gateway.reload(), node.reload()), (Ok(true), Ok(true)));
    call(&channel).await.unwrap();
    ["gateway", "agency/hsi/node"].iter().for_each(|path| place(path));
    assert_eq!((gateway.reload(), node.reload()), (Ok(true), Ok(true)));
    let fresh = new.issue(&id("agency/hsi/node"), 365).serial;
    until("the new certificate is in use", || serials(&server.connections) == std::slice::from_ref(&fresh)).await;
    call(&channel).await.unwrap();
    let late = old.issue(&id("agency/cbp/node"), 365);
    let late = load(&TlsFiles { authorities: authorities.clone(), revocations: None, ..late.files }, now()).unwrap();
    let left_behind = held(&late, &server).await;

    believe(&[&new]);
    std::fs::remove_file(lists.join("two.crl")).unwrap();
    assert_eq!((gateway.reload(), node.reload()), (Ok(true), Ok(true)));
    let closed = gateway.close_unfit(&server.connections, true);
    let foreign = Closed { peer: id("agency/cbp/node"), reason: Reason::CertificateForeign, connections: 1 };
    assert_eq!(closed, [foreign]);
    call(&channel).await.unwrap();
    assert_eq!(ask(&late, &server.address, &id("gateway")).await, Err("own_certificate_foreign".to_owned()));
    drop(left_behind);
}

#[tokio::test]
async fn an_open_connection_ends_when_its_certificate_is_revoked_and_the_others_stay() {
    let fixture = Fixture::new();
    let gateway = fixture.identity("gateway");
    let server = Server::start(&gateway, &Limits::default()).await;
    let (hsi, cbp) = (fixture.identity("agency/hsi/node"), fixture.identity("agency/cbp/node"));
    let (of_hsi, of_cbp) = (held(&hsi, &server).await, held(&cbp, &server).await);
    let mut watch = HealthClient::new(of_hsi.clone()).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let under_way = tokio::spawn(async move { watch.message().await });

    fixture.authority.revoke(&fixture.issue(hsi.id(), 365).serial, RevocationReason::KeyCompromise).unwrap();
    assert!(gateway.close_unfit(&server.connections, false).is_empty(), "the list is not read yet");
    assert_eq!(gateway.reload(), Ok(true));
    let revoked = Closed { peer: hsi.id().clone(), reason: Reason::CertificateRevoked, connections: 1 };
    assert_eq!(gateway.close_unfit(&server.connections, true), [revoked]);
    assert!(under_way.await.unwrap().is_err(), "what was under way has ended");
    until("the place is free", || server.connections.open() == 1).await;

    let answer = HealthClient::new(of_hsi).check(HealthCheckRequest::default()).await;
    assert_eq!(refusal_of(&answer.unwrap_err()).reason, "own_certificate_revoked");
    HealthClient::new(of_cbp).check(HealthCheckRequest::default()).await.expect("the other one is served");
}

#[tokio::test]
async fn an_open_connection_ends_when_its_certificate_expires() {
    let fixture = Fixture::new();
    let clock = Clock::manual(now());
    let gateway = fixture.load_at("gateway", 365, &clock);
    let server = Server::start(&gateway, &Limits::default()).await;
    let hsi = fixture.load_at("agency/hsi/node", 40, &clock);
    let cbp = fixture.load_at("agency/cbp/node", 50, &clock);
    let (of_hsi, _of_cbp) = (held(&hsi, &server).await, held(&cbp, &server).await);
    clock.advance_ms(40 * 86_400_000);
    assert!(gateway.close_unfit(&server.connections, false).is_empty(), "its last second counts");
    clock.advance_ms(1_000);
    let expired = Closed { peer: hsi.id().clone(), reason: Reason::CertificateExpired, connections: 1 };
    assert_eq!(gateway.close_unfit(&server.connections, false), [expired]);
    until("the place is free", || server.connections.open() == 1).await;
    let answer = HealthClient::new(of_hsi).check(HealthCheckRequest::default()).await;
    assert_eq!(refusal_of(&answer.unwrap_err()).reason, "own_certificate_expired");
}

#[tokio::test]
async fn a_client_leaves_a_server_whose_certificate_is_revoked() {
    let fixture = Fixture::new();
    let server = Server::start(&fixture.identity("gateway"), &Limits::default()).await;
    let node = fixture.identity("agency/hsi/node");
    let channel = lasting(&node, &server);
    call(&channel).await.unwrap();
    assert_eq!(node.outgoing().open(), 1);
    fixture.authority.revoke(&fixture.issue(&id("gateway"), 365).serial, RevocationReason::Unspecified).unwrap();
    assert_eq!(node.reload(), Ok(true));
    let incoming = Connections::new(&Limits::default());
    let revoked = Closed { peer: id("gateway"), reason: Reason::CertificateRevoked, connections: 1 };
    assert_eq!(node.close_unfit(&incoming, true), [revoked]);
    until("the connection is gone", || node.outgoing().open() == 0).await;
    assert_eq!(call(&channel).await, Err("certificate_revoked".to_owned()));
    assert!(count(node.outgoing(), Reason::CertificateRevoked) > 0, "a refused server is counted");
}

#[tokio::test]
async fn a_list_that_runs_out_ends_every_connection() {
    let fixture = Fixture::new();
    let clock = Clock::manual(now());
    let gateway = fixture.load_at("gateway", 800, &clock);
    let server = Server::start(&gateway, &Limits::default()).await;
    let _held = held(&fixture.load_at("agency/hsi/node", 800, &clock), &server).await;
    clock.advance_ms(364 * 86_400_000);
    assert!(gateway.close_unfit(&server.connections, false).is_empty());
    clock.advance_ms(2 * 86_400_000);
    let [closed] = &gateway.close_unfit(&server.connections, false)[..] else { panic!("one is closed") };
    assert_eq!(closed.reason, Reason::RevocationUnknown);
}

#[test]
fn a_list_that_revokes_the_process_itself_is_believed_for_the_others_on_it() {
    let fixture = Fixture::new();
    let gateway = fixture.identity("gateway");
    let purpose = SigningPurpose::new("test");
    let signature = fixture.identity("agency/hsi/node").sign(purpose, b"m").unwrap();
    gateway.verify(purpose, b"m", &signature).unwrap();
    for path in ["gateway", "agency/hsi/node"] {
        fixture.authority.revoke(&fixture.issue(&id(path), 365).serial, RevocationReason::Unspecified).unwrap();
    }
    assert_eq!(gateway.reload().unwrap_err().reason(), Some(Reason::CertificateRevoked));
    assert_eq!(gateway.reload(), Ok(false), "it is said once");
    let refused = gateway.verify(purpose, b"m", &signature).unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::CertificateRevoked));
}

#[test]
fn a_directory_of_lists_must_hold_one_and_drafts_do_not_count() {
    let fixture = Fixture::new();
    let files = fixture.issue(&id("gateway"), 365).files;
    let directory = fixture.path("lists");
    std::fs::create_dir(&directory).unwrap();
    let files = TlsFiles { revocations: Some(directory.clone()), ..files };
    let unusable = IdentityError::Revocations { path: directory.clone() };
    assert_eq!(load(&files, now()).unwrap_err(), unusable);
    std::fs::copy(fixture.path("authority.crl"), directory.join("authority.crl.draft")).unwrap();
    assert_eq!(load(&files, now()).unwrap_err(), unusable);
    std::fs::copy(fixture.path("authority.crl"), directory.join("authority.crl")).unwrap();
    assert!(load(&files, now()).is_ok());
    std::fs::write(directory.join("other.pem"), "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n").unwrap();
    assert_eq!(load(&files, now()).unwrap_err(), unusable);
}

#[test]
fn half_its_time_over_a_certificate_should_be_renewed() {
    let fixture = Fixture::new();
    let clock = Clock::manual(now());
    let gateway = fixture.load_at("gateway", 100, &clock);
    assert_eq!(gateway.renewal_advice(), None);
    clock.advance_ms(50 * 86_400_000);
    let advice = gateway.renewal_advice().expect("it is due");
    assert!(advice.contains(&gateway.expires().format("%Y-%m-%d").to_string()), "{advice}");
}

#[test]
fn a_process_whose_certificate_serves_only_one_end_does_not_start() {
    let fixture = Fixture::new();
    let files = for_servers_only(&fixture, "agency/hsi/node");
    assert_eq!(load(&files, now()).unwrap_err().reason(), Some(Reason::CertificateWrongPurpose));
}

struct Party(Guard);

impl AsRef<Guard> for Party {
    fn as_ref(&self) -> &Guard {
        &self.0
    }
}

#[tokio::test]
async fn what_is_refused_reloaded_and_closed_is_written_down_in_bounded_room() {
    let fixture = Fixture::new();
    let clock = Clock::manual(now());
    let gateway = fixture.load_at("gateway", 365, &clock);
    let server = Server::start(&gateway, &Limits::default()).await;
    let policy = PolicyStore::open(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../policies/gateway"))).unwrap();
    let logs = tempfile::tempdir().unwrap();
    let audit = AuditLog::open(logs.path(), "border.example/gateway", Clock::manual(now())).unwrap();
    let party = Arc::new(Party(Guard::new(policy, audit, Clock::manual(now()))));
    let settings = Settings { check_every_s: 1, refusals_every_s: 3_600 };
    let watch = Watch::begin(party.clone(), gateway.clone(), server.connections.clone(), &settings).unwrap();
    let hsi = fixture.identity("agency/hsi/node");
    let _held = held(&hsi, &server).await;

    fixture.authority.revoke(&fixture.issue(hsi.id(), 365).serial, RevocationReason::KeyCompromise).unwrap();
    until("the list is read", || server.connections.open() == 0).await;
    for _ in 0..30 {
        let answer = ask(&hsi, &server.address, &id("gateway")).await;
        assert_eq!(answer, Err("own_certificate_revoked".to_owned()));
    }
    let foreign = Fixture::new();
    let both = joined(&foreign.path("both.pem"), &[&fixture.path("authority.pem"), &foreign.path("authority.pem")]);
    let files = foreign.issue(&id("agency/cbp/node"), 365).files;
    let stranger = load(&TlsFiles { authorities: both, revocations: None, ..files }, now()).unwrap();
    assert!(ask(&stranger, &server.address, &id("gateway")).await.is_err());
    for _ in 0..1_000 {
        let refusal = party.0.turn_away(&id("auditor/ng"), Refusal::denied("wrong_role", "No."));
        assert_eq!(refusal.reason, "wrong_role");
    }
    // A file that cannot be used is said once, however often it is read, and changes nothing.
    let short = [("agency/cbp/node", 40), ("auditor/ng", 50)].map(|(path, days)| fixture.load_at(path, days, &clock));
    std::fs::write(fixture.path("authority.pem"), "").unwrap();
    for identity in short {
        let _held = held(&identity, &server).await;
        clock.advance_ms(45 * 86_400_000);
        until("another look, which closes what has expired", || server.connections.open() == 0).await;
    }
    watch.end().await;
    party.0.close().await.unwrap();

    let entries = entries(logs.path());
    let of = |action: &str, detail: &str| {
        let opened: Vec<_> =
            entries.iter().filter(|entry| entry.contains(&format!("\"action\":\"{action}\""))).collect();
        let ended = entries.iter().filter(|entry| entry.contains(&format!("\"detail\":\"{detail}\""))).count();
        (opened.len(), ended)
    };
    assert_eq!(of("reload", "certificates_unusable"), (2, 1), "{entries:#?}");
    assert_eq!(of("close_connections", "certificate_expired"), (3, 2));
    // Closed once, and refused at most twice: the first at once, the others at the end.
    let (closed, revoked) = of("close_connections", "certificate_revoked");
    assert!(closed == 3 && (2..=3).contains(&revoked), "{entries:#?}");
    let refused: u64 = counts(&entries, "certificate_revoked");
    assert_eq!(refused, 31, "30 refused, 1 closed: {entries:#?}");
    assert_eq!(counts(&entries, "certificate_foreign"), 1);
    assert_eq!(counts(&entries, "wrong_role"), 1_000);
    assert!(entries.len() <= 20, "bounded: {entries:#?}");
    let spiffe = |path: &str| format!("\"actor\":\"{}\"", id(path));
    assert!(entries.iter().any(|entry| entry.contains(&spiffe("auditor/ng")) && entry.contains("refuse_calls")));
}

/// Every entry of a log, as its JSON.
fn entries(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![directory.join("tile/entries")];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let split = crate::audit::tiles::split_bundle(&bytes).unwrap();
            found.extend(split.into_iter().map(|entry| String::from_utf8(entry.to_vec()).unwrap()));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The sum of all counts in completions with this detail.
fn counts(entries: &[String], detail: &str) -> u64 {
    let ended = entries.iter().filter(|entry| entry.contains(&format!("\"detail\":\"{detail}\"")));
    ended
        .map(|entry| {
            let value: serde_json::Value = serde_json::from_str(entry).unwrap();
            let counts = value["phase"]["complete"]["counts"].as_object().unwrap().clone();
            counts.values().map(|count| count.as_u64().unwrap()).sum::<u64>()
        })
        .sum()
}
