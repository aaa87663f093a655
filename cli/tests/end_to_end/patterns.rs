//! Patterns: published by one agency, asked by another.

use std::{
    fs,
    path::PathBuf,
    process::Output,
    time::{Duration, Instant},
};

use sallyport_trust::{
    clock::Clock,
    identity::{Identity, TlsFiles},
    question::SignedPattern,
};
use serde_json::Value;

use crate::{
    answers::{CALLS, CROSSINGS, calls, crossings, walk},
    federation::{Agency, Federation, OPEN_RULES, PATIENCE, reason, tls},
};

/// Who crosses, and how much they call: QE 1.118 for two calls, 1.053 for one.
const PATTERN: &str = r#"
name = "busy"
version = 1
looks_for = "Phones that cross and call"
learned_from = "seizures"
minimum_qe = 1.1
subject = "phone"
[window]
last_days = 7
[[indicator]]
dataset = "cbp.crossings"
[[indicator]]
dataset = "hsi.calls"
identifier = "caller"
measure = "frequency"
half_at = 2
"#;

/// What HSI keeps from CBP.
const KEPT: &str = r#"
[[rule]]
id = "kept"
effect = "deny"
actions = ["run_pattern"]
[rule.subject]
agency = { equals = "cbp" }
[rule.resource]
pattern = { equals = "hsi.kept" }
"#;

const WHY: [&str; 4] = ["--purpose", "border-security", "--case", "T-1"];

/// The day after the last call.
const AS_OF: [&str; 2] = ["--as-of", "2026-03-06"];

struct World(Federation);

impl World {
    /// HSI's analyst may publish, CBP's may not; HSI lets CBP run all of its patterns but one.
    fn start() -> Self {
        let (crossings, calls) = ([crossings()], calls());
        let hsi_rules = format!("{OPEN_RULES}{KEPT}");
        let cbp_rules = OPEN_RULES.replace("\"publish\", ", "");
        let mut cbp = Agency::new("cbp", CROSSINGS, &crossings);
        cbp.rules = Some(&cbp_rules);
        let mut hsi = Agency::new("hsi", CALLS, &calls);
        hsi.rules = Some(&hsi_rules);
        Self(Federation::start(&[cbp, hsi]))
    }

    fn publish(&self, agency: &str, text: &str) -> Output {
        let file = self.0.path().join("published.toml");
        fs::write(&file, text).unwrap();
        let person = format!("{agency}-analyst");
        self.0.output(&["pattern", "publish", file.to_str().unwrap(), "--as", &person, "--json"])
    }

    fn list(&self, agency: &str) -> Vec<Value> {
        let output = self.0.output(&["pattern", "list", "--as", &format!("{agency}-analyst"), "--json"]);
        json(&output)["patterns"].as_array().unwrap().clone()
    }

    fn try_ask(&self, agency: &str, pattern: &str, more: &[&str]) -> Output {
        let person = format!("{agency}-analyst");
        self.0.output(&[&["pattern", "ask", pattern, "--as", &person, "--json"][..], &WHY, more].concat())
    }

    fn ask(&self, agency: &str, pattern: &str, more: &[&str]) -> Value {
        json(&self.try_ask(agency, pattern, more))
    }

    fn refused(&self, pattern: &str) -> String {
        reason(&self.try_ask("cbp", pattern, &AS_OF))
    }

