//! A recorded action as an event of the Open Cybersecurity Schema Framework, version 1.3.0.
//!
//! The class is *API Activity* (category 6, *Application Activity*; `class_uid` 6003). One action is one
//! event; fields that have no value are left out.
//!
//! | OCSF | from the log |
//! |---|---|
//! | `time`, `start_time` | time of the opening, milliseconds since 1970 |
//! | `end_time`, `duration` | time of the completion, and milliseconds between the two |
//! | `activity_id`, `activity_name` | 2 `Read` for everything that reads (`ask`, `look_up`, `contribute`, `catalog`, `describe`, `audit_…`), 1 `Create` for `feed`, 99 `Other` else |
//! | `type_uid`, `type_name` | 600300 + `activity_id` |
//! | `severity_id` | 1 `Informational`: what deserves more is for the reader to say |
//! | `status_id`, `status` | 1 `Success` when answered, 2 `Failure` when denied, failed, timed out, cancelled or abandoned, 99 `Other` when held or open |
//! | `status_code`, `status_detail` | outcome, and its stable reason |
//! | `actor.user.uid`, `.name`, `.org.uid` | SPIFFE ID, name and agency of a person; of a process `actor.app_uid` |
//! | `actor.authorizations[0].decision` | decision of the policy |
//! | `actor.authorizations[0].policy` | `name` the rule, `uid` the policy's hash |
//! | `src_endpoint.name` | SPIFFE ID of the peer that brought the request |
//! | `api.operation` | action |
//! | `api.request.uid` | name of the action |
//! | `api.service.name` | name of the log, which is that of the party |
//! | `resources[0].name` | resource |
//! | `metadata.uid`, `.sequence` | name of the action, index of its opening |
//! | `metadata.correlation_uid` | question: the same at every party |
//! | `metadata.log_name` | name of the log |
//! | `unmapped` | `purpose`, `case_number`, `reason`, `obligations`, `counts`, `completion_entry` |

use sallyport_trust::{
    audit::{Outcome, action::RecordedAction, query::outcome_word},
    identity::{Role, SpiffeId},
};
use serde_json::{Map, Value, json};

const VERSION: &str = "1.3.0";
const CLASS_UID: u32 = 6003;

/// The event of an action that the log `log_name` records.
pub(super) fn event(action: &RecordedAction, log_name: &str) -> Value {
    let said = &action.opening.said;
    let (activity_id, activity_name) = activity(&said.action);
    let (status_id, status) = status(action.outcome());
    let completion = action.completion.as_ref();
    let end_ms = completion.map(|completion| completion.at_ms);
    filled(json!({
        "activity_id": activity_id,
        "activity_name": activity_name,
        "category_uid": 6,
        "category_name": "Application Activity",
        "class_uid": CLASS_UID,
        "class_name": "API Activity",
        "type_uid": CLASS_UID * 100 + activity_id,
        "type_name": format!("API Activity: {activity_name}"),
        "severity_id": 1,
        "severity": "Informational",
        "time": action.opening.at_ms,
        "start_time": action.opening.at_ms,
        "end_time": end_ms,
        "duration": end_ms.map(|end| end.saturating_sub(action.opening.at_ms).max(0)),
        "status_id": status_id,
        "status": status,
        "status_code": outcome_word(action.outcome()),
        "status_detail": completion.and_then(|completion| completion.said.detail.clone()),
        "actor": actor(action),
        "src_endpoint": { "name": said.via.as_ref().unwrap_or(&said.actor) },
        "api": {
            "operation": said.action,
            "request": { "uid": action.id.to_string() },
            "service": { "name": log_name },
        },
        "resources": [{ "name": said.resource }],
        "metadata": {
            "version": VERSION,
            "product": { "name": "Sallyport", "vendor_name": "Sallyport", "version": env!("CARGO_PKG_VERSION") },
            "uid": action.id.to_string(),
            "sequence": action.opening.index,
            "correlation_uid": said.question,
            "log_name": log_name,
        },
        "unmapped": unmapped(action),
    }))
}

fn activity(action: &str) -> (u32, &'static str) {
    match action {
        "ask" | "look_up" | "contribute" | "catalog" | "describe" => (2, "Read"),
        "feed" => (1, "Create"),
        _ if action.starts_with("audit_") => (2, "Read"),
        _ => (99, "Other"),
    }
}

fn status(outcome: Option<Outcome>) -> (u32, &'static str) {
    match outcome {
        Some(Outcome::Answered) => (1, "Success"),
        Some(Outcome::Held) | None => (99, "Other"),
        Some(_) => (2, "Failure"),
    }
}

fn actor(action: &RecordedAction) -> Value {
    let uid = &action.opening.said.actor;
    let authorizations = action.decision().map(|decision| {
        let policy = action.completion.as_ref().and_then(|completion| completion.said.ruling.as_ref());
        let policy = policy.map(|ruling| json!({ "name": ruling.rule, "uid": ruling.policy }));
        json!([{ "decision": decision.as_str(), "policy": policy }])
    });
    match uid.parse::<SpiffeId>().map(|id| id.role) {
        Ok(Role::User { agency, name }) => json!({
            "user": { "uid": uid, "name": name, "org": { "uid": agency } },
            "authorizations": authorizations,
        }),
        Ok(Role::Auditor { name }) => json!({
            "user": { "uid": uid, "name": name },
            "authorizations": authorizations,
        }),
        _ => json!({ "app_uid": uid, "authorizations": authorizations }),
    }
}

fn unmapped(action: &RecordedAction) -> Value {
    let said = &action.opening.said;
    let completion = action.completion.as_ref();
    let ruling = completion.and_then(|completion| completion.said.ruling.as_ref());
    json!({
        "purpose": said.purpose,
        "case_number": said.case_number,
        "reason": said.reason,
        "obligations": ruling.map(|ruling| ruling.obligations.clone()),
        "counts": completion.map(|completion| completion.said.counts.clone()),
        "completion_entry": completion.map(|completion| completion.index),
    })
}

/// The same without fields that have no value.
fn filled(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, filled(value)));
            Value::Object(fields.filter(|(_, value)| !is_empty(value)).collect::<Map<_, _>>())
        }
        other => other,
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

#[cfg(test)]
mod tests {
    use super::super::export::tests::recorded;
    use super::*;

    #[test]
    fn an_event_has_what_the_class_requires() {
        let event = event(&recorded("spiffe://border.example/agency/hsi/user/ana", "why"), "border.example/gateway");
        for required in
            ["activity_id", "category_uid", "class_uid", "type_uid", "severity_id", "time", "metadata", "src_endpoint"]
        {
            assert!(!event[required].is_null(), "{required}");
        }
        assert_eq!((&event["class_uid"], &event["type_uid"]), (&6003.into(), &600_302.into()));
        assert_eq!((&event["status_id"], &event["status_code"]), (&2.into(), &"denied".into()));
        assert_eq!(event["status_detail"], "denied_by_rule");
        assert_eq!(event["actor"]["user"]["org"]["uid"], "hsi");
        assert_eq!(event["actor"]["authorizations"][0]["decision"], "deny");
        assert_eq!(event["actor"]["authorizations"][0]["policy"]["name"], "a-rule");
        assert_eq!(event["api"]["operation"], "ask");
        assert_eq!(event["metadata"]["correlation_uid"], "00ff00ff");
        assert_eq!(event["unmapped"]["counts"]["rows"], 7);
        assert_eq!((&event["duration"], &event["end_time"]), (&250.into(), &1_790_000_000_250_i64.into()));
        assert!(event.get("unmapped").unwrap().get("obligations").is_none(), "nothing empty is written");
    }
}
