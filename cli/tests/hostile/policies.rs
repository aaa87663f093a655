//! Signed policies against whoever would exchange them: at the start and while a process runs.

use std::{fs, process::Command};

use sallyport_trust::audit::{Outcome, Phase, verify_each};

use crate::world::{Finished, Server, World, free_ports, policies, run};

const SIGNER: &str = "spiffe://sallyport.demo/agency/hsi/user/rivera";

impl World {
    /// Signs the gateway's policy from the repository, or from a directory of the test's own.
    fn sign(&self, directory: &str, version: u32, person: &str, party: &str, out: &str) -> Finished {
        let (certificate, key) = (format!("certs/agency-{person}.pem"), format!("certs/agency-{person}.key"));
        let version = version.to_string();
        self.run(&[
            "policy",
            "sign",
            directory,
            "--version",
            &version,
            "--certificate",
            &certificate,
            "--key",
            &key,
            "--party",
            party,
            "--out",
            out,
        ])
    }

    fn signed(&self, directory: &str, version: u32, person: &str, party: &str, out: &str) {
        let finished = self.sign(directory, version, person, party, out);
        assert_eq!(finished.code, Some(0), "{}", finished.err);
    }

    fn gateway_of_bundle(&self, port: u16, more: &str) -> String {
        let plain = self.gateway_toml(port, &[("hsi", 1)]);
        let own = policies("gateway");
        plain.replace(&*own.to_string_lossy(), "gateway.bundle").replace("[tls]", &format!("{more}\n[tls]"))
    }

    /// Exchanges the bundle in one step, so that nobody reads half of it.
    fn exchange(&self, text: &str) {
        let aside = self.write("aside", text);
        fs::rename(aside, self.path("gateway.bundle")).unwrap();
    }

    /// A directory with the gateway's rules, changed.
    fn changed_policy(&self) {
        for file in ["rules.toml", "cases.toml"] {
            fs::create_dir_all(self.path("changed")).unwrap();
            fs::copy(policies("gateway").join(file), self.path("changed").join(file)).unwrap();
        }
        fs::copy(policies("model.conf"), self.path("changed/model.conf")).unwrap();
        let rules = fs::read_to_string(self.path("changed/rules.toml")).unwrap();
        self.write("changed/rules.toml", &format!("{rules}\n# Nothing else is different.\n"));
    }
}

fn gateway_policy() -> String {
    policies("gateway").display().to_string()
}

