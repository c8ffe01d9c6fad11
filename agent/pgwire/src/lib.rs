//! daam-pgwire: PostgreSQL protocol 3, no sockets.
//!
//! Bytes go in, values come out; nothing here reads, writes, waits or asks the time. The order of use is
//! [`frame`] (one message at a time, never more, never less), then [`startup`] or [`frontend`] for what a client
//! says and [`backend`] for what a server says, with [`pipeline`] remembering which reply answers which request.
//! What this crate refuses: lengths that cannot be, bytes after the end of a message, strings without their NUL,
//! text that is not UTF-8 where text is needed. No input makes it panic.

pub mod backend;
pub mod cursor;
pub mod frame;
pub mod frontend;
pub mod pipeline;
pub mod report;
pub mod scram;
pub mod sqlstate;
pub mod startup;

pub use backend::TransactionStatus;
pub use cursor::DecodeError;
pub use frame::{Frame, FrameBuffer, FrameError};
pub use report::Report;
