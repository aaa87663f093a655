use std::collections::BTreeMap;

use super::*;

const GIVEN: u8 = 0;
const SURNAME: u8 = 5;
const BIRTH: u8 = 10;
const TOWN: u8 = 22;
const NAMES_SOUND: u8 = 39;

type Record = Vec<(u8, String)>;

/// Equal texts of equal kinds meet, as tags would.
fn gathered(sides: &[Vec<Record>; 2], limits: Limits) -> Gatherer {
    let scheme = Scheme::persons();
    let mut values: BTreeMap<(u8, &str), [Vec<u128>; 2]> = BTreeMap::new();
    for (side, records) in sides.iter().enumerate() {
        for (number, record) in (0u128..).zip(records) {
            for (kind, text) in record {
                values.entry((*kind, text)).or_default()[side].push(number);
            }
        }
    }
    let announced = sides.each_ref().map(|records| records.len() as u32);
    let mut gatherer = Gatherer::new(scheme.clone(), limits, announced);
    for ((kind, _), owners) in values.iter().filter(|(_, owners)| owners.iter().all(|side| !side.is_empty())) {
        let rows: [Vec<KeyRow>; 2] = std::array::from_fn(|side| {
            let rarity = rarity(owners[side].len() as u64, u64::from(announced[side]));
            let present = |record: u128| scheme.present(sides[side][record as usize].iter().map(|(kind, _)| *kind));
            let row = |&record: &u128| KeyRow { record, kind: *kind, rarity, present: present(record) };
            owners[side].iter().map(row).collect()
        });
        gatherer.push(&rows[0], &rows[1]);
    }
    gatherer
}

/// Person number `n`: a common given name, one of many surnames, a birth date, a town; `slip` changes the
/// date.
fn person(n: usize, slip: bool) -> Record {
    let (given, surname) = (format!("given{}", n * 7 % 23), format!("surname{}", n * 31 % 4_001));
    let birth = if slip { format!("slipped{n}") } else { format!("birth{}", n * 131 % 3_001) };
    let (town, sound) = (format!("town{}", n * 17 % 53), format!("{given} {surname}"));
    vec![(GIVEN, given), (SURNAME, surname), (BIRTH, birth), (TOWN, town), (NAMES_SOUND, sound)]
}

fn linked(sides: [Vec<Record>; 2]) -> Linked {
    link(gathered(&sides, Limits::default()), Resolution::OneToOne)
}

#[test]
fn records_of_one_person_link_despite_slips_and_strangers_do_not() {
    // 1,000 in common, 500 at either side alone; one birth date in ten slipped.
    let left = (0..1_500).map(|n| person(n, false)).collect();
    let right = (0..1_000).map(|n| person(n, n % 10 == 3)).chain((1_500..2_000).map(|n| person(n, false))).collect();
    let linked = linked([left, right]);
    let right_ones = linked.links.iter().filter(|link| link.left == link.right && link.left < 1_000).count();
    assert!(right_ones >= 980, "{right_ones} of 1,000 found");
    assert!(linked.links.len() - right_ones <= 20, "{} links, {right_ones} right", linked.links.len());
    assert!(
        (0.8..1.0).contains(&linked.model.m[2][5]),
        "birth dates slip in one match of ten: {:?}",
        linked.model.m[2]
    );
    let share = linked.model.prior * 1_500.0 * 1_500.0;
    assert!((900.0..1_100.0).contains(&share), "{share} matches expected");
}

#[test]
fn where_there_are_no_matches_nothing_is_linked() {
    let strangers = |from: usize| (from..from + 400).map(|n| person(n, true)).collect::<Vec<_>>();
    let linked = linked([strangers(0), strangers(10_000)]);
    assert!(linked.links.len() <= 4, "{:?}", linked.links.len());
    assert!(linked.links.iter().all(|link| link.probability < 0.9));
    assert_eq!(link(gathered(&[vec![], vec![]], Limits::default()), Resolution::ManyToMany).links, []);
}

#[test]
fn an_agreement_is_worth_what_its_value_is_rare() {
    assert_eq!([rarity(1, 1), rarity(1, 2), rarity(1, 1_024), rarity(0, 8)], [0, 8, 80, 24]);
    assert_eq!(rarity(1, u64::MAX), 255);
    let named = |surname: &str, n: usize| {
        vec![(SURNAME, surname.to_owned()), (BIRTH, format!("{n}")), (GIVEN, format!("given{}", n % 20))]
    };
    let side = || {
        let smiths = (0..300).map(|n| named("smith", n));
        let others = (300..600).map(|n| named(&format!("name{n}"), n));
        smiths.chain(others).collect::<Vec<_>>()
    };
    let linked = linked([side(), side()]);
    let weight = |n: u128| linked.links.iter().find(|link| (link.left, link.right) == (n, n)).unwrap().weight_bits;
    // One of 600 against 300 of 600: eight bits and a little more.
    assert!((7.5..9.5).contains(&(weight(500) - weight(5))), "{} {}", weight(500), weight(5));
}