    /// A signed file in the federation's directory.
    fn file(&self, name: &str, json: &str) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, json).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn identity(&self, name: &str) -> std::sync::Arc<Identity> {
        #[derive(serde::Deserialize)]
        struct Files {
            tls: TlsFiles,
        }
        let mut files: Files = toml::from_str(&tls(name)).unwrap();
        files.tls.anchor(self.0.path());
        Identity::load(&files.tls, Clock::system()).unwrap()
    }

    /// Entries are durable at once and in the tiles a little later.
    fn log_holds(&self, agency: &str, text: &str) -> bool {
        let holds = |tile: &PathBuf| fs::read(tile).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text));
        let until = Instant::now() + PATIENCE;
        while !walk(&self.0.audit(agency).join("tile/entries")).iter().any(holds) {
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn names(patterns: &[Value]) -> Vec<&str> {
    patterns.iter().map(|pattern| pattern["pattern"].as_str().unwrap()).collect()
}

#[test]
fn what_one_agency_learned_another_asks() {
    let mut world = World::start();
    publishing(&world);
    listing_and_showing(&world);
    asking(&world);
    looking_up(&world);
    passing_on(&world);
    forging(&world);
    keeping(&world);
    world.0.kill("hsi");
    world.0.run("hsi");
    assert_eq!(names(&world.list("cbp")), ["hsi.busy@2", "hsi.busy@1"], "what is published outlives a power cut");
}

fn publishing(world: &World) {
    let published = json(&world.publish("hsi", PATTERN));
    assert_eq!((&published["pattern"], &published["known"]), (&"hsi.busy@1".into(), &false.into()));
    assert_eq!(json(&world.publish("hsi", PATTERN))["known"], true);
    let refused = |agency: &str, text: &str| {
        let output = world.publish(agency, text);
        (reason(&output), output.status.code().unwrap())
    };
    let of = |reason: &str, code| (reason.to_owned(), code);
    assert_eq!(refused("hsi", &PATTERN.replace("half_at = 2", "half_at = 3")), of("pattern_changed", 3));
    assert_eq!(refused("hsi", &PATTERN.replace("version = 1", "version = 3")), of("pattern_version", 3));
    assert_eq!(refused("hsi", &PATTERN.replace("version = 1", "version = 0")), of("pattern_version", 2));
    assert_eq!(refused("hsi", &format!("purpose = \"x\"\n{PATTERN}")), of("pattern_settings", 2));
    assert_eq!(refused("cbp", PATTERN), of("no_rule_allows", 3), "CBP's own policy lets nobody publish");
    // Whoever belongs to another agency gets nothing published by HSI's node.
    let port = world.0.ports[2];
    let person = tls("agency-cbp-user-cbp-analyst").replace("[tls]", "[person.tls]");
    let people = format!("[[person]]\nname = \"guest\"\nagency = \"hsi\"\nnode = \"127.0.0.1:{port}\"\n{person}");
    fs::write(world.0.path().join("guests.toml"), people).unwrap();
    let output = world.0.output(&["pattern", "publish", "published.toml", "--as", "guest", "--people", "guests.toml"]);
    assert_eq!(reason(&output), "wrong_agency");
    assert!(world.log_holds("hsi", r#""action":"publish","resource":"hsi.busy@1""#));
}

fn listing_and_showing(world: &World) {
    let listed = world.list("cbp");
    assert_eq!(names(&listed), ["hsi.busy@1"]);
    let pattern = &listed[0];
    assert_eq!((&pattern["signature"], &pattern["looks_for"]), (&"holds".into(), &"Phones that cross and call".into()));
    assert_eq!(pattern["datasets"], serde_json::json!(["cbp.crossings", "hsi.calls"]));
    assert_eq!((&pattern["minimum_qe"], &pattern["minimum_datasets"]), (&1.1.into(), &2.into()));
    let output = world.0.output(&["pattern", "list", "--as", "hsi-analyst"]);
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("Phones that cross and call") && table.contains("QE 1.1, 2 data sets, best 20"), "{table}");
    let output = world.0.output(&["pattern", "show", "hsi.busy", "--toml", "--as", "cbp-analyst"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), PATTERN);
    let output = world.0.output(&["pattern", "show", "hsi.busy", "--as", "cbp-analyst"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("holds: the node of hsi"));
    let catalog = json(&world.0.output(&["catalog", "--as", "cbp-analyst", "--json"]));
    assert_eq!(catalog["nodes"][1]["patterns"], 1, "{catalog}");
}

fn asking(world: &World) {
    let answer = world.ask("cbp", "hsi.busy", &AS_OF);
    assert_eq!(answer["pattern"]["name"], "hsi.busy@1");
    assert_eq!((&answer["subjects_matched"], &answer["pattern"]["below_minimum_qe"]), (&2.into(), &1.into()));
    // The same as a question of one's own, without what is below the pattern's threshold.
    let question =
        PATTERN.split_once("subject").unwrap().1.replace("last_days = 7", "from = 2026-02-27\nuntil = 2026-03-06");
    let own = world.0.ask("cbp", &format!("purpose = \"border-security\"\nsubject{question}"), &[]);
    assert_eq!(own["matches"].as_array().unwrap().len(), 2);
    let shown = answer["matches"].as_array().unwrap();
    assert_eq!(shown.len(), 1);
    for part in ["rank", "label", "qe", "evidence"] {
        assert_eq!(shown[0][part], own["matches"][0][part], "{part}");
    }
    assert_eq!((&shown[0]["label"], &shown[0]["qe"]), (&"1603903XXXX".into(), &1.118.into()));
    // An earlier moment, and the present, when nothing has happened for long.
    let earlier = world.ask("cbp", "hsi.busy", &["--as-of", "2026-03-02T00:00:00Z"]);
    assert_eq!((&earlier["subjects_matched"], &earlier["pattern"]["below_minimum_qe"]), (&1.into(), &1.into()));
    assert_eq!(world.ask("cbp", "hsi.busy", &[])["subjects_matched"], 0);

    json(&world.publish("hsi", &PATTERN.replace("version = 1", "version = 2").replace("1.1", "0.5")));
    assert_eq!(names(&world.list("cbp")), ["hsi.busy@2", "hsi.busy@1"]);
    let newest = world.ask("cbp", "hsi.busy", &AS_OF);
    assert_eq!((&newest["pattern"]["name"], newest["matches"].as_array().unwrap().len()), (&"hsi.busy@2".into(), 2));
    assert_eq!(world.ask("cbp", "hsi.busy@1", &AS_OF)["matches"].as_array().unwrap().len(), 1);
    assert_eq!(world.refused("hsi.busy@3"), "pattern_version");
    assert_eq!(world.refused("hsi.other"), "pattern_unknown");
    assert_eq!(world.refused("nsa.busy"), "pattern_unknown");
    let unexplained = world.0.output(&["pattern", "ask", "hsi.busy", "--as", "cbp-analyst"]);
    assert_eq!((reason(&unexplained).as_str(), unexplained.status.code()), ("purpose_missing", Some(2)));
    assert!(world.log_holds("cbp", r#""action":"run_pattern","resource":"hsi.busy""#));
    assert!(world.log_holds("cbp", r#""action":"ask","resource":"hsi.busy@1""#));
}

fn looking_up(world: &World) {
    let answer = world.ask("cbp", "hsi.busy", &[&AS_OF[..], &["--phone", "415-555-2671"]].concat());
    assert_eq!((&answer["subjects_matched"], &answer["matches"][0]["qe"]), (&1.into(), &1.053.into()));
    let device = world.try_ask("cbp", "hsi.busy", &["--device", "d1"]);
    assert_eq!((reason(&device).as_str(), device.status.code()), ("lookup_type", Some(2)));
    assert_eq!(reason(&world.try_ask("cbp", "hsi.busy", &["--phone", "call me"])), "identifier_unusable");
}

fn passing_on(world: &World) {
    let out = ["--out", "busy.json", "--as", "hsi-analyst"];
    assert!(world.0.output(&[&["pattern", "show", "hsi.busy@1"][..], &out].concat()).status.success());
    let answer = world.ask("cbp", "busy.json", &AS_OF);
    assert_eq!((&answer["pattern"]["name"], &answer["matches"][0]["qe"]), (&"hsi.busy@1".into(), &1.118.into()));
    let shown = json(&world.0.output(&["pattern", "show", "busy.json", "--as", "cbp-analyst", "--json"]));
    assert_eq!(shown["learned_from"], "seizures");
}

fn forging(world: &World) {
    let sound = fs::read_to_string(world.0.path().join("busy.json")).unwrap();
    let weaker = world.file("weaker.json", &sound.replace("minimum_qe = 1.1", "minimum_qe = 0.1"));
    assert_eq!(world.refused(&weaker), "pattern_signature");
    let shown = world.0.output(&["pattern", "show", &weaker, "--as", "cbp-analyst"]);
    assert_eq!((reason(&shown).as_str(), shown.status.code()), ("pattern_signature", Some(3)));
    let taken_over = world.file("taken.json", &sound.replace("\"agency\": \"hsi\"", "\"agency\": \"cbp\""));
    assert_eq!(world.refused(&taken_over), "pattern_signature");
    // Soundly signed, by whoever is not HSI's node.
    for signer in ["agency-cbp-node", "agency-hsi-user-hsi-analyst", "gateway"] {
        let forged = SignedPattern::sign(&world.identity(signer), "hsi", PATTERN).unwrap();
        assert_eq!(world.refused(&world.file("forged.json", &forged.to_json().unwrap())), "pattern_owner", "{signer}");
    }
    assert_eq!(world.refused(&world.file("torn.json", &sound[..sound.len() / 2])), "pattern_file");
    assert_eq!(world.refused("absent.json"), "file_unreadable");
    assert!(world.log_holds("cbp", r#""detail":"pattern_owner""#), "who tried stands in the log");
}

fn keeping(world: &World) {
    json(&world.publish("hsi", &PATTERN.replace("busy", "kept")));
    assert!(names(&world.list("hsi")).contains(&"hsi.kept@1"));
    assert!(!names(&world.list("cbp")).contains(&"hsi.kept@1"));
    let output = world.try_ask("cbp", "hsi.kept", &AS_OF);
    assert_eq!((reason(&output).as_str(), output.status.code()), ("pattern_unknown", Some(2)));
    let shown = world.0.output(&["pattern", "show", "hsi.kept", "--as", "cbp-analyst"]);
    assert_eq!(reason(&shown), "pattern_unknown");
    assert_eq!(world.ask("hsi", "hsi.kept", &AS_OF)["matches"].as_array().unwrap().len(), 1);
}
