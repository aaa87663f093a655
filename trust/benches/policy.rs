//! What a decision with its explanation costs at 10,000 rules: at most 50 µs is promised.
//!
//! *Spread*: few rules speak of one data set. *Crowded*: all 10,000 speak of the same data set, for
//! different agencies, roles and purposes. *Alike*: 200 of them hold for the same request, and nothing
//! that they ask for tells them apart.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fmt::Write;
use std::fs;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use sallyport_trust::policy::{Action, Attributes, Context, Decision, PolicyStore, Request, attribute, kind};

const RULES: usize = 10_000;
const MODEL: &str = include_str!("../../policies/model.conf");

/// Four agencies at each of 2,500 data sets.
fn spread(number: usize) -> (String, [String; 3]) {
    let (owner, set, agency) = (number / 100, number / 4 % 25, number % 4);
    (format!("owner{owner}.set{set}"), [format!("agency{agency}"), "analyst".to_owned(), "review".to_owned()])
}

/// Twenty agencies, ten roles and fifty purposes at one data set.
fn crowded(number: usize) -> (String, [String; 3]) {
    let (agency, role, purpose) = (number / 500, number / 50 % 10, number % 50);
    ("owner1.set1".to_owned(), [format!("agency{agency}"), format!("role{role}"), format!("purpose{purpose}")])
}

/// Two hundred rules for the same agency, role and purpose; the others are about other data sets.
fn alike(number: usize) -> (String, [String; 3]) {
    let dataset = if number < 200 { "owner1.set1".to_owned() } else { format!("owner2.set{number}") };
    (dataset, ["agency1".to_owned(), "analyst".to_owned(), format!("purpose{number}")])
}

fn store(rule: fn(usize) -> (String, [String; 3]), deny: &str) -> PolicyStore {
    let mut rules = String::new();
    for number in 0..RULES {
        let (dataset, [agency, role, purpose]) = rule(number);
        let effect = if number % 16 == 15 { deny } else { "allow" };
        write!(
            rules,
            "[[rule]]\nid = \"r{number}\"\neffect = \"{effect}\"\nactions = [\"ask\", \"look_up\"]\n\
             datasets = [\"{dataset}\"]\n[rule.subject]\nagency = {{ equals = \"{agency}\" }}\n\
             role = {{ equals = \"{role}\" }}\n28cfr_certification = {{ equals = true }}\n\
             [rule.context]\npurpose = {{ one_of = [\"{purpose}\", \"counter-narcotics\"] }}\n",
        )
        .unwrap();
    }
    let cases = "[subjects.nobody]\nagency = \"none\"\n[resources.none]\nkind = \"audit\"\nowner = \"none\"\n\
        [[case]]\nname = \"nobody\"\nsubject = \"nobody\"\nresource = \"none\"\naction = \"audit\"\n\
        decision = \"deny\"\nreason = \"no_rule_allows\"\n";
    let directory = tempfile::tempdir().unwrap();
    for (file, text) in [("model.conf", MODEL), ("rules.toml", &rules), ("cases.toml", cases)] {
        fs::write(directory.path().join(file), text).unwrap();
    }
    PolicyStore::open(directory.path()).unwrap()
}

fn request(dataset: &str, agency: &str, role: &str, purpose: &str) -> Request {
    let subject = Attributes::new()
        .with(attribute::FEDERATION_ID, "spiffe://sallyport.demo/agency/hsi/user/rivera")
        .with(attribute::AGENCY, agency)
        .with(attribute::ROLE, role)
        .with(attribute::EMPLOYER_NAME, "Homeland Security Investigations")
        .with(attribute::CERTIFIED_28CFR, "true");
    let resource = Attributes::new()
        .with(attribute::KIND, kind::DATASET)
        .with(attribute::OWNER, "owner1")
        .with(attribute::DATASET, dataset)
        .with(attribute::SENSITIVITY, "law_enforcement_sensitive");
    let context = Context {
        purpose: purpose.to_owned(),
        case_number: "HSI-2026-0117".to_owned(),
        reason: "Link analysis after a seizure at Laredo".to_owned(),
        subject_type: "phone".to_owned(),
        minimum_datasets: 2,
        top: 20,
        at_ms: 1_790_000_000_000,
    };
    Request { subject, resource, action: Action::Ask, context }
}

fn without(mut request: Request, name: &str) -> Request {
    request.subject = request.subject.iter().filter(|(given, _)| *given != name).collect();
    request
}

/// A name, the policy, what is asked of it, and what must come of it.
type Case<'a> = (&'a str, &'a PolicyStore, Request, fn(&Decision) -> bool);

fn decisions(criterion: &mut Criterion) {
    let allows = |decision: &Decision| matches!(decision, Decision::Allow(_));
    let denies = |decision: &Decision| matches!(decision, Decision::Deny(_));
    let (spread, crowded, alike) = (store(spread, "deny"), store(crowded, "deny"), store(alike, "allow"));
    let known = request("owner1.set1", "agency2", "role3", "purpose7");
    let fifty = request("owner1.set1", "agency2", "role3", "counter-narcotics");
    let alike_asked = request("owner1.set1", "agency1", "analyst", "counter-narcotics");
    let cases: [Case<'_>; 10] = [
        ("spread, allow", &spread, request("owner1.set1", "agency2", "analyst", "review"), allows),
        ("spread, deny by default", &spread, request("owner1.set1", "agency9", "analyst", "review"), denies),
        ("crowded, allow", &crowded, known.clone(), allows),
        ("crowded, all of fifty rules hold, one denies", &crowded, fifty, denies),
        ("crowded, deny by rule", &crowded, request("owner1.set1", "agency0", "role0", "purpose15"), denies),
        ("crowded, deny by default", &crowded, request("owner1.set1", "agency2", "role3", "curiosity"), denies),
        ("crowded, stranger", &crowded, request("owner1.set1", "agency99", "role99", "curiosity"), denies),
        ("crowded, attribute missing", &crowded, without(known, attribute::CERTIFIED_28CFR), denies),
        ("alike, attribute missing", &alike, without(alike_asked.clone(), attribute::CERTIFIED_28CFR), denies),
        ("alike, two hundred allow", &alike, alike_asked, allows),
    ];
    let mut group = criterion.benchmark_group("decision at 10,000 rules");
    for (name, store, request, as_meant) in cases {
        assert!(as_meant(&store.decide(&request)), "{name}: {:?}", store.decide(&request));
        group.bench_function(name, |bencher| bencher.iter(|| black_box(store.decide(black_box(&request)))));
    }
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
