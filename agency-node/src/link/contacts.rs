//! Contacts as circumstances: everyone whom a subject was in touch with, or whom those were.

use std::collections::{HashMap, HashSet};

use sallyport_join::link::LinkEvidence;
use sallyport_trust::{error::Refusal, question::Measure};

use super::{Circumstance, day, too_many};
use crate::{
    history::History,
    holdings::{NEVER, NOBODY},
};

/// Pairs of a subject and a contact, at most.
const PAIRS_MAX: usize = 20_000_000;

/// What is known of a subject's touch with a contact.
#[derive(Debug, Clone, Copy, Default)]
struct Touch {
    events: u32,
    newest_ms: i64,
    strongest: u16,
}

/// One circumstance for each subject and contact at so many hops; only of these subjects, if given.
pub(super) fn circumstances(
    history: &History,
    measure: &Measure,
    hops: u8,
    own: Option<&[u32]>,
) -> Result<Vec<Circumstance>, Refusal> {
    let direct = touches(history)?;
    let wanted = |subject: u32| own.is_none_or(|own| own.binary_search(&subject).is_ok());
    let as_of_ms = history.window.until_ms.unwrap_or(i64::MAX);
    let circumstance = |subject: u32, contact: u32, touch: &Touch| Circumstance {
        keyed: contact,
        minute: None,
        about: subject,
        evidence: LinkEvidence {
            strength_thousandths: measure.strength(
                u64::from(touch.events),
                (touch.newest_ms != NEVER).then_some(touch.newest_ms),
                as_of_ms,
                touch.strongest,
            ),
            newest_day: if touch.newest_ms == NEVER { 0 } else { day(touch.newest_ms) },
            events: touch.events.min(u32::from(u16::MAX)) as u16,
            ..LinkEvidence::default()
        },
    };
    let mut found = Vec::new();
    for (&subject, contacts) in direct.iter().filter(|(subject, _)| wanted(**subject)) {
        if hops == 1 {
            found.extend(contacts.iter().map(|(&contact, touch)| circumstance(subject, contact, touch)));
        } else {
            let second = second_hop(&direct, subject, contacts);
            found.extend(second.iter().map(|(&contact, touch)| circumstance(subject, contact, touch)));
        }
        if found.len() > PAIRS_MAX {
            return Err(too_many());
        }
    }
    found.retain(|circumstance| circumstance.evidence.strength_thousandths > 0);
    Ok(found)
}

type Touches = HashMap<u32, HashMap<u32, Touch>>;

fn touches(history: &History) -> Result<Touches, Refusal> {
    let events = &history.events;
    let of_events = history.behaviour.as_ref().map(|behaviour| behaviour.of_events.as_slice());
    let mut touches = Touches::new();
    let mut pairs = HashSet::new();
    for event in (0..events.len()).filter(|&event| history.is_in_window(event)) {
        let (subject, contact) = (events.subjects[event], events.contact(event));
        if contact == NOBODY || contact == subject {
            continue;
        }
        if pairs.insert((subject, contact)) && pairs.len() > PAIRS_MAX {
            return Err(too_many());
        }
        let unknown = Touch { newest_ms: NEVER, ..Touch::default() };
        let touch = touches.entry(subject).or_default().entry(contact).or_insert(unknown);
        touch.events = touch.events.saturating_add(1);
        touch.newest_ms = touch.newest_ms.max(events.moments_ms[event]);
        touch.strongest = touch.strongest.max(of_events.map_or(1_000, |strengths| strengths[event]));
    }
    Ok(touches)
}

/// The contacts of a subject's contacts, itself left out; as many events as there are ways to them.
fn second_hop(direct: &Touches, subject: u32, contacts: &HashMap<u32, Touch>) -> HashMap<u32, Touch> {
    let mut second: HashMap<u32, Touch> = HashMap::new();
    for further in contacts.keys().filter_map(|contact| direct.get(contact)) {
        for (&contact, touch) in further.iter().filter(|(contact, _)| **contact != subject) {
            let entry = second.entry(contact).or_insert(Touch { newest_ms: NEVER, ..Touch::default() });
            entry.events = entry.events.saturating_add(1);
            entry.newest_ms = entry.newest_ms.max(touch.newest_ms);
            entry.strongest = entry.strongest.max(touch.strongest);
        }
    }
    second
}
