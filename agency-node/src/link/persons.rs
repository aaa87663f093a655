//! Records of persons for a question: each under the keys of its identifiers, names, dates and places.
//!
//! What leaves is sealed: a pseudonym, and for each key its kind and how rare its value is here. The texts
//! stay, and so does the evidence until it is known whose is wanted ([`crate::reveal`]).

use std::{collections::HashMap, sync::Arc};

use sallyport_join::{
    agreement::{Scheme, rarity},
    link::{LinkEvidence, seal::LinkKeys},
};
use sallyport_trust::{
    error::Refusal,
    policy::Permit,
    question::{Indicator, OpenedQuestion},
};

use super::{Circumstance, Side, too_many};
use crate::{
    about::About,
    holdings::{Held, Holding, RECORD, RecordKey, Records, Scan},
    identifier::IdentifierType,
    linkage::epochs::Agreed,
    node::Node,
    reveal::Evidence,
};

/// Number of the one link that a question about persons has.
const LINK: u8 = 0;
/// As the coverage counts rows without a usable person.
const PERSON: &str = "person";

/// A data set's records of persons.
pub(crate) struct Persons {
    pub(crate) side: Side,
    /// How many there are to compare.
    pub(crate) records: u32,
    /// The data set holds everyone once.
    pub(crate) once: bool,
    pub(crate) evidence: Evidence,
}

/// Keys and evidence of the records that the question means.
pub(crate) async fn persons(
    node: &Arc<Node>,
    agreed: &Agreed,
    question: &OpenedQuestion,
    indicator: &Indicator,
    share_point: u8,
    permit: &Permit,
) -> Result<Persons, Refusal> {
    if indicator.measure.is_behaviour() {
        return Err(Refusal::bad_input(
            "person_measure",
            "Persons are measured by presence, frequency, recency or strongest.",
        ));
    }
    let header = &question.header;
    let dataset = node.holdings.dataset(&indicator.dataset)?;
    let window = header.window.and(indicator.window);
    let strength_of = indicator.measure.strength_of();
    let scan = Scan { identifier: RECORD, window, filter: &indicator.filter, within: None, strength_of };
    let (records, mut holding) = node.holdings.fold_records(permit, &indicator.dataset, &scan).await?;
    let over = node.over_budget();
    let is_over = |record| About::record(&dataset.name, records.keys(record)).into_iter().any(|one| over.holds(one));
    holding.subjects.retain(|held| over.total() == 0 || !is_over(held.subject));
    let as_of_ms = window.until_ms.unwrap_or(header.issued_at_ms);
    let keys = LinkKeys::derive(&agreed.secret, &question.id.0, LINK);
    let table = KeyTable::new(node, agreed, &keys, &records);
    let pseudonyms = node.holdings.pseudonyms.of(&question.id.0, &indicator.dataset);
    let measure = indicator.measure.clone();
    let strength =
        move |held: &Held| measure.strength(u64::from(held.events), held.newest_ms, as_of_ms, held.strongest);
    let without_strength = holding.unmeasured();
    let (rows, newest_ms, announced) = (holding.rows, holding.newest_ms, holding.subjects.len() as u32);
    let once = dataset.person.as_ref().is_some_and(|person| person.once);
    let permit = permit.clone();
    let work = tokio::task::spawn_blocking(move || {
        let (circumstances, untagged) = circumstances(&records, &holding, &table);
        let references = (0..records.count() as u32).map(|record| Some(pseudonyms.name(record))).collect();
        let worth = |held: &Held| (held.subject, strength(held), held.newest_ms.map_or(0, super::day));
        let worth = holding.subjects.iter().map(worth).collect();
        let evidence = Evidence { pseudonyms, records: worth, permit };
        (circumstances, untagged, references, table.prepared, evidence)
    });
    let (circumstances, untagged, references, prepared, evidence) =
        work.await.map_err(|error| Refusal::internal("persons_failed", &error))?;
    if circumstances.len() > super::CIRCUMSTANCES_MAX {
        return Err(too_many());
    }
    let side = Side {
        circumstances,
        keys,
        prepared,
        references,
        reach: None,
        places: None,
        follower: false,
        share_point,
        rows,
        unusable: node.holdings.manifest(&dataset.name).map_or(0, |manifest| manifest.lost(PERSON)),
        untagged,
        over_budget: over.total(),
        newest_ms,
        unrecorded: without_strength,
    };
    Ok(Persons { side, records: announced, once, evidence })
}

/// First halves of the keys of every type that records have, one type after the other.
struct KeyTable {
    from: HashMap<IdentifierType, u32>,
    prepared: Vec<Option<u128>>,
}

impl KeyTable {
    fn new(node: &Node, agreed: &Agreed, keys: &LinkKeys, records: &Records) -> Self {
        let mut table = Self { from: HashMap::new(), prepared: Vec::new() };
        let all = (0..records.count() as u32).flat_map(|record| records.keys(record));
        let mut types: Vec<IdentifierType> = all.map(|key| key.identifier_type()).collect();
        types.sort_unstable();
        types.dedup();
        for kind in types {
            table.from.insert(kind, table.prepared.len() as u32);
            table.prepared.extend(super::by_number(node.holdings.tags(kind, &agreed.tags), |tags| keys.prepare(tags)));
        }
        table
    }

    /// Where the key's first half stands, if it has a tag.
    fn place(&self, key: RecordKey) -> Option<u32> {
        let place = self.from.get(&key.identifier_type())?.checked_add(key.number)?;
        self.prepared.get(place as usize)?.is_some().then_some(place)
    }
}

/// A row for each key of each record, and how many records lack a key's tag.
fn circumstances(records: &Records, holding: &Holding, table: &KeyTable) -> (Vec<Circumstance>, u64) {
    let scheme = Scheme::persons();
    let mut counts: HashMap<(u8, u32), u64> = HashMap::new();
    for key in holding.subjects.iter().flat_map(|held| records.keys(held.subject)) {
        *counts.entry((key.kind, key.number)).or_default() += 1;
    }
    let announced = holding.subjects.len() as u64;
    let (mut circumstances, mut untagged) = (Vec::new(), 0);
    for held in &holding.subjects {
        let keys = records.keys(held.subject);
        let fields = scheme.present(keys.iter().map(|key| key.kind));
        let mut whole = true;
        for key in keys {
            let Some(keyed) = table.place(*key) else {
                whole = false;
                continue;
            };
            let count = counts.get(&(key.kind, key.number)).copied().unwrap_or(1);
            let evidence =
                LinkEvidence { kind: key.kind, rarity: rarity(count, announced), fields, ..LinkEvidence::default() };
            circumstances.push(Circumstance { keyed, minute: None, about: held.subject, evidence });
        }
        untagged += u64::from(!whole);
    }
    (circumstances, untagged)
}
