//! One side of a relation: which circumstances this node's events are, keyed, sorted and sealed. And
//! records of persons, whose names and identifiers are keyed the same way.
//!
//! Neither times nor contacts nor names leave: they are part of keys that only a data set with the same
//! circumstance can meet.

mod contacts;
mod persons;

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
    question::{LinkPart, OpenedQuestion, RelationKind},
};

use crate::{
    about::About,
    contribute::{Rows, rows_message},
    history::{History, history},
    holdings::{NEVER, NOBODY},
    identifier::IdentifierType,
    linkage::{epochs::Agreed, tags::Tags},
    node::Node,
};

/// Circumstances of one side, at most.
const CIRCUMSTANCES_MAX: usize = 400_000_000;
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
    /// Number of the subject whose tag begins the key.
    keyed: u32,
    /// Minutes since 1970; for relations in time.
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
    follower: bool,
    share_point: u8,
    /// Name of the identifier that the subjects are read from.
    pub(crate) identifier: String,
    /// Events that took part.
    pub(crate) rows: u64,
    /// Circumstances that lack a tag.
    pub(crate) untagged: u64,
    /// Those whom rows would be about, but of whom nothing more may be released.
    pub(crate) over_budget: u64,
    pub(crate) newest_ms: Option<i64>,
    pub(crate) unrecorded: Option<String>,
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
    let header = &question.header;
    let indicator = &part.indicator;
    let dataset = node.holdings.dataset(&indicator.dataset)?;
    let subject = subject_type(&header.subject)?;
    let identifier =
        dataset.identifier_for(subject, &indicator.identifier).map_err(crate::holdings::HoldingsError::Identifier)?;
    let contact = dataset.identifier.iter().find(|identifier| identifier.name == indicator.contact);
    let own_list = part.own_list.then(|| node.looked_up(subject, agreed, &question.id)).transpose()?;
    let narrowed = header.is_lookup() && !part.own_list && !part.rank_contacts && !is_common(part);
    let within = match &own_list {
        // Contacts of contacts pass through others, so nobody may be left out yet.
        Some(own) if !is_common(part) => Some(own.clone()),
        _ => narrowed.then(|| node.hidden_among(subject, agreed, &header.ranges)),
    };
    let history = history(node, permit, header, indicator, &identifier.name, within.as_deref()).await?;
    let contact_type = contact.map_or(subject, |contact| contact.kind);
    let about_contacts = part.rank_contacts && part.follower;
    let (keyed_type, about_type) = match part.kind {
        RelationKind::CommonContacts { .. } => (contact_type, subject),
        RelationKind::InTime { .. } => (subject, if about_contacts { contact_type } else { subject }),
    };
    let newest_ms = history.events.moments_ms.iter().copied().max().filter(|&moment| moment != NEVER);
    let unrecorded = history.unrecorded.clone();
    let measure = indicator.measure.clone();
    let kind = part.kind;
    let same_type = contact_type == subject;
    let work = tokio::task::spawn_blocking(move || match kind {
        RelationKind::InTime { .. } => Ok(in_time(&history, about_contacts)),
        RelationKind::CommonContacts { hops } if hops == 1 || same_type => {
            contacts::circumstances(&history, &measure, hops, own_list.as_deref())
        }
        RelationKind::CommonContacts { .. } => {
            Err(Refusal::bad_input("relation_hops", "`hops = 2` needs contacts of the same type as the subjects."))
        }
    });
    let mut circumstances = work.await.map_err(|error| Refusal::internal("relation_failed", &error))??;
    let rows = circumstances.iter().map(|c| u64::from(c.evidence.events)).sum();
    let over = node.over_budget();
    circumstances.retain(|circumstance| !over.holds(About::Subject(about_type, circumstance.about)));
    if circumstances.len() > CIRCUMSTANCES_MAX {
        return Err(too_many());
    }
    let keys = LinkKeys::derive(&agreed.secret, &question.id.0, part.link);
    let question_keys = QuestionKeys::derive(&agreed.secret, &question.id.0, header.minimum_datasets);
    let prepared = by_number(node.holdings.tags(keyed_type, &agreed.tags), |tags| keys.prepare(tags));
    let references = by_number(node.holdings.tags(about_type, &agreed.tags), |tags| question_keys.join_keys(tags));
    let has = |table: &[Option<u128>], number: u32| table.get(number as usize).is_some_and(Option::is_some);
    let tagged = |c: &&Circumstance| has(&prepared, c.keyed) && has(&references, c.about);
    let untagged = circumstances.iter().filter(|c| !tagged(c)).count() as u64;
    let reach = match kind {
        RelationKind::InTime { order, minutes } => Some(Reach::new(order, minutes)),
        RelationKind::CommonContacts { .. } => None,
    };
    Ok(Side {
        rows,
        untagged,
        over_budget: over.count(about_type),
        newest_ms,
        unrecorded,
        circumstances,
        keys,
        prepared,
        references,
        reach,
        follower: part.follower,
        share_point,
        identifier: identifier.name.clone(),
    })
}

