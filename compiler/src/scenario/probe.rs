//! Expectations as questions to a real server: each is asked as the person it names, and rolled back.
//!
//! What the evaluator says plays no part in what is expected; it is only asked which columns to name. So a case that
//! holds here and there was judged twice.

use super::deciding::Held;
use super::run::bound;
use super::{Access, Expectation, Scenario, Sight};
use crate::compile::CompiledDatabase;
use daam_catalog::{Column, Generated, Identifier, Relation, RelationName};
use daam_diagnostic::Location;
use daam_model::Verb;
use daam_sql::quote;

/// One question to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Where it was expected.
    pub at: Location,
    /// What is expected, in words.
    pub what: String,
    /// The statement of the person.
    pub sql: String,
    /// What has to come of it.
    pub wanted: Wanted,
}

/// What has to come of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// It is not refused for want of a privilege.
    Allowed,
    /// It is.
    Refused,
    /// It gives what this statement gives who may see everything.
    Same(String),
    /// All it gives is NULL or `***`.
    Hidden,
    /// Nothing it gives, apart from NULL, is among what this statement gives who may see everything.
    Apart(String),
}

/// Presets that never show a stored value.
const APART: [&str; 8] = ["hash", "credit_card", "ssn", "phone", "name", "email", "domain", "redact"];

/// The questions of a case; none where a request is taken to be active, since nobody approves it.
pub fn probes(database: &CompiledDatabase, scenario: &Scenario) -> Vec<Probe> {
    if !scenario.requests.is_empty() {
        return Vec::new();
    }
    let held = Held::of(database, &scenario.subject, &scenario.requests, scenario.relations());
    let mut out = Vec::new();
    for expectation in &scenario.expect {
        // A relation outside the scope may be named without being known.
        let Some(relation) = database.catalog.relation(&expectation.relation) else { continue };
        verbs(expectation, relation, &held, &mut out);
        rows(expectation, &held, &mut out);
        columns(expectation, relation, &held, &mut out);
    }
    out
}

fn verbs(expectation: &Expectation, relation: &Relation, held: &Held<'_>, out: &mut Vec<Probe>) {
    for (verb, access, at) in &expectation.verbs {
        let granted = held.access(&relation.name).and_then(|access| access.verbs.get(verb));
        let column = |usable: &dyn Fn(&&Column) -> bool| {
            let mut columns = relation.columns.iter().filter(usable);
            let named = |column: &Column| granted.is_some_and(|names| names.contains(&column.name));
            columns.clone().find(|column| named(column)).or_else(|| columns.next())
        };
        let table = qualified(&relation.name);
        let written = |column: &&Column| !matches!(column.generated, Generated::From(_));
        let sql = match verb {
            Verb::Select => {
                column(&|_| true).map(|column| format!("select {} from {table} limit 0", ident(&column.name)))
            }
            Verb::Insert => column(&written).map(|column| {
                let (name, kind) = (ident(&column.name), &column.data_type.sql);
                format!("insert into {table} ({name}) select null::{kind} where false")
            }),
            Verb::Update => column(&written)
                .map(|column| format!("update {table} set {} = null where false", ident(&column.name))),
            Verb::Delete => Some(format!("delete from {table} where false")),
            Verb::Truncate => Some(format!("truncate {table}")),
        };
        let Some(sql) = sql else { continue };
        let (wanted, word) = match access {
            Access::Allow => (Wanted::Allowed, "allowed"),
            Access::Deny | Access::Request => (Wanted::Refused, "denied"),
        };
        let what = format!("`{}` on `{}` is {word}", verb.as_str(), relation.name);
        out.push(Probe { at: *at, what, sql, wanted });
    }
}

fn rows(expectation: &Expectation, held: &Held<'_>, out: &mut Vec<Probe>) {
    let Some((filter, at)) = &expectation.rows else { return };
    let name = &expectation.relation;
    if held.access(name).is_none_or(|access| !access.verbs.contains_key(&Verb::Select)) {
        return;
    }
    let table = qualified(name);
    let condition = bound(filter, &held.effective.subject);
    out.push(Probe {
        at: *at,
        what: format!("the rows of `{name}` are those where {condition}"),
        sql: format!("select count(*) from {table}"),
        wanted: Wanted::Same(format!("select count(*) from {table} where {condition}")),
    });
}

fn columns(expectation: &Expectation, relation: &Relation, held: &Held<'_>, out: &mut Vec<Probe>) {
    let name = &relation.name;
    let table = qualified(name);
    for (column, sight, at) in &expectation.columns {
        let all = format!("select distinct {}::text from {table}", ident(column));
        let filtered = held.access(name).is_some_and(|access| access.rows.contains_key(&Verb::Select));
        let wanted = match sight {
            Sight::Deny => Wanted::Refused,
            Sight::Clear if filtered => Wanted::Allowed,
            Sight::Clear => Wanted::Same(format!("{all} order by 1")),
            Sight::Mask(preset) if preset == "null" || preset == "redact" => Wanted::Hidden,
            Sight::Mask(preset) if APART.contains(&preset.as_str()) => Wanted::Apart(all.clone()),
            Sight::Mask(_) => Wanted::Allowed,
        };
        let what = match sight {
            Sight::Deny => format!("`{name}.{column}` is denied"),
            Sight::Clear => format!("`{name}.{column}` is seen as it is stored"),
            Sight::Mask(preset) => format!("`{name}.{column}` is seen through `{preset}`"),
        };
        let sql = format!("{all} order by 1");
        out.push(Probe { at: *at, what, sql, wanted });
    }
}

fn qualified(name: &RelationName) -> String {
    format!("{}.{}", ident(&name.schema), ident(&name.name))
}

fn ident(name: &Identifier) -> String {
    quote::identifier(name.as_str())
}
