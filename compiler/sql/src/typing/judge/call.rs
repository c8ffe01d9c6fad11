//! Operators and functions applied to values.

use super::super::candidate::Choice;
use super::super::coerce::Pathway;
use super::super::kind::{Context, Routine, RoutineKind, TypeId};
use super::super::{Fault, TypeError};
use super::{Called, Judge, Judged, Value};
use crate::filter::expression::Expression;
use daam_catalog::Identifier;

/// Why a routine is not called as a function is.
fn not_called(kind: RoutineKind) -> Option<(&'static str, &'static str)> {
    match kind {
        RoutineKind::Function | RoutineKind::Aggregate => None,
        RoutineKind::Procedure => Some(("42809", "is a procedure")),
        RoutineKind::Window => Some(("42P20", "is a window function")),
    }
}

impl<'e> Judge<'e, '_> {
    /// An operator applied to one or two values: the type it yields.
    pub(in crate::typing) fn operation(
        &mut self,
        at: usize,
        name: &str,
        values: &[Value<'e>],
    ) -> Judged<TypeId> {
        let types: Vec<TypeId> = values.iter().map(|value| value.id).collect();
        let universe = self.universe;
        match universe.operator(name, &types) {
            Choice::One(routine, declared) => {
                self.leakproof(routine, values);
                self.note_routine(at, &format!("operator {name}"), routine, values);
                self.apply(at, routine, &declared, values)
            }
            Choice::None => {
                self.fail("42883", at, format!("operator does not exist: {}", self.signature(name, &types)))
            }
            Choice::Several => {
                self.fail("42725", at, format!("operator is not unique: {}", self.signature(name, &types)))
            }
        }
    }

    pub(in crate::typing) fn leakproof(&mut self, routine: &Routine, values: &[Value<'e>]) {
        if let Some(value) = values.first() {
            self.calls.push(Called { node: value.node, leakproof: routine.leakproof });
        }
    }

    pub(in crate::typing) fn signature(&self, name: &str, types: &[TypeId]) -> String {
        match types {
            [left, right] => format!("{} {name} {}", self.universe.name(*left), self.universe.name(*right)),
            [only] => format!("{name} {}", self.universe.name(*only)),
            _ => name.to_owned(),
        }
    }

    /// Coerces arguments to the parameters chosen for them: the type of the result.
    pub(in crate::typing) fn apply(
        &mut self,
        at: usize,
        routine: &Routine,
        declared: &[TypeId],
        values: &[Value<'e>],
    ) -> Judged<TypeId> {
        let types: Vec<TypeId> = values.iter().map(|value| value.id).collect();
        let settled = match self.universe.generic(&types, declared, Some(routine.result)) {
            Ok(Some(settled)) => settled,
            Ok(None) => return self.fail("42804", at, "the argument types contradict each other".to_owned()),
            Err(message) => return self.fail("42804", at, message),
        };
        for (value, to) in values.iter().zip(&settled.arguments) {
            self.coerce(*value, *to, Context::Implicit)?;
        }
        self.gathered(at, routine, declared, &settled.arguments)?;
        Ok(settled.result)
    }

    /// The values of a variadic argument are made an array of, which arrays cannot be made of.
    fn gathered(&self, at: usize, routine: &Routine, declared: &[TypeId], settled: &[TypeId]) -> Judged<()> {
        let first = routine.arguments.len().saturating_sub(1);
        let spread = routine
            .variadic
            .filter(|spread| *spread != self.universe.ids().any && declared.get(first) == Some(spread));
        let Some(element) = settled.get(first).filter(|_| spread.is_some()) else { return Ok(()) };
        let element = self.universe.info(*element);
        if element.array.is_some() {
            return Ok(());
        }
        self.fail("42704", at, format!("could not find array type for data type {}", element.name))
    }

    pub(in crate::typing) fn yields_boolean(&self, result: TypeId, at: usize, message: &str) -> Judged<()> {
        if result == self.universe.ids().boolean {
            Ok(())
        } else {
            self.fail("42804", at, message.to_owned())
        }
    }

    pub(in crate::typing) fn quantified(
        &mut self,
        at: usize,
        name: &str,
        left: Value<'e>,
        array: Value<'e>,
    ) -> Judged<()> {
        let universe = self.universe;
        let ids = *universe.ids();
        let element = if array.id == ids.unknown {
            ids.unknown
        } else {
            match universe.element(universe.base(array.id)) {
                Some(element) => element,
                None => {
                    return self.fail(
                        "42809",
                        at,
                        "op ANY/ALL (array) requires array on right side".to_owned(),
                    );
                }
            }
        };
        let types = [left.id, element];
        let (routine, declared) = match universe.operator(name, &types) {
            Choice::One(routine, declared) => (routine, declared),
            Choice::None => {
                return self.fail(
                    "42883",
                    at,
                    format!("operator does not exist: {}", self.signature(name, &types)),
                );
            }
            Choice::Several => {
                return self.fail(
                    "42725",
                    at,
                    format!("operator is not unique: {}", self.signature(name, &types)),
                );
            }
        };
        let settled = match universe.generic(&types, &declared, Some(routine.result)) {
            Ok(Some(settled)) => settled,
            Ok(None) => return self.fail("42804", at, "the argument types contradict each other".to_owned()),
            Err(message) => return self.fail("42804", at, message),
        };
        self.leakproof(routine, &[left, array]);
        self.note_routine(at, &format!("operator {name}"), routine, &[left]);
        self.yields_boolean(settled.result, at, "op ANY/ALL (array) requires operator to yield boolean")?;
        let (Some(to_left), Some(to_right)) = (settled.arguments.first(), settled.arguments.get(1)) else {
            return Ok(());
        };
        self.coerce(left, *to_left, Context::Implicit)?;
        let keeps = declared.get(1).is_some_and(|id| universe.is_polymorphic(*id)) && array.id != ids.unknown;
        if keeps {
            return Ok(());
        }
        match universe.info(*to_right).array {
            Some(to) => self.coerce(array, to, Context::Implicit),
            None => self.fail(
                "42704",
                at,
                format!("could not find array type for data type {}", universe.name(*to_right)),
            ),
        }
    }

    pub(in crate::typing) fn call(
        &mut self,
        node: &'e Expression,
        schema: Option<&'e Identifier>,
        name: &str,
        arguments: &'e [Expression],
    ) -> Judged<TypeId> {
        let universe = self.universe;
        let named = universe.functions(schema, name);
        let is_aggregate = named.iter().any(|routine| routine.kind == RoutineKind::Aggregate);
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.value(argument)?);
        }
        let types: Vec<TypeId> = values.iter().map(|value| value.id).collect();
        let exact = named.iter().any(|routine| routine.arguments == types);
        if !exact && let Some(to) = self.cast_by_name(schema, name, &types) {
            for value in values {
                self.coerce(value, to, Context::Explicit)?;
            }
            return Ok(to);
        }
        match universe.function(named, &types) {
            Choice::One(routine, declared) => {
                if let Some((state, what)) = not_called(routine.kind) {
                    return self.fail(state, node.offset, self.called(schema, name, &types, what));
                }
                if routine.set {
                    return self.fail(
                        "0A000",
                        node.offset,
                        "set-returning functions are not allowed in WHERE".to_owned(),
                    );
                }
                self.calls.push(Called { node, leakproof: routine.leakproof });
                // STABLE on a function of a user schema says that it reads tables, not that it reads settings.
                if schema.is_none() {
                    self.note_routine(node.offset, &format!("function {name}"), routine, &values);
                }
                let result = self.apply(node.offset, routine, &declared, &values)?;
                if is_aggregate {
                    self.enter_aggregate(node, arguments)?;
                }
                Ok(result)
            }
            Choice::None | Choice::Several if named.is_empty() && schema.is_some() => Err(TypeError::new(
                Fault::UnknownFunction,
                "42883",
                node.offset,
                self.called(schema, name, &types, "does not exist"),
            )),
            Choice::None => {
                self.fail("42883", node.offset, self.called(schema, name, &types, "does not exist"))
            }
            Choice::Several => {
                self.fail("42725", node.offset, self.called(schema, name, &types, "is not unique"))
            }
        }
    }

    pub(in crate::typing) fn called(
        &self,
        schema: Option<&Identifier>,
        name: &str,
        types: &[TypeId],
        what: &str,
    ) -> String {
        let types: Vec<&str> = types.iter().map(|id| self.universe.name(*id)).collect();
        let schema = schema.map_or_else(String::new, |schema| format!("{schema}."));
        format!("function {schema}{name}({}) {what}", types.join(", "))
    }

    /// `date(x)` and the like: a function of a type's name with one argument may be a cast.
    pub(in crate::typing) fn cast_by_name(
        &self,
        schema: Option<&Identifier>,
        name: &str,
        types: &[TypeId],
    ) -> Option<TypeId> {
        let universe = self.universe;
        let [from] = types else { return None };
        let to = universe.named(schema, name)?;
        if *from == universe.ids().unknown {
            return Some(to);
        }
        let text = universe.info(to).category == 'S';
        let row = *from == universe.ids().record || universe.is_complex(*from);
        match universe.pathway(to, *from, Context::Explicit)? {
            Pathway::Text if row && text => None,
            Pathway::Relabel | Pathway::Text => Some(to),
            Pathway::Function(_) | Pathway::Array(..) => None,
        }
    }
}
