//! Asks for watches, and makes leads of what is found.
//!
//! A watch asks when one of its data sets has news, when it was armed or renewed, after a restart of the node,
//! and now and then in any case, since news may be lost. What nobody can answer yet is asked again soon.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use sallyport_proto::{
    common::v1::Outcome,
    node::v1::{AskPattern, DeskAnswer, ask_pattern::Which, desk_ask_event::Event},
};
use sallyport_trust::{
    error::{Kind, Refusal},
    identity::SpiffeId,
    question::parse_question,
};
use tokio::{
    sync::mpsc,
    task::{self, JoinError, JoinSet},
};

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
const AT_ONCE: usize = 8;
const EVENTS: usize = 16;
/// How an asking ended that left nothing out.
const ANSWERED: &str = "answered";
const HELD: &str =
    "An owner holds a part of it for release. Ask once by hand, and renew the watch when it was released.";

/// When a watch asked last in this process, and when it asks again in any case.
struct Round {
    asked: Instant,
    again: Instant,
    until_ms: i64,
}

/// Watches as this process has asked for them.
#[derive(Default)]
struct Rounds {
    /// By the watch's name.
    rounds: BTreeMap<String, Round>,
    /// Being asked for, by name and until when they stand: whoever is slow to answer one holds up no other.
    under_way: JoinSet<Duration>,
    asking: HashMap<task::Id, (String, i64)>,
    /// Those that still have to ask for news of a data set of theirs.
    wanted: BTreeSet<String>,
}

/// Keeps watch until it is aborted.
pub(crate) async fn keep_watch(node: Arc<Node>) {
    let mut rounds = Rounds::default();
    loop {
        tokio::select! {
            () = node.watches.bell.notified() => {}
            Some(ended) = rounds.under_way.join_next_with_id() => rounds.ended(ended),
            () = tokio::time::sleep(LOOK) => {}
        }
        if !node.is_settled() {
            continue;
        }
        let now_ms = node.clock.now_ms();
        let armed: Vec<Watch> = node.watches.all().into_iter().filter(|watch| watch.state(now_ms) == "armed").collect();
        rounds.hear(&armed, &node.watches.take_news());
        for watch in rounds.due(armed) {
            let (node, whose) = (node.clone(), (watch.name.clone(), watch.until_ms));
            let asking = rounds.under_way.spawn(async move { fire(&node, watch).await });
            rounds.asking.insert(asking.id(), whose);
        }
    }
}

impl Rounds {
    /// Each watch of a data set with news has to ask for it once.
    fn hear(&mut self, armed: &[Watch], news: &BTreeSet<String>) {
        let has_news = |watch: &&Watch| watch.datasets.iter().any(|dataset| news.contains(dataset));
        self.wanted.extend(armed.iter().filter(has_news).map(|watch| watch.name.clone()));
    }

    /// The armed watches that are to ask now, as many as may at once.
    fn due(&mut self, armed: Vec<Watch>) -> Vec<Watch> {
        let now = Instant::now();
        self.wanted.retain(|name| armed.iter().any(|watch| watch.name == *name));
        let is_due = |watch: &Watch| match self.rounds.get(&watch.name) {
            _ if self.asking.values().any(|(name, _)| *name == watch.name) => false,
            None => true,
            Some(round) => {
                let is_wanted =
                    self.wanted.contains(&watch.name) || now >= round.again || round.until_ms != watch.until_ms;
                is_wanted && now >= round.asked + REST
            }
        };
        let mut due: Vec<Watch> = armed.into_iter().filter(is_due).collect();
        // Who has waited longest goes first.
        due.sort_by_key(|watch| self.rounds.get(&watch.name).map(|round| round.asked));
        due.truncate(AT_ONCE.saturating_sub(self.asking.len()));
        due.iter().for_each(|watch| _ = self.wanted.remove(&watch.name));
        due
    }

    fn ended(&mut self, ended: Result<(task::Id, Duration), JoinError>) {
        let (id, again) = ended.unwrap_or_else(|error| {
            tracing::error!(%error, "the asking of a watch ended by itself");
            (error.id(), SOON)
        });
        if let Some((name, until_ms)) = self.asking.remove(&id) {
            let now = Instant::now();
            self.rounds.insert(name, Round { asked: now, again: now + again, until_ms });
        }
    }
}

/// ask as a person would → raise what own data hold → write down how it ended
async fn fire(node: &Arc<Node>, watch: Watch) -> Duration {
    let ended = match answer(node, &watch).await {
        Ok((datasets, answer)) => {
            let raised = raise_all(node, &watch, &answer).await;
            Ended::answered(datasets, &answer, raised)
        }
        Err(refusal) => Ended::refused(refusal),
    };
    if ended.told != ANSWERED {
        tracing::info!(watch = watch.name, reason = ended.told, "a watch was not answered whole");
    }
    let again = if ended.soon { SOON } else { ANYHOW };
    let (keeping, asked, now_ms) = (node.clone(), watch.clone(), node.clock.now_ms());
    let kept = settle::blocking(move || {
        keeping.watches.change_quietly(&asked.name, |watch| ended.note(&asked, watch, now_ms))
    })
    .await;
    if let Err(refusal) = kept.and_then(|kept| kept.map(drop)) {
        tracing::warn!(watch = watch.name, reason = refusal.reason, "{}", refusal.message);
    }
    again
}

