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

    /// Every verb of a relation that a restriction holds over, whether or not anything grants it.
    pub(super) fn restricted(&self) -> BTreeSet<(RelationName, Verb)> {
        let held = self.verbs.iter().filter(|(_, reach)| !reach.all.is_empty());
        held.map(|(key, _)| key.clone()).collect()
    }

    /// Granted relations whose descendants are restricted for that verb by something that does not hold for them:
    /// through them the restricted rows would show.
    pub(super) fn bypassed(
        &self,
        granted: &BTreeMap<RelationName, RelationAccess>,
        catalog: &Catalog,
    ) -> Vec<(RelationName, Verb, RelationName)> {
        let mut found = Vec::new();
        for ((child, verb), reach) in self.verbs.iter().filter(|(_, reach)| !reach.all.is_empty()) {
            for parent in ancestors(child, catalog) {
                let held = granted.get(&parent).is_some_and(|access| access.verbs.contains_key(verb));
                let texts = |reach: &Reach| -> BTreeSet<String> {
                    reach.all.iter().map(|clause| clause.text.clone()).collect()
                };
                let own = self.verbs.get(&(parent.clone(), *verb)).map(texts).unwrap_or_default();
                if held && !texts(reach).is_subset(&own) {
                    found.push((parent, *verb, child.clone()));
                }
            }
        }
        found
    }

    /// Writes the filters of the verbs that are granted, with what their ancestors demand.
    pub(super) fn write_into(
        self,
        relations: &mut BTreeMap<RelationName, RelationAccess>,
        catalog: &Catalog,
    ) {
        for (name, access) in relations {
            let ancestors = ancestors(name, catalog);
            for verb in access.verbs.keys() {
                let own = self.verbs.get(&(name.clone(), *verb));
                let mut filter = own.map(Reach::filter).unwrap_or_default();
                for ancestor in &ancestors {
                    if let Some(reach) = self.verbs.get(&(ancestor.clone(), *verb)) {
                        require(&mut filter, reach.filter());
                    }
                }
                filter.all.sort();
                filter.all.dedup();
                if filter != RowFilter::default() {
                    access.rows.insert(*verb, filter);
                }
            }
        }
    }
}

impl Reach {
    fn filter(&self) -> RowFilter {
        let any = if self.unfiltered { Vec::new() } else { self.any.iter().cloned().collect() };
        RowFilter { any, all: self.all.iter().cloned().collect() }
    }
}

fn clause(relation: &Relation, text: &str, grant: &Grant) -> FilterClause {
    FilterClause { relation: relation.name.clone(), text: text.to_owned(), origin: grant.origin.clone() }
}

/// Narrows a child's filter to the rows its ancestor's filter reaches.
fn require(filter: &mut RowFilter, ancestor: RowFilter) {
    filter.all.extend(ancestor.all);
    match ancestor.any.as_slice() {
        [] => {}
        [only] => filter.all.push(only.clone()),
        // Kept apart where possible: a missing attribute then closes one alternative, not all of them.
        _ if filter.any.is_empty() => filter.any = ancestor.any,
        [first, ..] => {
            // Each text is one complete expression, so the parenthesised alternatives are one as well.
            let texts: Vec<String> = ancestor.any.iter().map(|clause| format!("({})", clause.text)).collect();
            filter.all.push(FilterClause { text: texts.join(" OR "), ..first.clone() });
        }
    }
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
