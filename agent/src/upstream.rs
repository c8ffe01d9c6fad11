//! The database behind the agent: where it is, and how to log in to it.
//!
//! [`UpstreamConfig`] is read once from the DSN. The admin connection takes it as a `tokio_postgres::Config`; a
//! session logs in by itself with [`UpstreamConfig::connect_as`], because it needs the bare stream afterwards.
//! What this module refuses: more than one host, a server that asks for a clear-text or MD5 password, and a server
//! that calls a login done before it has proved that it knows the password too.

mod dsn;
mod login;
mod stream;
mod tls;

pub use dsn::{DsnError, SslMode, UpstreamConfig};
pub use login::{ConnectError, Login, Upstream};
pub use stream::{Duplex, Host};
