//! The policies that come with the project.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::*;
use crate::policy::PolicyStore;

const FOLDERS: [&str; 4] = ["gateway", "hsi", "cbp", "acme"];

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../policies").join(name)
}

fn table(folder_name: &str, file: &str) -> toml::Table {
    fs::read_to_string(folder(folder_name).join(file)).unwrap().parse().unwrap()
}

/// Opening a store runs all cases of its table.
#[test]
fn every_folder_opens_and_its_cases_come_out_as_written() {
    for name in FOLDERS {
        if let Err(error) = PolicyStore::open(&folder(name)) {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn every_rule_decides_at_least_one_case_in_its_own_way() {
    for name in FOLDERS {
        let text = |table: &toml::Value, key: &str| table.get(key).and_then(|v| v.as_str()).unwrap_or("").to_owned();
        let list = |file: &str, key: &str| table(name, file)[key].as_array().unwrap().clone();
        let decided: BTreeSet<_> =
            list("cases.toml", "case").iter().map(|case| (text(case, "rule"), text(case, "decision"))).collect();
        for rule in list("rules.toml", "rule") {
            let wanted = (text(&rule, "id"), text(&rule, "effect"));
            assert!(decided.contains(&wanted), "{name}: no case for {wanted:?}");
        }
    }
}

/// Neither another role, nor a certificate, nor any purpose gets a partner or an auditor an answer.
#[test]
fn partners_and_auditors_get_no_question_through_anywhere() {
    let purposes = ["counter-narcotics", "counter-smuggling", "border-security"];
    let resources = [
        dataset("hsi.calls"),
        dataset("hsi.case_outcomes"),
        dataset("cbp.crossings"),
        dataset("cbp.travellers"),
        dataset("acme.shipments"),
    ]
    .into_iter()
    .chain(
        ["hsi", "cbp", "acme", "sallyport.demo"]
            .map(|owner| Attributes::new().with(attribute::KIND, kind::FEDERATION).with(attribute::OWNER, owner)),
    );
    let resources: Vec<_> = resources.collect();
    for name in FOLDERS {
        let store = PolicyStore::open(&folder(name)).unwrap();
        for (agency, role) in
            [("acme", "analyst"), ("acme", "node"), ("hsi", "auditor"), ("cbp", "auditor"), ("cbp", "node")]
        {
            let subject = Attributes::new()
                .with(attribute::AGENCY, agency)
                .with(attribute::ROLE, role)
                .with(attribute::CERTIFIED_28CFR, "true")
                .with(attribute::SECURITY_CLEARANCE_LEVEL, "top_secret");
            for (resource, purpose) in resources.iter().flat_map(|r| purposes.map(|purpose| (r, purpose))) {
                for action in [Action::Ask, Action::LookUp, Action::Federate] {
                    let context = Context { purpose: purpose.to_owned(), ..context() };
                    let request = Request { subject: subject.clone(), resource: resource.clone(), action, context };
                    assert!(matches!(store.decide(&request), Decision::Deny(_)), "{name}: {request:?}");
                }
            }
        }
    }
}
