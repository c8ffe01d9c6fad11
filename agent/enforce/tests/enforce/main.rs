//! The plan and the rewriter, as text and against a real PostgreSQL.

mod database;
mod masks;
mod rewriting;
mod shop;
