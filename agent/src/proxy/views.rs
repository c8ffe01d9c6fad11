//! Which session views exist, as far as their transactions tell.
//!
//! Views are created inside whatever transaction needs them, so a rollback takes them away again. Asking twice is
//! harmless (the function creates what is missing); believing in a view that is not there is an error for the client,
//! and forgetting one that is there keeps it from being released, so that it stands in the way of a migration.
//!
//! Clients send ahead of the answers. What is asked for can therefore be undone by something that is sent after it and
//! answered before the next question: a view counts as there for what follows in the same stretch, and a stretch ends
//! with every message that may end a transaction.

use daam_catalog::RelationName;
use std::collections::{BTreeMap, BTreeSet};

/// What the database has said of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Perhaps there: nothing was said yet, or a rollback may have taken it away.
    Doubtful,
    /// Created in a transaction that was open then.
    Uncommitted,
    /// Created in the transaction that is open, with nothing on its way that could end it.
    Open,
    /// There.
    Committed,
}

#[derive(Debug)]
struct View {
    standing: Standing,
    /// Questions without an answer.
    on_the_way: u32,
    /// The stretch of the last question.
    asked_in: u64,
}

/// The views of one session.
#[derive(Debug, Default)]
pub(super) struct Views {
    known: BTreeMap<RelationName, View>,
    stretch: u64,
}

impl Views {
    /// The tables among `needed` whose views must be asked for; they count as asked for from now on.
    pub(super) fn request(&mut self, needed: &BTreeSet<RelationName>) -> BTreeSet<RelationName> {
        let missing: BTreeSet<_> = needed.iter().filter(|name| !self.is_there(name)).cloned().collect();
        for name in &missing {
            let view = self.known.entry(name.clone()).or_insert(View {
                standing: Standing::Doubtful,
                on_the_way: 0,
                asked_in: 0,
            });
            view.on_the_way = view.on_the_way.saturating_add(1);
            view.asked_in = self.stretch;
        }
        missing
    }

    /// Whether the view can be counted on by what is sent next.
    pub(super) fn is_there(&self, name: &RelationName) -> bool {
        self.known.get(name).is_some_and(|view| match view.standing {
            Standing::Committed | Standing::Open => true,
            Standing::Uncommitted => view.asked_in == self.stretch,
            Standing::Doubtful => view.on_the_way > 0 && view.asked_in == self.stretch,
        })
    }

    /// The function has run.
    pub(super) fn created(&mut self, tables: &BTreeSet<RelationName>) {
        self.answered(tables, |view| {
            if view.standing == Standing::Doubtful {
                view.standing = Standing::Uncommitted;
            }
        });
    }

    /// The function has failed, or the server passed over it.
    pub(super) fn not_created(&mut self, tables: &BTreeSet<RelationName>) {
        self.answered(tables, |_| {});
    }

    fn answered(&mut self, tables: &BTreeSet<RelationName>, mut take: impl FnMut(&mut View)) {
        for table in tables {
            if let Some(view) = self.known.get_mut(table) {
                view.on_the_way = view.on_the_way.saturating_sub(1);
                take(view);
            }
        }
    }

    /// Something was sent that may end a transaction, or a part of it.
    pub(super) fn stretch_ends(&mut self) {
        self.stretch = self.stretch.wrapping_add(1);
        for view in self.known.values_mut().filter(|view| view.standing == Standing::Open) {
            view.standing = Standing::Uncommitted;
        }
    }

    /// A transaction failed or was rolled back, whole or in part. What is on its way is told of on its own.
    pub(super) fn rolled_back(&mut self) {
        for view in self.known.values_mut().filter(|view| view.standing != Standing::Committed) {
            view.standing = Standing::Doubtful;
        }
    }

    /// The server is outside a transaction.
    pub(super) fn transaction_ended(&mut self) {
        for view in self.known.values_mut() {
            if matches!(view.standing, Standing::Uncommitted | Standing::Open) {
                view.standing = Standing::Committed;
            }
        }
    }

    /// The server is inside a transaction, and nothing is on its way.
    pub(super) fn transaction_open(&mut self) {
        for view in self.known.values_mut().filter(|view| view.standing == Standing::Uncommitted) {
            view.standing = Standing::Open;
        }
    }

    /// Something outside has taken views away: none is counted on, and all are released.
    pub(super) fn doubt(&mut self) {
        for view in self.known.values_mut() {
            view.standing = Standing::Doubtful;
        }
        self.stretch = self.stretch.wrapping_add(1);
    }

    /// Everything is gone or about to go; what there may have been. Only while nothing is on its way.
    pub(super) fn take(&mut self) -> BTreeSet<RelationName> {
        std::mem::take(&mut self.known).into_keys().collect()
    }

    pub(super) fn has_any_of(&self, tables: &BTreeSet<RelationName>) -> bool {
        self.known.keys().any(|name| tables.contains(name))
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

    #[test]
    fn a_view_on_its_way_is_not_forgotten_when_something_sent_before_it_fails() {
        let mut views = Views::default();
        // Two statements were sent; the first fails, then the second one's view is created and committed.
        views.request(&tables(&["a"]));
        views.rolled_back();
        views.created(&tables(&["a"]));
        views.transaction_ended();
        assert!(views.request(&tables(&["a"])).is_empty());
        assert_eq!(views.take(), tables(&["a"]), "it must be released");
    }

    #[test]
    fn a_view_that_something_on_its_way_may_undo_is_asked_for_again() {
        let mut views = Views::default();
        // BEGIN, a read, ROLLBACK and a read, all sent before any of it is answered.
        views.stretch_ends();
        assert_eq!(views.request(&tables(&["a"])), tables(&["a"]));
        assert!(views.request(&tables(&["a"])).is_empty());
        views.stretch_ends();
        assert_eq!(views.request(&tables(&["a"])), tables(&["a"]));
        views.created(&tables(&["a"]));
        views.rolled_back();
        // The second question is on its way still.
        assert!(views.request(&tables(&["a"])).is_empty());
        views.created(&tables(&["a"]));
        views.transaction_ended();
        views.stretch_ends();
        assert!(views.request(&tables(&["a"])).is_empty());
    }

    #[test]
    fn an_open_transaction_asks_once_for_all_its_batches() {
        let mut views = Views::default();
        views.request(&tables(&["a"]));
        views.created(&tables(&["a"]));
        views.transaction_open();
        assert!(views.request(&tables(&["a"])).is_empty());
        // ROLLBACK TO, or ROLLBACK.
        views.stretch_ends();
        assert_eq!(views.request(&tables(&["a"])), tables(&["a"]));
    }

    #[test]
    fn a_view_that_was_passed_over_is_asked_for_again() {
        let mut views = Views::default();
        views.request(&tables(&["a"]));
        views.not_created(&tables(&["a"]));
        assert_eq!(views.request(&tables(&["a"])), tables(&["a"]));
    }
}
