//! A question that stands: what is new becomes a lead, whoever died or left in between.

use std::{fs, process::Output};

use serde_json::Value;

use crate::{
    entries::entries,
    federation::{Agency, Federation, OPEN_RULES, reason, wait_until},
};

pub(crate) const INBOND: &str = r#"
[[dataset]]
name = "cbp.inbond"
files = ["inbond.csv"]
sensitivity = "official"
[dataset.time]
column = "departed"
[[dataset.identifier]]
name = "truck"
column = "truck"
type = "device"
"#;

/// The carrier answers each person twice a day, and what a watch asks again within a day counts once.
const TRACKS: &str = r#"
[[budget]]
of = "person"
questions = 2
period = "1d"
[[dataset]]
name = "acme.track_events"
files = ["events.csv"]
sensitivity = "official"
live = true
news_to = ["cbp"]
[dataset.time]
column = "at"
[[dataset.identifier]]
name = "truck"
column = "truck"
type = "device"
"#;

const QUESTION: &str = r#"
subject = "device"
purpose = "border-security"
case_number = "T-1"
[[indicator]]
dataset = "cbp.inbond"
[[indicator]]
dataset = "acme.track_events"
"#;

pub(crate) const RULES: &str = r#"
[[rule]]
id = "leads"
effect = "allow"
actions = ["leads", "pursue", "arm"]
[rule.subject]
agency = { same_as = "resource.owner" }
role = { equals = "analyst" }
[rule.resource]
kind = { equals = "lead" }
[rule.obligations]
mask = "none"
"#;

/// Who may arm watches and may ask nothing.
const KEEPER: &str = r#"
[[rule]]
id = "keepers"
effect = "allow"
actions = ["leads", "arm"]
[rule.subject]
role = { equals = "keeper" }
[rule.resource]
kind = { equals = "lead" }
[rule.obligations]
mask = "none"
"#;

pub(crate) const PLAYBOOK: &str = r#"
name = "off-corridor"
title = "A truck left its corridor"
watches = ["off-corridor"]
raise_from_qe = 1.2
[[severity]]
name = "stop"
from_qe = 1.2
who = { role = "analyst" }
steps = ["Stop it."]
acknowledge_within = "1d"
pursue_within = "2d"
escalation = "commander"
[[escalation]]
name = "commander"
to = { role = "commander" }
after = "1d"
"#;

struct Setting {
    federation: Federation,
    events: Vec<&'static str>,
}

