//! Asks for watches, and makes leads of what is found.
//!
//! A watch asks when one of its data sets has news, when it was armed or renewed, after a restart of the node,
//! and now and then in any case, since news may be lost. What nobody can answer yet is asked again soon.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::stream::{self, StreamExt};
use sallyport_proto::{
    common::v1::Outcome,
    node::v1::{AskPattern, DeskAnswer, ask_pattern::Which, desk_ask_event::Event},
};
use sallyport_trust::{
    error::{Kind, Refusal},
    identity::SpiffeId,
    question::parse_question,
};
use tokio::sync::mpsc;

use super::watch::{Standing, Watch, rankable};
use crate::{
    ask::{self, Asked},
    leads::{Cause, Raised, RaisedAs},
    node::Node,
    patterns::{self, WantedPattern},
    settle,
};

/// A watch asks this often in any case.
const ANYHOW: Duration = Duration::from_secs(900);
/// After an answer in which a data set was missing, or none at all.
const SOON: Duration = Duration::from_secs(30);
/// Between two askings of one watch, so that a stream of news is one question now and then.
const REST: Duration = Duration::from_secs(1);
/// How often it is looked whether a watch is due, when no bell rings.
const LOOK: Duration = Duration::from_millis(500);
const AT_ONCE: usize = 4;
const EVENTS: usize = 16;
const HELD: &str =
    "An owner holds a part of it for release. Ask once by hand, and renew the watch when it was released.";

/// When a watch asked last in this process, and when it asks again in any case.
struct Round {
    asked: Instant,
    again: Instant,
    until_ms: i64,
}

