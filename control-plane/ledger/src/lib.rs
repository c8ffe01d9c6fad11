//! The organization's audit as evidence: how entries hang together, what a signed checkpoint says, and whether a log
//! is whole.
//!
//! Three things, each over the one before:
//!
//! * **chain**: an entry's hash covers the entry and the hash before it ([`Entry::hash`]), so an edited, reordered or
//!   missing entry shows;
//! * **tree**: the hashes are the leaves of an RFC 6962 Merkle tree ([`Frontier`]), whose root names a log of any
//!   length, and which goes on from a few hashes when its early entries are no longer kept;
//! * **checkpoint**: size, root and chain head, signed by a key of the organization ([`Signed`]). Whoever keeps one
//!   elsewhere finds out when the log is later cut short or written anew as a whole.
//!
//! [`Verifier`] reads a log line by line and answers for all of it. The frontier is our own because what there is to
//! choose from wants every leaf in memory. Nothing here does IO. What this crate refuses: lines and fields it does
//! not know, checkpoints of another organization or by another key, and a log that no checkpoint speaks for.

mod checkpoint;
mod entry;
mod line;
mod tree;
mod verify;

pub use checkpoint::{BadCheckpoint, Checkpoint, Signed};
pub use entry::{Entry, Hash};
pub use line::{BadLine, Begin, LONGEST_LINE, Line, StoredEntry};
pub use tree::{BadFrontier, Frontier};
pub use verify::{Fault, Found, Tip, Verifier};
