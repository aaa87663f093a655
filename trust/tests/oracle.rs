//! Decisions compared with those of another casbin, PyCasbin, on whole matrices of subjects, resources,
//! actions, purposes and numbers. The conditions are evaluated by a Python script that was written from the
//! explanation of the rules, not from this code.
//!
//! PyCasbin is installed into a virtual environment under the target directory. Where there is no Python
//! or no package registry, the test says so and compares nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use sallyport_trust::policy::{Action, Attributes, Context, Decision, PolicyStore, Request, kind};
use serde_json::{Value, json};

const PACKAGE: &str = "casbin==1.43.0";

/// One policy with every operator, effect and type.
const EVERYTHING: &str = r#"
[[rule]]
id = "cleared"
effect = "allow"
actions = ["ask", "look_up"]
subject = { security_clearance_level = { at_least = "confidential", below = "top_secret" } }
resource = { sensitivity = { below = "law_enforcement_sensitive" } }
obligations = { maximum_results = 30 }

[[rule]]
id = "own"
effect = "allow"
actions = ["ask", "catalog", "tag"]
subject = { agency = { same_as = "resource.owner" } }
obligations = { minimum_datasets = 1, maximum_results = 10_000 }

[[rule]]
id = "certified-in-time"
effect = "allow"
actions = ["ask", "federate", "audit"]
owners = ["hsi", "cbp"]
subject = { 28cfr_certification = { equals = true }, role = { not_one_of = ["auditor"] } }
context = { time = { at_least = 2026-01-01T00:00:00Z, below = 2027-01-01T00:00:00+01:00 }, top = { below = 60 } }

[[rule]]
id = "sensitive-waits"
effect = "hold"
release_by = "release_officer"
actions = ["ask", "look_up"]
subject = { role = { present = true } }
resource = { sensitivity = { at_least = "law_enforcement_sensitive" } }
obligations = { minimum_datasets = 3 }

[[rule]]
id = "purposes"
effect = "deny"
actions = ["ask", "look_up", "federate"]
context = { purpose = { not_one_of = ["counter-narcotics", "counter-smuggling", "border-security"] } }

[[rule]]
id = "unsworn"
effect = "deny"
actions = ["look_up"]
datasets = ["cbp.crossings", "hsi.calls"]
subject = { sworn_law_enforcement_officer = { equals = false } }
"#;

const CASES: &str = "[subjects.nobody]\nagency = \"none\"\n[resources.none]\nkind = \"audit\"\nowner = \"none\"\n\
    [[case]]\nname = \"nobody\"\nsubject = \"nobody\"\nresource = \"none\"\naction = \"relay\"\n\
    decision = \"deny\"\nreason = \"no_rule_allows\"\n";

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")
}