fn subject_type(name: &str) -> Result<IdentifierType, Refusal> {
    name.parse().map_err(|_| {
        Refusal::bad_input("subject_unknown", format!("`{name}` is no type of identifier that this node knows."))
    })
}

fn is_common(part: &LinkPart) -> bool {
    matches!(part.kind, RelationKind::CommonContacts { .. })
}

fn too_many() -> Refusal {
    Refusal::new(
        Kind::Exhausted,
        "too_many_circumstances",
        "The relation looks at more events than this node can compare; narrow the window, the filter or `within`.",
    )
}

fn by_number(tags: Option<Tags>, keys: impl Fn(&[Tag]) -> Vec<u128>) -> Vec<Option<u128>> {
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
            let mut keyed = self.keyed(part, parts.ilog2());
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
        self.circumstances.len().saturating_mul(each)
    }

    /// Rows whose key begins with these bits.
    fn keyed(&self, prefix: u128, bits: u32) -> Vec<Keyed> {
        let mut kept = Vec::new();
        let mut inputs: Vec<(u128, Option<Interval>)> = Vec::new();
        let mut origins: Vec<&Circumstance> = Vec::new();
        for circumstance in &self.circumstances {
            self.spread(circumstance, |input| {
                inputs.push(input);
                origins.push(circumstance);
            });
            if inputs.len() >= KEYED_AT_A_TIME {
                self.key(&mut inputs, &mut origins, (prefix, bits), &mut kept);
            }
        }
        self.key(&mut inputs, &mut origins, (prefix, bits), &mut kept);
        kept
    }

    fn spread(&self, circumstance: &Circumstance, mut each: impl FnMut((u128, Option<Interval>))) {
        let number = |table: &[Option<u128>], number: u32| table.get(number as usize).copied().flatten();
        let Some(prepared) = number(&self.prepared, circumstance.keyed) else { return };
        if number(&self.references, circumstance.about).is_none() {
            return;
        }
        match (self.reach, circumstance.minute) {
            (Some(reach), Some(minute)) if self.follower => {
                reach.containing(minute).for_each(|interval| each((prepared, Some(interval))));
            }
            (Some(reach), Some(minute)) => reach.cover(minute, |interval| each((prepared, Some(interval)))),
            _ => each((prepared, None)),
        }
    }

    fn key(
        &self,
        inputs: &mut Vec<(u128, Option<Interval>)>,
        origins: &mut Vec<&Circumstance>,
        (prefix, bits): (u128, u32),
        kept: &mut Vec<Keyed>,
    ) {
        let keys = self.keys.keys(inputs.drain(..));
        for (key, origin) in keys.into_iter().zip(origins.drain(..)) {
            if bits > 0 && key >> (128 - bits) != prefix {
                continue;
            }
            kept.push(Keyed { key, about: origin.about, evidence: origin.evidence });
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
