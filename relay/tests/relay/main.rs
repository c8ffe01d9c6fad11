//! The relay: its decisions under virtual time, and the tunnel through its real socket.

#[cfg(test)]
mod forwarding;
#[cfg(test)]
mod program;
#[cfg(test)]
mod through_relay;
