//! Sessions through the proxy, as clients live them.

mod hostile;
mod leaks;
mod live;
mod login;
mod protocol;
mod stage;
mod statements;
