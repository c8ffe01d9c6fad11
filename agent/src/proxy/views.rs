//! Which session views exist, as far as their transactions tell.
//!
//! Views are created inside whatever transaction needs them, so a rollback takes them away again. Asking twice is
//! harmless (the function creates what is missing); believing in a view that is not there is an error for the client.

use daam_catalog::RelationName;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Asked for, no answer yet.
    Requested,
    /// Created in a transaction that is still open.
    Uncommitted,
    /// There.
    Committed,
}

/// The views of one session.
#[derive(Debug, Default)]
pub(super) struct Views {
    known: BTreeMap<RelationName, Standing>,
}

impl Views {
    /// The tables among `needed` whose views must be asked for; they count as asked for from now on.
    pub(super) fn request(&mut self, needed: &BTreeSet<RelationName>) -> BTreeSet<RelationName> {
        let missing: BTreeSet<_> =
            needed.iter().filter(|name| !self.known.contains_key(*name)).cloned().collect();
        self.known.extend(missing.iter().map(|name| (name.clone(), Standing::Requested)));
        missing
    }

    /// The function has run.
    pub(super) fn created(&mut self, tables: &BTreeSet<RelationName>) {
        for table in tables {
            if let Some(standing @ Standing::Requested) = self.known.get_mut(table) {
                *standing = Standing::Uncommitted;
            }
        }
    }

    /// A transaction failed or was rolled back, whole or in part.
    pub(super) fn rolled_back(&mut self) {
        self.known.retain(|_, standing| *standing == Standing::Committed);
    }

    /// The server is outside a transaction.
    pub(super) fn transaction_ended(&mut self) {
        for standing in self.known.values_mut() {
            if *standing == Standing::Uncommitted {
                *standing = Standing::Committed;
            }
        }
    }

    /// Everything is gone or about to go; what there was.
    pub(super) fn take(&mut self) -> BTreeSet<RelationName> {
        std::mem::take(&mut self.known).into_keys().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(names: &[&str]) -> BTreeSet<RelationName> {
        names.iter().map(|name| RelationName::stored("public", *name).unwrap()).collect()
    }

    #[test]
    fn a_view_is_asked_for_once() {
        let mut views = Views::default();
        assert_eq!(views.request(&tables(&["a", "b"])), tables(&["a", "b"]));
        assert_eq!(views.request(&tables(&["b", "c"])), tables(&["c"]));
    }

    #[test]
    fn a_rollback_forgets_what_was_not_committed() {
        let mut views = Views::default();
        views.request(&tables(&["a"]));
        views.created(&tables(&["a"]));
        views.transaction_ended();
        views.request(&tables(&["b"]));
        views.created(&tables(&["b"]));
        views.rolled_back();
        assert_eq!(views.request(&tables(&["a", "b"])), tables(&["b"]));
        assert_eq!(views.take(), tables(&["a", "b"]));
        assert!(views.is_empty());
    }
}
