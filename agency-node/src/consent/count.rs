//! How much of a data set a held question is about, for the people who decide.

use std::sync::Arc;

use sallyport_trust::{
    error::Refusal,
    policy::Permit,
    question::{Indicator, OpenedIndicator, OpenedQuestion},
};

use crate::{
    dataset::{Dataset, Identifier},
    holdings::{Counting, HoldingsError, RECORD, Scan},
    identifier::IdentifierType,
    link,
    linkage::epochs::Agreed,
    node::Node,
};

/// Rows, and different subjects, that the window and the filter leave; for a look-up, among those whom
/// its ranges hide.
pub(super) async fn count(
    node: &Arc<Node>,
    agreed: &Agreed,
    question: &OpenedQuestion,
    (part, indicator): (&OpenedIndicator, &Indicator),
    permit: &Permit,
) -> Result<(u64, u64), Refusal> {
    let header = &question.header;
    if let Some(tally) = &indicator.tally {
        let wanted = Counting { tally, window: header.window.and(indicator.window), filter: &indicator.filter };
        return Ok((node.holdings.count(permit, &indicator.dataset, &wanted).await?.rows, 0));
    }
    let mut scan = Scan {
        identifier: RECORD,
        window: header.window.and(indicator.window),
        filter: &indicator.filter,
        within: None,
        strength_of: indicator.measure.strength_of(),
    };
    let holding = if header.is_of_persons() {
        node.holdings.fold_records(permit, &indicator.dataset, &scan).await?.1
    } else {
        let identifier = identifier(node.holdings.dataset(&indicator.dataset)?, &header.subject, part, indicator)?;
        let narrowed = match part {
            OpenedIndicator::Link(part) => part.own_list || link::is_narrowed(header, part),
            _ => header.is_lookup(),
        };
        let within = narrowed.then(|| node.hidden_among(identifier.kind, agreed, &header.ranges));
        scan.identifier = &identifier.name;
        scan.within = within.as_deref();
        node.holdings.fold(permit, &indicator.dataset, &scan).await?
    };
    Ok((holding.rows, holding.subjects.len() as u64))
}

fn identifier<'a>(
    dataset: &'a Dataset,
    subject: &str,
    part: &OpenedIndicator,
    indicator: &Indicator,
) -> Result<&'a Identifier, Refusal> {
    if let OpenedIndicator::Link(part) = part {
        return link::identifier_of(dataset, subject, part);
    }
    let subject = IdentifierType::asked(subject)?;
    Ok(dataset.identifier_for(subject, &indicator.identifier).map_err(HoldingsError::Identifier)?)
}
