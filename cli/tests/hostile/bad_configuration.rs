//! Servers that are told nonsense do not start, and say what to correct.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::world::{Finished, World, free_ports, policies};

/// Both servers' configurations, sound.
struct Sound {
    world: World,
    gateway: String,
    node: String,
}

const DATASET: &str = "[[dataset]]\nname = \"hsi.calls\"\nfiles = [\"calls.csv\"]\nsensitivity = \"official\"\n\
    [dataset.time]\ncolumn = \"at\"\n[[dataset.identifier]]\nname = \"caller\"\ncolumn = \"caller\"\n\
    type = \"phone\"\ncountry = \"US\"\n";

impl Sound {
    fn new() -> Self {
        let world = World::new();
        world.write("calls.csv", "at,caller\n2026-03-01T10:00:00Z,+19567001000\n");
        let [gateway, node] = free_ports();
        Self {
            gateway: world.gateway_toml(gateway, &[("hsi", node)]),
            node: world.node_toml("hsi", node, gateway, DATASET),
            world,
        }
    }

    fn gateway(&self, text: &str) -> Finished {
        self.world.write("bad-gateway.toml", text);
        self.world.run(&["gateway", "--config", "bad-gateway.toml"])
    }

    fn node(&self, text: &str) -> Finished {
        self.world.write("bad-node.toml", text);
        self.world.run(&["agency-node", "--config", "bad-node.toml"])
    }

    /// Both servers with the same replacement, which must apply to both.
    fn both(&self, from: &str, to: &str) -> [Finished; 2] {
        [self.gateway(&replaced(&self.gateway, from, to)), self.node(&replaced(&self.node, from, to))]
    }
}

#[track_caller]
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from} is not there to be replaced: {text}");
    text.replacen(from, to, 1)
}

#[test]
fn a_file_that_cannot_be_read_as_a_configuration_is_refused() {
    let sound = Sound::new();
    for subcommand in ["gateway", "agency-node"] {
        sound.world.run(&[subcommand, "--config", "nowhere.toml"]).refused(2, "configuration");
        let without = sound.world.run(&[subcommand]);
        assert_eq!(without.code, Some(2), "{}", without.err);
    }
    for (from, to) in [
        ("listen = ", "listen "),
        ("listen = \"127", "listen = 127 #"),
        ("listen = ", "lissten = "),
        ("[tls]", "[tls]\nverify = false"),
        ("policies = ", "policies = 1 #"),
    ] {
        for finished in sound.both(from, to) {
            finished.refused(2, "configuration");
            assert!(finished.err.contains("line "), "it says where: {}", finished.err);
        }
    }
    for limit in ["connections = 0", "handshake_timeout_ms = 0", "message_bytes = 1", "frame_bytes = 1"] {
        let limits = format!("\n[limits]\n{limit}\n");
        let name = limit.split(' ').next().unwrap();
        for finished in
            [sound.gateway(&format!("{}{limits}", sound.gateway)), sound.node(&format!("{}{limits}", sound.node))]
        {
            finished.refused(2, "configuration");
            assert!(finished.err.contains(name), "{}", finished.err);
        }
    }
    let twice = format!("{}\n[[node]]\nagency = \"hsi\"\naddress = \"127.0.0.1:1\"\n", sound.gateway);
    sound.gateway(&twice).refused(2, "configuration");
    let auditors = "\n[[auditor]]\nname = \"chen\"\n".repeat(2);
    for finished in
        [sound.gateway(&format!("{}{auditors}", sound.gateway)), sound.node(&format!("{}{auditors}", sound.node))]
    {
        finished.refused(2, "configuration");
        assert!(finished.err.contains("chen"), "{}", finished.err);
    }
}

