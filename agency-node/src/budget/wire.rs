//! The edge between a budget's standing and its protobuf form.

use sallyport_proto::common::v1::Budget as Wire;

use super::Standing;
use crate::period::Period;

impl From<Standing> for Wire {
    fn from(standing: Standing) -> Self {
        Self {
            of: standing.of.to_owned(),
            purpose: standing.purpose.unwrap_or_default(),
            limit: standing.limit,
            left: standing.left,
            period_s: standing.period.map_or(0, Period::seconds),
            renews_at_ms: standing.renews_at_ms,
        }
    }
}
