//! Which of this node's rows were released, written down at their owner.
//!
//! Before rows leave, the question is taken from its budgets and its account is awaited. The gateway's
//! account says afterwards which rows were released: it is acknowledged when every score is counted for
//! its subject and disclosed in the books.

use std::sync::Arc;

use sallyport_join::keys::QuestionKeys;
use sallyport_proto::node::v1::AccountRequest;
use sallyport_trust::{
    error::{Kind, Refusal},
    guard::{Act, Trail},
    identity::SpiffeId,
    policy::{Action, Attributes, Context, Permit, Request, attribute, kind},
    question::{COUNTS, OpenedQuestion, PERSON, QuestionId, TOP_MAX},
};

use sha2::{Digest, Sha256};

use crate::{
    about::About,
    awaited::{Contribution, Released},
    budget::{Asking, Standing},
    identifier::IdentifierType,
    node::Node,
};

const DAY_MS: i64 = 86_400_000;

/// Who asks what, as budgets look at it.
pub(crate) fn asking(question: &OpenedQuestion, index: usize) -> Asking<'_> {
    let header = &question.header;
    Asking {
        person: header.asker.get(attribute::FEDERATION_ID).map_or("", String::as_str),
        agency: &header.home_agency,
        purpose: &header.purpose,
        looked_up: header.looked_up,
        gist: question.gist(index),
    }
}

/// What counts once in budgets: a question, however many of the node's data sets it asks; and each part of a question
/// of counts, which can be taken from each other.
pub(crate) fn charged(question: &OpenedQuestion, index: usize) -> QuestionId {
    if !question.header.is_of_counts() {
        return question.id;
    }
    let mut digest = Sha256::new_with_prefix("sallyport counts part v1");
    digest.update(question.id.0);
    digest.update((index as u64).to_be_bytes());
    QuestionId(digest.finalize().into())
}

/// Takes the question from its budgets and awaits its account, both durable before any row leaves; what
/// is left of the budgets. A list of the own person's costs nothing.
pub(crate) async fn open(node: &Arc<Node>, question: &OpenedQuestion, index: usize) -> Result<Vec<Standing>, Refusal> {
    let now_ms = node.clock.now_ms();
    let Some(contribution) = Contribution::of(question, index, now_ms) else { return Ok(Vec::new()) };
    let (node, question) = (node.clone(), question.clone());
    blocking(move || {
        let left = node.books.budgets.take(&charged(&question, index), &asking(&question, index), now_ms)?;
        node.books.awaited.expect(contribution)?;
        Ok(left)
    })
    .await
}

/// identify gateway → open audit entry → authorise → find the own subjects → count and disclose →
/// complete audit
pub(crate) async fn account(node: &Arc<Node>, peer: SpiffeId, released: AccountRequest) -> Result<(), Refusal> {
    node.only_gateway(&peer)?;
    let id = QuestionId(released.question_id.as_slice().try_into().map_err(|_| unknown())?);
    let contribution = node.books.awaited.take(id, released.part as usize).ok_or_else(unknown)?;
    let dataset = if contribution.dataset.is_empty() { "own list" } else { &contribution.dataset };
    let act = Act::by(&peer, "account", dataset)
        .because(&contribution.purpose, &contribution.case_number, &contribution.reason)
        .about(Some(id));
    let mut trail = match node.guard.begin(act).await {
        Ok(trail) => trail,
        Err(refusal) => {
            node.books.awaited.put_back(contribution);
            return Err(refusal);
        }
    };
    let worked = match told(node, &mut trail, &contribution, &released.keys).await {
        Ok(released) => write_down(node, &mut trail, contribution, released).await,
        Err(refusal) => {
            // A gateway that tells nonsense still owes the account.
            node.books.awaited.put_back(contribution);
            Err(refusal)
        }
    };
    trail.complete(worked.as_ref().err()).await?;
    worked
}

