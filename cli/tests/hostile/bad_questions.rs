//! What the command line says before it speaks with anybody: no server runs in these tests.

use crate::{
    attacker::QUESTION,
    world::{World, free_ports, tls},
};

/// A world whose people file names a node that is away.
fn world() -> World {
    let world = World::new();
    let [nowhere] = free_ports();
    world.write_people(&[("hsi", "rivera", nowhere)]);
    world.write("question.toml", QUESTION);
    world
}

#[test]
fn every_fault_of_a_question_file_has_its_reason() {
    let world = world();
    let indicators = "[[indicator]]\ndataset = \"cbp.crossings\"\n".repeat(20);
    let faults = [
        ("subject = \"phone\"", "subject = \"phone", "question_file"),
        ("subject = \"phone\"", "subjekt = \"phone\"", "question_file"),
        ("subject = \"phone\"", "", "question_file"),
        ("subject = \"phone\"", "subject = \"\"", "subject_missing"),
        ("purpose = \"counter-narcotics\"", "", "purpose_missing"),
        ("purpose = \"counter-narcotics\"", "purpose = \" \"", "purpose_missing"),
        ("\"link analysis\"", "\"link\\u001b[2Janalysis\"", "reason_unusable"),
        ("top = 50", "top = 0", "top_out_of_range"),
        ("top = 50", "top = 10001", "top_out_of_range"),
        ("top = 50", "top = -1", "question_file"),
        ("top = 50", "top = 99999999999", "question_file"),
        ("deadline_seconds = 60", "deadline_seconds = 0.01", "deadline_out_of_range"),
        ("deadline_seconds = 60", "deadline_seconds = 1e99", "deadline_out_of_range"),
        ("deadline_seconds = 60", "deadline_seconds = nan", "deadline_out_of_range"),
        ("deadline_seconds = 60", "window = { from = 2026-02-01, until = 2026-01-01 }", "window_empty"),
        ("deadline_seconds = 60", "window = { from = \"yesterday\" }", "time_unreadable"),
        ("deadline_seconds = 60", "rank = \"nobody\"", "question_file"),
        ("dataset = \"cbp.crossings\"", "dataset = \"crossings\"", "dataset_name"),
        ("dataset = \"cbp.crossings\"", "dataset = \"cbp.crossings\"\nmeasure = \"luck\"", "measure_unknown"),
        ("dataset = \"cbp.crossings\"", "dataset = \"cbp.crossings\"\nmeasure = \"frequency\"", "measure_settings"),
        (
            "dataset = \"cbp.crossings\"",
            "dataset = \"cbp.crossings\"\nmeasure = \"recency\"\nhalf_life_hours = 0",
            "half_life_out_of_range",
        ),
        ("dataset = \"cbp.crossings\"", "dataset = \"cbp.crossings\"\nweight = 11", "weight_out_of_range"),
        ("dataset = \"cbp.crossings\"", "dataset = \"cbp.crossings\"\nweight = nan", "weight_out_of_range"),
        ("is = \"=\"", "is = \"cargo\"", "operator_unknown"),
        ("is = \"=\"", "is = \"one of\"", ""),
        ("value = \"cargo\"", "value = [\"cargo\", \"pov\"]", "filter_value_count"),
        ("value = \"cargo\"", "value = [[\"cargo\"]]", "filter_value"),
        ("value = \"cargo\"", "value = inf", "filter_value"),
        (
            "    [[indicator]]\n    dataset = \"hsi.calls\"",
            &*format!("{indicators}[[indicator]]\ndataset = \"hsi.calls\""),
            "indicator_count",
        ),
    ];
    for (from, to, reason) in faults {
        assert!(QUESTION.contains(from), "{from}");
        world.write("bad.toml", &QUESTION.replacen(from, to, 1));
        let finished = world.ask("rivera", &["bad.toml"]);
        match reason {
            // Nothing is wrong with it, so the node is asked, and it is away.
            "" => finished.refused(4, "peer_unreachable"),
            reason => finished.refused(2, reason),
        }
        assert!(!finished.err.contains('\u{1b}'), "{:?}", finished.err);
    }
}

