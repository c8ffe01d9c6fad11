//! Refusals: what was refused, why, and what would be allowed.

use super::Refusal;
use crate::plan::SessionPlan;
use daam_catalog::RelationName;
use daam_model::Verb;
use daam_sql::ParseError;

/// How many allowed relations a hint names.
const NAMED: usize = 10;

/// A refusal with SQLSTATE 42501.
pub(crate) fn denied(message: impl Into<String>, hint: Option<&str>) -> Refusal {
    Refusal {
        sqlstate: "42501",
        message: message.into(),
        detail: None,
        hint: hint.map(str::to_owned),
        position: None,
    }
}

/// Something views cannot carry.
pub(crate) fn unsupported(message: impl Into<String>, hint: &str) -> Refusal {
    Refusal { sqlstate: "0A000", ..denied(message, Some(hint)) }
}

/// What tells how many rows were visited, hidden ones too.
pub(crate) fn counting(what: &str) -> Refusal {
    let message = format!("{what} is not available here: it counts rows that your row filter hides");
    denied(message, Some("ask a database administrator"))
}

/// A text the parser does not take.
pub(crate) fn unreadable(sql: &str, error: &ParseError) -> Refusal {
    let before = daam_sql::place::of_error(sql, error).and_then(|byte| sql.get(..byte));
    let position = before.map(|text| text.chars().count() + 1);
    Refusal { sqlstate: error.sqlstate(sql), position, ..denied(error.to_string(), None) }
}

/// A rewriting that does not hold its own check.
pub(crate) fn confused(why: &str) -> Refusal {
    let message = format!("the statement could not be rewritten safely: {why}");
    unsupported(message, "write the statement in a simpler form, and please report it")
}

/// A relation no policy grants, or not for this verb.
pub(crate) fn relation(plan: &SessionPlan, name: &RelationName, verb: Option<Verb>) -> Refusal {
    let granted = plan.access(name).verbs();
    let message = match (granted, verb) {
        (Some(_), Some(verb)) => {
            format!("{} on relation `{name}` is not granted to you by any policy", verb.as_str())
        }
        _ => format!("relation `{name}` is not granted to you by any policy"),
    };
    let hint = match granted {
        Some(verbs) => {
            let verbs: Vec<&str> = verbs.keys().map(|verb| verb.as_str()).collect();
            format!("on `{name}` you may: {}", verbs.join(", "))
        }
        None => allowed(plan),
    };
    let writes = verb.filter(|verb| *verb != Verb::Select);
    if let (Some(_), Some(verb), Some(true)) = (granted, writes, plan.limits().read_only) {
        let message = format!(
            "{} on relation `{name}` is not possible: the policy makes this session read-only",
            verb.as_str()
        );
        return Refusal { sqlstate: "25006", ..denied(message, Some(&hint)) };
    }
    if let Some(table) = plan.filtered_owner(name) {
        let message = format!(
            "sequence `{name}` is not granted to you, because you see only some rows of `{table}`: where it stands \
             would tell of the others"
        );
        return denied(message, Some("copy the rows you see: `copy (select ...) to stdout`"));
    }
    match plan.refused(name, verb) {
        None => denied(message, Some(&hint)),
        Some(reason) => {
            let message = format!("a policy grants you `{name}`, but the grant is not in effect: {reason}");
            denied(message, Some("ask whoever writes the policy"))
        }
    }
}

/// The refusal with everything a refusal of the policy says: whose policies those are, and what can be done.
pub(crate) fn completed(refusal: Refusal, plan: &SessionPlan) -> Refusal {
    if !matches!(refusal.sqlstate, "42501" | "0A000" | "25006" | "44000") {
        return refusal;
    }
    let policies = plan.named_policies();
    let detail = match refusal.detail {
        None => policies,
        Some(detail) => format!("{detail}; {policies}"),
    };
    let hint = refusal.hint.unwrap_or_else(|| "ask a database administrator".to_owned());
    Refusal { detail: Some(detail), hint: Some(hint), ..refusal }
}

fn allowed(plan: &SessionPlan) -> String {
    let names: Vec<String> = plan.relations().map(|name| format!("`{name}`")).collect();
    match names.get(..NAMED) {
        Some(first) if names.len() > NAMED => {
            format!("you may use {} and {} more", first.join(", "), names.len() - NAMED)
        }
        _ if names.is_empty() => "ask for access to it".to_owned(),
        _ => format!("you may use {}", names.join(", ")),
    }
}

/// Writing in a session that only reads.
pub(crate) fn only_reads() -> Refusal {
    denied("the policy makes this session read-only", Some("leave `READ WRITE` out"))
}
