//! A notice as e-mail (RFC 5322): a file that appears whole in a directory, from which a mail server sends.

use std::io;

use chrono::{DateTime, SecondsFormat, Utc};

use super::Message;
use crate::{disk, leads::settings::Mail};

/// Puts the e-mail into the directory; the same message always under the same name.
pub(super) fn drop_in(mail: &Mail, message: &Message) -> io::Result<()> {
    disk::replace(&mail.directory.join(format!("{}.eml", message.id)), text(mail, message).as_bytes())
}

fn text(mail: &Mail, message: &Message) -> String {
    let to: Vec<String> = message.people.iter().map(|name| format!("{name}@{}", mail.domain)).collect();
    let date = DateTime::<Utc>::from_timestamp_millis(message.at_ms).unwrap_or_default().to_rfc2822();
    let said = said(message);
    let mut lines = vec![
        format!("From: {}", mail.from),
        // Folded, as a line may not be longer than 998 characters.
        format!("To: {}", to.join(",\r\n ")),
        format!("Date: {date}"),
        format!("Message-ID: <{}@{}>", message.id, mail.domain),
        format!("Subject: [sallyport] {}: {said}", message.severity),
        "MIME-Version: 1.0".to_owned(),
        "Content-Type: text/plain; charset=utf-8".to_owned(),
        "Content-Transfer-Encoding: 8bit".to_owned(),
        "Auto-Submitted: auto-generated".to_owned(),
        String::new(),
        format!("{}.", message.title),
        format!("Lead {} ({}) is for {}: {said}.", message.lead, message.severity, message.to),
        String::new(),
    ];
    lines.extend(message.due_ms.iter().map(|(clock, due_ms)| format!("{clock} by {}", moment(*due_ms))));
    lines.push(String::new());
    lines.push(format!("sallyport lead show {}", message.lead));
    lines.join("\r\n") + "\r\n"
}

fn said(message: &Message) -> String {
    let (lead, clock, level) = (&message.lead, &message.clock, message.level);
    match message.about.as_str() {
        "raised" => format!("lead {lead} was raised"),
        "assigned" => format!("lead {lead} was given to you"),
        "missed" => format!("lead {lead} missed its time to {clock}"),
        _ => format!("lead {lead} escalates to you, step {level}, as it missed its time to {clock}"),
    }
}

fn moment(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}
