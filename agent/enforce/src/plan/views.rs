//! The views of a protected relation, as SQL text.

use super::hex;
use super::table::{ALIAS, ProtectedColumn, ProtectedTable, ViewKind};
use super::write_back;
use crate::mask;
use daam_catalog::name::MAX_IDENTIFIER_BYTES;
use daam_catalog::{Identifier, RelationKind, RelationName};
use daam_model::Verb;
use daam_sql::quote;
use sha2::{Digest as _, Sha256};

/// The name of a view in `pg_temp`.
pub(crate) fn view_name(kind: ViewKind, relation: &RelationName) -> String {
    let prefix = match kind {
        ViewKind::Read => "",
        ViewKind::Write => "w:",
        ViewKind::Insert => "i:",
        ViewKind::Delete => "d:",
        ViewKind::Copy => "c:",
    };
    fitted(&format!("{prefix}{}.{}", relation.schema.as_str(), relation.name.as_str()))
}

/// The name of the masked form of a column in a write view.
pub(crate) fn masked_name(column: &str) -> String {
    fitted(&format!("masked:{column}"))
}

/// `pg_temp."…"`.
pub(crate) fn qualified(kind: ViewKind, relation: &RelationName) -> String {
    format!("\"pg_temp\".{}", quote::identifier(&view_name(kind, relation)))
}

/// A name PostgreSQL keeps whole; a longer one is replaced by its digest.
fn fitted(name: &str) -> String {
    if name.len() <= MAX_IDENTIFIER_BYTES {
        return name.to_owned();
    }
    hex::after("daam:", Sha256::digest(name.as_bytes()).into_iter().take(24))
}

/// The views a relation needs, each with the statements that make it.
pub(crate) fn definitions(table: &ProtectedTable) -> Vec<(ViewKind, Vec<String>)> {
    let mut views = Vec::new();
    if table.verbs.contains_key(&Verb::Select) {
        views.push((ViewKind::Read, read_view(table)));
    }
    for kind in [ViewKind::Write, ViewKind::Insert, ViewKind::Delete] {
        let verbs: Vec<Verb> = [Verb::Insert, Verb::Update, Verb::Delete]
            .into_iter()
            .filter(|verb| table.verbs.contains_key(verb) && table.view_for(*verb) == kind)
            .collect();
        if table.kind.is_writable() && !verbs.is_empty() {
            views.push((kind, write_view(table, kind, &verbs)));
        }
    }
    views
}

fn base_column(column: &Identifier) -> String {
    format!("{ALIAS}.{}", column.quoted())
}

fn masked_value(column: &ProtectedColumn) -> Option<String> {
    let value = base_column(&column.name);
    column.mask().map(|mask| mask::expression(mask, &column.data_type, &value))
}

/// What keeps functions and the planner's look at statistics away from what a view hides.
const BARRIER: &str = " WITH (security_barrier)";

fn tail(table: &ProtectedTable, condition: Option<&String>) -> String {
    let condition = condition.map_or_else(String::new, |condition| format!(" WHERE {condition}"));
    format!(" FROM {} AS {ALIAS}{condition}", table.name.quoted())
}

fn grant(privileges: &[String], view: &str) -> Option<String> {
    (!privileges.is_empty()).then(|| format!("GRANT {} ON {view} TO SESSION_USER", privileges.join(", ")))
}

fn columns(names: &[String]) -> String {
    format!("({})", names.join(", "))
}

fn read_view(table: &ProtectedTable) -> Vec<String> {
    let view = qualified(ViewKind::Read, &table.name);
    let condition = table.condition(Verb::Select);
    let list: Vec<String> = table
        .columns
        .iter()
        .filter(|column| table.reads(&column.name))
        .map(|column| {
            let value = masked_value(column).unwrap_or_else(|| base_column(&column.name));
            format!("{value} AS {}", column.name.quoted())
        })
        .collect();
    let mut privileges = vec!["SELECT".to_owned()];
    let lockable = lockable(table);
    if !lockable.is_empty() {
        privileges.push(format!("UPDATE {}", columns(&lockable)));
    }
    let check = if lockable.is_empty() || condition.is_none() { "" } else { " WITH CASCADED CHECK OPTION" };
    // Without a row filter there is no hidden row a pushed-down function could see, no hidden column either, and
    // indexes stay usable.
    let barrier = if condition.is_some() { BARRIER } else { "" };
    let create = format!(
        "CREATE VIEW {view}{barrier} AS SELECT {}{}{check}",
        list.join(", "),
        tail(table, condition.as_ref())
    );
    std::iter::once(create).chain(grant(&privileges, &view)).collect()
}

/// Columns that may be updated through the read view too, so that `SELECT ... FOR UPDATE` works on it: only where
/// that is no more than the write view allows.
fn lockable(table: &ProtectedTable) -> Vec<String> {
    let stored = matches!(table.kind, RelationKind::Table | RelationKind::PartitionedTable);
    let Some(updates) = table.verbs.get(&Verb::Update).filter(|_| stored) else { return Vec::new() };
    if table.condition(Verb::Update) != table.condition(Verb::Select) {
        return Vec::new();
    }
    let plain = |column: &&ProtectedColumn| column.mask.is_none() && table.reads(&column.name);
    let columns = table.columns.iter().filter(plain).filter(|column| updates.contains(&column.name));
    columns.map(|column| column.name.quoted()).collect()
}

fn write_view(table: &ProtectedTable, kind: ViewKind, verbs: &[Verb]) -> Vec<String> {
    let view = qualified(kind, &table.name);
    // Every verb of one view reaches the same rows; see `ProtectedTable::view_for`.
    let condition = verbs.first().and_then(|verb| table.condition(*verb));
    let mut list: Vec<String> = table
        .columns
        .iter()
        .map(|column| format!("{} AS {}", base_column(&column.name), column.name.quoted()))
        .collect();
    let mut readable = Vec::new();
    for column in table.columns.iter().filter(|column| table.reads(&column.name)) {
        match masked_value(column) {
            None => readable.push(column.name.quoted()),
            Some(value) => {
                let name = quote::identifier(&masked_name(column.name.as_str()));
                list.push(format!("{value} AS {name}"));
                readable.push(name);
            }
        }
    }
    let mut parts = write_back::checks(table, kind, verbs);
    parts.extend(condition.clone().map(|condition| format!("({condition})")));
    let check = if parts.is_empty() { "" } else { " WITH CASCADED CHECK OPTION" };
    // The raw columns stand in this view, and planning comes before any check of rights: an operator's selectivity
    // function would show an operator of the session's own the most common values. It does not where a barrier has a
    // condition, be it an empty one.
    let whole = if parts.is_empty() { "true".to_owned() } else { parts.join(" AND ") };
    let create = format!(
        "CREATE VIEW {view}{BARRIER} AS SELECT {}{}{check}",
        list.join(", "),
        tail(table, Some(&whole))
    );
    let mut privileges = Vec::new();
    if !readable.is_empty() {
        privileges.push(format!("SELECT {}", columns(&readable)));
    }
    for verb in verbs {
        let word = verb.as_str().to_ascii_uppercase();
        let names: Vec<String> =
            table.verbs.get(verb).into_iter().flatten().map(Identifier::quoted).collect();
        match verb {
            Verb::Delete => privileges.push(word),
            _ if !names.is_empty() => privileges.push(format!("{word} {}", columns(&names))),
            _ => {}
        }
    }
    std::iter::once(create).chain(grant(&privileges, &view)).collect()
}
