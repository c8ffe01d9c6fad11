//! Tests of policies: expectations about who sees what, evaluated with the rules the agent uses.

use crate::check::Database;
use crate::check::filter::filter;
use crate::resolve::{column_name, unknown_column};
use crate::rule;
use crate::syntax::decode::Spanned;
use crate::syntax::scenario::{
    Access, Sight, WrittenCase, WrittenExpectation, WrittenSubject, WrittenTest, WrittenWhoCan,
};
use daam_catalog::{Identifier, RelationName};
use daam_diagnostic::{Location, Sink, suggest};
use daam_model::{AttributeValue, Subject, Verb};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

mod concern;
mod coverage;
mod deciding;
mod probe;
mod run;

pub(crate) use concern::Cases;
pub use coverage::{Clause, ClauseKind, Coverage, percent, to_lcov};
pub use probe::{Probe, Wanted, probes};
pub use run::{Failure, Outcome, run};

/// One case, with every name looked up.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// Where it was written.
    pub at: Location,
    subject: Subject,
    requests: BTreeSet<String>,
    expect: Vec<Expectation>,
    who_can: Option<WhoCan>,
    /// What it also asks of real rows, which only a server can answer.
    pub live: Option<Live>,
}

/// A statement, and the rows it has to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// The statement.
    pub sql: String,
    /// Values as PostgreSQL prints them; absent is NULL.
    pub returns: Vec<Vec<Option<String>>>,
}

impl Scenario {
    /// Who asks.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The requests that are taken to be active.
    pub fn requests(&self) -> &BTreeSet<String> {
        &self.requests
    }

    /// The relations something is expected of.
    pub fn relations(&self) -> impl Iterator<Item = &RelationName> {
        self.expect.iter().map(|expectation| &expectation.relation)
    }
}

#[derive(Debug, Clone)]
struct Expectation {
    relation: RelationName,
    verbs: Vec<(Verb, Access, Location)>,
    rows: Option<(String, Location)>,
    columns: Vec<(Identifier, Sight, Location)>,
    reason: Option<(Location, BTreeSet<String>)>,
}

#[derive(Debug, Clone)]
struct WhoCan {
    at: Location,
    verb: Verb,
    relation: RelationName,
    column: Option<Identifier>,
    unmasked: bool,
    exactly: BTreeSet<String>,
}

/// Looks up the names of the cases of one document.
pub(crate) fn resolve(database: &Database<'_>, test: &WrittenTest, sink: &mut Sink) -> Vec<Arc<Scenario>> {
    test.cases.iter().map(|case| Arc::new(resolve_case(database, case, sink))).collect()
}

fn resolve_case(database: &Database<'_>, case: &WrittenCase, sink: &mut Sink) -> Scenario {
    let subject = case.subject.as_ref().map(|written| subject(database, written, sink));
    Scenario {
        name: case.name.value.clone(),
        at: case.name.at,
        subject: subject.unwrap_or_default(),
        requests: case.requests.iter().map(|name| name.value.clone()).collect(),
        expect: case.expect.iter().filter_map(|written| expectation(database, written, sink)).collect(),
        who_can: case.who_can.as_ref().and_then(|written| who_can(database, written, sink)),
        live: case.live.as_ref().map(|live| Live { sql: live.sql.clone(), returns: live.returns.clone() }),
    }
}

fn subject(database: &Database<'_>, written: &WrittenSubject, sink: &mut Sink) -> Subject {
    let groups = written.groups.iter().map(|group| group.value.clone());
    let mut attributes = BTreeMap::new();
    for (name, text) in &written.attributes {
        let Some(kind) = database.attributes.get(&name.value) else {
            let message = format!("the attribute `{}` is not declared", name.value);
            let help = "declare it in `daam.yaml` under `attributes:` with its type";
            sink.push(rule::UNKNOWN_ATTRIBUTE.at(name.at, message).help(help));
            continue;
        };
        match AttributeValue::from_text(*kind, text) {
            Ok(value) => drop(attributes.insert(name.value.clone(), value)),
            Err(error) => sink.push(rule::WRONG_NODE_TYPE.at(name.at, error.to_string())),
        }
    }
    let (id, email) = (written.id.clone(), written.email.clone());
    Subject { id, email, groups: groups.collect(), attributes }
}