fn signers(names: &str) -> String {
    format!("[policy]\nsigners = [{names}]\ncheck_every_s = 1")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_process_takes_what_its_signer_signed_and_keeps_it_against_everything_else() {
    let world = World::new();
    world.changed_policy();
    world.signed(&gateway_policy(), 1, "hsi-user-rivera", "gateway", "gateway.bundle");
    let first = fs::read_to_string(world.path("gateway.bundle")).unwrap();
    let [port] = free_ports();
    let config = world.gateway_of_bundle(port, &signers(&format!("\"{SIGNER}\"")));
    let mut server: Server = world.start("gateway", port, &config);
    server.logs("a signed policy came into force").await;

    world.exchange(&first.replace("analyst", "anybody"));
    server.logs("policy_bundle_tampered").await;
    world.signed("changed", 2, "cbp-user-okafor", "gateway", "gateway.bundle");
    server.logs("policy_signer_not_allowed").await;
    world.signed("changed", 2, "hsi-user-rivera", "hsi", "gateway.bundle");
    server.logs("policy_bundle_other_party").await;
    world.signed("changed", 1, "hsi-user-rivera", "gateway", "gateway.bundle");
    server.logs("policy_version_reused").await;
    let elsewhere = World::new();
    elsewhere.signed(&gateway_policy(), 2, "hsi-user-rivera", "gateway", "gateway.bundle");
    world.exchange(&fs::read_to_string(elsewhere.path("gateway.bundle")).unwrap());
    server.logs("policy_signer_unknown").await;
    world.signed("changed", 2, "hsi-user-rivera", "gateway", "gateway.bundle");
    server.logs("version=2").await;
    world.exchange(&first);
    server.logs("policy_bundle_rollback").await;
    server.is_well();
    drop(server);

    // A restart forgets neither the version nor what happened.
    world.run(&["gateway", "--config", "gateway.toml"]).refused(2, "policy_bundle_rollback");
    let mut told = Vec::new();
    let mut versions = Vec::new();
    verify_each(&world.path("gateway-audit"), |entry| match &entry.phase {
        Phase::Open(opening) => assert_eq!((&*opening.action, &*opening.resource), ("load_policy", "policy")),
        Phase::Complete(completion) => {
            assert_eq!(completion.outcome == Outcome::Answered, completion.ruling.is_some());
            told.extend(completion.detail.clone());
            versions.extend(completion.counts.get("version").copied());
        }
    })
    .unwrap();
    assert_eq!(versions, [1, 2]);
    let refused = [
        "policy_bundle_tampered",
        "policy_signer_not_allowed",
        "policy_bundle_other_party",
        "policy_version_reused",
        "policy_signer_unknown",
        "policy_bundle_rollback",
        "policy_bundle_rollback",
    ];
    assert_eq!(told, refused);
}

#[test]
fn nothing_starts_with_a_policy_that_was_not_signed_for_it() {
    let world = World::new();
    let [port] = free_ports();
    let start = |more: &str, bundle: &str| {
        let config = world.gateway_of_bundle(port, more).replace("gateway.bundle", bundle);
        world.write("start.toml", &config);
        world.run(&["gateway", "--config", "start.toml"])
    };
    let named = signers(&format!("\"{SIGNER}\""));
    world.signed(&gateway_policy(), 1, "hsi-user-rivera", "gateway", "good.bundle");
    world.signed(&gateway_policy(), 1, "hsi-user-nobody", "gateway", "nobody.bundle");
    world.signed(&gateway_policy(), 1, "hsi-user-rivera", "hsi", "other.bundle");
    let good = fs::read_to_string(world.path("good.bundle")).unwrap();
    world.write("tampered.bundle", &good.replace("analyst", "anybody"));
    world.write("half.bundle", &good[..good.len() / 2]);
    start(&named, "tampered.bundle").refused(2, "policy_bundle_tampered");
    start(&named, "half.bundle").refused(2, "policy_bundle_malformed");
    start(&named, "nobody.bundle").refused(2, "policy_signer_not_allowed");
    start(&named, "other.bundle").refused(2, "policy_bundle_other_party");
    start(&named, &gateway_policy()).refused(2, "policy_bundle_required");
    start("", "good.bundle").refused(2, "policy_signers_missing");
    start(&named, "nowhere.bundle").refused(2, "policy");
    world.write("gateway-audit-policy.json", "{");
    start(&named, "good.bundle").refused(2, "policy_record_unusable");
    for wrong in ["\"spiffe://sallyport.demo/gateway\"", "\"rivera\"", "\"spiffe://sallyport.demo/auditor/chen\""] {
        start(&signers(wrong), "good.bundle").refused(2, "configuration");
    }
    start("[policy]\ncheck_every_s = 0", "good.bundle").refused(2, "configuration");
    start("[policy]\nsigner = []", "good.bundle").refused(2, "configuration");

    let foreign = signers("\"spiffe://sallyport.demo/agency/cbp/user/okafor\"");
    let node = world.node_toml("hsi", port, 1, "").replace("[tls]", &format!("{foreign}\n[tls]"));
    world.write("node.toml", &node);
    world.run(&["agency-node", "--config", "node.toml"]).refused(2, "configuration");
}

#[test]
fn a_policy_that_is_wrong_is_not_signed() {
    let world = World::new();
    world.changed_policy();
    let sign = |person: &str| world.sign("changed", 1, person, "gateway", "x.bundle");
    sign("cbp-user-nobody").refused(2, "identity");
    world.write(
        "changed/cases.toml",
        &fs::read_to_string(world.path("changed/cases.toml")).unwrap().replace("deny", "hold"),
    );
    let finished = sign("hsi-user-rivera");
    assert_ne!(finished.code, Some(0));
    assert!(!world.path("x.bundle").exists());
    world.sign("nowhere", 1, "hsi-user-rivera", "gateway", "x.bundle").refused(2, "policy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_read_again_when_it_changes_or_when_a_signal_asks() {
    let world = World::new();
    world.changed_policy();
    let [port] = free_ports();
    let config = world.gateway_of_bundle(port, "[policy]\ncheck_every_s = 3600").replace("gateway.bundle", "changed");
    let mut server = world.start("gateway", port, &config);
    let hang_up = |server: &Server| {
        let mut kill = Command::new("kill");
        kill.args(["-HUP", &server.process().to_string()]);
        assert_eq!(run(kill).code, Some(0));
    };
    hang_up(&server);
    server.logs("the policy in force is the one that its files hold").await;
    let good = fs::read_to_string(world.path("changed/rules.toml")).unwrap();
    world.write("changed/rules.toml", "");
    hang_up(&server);
    server.logs("the policy is refused").await;
    world.write("changed/rules.toml", &format!("{good}# And again.\n"));
    let before = server.said("log").matches("came into force").count();
    hang_up(&server);
    let until = std::time::Instant::now() + crate::world::PATIENCE;
    while server.said("log").matches("came into force").count() == before {
        assert!(std::time::Instant::now() < until, "{}", server.said("log"));
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    server.is_well();
}
