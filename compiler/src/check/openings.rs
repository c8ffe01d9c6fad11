//! What the database leaves open by itself, as far as the schema lock tells: rights of PUBLIC, functions with rights of
//! their own, languages without bounds, foreign tables.
//!
//! The same questions `daam-agent doctor` asks the live database; here they are asked in review. Each is told once, at
//! the first grant it concerns, or at the lock where no policy has to do with it.

use super::{CheckedPolicy, Database};
use crate::rule;
use crate::syntax::project::WrittenDatabase;
use daam_catalog::{Catalog, Function, Relation, RelationKind, RelationName};
use daam_diagnostic::{Location, Sink};
use std::collections::BTreeMap;

pub(crate) fn openings<'p>(
    policies: impl Iterator<Item = &'p CheckedPolicy>,
    database: &Database<'_>,
    written: &WrittenDatabase,
    sink: &mut Sink,
) {
    let (Some(catalog), Some(lock)) = (database.catalog, &written.lock) else { return };
    let policies: Vec<&CheckedPolicy> = policies.collect();
    let policies = policies.as_slice();
    public_relations(policies, database, lock.at, sink);
    for function in catalog.public_definers() {
        let message = format!(
            "everybody who can connect may call `{}`, which runs with the rights of `{}`",
            function.name, function.owner
        );
        let help = format!("no policy holds for what it reads; {}", revoke(function));
        sink.push(rule::DEFINER_FUNCTION_PUBLIC.at(lock.at, message).help(help).about(subject(function)));
    }
    functions(policies, catalog, sink);
    foreign(policies, database, sink);
}

fn revoke(function: &Function) -> String {
    let name = &function.name;
    format!(
        "REVOKE EXECUTE ON ROUTINE {}.{}({}) FROM PUBLIC;",
        name.schema.quoted(),
        name.name.quoted(),
        name.arguments.join(", ")
    )
}

fn subject(function: &Function) -> String {
    format!("function:{}", function.name)
}

fn public_relations(policies: &[&CheckedPolicy], database: &Database<'_>, lock: Location, sink: &mut Sink) {
    let Some(catalog) = database.catalog else { return };
    let open: Vec<&Relation> =
        catalog.public_relations().filter(|relation| database.scope.admits(&relation.name)).collect();
    if open.is_empty() {
        return;
    }
    let mut first: BTreeMap<&RelationName, Location> = BTreeMap::new();
    for found in policies.iter().flat_map(|policy| &policy.grants).flat_map(|grant| &grant.on) {
        for relation in found.relations(database.tables).filter(|relation| !relation.public.is_empty()) {
            first.entry(&relation.name).or_insert(found.at);
        }
    }
    for relation in open {
        let rights: Vec<&str> = relation.public.iter().map(|right| right.as_str()).collect();
        let message = format!(
            "everybody who can connect holds {} on `{}`, whatever policies say",
            rights.join(", "),
            relation.name
        );
        let at = first.get(&relation.name).copied().unwrap_or(lock);
        sink.push(
            rule::PUBLIC_BYPASS
                .at(at, message)
                .help(format!("REVOKE ALL ON {} FROM PUBLIC;", relation.name.quoted()))
                .about(format!("relation:{}", relation.name)),
        );
    }
}

/// Granted functions that do more than their caller could.
fn functions(policies: &[&CheckedPolicy], catalog: &Catalog, sink: &mut Sink) {
    let risky: Vec<&Function> = catalog
        .functions
        .values()
        .filter(|function| {
            (function.security_definer && function.is_steerable()) || function.unbounded().is_some()
        })
        .collect();
    if risky.is_empty() {
        return;
    }
    for policy in policies {
        for (checked, model) in policy.grants.iter().zip(&policy.policy.grants) {
            let granted = risky
                .iter()
                .filter(|function| model.functions.iter().any(|pattern| function.is_meant_by(pattern)));
            for function in granted {
                if function.security_definer && function.is_steerable() {
                    let message = format!(
                        "`{}` runs with the rights of `{}` and looks for names where its caller says",
                        function.name, function.owner
                    );
                    sink.push(
                        rule::DEFINER_SEARCH_PATH
                            .at(checked.at, message)
                            .help("ALTER ROUTINE … SET search_path = pg_catalog, pg_temp; and qualify what it names")
                            .about(subject(function)),
                    );
                }
                if let Some(language) = function.unbounded() {
                    let message = format!(
                        "`{}` is written in `{language}`, in which a function can do whatever the server can",
                        function.name
                    );
                    sink.push(
                        rule::UNTRUSTED_LANGUAGE
                            .at(checked.at, message)
                            .help("read its body as you would read an administrator's script, and waive this if it is meant")
                            .about(subject(function)),
                    );
                }
            }
        }
    }
}

/// Grants by which rows are written on another server.
fn foreign(policies: &[&CheckedPolicy], database: &Database<'_>, sink: &mut Sink) {
    if !database.tables.iter().any(|relation| relation.kind == RelationKind::ForeignTable) {
        return;
    }
    for (checked, model) in policies.iter().flat_map(|policy| policy.grants.iter().zip(&policy.policy.grants))
    {
        let foreign =
            checked.relations(database.tables).find(|relation| relation.kind == RelationKind::ForeignTable);
        let Some(relation) = foreign else { continue };
        let filtered = model.rows.is_some() || model.restrict.is_some();
        let what = if filtered { "its rows are filtered" } else { "its columns are masked" };
        let message = format!(
            "`{}` is a foreign table: {what} here, and not for who reads the other server",
            relation.name
        );
        sink.push(
            rule::FOREIGN_TABLE_GRANTED
                .at(checked.at, message)
                .help("the other server is read with the rights of the user mapping; protect the table there too")
                .about(format!("relation:{}", relation.name)),
        );
    }
}
