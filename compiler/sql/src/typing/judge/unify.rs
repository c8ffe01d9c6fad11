//! Values that have to become one type: `CASE`, `COALESCE`, `ARRAY`, `NULLIF`.

use super::super::candidate::Choice;
use super::super::kind::{Context, TypeId};
use super::{Judge, Judged, Value};
use crate::filter::expression::{Expression, Kind};

impl<'e> Judge<'e, '_> {
    pub(in crate::typing) fn nullif(
        &mut self,
        node: &'e Expression,
        arguments: &'e [Expression],
    ) -> Judged<TypeId> {
        let mut values = Vec::new();
        for argument in arguments {
            values.push(self.value(argument)?);
        }
        let universe = self.universe;
        let types: Vec<TypeId> = values.iter().map(|value| value.id).collect();
        let result = self.operation(node.offset, "=", &values)?;
        self.yields_boolean(result, node.offset, "NULLIF requires = operator to yield boolean")?;
        // The result is the first argument after its coercion to what `=` takes.
        let first = types.first().copied().unwrap_or_default();
        if first != universe.ids().unknown {
            return Ok(match universe.operator("=", &types) {
                Choice::One(_, declared) => match declared.first() {
                    Some(to) if !universe.is_polymorphic(*to) && *to != universe.ids().record => *to,
                    _ => first,
                },
                _ => first,
            });
        }
        Ok(match universe.operator("=", &types) {
            Choice::One(_, declared) => {
                match universe.generic(&types, &declared, Some(universe.ids().boolean)) {
                    Ok(Some(settled)) => settled.arguments.first().copied().unwrap_or(first),
                    _ => first,
                }
            }
            _ => first,
        })
    }

    /// `COALESCE`, `GREATEST`, `LEAST`.
    pub(in crate::typing) fn common(&mut self, arguments: &'e [Expression], word: &str) -> Judged<TypeId> {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.value(argument)?);
        }
        self.unify(&values, word)
    }

    /// The common type of values, with every one of them coerced to it.
    pub(in crate::typing) fn unify(&mut self, values: &[Value<'e>], word: &str) -> Judged<TypeId> {
        let universe = self.universe;
        let types: Vec<TypeId> = values.iter().map(|value| value.id).collect();
        let common = match universe.common_type(&types) {
            Ok(common) => common,
            Err((one, other, index)) => {
                let at = values.get(index).map_or(0, |value| value.node.start());
                let (one, other) = (universe.name(one), universe.name(other));
                return self.fail("42804", at, format!("{word} types {one} and {other} cannot be matched"));
            }
        };
        for value in values {
            self.coerce_common(*value, common, word)?;
        }
        Ok(common)
    }

    pub(in crate::typing) fn coerce_common(
        &mut self,
        value: Value<'e>,
        to: TypeId,
        word: &str,
    ) -> Judged<()> {
        if !self.universe.can_coerce(&[value.id], &[to], Context::Implicit) {
            let (from, to) = (self.universe.name(value.id), self.universe.name(to));
            return self.fail(
                "42846",
                value.node.start(),
                format!("{word} could not convert type {from} to {to}"),
            );
        }
        self.coerce(value, to, Context::Implicit)
    }

    pub(in crate::typing) fn case(
        &mut self,
        operand: Option<&'e Expression>,
        branches: &'e [(Expression, Expression)],
        otherwise: Option<&'e Expression>,
    ) -> Judged<TypeId> {
        let text = self.universe.ids().text;
        let operand = match operand {
            None => None,
            Some(node) => {
                let mut value = self.value(node)?;
                if value.id == self.universe.ids().unknown {
                    self.coerce(value, text, Context::Implicit)?;
                    (value.id, value.text) = (text, None);
                }
                Some(value)
            }
        };
        let mut results = Vec::with_capacity(branches.len() + 1);
        for (condition, result) in branches {
            let judged = self.value(condition)?;
            match operand {
                None => self.boolean(judged, "CASE/WHEN")?,
                Some(operand) => {
                    let result = self.operation(condition.offset, "=", &[operand, judged])?;
                    self.yields_boolean(
                        result,
                        condition.offset,
                        "argument of CASE/WHEN must be type boolean",
                    )?;
                }
            }
            results.push(self.value(result)?);
        }
        // The `ELSE` decides first.
        if let Some(otherwise) = otherwise {
            let value = self.value(otherwise)?;
            results.insert(0, value);
        } else if let Some(first) = results.first().copied() {
            results.insert(0, Value { id: self.universe.ids().unknown, text: None, node: first.node });
        }
        self.unify(&results, "CASE")
    }

    /// `ARRAY[…]`; `to` is the array type a cast around it asks for.
    pub(in crate::typing) fn array(
        &mut self,
        node: &'e Expression,
        parts: &'e [Expression],
        to: Option<TypeId>,
    ) -> Judged<TypeId> {
        let universe = self.universe;
        let mut values = Vec::with_capacity(parts.len());
        let mut nested = false;
        for part in parts {
            let value = match &part.kind {
                Kind::Array(inner) => {
                    nested = true;
                    Value { id: self.array(part, inner, to)?, text: None, node: part }
                }
                _ => self.value(part)?,
            };
            nested |= universe.element(value.id).is_some();
            values.push(value);
        }
        if let Some(to) = to {
            let target = if nested { to } else { universe.element(to).unwrap_or(to) };
            for value in values {
                self.coerce_explicit(value, target, value.node.start())?;
            }
            return Ok(to);
        }
        if values.is_empty() {
            return self.fail("42P18", node.offset, "cannot determine type of empty array".to_owned());
        }
        let types: Vec<TypeId> = values.iter().map(|value| value.id).collect();
        let common = match universe.common_type(&types) {
            Ok(common) => common,
            Err((one, other, index)) => {
                let at = values.get(index).map_or(0, |value| value.node.start());
                let (one, other) = (universe.name(one), universe.name(other));
                return self.fail("42804", at, format!("ARRAY types {one} and {other} cannot be matched"));
            }
        };
        let array = if nested {
            universe.element(common).map(|_| common).ok_or("element")
        } else {
            universe.info(common).array.ok_or("array")
        };
        let array = match array {
            Ok(array) => array,
            Err(what) => {
                let message = format!("could not find {what} type for data type {}", universe.name(common));
                return self.fail("42704", node.offset, message);
            }
        };
        for value in values {
            self.coerce_common(value, common, "ARRAY")?;
        }
        Ok(array)
    }
}
