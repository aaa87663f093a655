//! The tools of whoever writes rules, on a policy's files and on the logs of a real federation.

use std::fs;

use serde_json::Value;

use crate::answers::{CALLS, CROSSINGS};
use crate::federation::{Agency, Federation, OPEN_RULES, reason, write_policy};

const QUESTION: &str = r#"
subject = "phone"
purpose = "counter-narcotics"
case_number = "C-1"
minimum_datasets = 2
top = 10
[[indicator]]
dataset = "cbp.crossings"
measure = "presence"
[[indicator]]
dataset = "hsi.calls"
identifier = "caller"
measure = "presence"
"#;

fn federation() -> Federation {
    let crossings = [("crossings.csv", "at,phone,lane,weight\n2026-03-01T10:00:00Z,+19567001000,cargo,1\n".to_owned())];
    let calls = [
        ("calls.csv", "at,caller,callee\n2026-03-01T10:00:00Z,+19567001000,+19567001001\n".to_owned()),
        ("cases.csv", "at,phone,status\n2026-03-01T10:00:00Z,+19567001000,Arrested\n".to_owned()),
    ];
    Federation::start(&[Agency::new("hsi", CALLS, &calls), Agency::new("cbp", CROSSINGS, &crossings)])
}

fn json(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn policies(party: &str) -> String {
    format!("{}/../policies/{party}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn past_questions_are_put_to_a_proposed_policy() {
    let mut federation = federation();
    federation.ask("hsi", QUESTION, &[]);
    federation.ask("hsi", &QUESTION.replace("counter-narcotics", "border-security"), &[]);
    for name in ["hsi", "cbp", "gateway"] {
        federation.stop(name);
    }
    let rehearse = |policy: &str, party: &str, since: &str| {
        let log = federation.audit(party).display().to_string();
        json(&federation.output(&["policy", "rehearse", policy, "--log", &log, "--since", since, "--json"]))
    };
    for party in ["hsi", "cbp", "gateway"] {
        let same = rehearse(&format!("policies/{party}"), party, "2026-01-01");
        assert!(same["decisions"].as_u64() > Some(3), "{party}: {same}");
        assert_eq!(same["decisions"], same["unchanged"], "{party}: {same}");
        assert_eq!(
            (&same["not_rehearsable"], &same["changes"]),
            (&Value::from(0), &Value::Array(Vec::new())),
            "{party}"
        );
    }
    assert_eq!(rehearse("policies/cbp", "cbp", "2126-01-01")["decisions"], 0);
    // CBP's rules name CBP's data sets.
    let cbp = format!("{}/../policies/cbp", env!("CARGO_MANIFEST_DIR"));
    let others = federation.audit("hsi").display().to_string();
    let others = federation.output(&["policy", "rehearse", &cbp, "--log", &others, "--since", "2026-01-01"]);
    assert_eq!((others.status.code(), reason(&others)), (Some(2), "policy_of_another_party".to_owned()));

    let narrowed = OPEN_RULES.replacen(
        "role = { equals = \"analyst\" }",
        "role = { equals = \"analyst\" }\n[rule.context]\npurpose = { equals = \"counter-narcotics\" }",
        1,
    );
    write_policy(&federation.path().join("policies/proposed"), &narrowed);
    let changed = rehearse("policies/proposed", "cbp", "2026-01-01");
    let [change] = changed["changes"].as_array().unwrap().as_slice() else { panic!("{changed}") };
    assert_eq!((&change["from"], &change["to"], &change["count"]), (&"allow".into(), &"deny".into(), &1.into()));
    assert_eq!((&change["rule_then"], &change["reason"]), (&"analysts".into(), &"no_rule_allows".into()));
    let example = &change["examples"][0];
    assert_eq!(example["actor"], "spiffe://sallyport.demo/agency/hsi/user/hsi-analyst");
    assert_eq!(
        (&example["purpose"], &example["action"]),
        (&"border-security".into(), &"contribute cbp.crossings".into())
    );
    assert!(!changed.to_string().contains("9567001000"));

    let log = federation.audit("cbp");
    let told = federation.output(&[
        "policy",
        "rehearse",
        "policies/proposed",
        "--log",
        log.to_str().unwrap(),
        "--since",
        "2026-01-01T00:00:00Z",
    ]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("allow by analysts → deny by default-deny (no_rule_allows): 1"), "{told}");

    fs::write(log.join("checkpoint"), "no checkpoint").unwrap();
    let broken = federation.output(&[
        "policy",
        "rehearse",
        "policies/cbp",
        "--log",
        log.to_str().unwrap(),
        "--since",
        "2026-01-01",
    ]);
    assert_eq!((broken.status.code(), reason(&broken)), (Some(5), "audit_log_broken".to_owned()));
}

#[test]
fn the_policies_of_the_demonstration_have_no_errors() {
    for party in ["gateway", "hsi", "cbp", "acme"] {
        let output = run(&["policy", "check", &policies(party), "--json"]);
        let review = json(&output);
        assert_eq!(output.status.code(), Some(0), "{party}: {review}");
        let kinds: Vec<&str> =
            review["findings"].as_array().unwrap().iter().filter_map(|f| f["kind"].as_str()).collect();
        assert!(!kinds.contains(&"no_case"), "{party}: {review}");
    }
    let told = run(&["policy", "check", &policies("cbp"), "--attributes"]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("gfipm:2.0:user:28CFRCertificationIndicator"), "{told}");
    assert!(told.contains("0 errors"), "{told}");
}

#[test]
fn a_policy_with_errors_fails_its_check() {
    let directory = tempfile::tempdir().unwrap();
    write_policy(
        directory.path(),
        &OPEN_RULES
            .replace("role = { equals = \"gateway\" }", "role = { equals = \"gateway\", not_one_of = [\"gateway\"] }"),
    );
    let path = directory.path().to_str().unwrap();
    let output = run(&["policy", "check", path]);
    assert_eq!((output.status.code(), reason(&output)), (Some(5), "policy_has_errors".to_owned()));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("error  rule `accounts`: its conditions on subject.role cannot hold together"), "{told}");
    assert_eq!(run(&["policy", "check", "/nowhere"]).status.code(), Some(2));
}

#[test]
fn a_decision_is_explained_in_words() {
    let cbp = policies("cbp");
    let asked = |more: &[&str]| {
        let fixed = ["policy", "explain", &cbp, "--action", "ask", "--resource", "dataset=cbp.crossings"];
        run(&[&fixed[..], &["--context", "purpose=border-security", "minimum_datasets=2", "top=20"], more].concat())
    };
    let uncertified = asked(&["--subject", "agency=hsi", "role=analyst", "--json"]);
    let told = json(&uncertified);
    assert_eq!((&told["decision"], &told["reason"]), (&"deny".into(), &"missing_attribute".into()));
    assert_eq!(told["nearest"][0]["id"], "hsi-crossings");
    assert!(told["missing"].as_array().unwrap().contains(&"subject.28cfr_certification".into()), "{told}");

    let formal = "gfipm:2.0:user:28CFRCertificationIndicator=true";
    let certified = asked(&["--subject", "agency=hsi", "role=analyst", formal]);
    let told = String::from_utf8(certified.stdout).unwrap();
    for said in
        ["Decision: allow. Allowed by hsi-crossings.", "minimum_datasets = 2, by hsi-crossings", "mask = all, by"]
    {
        assert!(told.contains(said), "{said}: {told}");
    }
    let partner = String::from_utf8(asked(&["--subject", "agency=acme", "role=analyst"]).stdout).unwrap();
    assert!(partner.contains("partners-never-ask (deny, met)"), "{partner}");

    let cases = fs::read_to_string(format!("{cbp}/cases.toml")).unwrap().parse::<toml::Table>().unwrap();
    let case = &cases["case"][0];
    let output = run(&["policy", "explain", &cbp, "--case", case["name"].as_str().unwrap(), "--json"]);
    assert_eq!(json(&output)["decision"], case["decision"].as_str().unwrap());

    for wrong in [
        &["--subject", "agency"][..],
        &["--subject", "rank=1"],
        &["--context", "top=many"],
        &["--resource", "kind=\u{1b}[31m", "--subject", "x=y"],
    ] {
        assert_eq!(asked(wrong).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(run(&["policy", "explain", &cbp, "--case", "no such case"]).status.code(), Some(2));
    assert_eq!(run(&["policy", "explain", &cbp]).status.code(), Some(2));
    let nothing = run(&["policy", "explain", &cbp, "--action", "ask"]);
    assert_eq!((nothing.status.code(), reason(&nothing)), (Some(2), "explain_request".to_owned()));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("--resource dataset="));
}

fn run(arguments: &[&str]) -> std::process::Output {
    std::process::Command::new(crate::federation::PROGRAM).args(arguments).output().unwrap()
}
