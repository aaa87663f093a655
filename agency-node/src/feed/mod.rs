//! Feeds: partners send where their devices are, and are told when it is durable.
//!
//! A partner sends for the devices that the node's configuration lists for its feed, and sees its own refused
//! points; it reads nothing else here. What comes is judged point by point and kept under the number of its
//! batch, so that a sender that was cut off goes on where it was. No position ever leaves the node through
//! this module, and none stands in a log, an error or the audit log: entries hold counts by reason.

mod keep;
mod push;
mod quarantine;
mod rpc;
mod settings;
mod streams;
#[cfg(test)]
mod tests;
mod wire;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sallyport_feed::{Plausibility, Position, Reason, RefusedPoint};
use sallyport_track::WAIT_MS;
use sallyport_trust::{
    error::Refusal,
    guard::{Guard, Trail},
    identity::{Role, SpiffeId},
    policy::{Action, Attributes, Context, Permit, Request, attribute, kind},
};
use tokio_util::sync::CancellationToken;

pub(crate) use keep::Keep;
pub(crate) use rpc::FeedService;
pub(crate) use settings::validate;
pub use settings::{FeedSettings, FeedSettingsError};

use streams::OpenStreams;

/// How the audit log calls the sending of positions, and the reading of what was refused.
const PUSH: &str = "feed";
const READ_QUARANTINE: &str = "feed_quarantine";

/// A stream that goes on is written down and authorised anew this long after its last entry was opened, once
/// anything came since.
const ENTRY_EVERY: Duration = Duration::from_secs(15 * 60);

/// The feeds of a node, and what they are served with.
pub(crate) struct Feeds<K> {
    agency: String,
    guard: Guard,
    keep: K,
    feeds: HashMap<String, Feed>,
    open: OpenStreams,
    entry_every: Duration,
    /// The node is ending: streams stop at the next batch.
    ending: CancellationToken,
}

/// One feed and what is known of its devices.
struct Feed {
    settings: FeedSettings,
    plausibility: Mutex<Plausibility>,
}

/// What became of the positions of a batch.
struct Judged {
    accepted: Vec<Position>,
    refused: Vec<RefusedPoint>,
    /// Accepted ones so much older than one of their device that came before the batch that tracks need not wait
    /// for them.
    late: u32,
}

impl<K: Keep> Feeds<K> {
    pub(crate) fn new(
        agency: &str,
        settings: &[FeedSettings],
        guard: Guard,
        keep: K,
        ending: CancellationToken,
    ) -> Self {
        let feeds = settings.iter().map(|settings| (settings.name.clone(), Feed::new(settings.clone()))).collect();
        Self {
            agency: agency.to_owned(),
            guard,
            keep,
            feeds,
            open: OpenStreams::default(),
            entry_every: ENTRY_EVERY,
            ending,
        }
    }

    /// The name under which the audit log knows a feed; names of no feed are not repeated there.
    fn audited<'a>(&'a self, name: &'a str) -> &'a str {
        if self.feeds.contains_key(name) { name } else { "unknown feed" }
    }

    /// The partner's own feed. Whether others have one of that name is not told.
    fn feed(&self, peer: &SpiffeId, name: &str) -> Result<&Feed, Refusal> {
        let own = |feed: &&Feed| matches!(&peer.role, Role::Feed { partner } if *partner == feed.settings.partner);
        self.feeds.get(name).filter(own).ok_or_else(|| {
            Refusal::denied(
                "feed_unknown",
                "The node has no such feed for you; its operator adds it as [[feed]] with your name as its partner.",
            )
        })
    }

    fn authorise(&self, trail: &mut Trail, peer: &SpiffeId, feed: &Feed) -> Result<Permit, Refusal> {
        let request = Request {
            subject: Attributes::new().with(attribute::FEDERATION_ID, peer.to_string()).with(attribute::ROLE, "feed"),
            resource: Attributes::new()
                .with(attribute::KIND, kind::FEED)
                .with(attribute::OWNER, self.agency.clone())
                .with(attribute::DATASET, feed.settings.name.clone()),
            action: Action::Contribute,
            context: Context { at_ms: self.guard.clock().now_ms(), ..Context::default() },
        };
        self.guard.authorise(trail, &request)
    }
}

impl Feed {
    fn new(settings: FeedSettings) -> Self {
        let plausibility = Mutex::new(Plausibility::new(settings.bounds()));
        Self { settings, plausibility }
    }

    /// Parts what can be from what cannot.
    fn judge(&self, _permit: &Permit, positions: Vec<Position>, now_ms: i64) -> Judged {
        let mut judgement = Judged { accepted: Vec::with_capacity(positions.len()), refused: Vec::new(), late: 0 };
        let mut plausibility = self.plausibility.lock().unwrap_or_else(PoisonError::into_inner);
        // Before any is accepted: a batch is measured in order of time, whatever its own order.
        let is_late = |position: &Position| {
            let newest_ms = plausibility.newest_ms(&position.device);
            newest_ms.is_some_and(|newest_ms| newest_ms.saturating_sub(position.at_ms) > WAIT_MS)
        };
        let late: Vec<bool> = positions.iter().map(is_late).collect();
        for ((index, position), is_late) in (0..).zip(positions).zip(late) {
            let judged = match self.settings.devices.allow(&position.device) {
                true => plausibility.check(&position, now_ms),
                false => Err(Reason::UnknownDevice),
            };
            match judged {
                Ok(()) => {
                    judgement.late += u32::from(is_late);
                    judgement.accepted.push(position);
                }
                Err(reason) => judgement.refused.push(RefusedPoint::new(index, reason, &position)),
            }
        }
        judgement
    }
}

/// Only the feed of a partner comes here; people and processes of agencies have other services.
fn only_partner(peer: &SpiffeId) -> Result<(), Refusal> {
    match peer.role {
        Role::Feed { .. } => Ok(()),
        _ => Err(Refusal::denied(
            "wrong_role",
            "Positions come from partners: use the certificate of spiffe://FEDERATION/partner/PARTNER/feed.",
        )),
    }
}
