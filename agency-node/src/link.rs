//! One side of a relation: which circumstances this node's events are, keyed, sorted and sealed. And
//! records of persons, whose names and identifiers are keyed the same way.
//!
//! Neither times nor places nor contacts nor names leave: they are part of keys that only a data set with
//! the same circumstance can meet.

mod contacts;
mod meetings;
mod persons;

use meetings::{NEAR, Places};
pub(crate) use persons::persons;

use std::sync::Arc;

use sallyport_join::{
    interval::{Interval, Reach},
    keys::{QuestionKeys, Tag},
    link::{
        LINK_ROW_BYTES, LinkEvidence, LinkPiece,
        seal::{LinkKeys, LinkSealer},
    },
};
use sallyport_trust::{
    error::{Kind, Refusal},
    policy::Permit,
    question::{Header, LinkPart, OpenedIndicator, OpenedQuestion, Order, RelationKind},
};

use crate::{
    about::About,
    contribute::{Rows, rows_message},
    dataset::{Dataset, Identifier},
    history::{History, history},
    holdings::{HoldingsError, NEVER, NOBODY},
    identifier::IdentifierType,
    linkage::{epochs::Agreed, tags::Tags},
    node::Node,
};

/// Circumstances of one side, at most.
const CIRCUMSTANCES_MAX: usize = 400_000_000;
/// Rows of a side that is about places, at most, each cell around and each interval counted: what a node keys in a
/// minute or so.
const AT_PLACES_MAX: usize = 128_000_000;
/// Rows that are sorted at once; the key space is worked through in as many parts as that takes.
const SORTED_AT_A_TIME: usize = 4_000_000;
/// Rows in one message: 64 KiB.
const ROWS_AT_A_TIME: usize = 64 * 1024 / LINK_ROW_BYTES;
/// Keys that are computed at once.
const KEYED_AT_A_TIME: usize = 4_096;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// Something that happened to someone, as it will meet the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Circumstance {
    /// Number of the subject, the contact or the cell whose tag begins the key.
    keyed: u32,
    /// Minutes since 1970; for relations in time and at places.
    minute: Option<u32>,
    /// Number of the one whom the row is about.
    about: u32,
    evidence: LinkEvidence,
}

/// What is needed to seal a side, off the threads that answer calls.
pub(crate) struct Side {
    circumstances: Vec<Circumstance>,
    keys: LinkKeys,
    /// First halves of keys, by number; nothing without a tag.
    prepared: Vec<Option<u128>>,
    /// Plain join keys of those whom rows are about, by number.
    references: Vec<Option<u128>>,
    reach: Option<Reach>,
    places: Option<Places>,
    follower: bool,
    share_point: u8,
    /// Events that took part.
    pub(crate) rows: u64,
    /// Rows that say nothing of whom they are about, or where that was.
    pub(crate) unusable: u64,
    /// Circumstances that lack a tag.
    pub(crate) untagged: u64,
    /// Those whom rows would be about, but of whom nothing more may be released.
    pub(crate) over_budget: u64,
    pub(crate) newest_ms: Option<i64>,
    pub(crate) unrecorded: Option<String>,
}

/// Whose events a side looks at.
struct Whom<'a> {
    identifier: &'a Identifier,
    /// Those who are looked up.
    own_list: Option<Vec<u32>>,
    /// Only these.
    within: Option<Vec<u32>>,
}

/// What a side's events are circumstances of.
struct Found {
    circumstances: Vec<Circumstance>,
    keyed: IdentifierType,
    /// Where they are to be met, if they are about places.
    places: Option<Places>,
    about: IdentifierType,
    rows: u64,
    newest_ms: Option<i64>,
    unrecorded: Option<String>,
}

