//! Grants add up: verbs, columns, permissive and restrictive rows per relation, and functions.
//!
//! Refused here: verbs a relation's kind does not have, writes to generated columns, and narrowings that leave
//! no column.

use super::rows::RowCollector;
use super::{RefusedGrant, RefusedReason, RelationAccess};
use crate::policy::{Grant, Policy, Verb};
use daam_catalog::{
    Catalog, Function, FunctionName, Generated, Identifier, Privilege, Relation, RelationName,
    RelationPattern,
};
use std::collections::{BTreeMap, BTreeSet};

/// Everything granted so far, before masks.
#[derive(Debug, Default)]
pub(super) struct Granted {
    pub(super) relations: BTreeMap<RelationName, RelationAccess>,
    pub(super) functions: BTreeSet<FunctionName>,
    pub(super) refused: Vec<RefusedGrant>,
    /// What is restricted, granted or not.
    pub(super) restricted: BTreeSet<(RelationName, Verb)>,
}

pub(super) fn collect(policies: &[&Policy], catalog: &Catalog) -> Granted {
    let mut granted = Granted::default();
    let mut rows = RowCollector::default();
    let capital: Vec<&Relation> =
        catalog.relations.values().filter(|relation| has_capitals(relation)).collect();
    for grant in policies.iter().flat_map(|policy| &policy.grants) {
        for relation in covered(grant, catalog, &capital) {
            add_relation(&mut granted, &mut rows, grant, relation);
        }
        if grant.functions.is_empty() {
            continue;
        }
        let called = |function: &&Function| grant.functions.iter().any(|it| function.is_meant_by(it));
        let names = catalog.functions.values().filter(called).map(|function| function.name.clone());
        granted.functions.extend(names);
    }
    for (parent, verb, child) in rows.bypassed(&granted.relations, catalog) {
        granted.refuse(&parent, verb, &child);
    }
    granted.restricted = rows.restricted();
    rows.write_into(&mut granted.relations, catalog);
    granted
}

impl Granted {
    /// Takes a verb on a parent away, because the child's restriction would not hold there.
    fn refuse(&mut self, parent: &RelationName, verb: Verb, child: &RelationName) {
        let Some(access) = self.relations.get_mut(parent) else { return };
        access.verbs.remove(&verb);
        let origins = access.verb_origins.remove(&verb).unwrap_or_default();
        if access.verbs.is_empty() {
            self.relations.remove(parent);
        }
        self.refused.extend(origins.into_iter().map(|origin| RefusedGrant {
            relation: parent.clone(),
            reason: RefusedReason::ChildRestricted(verb, child.clone()),
            origin,
        }));
    }
}

/// The relations a grant is on, each once. Most grants spell their relations out: those are looked up, and only
/// wildcards are tried on every name of the catalogue. Names with capitals are tried too: patterns fold them.
fn covered<'a>(grant: &Grant, catalog: &'a Catalog, capital: &[&'a Relation]) -> Vec<&'a Relation> {
    let meant = |relation: &&Relation| grant.on.iter().any(|on| on.matches(&relation.name));
    let spelled: Option<BTreeSet<RelationName>> = grant.on.iter().map(RelationPattern::literal).collect();
    let Some(names) = spelled else { return catalog.relations.values().filter(meant).collect() };
    let found = names.iter().filter_map(|name| catalog.relation(name)).chain(capital.iter().copied());
    let found: BTreeMap<&RelationName, &Relation> =
        found.filter(meant).map(|relation| (&relation.name, relation)).collect();
    found.into_values().collect()
}

/// Whether a name is another one once it is folded.
fn has_capitals(relation: &Relation) -> bool {
    let capital = |text: &str| text.bytes().any(|byte| byte.is_ascii_uppercase());
    capital(relation.name.schema.as_str()) || capital(relation.name.name.as_str())
}

impl Granted {
    /// Takes every verb away that writes.
    pub(super) fn only_read(&mut self) {
        for (name, access) in &mut self.relations {
            let written: Vec<Verb> =
                access.verbs.keys().copied().filter(|verb| *verb != Verb::Select).collect();
            for verb in written {
                access.verbs.remove(&verb);
                access.rows.remove(&verb);
                let origins = access.verb_origins.remove(&verb).unwrap_or_default();
                self.refused.extend(origins.into_iter().map(|origin| RefusedGrant {
                    relation: name.clone(),
                    reason: RefusedReason::ReadOnly(verb),
                    origin,
                }));
            }
            access.origins = access.verb_origins.values().flatten().cloned().collect();
        }
        self.relations.retain(|_, access| !access.verbs.is_empty());
    }
}

fn add_relation(granted: &mut Granted, rows: &mut RowCollector, grant: &Grant, relation: &Relation) {
    for verb in &grant.allow {
        // A restriction holds over every policy, even where its own grant gives nothing.
        rows.restrict(relation, *verb, grant);
        let rewritten = match verb {
            Verb::Insert => relation.rules.contains(&Privilege::Insert),
            Verb::Update => relation.rules.contains(&Privilege::Update),
            Verb::Delete => relation.rules.contains(&Privilege::Delete),
            Verb::Select | Verb::Truncate => false,
        };
        if rewritten || !verb.suits(relation.kind) {
            let reason =
                if rewritten { RefusedReason::Rules(*verb) } else { RefusedReason::VerbUnsuited(*verb) };
            granted.refused.push(RefusedGrant {
                relation: relation.name.clone(),
                reason,
                origin: grant.origin.clone(),
            });
            continue;
        }
        let columns = columns(*verb, grant, relation);
        if verb.has_columns() && columns.is_empty() {
            continue;
        }
        rows.permit(relation, *verb, grant);
        let access = granted.relations.entry(relation.name.clone()).or_default();
        access.verbs.entry(*verb).or_default().extend(columns);
        access.origins.insert(grant.origin.clone());
        access.verb_origins.entry(*verb).or_default().insert(grant.origin.clone());
    }
}

/// The columns of the relation a grant covers for that verb.
fn columns(verb: Verb, grant: &Grant, relation: &Relation) -> BTreeSet<Identifier> {
    if !verb.has_columns() {
        return BTreeSet::new();
    }
    let narrowed = grant.columns.get(&verb);
    relation
        .columns
        .iter()
        .filter(|column| verb == Verb::Select || !matches!(column.generated, Generated::From(_)))
        .filter(|column| narrowed.is_none_or(|names| names.contains(&column.name)))
        .map(|column| column.name.clone())
        .collect()
}
