//! Outcomes of real leads teach weights: what is planted is found, what is few is refused, and only those
//! who may read leads learn anything.

use std::{fs, process::Output};

use serde_json::Value;

use crate::{
    answers::{CALLS, CROSSINGS},
    entries::actors,
    federation::{Agency, Federation, OPEN_RULES, reason, wait_until},
    watches::RULES,
};

/// Phones that cross and call, each a lead.
const PHONES: usize = 48;

/// Both data sets tell how often; crossings have to do with what is found, calls hardly.
const QUESTION: &str = r#"
subject = "phone"
purpose = "border-security"
case_number = "T-1"
top = 100
[[indicator]]
dataset = "cbp.crossings"
measure = "frequency"
half_at = 4
[[indicator]]
dataset = "hsi.calls"
identifier = "caller"
measure = "frequency"
half_at = 4
"#;

const PLAYBOOK: &str = r#"
name = "crossers"
title = "Somebody who crosses and calls"
watches = ["crossers"]
raise_from_qe = 0.1
[[severity]]
name = "inquire"
from_qe = 0.1
who = { role = "analyst" }
steps = ["Ask who it is."]
acknowledge_within = "30d"
pursue_within = "60d"
escalation = "commander"
[[escalation]]
name = "commander"
to = { role = "commander" }
after = "1d"
"#;

/// What an inquiry finds; the truth of every second phone.
fn is_right(phone: usize) -> bool {
    phone.is_multiple_of(2)
}

/// Who is right crosses often, but for every fourth; who is wrong seldom, but for every fourth.
fn crossings() -> (&'static str, String) {
    let often = |phone: usize| is_right(phone) != (phone / 2).is_multiple_of(4);
    let rows = rows(
        |phone| if often(phone) { 12 } else { 2 },
        |phone, day| format!("603903{},2026-03-{:02}T08:00:00Z,pov,1\n", 1_000 + phone, day + 1),
    );
    ("crossings.csv", format!("phone,at,lane,weight\n{rows}"))
}

