//! Where the next record goes.

use crate::detail::Detail;
use crate::event::Event;
use crate::hash::Hash;
use crate::record::Record;

/// The end of a chain of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    last: u64,
    head: Hash,
}

impl Chain {
    /// A chain without records.
    pub fn new() -> Self {
        Self { last: 0, head: Hash::ZERO }
    }

    /// The chain that ends with this record.
    pub fn after(record: &Record) -> Self {
        Self { last: record.seq(), head: record.hash() }
    }

    /// The place of the last record, 0 for none.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The hash of the last record.
    pub fn head(&self) -> Hash {
        self.head
    }

    /// Makes the next record.
    pub fn append(&mut self, at: String, event: Event, detail: Option<Detail>) -> Record {
        let record = Record::new(self.last.saturating_add(1), at, self.head, event, detail);
        *self = Self::after(&record);
        record
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}