/// How an asking ended.
struct Ended {
    datasets: Option<Vec<String>>,
    leads: u64,
    not_own: u32,
    /// Asking on would be of no use until somebody has looked at it.
    stops: bool,
    /// What was missing may be there when it is asked again soon.
    soon: bool,
    told: String,
    because: String,
}

/// Whoever is away or busy comes back; what is wrong or forbidden stays so until somebody acts.
pub(super) fn stops(refusal: &Refusal) -> bool {
    matches!(refusal.kind, Kind::BadInput | Kind::Denied | Kind::NotFound)
}

/// Which data sets an answer lacks, in a sentence.
fn missing(answer: &DeskAnswer) -> Option<String> {
    let missing = answer.coverage.iter().filter(|coverage| coverage.outcome() != Outcome::Answered);
    let names: BTreeSet<&str> = missing.map(|coverage| coverage.dataset.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    (!names.is_empty()).then(|| format!("Without an answer: {}; they are asked again.", names.join(", ")))
}

/// What an answer in which every data set has its part leaves out all the same, in a sentence.
fn left_out(answer: &DeskAnswer) -> Option<String> {
    // Below the least score of a pattern nothing was left out that it looks for.
    let below_minimum = answer.pattern.as_ref().map_or(0, |pattern| pattern.below_minimum_qe);
    let shown = answer.matches.len() as u64 + below_minimum;
    if answer.subjects_matched > shown {
        let matched = answer.subjects_matched;
        return Some(format!(
            "{matched} subjects matched and the best {shown} were looked at. Let a question with a larger `top` stand, \
             as far as owners release as many, or one that asks for less."
        ));
    }
    let over: u64 = answer.coverage.iter().map(|coverage| coverage.over_budget).max().unwrap_or(0);
    let sentence = || format!("{over} subjects of an owner are over its budget of scores and were left out.");
    (over > 0).then(sentence)
}

impl Ended {
    fn answered(datasets: Vec<String>, answer: &DeskAnswer, raised: RaisedAll) -> Self {
        let stops = answer.coverage.iter().any(|coverage| coverage.outcome() == Outcome::Held);
        let missing = missing(answer);
        let soon = missing.is_some() || raised.refused.is_some();
        let (told, because) = match (stops, raised.refused, missing.or_else(|| left_out(answer))) {
            (true, ..) => ("held_for_release".to_owned(), HELD.to_owned()),
            (_, Some(refusal), _) => (refusal.reason, refusal.message),
            (_, _, Some(sentence)) => ("answered_in_part".to_owned(), sentence),
            _ => (ANSWERED.to_owned(), String::new()),
        };
        let RaisedAll { leads, not_own, .. } = raised;
        Self { datasets: Some(datasets), leads, not_own, stops, soon, told, because }
    }

    fn refused(refusal: Refusal) -> Self {
        let stops = stops(&refusal);
        let (told, because) = (refusal.reason, refusal.message);
        Self { datasets: None, leads: 0, not_own: 0, stops, soon: true, told, because }
    }

    /// Notes how an asking ended that began when the watch stood as `asked`.
    fn note(self, asked: &Watch, watch: &mut Watch, now_ms: i64) -> Result<(), Refusal> {
        watch.asked += 1;
        watch.asked_ms = now_ms;
        watch.leads += self.leads;
        watch.not_own = self.not_own;
        if let Some(datasets) = self.datasets {
            watch.datasets = datasets;
        }
        // What forbids it to one person does not stop it for another, who has renewed it meanwhile.
        if self.stops && (&watch.person, watch.until_ms) == (&asked.person, asked.until_ms) {
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
    if node.identity.is_revoked(&watch.shown) {
        return Err(Refusal::denied(
            "certificate_revoked",
            "The certificate that this watch was armed or renewed with was revoked, or is not known; somebody must \
             stand for it anew.",
        ));
    }
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

/// What became of the matches of an answer.
#[derive(Default)]
struct RaisedAll {
    /// New ones.
    leads: u64,
    /// Matches that own data do not hold.
    not_own: u32,
    /// Why some could not be raised.
    refused: Option<Refusal>,
}

async fn raise_all(node: &Arc<Node>, watch: &Watch, answer: &DeskAnswer) -> RaisedAll {
    let pattern = answer.pattern.as_ref().map(|pattern| pattern.name.clone());
    let mut all = RaisedAll::default();
    let Some((kind, matches)) = node.leads.recent.of(&answer.question_id) else { return all };
    for found in matches {
        let Some(subject) = found.subject else {
            all.not_own += 1;
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
                all.leads += 1;
            }
            Ok(RaisedAs::Known(_) | RaisedAs::Suppressed(_)) => {}
            Err(refusal) if refusal.reason == "score_below_playbook" => {}
            Err(refusal) => all.refused = Some(refusal),
        }
    }
    all
}

#[cfg(test)]
mod tests;
