use super::{
    super::{Measure, Order, RelationKind, TEXT_BYTES_MAX, Trait},
    *,
};

const WHOLE: &str = r#"
        title = "Phones that cross and call"
        subject = "phone"
        purpose = "counter-narcotics"
        case_number = "HSI-2026-0117"
        reason = "link analysis"
        minimum_datasets = 2
        top = 5
        deadline_seconds = 2.5
        [window]
        from = 2026-01-01
        until = "2026-02-01T00:00:00Z"
        [[indicator]]
        dataset = "cbp.crossings"
        measure = "frequency"
        half_at = 10
        weight = 0.5
        required = true
        where = [
            { attribute = "port", is = "one of", value = ["2304", "2305"] },
            { attribute = "crossings", is = ">=", value = 3 },
        ]
        [[indicator]]
        dataset = "hsi.calls"
        identifier = "caller"
    "#;

#[test]
fn a_whole_file_is_read_and_survives_the_wire() {
    let question = parse_question(WHOLE, 0).unwrap().question;
    assert_eq!(question.deadline_ms, 2_500);
    assert_eq!(question.window.from_ms, Some(1_767_225_600_000));
    assert_eq!(question.window.until_ms, Some(1_769_904_000_000));
    assert_eq!(question.indicators[0].weight_thousandths, 500);
    assert_eq!(question.indicators[0].filter[0].values.len(), 2);
    assert_eq!(question.indicators[1].measure, Measure::Presence);
    let wire = sallyport_proto::common::v1::Question::from(&question);
    assert_eq!(Question::try_from(wire).unwrap(), question);
}

#[test]
fn a_relative_window_ends_when_the_question_is_asked() {
    let fixed = "from = 2026-01-01\n        until = \"2026-02-01T00:00:00Z\"";
    let relative = WHOLE.replace(fixed, "last_days = 30");
    let now_ms = 1_790_000_000_123;
    let window = Window { from_ms: Some(now_ms - 30 * DAY_MS), until_ms: Some(now_ms) };
    assert_eq!(parse_question(&relative, now_ms).unwrap().question.window, window);
    let of_indicator = relative.replace("identifier = \"caller\"", "last_days = 7");
    let narrowed = parse_question(&of_indicator, now_ms).unwrap().question.indicators[1].window;
    assert_eq!(narrowed.from_ms, Some(now_ms - 7 * DAY_MS));
    for text in [
        WHOLE.replace("from = 2026-01-01", "last_days = 30"),
        relative.replace("= 30", "= 0"),
        relative.replace("= 30", "= 3651"),
    ] {
        assert_eq!(parse_question(&text, now_ms).err().unwrap().reason, "last_days_unusable");
    }
    assert_eq!(parse_question(&relative.replace("= 30", "= -1"), 0).err().unwrap().reason, "question_file");
}

/// A question with an indicator that has each event's strength from this attribute.
fn strongest(attribute: &str) -> String {
    let strength_of = format!("strength_of = \"{attribute}\"");
    WHOLE.replace("\"frequency\"", "\"strongest\"").replace("half_at = 10", &strength_of)
}

#[test]
fn the_strongest_event_is_asked_by_its_attribute_and_survives_the_wire() {
    let question = parse_question(&strongest("strength"), 0).unwrap().question;
    assert_eq!(question.indicators[0].measure, Measure::Strongest { of: "strength".to_owned() });
    let wire = sallyport_proto::common::v1::Question::from(&question);
    assert_eq!(Question::try_from(wire).unwrap(), question);
}

#[test]
fn each_fault_has_its_reason() {
    let faults = [
        ("subject = 1", "question_file"),
        (&*WHOLE.replace("purpose = \"counter-narcotics\"", ""), "purpose_missing"),
        ("title = \"unfinished", "question_file"),
        (&*WHOLE.replace("top = 5", "tip = 5"), "question_file"),
        (&*WHOLE.replace("top = 5", "top = 10001"), "top_out_of_range"),
        (&*WHOLE.replace("\"frequency\"", "\"frequent\""), "measure_unknown"),
        (&*WHOLE.replace("half_at = 10", ""), "measure_settings"),
        (&*WHOLE.replace("half_at = 10", "half_at = 0"), "half_at_out_of_range"),
        (&*WHOLE.replace("half_at = 10", "strength_of = \"strength\""), "measure_settings"),
        (&*WHOLE.replace("\"frequency\"", "\"strongest\""), "measure_settings"),
        (&*strongest("strength").replace("strength_of", "rarity_of"), "measure_settings"),
        (&*strongest(""), "strength_of"),
        (&*strongest(&"s".repeat(TEXT_BYTES_MAX + 1)), "strength_of"),
        (&*WHOLE.replace("weight = 0.5", "weight = -1"), "weight_out_of_range"),
        (&*WHOLE.replace("is = \">=\"", "is = \"like\""), "operator_unknown"),
        (&*WHOLE.replace("[\"2304\", \"2305\"]", "[]"), "filter_value_count"),
        (&*WHOLE.replace("\"cbp.crossings\"", "\"crossings\""), "dataset_name"),
        (&*WHOLE.replace("2026-01-01", "2027-01-01"), "window_empty"),
        (&*WHOLE.replace("2026-01-01", "\"soon\""), "time_unreadable"),
        (&*WHOLE.replace("2.5", "-3"), "deadline_out_of_range"),
        (&*WHOLE.replace("\"counter-narcotics\"", "\" \""), "purpose_missing"),
    ];
    for (text, reason) in faults {
        match parse_question(text, 0) {
            Err(refusal) => assert_eq!(refusal.reason, reason, "{}", refusal.message),
            Ok(_) => panic!("expected {reason}"),
        }
    }
}