#[test]
fn what_a_node_is_told_of_members_people_and_data_sets_must_fit() {
    let sound = Sound::new();
    for (from, to, said) in [
        ("[\"hsi\", \"cbp\"]", "[\"hsi\"]", "members"),
        ("[\"hsi\", \"cbp\"]", "[\"cbp\", \"acme\"]", "members"),
        ("[\"hsi\", \"cbp\"]", "[\"hsi\", \"hsi\", \"cbp\"]", "members"),
        ("[[person]]", "[[person]]\nname = \"rivera\"\n[[person]]", "rivera"),
        ("name = \"hsi.calls\"", "name = \"cbp.calls\"", "cbp.calls"),
        ("name = \"hsi.calls\"", "name = \"hsi.Calls\"", "hsi.Calls"),
        ("calls.csv", "missing.csv", "missing.csv"),
        ("[[person]]", "[[budget]]\nof = \"person\"\nquestions = 0\nperiod = \"1d\"\n[[person]]", "[[budget]]"),
        ("[[person]]", "[[budget]]\nof = \"person\"\nquestions = 9\n[[person]]", "period"),
        ("[[person]]", "[disclosures]\nkeep = \"soon\"\n[[person]]", "length of time"),
        ("type = \"phone\"", "type = \"telephone\"", "unknown identifier type"),
        ("country = \"US\"\n\n[federation]", "country = \"US\"\nquota = 3\n[federation]", "quota"),
        ("type = \"phone\"\ncountry = \"US\"", "type = \"phone\"\ncountry = \"Texas\"", "Texas"),
        ("sensitivity = \"official\"", "sensitivity = \"secret\"", "sensitivity"),
        ("name = \"caller\"", "name = \"time\"", "time"),
    ] {
        let finished = sound.node(&replaced(&sound.node, from, to));
        finished.refused(2, "configuration");
        assert!(finished.err.contains(said), "{said}: {}", finished.err);
    }
    let without_identifier = replaced(&sound.node, "[[dataset.identifier]]", "[[dataset.attribute]]");
    sound.node(&without_identifier).refused(2, "configuration");
    let twice = format!("{}{DATASET}", sound.node);
    sound.node(&twice).refused(2, "configuration");
}