/// Who is wrong calls somewhat more often.
fn calls() -> [(&'static str, String); 2] {
    let often = |phone: usize| 1 + phone / 2 % 6 * if is_right(phone) { 1 } else { 2 };
    let rows =
        rows(often, |phone, day| format!("603903{},4155552671,2026-03-{:02}T10:00:00Z\n", 1_000 + phone, day + 1));
    [("calls.csv", format!("caller,callee,at\n{rows}")), ("cases.csv", "phone,status,at\n".to_owned())]
}

fn rows(how_many: impl Fn(usize) -> usize, row: impl Fn(usize, usize) -> String) -> String {
    (0..PHONES)
        .flat_map(|phone| (0..how_many(phone)).map(move |day| (phone, day)))
        .map(|(phone, day)| row(phone, day))
        .collect()
}

#[track_caller]
fn done(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

struct Setting(Federation);

impl Setting {
    /// Every phone is a lead that a watch raised.
    fn start() -> Self {
        let (crossings, calls, rules) = ([crossings()], calls(), format!("{OPEN_RULES}{RULES}"));
        let mut hsi = Agency::new("hsi", CALLS, &calls);
        (hsi.rules, hsi.people) = (Some(rules.as_str()), &[("com", "commander"), ("clerk", "clerk")]);
        let federation = Federation::prepare(&[Agency::new("cbp", CROSSINGS, &crossings), hsi]);
        let playbooks = federation.path().join("policies/hsi/playbooks");
        fs::create_dir_all(&playbooks).unwrap();
        fs::write(playbooks.join("crossers.toml"), PLAYBOOK).unwrap();
        fs::write(federation.path().join("standing.toml"), QUESTION).unwrap();
        let mut setting = Self(federation);
        ["gateway", "cbp", "hsi"].iter().for_each(|party| setting.0.run(party));
        setting.0.wait_until_settled();
        let arm = ["watch", "arm", "crossers", "--question", "standing.toml", "--for", "30d", "--reason", "inquiry"];
        done(setting.as_analyst(&arm));
        wait_until("every phone is a lead", || setting.leads().len() == PHONES);
        setting
    }

    fn as_analyst(&self, arguments: &[&str]) -> Output {
        self.0.output(&[arguments, &["--as", "hsi-analyst"]].concat())
    }

    /// Which phone each open lead is of, and its id.
    fn leads(&self) -> Vec<(usize, String)> {
        let listed: Value = serde_json::from_str(&done(self.as_analyst(&["lead", "list", "--json"]))).unwrap();
        let leads = listed["leads"].as_array().unwrap().iter().map(|lead| {
            let subject = lead["subject"].as_str().unwrap();
            let phone: usize = subject[subject.len() - 4..].parse().unwrap();
            (phone - 1_000, lead["id"].as_str().unwrap().to_owned())
        });
        let mut leads: Vec<_> = leads.collect();
        leads.sort();
        leads
    }

    /// Looks into a lead and records what was found.
    fn conclude(&self, (phone, id): &(usize, String)) {
        let found: &[&str] = match (is_right(*phone), phone % 4) {
            (true, 0) => &["--arrest", "1"],
            (true, _) => &["--seizure", "2 kg cocaine"],
            (false, 1) => &["--no-finding"],
            (false, _) => &["--false-match", "30d"],
        };
        done(self.as_analyst(&["lead", "assign", id]));
        done(self.as_analyst(&["lead", "pursue", id]));
        done(self.as_analyst(&[&["lead", "outcome", id], found].concat()));
    }

    fn calibrate(&self, more: &[&str], person: &str) -> Output {
        self.0.output(&[&["calibrate", "--playbook", "crossers", "--as", person], more].concat())
    }
}

#[test]
fn outcomes_teach_weights_that_a_person_may_accept() {
    let setting = Setting::start();
    let leads = setting.leads();
    whoever_may_not_learns_nothing(&setting);

    leads[..37].iter().for_each(|lead| setting.conclude(lead));
    let few = setting.calibrate(&[], "hsi-analyst");
    assert_eq!((reason(&few).as_str(), few.status.code()), ("too_few_outcomes", Some(3)));
    let told = String::from_utf8(few.stderr).unwrap();
    assert!(told.contains("there are 19 and 18. It takes outcomes of 1 more that were right and 2 more"), "{told}");

    leads[37..46].iter().for_each(|lead| setting.conclude(lead));
    done(setting.as_analyst(&["lead", "assign", &leads[46].1]));
    done(setting.as_analyst(&["lead", "outcome", &leads[46].1, "--referred", "dea"]));
    what_was_planted_is_found(&setting);
    told_in_words_and_drawn(&setting);
    let log = setting.0.audit("hsi");
    wait_until("it stands in the log", || actors(&log, "leads", "calibrated").len() == 2);
    assert!(actors(&log, "leads", "calibrated")[0].ends_with("/agency/hsi/user/hsi-analyst"));
    assert_eq!(actors(&log, "leads", "too_few_outcomes").len(), 1);
}

fn whoever_may_not_learns_nothing(setting: &Setting) {
    for person in ["clerk", "com"] {
        let refused = setting.calibrate(&[], person);
        assert_eq!((reason(&refused).as_str(), refused.status.code()), ("no_rule_allows", Some(3)), "{person}");
        assert!(refused.stdout.is_empty());
    }
    let none = setting.calibrate(&["--watch", "other"], "hsi-analyst");
    assert_eq!((reason(&none).as_str(), none.status.code()), ("no_leads", Some(2)));
    // Not even that there is none.
    assert_eq!(reason(&setting.calibrate(&["--watch", "other"], "clerk")), "no_rule_allows");
}

fn what_was_planted_is_found(setting: &Setting) {
    let told = done(setting.calibrate(&["--watch", "crossers", "--json"], "hsi-analyst"));
    let learnt: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&learnt["right"], &learnt["wrong"]), (&23.into(), &23.into()));
    assert_eq!((&learnt["open"], &learnt["untold"]), (&1.into(), &1.into()));
    assert_eq!(learnt["raised_by"][0]["cause"], "watch crossers");
    let weights = learnt["weights"].as_array().unwrap();
    let names: Vec<&str> = weights.iter().map(|weight| weight["dataset"].as_str().unwrap()).collect();
    assert_eq!(names, ["cbp.crossings", "hsi.calls"]);
    let [crossings, calls] = [0, 1].map(|place| weights[place]["weight"].as_f64().unwrap());
    assert!(crossings > calls + 0.3, "crossings tell more than calls: {told}");
    assert!((crossings.powi(2) + calls.powi(2) - 2.0).abs() < 0.01, "QE keeps its meaning: {told}");
    let concordance = |ranking: &str| learnt[ranking]["concordance"].as_f64().unwrap();
    assert!(concordance("proposed") > concordance("present"), "{told}");
    let lift = &learnt["proposed"]["lift"];
    assert!(lift["low"].as_f64() <= lift["ratio"].as_f64() && lift["ratio"].as_f64() <= lift["high"].as_f64());
    let precision = learnt["proposed"]["precision"].as_array().unwrap();
    assert_eq!(precision.iter().map(|head| head["of"].as_u64().unwrap()).collect::<Vec<_>>(), [10, 20]);
    assert_eq!(learnt["calibration"].as_array().unwrap().len(), 5);
}

fn told_in_words_and_drawn(setting: &Setting) {
    let told = done(setting.calibrate(&["--svg", "learnt.svg"], "hsi-analyst"));
    for said in [
        "What 46 outcomes of leads under the playbook crossers teach",
        "23 were right (arrest, seizure), 23 wrong (no finding, false match).",
        "Not counted: 1 still open, 1 closed with nothing that tells.",
        "right of the first 10",
        "Nothing was changed: copy them into the question file.",
        "  dataset = \"cbp.crossings\"\n  weight = 1.",
        "46 outcomes are few",
        "Drawn into learnt.svg.",
    ] {
        assert!(told.contains(said), "{said}: {told}");
    }
    let drawn = fs::read_to_string(setting.0.path().join("learnt.svg")).unwrap();
    assert_eq!(drawn.matches("<circle").count(), 5 + 2 * 2);
    assert!(!told.contains("603903") && !drawn.contains("603903"), "nobody is named: {told}");
}