#[test]
fn what_is_beyond_the_limits_is_reported() {
    let side = || (0..200).map(|n| person(n, false)).collect::<Vec<_>>();
    let limits = Limits { pairs_per_key_max: 10, ..Limits::default() };
    let narrow = gathered(&[side(), side()], limits).finish();
    assert!(narrow.report.keys_skipped > 0 && narrow.report.pairs_found < 600, "{:?}", narrow.report);
    let few = gathered(&[side(), side()], Limits { rows_max: 100, ..Limits::default() }).finish();
    assert_eq!((few.report.rows, few.report.rows + few.report.rows_refused), (100, 200 * 10));
}

#[test]
fn more_records_than_announced_are_refused() {
    let mut gatherer = Gatherer::new(Scheme::persons(), Limits::default(), [1, 1]);
    let row = |record| KeyRow { record, kind: SURNAME, rarity: 80, present: 2 };
    gatherer.push(&[row(1), row(2), row(3)], &[row(7)]);
    assert_eq!(gatherer.finish().report.rows_refused, 2);
}

/// Every town has its own postcode and its own birth place: three fields that say one thing.
#[test]
fn strangers_of_one_town_do_not_become_one_person() {
    const POSTCODE: u8 = 25;
    const BIRTH_PLACE: u8 = 32;
    let of_town = |n: usize, person: Record| {
        let town = n * 17 % 53;
        let places = [(TOWN, "town"), (POSTCODE, "postcode"), (BIRTH_PLACE, "birth")];
        let mut record: Record = person.into_iter().filter(|(kind, _)| *kind != TOWN).collect();
        record.extend(places.map(|(kind, what)| (kind, format!("{what}{town}"))));
        record
    };
    // A third are in common, and every date of those has slipped: names and places must do.
    let left: Vec<Record> = (0..900).map(|n| of_town(n, person(n, false))).collect();
    let right: Vec<Record> = (0..300).chain(900..1_500).map(|n| of_town(n, person(n, n < 300))).collect();
    let observed = gathered(&[left, right], Limits::default()).finish();
    let model = Model::fit(&observed);
    let field = |name: &str| Scheme::persons().fields().iter().position(|field| *field == name).unwrap();
    let mut pattern = Pattern::default();
    for name in ["town", "postcode", "birth place"] {
        pattern.levels[field(name)] = 3;
        pattern.present |= 1 << field(name);
    }
    // Two of the three agreements come for nothing once the first is there: log2 53 bits each.
    let bits = model.dependence.bits(&pattern);
    assert!((9.0..13.0).contains(&bits), "{bits}");
    let (links, _, choice) = choose::choose(&observed, &model, Resolution::ManyToMany);
    let right_ones = links.iter().filter(|link| link.left == link.right && link.left < 300).count();
    assert!(right_ones >= 285, "{right_ones} of 300 found");
    assert!(links.len() - right_ones <= 15, "{} links, {right_ones} right", links.len());
    assert!(choice.precision > 0.9, "{choice:?}");
}

#[test]
fn fields_that_agree_together_no_more_than_by_themselves_do_not_depend() {
    let agreeing = |fields: &[usize]| {
        let mut pattern = Pattern { present: 0b11, ..Pattern::default() };
        fields.iter().for_each(|&field| pattern.levels[field] = 1);
        pattern
    };
    let patterns = [agreeing(&[0, 1]), agreeing(&[0])];
    let (mut agree, mut both_have) = ([0.0; FIELDS_MAX], [0.0; FIELDS_MAX]);
    (agree[0], agree[1]) = (0.1, 0.02);
    (both_have[0], both_have[1]) = (1.0, 1.0);
    let between = |together: f64| Dependence::between(&patterns, &[together, 80.0], &agree, &both_have, 1_000.0);
    // By themselves 2 of 1,000 pairs agree in both.
    assert_eq!(between(2.0), Dependence::default());
    // Four times as many: two bits, and the others a little less likely.
    let four_times = between(8.0);
    assert!((four_times.bits(&patterns[0]) - 2.0).abs() < 1e-9);
    assert!(four_times.bits(&patterns[1]) < 0.0);
    // A field that one of them does not have says nothing.
    assert_eq!(four_times.bits(&Pattern { present: 0b01, ..patterns[1] }), 0.0);
}
