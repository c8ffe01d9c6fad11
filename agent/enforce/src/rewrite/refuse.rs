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

/// A text the parser does not take.
pub(crate) fn unreadable(sql: &str, error: &ParseError) -> Refusal {
    let before = daam_sql::place::of_error(sql, error).and_then(|byte| sql.get(..byte));
    let position = before.map(|text| text.chars().count() + 1);
    Refusal { sqlstate: error.sqlstate(), position, ..denied(error.to_string(), None) }
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
    let detail = match plan.policies().iter().map(|policy| format!("`{policy}`")).collect::<Vec<_>>() {
        names if names.is_empty() => "no policy applies to you".to_owned(),
        names => format!("policies that apply to you: {}", names.join(", ")),
    };
    let hint = match granted {
        Some(verbs) => {
            let verbs: Vec<&str> = verbs.keys().map(|verb| verb.as_str()).collect();
            format!("on `{name}` you may: {}", verbs.join(", "))
        }
        None => allowed(plan),
    };
    Refusal { detail: Some(detail), ..denied(message, Some(&hint)) }
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
