//! A partner looks at its own refused points.

use sallyport_proto::feed::v1::{QuarantineRequest, QuarantineResponse};
use sallyport_trust::{
    error::Refusal,
    guard::{Act, Trail},
    identity::SpiffeId,
};

use super::{Feeds, Keep, READ_QUARANTINE, only_partner, wire};

/// Points on one page, at most.
const PAGE_MAX: usize = 1000;

/// identify partner → open audit entry → authorise → read → complete audit → show
pub(super) async fn show<K: Keep>(
    feeds: &Feeds<K>,
    peer: &SpiffeId,
    request: QuarantineRequest,
) -> Result<QuarantineResponse, Refusal> {
    only_partner(peer)?;
    let mut trail = feeds.guard.begin(Act::by(peer, READ_QUARANTINE, feeds.audited(&request.feed))).await?;
    let page = read(feeds, peer, &mut trail, &request).await;
    trail.complete(page.as_ref().err()).await?;
    page
}

async fn read<K: Keep>(
    feeds: &Feeds<K>,
    peer: &SpiffeId,
    trail: &mut Trail,
    request: &QuarantineRequest,
) -> Result<QuarantineResponse, Refusal> {
    let feed = feeds.feed(peer, &request.feed)?;
    let _permit = feeds.authorise(trail, peer, feed)?;
    let limit = (request.limit as usize).clamp(1, PAGE_MAX);
    let points = feeds.keep.quarantine(&request.feed, request.after, limit).await?;
    trail.count("refused_points_shown", points.len() as u64);
    let next = if points.len() == limit { points.last().map_or(0, |point| point.number) } else { 0 };
    Ok(QuarantineResponse { points: points.into_iter().map(wire::quarantined).collect(), next })
}