#[test]
fn files_that_are_no_questions_are_refused() {
    let world = world();
    world.ask("rivera", &["nowhere.toml"]).refused(2, "file_unreadable");
    world.ask("rivera", &["certs"]).refused(2, "file_unreadable");
    world.write("large.toml", &"# nothing\n".repeat(120_000));
    world.ask("rivera", &["large.toml"]).refused(2, "file_unreadable");
    std::fs::write(world.path("binary.toml"), [0xff, 0xfe, 0, 1]).unwrap();
    world.ask("rivera", &["binary.toml"]).refused(2, "file_unreadable");
    world.write("empty.toml", "");
    world.ask("rivera", &["empty.toml"]).refused(2, "question_file");
}

#[test]
fn a_look_up_says_what_why_and_of_one_type() {
    let world = world();
    let why = ["--purpose", "counter-narcotics", "--case", "HSI-2026-0117"];
    world.ask("rivera", &[]).refused(2, "nothing_asked");
    world.ask("rivera", &why).refused(2, "nothing_asked");
    let two = ["--phone", "+19567001000", "--plate", "TX-ABC1234"];
    world.ask("rivera", &[&two[..], &why].concat()).refused(2, "nothing_asked");
    world.ask("rivera", &["--phone", "+19567001000"]).refused(2, "purpose_missing");
    world.ask("rivera", &["--phone", "+19567001000", "--purpose", "counter-narcotics"]).refused(2, "purpose_missing");
    // The question ranks phones; a plate says nothing about them.
    world.ask("rivera", &["question.toml", "--plate", "TX-ABC1234"]).refused(2, "lookup_type");
    world.ask("rivera", &["question.toml", "--lookup-file", "nowhere.txt"]).refused(2, "file_unreadable");
    world.write("many.txt", &"+19567001000\n".repeat(1_001));
    world.ask("rivera", &["question.toml", "--lookup-file", "many.txt"]).refused(2, "lookup_too_long");
    let unknown = world.ask("rivera", &["question.toml", "--imei", "1"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.err);
}

#[test]
fn who_asks_must_be_found_and_able_to_prove_it() {
    let world = world();
    let ask = |who: &str, people: &str| world.run(&["ask", "question.toml", "--as", who, "--people", people]);
    ask("rivera", "nowhere.toml").refused(2, "people_file");
    ask("stranger", "people.toml").refused(2, "person_unknown");
    world.write("bad-people.toml", "[[person]]\nname = \"rivera\"\n");
    ask("rivera", "bad-people.toml").refused(2, "people_file");
    let person = |address: &str, certificate: &str| {
        let tls = tls(certificate).replace("[tls]", "[person.tls]");
        world.write("one.toml", &format!("[[person]]\nname = \"x\"\nagency = \"hsi\"\nnode = \"{address}\"{tls}"));
        ask("x", "one.toml")
    };
    person("127.0.0.1:1", "absent").refused(2, "identity");
    person("nowhere", "agency-hsi-user-rivera").refused(2, "bad_address");
    person("127.0.0.1:1", "agency-hsi-user-rivera").refused(4, "peer_unreachable");
    world.run(&["catalog", "--as", "rivera", "--people", "people.toml"]).refused(4, "peer_unreachable");
    let nobody = world.run(&["ask", "question.toml"]);
    assert_eq!(nobody.code, Some(2), "{}", nobody.err);
}

#[test]
fn other_commands_refuse_what_they_cannot_use() {
    let world = world();
    world.run(&["audit", "verify", "certs"]).refused(5, "audit_log_broken");
    world.run(&["audit", "verify", "nowhere"]).refused(5, "audit_log_broken");
    world.run(&["certs", "--directory", "more", "--user", "rivera"]).refused(2, "user_name");
    world.run(&["certs", "--directory", "question.toml"]).refused(1, "machine");
    world.run(&["certs", "--directory", "more", "--agency", "H S I"]).refused(1, "machine");
    world.run(&["sample", "many", "--travellers", "99999999999"]).refused(2, "sample");
    world.run(&["demo", "--directory", "certs"]).refused(2, "directory_in_use");
    let unknown = world.run(&["divine"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.err);
}