fn expectation(
    database: &Database<'_>,
    written: &WrittenExpectation,
    sink: &mut Sink,
) -> Option<Expectation> {
    let name = literal(&written.relation, sink)?;
    let relation = database.catalog.and_then(|catalog| catalog.relation(&name));
    // A relation outside the scope may be named to say that nobody reaches it; then it has no known columns. Inside,
    // everything there is is known, and a slip in a name would be denied to everybody.
    if let Some(catalog) = database.catalog.filter(|_| relation.is_none() && database.scope.admits(&name)) {
        let message = format!("there is no relation `{name}` in the schema lock");
        let names: Vec<String> = catalog.relations.keys().map(ToString::to_string).collect();
        let near = suggest::did_you_mean(&name.to_string(), names.iter().map(String::as_str));
        sink.push(rule::UNKNOWN_TABLE.at(written.relation.at, message).maybe_help(near));
    }
    let columns = columns(written, relation, sink);
    let covered: Vec<_> = relation.into_iter().collect();
    let rows = written.rows.as_ref().and_then(|text| rows(text, &covered, database, sink));
    let verbs = written.verbs.iter().map(|(verb, access)| (verb.value, *access, verb.at)).collect();
    let names = |names: &Vec<Spanned<String>>| names.iter().map(|name| name.value.clone()).collect();
    let reason = written.reason.as_ref().map(|(at, written)| (*at, names(written)));
    Some(Expectation { relation: name, verbs, rows, columns, reason })
}

/// What is expected of columns; `*` is every column that is not named.
fn columns(
    written: &WrittenExpectation,
    relation: Option<&daam_catalog::Relation>,
    sink: &mut Sink,
) -> Vec<(Identifier, Sight, Location)> {
    let mut found: Vec<(Identifier, Sight, Location)> = Vec::new();
    for (text, sight) in written.columns.iter().filter(|(text, _)| text.value != "*") {
        let Some(column) = column_name(text, sink) else { continue };
        match relation {
            Some(relation) if relation.column(&column).is_none() => {
                sink.push(unknown_column(text.at, &text.value, &[relation]));
            }
            _ => found.push((column, sight.value.clone(), sight.at)),
        }
    }
    let rest = written.columns.iter().find(|(text, _)| text.value == "*");
    if let (Some((_, sight)), Some(relation)) = (rest, relation) {
        let named: BTreeSet<Identifier> = found.iter().map(|(column, _, _)| column.clone()).collect();
        let others = relation.columns.iter().filter(|column| !named.contains(&column.name));
        found.extend(others.map(|column| (column.name.clone(), sight.value.clone(), sight.at)));
    }
    found
}

/// `false` is a legitimate expectation, though a doubtful filter.
fn rows(
    text: &Spanned<String>,
    relations: &[&daam_catalog::Relation],
    database: &Database<'_>,
    sink: &mut Sink,
) -> Option<(String, Location)> {
    if matches!(text.value.trim(), "true" | "false") {
        return Some((text.value.trim().to_owned(), text.at));
    }
    filter(text, relations, database, sink).map(|read| (read.canonical, text.at))
}

fn literal(text: &Spanned<String>, sink: &mut Sink) -> Option<RelationName> {
    let parsed = daam_catalog::RelationPattern::parse(&text.value).ok().and_then(|pattern| pattern.literal());
    if parsed.is_none() {
        let message = format!("`{}` is not the name of one relation", text.value);
        sink.push(rule::INVALID_PATTERN.at(text.at, message).help("write `schema.table`"));
    }
    parsed
}

fn who_can(database: &Database<'_>, written: &WrittenWhoCan, sink: &mut Sink) -> Option<WhoCan> {
    let target = &written.target;
    let segments = target.value.split('.').count();
    let (relation, column) = if segments > 2 {
        let (head, tail) = target.value.rsplit_once('.')?;
        let relation = literal(&Spanned { value: head.to_owned(), at: target.at }, sink)?;
        (relation, Some(column_name(&Spanned { value: tail.to_owned(), at: target.at }, sink)?))
    } else {
        (literal(target, sink)?, None)
    };
    let known = database.catalog.and_then(|catalog| catalog.relation(&relation));
    match (known, &column) {
        (None, _) if database.catalog.is_some() => {
            let message = format!("there is no relation `{relation}` in the schema lock");
            sink.push(rule::UNKNOWN_TABLE.at(target.at, message));
        }
        (Some(found), Some(column)) if found.column(column).is_none() => {
            sink.push(unknown_column(target.at, column.as_str(), &[found]));
        }
        _ => {}
    }
    let exactly = written.exactly.iter().map(|name| name.value.clone()).collect();
    Some(WhoCan {
        at: written.at,
        verb: written.verb.value,
        relation,
        column,
        unmasked: written.unmasked,
        exactly,
    })
}
