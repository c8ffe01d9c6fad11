//! daam-sql: SQL text and its meaning; the only user of pg_query.
