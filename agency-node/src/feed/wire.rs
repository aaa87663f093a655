//! Positions and refused points, on the wire and here.

use sallyport_feed::{Position, RefusedPoint, Seal};
use sallyport_proto::feed::v1::{self as wire, QuarantinedPoint, Refused};

use crate::positions::Quarantined;

/// A position as it was sent; nobody has judged it.
pub(super) fn position(sent: wire::Position) -> Position {
    let seal = match sent.seal() {
        wire::Seal::Unspecified => None,
        wire::Seal::Intact => Some(Seal::Intact),
        wire::Seal::Opened => Some(Seal::Opened),
        wire::Seal::Broken => Some(Seal::Broken),
    };
    Position {
        device: sent.device,
        at_ms: sent.at_ms,
        latitude: sent.latitude,
        longitude: sent.longitude,
        speed_mps: sent.speed_mps,
        heading_deg: sent.heading_deg,
        accuracy_m: sent.accuracy_m,
        seal,
    }
}

pub(super) fn refused(point: &RefusedPoint) -> Refused {
    Refused { index: point.index, reason: point.reason.as_str().to_owned() }
}

pub(super) fn quarantined(kept: Quarantined) -> QuarantinedPoint {
    let point = kept.point;
    QuarantinedPoint {
        stream: kept.stream,
        sequence: kept.sequence,
        index: point.index,
        reason: point.reason.as_str().to_owned(),
        device: point.device,
        at_ms: point.at_ms,
        latitude: point.latitude,
        longitude: point.longitude,
    }
}
