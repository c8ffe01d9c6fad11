//! Errors of PostgreSQL about a session's views, in terms of the tables the person knows.
//!
//! What is told is made of the plan alone: nothing of the server's text is passed on, so whatever raised the error
//! cannot say anything through it.

use crate::plan::{
    Access, ProtectedTable, SessionPlan, ViewKind, masked_name, view_name, write_back_refusal,
};
use crate::rewrite::Refusal;
use crate::rewrite::refuse::{completed, denied};
use daam_catalog::{Identifier, RelationName};
use daam_model::Verb;

/// What the server said.
#[derive(Debug, Clone, Copy)]
pub struct ServerError<'a> {
    /// The SQLSTATE.
    pub sqlstate: &'a str,
    /// The message.
    pub message: &'a str,
    /// The table field.
    pub table: Option<&'a str>,
    /// The column field.
    pub column: Option<&'a str>,
}

const KINDS: [ViewKind; 4] = [ViewKind::Write, ViewKind::Insert, ViewKind::Delete, ViewKind::Copy];

/// What to tell instead: the policy's part in it.
pub fn told(plan: &SessionPlan, error: &ServerError<'_>) -> Option<Refusal> {
    let refusal = match error.sqlstate {
        "42501" => written_back(plan, error).or_else(|| unprivileged(plan, error)),
        "44000" => outside(plan, error),
        _ => None,
    }?;
    Some(completed(refusal, plan))
}

/// The text with the names the client knows in place of those of its views; `None` if none is in it.
pub fn renamed(plan: &SessionPlan, text: &str) -> Option<String> {
    let mut result = text.to_owned();
    for table in plan.protected().values() {
        for kind in KINDS {
            let view = view_name(kind, &table.name);
            if result.contains(&view) {
                result = result.replace(&view, table.name.name.as_str());
            }
        }
        for column in table.columns().iter().filter(|column| column.mask().is_some()) {
            let masked = masked_name(column.name().as_str());
            if result.contains(&masked) {
                result = result.replace(&masked, column.name().as_str());
            }
        }
    }
    (result != text).then_some(result)
}

fn written_back(plan: &SessionPlan, error: &ServerError<'_>) -> Option<Refusal> {
    let (wanted, column) = (error.table?, error.column?);
    let table = plan.protected().values().find(|table| table.name.to_string() == wanted)?;
    let column = table.columns().iter().find(|known| known.name().as_str() == column)?;
    Some(write_back_refusal(&table.name, column.name().as_str(), column.mask()?))
}

fn outside(plan: &SessionPlan, error: &ServerError<'_>) -> Option<Refusal> {
    let (table, _) = view_in(plan, error.message)?;
    let message =
        format!("the new row is not one of the rows of `{}` that your policies let you write", table.name);
    let hint = "row filters apply to what you write, too: write a row that you could also read";
    Some(Refusal { sqlstate: "44000", ..denied(message, Some(hint)) })
}

fn unprivileged(plan: &SessionPlan, error: &ServerError<'_>) -> Option<Refusal> {
    if let Some((table, _)) = view_in(plan, error.message) {
        let message = format!(
            "permission denied for table `{}`: the statement reads a masked column as it is stored, or uses a column \
             that is not granted to you",
            table.name
        );
        let hint = "a masked column can be read in WHERE, and in RETURNING by its name; SET cannot copy it, and a \
                    written row cannot be read whole";
        return Some(Refusal { detail: Some(columns(plan, &table.name)?), ..denied(message, Some(hint)) });
    }
    let (_, name) = error.message.split_once("permission denied for table ")?;
    let mut named = plan.relations().filter(|relation| relation.name.as_str() == name);
    let (Some(relation), None) = (named.next(), named.next()) else { return None };
    let (why, hint) = match plan.access(relation) {
        Access::Protected(_) => (
            "you see it through a view, and code that names the table itself does not reach that",
            "write the statement outside of functions and blocks",
        ),
        _ => (
            "not all of the columns used are granted to you",
            "name the columns you need, and only those granted",
        ),
    };
    let message = format!("permission denied for table `{relation}`: {why}");
    Some(Refusal { detail: Some(columns(plan, relation)?), ..denied(message, Some(hint)) })
}

/// What may be done with which columns.
fn columns(plan: &SessionPlan, relation: &RelationName) -> Option<String> {
    let access = plan.access(relation);
    let masked =
        |column: &Identifier| matches!(access, Access::Protected(table) if table.is_masked(column.as_str()));
    let told = access.verbs()?.iter().map(|(verb, columns)| {
        if *verb == Verb::Delete || columns.is_empty() {
            return format!("you may {}", verb.as_str());
        }
        let names = columns.iter().map(|column| {
            let note = if *verb == Verb::Select && masked(column) { " (masked)" } else { "" };
            format!("`{}`{note}", column.as_str())
        });
        format!("you may {} {}", verb.as_str(), names.collect::<Vec<_>>().join(", "))
    });
    Some(told.collect::<Vec<_>>().join("; "))
}

/// The protected table one of whose views is named in quotes or at the end.
fn view_in<'a>(plan: &'a SessionPlan, message: &str) -> Option<(&'a ProtectedTable, ViewKind)> {
    plan.protected().values().find_map(|table| {
        let named = |kind: &ViewKind| {
            let view = view_name(*kind, &table.name);
            message.contains(&format!("\"{view}\"")) || message.ends_with(&format!(" {view}"))
        };
        KINDS.iter().copied().find(named).map(|kind| (table, kind))
    })
}
