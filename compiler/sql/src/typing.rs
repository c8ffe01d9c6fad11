//! The types of a row filter, found by PostgreSQL's own rules: operator and function candidates, casts, unknown
//! literals, polymorphic arguments, common types of `CASE` and `ARRAY`, subqueries.
//!
//! Judged is the filter as it reaches the server, with every operator and function pinned to `pg_catalog` (see
//! [`crate::Filter::bind`]). What PostgreSQL would refuse when it reads the statement is refused here with its
//! sentence and SQLSTATE; what fails only when it runs (a cast of a column, a domain's check) is not.

mod builtin;
mod candidate;
mod coerce;
mod generic;
mod judge;
mod kind;
mod literal;
mod query;
mod settings;
mod universe;

use crate::filter::Filter;
pub use builtin::{is_built_in_operator, is_built_in_type};
use daam_catalog::{Relation, RelationName};
pub use settings::Dependence;
use std::fmt;
pub use universe::{Definition, Universe};

/// The type of an attribute of the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeKind {
    /// `text`.
    Text,
    /// `uuid`.
    Uuid,
    /// `bigint`.
    Integer,
    /// `boolean`.
    Boolean,
    /// `text[]`.
    TextList,
}

impl AttributeKind {
    /// The type in SQL's words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Uuid => "uuid",
            Self::Integer => "bigint",
            Self::Boolean => "boolean",
            Self::TextList => "text[]",
        }
    }
}

/// What the names in a filter mean.
pub struct Environment<'a> {
    /// The filtered relation.
    pub relation: &'a Relation,
    /// Another relation.
    pub find: &'a dyn Fn(&RelationName) -> Option<&'a Relation>,
    /// An attribute of the subject.
    pub attribute: &'a dyn Fn(&str) -> Option<AttributeKind>,
}

impl fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("relation", &self.relation.name).finish_non_exhaustive()
    }
}

/// What kind of mistake it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A value where a condition belongs.
    NotBoolean,
    /// No such operator, function or cast for these types.
    Mismatch,
    /// A literal that is none of its type.
    Literal,
    /// A column that does not exist.
    UnknownColumn,
    /// A relation that does not exist.
    UnknownRelation,
    /// An attribute nobody declared.
    UnknownAttribute,
    /// A user function that does not exist under any types.
    UnknownFunction,
}

/// What PostgreSQL would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TypeError {
    /// The kind of mistake.
    pub fault: Fault,
    /// PostgreSQL's SQLSTATE.
    pub sqlstate: &'static str,
    /// Byte offset in the filter's text.
    pub offset: usize,
    /// What PostgreSQL would say.
    pub message: String,
}

impl TypeError {
    fn new(fault: Fault, sqlstate: &'static str, offset: usize, message: String) -> Self {
        Self { fault, sqlstate, offset, message }
    }
}

/// What is known about a filter on one relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What PostgreSQL would refuse; empty for a filter it takes.
    pub errors: Vec<TypeError>,
    /// Parts a session can change the value of by its settings.
    pub depends: Vec<Dependence>,
    /// Offsets of operators and functions that may reveal rows before the filter hides them.
    pub leaky: Vec<usize>,
}

/// Judges a filter on one relation.
pub fn judge(filter: &Filter, universe: &Universe, environment: &Environment<'_>) -> Judgement {
    let (root, items) = filter.parts();
    let mut judge = judge::Judge {
        universe,
        environment,
        items,
        errors: Vec::new(),
        depends: Vec::new(),
        calls: Vec::new(),
        levels: Vec::new(),
    };
    judge.condition(root, "WHERE");
    let leaky = judge.calls.iter().filter(|call| !call.leakproof).map(|call| call.node.offset).collect();
    Judgement { errors: judge.errors, depends: judge.depends, leaky }
}
