//! What kind of value the parts of a filter have, as far as that is certain without a server.
//!
//! Reported are only comparisons that PostgreSQL has no operator for and conditions that are no condition;
//! whatever is not certain (domains, casts, functions, subqueries, unknown literals) passes. Such a filter would be
//! refused by the server when a session starts: safe, but found too late.

use daam_catalog::{Relation, TypeClass};
use daam_model::AttributeType;
use daam_sql::tree::{Node, parse};
use std::collections::BTreeMap;

const PREFIX: &str = "SELECT ";
const COMPARISONS: [&str; 7] = ["=", "<>", "!=", "<", ">", "<=", ">="];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Text,
    Number,
    Uuid,
    Time,
    Enum,
    TextList,
    Uncertain,
}

/// A certain mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    /// Byte offset in the filter's text.
    pub(super) offset: usize,
    /// What is wrong.
    pub(super) fault: Fault,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// A value where a condition belongs.
    NotBoolean(&'static str),
    /// A comparison without an operator.
    Mismatch(&'static str, &'static str),
}

/// The tree of a text that is a filter already; read once, judged for every relation.
pub(super) fn tree(text: &str) -> Vec<Node> {
    parse(&format!("{PREFIX}{text}")).unwrap_or_default()
}

/// Every certain mistake in a filter on that relation.
pub(super) fn mistakes(
    statements: &[Node],
    relation: &Relation,
    attributes: &BTreeMap<String, AttributeType>,
) -> Vec<Mistake> {
    let target = statements
        .first()
        .and_then(|statement| statement.child("stmt"))
        .and_then(|select| select.child("target_list"))
        .and_then(|target| target.child("val"));
    let mut reading = Reading { relation, attributes, found: Vec::new() };
    if let Some(root) = target {
        reading.condition(root);
    }
    reading.found
}

struct Reading<'a> {
    relation: &'a Relation,
    attributes: &'a BTreeMap<String, AttributeType>,
    found: Vec<Mistake>,
}

impl Reading<'_> {
    fn condition(&mut self, node: &Node) {
        let kind = self.kind(node);
        if !matches!(kind, Kind::Boolean | Kind::Uncertain) {
            self.report(node, Fault::NotBoolean(kind.noun()));
        }
    }

    fn kind(&mut self, node: &Node) -> Kind {
        match node.kind() {
            "ColumnRef" => self.column(node),
            "A_Const" => literal(node),
            "A_Expr" => self.operation(node),
            "BoolExpr" => {
                for argument in node.children("args") {
                    self.condition(argument);
                }
                Kind::Boolean
            }
            "NullTest" | "BooleanTest" => Kind::Boolean,
            _ => Kind::Uncertain,
        }
    }

    fn column(&self, node: &Node) -> Kind {
        let name = match node.strings("fields").unwrap_or_default().as_slice() {
            ["subject", name] => return self.attribute(name),
            [name] | [_, name] => (*name).to_owned(),
            _ => return Kind::Uncertain,
        };
        let column = self.relation.columns.iter().find(|column| column.name.as_str() == name);
        column.map_or(Kind::Uncertain, |column| of_class(column.data_type.class))
    }

    fn attribute(&self, name: &str) -> Kind {
        match name {
            "id" | "email" => Kind::Text,
            "groups" => Kind::TextList,
            name => match self.attributes.get(name) {
                Some(AttributeType::Text) => Kind::Text,
                Some(AttributeType::Uuid) => Kind::Uuid,
                Some(AttributeType::Integer) => Kind::Number,
                Some(AttributeType::Boolean) => Kind::Boolean,
                None => Kind::Uncertain,
            },
        }
    }

    fn operation(&mut self, node: &Node) -> Kind {
        let operator = node.strings("name").unwrap_or_default().concat();
        let (Some(left), Some(right)) = (node.child("lexpr"), node.child("rexpr")) else {
            return Kind::Uncertain;
        };
        let compares = COMPARISONS.contains(&operator.as_str());
        match node.choice("kind") {
            "AEXPR_OP" if compares => {
                let (a, b) = (self.kind(left), self.kind(right));
                if a != b && a != Kind::Uncertain && b != Kind::Uncertain {
                    self.report(left, Fault::Mismatch(a.noun(), b.noun()));
                }
                Kind::Boolean
            }
            "AEXPR_OP" if matches!(operator.as_str(), "+" | "-" | "*" | "/" | "%") => {
                let numbers = self.kind(left) == Kind::Number && self.kind(right) == Kind::Number;
                if numbers { Kind::Number } else { Kind::Uncertain }
            }
            "AEXPR_OP" | "AEXPR_NULLIF" => Kind::Uncertain,
            "AEXPR_OP_ANY" | "AEXPR_OP_ALL" => {
                let (a, b) = (self.kind(left), self.kind(right));
                if b == Kind::TextList && !matches!(a, Kind::Text | Kind::Uncertain) {
                    self.report(left, Fault::Mismatch(a.noun(), "a text"));
                }
                Kind::Boolean
            }
            _ => Kind::Boolean,
        }
    }

    fn report(&mut self, node: &Node, fault: Fault) {
        let offset = node.location().unwrap_or(0).saturating_sub(PREFIX.len());
        self.found.push(Mistake { offset, fault });
    }
}

fn literal(node: &Node) -> Kind {
    match node.each_child().next() {
        Some(("ival" | "fval", _)) => Kind::Number,
        Some(("boolval", _)) => Kind::Boolean,
        _ => Kind::Uncertain,
    }
}

fn of_class(class: TypeClass) -> Kind {
    match class {
        TypeClass::Text => Kind::Text,
        TypeClass::Uuid => Kind::Uuid,
        TypeClass::Integer | TypeClass::Numeric | TypeClass::Float => Kind::Number,
        TypeClass::Boolean => Kind::Boolean,
        TypeClass::Date | TypeClass::Timestamp | TypeClass::TimestampTz => Kind::Time,
        TypeClass::Enum => Kind::Enum,
        _ => Kind::Uncertain,
    }
}

impl Kind {
    fn noun(self) -> &'static str {
        match self {
            Self::Boolean => "a boolean",
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Uuid => "a uuid",
            Self::Time => "a date or time",
            Self::Enum => "an enum value",
            Self::TextList => "a list of texts",
            Self::Uncertain => "a value",
        }
    }
}
