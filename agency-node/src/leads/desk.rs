//! What the agency's people do with leads at their own node.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sallyport_lead::{event::What, invalid::said, lead::Lead, people::Actor};
use sallyport_trust::{
    error::Refusal,
    guard::{Act, Guard, Trail},
    identity::{Role, SpiffeId},
    policy::{Action, Attributes, Context, Permit, Request, attribute, kind},
    question::Asker,
};

use super::{Cause, Raised, RaisedAs, store};
use crate::{
    identifier::{self, Canonical, IdentifierType, canonicalise, mask},
    lookup::canonical,
    node::Node,
    resolve::hidden,
    settle::blocking,
};

/// Leads in one list, at most; the most urgent stand in it.
const LISTED_MAX: usize = 200;
pub(super) const LEADS: &str = "leads";

/// A lead with as much of its subject as the person may see.
pub(crate) struct Seen {
    pub(super) lead: Lead,
    pub(super) subject: String,
    pub(super) now_ms: i64,
}

/// A subject of whom a lawful exception is known before any lead.
pub(crate) struct Clearing {
    pub(super) playbook: String,
    pub(super) exception: String,
    pub(super) kind: IdentifierType,
    pub(super) subject: Canonical,
    pub(super) note: String,
}

/// identify person → open audit entry → authorise each lead → complete audit → show; with how many more
/// there are
pub(crate) async fn list(node: &Node, peer: SpiffeId, closed: bool) -> Result<(Vec<Seen>, usize), Refusal> {
    let person = node.person(&peer)?;
    let mut trail = node.guard.begin(Act::by(&peer, Action::Leads.as_str(), LEADS)).await?;
    let listed = readable(node, &mut trail, &person, closed);
    trail.complete(listed.as_ref().err()).await?;
    let mut listed = listed?;
    let more = listed.len().saturating_sub(LISTED_MAX);
    listed.truncate(LISTED_MAX);
    Ok((listed, more))
}

fn readable(node: &Node, trail: &mut Trail, person: &Asker, closed: bool) -> Result<Vec<Seen>, Refusal> {
    let mut leads = node.leads.store.list();
    leads.retain(|lead| closed || lead.state.is_open());
    let patterns = leads.iter().map(|lead| lead.sighting.pattern.as_deref());
    let asked = |pattern: Option<&str>| request(node, person, Action::Leads, pattern);
    let permits = permits(&node.guard, trail, patterns, asked)?;
    let readable = leads.into_iter().filter_map(|lead| {
        let permit = permits.get(&lead.sighting.pattern)?;
        Some(seen(node, lead, permit))
    });
    let mut listed: Vec<Seen> = readable.collect();
    // The open and most severe first; among them those that have waited longest.
    listed.sort_by_key(|seen| {
        let lead = &seen.lead;
        (!lead.state.is_open(), std::cmp::Reverse((lead.plan.rank, lead.sighting.qe_millionths)), lead.raised_ms())
    });
    trail.count("listed", listed.len() as u64);
    Ok(listed)
}

/// Permits to read the leads that these patterns raised, by pattern, where the policy gives one. The last
/// decision stands in the trail: it is one that permits, if any does.
///
/// # Errors
/// When no leads may be read: that there are none, too, is for those who may read them.
pub(super) fn permits<'a>(
    guard: &Guard,
    trail: &mut Trail,
    patterns: impl Iterator<Item = Option<&'a str>>,
    asked: impl Fn(Option<&str>) -> Request,
) -> Result<BTreeMap<Option<String>, Permit>, Refusal> {
    let patterns: BTreeSet<Option<&str>> = patterns.collect();
    let decided = patterns.into_iter().map(|pattern| (pattern, guard.authorise(trail, &asked(pattern))));
    let permits: BTreeMap<Option<String>, Permit> =
        decided.filter_map(|(pattern, permit)| Some((pattern.map(str::to_owned), permit.ok()?))).collect();
    let standing = permits.keys().next().and_then(Option::as_deref);
    let _permit = guard.authorise(trail, &asked(standing))?;
    Ok(permits)
}

/// identify person → open audit entry → authorise → complete audit → show
pub(crate) async fn show(node: &Node, peer: SpiffeId, id: &str) -> Result<Seen, Refusal> {
    let person = node.person(&peer)?;
    let lead = node.leads.store.get(id);
    let mut trail = node.guard.begin(about(&peer, Action::Leads, &lead)).await?;
    let shown = lead.and_then(|lead| {
        let request = request(node, &person, Action::Leads, lead.sighting.pattern.as_deref());
        let permit = node.guard.authorise(&mut trail, &request)?;
        Ok(seen(node, lead, &permit))
    });
    trail.complete(shown.as_ref().err()).await?;
    shown
}

