//! What is wrong with playbooks. All of it is told at once, so that it can be put right at once.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Band, PLAYBOOK_BYTES_MAX, PLAYBOOKS_MAX, Playbook, Problem, TEXT_BYTES_MAX, chain,
    plan::{Exception, Plan},
    ranges,
    written::{Severity, Written, WrittenException},
};
use crate::people::{People, Who};

/// How long a confirmed exception lasts at most, in milliseconds: five years.
const RULING_MS_MAX: i64 = 5 * 366 * 86_400_000;

/// Problems of one file as they are found.
pub(super) struct Report<'a> {
    file: &'a str,
    people: Option<&'a People>,
    problems: Vec<Problem>,
}

impl Report<'_> {
    pub(super) fn add(&mut self, place: &str, reason: &'static str, message: &str) {
        self.add_at(place.to_owned(), reason, message.to_owned());
    }

    pub(super) fn add_at(&mut self, place: String, reason: &'static str, message: String) {
        self.problems.push(Problem { file: self.file.to_owned(), place, reason, message });
    }

    /// Somebody is named who must exist.
    pub(super) fn who(&mut self, place: &str, who: &Who) {
        let Some(people) = self.people else { return };
        match who {
            Who::Person(name) if !people.has(name) => self.add(
                place,
                "person_unknown",
                &format!("`{name}` is not among the people of the node; correct the name or add them as [[person]]."),
            ),
            Who::Role(role) if people.names(who).is_empty() => self.add(
                place,
                "role_unfilled",
                &format!("Nobody of the node's people has the role `{role}`; give it to somebody or name another."),
            ),
            _ => {}
        }
    }

    fn text(&mut self, place: &str, what: &str, text: &str) {
        let written = !text.trim().is_empty() && text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control);
        if !written {
            self.add(
                place,
                "playbook_text",
                &format!("{what} must be written, in one line of at most {TEXT_BYTES_MAX} bytes."),
            );
        }
    }

    fn name(&mut self, place: &str, name: &str) {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
            self.add(place, "playbook_name", "A name is written with a-z, 0-9, - _ . and has at most 64 characters.");
        }
    }
}

/// Reads all files; playbooks only when nothing is wrong with any of them.
pub(super) fn read<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
    people: Option<&People>,
) -> Result<Vec<Playbook>, Vec<Problem>> {
    let (mut books, mut problems) = (Vec::new(), Vec::new());
    for (number, (file, text)) in files.into_iter().enumerate() {
        let mut report = Report { file, people, problems: Vec::new() };
        if number >= PLAYBOOKS_MAX {
            report.add("", "too_many_playbooks", &format!("An agency has at most {PLAYBOOKS_MAX} playbooks."));
            problems.append(&mut report.problems);
            break;
        }
        match parse(text) {
            Ok(book) => {
                check(&book, &mut report);
                books.push((file, book));
            }
            Err(message) => report.add("", "playbook_unreadable", &message),
        }
        problems.append(&mut report.problems);
    }
    problems.extend(shared(&books));
    if problems.is_empty() { Ok(books.iter().map(|(_, book)| playbook(book)).collect()) } else { Err(problems) }
}

fn parse(text: &str) -> Result<Written, String> {
    if text.len() > PLAYBOOK_BYTES_MAX {
        return Err(format!("A playbook has at most {} KiB.", PLAYBOOK_BYTES_MAX / 1024));
    }
    toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())
}

fn check(book: &Written, report: &mut Report<'_>) {
    report.name("", &book.name);
    report.text("", "title", &book.title);
    if book.patterns.is_empty() && book.watches.is_empty() {
        report.add("", "covers_nothing", "Say what it is for: patterns = [\"AGENCY.NAME\"] or watches = [\"NAME\"].");
    }
    for pattern in book.patterns.iter().filter(|pattern| !is_pattern(pattern)) {
        report.add("", "pattern_name", &format!("`{pattern}` is no pattern: write AGENCY.NAME without a version."));
    }
    if book.severity.is_empty() {
        report.add("", "no_severity", "Write at least one [[severity]] that says who acts, what they do and by when.");
    }
    let mut named = BTreeSet::new();
    let names = book.severity.iter().map(|severity| ("severity", &severity.name));
    let names = names.chain(book.escalation.iter().map(|escalation| ("escalation", &escalation.name)));
    for (kind, name) in names.chain(book.exception.iter().map(|exception| ("exception", &exception.name))) {
        let place = format!("{kind} `{name}`");
        report.name(&place, name);
        if !named.insert((kind, name)) {
            report.add(&place, "name_twice", "Another one has the same name; rename one.");
        }
    }
    ranges::check(book, report);
    chain::check(book, report);
    book.severity.iter().for_each(|severity| severity_is_whole(book, severity, report));
    book.exception.iter().for_each(|exception| exception_is_whole(exception, report));
}

