//! A prepared statement, and how much all of a session's hold.

use super::checked::Checked;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a `Parse` gave.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) text: Arc<Checked>,
    /// Its parameter types as the client gave them.
    pub(super) types: Bytes,
    _weight: Weight,
}

/// Counts the bytes of all statements that a name, a portal or a request on its way still needs.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter(Arc<AtomicUsize>);

/// One statement's part; given back with the value.
#[derive(Debug)]
struct Weight {
    meter: Meter,
    bytes: usize,
}

impl Meter {
    /// A statement that counts.
    pub(super) fn statement(&self, text: Arc<Checked>, types: Bytes) -> Arc<Statement> {
        let bytes = text.original.len().saturating_add(types.len());
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Arc::new(Statement { text, types, _weight: Weight { meter: self.clone(), bytes } })
    }

    /// All of them.
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.meter.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