/// identify person → open audit entry → authorise → act, durably → complete audit → show
pub(crate) async fn act(node: &Arc<Node>, peer: SpiffeId, id: String, what: What) -> Result<Seen, Refusal> {
    let person = node.person(&peer)?;
    let by = actor(&peer, &person);
    // Whoever names nobody takes it in hand themselves.
    let what = match what {
        What::Assigned { to } if to.is_empty() => What::Assigned { to: by.name.clone() },
        what => what,
    };
    let lead = node.leads.store.get(&id);
    let mut trail = node.guard.begin(about(&peer, Action::Pursue, &lead)).await?;
    let worked = async {
        let request = request(node, &person, Action::Pursue, lead?.sighting.pattern.as_deref());
        let permit = node.guard.authorise(&mut trail, &request)?;
        if let What::Assigned { to } = &what
            && *to != by.name
        {
            may_pursue(node, &mut trail, &peer, to, &request)?;
            trail.under(&permit);
        }
        trail.tell(what.name());
        let (acting, now_ms) = (node.clone(), node.clock.now_ms());
        let lead = blocking(move || acting.leads.act(&id, by, what, now_ms)).await??;
        Ok(seen(node, lead, &permit))
    }
    .await;
    trail.complete(worked.as_ref().err()).await?;
    worked
}

/// Refuses to give a lead to somebody who may not act on it: its clock would stop, and nothing would happen.
fn may_pursue(node: &Node, trail: &mut Trail, peer: &SpiffeId, to: &str, asked: &Request) -> Result<(), Refusal> {
    let Role::User { agency, .. } = &peer.role else { return Ok(()) };
    let role = Role::User { agency: agency.clone(), name: to.to_owned() };
    let Some(colleague) = node.colleague(&SpiffeId { federation: peer.federation.clone(), role }) else {
        // Nobody of the name: the lead says so.
        return Ok(());
    };
    let request = Request { subject: colleague.into_iter().collect(), ..asked.clone() };
    let may = node.guard.authorise(trail, &request).map(drop);
    may.map_err(|_| {
        Refusal::denied(
            "assignee_may_not_pursue",
            format!("`{to}` may not pursue this lead under this node's rules; assign it to somebody who may."),
        )
    })
}

/// identify person → open audit entry → authorise → find the match in the person's own answer → raise,
/// durably → complete audit → show
pub(crate) async fn raise(
    node: &Arc<Node>,
    peer: SpiffeId,
    (question, rank): (&str, u32),
    playbook: Option<String>,
) -> Result<RaisedAs, Refusal> {
    let person = node.person(&peer)?;
    let act = Act::by(&peer, Action::Pursue.as_str(), LEADS).about(question.parse().ok());
    let mut trail = node.guard.begin(act).await?;
    let worked = async {
        let now_ms = node.clock.now_ms();
        let chosen = node.leads.recent.choose(&peer.to_string(), question, rank, now_ms);
        let pattern = chosen.as_ref().ok().and_then(|chosen| chosen.pattern.as_deref());
        let _permit = node.guard.authorise(&mut trail, &request(node, &person, Action::Pursue, pattern))?;
        let chosen = chosen?;
        let raised = Raised {
            cause: Cause::Person { by: actor(&peer, &person), pattern: chosen.pattern, playbook },
            question: question.to_owned(),
            kind: chosen.kind,
            subject: chosen.subject,
            qe_millionths: chosen.qe_millionths,
            evidence: chosen.evidence,
            at_ms: now_ms,
        };
        let raising = node.clone();
        let raised = blocking(move || raising.leads.raise(raised)).await??;
        trail.tell(match &raised {
            RaisedAs::New(_) => "raised",
            RaisedAs::Known(_) => "known",
            RaisedAs::Suppressed(_) => "suppressed",
        });
        Ok(raised)
    }
    .await;
    trail.complete(worked.as_ref().err()).await?;
    worked
}

/// identify person → validate → open audit entry → authorise → keep, durably → complete audit → show
pub(crate) async fn clear(node: &Arc<Node>, peer: SpiffeId, clearing: Clearing) -> Result<i64, Refusal> {
    let person = node.person(&peer)?;
    said(&clearing.note).map_err(store::refusal)?;
    let mut trail = node.guard.begin(Act::by(&peer, Action::Pursue.as_str(), LEADS)).await?;
    let worked = async {
        let _permit = node.guard.authorise(&mut trail, &request(node, &person, Action::Pursue, None))?;
        trail.tell("cleared");
        let (by, acting, now_ms) = (actor(&peer, &person), node.clone(), node.clock.now_ms());
        blocking(move || acting.leads.clear(&by, clearing, now_ms)).await?
    }
    .await;
    trail.complete(worked.as_ref().err()).await?;
    worked
}

/// A subject as a person wrote it.
pub(super) fn subject(node: &Node, kind: &str, text: String) -> Result<(IdentifierType, Canonical), Refusal> {
    let (kind, subjects) = canonical(node, kind, &[text])?;
    let subject = subjects.into_iter().next();
    Ok((kind, subject.ok_or_else(|| Refusal::bad_input("identifier_unusable", "Name a subject."))?))
}

fn about(peer: &SpiffeId, action: Action, lead: &Result<Lead, Refusal>) -> Act {
    match lead {
        Ok(lead) => {
            Act::by(peer, action.as_str(), &format!("lead {}", lead.id)).about(lead.sighting.question.parse().ok())
        }
        Err(_) => Act::by(peer, action.as_str(), LEADS),
    }
}

