//! The customer's scope, enforced: the filter over introspection, and the review of policies.
//!
//! [`ScopedCatalog`] can only be made by filtering a [`FullCatalog`], and only a [`ScopedCatalog`] can be reported
//! to the control plane or enforced on. [`review()`] refuses a bundle whose masks or row filters name an object
//! outside; [`narrow`] applies a bundle that was accepted under a wider scope. Patterns never leave the process.

mod review;
mod user_types;
mod violation;

pub use review::{Review, narrow, review};
pub use violation::{Deduplication, Site, Violation};

use crate::introspect::FullCatalog;
use daam_catalog::{Catalog, FunctionName, Relation, RelationName, Scope, UserCast, UserType, UserTypeKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The part of a catalogue that is in scope, with every mention of the rest removed; and beside it, for this process
/// only, what sessions must know in order to refuse it.
#[derive(Debug, Clone, Default)]
pub struct ScopedCatalog {
    catalog: Arc<Catalog>,
    known: Arc<Catalog>,
}

impl ScopedCatalog {
    pub(crate) fn new(full: &FullCatalog, scope: &Scope) -> Self {
        let relations = full
            .catalog
            .relations
            .iter()
            .filter(|(name, _)| scope.admits(name))
            .map(|(name, relation)| (name.clone(), cut(relation, scope, &full.owned_sequences)))
            .collect();
        let functions = full
            .catalog
            .functions
            .iter()
            .filter(|(name, _)| admits_function(scope, name))
            .map(|(name, function)| (name.clone(), function.clone()))
            .collect();
        let mut catalog = Catalog { server: full.catalog.server, relations, functions, ..Catalog::default() };
        user_types::keep(&mut catalog, &full.catalog, scope);
        let catalog = Arc::new(catalog);
        let known = if scope.is_active() { Arc::new(guarded(&catalog, full)) } else { Arc::clone(&catalog) };
        Self { catalog, known }
    }

    /// What is in scope.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// For sessions: what is in scope, and what everyone can reach in the database although it is not. A name the
    /// rewriter does not know could be somebody's own; a name it knows and no policy grants is refused.
    pub fn known(&self) -> &Arc<Catalog> {
        &self.known
    }

    /// For the control plane: the snapshot form.
    pub fn report(&self) -> serde_json::Value {
        daam_catalog::snapshot::to_json(&self.catalog)
    }

    /// How many relations are in scope.
    pub fn len(&self) -> usize {
        self.catalog.relations.len()
    }

    /// Whether nothing is in scope.
    pub fn is_empty(&self) -> bool {
        self.catalog.relations.is_empty()
    }
}

/// Whether a function is inside.
pub(crate) fn admits_function(scope: &Scope, function: &FunctionName) -> bool {
    RelationName::stored(function.schema.as_str(), function.name.as_str())
        .is_ok_and(|name| scope.admits(&name))
}

/// Adds what is out of scope: relations and types by name alone, so that nothing a session makes is found in their
/// place by the database's own triggers and functions; and functions that run with their owner's rights and that
/// everyone may call, with the operators and casts made of them. Other functions run with the session's rights and
/// reach nothing that it does not.
fn guarded(inside: &Catalog, full: &FullCatalog) -> Catalog {
    let mut known = inside.clone();
    for (name, relation) in &full.catalog.relations {
        known.relations.entry(name.clone()).or_insert_with(|| bare(relation));
    }
    for name in full.catalog.types.keys() {
        known.types.entry(name.clone()).or_insert_with(|| UserType::new(UserTypeKind::Base));
    }
    let open: BTreeMap<_, _> =
        full.catalog.public_definers().map(|function| (&function.name, function)).collect();
    for (name, function) in &open {
        known.functions.entry((*name).clone()).or_insert_with(|| (*function).clone());
    }
    let operators = full.catalog.operators.iter().filter(|operator| open.contains_key(&operator.function));
    known.operators.extend(operators.cloned());
    let calls = |cast: &&UserCast| cast.function.as_ref().is_some_and(|function| open.contains_key(function));
    known.casts.extend(full.catalog.casts.iter().filter(calls).cloned());
    known
}

/// A relation without anything in it.
fn bare(relation: &Relation) -> Relation {
    Relation {
        columns: Vec::new(),
        primary_key: Vec::new(),
        unique: Vec::new(),
        foreign_keys: Vec::new(),
        parents: Vec::new(),
        reads: BTreeSet::new(),
        comment: None,
        ..relation.clone()
    }
}

/// A relation without the names of others that are out of scope.
fn cut(relation: &Relation, scope: &Scope, owned_sequences: &BTreeSet<RelationName>) -> Relation {
    let mut relation = relation.clone();
    relation.foreign_keys.retain(|key| scope.admits(&key.references));
    relation.parents.retain(|parent| scope.admits(parent));
    relation.reads.retain(|column| scope.admits(&column.relation));
    relation.scans.retain(|name| scope.admits(name));
    for column in &mut relation.columns {
        column.sequence =
            column.sequence.take().filter(|name| owned_sequences.contains(name) || scope.admits(name));
    }
    relation
}

/// A reason without the names it quotes: the database's own words may name what is out of scope.
pub fn unquoted(reason: &str) -> String {
    const QUOTES: [char; 7] = ['`', '"', '«', '»', '„', '“', '”'];
    let mut said = String::new();
    for (n, part) in reason.split(QUOTES).enumerate() {
        said.push_str(if n % 2 == 0 { part } else { "…" });
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use daam_catalog::{
        CastContext, Column, ColumnRef, DataType, ForeignKey, Identifier, RelationKind, RelationPattern,
        TypeClass, UserCast, UserType, UserTypeKind,
    };

    fn name(schema: &str, name: &str) -> RelationName {
        RelationName::stored(schema, name).unwrap()
    }

    fn table(schema: &str, table: &str) -> Relation {
        let secret = name("hidden", "secret");
        let integer = DataType { sql: "integer".into(), class: TypeClass::Integer };
        let id = Identifier::stored("id").unwrap();
        Relation {
            columns: vec![Column {
                has_default: true,
                sequence: Some(name("hidden", "numbers")),
                ..Column::new(id, integer)
            }],
            foreign_keys: vec![ForeignKey {
                columns: vec![],
                references: secret.clone(),
                referenced: vec![],
            }],
            parents: vec![secret.clone()],
            reads: BTreeSet::from([ColumnRef { relation: secret, column: Identifier::stored("x").unwrap() }]),
            ..Relation::new(name(schema, table), RelationKind::Table, Identifier::stored("owner").unwrap())
        }
    }

    #[test]
    fn nothing_out_of_scope_is_mentioned_anywhere_in_the_report() {
        let relations = [table("public", "users"), table("hidden", "secret")];
        let kind = || UserType::new(UserTypeKind::Enum { labels: vec!["hidden".into()] });
        let cast = UserCast {
            from: "hidden.kind".into(),
            to: "text".into(),
            context: CastContext::Implicit,
            function: None,
        };
        let catalog = Catalog {
            relations: relations.into_iter().map(|r| (r.name.clone(), r)).collect(),
            types: [(name("hidden", "kind"), kind())].into(),
            casts: [cast].into(),
            system: Some("hidden".into()),
            ..Catalog::default()
        };
        let full = FullCatalog {
            catalog,
            owned_sequences: BTreeSet::new(),
            objects: daam_enforce::Objects::default(),
        };
        let scope = Scope::Patterns(vec![RelationPattern::parse("public.*").unwrap()]);
        let scoped = full.within(&scope);
        assert_eq!(scoped.len(), 1);
        assert!(!scoped.report().to_string().contains("hidden"));
        assert!(full.within(&Scope::Patterns(vec![])).is_empty());
        assert_eq!(full.within(&Scope::Absent).len(), 2);
    }
}
