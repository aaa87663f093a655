//! Questions about persons: connected by identifiers through a third agency, and by names despite errors.

use serde_json::Value;

use crate::federation::{Agency, Federation, OPEN_RULES, outcome, reason};

fn identified(name: &str, file: &str, identifiers: &[(&str, &str)]) -> String {
    let mut text = format!("[[dataset]]\nname = \"{name}\"\nfiles = [\"{file}\"]\nsensitivity = \"official\"\n");
    for (column, kind) in identifiers {
        text.push_str(&format!(
            "[[dataset.identifier]]\nname = \"{column}\"\ncolumn = \"{column}\"\ntype = \"{kind}\"\n"
        ));
    }
    text
}

fn question(datasets: &[&str], more: &str) -> String {
    let indicators: String = datasets.iter().map(|name| format!("[[indicator]]\ndataset = \"{name}\"\n")).collect();
    format!("subject = \"person\"\npurpose = \"border-security\"\ntop = 500\n{more}\n{indicators}")
}

fn matches(answer: &Value) -> &Vec<Value> {
    answer["matches"].as_array().unwrap()
}

fn connected_by(found: &Value) -> Vec<&str> {
    found["connected_by"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

/// The first holds devices, the second carriers, the third both: of a device and of its carrier's number.
/// One carrier has sixty devices, which must not make them one subject.
#[test]
fn agencies_without_a_common_identifier_meet_through_a_third() {
    let east: String = (0..80).map(|n| format!("d{n}\n")).collect();
    let west: String = (1000..1080).map(|n| format!("{n}\n")).collect();
    let both: String = (0..20).map(|n| format!("d{n},{}\n", 1000 + n)).collect();
    let fleet: String = (20..80).map(|n| format!("d{n},1079\n")).collect();
    let east_files = [("east.csv", format!("device\n{east}"))];
    let west_files = [("west.csv", format!("usdot\n{west}"))];
    let third_files = [("third.csv", format!("device,usdot\n{both}{fleet}"))];
    let east_sets = identified("east.devices", "east.csv", &[("device", "device")]);
    let west_sets = identified("west.carriers", "west.csv", &[("usdot", "usdot")]);
    let third_sets = identified("third.trucks", "third.csv", &[("device", "device"), ("usdot", "usdot")]);
    let federation = Federation::start(&[
        Agency::new("east", &east_sets, &east_files),
        Agency::new("west", &west_sets, &west_files),
        Agency::new("third", &third_sets, &third_files),
    ]);
    let all = ["east.devices", "west.carriers", "third.trucks"];
    let answer = federation.ask("east", &question(&all, "minimum_datasets = 3"), &[]);
    let simple: Vec<&Value> =
        matches(&answer).iter().filter(|found| found["records"].as_array().unwrap().len() == 3).collect();
    assert_eq!(simple.len(), 20, "{answer}");
    for found in &simple {
        assert_eq!(connected_by(found), ["usdot", "device"]);
        assert_eq!((found["link"].as_f64(), found["qe"].as_f64()), (Some(1.0), Some(1.732)));
        // Own records have their label, the others' stay references.
        let labels = found["records"].as_array().unwrap().iter().filter(|record| !record["label"].is_null());
        assert_eq!(labels.count(), 1, "{found}");
    }
    // The fleet is cut at fifty records, and the coverage says so.
    let most = matches(&answer).iter().map(|found| found["records"].as_array().unwrap().len()).max();
    assert!(most <= Some(50), "{most:?}");
    let told: String = all.iter().map(|name| outcome(&answer, name)["explanation"].as_str().unwrap()).collect();
    assert!(told.contains("more than 50 records"), "{told}");

    // Without the third nothing is shared, so nothing opens.
    let two = federation.ask("east", &question(&all[..2], ""), &[]);
    assert_eq!(two["subjects_matched"], 0);
    refused(&federation);
}

/// What questions about persons cannot do is said before anybody is asked.
fn refused(federation: &Federation) {
    let all = ["east.devices", "west.carriers"];
    let ask = |text: &str, more: &[&str]| reason(&federation.try_ask("east", text, more));
    assert_eq!(ask(&question(&["east.devices", "east.devices"], ""), &[]), "person_dataset_twice");
    assert_eq!(ask(&question(&all, "rank = \"contact\""), &[]), "person_measure");
    assert_eq!(ask(&format!("{}identifier = \"usdot\"\n", question(&all, "")), &[]), "person_identifier");
    assert_eq!(ask(&question(&all, "lookup = [\"Ann Ray\"]"), &[]), "person_lookup");
}

const TRAVELLERS: &str = "first,last,born,town\n\
    Katherine,O'Neill,1984-03-07,Laredo\n\
    José,García Márquez,1971-11-30,El Paso\n\
    Иван,Петров,1990-05-21,Detroit\n\
    王,小明,1988-08-08,Buffalo\n\
    Mary,Okafor,1979-02-14,Nogales\n\
    Mary,Okafor,2001-09-02,Tucson\n\
    Lena,Fischer,1962-12-25,Blaine\n\
    Tariq,Haddad,0000-99-99,Calais\n";
const SUSPECTS: &str = "name,birth,city\n\
    Kathy ONeil,07/03/1984,Laredo\n\
    Garcia Marquez Jose,1971-11-30,El Paso\n\
    Иван Петров,1990-05-21,Detroit\n\
    王 小明,1988-08-08,Buffalo\n\
    Mary Okafor,1979-02-14,Nogales\n\
    Bjorn Lindqvist,1955-06-06,Duluth\n\
    Amara Diallo,1999-10-10,Eastport\n\
    ,,\n";

fn described(name: &str, file: &str, columns: &str) -> String {
    format!(
        "[[dataset]]\nname = \"{name}\"\nfiles = [\"{file}\"]\nsensitivity = \"official\"\n[dataset.person]\n{columns}"
    )
}

/// People whom nobody else resembles, so that names say as much as they do in a population.
fn strangers(seed: u64) -> impl Iterator<Item = (String, String, String, String)> {
    const SYLLABLES: [&str; 12] = ["ba", "ro", "ki", "mu", "te", "lo", "sa", "vi", "no", "du", "he", "pa"];
    let mut state = seed;
    let mut roll = move |sides: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % sides
    };
    (0..300).map(move |_| {
        let mut word = || (0..4).map(|_| SYLLABLES[roll(12) as usize]).collect::<String>();
        let (first, last) = (word(), word());
        let born = format!("{}-{:02}-{:02}", 1940 + roll(60), 1 + roll(12), 1 + roll(28));
        (first, last, born, format!("town{}", roll(40)))
    })
}

#[test]
fn persons_are_found_despite_errors_and_nobody_is_shown_to_others() {
    let more: String = strangers(7).map(|(a, b, born, town)| format!("{a},{b},{born},{town}\n")).collect();
    let others: String = strangers(11).map(|(a, b, born, town)| format!("{a} {b},{born},{town}\n")).collect();
    let cbp = [("travellers.csv", format!("{TRAVELLERS}{more}"))];
    let hsi = [("suspects.csv", format!("{SUSPECTS}{others}"))];
    let cbp_sets = described(
        "cbp.travellers",
        "travellers.csv",
        "given_names = \"first\"\nsurname = \"last\"\nbirth_date = \"born\"\ntown = \"town\"\nonce = true\n",
    );
    let hsi_sets = described(
        "hsi.suspects",
        "suspects.csv",
        "full_name = \"name\"\nbirth_date = \"birth\"\ntown = \"city\"\nonce = true\n",
    );
    let shown = OPEN_RULES.replace("mask = \"last_four\"", "mask = \"none\"");
    let mut asking = Agency::new("cbp", &cbp_sets, &cbp);
    asking.rules = Some(&shown);
    let federation = Federation::start(&[asking, Agency::new("hsi", &hsi_sets, &hsi)]);
    let text = question(&["cbp.travellers", "hsi.suspects"], "");
    let answer = federation.ask("cbp", &text, &[]);
    let mut labels: Vec<&str> = matches(&answer).iter().map(|found| found["label"].as_str().unwrap()).collect();
    labels.sort_unstable();
    let expected =
        ["José García Márquez 1971", "Katherine O'Neill 1984", "Mary Okafor 1979", "Иван Петров 1990", "王 小明 1988"];
    assert_eq!(labels, expected, "{answer}");
    for found in matches(&answer) {
        assert!(connected_by(found).contains(&"birth date"), "{found}");
        assert!(found["link"].as_f64() > Some(0.5) && found["qe"].as_f64() <= Some(1.415), "{found}");
        let of_hsi = found["records"].as_array().unwrap().iter().find(|record| record["dataset"] == "hsi.suspects");
        assert!(of_hsi.unwrap()["label"].is_null(), "others' records stay references");
    }
    assert_eq!(answer["comparisons"][0]["left"], "cbp.travellers");
    assert!(answer["comparisons"][0]["threshold"].as_f64() >= Some(0.5));
    // A birth date that cannot be is no reason to lose the person, and a row without one is counted.
    assert_eq!(outcome(&answer, "hsi.suspects")["unusable"], 1, "{answer}");

    // The other agency sees its own records, masked by its own policy.
    let answer = federation.ask("hsi", &text, &[]);
    assert!(matches(&answer).iter().any(|found| found["label"] == "K. O. 1984"), "{answer}");
    // What is shown to a person says what connects, and how surely.
    let file = federation.path().join("persons.toml");
    std::fs::write(&file, &text).unwrap();
    let told = federation.output(&["ask", file.to_str().unwrap(), "--as", "hsi-analyst"]);
    let told = String::from_utf8(told.stdout).unwrap();
    for words in ["link", "connected by", "surname", "birth date", "are linked from a probability of"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    // Neither the gateway nor the other agency has seen a name.
    for name in ["gateway", "hsi"] {
        let log = federation.log(name);
        assert!(!log.contains("Katherine") && !log.contains("Neill"), "{name}: {log}");
    }
}
