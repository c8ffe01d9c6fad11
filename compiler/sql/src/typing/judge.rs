//! The type of every part of a filter, in the order PostgreSQL's parse analysis finds it: what it would refuse is
//! refused at the same place with the same sentence.

mod call;
mod cast;
mod unify;

use super::kind::{Context, TypeId};
use super::settings::Dependence;
use super::universe::Universe;
use super::{Environment, Fault, TypeError};
use crate::filter::expression::{Expression, Item, Kind, Literal, Owner};

/// A value with a type; `text` is what a literal without a type says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'e> {
    pub(super) id: TypeId,
    pub(super) text: Option<&'e str>,
    pub(super) node: &'e Expression,
}

/// One call, for rules about functions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Called<'e> {
    pub(super) node: &'e Expression,
    pub(super) leakproof: bool,
}

/// Judging one filter.
pub(super) struct Judge<'e, 'v> {
    pub(super) universe: &'e Universe,
    pub(super) environment: &'e Environment<'v>,
    pub(super) items: &'e [Item],
    pub(super) errors: Vec<TypeError>,
    pub(super) depends: Vec<Dependence>,
    pub(super) calls: Vec<Called<'e>>,
    /// The subqueries around the current place; whether aggregates may stand there.
    pub(super) levels: Vec<super::query::Level>,
}

pub(super) type Judged<T> = Result<T, TypeError>;

