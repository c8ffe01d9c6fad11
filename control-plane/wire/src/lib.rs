//! Both ends of the link between an agent and the control plane: a WebSocket that is read while it is written.
//!
//! An end that does not read while it writes waits for one that does the same, as soon as both have more to say than the
//! sockets between them hold, and after they gave up and came back they do so again. So what is to be said waits in
//! [`Duplex`], and every look for news ([`Duplex::next`]) also sends on.
//!
//! Whether the other end is there is judged by bytes that move and not by whole messages: a large one over a slow line
//! takes its time, and nobody is gone as long as it comes on.
//!
//! Nothing here reads a message. Large ones go out in frames of a few kibibytes, because the library keeps a buffer of
//! the largest frame it ever sent, and what answers a ping goes out between two of them.

mod counted;
mod duplex;

pub use counted::{Counted, Counts};
pub use duplex::{Duplex, Event, Most};