fn is_pattern(name: &str) -> bool {
    matches!(name.split_once('.'), Some((agency, name)) if !agency.is_empty() && !name.is_empty())
        && !name.contains(['@', ' '])
}

fn severity_is_whole(book: &Written, severity: &Severity, report: &mut Report<'_>) {
    let place = format!("severity `{}`", severity.name);
    match &severity.who {
        Some(who) => report.who(&place, who),
        None => report.add(
            &place,
            "severity_without_actor",
            "Say who acts: who = { role = \"ROLE\" } or { person = \"NAME\" }.",
        ),
    }
    if severity.steps.is_empty() {
        report.add(&place, "severity_without_steps", "Say what to do, in words: steps = [\"…\"].");
    }
    severity.steps.iter().for_each(|step| report.text(&place, "a step", step));
    match (severity.acknowledge_within, severity.pursue_within) {
        (Some(acknowledge), Some(pursue)) if acknowledge > pursue => report.add(
            &place,
            "deadlines_crossed",
            "A lead is taken in hand before it is pursued: acknowledge_within must not be longer than pursue_within.",
        ),
        (Some(_), Some(_)) => {}
        _ => report.add(
            &place,
            "severity_without_deadline",
            "Say by when: acknowledge_within = \"15m\" and pursue_within = \"2h\".",
        ),
    }
    chain::check_of(book, severity, report.people, report);
}

fn exception_is_whole(exception: &WrittenException, report: &mut Report<'_>) {
    let place = format!("exception `{}`", exception.name);
    report.text(&place, "title", &exception.title);
    report.text(&place, "check", &exception.check);
    if exception.confirmed_by.is_empty() {
        report.add(
            &place,
            "exception_unconfirmable",
            "Nobody can confirm it: confirmed_by = [{ role = \"ROLE\" }] or [{ person = \"NAME\" }].",
        );
    }
    exception.confirmed_by.iter().for_each(|who| report.who(&place, who));
    if exception.clears_for.is_none_or(|period| period.ms() > RULING_MS_MAX) {
        report.add(
            &place,
            "exception_without_end",
            "Say how long a confirmation lasts, at most five years: clears_for = \"7d\".",
        );
    }
}

/// What two playbooks must not have in common.
fn shared(books: &[(&str, Written)]) -> Vec<Problem> {
    let mut first: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let mut problems = Vec::new();
    for (file, book) in books {
        let name = [("name", book.name.as_str(), "playbook_twice")].into_iter();
        let patterns = book.patterns.iter().map(|pattern| ("pattern", pattern.as_str(), "covered_twice"));
        let watches = book.watches.iter().map(|watch| ("watch", watch.as_str(), "covered_twice"));
        for (kind, named, reason) in name.chain(patterns).chain(watches) {
            if let Some(other) = first.insert((kind, named), file) {
                let message = format!("The {kind} `{named}` also stands in {other}; keep it in one of them.");
                problems.push(Problem { file: (*file).to_owned(), place: String::new(), reason, message });
            }
        }
    }
    problems
}

/// The playbook of what was checked.
fn playbook(book: &Written) -> Playbook {
    let exceptions: Vec<Exception> = book.exception.iter().map(exception).collect();
    let mut severities: Vec<(u32, &Severity, &Who)> = book
        .severity
        .iter()
        .filter_map(|severity| Some((ranges::millionths(severity.from_qe)?, severity, severity.who.as_ref()?)))
        .collect();
    severities.sort_by_key(|(from_qe, ..)| *from_qe);
    let bands = severities.into_iter().zip(0..).map(|((from_qe, severity, who), rank)| Band {
        from_qe,
        plan: Plan {
            playbook: book.name.clone(),
            title: book.title.clone(),
            severity: severity.name.clone(),
            rank,
            who: who.clone(),
            steps: severity.steps.clone(),
            acknowledge_ms: severity.acknowledge_within.map_or(0, |period| period.ms()),
            pursue_ms: severity.pursue_within.map_or(0, |period| period.ms()),
            conclude_ms: severity.conclude_within.map(|period| period.ms()),
            chain: chain::steps(book, severity),
            exceptions: exceptions.clone(),
        },
    });
    Playbook {
        name: book.name.clone(),
        title: book.title.clone(),
        patterns: book.patterns.clone(),
        watches: book.watches.clone(),
        bands: bands.collect(),
    }
}

fn exception(written: &WrittenException) -> Exception {
    Exception {
        name: written.name.clone(),
        title: written.title.clone(),
        check: written.check.clone(),
        confirmed_by: written.confirmed_by.clone(),
        clears_ms: written.clears_for.map_or(0, |period| period.ms()),
    }
}