impl<'e> Judge<'e, '_> {
    pub(super) fn fail<T>(&self, state: &'static str, at: usize, message: String) -> Judged<T> {
        let _ = self;
        Err(TypeError::new(Fault::Mismatch, state, at, message))
    }

    /// A condition; every refused part of an `AND` or `OR` is reported.
    pub(super) fn condition(&mut self, node: &'e Expression, place: &str) {
        let judged = self.value(node).and_then(|value| self.boolean(value, place));
        if let Err(error) = judged {
            self.errors.push(error);
        }
    }

    /// Coerces to boolean as a condition of `place` must be.
    pub(super) fn boolean(&mut self, value: Value<'e>, place: &str) -> Judged<()> {
        let boolean = self.universe.ids().boolean;
        if !self.universe.can_coerce(&[value.id], &[boolean], Context::Assignment) {
            let name = self.universe.name(value.id);
            let message = format!("argument of {place} must be type boolean, not type {name}");
            return Err(TypeError::new(Fault::NotBoolean, "42804", value.node.start(), message));
        }
        self.coerce(value, boolean, Context::Assignment)
    }

    pub(super) fn value(&mut self, node: &'e Expression) -> Judged<Value<'e>> {
        let ids = *self.universe.ids();
        let id = match &node.kind {
            Kind::Column { owner, name } => self.column(node, owner, name)?,
            Kind::Subject { name } => self.attribute(node, name)?,
            Kind::Literal(literal) => return Ok(self.literal(node, literal)),
            Kind::Cast { value, to } => self.cast(node, value, to)?,
            Kind::Call { star: true, arguments, .. } => {
                self.enter_aggregate(node, arguments)?;
                ids.int8
            }
            Kind::Call { schema, name, arguments, .. } => {
                self.call(node, schema.as_ref(), name.as_str(), arguments)?
            }
            Kind::Special { keyword: "NULLIF", arguments } => self.nullif(node, arguments)?,
            Kind::Special { keyword, arguments } => self.common(arguments, keyword)?,
            Kind::Binary { operator, left, right } => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                self.operation(node.offset, operator, &[left, right])?
            }
            Kind::Unary { operator, value } => {
                let value = self.value(value)?;
                self.operation(node.offset, operator, &[value])?
            }
            Kind::Case { operand, branches, otherwise } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref())?
            }
            Kind::Array(parts) => self.array(node, parts, None)?,
            Kind::Element { value, indices } => self.element(node, value, indices)?,
            Kind::Clock(word) => self.clock(node.offset, word),
            Kind::Scalar(query) => self.query(query)?.unwrap_or(ids.text),
            Kind::And(_) | Kind::Or(_) | Kind::Not(_) | Kind::Test { .. } | Kind::Exists(_) => {
                self.connective(node)?;
                ids.boolean
            }
            Kind::Quantified { .. }
            | Kind::In { .. }
            | Kind::Between { .. }
            | Kind::Distinct { .. }
            | Kind::InQuery { .. } => {
                self.comparison(node)?;
                ids.boolean
            }
        };
        Ok(Value { id, text: None, node })
    }

    /// What is boolean whatever stands in it.
    fn connective(&mut self, node: &'e Expression) -> Judged<()> {
        match &node.kind {
            Kind::And(parts) | Kind::Or(parts) => {
                let word = if matches!(node.kind, Kind::And(_)) { "AND" } else { "OR" };
                for part in parts {
                    self.condition(part, word);
                }
            }
            Kind::Not(part) => self.condition(part, "NOT"),
            Kind::Test { value, test } => {
                let tested = self.value(value)?;
                if !matches!(*test, "IS NULL" | "IS NOT NULL") {
                    self.boolean(tested, test)?;
                }
            }
            Kind::Exists(query) => drop(self.query(query)?),
            _ => {}
        }
        Ok(())
    }

    /// What compares with an operator and is boolean if there is one.
    fn comparison(&mut self, node: &'e Expression) -> Judged<()> {
        match &node.kind {
            Kind::Quantified { operator, left, array, .. } => {
                let (left, array) = (self.value(left)?, self.value(array)?);
                self.quantified(node.offset, operator, left, array)?;
            }
            Kind::In { value, list, .. } => {
                let value = self.value(value)?;
                for item in list {
                    let item = self.value(item)?;
                    self.operation(node.offset, "=", &[value, item])?;
                }
            }
            Kind::Between { value, low, high, .. } => {
                let value = self.value(value)?;
                for (operator, bound) in [(">=", low), ("<=", high)] {
                    let bound = self.value(bound)?;
                    self.operation(node.offset, operator, &[value, bound])?;
                }
            }
            Kind::Distinct { left, right, .. } => {
                let (a, b) = (self.value(left)?, self.value(right)?);
                let null = |node: &Expression| node.kind == Kind::Literal(Literal::Null);
                if !null(left) && !null(right) {
                    let result = self.operation(node.offset, "=", &[a, b])?;
                    let message = "IS DISTINCT FROM requires = operator to yield boolean";
                    self.yields_boolean(result, node.offset, message)?;
                }
            }
            Kind::InQuery { operator, value, query, .. } => {
                let value = self.value(value)?;
                let selected = self.query(query)?.unwrap_or(self.universe.ids().text);
                let selected = Value { id: selected, text: None, node };
                let result = self.operation(node.offset, operator, &[value, selected])?;
                let name = self.universe.name(result).to_owned();
                let message = format!("row comparison operator must yield type boolean, not type {name}");
                self.yields_boolean(result, node.offset, &message)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn column(
        &mut self,
        node: &Expression,
        owner: &Owner,
        name: &daam_catalog::Identifier,
    ) -> Judged<TypeId> {
        let relation = match owner {
            Owner::Row { .. } => Some(self.environment.relation),
            Owner::Item(index) => {
                self.items.get(*index).and_then(|item| (self.environment.find)(&item.relation))
            }
        };
        let found = relation
            .and_then(|relation| relation.column(name))
            .and_then(|column| self.universe.column_type(&column.data_type.sql));
        found.ok_or_else(|| {
            let message = format!("column \"{}\" does not exist", name.as_str());
            TypeError::new(Fault::UnknownColumn, "42703", node.offset, message)
        })
    }

    fn attribute(&self, node: &Expression, name: &str) -> Judged<TypeId> {
        use super::AttributeKind;
        let ids = self.universe.ids();
        match (self.environment.attribute)(name) {
            Some(AttributeKind::Text) => Ok(ids.text),
            Some(AttributeKind::Uuid) => Ok(ids.uuid),
            Some(AttributeKind::Integer) => Ok(ids.int8),
            Some(AttributeKind::Boolean) => Ok(ids.boolean),
            Some(AttributeKind::TextList) => Ok(ids.text_array),
            None => Err(TypeError::new(
                Fault::UnknownAttribute,
                "42703",
                node.offset,
                format!("`subject.{name}` is not declared"),
            )),
        }
    }

    fn literal(&self, node: &'e Expression, literal: &'e Literal) -> Value<'e> {
        let ids = self.universe.ids();
        let (id, text) = match literal {
            Literal::Null => (ids.unknown, None),
            Literal::Text(text) => (ids.unknown, Some(text.as_str())),
            Literal::Boolean(_) => (ids.boolean, None),
            Literal::Number(digits) if digits.parse::<i32>().is_ok() => (ids.int4, None),
            Literal::Number(digits) if digits.parse::<i64>().is_ok() => (ids.int8, None),
            Literal::Number(_) => (ids.numeric, None),
        };
        Value { id, text, node }
    }

    /// Gives a value another type; a literal without a type is read as one of it.
    pub(super) fn coerce(&mut self, value: Value<'e>, to: TypeId, context: Context) -> Judged<()> {
        let ids = self.universe.ids();
        if value.id == to {
            return Ok(());
        }
        if value.id != ids.unknown {
            self.note_cast(value, to, context);
            return Ok(());
        }
        let Some(text) = value.text else { return Ok(()) };
        if self.universe.is_polymorphic(to) || to == ids.any || to == ids.unknown {
            return Ok(());
        }
        self.note_literal(value, text, to);
        super::literal::check(self.universe, text, to)
            .map_err(|bad| TypeError::new(Fault::Literal, bad.state, value.node.offset, bad.message))
    }
}