#[test]
fn the_threshold_needs_as_many_different_data_sets() {
    let mut question = parse_question(WHOLE, 0).unwrap().question;
    question.validate_threshold(false).unwrap();
    question.indicators[1].dataset = "cbp.crossings".to_owned();
    assert_eq!(question.validate_threshold(false).unwrap_err().reason, "minimum_datasets_too_large");
    question.validate_threshold(true).unwrap();
    question.minimum_datasets = 1;
    assert_eq!(question.validate_threshold(false).unwrap_err().reason, "minimum_datasets_too_small");
}

const RELATED: &str = r#"
        subject = "phone"
        purpose = "counter-narcotics"
        [window]
        from = 2026-05-01
        [[indicator]]
        dataset = "cbp.crossings"
        [[indicator]]
        dataset = "hsi.calls"
        identifier = "caller"
        contact = "callee"
        measure = "novelty"
        baseline_days = 90
        after = "cbp.crossings"
        within = "24h"
    "#;

#[test]
fn a_relation_in_time_survives_the_wire() {
    let question = parse_question(&RELATED.replace("[window]", "rank = \"contact\"\n[window]"), 0).unwrap().question;
    let relation = question.indicators[1].relation.clone().unwrap();
    assert_eq!(relation.kind, RelationKind::InTime { order: Order::After, minutes: 1_440 });
    assert!(question.rank_contacts && question.is_linked_only());
    let wire = sallyport_proto::common::v1::Question::from(&question);
    assert_eq!(Question::try_from(wire).unwrap(), question);
}

#[test]
fn every_measure_of_behaviour_survives_the_wire() {
    let settings = [
        ("\"novelty\"", Measure::Novelty { baseline_days: 90 }),
        ("\"burst\"", Measure::Burst { baseline_days: 90 }),
        ("\"silence\"", Measure::Silence { baseline_days: 90 }),
        ("\"rarity\"\nrarity_of = \"hour\"", Measure::Rarity { of: Trait::Hour, baseline_days: 90 }),
        (
            "\"rarity\"\nrarity_of = \"port\"",
            Measure::Rarity { of: Trait::Attribute("port".to_owned()), baseline_days: 90 },
        ),
    ];
    for (text, measure) in settings {
        let alone = RELATED.replace("after = \"cbp.crossings\"", "").replace("within = \"24h\"", "");
        let question = parse_question(&alone.replace("\"novelty\"", text), 0).unwrap().question;
        assert_eq!(question.indicators[1].measure, measure);
        let wire = sallyport_proto::common::v1::Question::from(&question);
        assert_eq!(Question::try_from(wire).unwrap(), question);
    }
}

