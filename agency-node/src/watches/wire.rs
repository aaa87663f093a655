//! Watches as they come in and go out.

use prost::Message;
use sallyport_proto::node::v1::{
    self as pb, ArmWatchRequest, DatasetNews, DatasetNewsResponse, DeliverRequest, arm_watch_request::What,
};
use sallyport_trust::error::Refusal;

use super::{Standing, Wanted, Watch};
use crate::node::Node;

/// Data sets in one piece of news, at most.
const NEWS_MAX: usize = 256;

/// News of another node's data sets: at most a reason to ask a little earlier, so nothing is decided here.
pub(crate) fn hear(node: &Node, message: &DeliverRequest) -> Result<Vec<u8>, Refusal> {
    let news = DatasetNews::decode(message.payload.as_slice())
        .map_err(|_| Refusal::bad_input("relay_unreadable", "The carried message cannot be read."))?;
    let owned = |name: &&String| name.split_once('.').is_some_and(|(owner, _)| owner == message.from);
    news.datasets.iter().take(NEWS_MAX).filter(owned).for_each(|dataset| node.watches.news(dataset));
    Ok(DatasetNewsResponse {}.encode_to_vec())
}

impl TryFrom<ArmWatchRequest> for Wanted {
    type Error = Refusal;

    fn try_from(request: ArmWatchRequest) -> Result<Self, Refusal> {
        let ArmWatchRequest { name, what, until_ms, reason } = request;
        let what = match what {
            Some(What::Question(text)) => Standing::Question(text),
            Some(What::Pattern(pb::StandingPattern { name, purpose, case_number })) => {
                Standing::Pattern { name, purpose, case_number }
            }
            None => return Err(Refusal::bad_input("question_missing", "Let a question stand, or a pattern.")),
        };
        Ok(Self { name, what, until_ms, reason })
    }
}

/// A watch as people see it.
pub(crate) fn told(watch: Watch, now_ms: i64) -> pb::Watch {
    let (purpose, case_number) = watch.what.context(now_ms);
    let state = watch.state(now_ms).to_owned();
    let pattern = match &watch.what {
        Standing::Pattern { name, .. } => name.clone(),
        Standing::Question(_) => String::new(),
    };
    let history = watch.history.into_iter().map(|event| pb::WatchEvent {
        at_ms: event.at_ms,
        by: event.by,
        what: event.what,
        reason: event.reason,
    });
    pb::Watch {
        name: watch.name,
        pattern,
        person: watch.person,
        purpose,
        case_number,
        until_ms: watch.until_ms,
        state,
        datasets: watch.datasets,
        asked: watch.asked,
        asked_ms: watch.asked_ms,
        ended: watch.ended,
        ended_because: watch.ended_because,
        leads: watch.leads,
        not_own: watch.not_own,
        history: history.collect(),
    }
}
