//! The filter language and its types, without and with a server.

mod builtin;
mod corpus;
mod corpus_expressions;
mod corpus_literals;
mod filter;
mod typing;
