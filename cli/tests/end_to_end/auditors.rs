//! Auditors, and who is none.

use std::{collections::BTreeSet, fs, process::Output};

use serde_json::Value;

use crate::{
    answers::{CALLS, CROSSINGS, QUESTION, calls, crossings, walk},
    federation::{AUDIT_RULE, Agency, Federation, OPEN_RULES, reason, tls},
};

/// CBP refuses questions and shows its log to auditors; HSI does neither.
fn federation() -> Federation {
    let (crossings, calls) = ([crossings()], calls());
    let closed = format!("{}{AUDIT_RULE}", OPEN_RULES.replace("\"ask\", \"look_up\", ", ""));
    let mut cbp = Agency::new("cbp", CROSSINGS, &crossings);
    cbp.rules = Some(&closed);
    Federation::start(&[cbp, Agency::new("hsi", CALLS, &calls)])
}

fn audit(federation: &Federation, command: &str, at: &str, more: &[&str]) -> Output {
    federation.output(&[&["audit", command, "--as", "chen", "--at", at], more].concat())
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn search(federation: &Federation, at: &str, more: &[&str]) -> Vec<Value> {
    json(&audit(federation, "search", at, &[more, &["--json"]].concat()))["actions"].as_array().unwrap().clone()
}

#[test]
fn an_auditor_finds_who_asked_what_and_why() {
    let federation = federation();
    let question = format!("reason = \"=Seizure at Laredo\"\n{QUESTION}[[indicator]]\ndataset = \"hsi.cases\"\n");
    let answer = federation.ask("hsi", &question, &[]);
    let id = answer["question_id"].as_str().unwrap();
    found_at_the_gateway(&federation, id);
    found_where_it_was_denied(&federation, id);
    allowed_at_one_place_and_refused_at_another(&federation);
    shown_with_its_proof(&federation, id);
    read_page_by_page(&federation);
    exported(&federation, id);
    reported(&federation);
    the_index_can_be_thrown_away(&federation, id);
    verified(&federation);
}

fn found_at_the_gateway(federation: &Federation, id: &str) {
    let found = search(federation, "gateway", &["--person", "hsi-analyst", "--agency", "hsi"]);
    let [asked] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&asked["action"], &asked["question"]), (&"ask".into(), &id.into()));
    assert_eq!((&asked["purpose"], &asked["case_number"]), (&"border-security".into(), &"T-1".into()));
    assert_eq!(asked["reason"], "=Seizure at Laredo");
    assert_eq!(
        (&asked["decision"], &asked["rule"], &asked["outcome"]),
        (&"allow".into(), &"analysts".into(), &"answered".into())
    );
    let all = ["--case", "T-1", "--purpose", "border-security", "--decision", "allow", "--rule", "analysts"];
    assert_eq!(search(federation, "gateway", &[&all[..], &["--outcome", "answered"]].concat()).len(), 1);
    for without in [["--case", "T-2"], ["--agency", "cbp"], ["--until", "2026-01-01"], ["--question", "00000000"]] {
        let asked = ["--action", "ask", "--outcome", "answered"];
        assert!(search(federation, "gateway", &[&asked[..], &without].concat()).is_empty(), "{without:?}");
    }
    // Of several values of one condition, one has to fit.
    assert_eq!(search(federation, "gateway", &["--case", "T-2", "--case", "T-1", "--action", "ask"]).len(), 1);
    assert_eq!(search(federation, "gateway", &["--question", &id[..8], "--action", "ask"]).len(), 1);
    // Names are found in upper and lower case, and what is nowhere in the log is called so.
    assert_eq!(search(federation, "gateway", &["--person", "HSI-Analyst", "--agency", "HSI"]).len(), 1);
    let told = |more: &[&str]| String::from_utf8(audit(federation, "search", "gateway", more).stdout).unwrap();
    let nothing = told(&["--action", "asks", "--agency", "hsi"]);
    assert!(
        nothing.contains("The action `asks` stands nowhere in this log") && !nothing.contains("`hsi`"),
        "{nothing}"
    );
    assert!(told(&["--agency", "xyz"]).contains("The agency `xyz` stands nowhere"));
    let table = audit(federation, "search", "gateway", &["--person", "hsi-analyst"]);
    let table = String::from_utf8(table.stdout).unwrap();
    for shown in ["hsi/hsi-analyst", "ask", "border-security", "T-1", "allow", "analysts", "answered"] {
        assert!(table.contains(shown), "{shown}: {table}");
    }
}

