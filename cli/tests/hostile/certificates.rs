//! Whose certificate is refused finds it written down at whoever refused, each reason by its own name, and
//! cannot fill the log by trying again.

use std::fs;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use sallyport_proto::{
    gateway::v1::CatalogRequest,
    node::v1::{DescribeRequest, ReadinessRequest, contribution_client::ContributionClient, desk_client::DeskClient},
};
use sallyport_trust::{
    clock::Clock,
    identity::{
        DevelopmentCa, TlsFiles,
        development_ca::{RevocationReason, Validity},
        refusal_of,
    },
};

use crate::{
    attacker::knock,
    entries::{actors, entries},
    world::{FEDERATION, PATIENCE, Server, World, free_ports},
};

const LOOKS_OFTEN: &str = "\n[certificates]\ncheck_every_s = 1\nrefusals_every_s = 1\n";

/// Adds the authority's list to a configuration.
fn heeding_the_list(config: &str) -> String {
    config.replacen("[tls]\n", "[tls]\nrevocations = \"certs/authority.crl\"\n", 1) + LOOKS_OFTEN
}

fn both(world: &World) -> [(Server, std::path::PathBuf); 2] {
    let [gateway, node, nowhere] = free_ports();
    let config = heeding_the_list(&world.gateway_toml(gateway, &[("hsi", nowhere)]));
    let of_gateway = world.start("gateway", gateway, &config);
    let of_node = world.start("hsi", node, &heeding_the_list(&world.node_toml("hsi", node, nowhere, "")));
    [(of_gateway, world.path("gateway-audit")), (of_node, world.path("hsi/audit"))]
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(std::time::Instant::now() < end, "never: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// A certificate of the federation's authority for a node, good for listening only.
fn for_servers_only(world: &World) -> TlsFiles {
    let files = world.files("agency-cbp-node");
    let read = |name: &str| fs::read_to_string(world.path("certs").join(name)).unwrap();
    let authority = KeyPair::from_pem(&read("authority.key")).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&read("authority.pem"), authority).unwrap();
    let mut params = CertificateParams::default();
    let name = format!("spiffe://{FEDERATION}/agency/cbp/node");
    params.subject_alt_names = vec![SanType::URI(name.try_into().unwrap())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let own = KeyPair::from_pem(&read("agency-cbp-node.key")).unwrap();
    let certificate = world.write("certs/server-only.pem", &params.signed_by(&own, &issuer).unwrap().pem());
    TlsFiles { certificate, ..files }
}

#[tokio::test]
async fn every_refused_handshake_is_written_down_by_its_reason() {
    let (world, elsewhere) = (World::new(), World::new());
    let authority = DevelopmentCa::create_or_open(&world.path("certs"), Clock::system()).unwrap();
    let now = chrono::Utc::now();
    let issue = |id: &str, name: &str, days| {
        let id = format!("spiffe://{id}").parse().unwrap();
        authority.issue(&id, name, Validity::days(now, days)).unwrap()
    };
    let ended = issue(&format!("{FEDERATION}/agency/hsi/node"), "ended", -1).files;
    let other = issue("elsewhere.demo/agency/hsi/node", "other", 90).files;
    let revoked = issue(&format!("{FEDERATION}/agency/hsi/user/gone"), "gone", 90);
    authority.revoke(&revoked.serial, RevocationReason::PrivilegeWithdrawn).unwrap();
    let (foreign, server_only) = (elsewhere.files("agency-hsi-node"), for_servers_only(&world));
    for (server, log) in &mut both(&world) {
        let refused = [
            (None, "certificate_missing"),
            (Some(&foreign), "certificate_foreign"),
            (Some(&ended), "certificate_expired"),
            (Some(&revoked.files), "certificate_revoked"),
            (Some(&server_only), "certificate_wrong_purpose"),
            (Some(&other), "other_federation"),
        ];
        for (files, reason) in refused {
            knock(&server.address(), files, b"h2").await.expect_err(reason);
        }
        for (_, reason) in refused {
            let by = server.id().to_string();
            until(reason, || actors(log, "refuse_connections", reason) == [by.clone()]).await;
        }
        server.is_well();
    }
}

#[tokio::test]
async fn knocking_fills_no_disk() {
    let world = World::new();
    let [port] = free_ports();
    let elsewhere = World::new();
    let foreign = elsewhere.files("agency-hsi-node");
    let mut gateway = world.start("gateway", port, &world.gateway_toml(port, &[]).replace("[tls]", "node = []\n[tls]"));
    let log = world.path("gateway-audit");
    for _ in 0..200 {
        knock(&gateway.address(), Some(&foreign), b"h2").await.unwrap_err();
    }
    let written = || actors(&log, "refuse_connections", "certificate_foreign").len();
    until("the first is written down", || written() > 0).await;
    // By default the others follow after a minute, in one entry.
    assert_eq!(written(), 1);
    assert!(gateway.said("log").matches("connection refused").count() < 10, "{}", gateway.said("log"));
    gateway.is_well();
}

#[tokio::test]
async fn every_peer_in_a_wrong_role_is_written_down_by_its_name() {
    let world = World::new();
    let [(mut gateway, gateway_log), (mut node, node_log)] = both(&world);
    for _ in 0..50 {
        for (who, reason) in [
            ("auditor-chen", "wrong_role"),
            ("partner-acme-feed", "wrong_role"),
            ("agency-cbp-user-okafor", "wrong_agency"),
            ("agency-hsi-user-nobody", "person_unknown"),
        ] {
            let told = DeskClient::new(world.channel(who, &node)).readiness(ReadinessRequest {}).await.unwrap_err();
            assert_eq!(refusal_of(&told).reason, reason);
        }
    }
    let mut posing = ContributionClient::new(world.channel("agency-hsi-user-rivera", &node));
    assert_eq!(refusal_of(&posing.describe(DescribeRequest::default()).await.unwrap_err()).reason, "wrong_role");
    let id = |path: &str| format!("spiffe://{FEDERATION}/{path}");
    for (path, reason) in [
        ("auditor/chen", "wrong_role"),
        ("partner/acme/feed", "wrong_role"),
        ("agency/hsi/user/rivera", "wrong_role"),
        ("agency/cbp/user/okafor", "wrong_agency"),
        ("agency/hsi/user/nobody", "person_unknown"),
    ] {
        until(path, || actors(&node_log, "refuse_calls", reason).contains(&id(path))).await;
    }
    assert!(entries(&node_log).len() < 200, "two hundred calls are not four hundred entries");

    let mut federation = sallyport_proto::gateway::v1::federation_client::FederationClient::new(
        world.channel("partner-acme-feed", &gateway),
    );
    assert_eq!(refusal_of(&federation.catalog(CatalogRequest::default()).await.unwrap_err()).reason, "wrong_role");
    until("the partner's reading", || actors(&gateway_log, "refuse_calls", "wrong_role") == [id("partner/acme/feed")])
        .await;
    [&mut gateway, &mut node].into_iter().for_each(Server::is_well);
}