/// Reads the side's events and says what they are circumstances of.
pub(crate) async fn side(
    node: &Arc<Node>,
    agreed: &Agreed,
    question: &OpenedQuestion,
    part: &LinkPart,
    share_point: u8,
    permit: &Permit,
) -> Result<Side, Refusal> {
    let dataset = node.holdings.dataset(&part.indicator.dataset)?;
    let whom = whom(node, agreed, question, part, identifier_of(dataset, &question.header.subject, part)?)?;
    let (mut found, reach) = match part.kind {
        RelationKind::SamePlace { minutes, .. } => {
            let found = meetings::found(node, agreed, question, part, &whom, permit).await?;
            (found, Some(Reach::new(Order::Around, minutes)))
        }
        RelationKind::InTime { order, minutes } => {
            (of_history(node, question, part, &whom, permit).await?, Some(Reach::new(order, minutes)))
        }
        RelationKind::CommonContacts { .. } => (of_history(node, question, part, &whom, permit).await?, None),
    };
    let over = node.over_budget();
    found.circumstances.retain(|circumstance| !over.holds(About::Subject(found.about, circumstance.about)));
    if found.circumstances.len() > CIRCUMSTANCES_MAX {
        return Err(too_many());
    }
    let keys = LinkKeys::derive(&agreed.secret, &question.id.0, part.link);
    let question_keys = QuestionKeys::derive(&agreed.secret, &question.id.0, question.header.minimum_datasets);
    let prepared = by_number(node.holdings.tags(found.keyed, &agreed.tags), |tags| keys.prepare(tags));
    let references = by_number(node.holdings.tags(found.about, &agreed.tags), |tags| question_keys.join_keys(tags));
    let has = |table: &[Option<u128>], number: u32| table.get(number as usize).is_some_and(Option::is_some);
    let named = |c: &Circumstance| found.places.as_ref().is_none_or(|places| !places.around(c.keyed).is_empty());
    let tagged = |c: &&Circumstance| has(&prepared, c.keyed) && has(&references, c.about) && named(c);
    let side = Side {
        untagged: found.circumstances.iter().filter(|c| !tagged(c)).count() as u64,
        unusable: unusable(node, dataset, part, whom.identifier),
        rows: found.rows,
        over_budget: over.count(found.about),
        newest_ms: found.newest_ms,
        unrecorded: found.unrecorded,
        circumstances: found.circumstances,
        keys,
        prepared,
        references,
        reach,
        places: found.places,
        follower: part.follower,
        share_point,
    };
    if side.places.is_some() && side.fan_out() > AT_PLACES_MAX { Err(too_many()) } else { Ok(side) }
}

/// The identifier that names whom a side's rows are about. Whom the ranked ones are to meet may be known by
/// another type of identifier than they are.
pub(crate) fn identifier_of<'a>(
    dataset: &'a Dataset,
    subject: &str,
    part: &LinkPart,
) -> Result<&'a Identifier, Refusal> {
    let (subject, named) = (IdentifierType::asked(subject)?, &part.indicator.identifier);
    let of_any_type = part.is_at_places() && !part.follower;
    let fitting = if of_any_type { dataset.identifier_named(named) } else { dataset.identifier_for(subject, named) };
    let identifier = fitting.map_err(HoldingsError::Identifier)?;
    if part.own_list && identifier.kind != subject {
        return Err(Refusal::bad_input(
            "lookup_other_type",
            format!(
                "Whom you look up is known by {subject}, and `{}` by {}: ask without a look-up, or about a data set \
                 that knows them by {subject}.",
                dataset.name, identifier.kind
            ),
        ));
    }
    Ok(identifier)
}

/// The type of identifier that a part of a question is about, for policies and for people who decide.
pub(crate) fn subject_told(dataset: &Dataset, subject: &str, part: &OpenedIndicator) -> String {
    let other = match part {
        OpenedIndicator::Link(part) if part.is_at_places() => identifier_of(dataset, subject, part).ok(),
        _ => None,
    };
    other.map_or_else(|| subject.to_owned(), |identifier| identifier.kind.to_string())
}

/// Whether a look-up narrows a side to those whom its ranges hide. Where others than those who are looked up are
/// ranked, everybody takes part.
pub(crate) fn is_narrowed(header: &Header, part: &LinkPart) -> bool {
    header.is_lookup() && !part.own_list && !part.rank_contacts && !part.kind.ranks_alone()
}

fn whom<'a>(
    node: &Node,
    agreed: &Agreed,
    question: &OpenedQuestion,
    part: &LinkPart,
    identifier: &'a Identifier,
) -> Result<Whom<'a>, Refusal> {
    let header = &question.header;
    let own_list = part.own_list.then(|| node.looked_up(identifier.kind, agreed, &question.id)).transpose()?;
    let within = match &own_list {
        // Contacts of contacts pass through others, so nobody may be left out yet.
        Some(own) if !matches!(part.kind, RelationKind::CommonContacts { .. }) => Some(own.clone()),
        _ => is_narrowed(header, part).then(|| node.hidden_among(identifier.kind, agreed, &header.ranges)),
    };
    Ok(Whom { identifier, own_list, within })
}

/// Rows that say nothing here.
fn unusable(node: &Node, dataset: &Dataset, part: &LinkPart, identifier: &Identifier) -> u64 {
    let Some(manifest) = node.holdings.manifest(&dataset.name) else { return 0 };
    manifest.lost(&identifier.name) + if part.is_at_places() { manifest.without_place() } else { 0 }
}

