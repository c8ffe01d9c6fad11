//! What a session may do with a relation.

use super::table::ProtectedTable;
use daam_catalog::Identifier;
use daam_model::Verb;
use std::collections::{BTreeMap, BTreeSet};

/// A relation whose privileges are the permission role's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectTable {
    pub(crate) verbs: BTreeMap<Verb, BTreeSet<Identifier>>,
    /// A column it gets must not be readable before it is known here.
    pub(crate) by_column: bool,
}

impl DirectTable {
    /// The granted verbs with their columns.
    pub fn verbs(&self) -> &BTreeMap<Verb, BTreeSet<Identifier>> {
        &self.verbs
    }
}

/// What a session may do with a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access<'a> {
    /// Nothing.
    None,
    /// The granted verbs on the relation itself.
    Direct(&'a DirectTable),
    /// The granted verbs through views.
    Protected(&'a ProtectedTable),
}

impl<'a> Access<'a> {
    /// The granted verbs with their columns.
    pub fn verbs(self) -> Option<&'a BTreeMap<Verb, BTreeSet<Identifier>>> {
        match self {
            Self::None => None,
            Self::Direct(table) => Some(&table.verbs),
            Self::Protected(table) => Some(table.verbs()),
        }
    }
}
