//! The compiler from outside: Markdown specifications, determinism, hostile input, schemas, examples.

mod catalogue;
mod determinism;
mod examples;
mod hostile;
mod schemas;
mod spec;
