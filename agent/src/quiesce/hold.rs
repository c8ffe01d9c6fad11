//! Which tables are held, and which sessions have taken note.
//!
//! Every session has a [`Seat`]. A hold is one more value to watch; a session says at its seat up to which one it has
//! given back what was held. Without IO, and without asking for the time.

use crate::session_id::SessionId;
use daam_catalog::{Catalog, RelationName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// What is held now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    /// Counts every change.
    pub generation: u64,
    /// The relations.
    pub tables: BTreeSet<RelationName>,
    /// How long a statement that needs one of them waits before it is refused.
    pub patience: Duration,
}

/// All holds of one agent, and the sessions they concern.
#[derive(Debug)]
pub struct Holds {
    inner: Mutex<Inner>,
    now: watch::Sender<Arc<Held>>,
}

#[derive(Debug, Default)]
struct Inner {
    generation: u64,
    holds: BTreeMap<u64, (BTreeSet<RelationName>, Duration)>,
    seats: BTreeMap<SessionId, u64>,
}

impl Default for Holds {
    fn default() -> Self {
        Self { inner: Mutex::default(), now: watch::Sender::new(Arc::default()) }
    }
}

impl Holds {
    /// Holds the relations until the value is dropped.
    pub fn begin(self: &Arc<Self>, tables: BTreeSet<RelationName>, patience: Duration) -> Hold {
        let mut inner = self.lock();
        let number = inner.next();
        inner.holds.insert(number, (tables, patience));
        self.publish(&inner);
        Hold { holds: Arc::clone(self), number }
    }

    /// What sessions watch.
    pub fn watch(&self) -> watch::Receiver<Arc<Held>> {
        self.now.subscribe()
    }

    /// What is held now.
    pub fn current(&self) -> Arc<Held> {
        Arc::clone(&self.now.borrow())
    }

    /// A session's seat; it is left with the value.
    pub fn join(self: &Arc<Self>, session: &SessionId) -> Seat {
        self.lock().seats.insert(session.clone(), 0);
        Seat { holds: Arc::clone(self), session: session.clone(), said: 0 }
    }

    fn publish(&self, inner: &Inner) {
        let tables = inner.holds.values().flat_map(|(tables, _)| tables).cloned().collect();
        let patience = inner.holds.values().map(|(_, patience)| *patience).min().unwrap_or_default();
        self.now.send_replace(Arc::new(Held { generation: inner.generation, tables, patience }));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn next(&mut self) -> u64 {
        self.generation = self.generation.saturating_add(1);
        self.generation
    }
}

/// A hold; it ends with the value.
#[derive(Debug)]
pub struct Hold {
    holds: Arc<Holds>,
    number: u64,
}

impl Hold {
    /// Sessions that have not given back what is held.
    pub fn unsettled(&self) -> BTreeSet<SessionId> {
        let inner = self.holds.lock();
        inner.seats.iter().filter(|(_, seen)| **seen < self.number).map(|(id, _)| id.clone()).collect()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut inner = self.holds.lock();
        inner.holds.remove(&self.number);
        inner.next();
        self.holds.publish(&inner);
    }
}

/// One session's seat.
#[derive(Debug)]
pub struct Seat {
    holds: Arc<Holds>,
    session: SessionId,
    said: u64,
}

impl Seat {
    /// The session has nothing of what is held in this generation.
    pub fn settled(&mut self, generation: u64) {
        if generation <= self.said {
            return;
        }
        self.said = generation;
        if let Some(seen) = self.holds.lock().seats.get_mut(&self.session) {
            *seen = generation.max(*seen);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.holds.lock().seats.remove(&self.session);
    }
}

/// These relations with everything a change of them reaches: partitions, children and parents, and views that read any
/// of it.
pub(super) fn reached(named: BTreeSet<RelationName>, catalog: &Catalog) -> BTreeSet<RelationName> {
    let mut found = named;
    loop {
        let more: Vec<&RelationName> = catalog
            .relations
            .values()
            .flat_map(|relation| {
                let below = relation.parents.iter().any(|parent| found.contains(parent))
                    || relation.sources().any(|read| found.contains(read));
                let up = if found.contains(&relation.name) { relation.parents.as_slice() } else { &[] };
                up.iter().chain(below.then_some(&relation.name))
            })
            .filter(|name| !found.contains(*name))
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more.into_iter().cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daam_catalog::{Identifier, Relation, RelationKind};

    fn name(name: &str) -> RelationName {
        RelationName::stored("public", name).unwrap()
    }

    fn names(all: &[&str]) -> BTreeSet<RelationName> {
        all.iter().map(|text| name(text)).collect()
    }

    #[test]
    fn a_hold_lasts_as_long_as_its_value_and_holds_add_up() {
        let holds = Arc::new(Holds::default());
        let one = holds.begin(names(&["a"]), Duration::from_secs(9));
        let two = holds.begin(names(&["a", "b"]), Duration::from_secs(1));
        assert_eq!(holds.current().tables, names(&["a", "b"]));
        assert_eq!(holds.current().patience, Duration::from_secs(1));
        drop(two);
        assert_eq!(holds.current().tables, names(&["a"]));
        drop(one);
        assert_eq!(holds.current().tables, names(&[]));
    }

    #[test]
    fn a_session_counts_until_it_has_taken_note_or_is_gone() {
        let holds = Arc::new(Holds::default());
        let (a, b) = (SessionId::fresh(), SessionId::fresh());
        let (mut first, second) = (holds.join(&a), holds.join(&b));
        first.settled(holds.current().generation);
        let hold = holds.begin(names(&["a"]), Duration::ZERO);
        assert_eq!(hold.unsettled().len(), 2, "what was said of an earlier hold does not count");
        first.settled(holds.current().generation);
        assert_eq!(hold.unsettled(), BTreeSet::from([b]));
        drop(second);
        assert!(hold.unsettled().is_empty());
    }

    #[test]
    fn partitions_parents_and_views_are_held_with_a_table() {
        let mut catalog = Catalog::default();
        let mut add = |own: &str, kind, parents: &[&str], scans: &[&str]| {
            let mut relation = Relation::new(name(own), kind, Identifier::stored("o").unwrap());
            relation.parents = parents.iter().map(|text| name(text)).collect();
            relation.scans = scans.iter().map(|text| name(text)).collect();
            catalog.relations.insert(name(own), relation);
        };
        add("events", RelationKind::PartitionedTable, &[], &[]);
        add("events_1", RelationKind::Table, &["events"], &[]);
        add("events_2", RelationKind::Table, &["events"], &[]);
        add("seen", RelationKind::View, &[], &["events_2"]);
        add("other", RelationKind::Table, &[], &[]);
        let reached = reached(names(&["events_1"]), &catalog);
        assert_eq!(reached, names(&["events", "events_1", "events_2", "seen"]));
    }
}
