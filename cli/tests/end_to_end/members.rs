//! Epochs and members that change while questions go on, and processes that die in the middle of it.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use serde_json::Value;

use crate::{
    answers::{CALLS, CROSSINGS, QUESTION},
    entries::entries,
    federation::{Agency, Federation, OPEN_RULES, outcome, reason, tls, wait_until},
};

const OPERATORS: &str = r#"
[[rule]]
id = "operators"
effect = "allow"
actions = ["operate"]
[rule.subject]
role = { equals = "operator" }
"#;

const ACME: &str = r#"
[[dataset]]
name = "acme.loads"
files = ["loads.csv"]
sensitivity = "official"
[[dataset.identifier]]
name = "phone"
column = "phone"
type = "phone"
country = "US"
"#;

/// Phones of each agency; so many take a few seconds to tag.
const PHONES: u32 = 30_000;

fn phones(head: &str, from: u32) -> String {
    let lines = (from..from + PHONES).map(|n| format!("+1956{:07},2026-03-01T08:00:00Z\n", 2_000_000 + n));
    format!("{head}\n{}", lines.collect::<String>())
}

/// The data sets, and a second person who operates the node.
fn operated(name: &str, datasets: &str) -> String {
    format!("{datasets}\n[[person]]\nname = \"{name}-operator\"\n[person.attributes]\nrole = \"operator\"\n")
}