#[test]
fn each_fault_of_a_relation_has_its_reason() {
    let both = "dataset = \"cbp.crossings\"\nafter = \"hsi.calls\"\nwithin = \"1h\"";
    let faults = [
        (RELATED.replace("24h", "0m"), "relation_minutes"),
        (RELATED.replace("24h", "91d"), "relation_minutes"),
        (RELATED.replace("24h", "soon"), "relation_minutes"),
        (RELATED.replace("24h", "99999999999d"), "relation_minutes"),
        (RELATED.replace("within = \"24h\"", ""), "relation_settings"),
        (RELATED.replace("after = ", "hops = 2\n        after = "), "relation_settings"),
        (RELATED.replace("after = \"cbp.crossings\"", "after = \"cbp.flights\""), "relation_unknown"),
        (RELATED.replace("after = \"cbp.crossings\"", "after = \"hsi.calls\""), "relation_to_itself"),
        (RELATED.replacen("dataset = \"cbp.crossings\"", both, 1), "relation_circle"),
        (RELATED.replace("\"novelty\"", "\"burst\""), "relation_measure"),
        (
            RELATED
                .replace("\"novelty\"", "\"strongest\"\nstrength_of = \"strength\"")
                .replace("baseline_days = 90\n", ""),
            "relation_measure",
        ),
        (RELATED.replace("contact = \"callee\"", ""), "contact_missing"),
        (RELATED.replace("from = 2026-05-01", ""), "baseline_needs_window"),
        (RELATED.replace("= 90\n", "= 0\n"), "baseline_out_of_range"),
        (
            RELATED.replacen("dataset = \"cbp.crossings\"", "name = \"cbp.crossings\"\ndataset = \"hsi.calls\"", 1),
            "relation_same_dataset",
        ),
        (
            RELATED
                .replace("after = \"cbp.crossings\"", "contacts_in_common_with = \"cbp.crossings\"")
                .replace("within = \"24h\"", ""),
            "contact_missing",
        ),
    ];
    for (text, reason) in faults {
        match parse_question(&text, 0) {
            Err(refusal) => assert_eq!(refusal.reason, reason, "{}", refusal.message),
            Ok(_) => panic!("expected {reason}"),
        }
    }
}

const MEETING: &str = r#"
        subject = "device"
        purpose = "counter-narcotics"
        [[indicator]]
        name = "reads"
        dataset = "cbp.plates"
        [[indicator]]
        dataset = "hsi.trucks"
        same_place_as = "reads"
        within = "10 minutes"
    "#;

#[test]
fn the_same_place_survives_the_wire_and_ranks_alone() {
    let question = parse_question(MEETING, 0).unwrap().question;
    let relation = question.indicators[1].relation.clone().unwrap();
    assert_eq!(relation.kind, RelationKind::SamePlace { minutes: 10, places: 3 });
    assert!(question.is_linked_only() && !question.rank_contacts);
    let wire = sallyport_proto::common::v1::Question::from(&question);
    assert_eq!(Question::try_from(wire).unwrap(), question);
    let parts = super::super::part::parts(&question, None).unwrap();
    assert_eq!(parts.len(), 2);
    for (part, _) in &parts {
        let wire = sallyport_proto::common::v1::QuestionPart::from(part);
        assert_eq!(super::super::OpenedIndicator::try_from(wire).unwrap(), *part);
    }
}

#[test]
fn each_fault_of_the_same_place_has_its_reason() {
    let third = format!("{MEETING}\n[[indicator]]\ndataset = \"acme.trucks\"");
    let faults = [
        (MEETING.replace("10 minutes", "25h"), "relation_minutes"),
        (MEETING.replace("10 minutes", "0m"), "relation_minutes"),
        (MEETING.replace("10 minutes", "minutes"), "relation_minutes"),
        (MEETING.replace("10 minutes", "10 moments"), "relation_minutes"),
        (MEETING.replace("within = \"10 minutes\"", ""), "relation_settings"),
        (MEETING.replace("within =", "hops = 2\n        within ="), "relation_settings"),
        (MEETING.replace("within =", "after = \"reads\"\n        within ="), "relation_settings"),
        (MEETING.replace("same_place_as =", "places = 2\n        after ="), "relation_settings"),
        (MEETING.replace("within =", "places = 1\n        within ="), "relation_places"),
        (MEETING.replace("within =", "places = 65\n        within ="), "relation_places"),
        (MEETING.replace("within =", "others_half_at = 0\n        within ="), "half_at_out_of_range"),
        (MEETING.replace("same_place_as = \"reads\"", "same_place_as = \"flights\""), "relation_unknown"),
        (MEETING.replace("same_place_as = \"reads\"", "same_place_as = \"hsi.trucks\""), "relation_to_itself"),
        (MEETING.replace("cbp.plates", "hsi.trucks"), "relation_same_dataset"),
        (MEETING.replace("within =", "contact = \"driver\"\n        within ="), "same_place_settings"),
        (MEETING.replace("name =", "measure = \"recency\"\nhalf_life_hours = 5\nname ="), "same_place_settings"),
        (MEETING.replace("subject =", "rank = \"contact\"\nsubject ="), "rank_contacts_in_common"),
        (MEETING.replace("\"device\"", "\"person\""), "person_measure"),
        (third, "relation_alone"),
    ];
    for (text, reason) in faults {
        match parse_question(&text, 0) {
            Err(refusal) => assert_eq!(refusal.reason, reason, "{}", refusal.message),
            Ok(_) => panic!("expected {reason}"),
        }
    }
}
