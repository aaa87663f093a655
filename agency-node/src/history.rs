//! A subject's events with the days before the window, and what is unusual about them.

use sallyport_trust::{
    error::Refusal,
    policy::Permit,
    question::{Header, Indicator, Measure, Window, baseline_from_ms},
};

use crate::{
    behaviour::{Behaviour, Periods, behaviour},
    dataset::Dataset,
    holdings::{EventScan, Events, HoldingsError, NEVER, Scan},
    node::Node,
};

/// Events of the window, and of the baseline if the measure looks at one.
pub(crate) struct History {
    pub(crate) events: Events,
    /// For measures of behaviour.
    pub(crate) behaviour: Option<Behaviour>,
    pub(crate) window: Window,
    /// What the owner's records cannot tell about the window; empty when they can tell all.
    pub(crate) unrecorded: Option<String>,
}

impl History {
    /// True for events that are asked for, false for the baseline's.
    pub(crate) fn is_in_window(&self, event: usize) -> bool {
        let moment_ms = self.events.moments_ms[event];
        moment_ms == NEVER || self.window.from_ms.is_none_or(|from_ms| moment_ms >= from_ms)
    }
}

/// Reads and measures.
pub(crate) async fn history(
    node: &Node,
    permit: &Permit,
    header: &Header,
    indicator: &Indicator,
    identifier: &str,
    within: Option<&[u32]>,
) -> Result<History, Refusal> {
    let dataset = node.holdings.dataset(&indicator.dataset)?;
    let contact = contact_of(dataset, indicator)?;
    let window = header.window.and(indicator.window);
    let baseline = window.from_ms.zip(indicator.measure.baseline_days());
    let from_ms = baseline.map(|(from_ms, days)| baseline_from_ms(from_ms, days)).or(window.from_ms);
    let wanted = EventScan {
        scan: Scan {
            identifier,
            window: Window { from_ms, ..window },
            filter: &indicator.filter,
            within,
            strength_of: None,
        },
        contact,
        both_ways: indicator.both_ways,
        of: match &indicator.measure {
            Measure::Rarity { of, .. } => Some(of),
            _ => None,
        },
    };
    let events = node.holdings.events(permit, &indicator.dataset, &wanted).await?;
    if !indicator.measure.is_behaviour() {
        return Ok(History { events, behaviour: None, window, unrecorded: None });
    }
    let (oldest_ms, newest_ms) = node
        .holdings
        .manifest(&dataset.name)
        .and_then(|manifest| manifest.oldest_ms.zip(manifest.newest_ms))
        .unwrap_or((0, 0));
    let recorded = |from_ms: i64, until_ms: i64| {
        dataset.coverage.recorded_ms(from_ms.max(oldest_ms), until_ms.min(newest_ms.saturating_add(1)))
    };
    let until_ms = window.until_ms.unwrap_or(header.issued_at_ms);
    let window_from_ms = window.from_ms.unwrap_or(oldest_ms);
    let periods = Periods {
        window_from_ms,
        baseline_recorded_ms: recorded(from_ms.unwrap_or(oldest_ms), window_from_ms),
        window_recorded_ms: recorded(window_from_ms, until_ms),
    };
    let measure = indicator.measure.clone();
    let measured = tokio::task::spawn_blocking(move || behaviour(events, &measure, &periods));
    let (events, behaviour) = measured.await.map_err(|error| Refusal::internal("measuring_failed", &error))?;
    Ok(History { events, behaviour: Some(behaviour), window, unrecorded: unrecorded(&periods, until_ms) })
}

fn contact_of<'a>(dataset: &'a Dataset, indicator: &Indicator) -> Result<Option<&'a str>, Refusal> {
    if indicator.contact.is_empty() {
        return Ok(None);
    }
    let contact = dataset.identifier.iter().find(|identifier| identifier.name == indicator.contact);
    let contact = contact.ok_or_else(|| {
        HoldingsError::Identifier(format!("`{}` has no identifier `{}`.", dataset.name, indicator.contact))
    })?;
    let subject = dataset.identifier.iter().find(|identifier| identifier.name == indicator.identifier);
    if indicator.both_ways && subject.is_some_and(|subject| subject.kind != contact.kind) {
        return Err(Refusal::bad_input(
            "both_ways_types",
            "`both_ways` needs a contact of the same type as the subject.",
        ));
    }
    Ok(Some(&contact.name))
}

fn unrecorded(periods: &Periods, until_ms: i64) -> Option<String> {
    let whole = until_ms.saturating_sub(periods.window_from_ms).max(1);
    let percent = 100 - (100 * i128::from(periods.window_recorded_ms) / i128::from(whole)).clamp(0, 100);
    (percent > 0)
        .then(|| format!("{percent} % of the window was not recorded; it counts neither as quiet nor as usual"))
}
