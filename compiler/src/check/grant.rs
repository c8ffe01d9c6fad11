//! One grant: relations, verbs, columns, filters, functions.

use super::{CheckedGrant, Database, lists, writes};
use crate::check::filter::filter;
use crate::resolve::{Resolved, column_name, unknown_column_in};
use crate::rule;
use crate::syntax::decode::Spanned;
use crate::syntax::policy::{WrittenColumns, WrittenGrant};
use daam_catalog::{Function, Identifier, Relation, RelationPattern};
use daam_diagnostic::{Severity, Sink};
use daam_model::{Grant, Verb};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn grant(
    written: &WrittenGrant,
    database: &Database<'_>,
    sink: &mut Sink,
) -> (Grant, CheckedGrant) {
    let reach = database.reach();
    let on: Vec<_> =
        written.on.iter().filter_map(|text| reach.and_then(|reach| reach.relations(text, sink))).collect();
    let functions: Vec<_> = written
        .functions
        .iter()
        .filter_map(|text| reach.and_then(|reach| reach.functions(text, sink)))
        .collect();
    for found in &functions {
        owners_rights(found, sink);
    }
    let functions: Vec<RelationPattern> = functions.into_iter().map(|resolved| resolved.pattern).collect();
    let relations: Vec<&Relation> = on.iter().flat_map(|found| found.relations(database.tables)).collect();
    effect(written, sink);
    writes::privileged(written, sink);
    let patterns: Vec<_> = on.iter().map(|found| (found.at, &found.pattern)).collect();
    lists::redundant(&patterns, RelationPattern::contains, database.sources, sink);
    suited(written, &relations, sink);
    let columns = columns(written, &relations, sink);
    let mut text = |written: &Option<Spanned<String>>| {
        written.as_ref().and_then(|text| filter(text, &relations, database, sink))
    };
    let (rows, restrict) = (text(&written.rows), text(&written.restrict));
    let compared = rows.iter().chain(&restrict).flat_map(|read| read.compared.iter().cloned()).collect();
    let about = rows.iter().chain(&restrict).filter(|read| read.about_subject);
    let by_subject = about.flat_map(|read| read.compared.iter().map(|(name, _)| name.clone())).collect();
    let (rows, restrict) = (rows.map(|read| read.canonical), restrict.map(|read| read.canonical));
    let checked = CheckedGrant {
        at: written.at,
        allow: written.allow.iter().map(|verb| verb.value).collect(),
        whole: written.rows.is_none() && written.restrict.is_none() && written.columns.is_empty(),
        restricts: written.restrict.is_some(),
        compared,
        by_subject,
        on,
    };
    let grant = Grant {
        on: checked.on.iter().map(|found| found.pattern.clone()).collect(),
        allow: checked.allow.iter().copied().collect(),
        columns,
        rows,
        restrict,
        functions,
        origin: database.origin(written.at),
    };
    (grant, checked)
}

/// Functions a wildcard meets that pass by masks and filters; who names one has looked at it.
fn owners_rights(found: &Resolved<RelationPattern, &Function>, sink: &mut Sink) {
    if found.pattern.literal().is_some() {
        return;
    }
    let Some(function) = found.covers.iter().find(|function| function.security_definer) else { return };
    let name = format!("{}.{}", function.name.schema, function.name.name);
    let message = format!(
        "`{}` covers the function `{name}`, which runs with its owner's rights: what it reads is neither masked nor filtered",
        found.pattern
    );
    let mut diagnostic = rule::MASKED_COLUMN_EXPOSED_BY_VIEW
        .at(found.at, message)
        .help("name the functions that are meant, one by one")
        .about(format!("function:{name}"));
    diagnostic.severity = Severity::Warning;
    sink.push(diagnostic);
}

/// Clauses that cannot mean anything.
fn effect(written: &WrittenGrant, sink: &mut Sink) {
    if !written.on.is_empty() && written.allows_nothing {
        sink.push(rule::GRANT_WITHOUT_EFFECT.at(written.at, "the grant allows nothing: no verb is listed"));
    }
    if written.on.is_empty() {
        for text in written.rows.iter().chain(&written.restrict) {
            sink.push(rule::GRANT_WITHOUT_EFFECT.at(text.at, "a filter needs relations to apply to (`on`)"));
        }
    }
    let allowed: BTreeSet<Verb> = written.allow.iter().map(|verb| verb.value).collect();
    for entry in &written.columns {
        let verb = entry.verb.value;
        if entry.columns_empty {
            let message = format!("`{}` is narrowed to no column at all", verb.as_str());
            sink.push(rule::GRANT_WITHOUT_EFFECT.at(entry.verb.at, message));
        } else if !allowed.contains(&verb) {
            let message = format!("columns for `{}`, which this grant does not allow", verb.as_str());
            sink.push(rule::GRANT_WITHOUT_EFFECT.at(entry.verb.at, message));
        }
    }
}

/// Verbs that no covered relation has.
fn suited(written: &WrittenGrant, relations: &[&Relation], sink: &mut Sink) {
    if relations.is_empty() || relations.iter().any(|relation| relation.kind.is_writable()) {
        return;
    }
    for verb in written.allow.iter().filter(|verb| verb.value != Verb::Select) {
        let message = format!("`{}` does not exist for a materialized view", verb.value.as_str());
        sink.push(rule::GRANT_WITHOUT_EFFECT.at(verb.at, message));
    }
}

fn columns(
    written: &WrittenGrant,
    relations: &[&Relation],
    sink: &mut Sink,
) -> BTreeMap<Verb, BTreeSet<Identifier>> {
    let mut out = BTreeMap::new();
    for WrittenColumns { verb, columns, .. } in &written.columns {
        let mut names = BTreeSet::new();
        for text in columns {
            let Some(name) = column_name(text, sink) else { continue };
            if !relations.is_empty() && relations.iter().all(|relation| relation.column(&name).is_none()) {
                sink.push(unknown_column_in(text, &text.value, relations));
                continue;
            }
            names.insert(name);
        }
        // An empty set narrows the verb to nothing; that is also what is left when no name was right.
        out.insert(verb.value, names);
    }
    out
}