fn found_where_it_was_denied(federation: &Federation, id: &str) {
    let found = search(federation, "cbp", &["--dataset", "cbp.crossings", "--decision", "deny"]);
    let [denied] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&denied["action"], &denied["outcome"]), (&"contribute".into(), &"denied".into()));
    assert_eq!((&denied["detail"], &denied["question"]), (&"no_rule_allows".into(), &id.into()));
    assert!(denied["actor"].as_str().unwrap().ends_with("/agency/hsi/user/hsi-analyst"));
    assert!(denied["via"].as_str().unwrap().ends_with("/gateway"));
    assert_eq!(denied["purpose"], "border-security");
}

fn allowed_at_one_place_and_refused_at_another(federation: &Federation) {
    for command in [
        &["search"][..],
        &["show", "0"],
        &["export"],
        &["report", "--from", "2026-01-01", "--until", "2026-12-31"],
        &["verify"],
    ] {
        let output = audit(federation, command[0], "hsi", &command[1..]);
        assert_eq!((reason(&output).as_str(), output.status.code()), ("no_rule_allows", Some(3)), "{command:?}");
        assert!(output.stdout.is_empty());
    }
    // HSI has it in writing that somebody tried.
    let log = walk(&federation.audit("hsi"));
    let log: String = log.iter().map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned()).collect();
    for act in ["audit_search", "audit_show", "audit_export", "audit_report", "audit_verify"] {
        assert!(log.contains(&format!("\"action\":\"{act}\"")), "{act}");
    }
    // So has the gateway what was read there, and what was looked for.
    let own = search(federation, "gateway", &["--person", "chen", "--action", "audit_search", "--outcome", "answered"]);
    assert!(own.iter().any(|action| action["reason"].as_str().unwrap().contains("case=T-2")), "{own:?}");
    assert!(own.iter().all(|action| action["rule"] == "auditors"));
}

fn shown_with_its_proof(federation: &Federation, id: &str) {
    let asked = &search(federation, "gateway", &["--question", id, "--action", "ask"])[0];
    let (entry, name) = (asked["entry"].to_string(), asked["id"].as_str().unwrap());
    let shown = json(&audit(federation, "show", "gateway", &[&entry, "--json"]));
    assert_eq!((&shown["id"], &shown["question"]), (&asked["id"], &id.into()));
    assert!(shown["opening_inclusion"]["text"].as_str().unwrap().starts_with("{\"format\":1,"));
    assert!(!shown["completion_inclusion"]["proof"].as_array().unwrap().is_empty());
    assert_eq!(json(&audit(federation, "show", "gateway", &[name, "--json"]))["entry"], asked["entry"]);
    let text = String::from_utf8(audit(federation, "show", "gateway", &[&entry]).stdout).unwrap();
    assert!(text.contains("=Seizure at Laredo") && text.contains("are proved"), "{text}");
    let output = audit(federation, "show", "gateway", &["999999"]);
    assert_eq!((reason(&output).as_str(), output.status.code()), ("entry_unknown", Some(2)));
    assert_eq!(reason(&audit(federation, "show", "gateway", &["no-entry"])), "action_name");
}