/// What the gateway's keys mean here.
async fn told(
    node: &Arc<Node>,
    trail: &mut Trail,
    contribution: &Contribution,
    keys: &[Vec<u8>],
) -> Result<Released, Refusal> {
    if keys.len() > TOP_MAX as usize {
        return Err(Refusal::bad_input("too_many_keys", "More rows than a question may release."));
    }
    let now_ms = node.clock.now_ms();
    let request = Request {
        subject: Attributes::new().with(attribute::ROLE, "gateway"),
        resource: Attributes::new().with(attribute::KIND, kind::AUDIT).with(attribute::OWNER, node.agency.clone()),
        action: Action::Account,
        context: Context { at_ms: now_ms, ..Context::default() },
    };
    let permit = node.guard.authorise(trail, &request)?;
    let rows = own_rows(node, contribution, keys, &permit).await?;
    trail.count("released", keys.len() as u64);
    trail.count("released_own_rows", rows.len() as u64);
    let mut about: Vec<About> = rows.into_iter().flatten().collect();
    about.sort_unstable();
    about.dedup();
    let life_ends_ms = life_ends_ms(node, &contribution.dataset, now_ms);
    Ok(Released { at_ms: now_ms, keep_until_ms: node.books.disclosures.keep_until_ms(now_ms, life_ends_ms), about })
}

/// Into the books; the audit log says where the sealed disclosures are and what they hash to.
async fn write_down(
    node: &Arc<Node>,
    trail: &mut Trail,
    contribution: Contribution,
    released: Released,
) -> Result<(), Refusal> {
    let node = node.clone();
    if let Some(written) = blocking(move || node.books.write_down(contribution, released)).await? {
        trail.count("disclosures_day", u64::from(written.day));
        trail.count("disclosures_from_byte", written.from);
        trail.count("disclosures_bytes", written.bytes);
        trail.tell(&format!("disclosures_sha256_{}", written.digest));
    }
    Ok(())
}

/// When the last record of a data set will be gone: its newest row by the retention that the owner
/// declares; nothing for one that is kept without limit.
fn life_ends_ms(node: &Node, dataset: &str, now_ms: i64) -> Option<i64> {
    let days = node.holdings.dataset(dataset).ok()?.retention_days;
    let newest_ms = node.holdings.manifest(dataset).and_then(|manifest| manifest.newest_ms).unwrap_or(now_ms);
    (days > 0).then(|| newest_ms.saturating_add(i64::from(days) * DAY_MS))
}

/// Of each key that is of this node's own rows, whom the row is about.
async fn own_rows(
    node: &Node,
    contribution: &Contribution,
    keys: &[Vec<u8>],
    permit: &Permit,
) -> Result<Vec<Vec<About>>, Refusal> {
    if contribution.subject == COUNTS {
        return Ok(Vec::new());
    }
    let keys = keys.iter().filter_map(|key| <[u8; 16]>::try_from(key.as_slice()).ok());
    let question = contribution.question();
    if contribution.subject == PERSON {
        let dataset = node.holdings.dataset(&contribution.dataset)?;
        let records = node.holdings.records(permit, dataset).await?;
        let pseudonyms = node.holdings.pseudonyms.of(&question.0, &dataset.name);
        let numbers = keys.filter_map(|key| pseudonyms.record(u128::from_be_bytes(key)));
        let own = numbers.filter(|number| u64::from(*number) < records.count());
        return Ok(own.map(|number| About::record(&dataset.name, records.keys(number))).collect());
    }
    let agreed = node.epochs.with_digest(&contribution.epoch).ok_or_else(unknown)?;
    let subject: IdentifierType = contribution.subject.parse().map_err(|_| unknown())?;
    let names = QuestionKeys::derive(&agreed.secret, &question.0, contribution.minimum_datasets);
    // Whom its rows met may be of a type of which it holds nobody.
    let Some(order) = agreed.order(subject) else { return Ok(Vec::new()) };
    let own = keys.filter_map(|key| order.subject(&agreed.locators, names.tag_of(&key)));
    Ok(own.map(|number| vec![About::Subject(subject, number)]).collect())
}

/// The disk is waited for on a thread that answers no calls.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Refusal> + Send + 'static) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Refusal::internal("books_failed", &error))?
}

fn unknown() -> Refusal {
    Refusal::new(Kind::NotFound, "question_unknown", "This node did not contribute to that question lately.")
}