#[test]
fn a_server_must_prove_that_it_is_what_it_is_configured_as() {
    let sound = Sound::new();
    let certs = |name: &str| sound.world.path("certs").join(name);
    // Whole pairs of somebody else.
    let posing = [
        sound.gateway(&sound.gateway.replace("certs/gateway.", "certs/agency-hsi-node.")),
        sound.gateway(&sound.gateway.replace("certs/gateway.", "certs/agency-hsi-user-rivera.")),
        sound.node(&sound.node.replace("certs/agency-hsi-node.", "certs/agency-cbp-node.")),
        sound.node(&sound.node.replace("certs/agency-hsi-node.", "certs/gateway.")),
        sound.node(&sound.node.replace("certs/agency-hsi-node.", "certs/agency-hsi-user-rivera.")),
        sound.node(&sound.node.replacen("agency = \"hsi\"", "agency = \"cbp\"", 1).replace("hsi.calls", "cbp.calls")),
    ];
    posing.iter().for_each(|finished| finished.refused(2, "wrong_role"));

    for finished in [
        sound.gateway(&replaced(&sound.gateway, "gateway.key", "agency-hsi-node.key")),
        sound.node(&replaced(&sound.node, "agency-hsi-node.key", "agency-cbp-node.key")),
        sound.node(&replaced(&sound.node, "agency-hsi-node.key", "absent.key")),
        sound.node(&replaced(&sound.node, "agency-hsi-node.key", "authority.pem")),
        sound.node(&replaced(&sound.node, "agency-hsi-node.pem", "authority.key")),
        sound.node(&replaced(&sound.node, "authority.pem", "agency-hsi-node.key")),
    ] {
        finished.refused(2, "identity");
        assert!(!finished.err.contains("BEGIN"), "no key is shown: {}", finished.err);
    }
    let elsewhere = World::new();
    fs::copy(elsewhere.path("certs/authority.pem"), certs("elsewhere.pem")).unwrap();
    for finished in sound.both("authority.pem", "elsewhere.pem") {
        finished.refused(2, "identity");
    }

    for name in ["gateway.key", "agency-hsi-node.key"] {
        fs::set_permissions(certs(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    for finished in [sound.gateway(&sound.gateway), sound.node(&sound.node)] {
        finished.refused(2, "identity");
        assert!(finished.err.contains("chmod 600"), "{}", finished.err);
    }
}

#[test]
fn without_a_policy_that_holds_nothing_starts() {
    let sound = Sound::new();
    // The model lies beside the parties' folders, as in the repository.
    fs::create_dir_all(sound.world.path("rules/party")).unwrap();
    fs::copy(policies("model.conf"), sound.world.path("rules/model.conf")).unwrap();
    let rules = fs::read_to_string(policies("gateway").join("rules.toml")).unwrap();
    let rules: String = rules.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect();
    let cases = fs::read_to_string(policies("gateway").join("cases.toml")).unwrap();
    let gateway = replaced(&sound.gateway, &policies("gateway").to_string_lossy(), "rules/party");
    let node = replaced(&sound.node, &policies("hsi").to_string_lossy(), "rules/party");
    let try_both = |rules: Option<&str>, cases: &str| {
        let path = sound.world.path("rules/party/rules.toml");
        match rules {
            Some(rules) => fs::write(&path, rules).unwrap(),
            None => drop(fs::remove_file(&path)),
        }
        fs::write(sound.world.path("rules/party/cases.toml"), cases).unwrap();
        sound.gateway(&gateway).refused(2, "policy");
        sound.node(&node).refused(2, "policy");
    };
    try_both(None, &cases);
    try_both(Some(""), &cases);
    try_both(Some("# nothing is allowed"), &cases);
    try_both(Some("[[rule]\nid ="), &cases);
    try_both(Some(&replaced(&rules, "effect = \"allow\"", "effect = \"ALLOW\"")), &cases);
    try_both(Some(&replaced(&rules, "actions = [\"federate\"]", "actions = [\"everything\"]")), &cases);
    try_both(Some(&rules), "");
    // A rule less than the cases expect.
    try_both(Some(&replaced(&rules, "one_of = [\"hsi\", \"cbp\"]", "one_of = [\"hsi\"]")), &cases);
    fs::write(sound.world.path("rules/model.conf"), "[matchers]\nm = true\n").unwrap();
    try_both(Some(&rules), &cases);
}

#[test]
fn a_server_that_cannot_keep_its_log_its_state_or_its_port_does_not_start() {
    let sound = Sound::new();
    // A file where a directory must be holds off even root.
    sound.world.write("file", "");
    sound
        .gateway(&replaced(&sound.gateway, "audit = \"gateway-audit\"", "audit = \"file\""))
        .refused(1, "audit_unavailable");
    sound
        .gateway(&replaced(&sound.gateway, "audit = \"gateway-audit\"", "audit = \"file/audit\""))
        .refused(1, "audit_unavailable");
    sound.node(&replaced(&sound.node, "state = \"hsi\"", "state = \"file\"")).refused(1, "audit_unavailable");
    sound.world.write("half/epochs", "");
    sound.node(&replaced(&sound.node, "state = \"hsi\"", "state = \"half\"")).refused(1, "state_unusable");
    sound.world.write("damaged/epochs/1.json", "{");
    sound.node(&replaced(&sound.node, "state = \"hsi\"", "state = \"damaged\"")).refused(1, "state_unusable");

    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("listen = \"{}\"", held.local_addr().unwrap());
    let listen = |text: &str| text.lines().find(|line| line.starts_with("listen")).unwrap().to_owned();
    sound.gateway(&replaced(&sound.gateway, &listen(&sound.gateway), &taken)).refused(1, "cannot_listen");
    sound.node(&replaced(&sound.node, &listen(&sound.node), &taken)).refused(1, "cannot_listen");
    sound.node(&replaced(&sound.node, &listen(&sound.node), "listen = \"here\"")).refused(1, "cannot_listen");
}

#[test]
fn two_processes_never_write_the_same_log() {
    let world = World::new();
    let mut first = world.lone_gateway("");
    let [port] = free_ports();
    world.write("second.toml", &world.gateway_toml(port, &[]).replace("[tls]", "node = []\n[tls]"));
    world.run(&["gateway", "--config", "second.toml"]).refused(1, "audit_unavailable");
    first.is_well();
}