/// Events in time, and contacts.
async fn of_history(
    node: &Arc<Node>,
    question: &OpenedQuestion,
    part: &LinkPart,
    whom: &Whom<'_>,
    permit: &Permit,
) -> Result<Found, Refusal> {
    let (indicator, subject) = (&part.indicator, whom.identifier.kind);
    let name = &whom.identifier.name;
    let history = history(node, permit, &question.header, indicator, name, whom.within.as_deref()).await?;
    let dataset = node.holdings.dataset(&indicator.dataset)?;
    let contact = dataset.identifier.iter().find(|identifier| identifier.name == indicator.contact);
    let contact = contact.map_or(subject, |contact| contact.kind);
    let about_contacts = part.rank_contacts && part.follower;
    let newest_ms = history.events.moments_ms.iter().copied().max().filter(|&moment| moment != NEVER);
    let unrecorded = history.unrecorded.clone();
    let (measure, own_list, kind) = (indicator.measure.clone(), whom.own_list.clone(), part.kind);
    let work = tokio::task::spawn_blocking(move || match kind {
        RelationKind::CommonContacts { hops } if hops == 1 || contact == subject => {
            contacts::circumstances(&history, &measure, hops, own_list.as_deref())
        }
        RelationKind::CommonContacts { .. } => {
            Err(Refusal::bad_input("relation_hops", "`hops = 2` needs contacts of the same type as the subjects."))
        }
        _ => Ok(in_time(&history, about_contacts)),
    });
    let circumstances = work.await.map_err(|error| Refusal::internal("relation_failed", &error))??;
    let rows = circumstances.iter().map(|c| u64::from(c.evidence.events)).sum();
    let (keyed, about) = match kind {
        RelationKind::CommonContacts { .. } => (contact, subject),
        _ => (subject, if about_contacts { contact } else { subject }),
    };
    Ok(Found { circumstances, keyed, places: None, about, rows, newest_ms, unrecorded })
}

fn too_many() -> Refusal {
    Refusal::new(
        Kind::Exhausted,
        "too_many_circumstances",
        "The relation looks at more events than this node can compare; narrow the window, the filter or `within`.",
    )
}

fn by_number<K>(tags: Option<Tags>, keys: impl Fn(&[Tag]) -> Vec<K>) -> Vec<Option<K>> {
    let Some(tags) = tags else { return Vec::new() };
    let known: Vec<Option<Tag>> = tags.all();
    let present: Vec<Tag> = known.iter().flatten().copied().collect();
    let mut made = keys(&present).into_iter();
    known.into_iter().map(|tag| tag.and_then(|_| made.next())).collect()
}

fn in_time(history: &History, about_contacts: bool) -> Vec<Circumstance> {
    let events = &history.events;
    let of_events = history.behaviour.as_ref().map(|behaviour| behaviour.of_events.as_slice());
    (0..events.len())
        .filter(|&event| history.is_in_window(event))
        .filter_map(|event| {
            let moment_ms = events.moments_ms[event];
            let about = if about_contacts { events.contact(event) } else { events.subjects[event] };
            let strength = of_events.map_or(1_000, |strengths| strengths[event]);
            let minute = u32::try_from(moment_ms.div_euclid(MINUTE_MS)).ok()?;
            (about != NOBODY && strength > 0).then(|| Circumstance {
                keyed: events.subjects[event],
                minute: Some(minute),
                about,
                evidence: LinkEvidence {
                    strength_thousandths: strength,
                    newest_day: day(moment_ms),
                    events: 1,
                    ..LinkEvidence::default()
                },
            })
        })
        .collect()
}

fn day(moment_ms: i64) -> u16 {
    moment_ms.div_euclid(DAY_MS).clamp(0, i64::from(u16::MAX)) as u16
}

/// A row before it is sealed.
#[derive(Clone, Copy)]
struct Keyed {
    key: u128,
    about: u32,
    evidence: LinkEvidence,
}

impl Side {
    /// Keys, sorts, adds up and seals, as fast as the gateway takes the rows; how many there were.
    pub(crate) fn stream(self, rows: &Rows) -> u64 {
        let parts = (self.fan_out() / SORTED_AT_A_TIME + 1).next_power_of_two();
        let mut sent = 0;
        for part in 0..parts as u128 {
            let mut keyed = self.keyed(part, parts.ilog2(), rows);
            let same_row = |row: &Keyed| (row.key, row.about, row.evidence.kind);
            keyed.sort_unstable_by_key(same_row);
            keyed.dedup_by(|row, kept| {
                let same = same_row(row) == same_row(kept);
                if same {
                    kept.evidence = added(kept.evidence, row.evidence);
                }
                same
            });
            sent += keyed.len() as u64;
            if !self.send(&keyed, rows) {
                break;
            }
        }
        sent
    }

