//! Written policies → checked ones. One module per part; each reports and carries on.

pub(crate) mod by_person;
pub(crate) mod cases;
pub(crate) mod ceiling;
pub(crate) mod conflicts;
pub(crate) mod covered;
pub(crate) mod family;
pub(crate) mod filter;
mod filter_index;
mod filter_mask;
mod filter_null;
mod filter_text;
mod filter_type;
pub(crate) mod grant;
pub(crate) mod joins;
mod lists;
pub(crate) mod lock_age;
pub(crate) mod mask;
mod mask_sense;
pub(crate) mod openings;
mod people;
pub(crate) mod policy;
pub(crate) mod project;
pub(crate) mod request;
pub(crate) mod sensitive;
pub(crate) mod untested;
pub(crate) mod views;
pub(crate) mod writes;

pub(crate) use people::People;

pub(crate) use filter_text::Filters;

use crate::resolve::{Lookup, Reach, Resolved};
use crate::syntax::decode::Spanned;
use crate::tables::{ColumnId, RelationId, Tables};
use daam_catalog::pattern::{ColumnPattern, RelationPattern};
use daam_catalog::{Catalog, Identifier, Relation, Scope};
use daam_diagnostic::{Location, SourceMap};
use daam_model::{AttributeType, Mask, Origin, Policy, Verb};
use daam_sql::typing::Universe;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What policies of one database are checked against.
#[derive(Debug)]
pub(crate) struct Database<'a> {
    pub(crate) name: &'a str,
    pub(crate) sources: &'a SourceMap,
    pub(crate) attributes: &'a BTreeMap<String, AttributeType>,
    pub(crate) scope: &'a Scope,
    /// Absent when the lock is; names are then not checked.
    pub(crate) catalog: Option<&'a Catalog>,
    /// Its relations by number.
    pub(crate) tables: &'a Tables<'a>,
    /// The types of that catalogue, made when the first filter needs them.
    pub(crate) universe: &'a OnceLock<Universe>,
    /// What is known about groups.
    pub(crate) people: &'a People,
    /// Writes have to be asked for.
    pub(crate) protected: bool,
    /// Tests are declared for it.
    pub(crate) tested: bool,
    /// The same, as patterns are looked up in it; made when the first pattern is.
    pub(crate) lookup: &'a OnceLock<Lookup>,
    /// Row filters that were read already.
    pub(crate) filters: &'a Filters,
}

impl Database<'_> {
    pub(crate) fn reach(&self) -> Option<Reach<'_>> {
        let catalog = self.catalog?;
        let lookup = self.lookup.get_or_init(|| Lookup::new(catalog, self.scope));
        Some(Reach { catalog, scope: self.scope, tables: self.tables, lookup })
    }

    /// How many names patterns were tried on.
    pub(crate) fn tried(&self) -> usize {
        self.lookup.get().map_or(0, Lookup::tried)
    }

    pub(crate) fn origin(&self, at: Location) -> Origin {
        let line = self.sources.position(at.source, at.span.start).line;
        Origin {
            file: self.sources.path(at.source).to_owned(),
            line: u32::try_from(line).unwrap_or(u32::MAX),
        }
    }
}

/// A policy with what its clauses cover, for rules that compare clauses.
#[derive(Debug)]
pub(crate) struct CheckedPolicy {
    pub(crate) at: Location,
    pub(crate) name: Spanned<String>,
    pub(crate) policy: Policy,
    pub(crate) grants: Vec<CheckedGrant>,
    pub(crate) masks: Vec<CheckedMask>,
}

/// One grant and the relations it covers.
#[derive(Debug)]
pub(crate) struct CheckedGrant {
    pub(crate) at: Location,
    pub(crate) allow: Vec<Verb>,
    pub(crate) on: Vec<Resolved<RelationPattern, RelationId>>,
    /// Whether it allows its verbs on all rows and columns.
    pub(crate) whole: bool,
    /// Whether it has a filter that holds over other grants too.
    pub(crate) restricts: bool,
    /// The columns its filters compare, and where.
    pub(crate) compared: Vec<(Identifier, Location)>,
    /// Those of them that are compared with something about the subject.
    pub(crate) by_subject: Vec<Identifier>,
}

impl CheckedGrant {
    /// The relations it covers.
    pub(crate) fn relations<'t>(&self, tables: &'t Tables<'t>) -> impl Iterator<Item = &'t Relation> {
        self.on.iter().flat_map(|resolved| resolved.relations(tables))
    }
}

/// One mask rule and the columns it covers.
#[derive(Debug)]
pub(crate) struct CheckedMask {
    pub(crate) at: Location,
    pub(crate) with: Mask,
    pub(crate) on: Vec<Resolved<ColumnPattern, ColumnId>>,
}