/// Keeps watch until it is aborted.
pub(crate) async fn keep_watch(node: Arc<Node>) {
    let mut rounds: BTreeMap<String, Round> = BTreeMap::new();
    let mut news = BTreeSet::new();
    loop {
        tokio::select! {
            () = node.watches.bell.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
        if !node.is_settled() {
            continue;
        }
        news.extend(node.watches.take_news());
        let (now, now_ms) = (Instant::now(), node.clock.now_ms());
        let armed: Vec<Watch> = node.watches.all().into_iter().filter(|watch| watch.state(now_ms) == "armed").collect();
        let has_news = |watch: &Watch| watch.datasets.iter().any(|dataset| news.contains(dataset));
        let due = |watch: &&Watch| match rounds.get(&watch.name) {
            None => true,
            Some(round) => {
                let is_wanted = has_news(watch) || now >= round.again || round.until_ms != watch.until_ms;
                is_wanted && now >= round.asked + REST
            }
        };
        let due: Vec<Watch> = armed.iter().filter(due).cloned().collect();
        // News that a resting watch still has to ask for are kept.
        let resting: Vec<&Watch> = armed.iter().filter(|watch| !due.contains(watch)).collect();
        news.retain(|dataset| resting.iter().any(|watch| watch.datasets.contains(dataset)));
        let asked: Vec<_> = stream::iter(due).map(|watch| fire(&node, watch)).buffer_unordered(AT_ONCE).collect().await;
        for (name, until_ms, again) in asked {
            let now = Instant::now();
            rounds.insert(name, Round { asked: now, again: now + again, until_ms });
        }
    }
}

/// ask as a person would → raise what own data hold → write down how it ended
async fn fire(node: &Arc<Node>, watch: Watch) -> (String, i64, Duration) {
    let answered = answer(node, &watch).await;
    let ended = match answered {
        Ok((datasets, answer)) => {
            let stops = answer.coverage.iter().any(|coverage| coverage.outcome() == Outcome::Held);
            let is_whole = answer.coverage.iter().all(|coverage| coverage.outcome() == Outcome::Answered);
            let (leads, not_own, refused) = raise_all(node, &watch, &answer).await;
            let (told, because) = match (stops, refused) {
                (true, _) => ("held_for_release".to_owned(), HELD.to_owned()),
                (_, Some(refusal)) => (refusal.reason, refusal.message),
                (_, None) if is_whole => ("answered".to_owned(), String::new()),
                (_, None) => ("answered_in_part".to_owned(), missing(&answer)),
            };
            Ended { datasets: Some(datasets), leads, not_own, stops, is_whole, told, because }
        }
        Err(refusal) => Ended::refused(refusal),
    };
    if ended.told != "answered" {
        tracing::info!(watch = watch.name, reason = ended.told, "a watch was not answered whole");
    }
    let again = if ended.is_whole { ANYHOW } else { SOON };
    let (keeping, name, now_ms) = (node.clone(), watch.name.clone(), node.clock.now_ms());
    let kept = settle::blocking(move || keeping.watches.change_quietly(&name, |watch| ended.note(watch, now_ms))).await;
    if let Err(refusal) = kept.and_then(|kept| kept.map(drop)) {
        tracing::warn!(watch = watch.name, reason = refusal.reason, "{}", refusal.message);
    }
    (watch.name, watch.until_ms, again)
}

/// How an asking ended.
struct Ended {
    datasets: Option<Vec<String>>,
    leads: u64,
    not_own: u32,
    /// Asking on would be of no use until somebody has looked at it.
    stops: bool,
    is_whole: bool,
    told: String,
    because: String,
}

/// Whoever is away or busy comes back; what is wrong or forbidden stays so until somebody acts.
pub(super) fn stops(refusal: &Refusal) -> bool {
    matches!(refusal.kind, Kind::BadInput | Kind::Denied | Kind::NotFound)
}

/// Which data sets an answer lacks.
fn missing(answer: &DeskAnswer) -> String {
    let missing = answer.coverage.iter().filter(|coverage| coverage.outcome() != Outcome::Answered);
    let names: BTreeSet<&str> = missing.map(|coverage| coverage.dataset.as_str()).collect();
    format!("Without an answer: {}; they are asked again.", names.into_iter().collect::<Vec<_>>().join(", "))
}

impl Ended {
    fn refused(refusal: Refusal) -> Self {
        let stops = stops(&refusal);
        let (told, because) = (refusal.reason, refusal.message);
        Self { datasets: None, leads: 0, not_own: 0, stops, is_whole: false, told, because }
    }

    fn note(self, watch: &mut Watch, now_ms: i64) -> Result<(), Refusal> {
        watch.asked += 1;
        watch.asked_ms = now_ms;
        watch.leads += self.leads;
        watch.not_own = self.not_own;
        if let Some(datasets) = self.datasets {
            watch.datasets = datasets;
        }
        if self.stops {
            watch.stop(&self.told, now_ms);
        }
        (watch.ended, watch.ended_because) = (self.told, self.because);
        Ok(())
    }
}

/// What the watch asks at this moment on behalf of the person.
pub(super) async fn standing(node: &Arc<Node>, peer: &SpiffeId, watch: &Watch) -> Result<Asked, Refusal> {
    // A pattern is obtained from its owner for somebody who must still be there.
    node.person(peer)?;
    let why = format!("watch {}: {}", watch.name, watch.reason);
    let asked = match &watch.what {
        Standing::Question(text) => {
            let mut question = parse_question(text, node.clock.now_ms())?.question;
            question.reason = why;
            Asked { question, lookup: Vec::new(), completes: None, pattern: None, standing: true }
        }
        Standing::Pattern { name, purpose, case_number } => {
            let wanted = AskPattern {
                which: Some(Which::Published(name.clone())),
                purpose: purpose.clone(),
                case_number: case_number.clone(),
                reason: why,
                ..AskPattern::default()
            };
            let asked = patterns::asked(node, peer, WantedPattern::try_from(wanted)?, Vec::new()).await?;
            Asked { standing: true, ..asked }
        }
    };
    rankable(&asked.question)?;
    Ok(asked)
}

async fn answer(node: &Arc<Node>, watch: &Watch) -> Result<(Vec<String>, DeskAnswer), Refusal> {
    let peer = watch.person.parse().map_err(|error| Refusal::internal("watch_unreadable", &error))?;
    let asked = standing(node, &peer, watch).await?;
    let datasets = asked.question.indicators.iter().map(|indicator| indicator.dataset.clone()).collect();
    let (events, mut told) = mpsc::channel(EVENTS);
    let asking = ask::ask(node.clone(), peer, asked, events);
    let hearing = async {
        let mut answer = None;
        while let Some(Ok(event)) = told.recv().await {
            if let Some(Event::Answer(whole)) = event.event {
                answer = Some(whole);
            }
        }
        answer
    };
    let (asked, answer) = tokio::join!(asking, hearing);
    asked?;
    let answer = answer.ok_or_else(|| Refusal::new(Kind::Unavailable, "answer_missing", "There was no answer."))?;
    Ok((datasets, answer))
}

/// How many new leads there are, how many matches own data do not hold, and why some could not be raised.
async fn raise_all(node: &Arc<Node>, watch: &Watch, answer: &DeskAnswer) -> (u64, u32, Option<Refusal>) {
    let pattern = answer.pattern.as_ref().map(|pattern| pattern.name.clone());
    let Some((kind, matches)) = node.leads.recent.of(&answer.question_id) else { return (0, 0, None) };
    let (mut leads, mut not_own, mut refused) = (0, 0, None);
    for found in matches {
        let Some(subject) = found.subject else {
            not_own += 1;
            continue;
        };
        let raised = Raised {
            cause: Cause::Watch { name: watch.name.clone(), pattern: pattern.clone() },
            question: answer.question_id.clone(),
            kind,
            subject,
            qe_millionths: found.qe_millionths,
            evidence: found.evidence,
            at_ms: node.clock.now_ms(),
        };
        let raising = node.clone();
        match settle::blocking(move || raising.leads.raise(raised)).await.and_then(|raised| raised) {
            Ok(RaisedAs::New(id)) => {
                tracing::info!(watch = watch.name, lead = id, "a watch raised a lead");
                leads += 1;
            }
            Ok(RaisedAs::Known(_) | RaisedAs::Suppressed(_)) => {}
            Err(refusal) if refusal.reason == "score_below_playbook" => {}
            Err(refusal) => refused = Some(refusal),
        }
    }
    (leads, not_own, refused)
}