impl Setting {
    fn start(others: &[Agency<'_>]) -> Self {
        let rules = format!("{OPEN_RULES}{RULES}{KEEPER}");
        let inbond = [("inbond.csv", "truck,departed\nT-1,2026-03-01\nT-2,2026-03-01\nT-3,2026-03-01\n".to_owned())];
        let events = [("events.csv", "truck,at\nT-99,2026-03-02\n".to_owned())];
        let mut cbp = Agency::new("cbp", INBOND, &inbond);
        (cbp.rules, cbp.people) = (
            Some(rules.as_str()),
            &[("second", "analyst"), ("com", "commander"), ("clerk", "clerk"), ("keeper", "keeper")],
        );
        let agencies: Vec<Agency<'_>> =
            [cbp, Agency::new("acme", TRACKS, &events)].into_iter().chain(others.iter().cloned()).collect();
        let federation = Federation::start(&agencies);
        fs::write(federation.path().join("standing.toml"), QUESTION).unwrap();
        Self { federation, events: vec!["T-99"] }
    }

    fn watch(&self, arguments: &[&str], person: &str) -> Output {
        self.federation.output(&[&["watch"], arguments, &["--as", person]].concat())
    }

    fn arm(&self, person: &str) -> Output {
        let arguments = ["arm", "off-corridor", "--question", "standing.toml", "--for", "30d", "--reason", "trucks"];
        self.watch(&arguments, person)
    }

    fn write_playbook(&self, text: &str) {
        let playbooks = self.federation.path().join("policies/cbp/playbooks");
        fs::create_dir_all(&playbooks).unwrap();
        fs::write(playbooks.join("off-corridor.toml"), text).unwrap();
    }

    /// The only watch as it stands.
    fn standing(&self) -> Value {
        self.named("off-corridor")
    }

    /// The watch of this name as it stands.
    fn named(&self, name: &str) -> Value {
        let output = self.watch(&["list", "--json"], "second");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
        listed["watches"].as_array().unwrap().iter().rfind(|watch| watch["name"] == name).unwrap().clone()
    }

    /// The carrier's node has one more event, in a file that is replaced as a whole.
    fn leaves_corridor(&mut self, truck: &'static str) {
        self.events.push(truck);
        let rows: String = self.events.iter().map(|truck| format!("{truck},2026-03-02\n")).collect();
        let file = self.federation.path().join("events.csv");
        fs::write(file.with_extension("new"), format!("truck,at\n{rows}")).unwrap();
        fs::rename(file.with_extension("new"), file).unwrap();
    }

    fn lead(&self, arguments: &[&str]) -> Value {
        let output = self.federation.output(&[&["lead"], arguments, &["--as", "second"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// Trucks with a lead, open or closed, in their order.
    fn leads(&self) -> Vec<String> {
        let listed = self.lead(&["list", "--closed", "--json"]);
        let leads = listed["leads"].as_array().unwrap().iter();
        let mut trucks: Vec<_> = leads.map(|lead| lead["subject"].as_str().unwrap().to_owned()).collect();
        trucks.sort();
        trucks
    }

    /// How often it has asked.
    fn asked(&self) -> u64 {
        self.standing()["asked"].as_u64().unwrap()
    }
}

#[test]
fn what_is_new_becomes_a_lead_once_whoever_dies_or_leaves_in_between() {
    let mut setting = Setting::start(&[]);
    // No playbook, no watch; and only those arm one whom the policy lets.
    let refused = setting.arm("cbp-analyst");
    assert_eq!((reason(&refused).as_str(), refused.status.code()), ("playbook_missing", Some(3)));
    setting.write_playbook(PLAYBOOK);
    wait_until("the playbook is read", || setting.arm("cbp-analyst").status.success());
    assert_eq!(reason(&setting.arm("cbp-analyst")), "watch_name_taken");
    // Nobody lets stand what they may not ask.
    let name = ["renew", "off-corridor", "--reason", "for longer"];
    for refused in [setting.arm("keeper"), setting.watch(&name, "keeper")] {
        assert_eq!((reason(&refused).as_str(), refused.status.code()), ("no_rule_allows", Some(3)));
    }
    assert!(setting.standing()["person"].as_str().unwrap().ends_with("/cbp-analyst"));
    assert_eq!(reason(&setting.watch(&["disarm", "off-corridor", "--reason", "x"], "clerk")), "no_rule_allows");
    wait_until("it has asked", || setting.asked() > 0);
    assert_eq!(setting.leads(), Vec::<String>::new());

    setting.leaves_corridor("T-1");
    wait_until("the truck has a lead", || setting.leads() == ["t-1"]);
    // It asked because of the news, not because its time had come; and as a question of its owner.
    let asking = entries(&setting.federation.audit("cbp")).into_iter().any(|entry| {
        let open = &entry["phase"]["open"];
        open["action"] == "ask"
            && open["actor"].as_str().unwrap().ends_with("/agency/cbp/user/cbp-analyst")
            && open["reason"] == "watch off-corridor: trucks"
    });
    assert!(asking, "each asking is audited as a question of whoever armed it");

    // Ruled to be nothing, it is not raised again, while another truck is.
    let id = setting.lead(&["list", "--json"])["leads"][0]["id"].as_str().unwrap().to_owned();
    setting.lead(&["assign", &id]);
    setting.lead(&["pursue", &id]);
    setting.lead(&["outcome", &id, "--false-match", "30d", "--note", "another truck"]);
    for party in ["acme", "gateway", "cbp"] {
        setting.federation.kill(party);
    }
    ["gateway", "cbp", "acme"].iter().for_each(|party| setting.federation.run(party));
    setting.leaves_corridor("T-2");
    wait_until("the second truck has a lead", || setting.leads() == ["t-1", "t-2"]);
    assert_eq!(setting.lead(&["list", "--json"])["leads"].as_array().unwrap().len(), 1);
    assert_eq!((setting.standing()["leads"].clone(), setting.standing()["not_own"].clone()), (2.into(), 0.into()));

    // Its owner leaves the agency: it asks no more, until somebody else stands for it.
    setting.federation.kill("cbp");
    setting.federation.configure("cbp", |text| text.replace("name = \"cbp-analyst\"", "name = \"gone\""));
    setting.federation.run("cbp");
    wait_until("it stops", || setting.standing()["state"] == "stopped");
    assert_eq!(setting.standing()["ended"], "person_unknown");
    let listed = setting.watch(&["list"], "second");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let because = setting.standing()["ended_because"].as_str().unwrap().to_owned();
    assert!(listed.contains(&format!("`off-corridor`: {because} It has stopped; `sallyport watch renew`")), "{listed}");
    setting.leaves_corridor("T-3");
    let renewed = setting.watch(&["renew", "off-corridor", "--reason", "I take it over"], "second");
    assert!(renewed.status.success(), "{}", String::from_utf8_lossy(&renewed.stderr));
    wait_until("the third truck has a lead", || setting.leads() == ["t-1", "t-2", "t-3"]);

    // Ended, it asks no more.
    let ended = setting.watch(&["disarm", "off-corridor", "--reason", "the case is closed"], "second");
    assert!(ended.status.success());
    assert_eq!(setting.standing()["state"], "disarmed");
    let renewed = setting.watch(&["renew", "off-corridor", "--reason", "again"], "second");
    assert_eq!(reason(&renewed), "watch_disarmed");
    // Its name is free again.
    let again = ["arm", "off-corridor", "--question", "standing.toml", "--reason", "a new case"];
    assert!(setting.watch(&again, "second").status.success());
    assert_eq!(setting.standing()["state"], "armed");
}

const SEEN: &str = r#"
[[dataset]]
name = "hsi.seen"
files = ["seen.csv"]
sensitivity = "official"
[dataset.time]
column = "at"
[[dataset.identifier]]
name = "truck"
column = "truck"
type = "device"
"#;

#[test]
fn who_is_away_or_slow_holds_up_no_other_watch_and_what_is_left_out_is_told() {
    let seen = [("seen.csv", "truck,at\nT-1,2026-03-02\n".to_owned())];
    let mut setting = Setting::start(&[Agency::new("hsi", SEEN, &seen)]);
    setting.write_playbook(&PLAYBOOK.replace("watches = [", "watches = [\"slow\", "));
    wait_until("the playbook is read", || setting.arm("cbp-analyst").status.success());
    // Somebody else of the federation dies, without whom a new truck has no tag: its news waits until it has.
    setting.federation.kill("hsi");
    setting.leaves_corridor("T-1");
    wait_until("it is read", || setting.federation.log("acme").contains("has no tag yet"));
    assert_eq!(setting.leads(), Vec::<String>::new());
    setting.federation.run("hsi");
    wait_until("the truck has a lead", || setting.leads() == ["t-1"]);

    // Of two matches one is looked at, which the watch says.
    let narrow = QUESTION.replace("purpose =", "top = 1\npurpose =");
    fs::write(setting.federation.path().join("standing.toml"), narrow).unwrap();
    let ended = setting.watch(&["disarm", "off-corridor", "--reason", "narrower"], "second");
    assert!(ended.status.success());
    setting.leaves_corridor("T-2");
    assert!(setting.arm("cbp-analyst").status.success());
    let told = || setting.standing()["ended_because"].as_str().unwrap().to_owned();
    wait_until("it says so", || told().starts_with("2 subjects matched and the best 1 were looked at."));
    assert_eq!(setting.standing()["ended"], "answered_in_part");

    // A party that does not answer, and a watch that asks it, hold up no watch that does not.
    let slow =
        QUESTION.replace("acme.track_events", "hsi.seen").replace("purpose =", "deadline_seconds = 300\npurpose =");
    fs::write(setting.federation.path().join("slow.toml"), slow).unwrap();
    let arm = ["arm", "slow", "--question", "slow.toml", "--reason", "slow"];
    assert!(setting.watch(&arm, "cbp-analyst").status.success());
    wait_until("it has asked", || setting.named("slow")["asked"] == 1);
    setting.federation.signal("hsi", "STOP");
    let asked = setting.asked();
    for name in ["slow", "off-corridor"] {
        let renew = ["renew", name, "--for", "20d", "--reason", "goes on"];
        assert!(setting.watch(&renew, "cbp-analyst").status.success());
    }
    wait_until("the other one has asked", || setting.asked() > asked);
    assert_eq!(setting.named("slow")["asked"], 1);
    setting.federation.signal("hsi", "CONT");
    wait_until("the slow one ends", || setting.named("slow")["asked"].as_u64() > Some(1));

    // Nobody's key that is in other hands goes on asking.
    setting.federation.kill("cbp");
    setting.federation.configure("cbp", |text| {
        text.replacen("[tls]\n", "[tls]\nrevocations = \"certs/authority.crl\"\n", 1)
            + "\n[certificates]\ncheck_every_s = 1\n"
    });
    setting.federation.run("cbp");
    let revoked =
        setting.federation.output(&["certs", "revoke", "agency-cbp-user-cbp-analyst", "--reason", "key-compromise"]);
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    wait_until("the list is read", || setting.federation.log("cbp").contains("revocation lists read"));
    setting.leaves_corridor("T-3");
    wait_until("it stops", || setting.standing()["state"] == "stopped");
    assert_eq!(setting.standing()["ended"], "certificate_revoked");
}
