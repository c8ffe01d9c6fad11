//! What could stand where somebody is typing.
//!
//! Names come from the schema lock, groups from the policies, keys and fixed words from the grammar. Long lists
//! are cut: an editor asks again with every letter.

use super::Known;
use super::grammar::Shapes;
use super::meaning::{self, Meaning};
use super::place::{Cursor, Place};
use crate::syntax::project::BUILT_IN;
use daam_catalog::pattern::RelationPattern;
use daam_catalog::{Catalog, Relation};
use daam_diagnostic::Span;
use daam_model::{AttributeType, Policy};
use std::collections::BTreeSet;

/// The most proposals of one answer.
const MOST: usize = 200;

/// What a proposal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CompletionKind {
    /// A key of the language.
    Key,
    /// A word of the language: a verb, a preset.
    Word,
    /// A schema.
    Schema,
    /// A table, view or the like.
    Relation,
    /// A column.
    Column,
    /// A function.
    Function,
    /// A group.
    Group,
    /// A database of the project.
    Database,
    /// An attribute of the subject.
    Attribute,
    /// A policy.
    Policy,
}

/// One proposal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Completion {
    /// What is shown.
    pub label: String,
    /// What is put in.
    pub insert: String,
    /// What it replaces.
    pub replace: Span,
    /// A remark beside the label: a type, a kind.
    pub detail: String,
    /// What it is.
    pub kind: CompletionKind,
}

/// Collects proposals that begin with what has been typed.
struct List<'c> {
    cursor: &'c Cursor,
    found: Vec<Completion>,
}

impl List<'_> {
    fn propose(&mut self, kind: CompletionKind, label: &str, detail: impl Into<String>) {
        self.insert(kind, label, label.to_owned(), detail);
    }

    fn insert(&mut self, kind: CompletionKind, label: &str, insert: String, detail: impl Into<String>) {
        let typed = self.cursor.typed.to_lowercase();
        if self.found.len() < MOST && label.to_lowercase().starts_with(&typed) {
            let (label, replace, detail) = (label.to_owned(), self.cursor.replace, detail.into());
            self.found.push(Completion { label, insert, replace, detail, kind });
        }
    }
}

pub(super) fn complete<'a>(
    place: &Place,
    cursor: &Cursor,
    known: Known<'_>,
    databases: impl Iterator<Item = &'a str>,
) -> Vec<Completion> {
    let mut list = List { cursor, found: Vec::new() };
    let meant = meaning::of(place);
    match (meant, known.catalog) {
        (Meaning::Relations, Some(catalog)) => relations(&mut list, catalog),
        (Meaning::Columns, Some(catalog)) => columns(&mut list, catalog),
        (Meaning::Functions, Some(catalog)) => functions(&mut list, catalog),
        (Meaning::ColumnsHere, Some(catalog)) => columns_here(&mut list, place, catalog),
        (Meaning::Filter, Some(catalog)) => filter(&mut list, place, catalog, known),
        (Meaning::Group, _) => groups(&mut list, known),
        (Meaning::Database, _) => {
            databases.for_each(|name| list.propose(CompletionKind::Database, name, "database"));
        }
        (Meaning::Policy, _) => {
            for policy in policies(known) {
                list.propose(CompletionKind::Policy, &policy.name, &*policy.description);
            }
        }
        _ => {}
    }
    grammar(&mut list, place);
    list.found.sort();
    list.found.dedup();
    list.found
}

fn grammar(list: &mut List<'_>, place: &Place) {
    let Some(shapes) = Shapes::at(&place.kind, &place.steps) else {
        if place.is_key && place.steps.is_empty() {
            list.insert(CompletionKind::Key, "kind", "kind: policy".to_owned(), "the kind of document");
        }
        return;
    };
    // A mapping can begin wherever one may stand; what is typed is its first key.
    if place.is_key || shapes.has_mapping() {
        for (key, description) in shapes.keys() {
            let colon = if list.cursor.needs_colon || !place.is_key { ": " } else { "" };
            list.insert(CompletionKind::Key, key, format!("{key}{colon}"), description);
        }
    }
    if !place.is_key {
        for value in shapes.values() {
            list.propose(CompletionKind::Word, value, "");
        }
    }
}