    /// Rows at most, before equal ones are added up.
    fn fan_out(&self) -> usize {
        let each = match (self.reach, self.follower) {
            (None, _) => 1,
            (Some(reach), true) => usize::from(reach.level_max()) + 1,
            (Some(reach), false) => 2 * usize::from(reach.level_max()) + 1,
        };
        let near = if self.places.is_some() && !self.follower { NEAR } else { 1 };
        self.circumstances.len().saturating_mul(each * near)
    }

    /// Rows whose key begins with these bits; fewer once nobody waits for them.
    fn keyed(&self, prefix: u128, bits: u32, rows: &Rows) -> Vec<Keyed> {
        let mut kept = Vec::new();
        let mut inputs: Vec<(u128, Option<Interval>)> = Vec::new();
        let mut origins: Vec<(u32, LinkEvidence)> = Vec::new();
        for circumstance in &self.circumstances {
            self.spread(circumstance, |input, evidence| {
                inputs.push(input);
                origins.push((circumstance.about, evidence));
            });
            if inputs.len() >= KEYED_AT_A_TIME {
                if rows.is_closed() {
                    break;
                }
                self.key(&mut inputs, &mut origins, (prefix, bits), &mut kept);
            }
        }
        self.key(&mut inputs, &mut origins, (prefix, bits), &mut kept);
        kept
    }

    /// Every key under which a circumstance is to be met, and what is told of it there.
    fn spread(&self, circumstance: &Circumstance, mut each: impl FnMut((u128, Option<Interval>), LinkEvidence)) {
        let number = |table: &[Option<u128>], number: u32| table.get(number as usize).copied().flatten();
        if number(&self.references, circumstance.about).is_none() {
            return;
        }
        let mut at = |keyed: u32, evidence: LinkEvidence| {
            let Some(prepared) = number(&self.prepared, keyed) else { return };
            match (self.reach, circumstance.minute) {
                (Some(reach), Some(minute)) if self.follower => {
                    reach.containing(minute).for_each(|interval| each((prepared, Some(interval)), evidence));
                }
                (Some(reach), Some(minute)) => {
                    reach.cover(minute, |interval| each((prepared, Some(interval)), evidence));
                }
                _ => each((prepared, None), evidence),
            }
        };
        let evidence = circumstance.evidence;
        match &self.places {
            None => at(circumstance.keyed, evidence),
            Some(places) => places
                .around(circumstance.keyed)
                .iter()
                .for_each(|&(cell, name)| at(cell, LinkEvidence { fields: name, ..evidence })),
        }
    }

    fn key(
        &self,
        inputs: &mut Vec<(u128, Option<Interval>)>,
        origins: &mut Vec<(u32, LinkEvidence)>,
        (prefix, bits): (u128, u32),
        kept: &mut Vec<Keyed>,
    ) {
        let keys = self.keys.keys(inputs.drain(..));
        for (key, (about, evidence)) in keys.into_iter().zip(origins.drain(..)) {
            if bits > 0 && key >> (128 - bits) != prefix {
                continue;
            }
            kept.push(Keyed { key, about, evidence });
        }
    }

    fn send(&self, keyed: &[Keyed], rows: &Rows) -> bool {
        let sealer = LinkSealer::new(&self.keys, self.share_point);
        keyed.chunks(ROWS_AT_A_TIME).all(|chunk| {
            let pieces: Vec<(u128, LinkPiece)> = chunk
                .iter()
                .map(|row| {
                    let reference = self.references[row.about as usize].unwrap_or_default();
                    (row.key, LinkPiece { reference, evidence: row.evidence })
                })
                .collect();
            let mut bytes = Vec::with_capacity(chunk.len() * LINK_ROW_BYTES);
            sealer.seal(&pieces, &mut bytes);
            rows.blocking_send(Ok(rows_message(bytes))).is_ok()
        })
    }
}

fn added(a: LinkEvidence, b: LinkEvidence) -> LinkEvidence {
    LinkEvidence {
        strength_thousandths: a.strength_thousandths.max(b.strength_thousandths),
        newest_day: a.newest_day.max(b.newest_day),
        events: a.events.saturating_add(b.events),
        ..a
    }
}
