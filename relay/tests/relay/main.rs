//! The relay: its decisions under virtual time, and the tunnel through its real socket.

mod forwarding;
mod program;
mod through_relay;