fn read_page_by_page(federation: &Federation) {
    // Until a moment that is past, so that reading adds nothing to what is read.
    let newest = search(federation, "gateway", &["--limit", "1"])[0]["opened"].as_str().unwrap().to_owned();
    let whole = search(federation, "gateway", &["--until", &newest, "--limit", "500"]);
    assert!(whole.len() > 10, "{}", whole.len());
    let (mut paged, mut before) = (Vec::new(), u64::MAX.to_string());
    loop {
        let page = json(&audit(
            federation,
            "search",
            "gateway",
            &["--until", &newest, "--limit", "7", "--before", &before, "--json"],
        ));
        paged.extend(page["actions"].as_array().unwrap().clone());
        match page["next_before"].as_u64() {
            Some(next) => before = next.to_string(),
            None => break,
        }
    }
    assert_eq!(paged, whole);
    let entries: Vec<u64> = whole.iter().map(|action| action["entry"].as_u64().unwrap()).collect();
    assert!(entries.is_sorted_by(|newer, older| newer > older));
}

fn exported(federation: &Federation, id: &str) {
    let all = search(federation, "gateway", &["--agency", "hsi", "--limit", "500"]);
    let output = audit(federation, "export", "gateway", &["--agency", "hsi"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sequence = |action: &Value, field: &str| action[field].as_u64().unwrap();
    let expected: Vec<u64> = all.iter().rev().map(|action| sequence(action, "entry")).collect();
    assert_eq!(events.iter().map(|event| sequence(&event["metadata"], "sequence")).collect::<Vec<_>>(), expected);
    let asked = events.iter().find(|event| event["metadata"]["correlation_uid"] == id).unwrap();
    assert_eq!((&asked["class_uid"], &asked["api"]["operation"]), (&6003.into(), &"ask".into()));

    let output = audit(federation, "export", "gateway", &["--agency", "hsi", "--format", "csv", "--output", "log.csv"]);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(federation.path().join("log.csv")).unwrap();
    assert_eq!(text.lines().count(), 1 + events.len());
    assert!(text.starts_with("entry,completion_entry,id,opened,"), "{text}");
    // What would be a formula is text.
    assert!(text.contains(",'=Seizure at Laredo,"), "{text}");
    assert!(!federation.path().join("log.csv.part").exists());
}

fn reported(federation: &Federation) {
    // From yesterday until tomorrow, wherever the machine's clock stands.
    let newest = &search(federation, "gateway", &["--limit", "1"])[0]["opened"];
    let today: chrono::NaiveDate = newest.as_str().unwrap()[..10].parse().unwrap();
    let (from, until) = (today.pred_opt().unwrap().to_string(), (today + chrono::Days::new(2)).to_string());
    let period = ["--from", &from, "--until", &until];
    let report =
        json(&audit(federation, "report", "gateway", &[&period[..], &["--json", "--html", "report.html"]].concat()));
    let line = |list: &str, field: &str, value: &str| {
        report[list]
            .as_array()
            .unwrap()
            .iter()
            .find(|line| line[field] == value)
            .cloned()
            .unwrap_or_else(|| panic!("{report}"))
    };
    let asked = line("questions", "action", "ask");
    assert_eq!(
        (&asked["agency"], &asked["purpose"], &asked["count"]),
        (&"hsi".into(), &"border-security".into(), &1.into())
    );
    assert_eq!(
        (&asked["decision"], &line("releases", "action", "ask")["dataset"]),
        (&"allow".into(), &"federation".into())
    );
    assert_eq!(report["unjudged_days"], 1);
    assert_eq!(report["still_open"], 0, "the report itself is none of what it counts");
    let page = fs::read_to_string(federation.path().join("report.html")).unwrap();
    assert!(page.contains("border-security") && page.contains("Unusual volumes") && !page.contains("<script"));
    let cbp = json(&audit(federation, "report", "cbp", &[&period[..], &["--json"]].concat()));
    let denial = &cbp["denials"][0];
    assert_eq!((&denial["reason"], &denial["count"]), (&"no_rule_allows".into(), &1.into()), "{cbp}");
    let text = String::from_utf8(audit(federation, "report", "cbp", &period).stdout).unwrap();
    assert!(text.contains("Denials by rule") && text.contains("no_rule_allows"), "{text}");
    assert_eq!(
        reason(&audit(federation, "report", "cbp", &["--from", "2020-01-01", "--until", "2026-01-01"])),
        "report_period"
    );
}

fn the_index_can_be_thrown_away(federation: &Federation, id: &str) {
    let folder = federation.path().join("gateway-audit-index");
    let found = search(federation, "gateway", &["--question", id]);
    for damage in [
        &|| fs::remove_dir_all(&folder).unwrap() as (),
        &|| fs::write(folder.join("rows"), "nonsense").unwrap(),
        &|| fs::write(folder.join("head"), "nonsense").unwrap(),
    ] as [&dyn Fn(); 3]
    {
        damage();
        assert_eq!(search(federation, "gateway", &["--question", id]), found);
    }
}

fn verified(federation: &Federation) {
    for place in ["gateway", "cbp"] {
        let verified = json(&audit(federation, "verify", place, &["--json"]));
        assert_eq!((&verified["holds"], verified["entries"].as_u64() > Some(0)), (&true.into(), true), "{verified}");
    }
    let tiles = federation.audit("gateway").join("tile/entries");
    let damaged = walk(&tiles).into_iter().next().expect("an entry tile");
    let mut bytes = fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let output = audit(federation, "verify", "gateway", &[]);
    assert_eq!((reason(&output).as_str(), output.status.code()), ("audit_log_broken", Some(5)));
}

#[test]
fn only_auditors_read_and_they_only_read() {
    let federation = federation();
    // Others' certificates under an auditor's name, and an auditor's certificate under a person's.
    let mut people = String::new();
    let (gateway, cbp, hsi) = (federation.ports[0], federation.ports[1], federation.ports[2]);
    let strangers = ["agency-hsi-user-hsi-analyst", "agency-cbp-user-cbp-analyst", "agency-hsi-node", "gateway"];
    for stranger in strangers {
        people.push_str(&format!(
            "[[auditor]]\nname = \"{stranger}\"\nplaces = {{ gateway = \"127.0.0.1:{gateway}\", cbp = \"127.0.0.1:{cbp}\" }}\n{}",
            tls(stranger).replace("[tls]", "[auditor.tls]")
        ));
    }
    people.push_str(&format!(
        "[[person]]\nname = \"chen\"\nagency = \"hsi\"\nnode = \"127.0.0.1:{hsi}\"\n{}",
        tls("auditor-chen").replace("[tls]", "[person.tls]")
    ));
    fs::write(federation.path().join("strangers.toml"), people).unwrap();
    let mut reasons = BTreeSet::new();
    for (stranger, place) in strangers.iter().flat_map(|who| ["gateway", "cbp"].map(|place| (who, place))) {
        for command in [
            &["search"][..],
            &["show", "0"],
            &["export"],
            &["report", "--from", "2026-01-01", "--until", "2026-12-31"],
            &["verify"],
        ] {
            let who = ["--as", stranger, "--at", place, "--people", "strangers.toml"];
            let output = federation.output(&[&["audit"], command, &who].concat());
            assert_eq!(output.status.code(), Some(3), "{stranger} at {place}: {command:?}");
            assert!(output.stdout.is_empty());
            reasons.insert(reason(&output));
        }
    }
    assert_eq!(reasons.into_iter().collect::<Vec<_>>(), ["wrong_role"]);

    fs::write(federation.path().join("question.toml"), QUESTION).unwrap();
    let ask = ["ask", "question.toml", "--as", "chen"];
    let output = federation.output(&[&ask[..], &["--people", "strangers.toml"]].concat());
    assert_eq!((reason(&output).as_str(), output.status.code()), ("wrong_role", Some(3)));
    let output = federation.output(&ask);
    assert_eq!(reason(&output), "person_unknown", "an auditor is not among the people");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("`chen` is an auditor: auditors do not ask"), "{told}");
    assert_eq!(reason(&federation.output(&["audit", "search", "--as", "hsi-analyst"])), "auditor_unknown");
    assert_eq!(reason(&audit(&federation, "search", "nowhere", &[])), "place_unknown");
}
