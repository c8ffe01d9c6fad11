//! Sessions through the proxy, as clients live them.

mod ahead;
mod audited;
mod bounds;
mod desync;
mod hostile;
mod insider;
mod leaks;
mod live;
mod login;
mod matrix;
mod messages;
mod names;
mod prepared;
mod protocol;
pub(crate) mod requested;
pub(crate) mod stage;
mod statements;
mod tools;
mod writes;
