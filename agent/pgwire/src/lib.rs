//! daam-pgwire: PostgreSQL protocol 3, no sockets.
