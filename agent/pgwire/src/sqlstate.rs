//! The SQLSTATE codes we send or look for.

/// The peer broke the protocol.
pub const PROTOCOL_VIOLATION: &str = "08P01";
/// The connection to the database was lost.
pub const CONNECTION_FAILURE: &str = "08006";
/// The database could not be reached.
pub const CANNOT_CONNECT: &str = "08001";
/// Text that is no SQL.
pub const SYNTAX_ERROR: &str = "42601";
/// A name longer than the server compares.
pub const NAME_TOO_LONG: &str = "42622";
/// A file cannot be written.
pub const IO_ERROR: &str = "58030";
/// Something the server does not do.
pub const FEATURE_NOT_SUPPORTED: &str = "0A000";
/// Text that is not in the announced encoding.
pub const CHARACTER_NOT_IN_REPERTOIRE: &str = "22021";
/// The user may not log in.
pub const INVALID_AUTHORIZATION: &str = "28000";
/// A wrong password.
pub const INVALID_PASSWORD: &str = "28P01";
/// A transaction that has failed.
pub const IN_FAILED_TRANSACTION: &str = "25P02";
/// A session idle for too long.
pub const IDLE_SESSION_TIMEOUT: &str = "57P05";
/// No such database.
pub const INVALID_CATALOG_NAME: &str = "3D000";
/// Privileges are missing.
pub const INSUFFICIENT_PRIVILEGE: &str = "42501";
/// A value that a parameter may not take.
pub const INVALID_PARAMETER_VALUE: &str = "22023";
/// Too many connections.
pub const TOO_MANY_CONNECTIONS: &str = "53300";
/// A limit of the program, such as the length of a message.
pub const PROGRAM_LIMIT_EXCEEDED: &str = "54000";
/// Something is locked, and waiting for it has taken too long.
pub const LOCK_NOT_AVAILABLE: &str = "55P03";
/// A statement was cancelled.
pub const QUERY_CANCELED: &str = "57014";
/// The session was ended by an administrator.
pub const ADMIN_SHUTDOWN: &str = "57P01";
/// The server cannot take connections now.
pub const CANNOT_CONNECT_NOW: &str = "57P03";
/// A fault of ours.
pub const INTERNAL_ERROR: &str = "XX000";
/// The relation does not exist.
pub const UNDEFINED_TABLE: &str = "42P01";
/// The column does not exist.
pub const UNDEFINED_COLUMN: &str = "42703";
/// The schema does not exist.
pub const UNDEFINED_SCHEMA: &str = "3F000";
/// The function does not exist.
pub const UNDEFINED_FUNCTION: &str = "42883";
/// No prepared statement of that name.
pub const INVALID_SQL_STATEMENT_NAME: &str = "26000";
