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

/// An expression and the byte offset PostgreSQL would point at: the operator's, the function's, the literal's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expression {
    pub(crate) kind: Kind,
    pub(crate) offset: usize,
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Column {
        owner: Owner,
        name: Identifier,
    },
    Subject {
        name: String,
    },
    Literal(Literal),
    Cast {
        value: Box<Expression>,
        to: TypeRef,
    },
    /// `schema: None` is `pg_catalog`; `star` is `count(*)`.
    Call {
        schema: Option<Identifier>,
        name: Identifier,
        arguments: Vec<Expression>,
        star: bool,
    },
    /// `COALESCE`, `GREATEST`, `LEAST`, `NULLIF`.
    Special {
        keyword: &'static str,
        arguments: Vec<Expression>,
    },
    Binary {
        operator: String,
        left: Box<Expression>,
        right: Box<Expression>,
    },
    Unary {
        operator: String,
        value: Box<Expression>,
    },
    Quantified {
        operator: String,
        any: bool,
        left: Box<Expression>,
        array: Box<Expression>,
    },
    In {
        negated: bool,
        value: Box<Expression>,
        list: Vec<Expression>,
    },
    Between {
        negated: bool,
        value: Box<Expression>,
        low: Box<Expression>,
        high: Box<Expression>,
    },
    Distinct {
        negated: bool,
        left: Box<Expression>,
        right: Box<Expression>,
    },
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    /// `IS NULL` and the like.
    Test {
        value: Box<Expression>,
        test: &'static str,
    },
    Case {
        operand: Option<Box<Expression>>,
        branches: Vec<(Expression, Expression)>,
        otherwise: Option<Box<Expression>>,
    },
    Array(Vec<Expression>),
    Element {
        value: Box<Expression>,
        indices: Vec<Expression>,
    },
    /// `CURRENT_DATE` and the like.
    Clock(&'static str),
    Exists(Box<Query>),
    InQuery {
        operator: String,
        any: bool,
        value: Box<Expression>,
        query: Box<Query>,
    },
    Scalar(Box<Query>),
}

impl Expression {
    /// Calls `seen` for every node, this one first.
    pub(crate) fn visit(&self, seen: &mut dyn FnMut(&Self)) {
        seen(self);
        match &self.kind {
            Kind::Column { .. } | Kind::Subject { .. } | Kind::Literal(_) | Kind::Clock(_) => {}
            Kind::Cast { value, .. }
            | Kind::Unary { value, .. }
            | Kind::Not(value)
            | Kind::Test { value, .. } => value.visit(seen),
            Kind::Call { arguments: list, .. }
            | Kind::Special { arguments: list, .. }
            | Kind::And(list)
            | Kind::Or(list)
            | Kind::Array(list) => {
                for item in list {
                    item.visit(seen);
                }
            }
            Kind::Binary { left, right, .. }
            | Kind::Distinct { left, right, .. }
            | Kind::Quantified { left, array: right, .. } => {
                left.visit(seen);
                right.visit(seen);
            }
            Kind::In { value, list, .. } | Kind::Element { value, indices: list } => {
                value.visit(seen);
                for item in list {
                    item.visit(seen);
                }
            }
            Kind::Between { value, low, high, .. } => {
                for part in [value, low, high] {
                    part.visit(seen);
                }
            }
            Kind::Case { operand, branches, otherwise } => {
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
            Kind::Exists(query) | Kind::Scalar(query) => query.visit(seen),
            Kind::InQuery { value, query, .. } => {
                value.visit(seen);
                query.visit(seen);
            }
        }
    }

    /// Where it begins, for messages about the whole of it.
    pub(crate) fn start(&self) -> usize {
        let mut start = self.offset;
        self.visit(&mut |node| start = start.min(node.offset));
        start
    }

    /// Whether it stands for itself without parentheses.
    pub(crate) fn is_primary(&self) -> bool {
        match &self.kind {
            Kind::Literal(Literal::Number(number)) => !number.starts_with('-'),
            Kind::Column { .. }
            | Kind::Subject { .. }
            | Kind::Literal(_)
            | Kind::Call { .. }
            | Kind::Special { .. }
            | Kind::Array(_)
            | Kind::Case { .. }
            | Kind::Clock(_)
            | Kind::Exists(_)
            | Kind::Scalar(_) => true,
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
