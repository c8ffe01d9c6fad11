//! The tree of a row filter.

use daam_catalog::{Identifier, RelationName};

/// A table in the `FROM` of a subquery; expressions refer to it by its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) relation: RelationName,
    pub(crate) alias: Identifier,
    pub(crate) offset: usize,
}

/// Whose column it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The filtered table's, with the name it was written with.
    Row { qualifier: Option<Identifier> },
    /// The subquery table's at that index.
    Item(usize),
}

/// A constant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Literal {
    Null,
    Boolean(bool),
    Number(String),
    Text(String),
}

/// A type in a cast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeRef {
    /// `None` is `pg_catalog`.
    pub(crate) schema: Option<Identifier>,
    pub(crate) name: String,
    pub(crate) modifiers: Vec<i64>,
    pub(crate) array: bool,
}

/// A subquery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query {
    /// The selected expression; `None` where only existence matters.
    pub(crate) select: Option<Expression>,
    /// Indices of its tables.
    pub(crate) from: Vec<usize>,
    pub(crate) condition: Option<Expression>,
}

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression {
    Column {
        owner: Owner,
        name: Identifier,
        offset: usize,
    },
    Subject {
        name: String,
        offset: usize,
    },
    Literal(Literal),
    Cast {
        value: Box<Self>,
        to: TypeRef,
    },
    /// `schema: None` is `pg_catalog`; `star` is `count(*)`.
    Call {
        schema: Option<Identifier>,
        name: Identifier,
        arguments: Vec<Self>,
        star: bool,
        offset: usize,
    },
    /// `COALESCE`, `GREATEST`, `LEAST`, `NULLIF`.
    Special {
        keyword: &'static str,
        arguments: Vec<Self>,
    },
    Binary {
        operator: String,
        left: Box<Self>,
        right: Box<Self>,
    },
    Unary {
        operator: String,
        value: Box<Self>,
    },
    Quantified {
        operator: String,
        any: bool,
        left: Box<Self>,
        array: Box<Self>,
    },
    In {
        negated: bool,
        value: Box<Self>,
        list: Vec<Self>,
    },
    Between {
        negated: bool,
        value: Box<Self>,
        low: Box<Self>,
        high: Box<Self>,
    },
    Distinct {
        negated: bool,
        left: Box<Self>,
        right: Box<Self>,
    },
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    /// `IS NULL` and the like.
    Test {
        value: Box<Self>,
        test: &'static str,
    },
    Case {
        operand: Option<Box<Self>>,
        branches: Vec<(Self, Self)>,
        otherwise: Option<Box<Self>>,
    },
    Array(Vec<Self>),
    Element {
        value: Box<Self>,
        index: Box<Self>,
    },
    /// `CURRENT_DATE` and the like.
    Clock(&'static str),
    Exists(Box<Query>),
    InQuery {
        operator: String,
        any: bool,
        value: Box<Self>,
        query: Box<Query>,
    },
    Scalar(Box<Query>),
}

impl Expression {
    /// Calls `seen` for every node, this one first.
    pub(crate) fn visit(&self, seen: &mut dyn FnMut(&Self)) {
        seen(self);
        match self {
            Self::Column { .. } | Self::Subject { .. } | Self::Literal(_) | Self::Clock(_) => {}
            Self::Cast { value, .. }
            | Self::Unary { value, .. }
            | Self::Not(value)
            | Self::Test { value, .. } => value.visit(seen),
            Self::Call { arguments: list, .. }
            | Self::Special { arguments: list, .. }
            | Self::And(list)
            | Self::Or(list)
            | Self::Array(list) => {
                for item in list {
                    item.visit(seen);
                }
            }
            Self::Binary { left, right, .. }
            | Self::Distinct { left, right, .. }
            | Self::Quantified { left, array: right, .. }
            | Self::Element { value: left, index: right } => {
                left.visit(seen);
                right.visit(seen);
            }
            Self::In { value, list, .. } => {
                value.visit(seen);
                for item in list {
                    item.visit(seen);
                }
            }
            Self::Between { value, low, high, .. } => {
                for part in [value, low, high] {
                    part.visit(seen);
                }
            }
            Self::Case { operand, branches, otherwise } => {
                if let Some(part) = operand {
                    part.visit(seen);
                }
                for (condition, result) in branches {
                    condition.visit(seen);
                    result.visit(seen);
                }
                if let Some(part) = otherwise {
                    part.visit(seen);
                }
            }
            Self::Exists(query) | Self::Scalar(query) => query.visit(seen),
            Self::InQuery { value, query, .. } => {
                value.visit(seen);
                query.visit(seen);
            }
        }
    }

    /// Whether it stands for itself without parentheses.
    pub(crate) fn is_primary(&self) -> bool {
        match self {
            Self::Literal(Literal::Number(number)) => !number.starts_with('-'),
            Self::Column { .. }
            | Self::Subject { .. }
            | Self::Literal(_)
            | Self::Call { .. }
            | Self::Special { .. }
            | Self::Array(_)
            | Self::Case { .. }
            | Self::Clock(_)
            | Self::Exists(_)
            | Self::Scalar(_) => true,
            _ => false,
        }
    }
}

impl Query {
    fn visit(&self, seen: &mut dyn FnMut(&Expression)) {
        if let Some(part) = &self.select {
            part.visit(seen);
        }
        if let Some(part) = &self.condition {
            part.visit(seen);
        }
    }
}
