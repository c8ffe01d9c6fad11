//! Which rows a verb reaches.
//!
//! Within one verb on one relation: any permissive clause (all rows if any grant has none), and every
//! restrictive clause. A partition or inheritance child that is granted directly never reaches more than its
//! filtered parents let through.

use super::{FilterClause, RelationAccess, RowFilter};
use crate::policy::{Grant, Verb};
use daam_catalog::{Catalog, Relation, RelationName};
use std::collections::{BTreeMap, BTreeSet};

/// Clauses while grants are being added up.
#[derive(Debug, Default)]
pub(super) struct RowCollector {
    verbs: BTreeMap<(RelationName, Verb), Reach>,
}

#[derive(Debug, Default)]
struct Reach {
    unfiltered: bool,
    any: BTreeSet<FilterClause>,
    all: BTreeSet<FilterClause>,
}

impl RowCollector {
    /// Adds the permissive side of a grant.
    pub(super) fn permit(&mut self, relation: &Relation, verb: Verb, grant: &Grant) {
        let reach = self.verbs.entry((relation.name.clone(), verb)).or_default();
        match &grant.rows {
            None => reach.unfiltered = true,
            Some(text) => {
                reach.any.insert(clause(relation, text, grant));
            }
        }
    }

    /// Adds the restrictive side of a grant.
    pub(super) fn restrict(&mut self, relation: &Relation, verb: Verb, grant: &Grant) {
        if let Some(text) = &grant.restrict {
            let reach = self.verbs.entry((relation.name.clone(), verb)).or_default();
            reach.all.insert(clause(relation, text, grant));
        }
    }

    /// Writes the filters of the verbs that are granted.
    pub(super) fn write_into(self, relations: &mut BTreeMap<RelationName, RelationAccess>) {
        for ((relation, verb), reach) in self.verbs {
            let Some(access) = relations.get_mut(&relation) else { continue };
            if !access.verbs.contains_key(&verb) {
                continue;
            }
            let any = if reach.unfiltered { Vec::new() } else { reach.any.into_iter().collect() };
            let filter = RowFilter { any, all: reach.all.into_iter().collect() };
            if filter != RowFilter::default() {
                access.rows.insert(verb, filter);
            }
        }
    }
}

fn clause(relation: &Relation, text: &str, grant: &Grant) -> FilterClause {
    FilterClause { relation: relation.name.clone(), text: text.to_owned(), origin: grant.origin.clone() }
}

/// Gives every granted child the filters of its granted ancestors.
pub(super) fn inherit(relations: &mut BTreeMap<RelationName, RelationAccess>, catalog: &Catalog) {
    let mut inherited: Vec<(RelationName, Verb, Vec<FilterClause>)> = Vec::new();
    for (name, access) in relations.iter() {
        for parent in ancestors(name, catalog) {
            let Some(filters) = relations.get(&parent).map(|access| &access.rows) else { continue };
            for (verb, filter) in filters {
                if access.verbs.contains_key(verb) {
                    inherited.push((name.clone(), *verb, required(filter)));
                }
            }
        }
    }
    for (name, verb, clauses) in inherited {
        let Some(access) = relations.get_mut(&name) else { continue };
        let all = &mut access.rows.entry(verb).or_default().all;
        all.extend(clauses);
        all.sort();
        all.dedup();
    }
}

/// A filter as clauses that all must hold.
fn required(filter: &RowFilter) -> Vec<FilterClause> {
    let mut clauses = filter.all.clone();
    match filter.any.as_slice() {
        [] => {}
        [only] => clauses.push(only.clone()),
        [first, ..] => {
            // Each text is one complete expression, so the parenthesised alternatives are one as well.
            let texts: Vec<String> = filter.any.iter().map(|clause| format!("({})", clause.text)).collect();
            clauses.push(FilterClause { text: texts.join(" OR "), ..first.clone() });
        }
    }
    clauses
}

/// Every relation this one is a partition or inheritance child of, directly or not.
pub(super) fn ancestors(name: &RelationName, catalog: &Catalog) -> BTreeSet<RelationName> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&RelationName> =
        catalog.relation(name).map(|relation| relation.parents.iter().collect()).unwrap_or_default();
    while let Some(parent) = open.pop() {
        if parent != name
            && found.insert(parent.clone())
            && let Some(relation) = catalog.relation(parent)
        {
            open.extend(&relation.parents);
        }
    }
    found
}
