//! The vocabulary of the type checker: types, casts, operators and functions, as the resolution rules see them.

use daam_catalog::{Identifier, Volatility};

/// A type of a [`super::Universe`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct TypeId(u32);

impl TypeId {
    pub(super) fn from_index(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    pub(super) fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// What makes a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Base,
    Pseudo,
    Range,
    Multirange,
    Enum,
    Domain,
    Composite,
}

/// What `value[index]` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subscript {
    None,
    Array,
    /// Fixed parts, like the coordinates of a point: subscripted like an array, but no array.
    Raw,
    Jsonb,
}

/// A type.
#[derive(Debug, Clone)]
pub(crate) struct TypeInfo {
    /// As PostgreSQL prints it.
    pub(crate) name: String,
    /// As `pg_type` calls a built-in one; empty for others.
    pub(crate) internal: &'static str,
    pub(crate) form: Form,
    pub(crate) category: char,
    pub(crate) preferred: bool,
    pub(crate) element: Option<TypeId>,
    pub(crate) subscript: Subscript,
    pub(crate) array: Option<TypeId>,
    /// A range's subtype, a multirange's range, a domain's base.
    pub(crate) of: Option<TypeId>,
    pub(crate) modifiers: bool,
    /// Of an enum.
    pub(crate) labels: Vec<String>,
    /// Of a composite.
    pub(crate) fields: Vec<(Identifier, TypeId)>,
}

/// Where a cast may be used; a stronger context includes the weaker ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Context {
    Implicit,
    Assignment,
    Explicit,
}

/// How a cast works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Binary,
    Function,
    /// Through the text form.
    Text,
}

/// A cast.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cast {
    pub(crate) context: Context,
    pub(crate) method: Method,
    pub(crate) volatility: Volatility,
}

/// What a routine is called as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoutineKind {
    Function,
    Procedure,
    Aggregate,
    Window,
}

/// An operator or function with one list of arguments.
#[derive(Debug, Clone)]
pub(crate) struct Routine {
    pub(crate) arguments: Vec<TypeId>,
    pub(crate) result: TypeId,
    pub(crate) kind: RoutineKind,
    /// The element type of a variadic last argument.
    pub(crate) variadic: Option<TypeId>,
    pub(crate) defaults: usize,
    pub(crate) volatility: Volatility,
    pub(crate) leakproof: bool,
    pub(crate) set: bool,
}