#[test]
fn another_casbin_decides_alike_on_the_whole_matrix() {
    let Some(python) = python_with_casbin() else {
        // Not through the test's own output, which is kept back when it passes.
        let _ = writeln!(io::stderr(), "skipped: no Python with {PACKAGE} could be had to compare with");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let own = directory.path().join("everything");
    fs::create_dir(&own).unwrap();
    fs::copy(policies().join("model.conf"), own.join("model.conf")).unwrap();
    fs::write(own.join("rules.toml"), EVERYTHING).unwrap();
    fs::write(own.join("cases.toml"), CASES).unwrap();
    let folders: Vec<PathBuf> =
        ["gateway", "hsi", "cbp", "acme"].iter().map(|name| policies().join(name)).chain([own]).collect();

    let requests = matrix();
    let written: Vec<Value> = requests.iter().map(as_json).collect();
    let asked = json!({
        "kinds": kind::ALL,
        "model": fs::read_to_string(policies().join("model.conf")).unwrap(),
        "policies": folders.iter().map(|folder| json!({ "rules": rules(folder), "requests": written })).collect::<Vec<_>>(),
    });
    let file = directory.path().join("asked.json");
    fs::write(&file, asked.to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/decide.py");
    let output = Command::new(python).arg(script).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: Vec<Vec<String>> = serde_json::from_slice(&output.stdout).unwrap();

    for (folder, theirs) in folders.iter().zip(theirs) {
        let store = PolicyStore::open(folder).unwrap();
        assert_eq!(theirs.len(), requests.len());
        let mut allowed = 0;
        for (request, theirs) in requests.iter().zip(theirs) {
            let decision = store.decide(request);
            let ours = match &decision {
                Decision::Allow(_) => "allow",
                Decision::Deny(_) => "deny",
                Decision::Hold(_) => "hold",
            };
            assert_eq!(ours, theirs, "{}: {request:?} {decision:?}", folder.display());
            allowed += usize::from(ours != "deny");
        }
        assert!(allowed > 0, "{}: nothing of the matrix is allowed", folder.display());
    }
}

fn matrix() -> Vec<Request> {
    let people = subjects();
    let resources = resources();
    let actions = [
        "ask",
        "look_up",
        "federate",
        "relay",
        "evaluate",
        "agree",
        "tag",
        "catalog",
        "account",
        "audit",
        "publish",
        "run_pattern",
    ];
    let contexts = contexts();
    let mut requests = Vec::new();
    for subject in &people {
        for resource in &resources {
            for action in actions {
                let action: Action = action.parse().unwrap();
                // Circumstances take part in questions alone: elsewhere two are enough.
                let contexts = if action.is_question() { &contexts[..] } else { &contexts[..2] };
                requests.extend(contexts.iter().map(|context| Request {
                    subject: subject.clone(),
                    resource: resource.clone(),
                    action,
                    context: context.clone(),
                }));
            }
        }
    }
    requests
}

fn subjects() -> Vec<Attributes> {
    let person = |agency: &str, role: &str| Attributes::new().with("agency", agency).with("role", role);
    let mut subjects = vec![
        person("hsi", "analyst").with("28cfr_certification", "true").with("sworn_law_enforcement_officer", "1"),
        person("hsi", "analyst").with("28cfr_certification", "0").with("security_clearance_level", "secret"),
        person("cbp", "analyst").with("28cfr_certification", "TRUE").with("sworn_law_enforcement_officer", "false"),
        person("cbp", "analyst").with("28cfr_certification", "yes").with("security_clearance_level", "top_secret"),
        person("acme", "analyst").with("28cfr_certification", "true"),
        person("acme", "dispatcher").with("security_clearance_level", "confidential"),
        person("hsi", "auditor").with("28cfr_certification", "true"),
        Attributes::new().with("agency", "hsi").with("28cfr_certification", "true"),
        Attributes::new().with("role", "auditor"),
        Attributes::new().with("role", "gateway"),
        Attributes::new(),
    ];
    subjects.extend(["hsi", "cbp", "acme", "other"].map(|agency| person(agency, "node")));
    subjects
}

fn resources() -> Vec<Attributes> {
    let of_kind = |kind: &str, owner: &str| Attributes::new().with("kind", kind).with("owner", owner);
    let dataset = |name: &str, sensitivity: &str| {
        let owner = name.split('.').next().unwrap();
        of_kind("dataset", owner).with("dataset", name).with("sensitivity", sensitivity)
    };
    let mut resources = vec![
        dataset("cbp.crossings", "law_enforcement_sensitive"),
        dataset("cbp.travellers", "official"),
        dataset("hsi.calls", "law_enforcement_sensitive"),
        dataset("hsi.case_outcomes", "secret"),
        dataset("acme.shipments", "public"),
        dataset("other.things", "official"),
        // Names that evade what they name.
        dataset("cbp.crossings", "official").with("owner", "hsi"),
        dataset("cbp.crossings", "official").with("dataset", "cbp.Crossings"),
        of_kind("dataset", "cbp"),
        of_kind("records", "cbp"),
        Attributes::new().with("kind", "federation"),
    ];
    for owner in ["hsi", "cbp", "acme", "sallyport.demo"] {
        resources.extend(["federation", "linkage", "audit", "catalog", "pattern"].map(|kind| of_kind(kind, owner)));
    }
    resources
}

fn contexts() -> Vec<Context> {
    let question = |purpose: &str, minimum_datasets, top| Context {
        purpose: purpose.to_owned(),
        case_number: "HSI-2026-0117".to_owned(),
        subject_type: "phone".to_owned(),
        minimum_datasets,
        top,
        at_ms: 1_790_000_000_000,
        ..Context::default()
    };
    let late = Context { at_ms: 1_798_758_000_000, ..question("border-security", 3, 20) };
    vec![
        question("counter-narcotics", 3, 20),
        Context::default(),
        question("counter-smuggling", 2, 50),
        question("curiosity", 3, 20),
        Context { case_number: String::new(), ..question("border-security", 3, 100) },
        question("border-security", 1, 400),
        question("counter-narcotics", 3, 501),
        Context { at_ms: late.at_ms - 1, ..late.clone() },
        late,
    ]
}

fn as_json(request: &Request) -> Value {
    let context = &request.context;
    let time = chrono::DateTime::from_timestamp_millis(context.at_ms).unwrap().to_rfc3339();
    let table = |attributes: &Attributes| -> Value {
        attributes.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into()
    };
    json!({
        "subject": table(&request.subject),
        "resource": table(&request.resource),
        "action": request.action.as_str(),
        "context": {
            "purpose": context.purpose,
            "case_number": context.case_number,
            "reason": context.reason,
            "subject_type": context.subject_type,
            "minimum_datasets": context.minimum_datasets,
            "top": context.top,
            "time": if context.at_ms == 0 { String::new() } else { time },
        },
    })
}

fn rules(folder: &Path) -> Value {
    let table: toml::Table = fs::read_to_string(folder.join("rules.toml")).unwrap().parse().unwrap();
    plain(&table["rule"])
}

/// TOML as JSON, times as texts.
fn plain(value: &toml::Value) -> Value {
    match value {
        toml::Value::Array(values) => values.iter().map(plain).collect(),
        toml::Value::Table(table) => {
            table.iter().map(|(name, value)| (name.clone(), plain(value))).collect::<serde_json::Map<_, _>>().into()
        }
        toml::Value::Datetime(time) => json!(time.to_string()),
        toml::Value::String(text) => json!(text),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Float(number) => json!(number),
        toml::Value::Boolean(flag) => json!(flag),
    }
}

/// A Python that can import casbin; none when there is no way to one here.
fn python_with_casbin() -> Option<PathBuf> {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("casbin-oracle");
    let python = environment.join("bin/python");
    let works = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !works(&python, &["-c", "import casbin"]) {
        let made = works(Path::new("python3"), &["-m", "venv", environment.to_str()?]);
        let install = ["-m", "pip", "install", "--quiet", "--timeout", "20", "--retries", "1", PACKAGE];
        if !made || !works(&python, &install) {
            return None;
        }
    }
    Some(python)
}
