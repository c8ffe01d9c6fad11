//! Sessions through the proxy, as clients live them.

mod hostile;
mod live;
mod login;
mod protocol;
mod stage;
mod statements;