/// What the policy decides about: leads, and the watches that raise them.
pub(crate) fn request(node: &Node, person: &Asker, action: Action, pattern: Option<&str>) -> Request {
    let mut resource = Attributes::new().with(attribute::KIND, kind::LEAD).with(attribute::OWNER, node.agency.clone());
    if let Some(pattern) = pattern {
        let unversioned = pattern.split_once('@').map_or(pattern, |(name, _)| name);
        resource = resource.with(attribute::PATTERN, unversioned);
    }
    let context = Context { at_ms: node.clock.now_ms(), ..Context::default() };
    Request { subject: person.clone().into_iter().collect(), resource, action, context }
}

fn actor(peer: &SpiffeId, person: &Asker) -> Actor {
    Actor { name: name_of(peer), role: person.get(attribute::ROLE).cloned().unwrap_or_default() }
}

/// Somebody by their name among the agency's people.
pub(crate) fn name_of(peer: &SpiffeId) -> String {
    match &peer.role {
        Role::User { name, .. } => name.clone(),
        _ => peer.to_string(),
    }
}

fn seen(node: &Node, lead: Lead, permit: &Permit) -> Seen {
    let shown = lead.sighting.subject_kind.parse().ok().and_then(|kind: IdentifierType| {
        let subject = canonicalise(kind, &lead.sighting.subject, &identifier::Context::default()).ok()?;
        Some(mask(kind, &subject, hidden(permit)))
    });
    Seen { subject: shown.unwrap_or_default(), now_ms: node.clock.now_ms(), lead }
}

#[cfg(test)]
mod tests {
    use sallyport_trust::{audit::AuditLog, clock::Clock, policy::PolicyStore};

    use super::*;

    const RULES: &str = r#"
[[rule]]
id = "some-leads"
effect = "allow"
actions = ["leads"]
[rule.subject]
role = { equals = "analyst" }
[rule.resource]
kind = { equals = "lead" }
pattern = { equals = "cbp.m" }
"#;
    const CASES: &str = r#"
[subjects.nobody]
role = "none"
[resources.leads]
kind = "lead"
owner = "cbp"
[[case]]
name = "nobody reads"
subject = "nobody"
resource = "leads"
action = "leads"
decision = "deny"
reason = "no_rule_allows"
"#;

    fn asked(pattern: Option<&str>) -> Request {
        let resource = Attributes::new().with(attribute::KIND, kind::LEAD).with(attribute::OWNER, "cbp");
        Request {
            subject: Attributes::new().with(attribute::ROLE, "analyst"),
            resource: pattern.into_iter().fold(resource, |resource, name| resource.with(attribute::PATTERN, name)),
            action: Action::Leads,
            context: Context::default(),
        }
    }

    /// Patterns that may be read of those that raised leads, or the reason why none; and what the log says.
    async fn read(patterns: &[Option<&str>]) -> (Result<Vec<Option<String>>, String>, String) {
        let directory = tempfile::tempdir().unwrap();
        let policies = directory.path().join("policies");
        std::fs::create_dir(&policies).unwrap();
        let model = include_str!("../../../policies/model.conf");
        for (name, text) in [("rules.toml", RULES), ("cases.toml", CASES), ("model.conf", model)] {
            std::fs::write(policies.join(name), text).unwrap();
        }
        let clock = Clock::manual(chrono::DateTime::UNIX_EPOCH);
        let log = directory.path().join("audit");
        let audit = AuditLog::open(&log, "f.test/cbp", clock.clone()).unwrap();
        let guard = Guard::new(PolicyStore::open(&policies).unwrap(), audit, clock);
        let peer = "spiffe://f.test/agency/cbp/user/ana".parse().unwrap();
        let mut trail = guard.begin(Act::by(&peer, Action::Leads.as_str(), LEADS)).await.unwrap();
        let permits = permits(&guard, &mut trail, patterns.iter().copied(), asked);
        trail.complete(permits.as_ref().err()).await.unwrap();
        guard.close().await.unwrap();
        let entries = std::fs::read_dir(log.join("tile/entries/000.p")).unwrap();
        let entries = entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        let logged = entries.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect();
        (permits.map(|permits| permits.into_keys().collect()).map_err(|refusal| refusal.reason), logged)
    }

    #[tokio::test]
    async fn the_decision_that_stands_is_the_one_that_let_leads_be_read() {
        let (read_of, logged) = read(&[Some("cbp.z"), Some("cbp.m"), None, Some("cbp.m"), Some("cbp.a")]).await;
        assert_eq!(read_of.unwrap(), [Some("cbp.m".to_owned())]);
        assert!(logged.contains(r#""decision":"allow""#) && logged.contains("some-leads"), "{logged}");
        assert!(!logged.contains("cbp.z") && !logged.contains(r#""decision":"deny""#), "{logged}");
        for none in [&[Some("cbp.z")][..], &[]] {
            let (refused, logged) = read(none).await;
            assert_eq!(refused.unwrap_err(), "missing_attribute", "no rule is about leads of no pattern");
            assert!(logged.contains(r#""decision":"deny""#), "{logged}");
        }
    }
}
