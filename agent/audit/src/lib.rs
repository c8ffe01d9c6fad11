//! The agent's audit: what a record says, how records hang together, and whether a set of them is whole.
//!
//! A record is one line of JSON, version [`VERSION`]:
//!
//! ```text
//! {"v":1,"seq":N,"at":"TIME","prev":"HASH","event":{…},"seal":"HASH","hash":"HASH","detail":{…}}
//! ```
//!
//! * `seq` counts 1, 2, 3 … for as long as the chain lasts, across files; `at` is UTC.
//! * `prev` is the `hash` of the record before, 64 zeros for the first.
//! * `hash` is SHA-256 over the line `daam agent audit v1`, a line feed, and the record's own text up to (not with)
//!   `,"hash":`. So nothing before it can change, and nothing can be put between two records.
//! * `detail` holds what people wrote (statement text, reasons, names of applications). It is outside `hash`; `seal`
//!   is SHA-256 over the line `daam agent audit detail v1`, a line feed, and the text of `detail`, whose first field is
//!   a random `salt`. So a detail cannot change either, yet it can be withheld from whoever should not read it, and
//!   what was withheld cannot be guessed from its seal. A record without detail has neither field.
//!
//! A record reads back only from the very text that was written: other spacing, order, escapes or fields are refused.
//! Nothing here does IO; time and randomness come from the caller. What this crate refuses: a line longer than
//! [`LONGEST_LINE`], another version, and anything that is not exactly one record.

mod chain;
mod detail;
mod event;
mod hash;
mod record;
mod verify;

pub use chain::Chain;
pub use detail::{Detail, shorten};
pub use event::{Change, Decision, Event, Outcome, Statement, Via, Who};
pub use hash::Hash;
pub use record::{BadRecord, LONGEST_LINE, Record, VERSION};
pub use verify::{Fault, Verifier};