fn relations(list: &mut List<'_>, catalog: &Catalog) {
    schemas(list, catalog, "*");
    for relation in catalog.relations.values() {
        list.propose(CompletionKind::Relation, &relation.name.to_string(), relation.kind.noun());
    }
}

fn schemas(list: &mut List<'_>, catalog: &Catalog, rest: &str) {
    let names: BTreeSet<String> =
        catalog.relations.keys().map(|name| format!("{}.{rest}", name.schema)).collect();
    for name in names {
        list.propose(CompletionKind::Schema, &name, "everything in the schema");
    }
}

/// Tables first; columns as soon as the table is written, also of a table with wildcards.
fn columns(list: &mut List<'_>, catalog: &Catalog) {
    let typed = list.cursor.typed.clone();
    let segments: Vec<&str> = typed.split('.').collect();
    let [schema, table, _] = segments.as_slice() else {
        for relation in catalog.relations.values() {
            list.insert(
                CompletionKind::Relation,
                &format!("{}.", relation.name),
                format!("{}.", relation.name),
                relation.kind.noun(),
            );
        }
        return;
    };
    let prefix = format!("{schema}.{table}");
    let Ok(pattern) = RelationPattern::parse(&prefix) else { return };
    for relation in catalog.relations.values().filter(|relation| pattern.matches(&relation.name)) {
        for column in &relation.columns {
            let label = format!("{prefix}.{}", column.name);
            list.propose(CompletionKind::Column, &label, &*column.data_type.sql);
        }
    }
}

fn functions(list: &mut List<'_>, catalog: &Catalog) {
    for (name, function) in &catalog.functions {
        let arguments = name.arguments.join(", ");
        let detail = format!("({arguments}) → {}", function.returns);
        list.propose(CompletionKind::Function, &format!("{}.{}", name.schema, name.name), detail);
    }
}

fn columns_here(list: &mut List<'_>, place: &Place, catalog: &Catalog) {
    for relation in covered(place, catalog) {
        for column in &relation.columns {
            list.propose(CompletionKind::Column, &column.name.to_string(), &*column.data_type.sql);
        }
    }
}

fn filter(list: &mut List<'_>, place: &Place, catalog: &Catalog, known: Known<'_>) {
    columns_here(list, place, catalog);
    for (name, kind) in BUILT_IN {
        list.propose(CompletionKind::Attribute, &format!("subject.{name}"), kind.as_str());
    }
    for (name, kind) in known.compiled.iter().flat_map(|compiled| &compiled.policies.attributes) {
        list.propose(CompletionKind::Attribute, &format!("subject.{name}"), AttributeType::as_str(*kind));
    }
}

fn groups(list: &mut List<'_>, known: Known<'_>) {
    for (group, policies) in groups_of(known) {
        list.propose(CompletionKind::Group, &group, format!("named by {policies} policies"));
    }
}

/// Every group that policies or groups files name, with the number of policies.
fn groups_of(known: Known<'_>) -> Vec<(String, usize)> {
    let mut groups: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for policy in policies(known) {
        let approvers = policy.request.iter().flat_map(|terms| &terms.approvers);
        for group in policy.subjects.groups.iter().chain(approvers) {
            *groups.entry(group.clone()).or_default() += 1;
        }
    }
    for group in known.compiled.iter().flat_map(|compiled| compiled.policies.groups.keys()) {
        groups.entry(group.clone()).or_default();
    }
    groups.into_iter().collect()
}

pub(super) fn policies(known: Known<'_>) -> &[Policy] {
    known.compiled.map_or(&[], |compiled| &compiled.policies.policies)
}

/// The relations whose columns are meant at that place.
pub(super) fn covered<'c>(place: &Place, catalog: &'c Catalog) -> Vec<&'c Relation> {
    let patterns: Vec<RelationPattern> =
        meaning::relations(place).iter().filter_map(|text| RelationPattern::parse(text).ok()).collect();
    catalog
        .relations
        .values()
        .filter(|relation| patterns.iter().any(|pattern| pattern.matches(&relation.name)))
        .collect()
}