/// What the tests' agencies have.
struct Setting {
    rules: String,
    datasets: [(&'static str, String); 3],
    files: [Vec<(&'static str, String)>; 3],
}

impl Setting {
    fn new() -> Self {
        // One identifier each, so that what is tagged can be counted.
        let crossings = CROSSINGS.split("[[dataset.attribute]]").next().unwrap();
        let calls = CALLS.split("[[dataset.identifier]]\nname = \"callee\"").next().unwrap();
        Self {
            rules: format!("{OPEN_RULES}{OPERATORS}"),
            datasets: [
                ("cbp", operated("cbp", crossings)),
                ("hsi", operated("hsi", calls)),
                ("acme", operated("acme", ACME)),
            ],
            files: [
                vec![("crossings.csv", phones("phone,at", 0))],
                // Half of them are CBP's too.
                vec![("calls.csv", phones("caller,at", PHONES / 2))],
                vec![("loads.csv", phones("phone,at", PHONES / 2))],
            ],
        }
    }

    fn agencies(&self) -> Vec<Agency<'_>> {
        let both = self.datasets.iter().zip(&self.files);
        both.map(|((name, datasets), files)| Agency { rules: Some(&self.rules), ..Agency::new(name, datasets, files) })
            .collect()
    }

    /// Everything prepared for so many of the agencies, operators included.
    fn prepare(&self, members: usize) -> Federation {
        let federation = Federation::prepare(&self.agencies()[..members]);
        for ((name, _), port) in self.datasets.iter().zip(&federation.ports[1..]) {
            add_operator(&federation, name, *port);
        }
        federation
    }
}

fn add_operator(federation: &Federation, name: &str, port: u16) {
    let person = format!("{name}-operator");
    let certificates = ["certs", "--agency", name, "--user", &format!("{name}/{person}"), "--directory", "certs"];
    assert!(federation.output(&certificates).status.success());
    let tls = tls(&format!("agency-{name}-user-{person}")).replace("[tls]", "[person.tls]");
    let people = federation.path().join("people.toml");
    let more = format!("[[person]]\nname = \"{person}\"\nagency = \"{name}\"\nnode = \"127.0.0.1:{port}\"\n{tls}\n");
    fs::write(&people, fs::read_to_string(&people).unwrap() + more.as_str()).unwrap();
}

/// What an operator's command says.
fn operate(federation: &Federation, agency: &str, arguments: &[&str]) -> Value {
    let person = format!("{agency}-operator");
    let output = federation.output(&[arguments, &["--as", &person, "--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(federation: &Federation, person: &str, arguments: &[&str]) -> String {
    reason(&federation.output(&[arguments, &["--as", person]].concat()))
}

fn show(federation: &Federation, agency: &str) -> Value {
    operate(federation, agency, &["epoch", "show"])
}

fn in_use(federation: &Federation, agency: &str) -> u64 {
    show(federation, agency)["in_use"]["epoch"].as_u64().unwrap()
}

/// Asks again and again while something is done; every question must be answered by both data sets.
fn while_asking(federation: &Federation, work: impl FnOnce(&AtomicU64)) {
    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for agency in ["hsi", "cbp"] {
            let (stop, asked) = (&stop, &asked);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    whole(&federation.ask(agency, QUESTION, &[]));
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        work(&asked);
        stop.store(true, Ordering::Relaxed);
    });
}

#[track_caller]
fn whole(answer: &Value) {
    for dataset in ["cbp.crossings", "hsi.calls"] {
        let told = outcome(answer, dataset);
        assert_eq!((&told["outcome"], &told["untagged"]), (&"answered".into(), &0.into()), "{answer}");
    }
    assert_eq!(answer["subjects_matched"], PHONES / 2, "{answer}");
}

fn tag_directories(federation: &Federation, agency: &str) -> Vec<PathBuf> {
    let directory = federation.path().join(agency).join("tags");
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_new_epoch_survives_being_killed_in_the_middle_and_the_old_one_answers_until_then() {
    let setting = Setting::new();
    let mut federation = setting.prepare(2);
    ["gateway", "cbp", "hsi"].iter().for_each(|name| federation.run(name));
    federation.wait_until_settled();
    whole(&federation.ask("hsi", QUESTION, &[]));
    let old = federation.path().join("cbp/epochs/1.json");
    let old_key = fs::read_to_string(&old).unwrap();

    // Nobody but an operator decides, and one alone changes nothing.
    assert_eq!(refused(&federation, "cbp-analyst", &["epoch", "next"]), "no_rule_allows");
    operate(&federation, "cbp", &["epoch", "next"]);
    wait_until("hsi hears of it", || show(&federation, "hsi")["proposals"][0]["epoch"] == 2);
    whole(&federation.ask("cbp", QUESTION, &[]));
    wait_until("cbp hears that hsi has not begun", || {
        let state = show(&federation, "cbp");
        state["next"]["members"][1]["waiting_because"].as_str().unwrap().starts_with("`hsi` has not begun epoch 2 yet")
    });
    assert_eq!(refused(&federation, "cbp-operator", &["epoch", "next", "--number", "2"]), "epoch_number_taken");
    assert_eq!(refused(&federation, "cbp-operator", &["epoch", "next"]), "epoch_being_prepared");
    let highest = u64::MAX.to_string();
    assert_eq!(refused(&federation, "cbp-operator", &["epoch", "next", "--number", &highest]), "epoch_number_too_high");
    assert_eq!(refused(&federation, "cbp-operator", &["member", "add", "../x"]), "agency_name");
    operate(&federation, "hsi", &["epoch", "next"]);

    for victim in ["cbp", "hsi"] {
        wait_until("tags of the new epoch are made", || {
            let next = &show(&federation, victim)["next"]["members"];
            let own = next.as_array().and_then(|members| members.iter().find(|member| member["agency"] == victim));
            own.is_none_or(|own| own["tagged_thousandths"].as_u64().unwrap() > 50)
        });
        federation.kill(victim);
        federation.run(victim);
    }
    wait_until("both answer again in the old or the new epoch", || {
        federation.try_ask("hsi", QUESTION, &[]).status.success()
    });
    wait_until("both use the new epoch", || ["cbp", "hsi"].iter().all(|agency| in_use(&federation, agency) == 2));
    whole(&federation.ask("hsi", QUESTION, &[]));
    whole(&federation.ask("cbp", QUESTION, &[]));

    // Keys and tags are others, and what was is erased.
    wait_until("the old epoch is erased", || {
        ["cbp", "hsi"].iter().all(|agency| show(&federation, agency)["earlier"].as_array().unwrap().is_empty())
    });
    assert!(!old.exists());
    let new_key = fs::read_to_string(federation.path().join("cbp/epochs/2.json")).unwrap();
    let key = |text: &str| serde_json::from_str::<Value>(text).unwrap()["tag_key"].clone();
    assert_ne!(key(&old_key), key(&new_key));
    for agency in ["cbp", "hsi"] {
        assert_eq!(tag_directories(&federation, agency).len(), 1, "{agency}");
        let audit = federation.audit(agency);
        assert!(federation.output(&["audit", "verify", audit.to_str().unwrap()]).status.success());
    }
    whole(&federation.ask("hsi", QUESTION, &[]));

    // Whoever comes back hears again how far the others are.
    ["cbp", "hsi"].iter().for_each(|name| federation.kill(name));
    ["cbp", "hsi"].iter().for_each(|name| federation.run(name));
    for agency in ["cbp", "hsi"] {
        wait_until("both are seen in use and whole", || {
            let output = federation.output(&["epoch", "show", "--as", &format!("{agency}-operator"), "--json"]);
            let state: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            let members = state["in_use"]["members"].as_array().cloned().unwrap_or_default();
            let is_whole = |member: &Value| member["stage"] == "in use" && member["tagged_thousandths"] == 1_000;
            members.len() == 2 && members.iter().all(is_whole)
        });
    }
}

#[test]
fn a_node_joins_with_one_evaluation_an_identifier_and_no_question_fails() {
    let setting = Setting::new();
    let mut federation = setting.prepare(3);
    let of_three = fs::read_to_string(federation.path().join("gateway.toml")).unwrap();
    let members = |text: String, epoch: u32, members: &str| {
        text.replace("epoch = 1\n", &format!("epoch = {epoch}\n"))
            .replace("members = [\"cbp\", \"hsi\", \"acme\"]", &format!("members = [{members}]"))
    };
    for name in ["cbp", "hsi"] {
        federation.configure(name, |text| members(text, 1, "\"cbp\", \"hsi\""));
    }
    federation.configure("acme", |text| members(text, 2, "\"cbp\", \"hsi\", \"acme\""));
    federation.configure("gateway", |text| text.split("\n[[node]]\nagency = \"acme\"").next().unwrap().to_owned());
    ["gateway", "cbp", "hsi"].iter().for_each(|name| federation.run(name));
    wait_until("two settle", || {
        ["cbp", "hsi"].iter().all(|name| federation.log(name).contains("every data set can be asked"))
    });
    federation.run("acme");

    while_asking(&federation, |asked| {
        // The gateway learns where the node is, then everybody's operator agrees.
        fs::write(federation.path().join("gateway.toml"), &of_three).unwrap();
        federation.signal("gateway", "HUP");
        wait_until("the gateway knows it", || federation.log("gateway").contains("the nodes of the federation read"));
        for agency in ["hsi", "cbp"] {
            let state = operate(&federation, agency, &["member", "add", "acme"]);
            assert_eq!((&state["next"]["epoch"], &state["next"]["keeps_keys"]), (&2.into(), &true.into()));
        }
        wait_until("all use the new epoch", || {
            ["cbp", "hsi", "acme"].iter().all(|agency| in_use(&federation, agency) == 2)
        });
        // Its log is signed by itself and, like everybody's, cosigned by all the others.
        wait_until("who joined is witnessed", || {
            let cosigned = fs::read_to_string(federation.audit("acme").join("cosigned")).unwrap_or_default();
            cosigned.lines().filter(|line| line.starts_with("\u{2014} ")).count() == 4
        });
        let then = asked.load(Ordering::Relaxed);
        wait_until("questions go on", || asked.load(Ordering::Relaxed) > then + 4);
    });
    // Each evaluated what the others have, once: nothing was tagged again among those who were there.
    for agency in ["cbp", "hsi", "acme"] {
        wait_until("the log is published", || evaluations(&federation, agency) >= u64::from(2 * PHONES));
        assert_eq!(evaluations(&federation, agency), u64::from(2 * PHONES), "{agency}");
    }
    let key = |agency: &str, epoch: u32| {
        let text = fs::read_to_string(federation.path().join(format!("{agency}/epochs/{epoch}.json")));
        text.ok().map(|text| serde_json::from_str::<Value>(&text).unwrap()["tag_key"].clone())
    };
    if let Some(before) = key("cbp", 1) {
        assert_eq!(Some(before), key("cbp", 2), "who was there keeps the key");
    }
    let of_acme = QUESTION.replace("hsi.calls", "acme.loads").replace("identifier = \"caller\"", "");
    assert_eq!(federation.ask("hsi", &of_acme, &[])["subjects_matched"], PHONES / 2);
    assert_eq!(federation.ask("acme", &of_acme, &[])["subjects_matched"], PHONES / 2);
}

/// Evaluations that a node has given to all others.
fn evaluations(federation: &Federation, by: &str) -> u64 {
    let entries = entries(&federation.audit(by));
    entries.iter().filter_map(|entry| entry["phase"]["complete"]["counts"]["evaluations"].as_u64()).sum()
}

#[test]
fn a_node_leaves_and_is_answered_by_nobody_until_it_comes_back() {
    let setting = Setting::new();
    let mut federation = setting.prepare(3);
    ["gateway", "cbp", "hsi", "acme"].iter().for_each(|name| federation.run(name));
    federation.wait_until_settled();
    let of_acme = QUESTION.replace("hsi.calls", "acme.loads").replace("identifier = \"caller\"", "");
    assert_eq!(federation.ask("acme", &of_acme, &[])["subjects_matched"], PHONES / 2);
    assert_eq!(refused(&federation, "acme-operator", &["member", "remove", "acme"]), "member_own");
    assert_eq!(refused(&federation, "hsi-operator", &["member", "remove", "fbi"]), "member_unknown");

    // It does not take part in its own leaving, and nobody waits for it.
    while_asking(&federation, |_| {
        federation.signal("acme", "STOP");
        for agency in ["hsi", "cbp"] {
            let state = operate(&federation, agency, &["member", "remove", "acme"]);
            assert_eq!((&state["next"]["epoch"], &state["next"]["keeps_keys"]), (&2.into(), &false.into()));
        }
        wait_until("the others use the new epoch", || {
            ["cbp", "hsi"].iter().all(|agency| in_use(&federation, agency) == 2)
        });
        federation.signal("acme", "CONT");
    });
    wait_until("the old epoch is erased", || {
        ["cbp", "hsi"].iter().all(|agency| show(&federation, agency)["earlier"].as_array().unwrap().is_empty())
    });
    let answer = federation.ask("acme", &of_acme, &[]);
    let told = outcome(&answer, "cbp.crossings");
    assert_eq!(told["reason"], "epoch_differs", "{answer}");
    assert_eq!(answer["subjects_matched"], 0);
    whole(&federation.ask("hsi", QUESTION, &[]));

    // It comes back as a new one, and its log goes on.
    federation.kill("acme");
    for kept in ["epochs", "tags"] {
        fs::remove_dir_all(federation.path().join("acme").join(kept)).unwrap();
    }
    federation.configure("acme", |text| text.replace("epoch = 1\n", "epoch = 3\n"));
    federation.run("acme");
    for agency in ["hsi", "cbp"] {
        operate(&federation, agency, &["member", "add", "acme"]);
    }
    wait_until("all use the new epoch", || {
        ["cbp", "hsi", "acme"].iter().all(|agency| in_use(&federation, agency) == 3)
    });
    assert_eq!(federation.ask("acme", &of_acme, &[])["subjects_matched"], PHONES / 2);
    let audit = federation.audit("acme");
    assert!(federation.output(&["audit", "verify", audit.to_str().unwrap()]).status.success());
}

#[test]
fn nodes_that_were_told_different_things_keep_the_old_epoch_and_say_so() {
    let setting = Setting::new();
    let mut federation = setting.prepare(2);
    ["gateway", "cbp", "hsi"].iter().for_each(|name| federation.run(name));
    federation.wait_until_settled();
    operate(&federation, "hsi", &["epoch", "next"]);
    operate(&federation, "cbp", &["epoch", "next", "--number", "5"]);
    let why = |agency: &str, other: usize| {
        show(&federation, agency)["next"]["members"][other]["waiting_because"].as_str().unwrap_or_default().to_owned()
    };
    // Members stand in the order of their names.
    wait_until("both are told", || why("hsi", 0).contains("another epoch") && why("cbp", 1).contains("another epoch"));
    whole(&federation.ask("hsi", QUESTION, &[]));
    assert_eq!(show(&federation, "hsi")["proposals"][0]["epoch"], 5);
    operate(&federation, "hsi", &["epoch", "cancel"]);
    assert_eq!(refused(&federation, "hsi-operator", &["epoch", "cancel"]), "epoch_not_begun");
    operate(&federation, "hsi", &["epoch", "next", "--number", "5"]);
    wait_until("both use it", || ["cbp", "hsi"].iter().all(|agency| in_use(&federation, agency) == 5));
    whole(&federation.ask("cbp", QUESTION, &[]));
}
