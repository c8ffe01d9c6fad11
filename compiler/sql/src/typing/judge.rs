//! The type of every part of a filter, in the order PostgreSQL's parse analysis finds it: what it would refuse is
//! refused at the same place with the same sentence.

use super::candidate::Choice;
use super::kind::{Context, Routine, RoutineKind, Subscript, TypeId};
use super::settings::Dependence;
use super::universe::Universe;
use super::{Environment, Fault, TypeError};
use crate::filter::expression::{Expression, Item, Kind, Literal, Owner, TypeRef};

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
        let known = |id: TypeId| Ok(Value { id, text: None, node });
        match &node.kind {
            Kind::Column { owner, name } => known(self.column(node, owner, name)?),
            Kind::Subject { name } => known(self.attribute(node, name)?),
            Kind::Literal(literal) => Ok(self.literal(node, literal)),
            Kind::Cast { value, to } => known(self.cast(node, value, to)?),
            Kind::Call { schema, name, arguments, star } => {
                known(self.call(node, schema.as_ref(), name.as_str(), arguments, *star)?)
            }
            Kind::Special { keyword: "NULLIF", arguments } => known(self.nullif(node, arguments)?),
            Kind::Special { keyword, arguments } => known(self.common(arguments, keyword)?),
            Kind::Binary { operator, left, right } => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                known(self.operation(node.offset, operator, &[left, right])?)
            }
            Kind::Unary { operator, value } => {
                let value = self.value(value)?;
                known(self.operation(node.offset, operator, &[value])?)
            }
            Kind::Quantified { operator, left, array, .. } => {
                let (left, array) = (self.value(left)?, self.value(array)?);
                self.quantified(node.offset, operator, left, array)?;
                known(ids.boolean)
            }
            Kind::In { value, list, .. } => {
                let value = self.value(value)?;
                for item in list {
                    let item = self.value(item)?;
                    self.operation(node.offset, "=", &[value, item])?;
                }
                known(ids.boolean)
            }
            Kind::Between { value, low, high, .. } => {
                let value = self.value(value)?;
                for (operator, bound) in [(">=", low), ("<=", high)] {
                    let bound = self.value(bound)?;
                    self.operation(node.offset, operator, &[value, bound])?;
                }
                known(ids.boolean)
            }
            Kind::Distinct { left, right, .. } => {
                let (a, b) = (self.value(left)?, self.value(right)?);
                let null = |node: &Expression| node.kind == Kind::Literal(Literal::Null);
                if !null(left) && !null(right) {
                    let result = self.operation(node.offset, "=", &[a, b])?;
                    self.yields_boolean(
                        result,
                        node.offset,
                        "IS DISTINCT FROM requires = operator to yield boolean",
                    )?;
                }
                known(ids.boolean)
            }
            Kind::And(parts) | Kind::Or(parts) => {
                let word = if matches!(node.kind, Kind::And(_)) { "AND" } else { "OR" };
                for part in parts {
                    self.condition(part, word);
                }
                known(ids.boolean)
            }
            Kind::Not(part) => {
                self.condition(part, "NOT");
                known(ids.boolean)
            }
            Kind::Test { value, test } => {
                let tested = self.value(value)?;
                if !matches!(*test, "IS NULL" | "IS NOT NULL") {
                    self.boolean(tested, test)?;
                }
                known(ids.boolean)
            }
            Kind::Case { operand, branches, otherwise } => {
                known(self.case(operand.as_deref(), branches, otherwise.as_deref())?)
            }
            Kind::Array(parts) => known(self.array(node, parts, None)?),
            Kind::Element { value, indices } => known(self.element(node, value, indices)?),
            Kind::Clock(word) => known(self.clock(node.offset, word)),
            Kind::Exists(query) => {
                self.query(query)?;
                known(ids.boolean)
            }
            Kind::InQuery { operator, value, query, .. } => {
                let value = self.value(value)?;
                let selected = self.query(query)?.unwrap_or(ids.text);
                let selected = Value { id: selected, text: None, node };
                let result = self.operation(node.offset, operator, &[value, selected])?;
                let name = self.universe.name(result).to_owned();
                let message = format!("row comparison operator must yield type boolean, not type {name}");
                self.yields_boolean(result, node.offset, &message)?;
                known(ids.boolean)
            }
            Kind::Scalar(query) => known(self.query(query)?.unwrap_or(ids.text)),
        }
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

    /// An operator applied to one or two values: the type it yields.
    pub(super) fn operation(&mut self, at: usize, name: &str, values: &[Value<'e>]) -> Judged<TypeId> {
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

    fn leakproof(&mut self, routine: &Routine, values: &[Value<'e>]) {
        if let Some(value) = values.first() {
            self.calls.push(Called { node: value.node, leakproof: routine.leakproof });
        }
    }

    fn signature(&self, name: &str, types: &[TypeId]) -> String {
        match types {
            [left, right] => format!("{} {name} {}", self.universe.name(*left), self.universe.name(*right)),
            [only] => format!("{name} {}", self.universe.name(*only)),
            _ => name.to_owned(),
        }
    }

    /// Coerces arguments to the parameters chosen for them: the type of the result.
    fn apply(
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
        Ok(settled.result)
    }

    pub(super) fn yields_boolean(&self, result: TypeId, at: usize, message: &str) -> Judged<()> {
        if result == self.universe.ids().boolean {
            Ok(())
        } else {
            self.fail("42804", at, message.to_owned())
        }
    }

    fn quantified(&mut self, at: usize, name: &str, left: Value<'e>, array: Value<'e>) -> Judged<()> {
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

    fn call(
        &mut self,
        node: &'e Expression,
        schema: Option<&'e daam_catalog::Identifier>,
        name: &str,
        arguments: &'e [Expression],
        star: bool,
    ) -> Judged<TypeId> {
        let universe = self.universe;
        let named = universe.functions(schema, name);
        let is_aggregate = named.iter().any(|routine| routine.kind == RoutineKind::Aggregate);
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.value(argument)?);
        }
        let types: Vec<TypeId> = values.iter().map(|value| value.id).collect();
        if star {
            self.enter_aggregate(node, arguments)?;
            return Ok(universe.ids().int8);
        }
        let exact = named.iter().any(|routine| routine.arguments == types);
        if !exact && let Some(to) = self.cast_by_name(schema, name, &types) {
            self.coerce(values.remove(0), to, Context::Explicit)?;
            return Ok(to);
        }
        match universe.function(named, &types) {
            Choice::One(routine, declared) => {
                if routine.set {
                    return self.fail(
                        "0A000",
                        node.offset,
                        "set-returning functions are not allowed in WHERE".to_owned(),
                    );
                }
                self.calls.push(Called { node, leakproof: routine.leakproof });
                self.note_routine(node.offset, &format!("function {name}"), routine, &values);
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

    fn called(
        &self,
        schema: Option<&daam_catalog::Identifier>,
        name: &str,
        types: &[TypeId],
        what: &str,
    ) -> String {
        let types: Vec<&str> = types.iter().map(|id| self.universe.name(*id)).collect();
        let schema = schema.map_or_else(String::new, |schema| format!("{schema}."));
        format!("function {schema}{name}({}) {what}", types.join(", "))
    }

    /// `date(x)` and the like: a function of a type's name with one argument may be a cast.
    fn cast_by_name(
        &self,
        schema: Option<&daam_catalog::Identifier>,
        name: &str,
        types: &[TypeId],
    ) -> Option<TypeId> {
        use super::coerce::Pathway;
        let universe = self.universe;
        let [from] = types else { return None };
        let to = universe.named(schema, name)?;
        if *from == universe.ids().unknown {
            return Some(to);
        }
        let text = universe.info(to).category == 'S';
        match universe.pathway(to, *from, Context::Explicit)? {
            Pathway::Relabel => Some(to),
            Pathway::Text if (*from == universe.ids().record || universe.is_complex(*from)) && text => None,
            Pathway::Text => Some(to),
            Pathway::Function(_) | Pathway::Array(..) => None,
        }
    }

    fn nullif(&mut self, node: &'e Expression, arguments: &'e [Expression]) -> Judged<TypeId> {
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
    fn common(&mut self, arguments: &'e [Expression], word: &str) -> Judged<TypeId> {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.value(argument)?);
        }
        self.unify(&values, word)
    }

    /// The common type of values, with every one of them coerced to it.
    fn unify(&mut self, values: &[Value<'e>], word: &str) -> Judged<TypeId> {
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

    fn coerce_common(&mut self, value: Value<'e>, to: TypeId, word: &str) -> Judged<()> {
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

    fn case(
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
    fn array(&mut self, node: &'e Expression, parts: &'e [Expression], to: Option<TypeId>) -> Judged<TypeId> {
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

    fn coerce_explicit(&mut self, value: Value<'e>, to: TypeId, at: usize) -> Judged<()> {
        if !self.universe.can_coerce(&[value.id], &[to], Context::Explicit) {
            let (from, to) = (self.universe.name(value.id), self.universe.name(to));
            return self.fail("42846", at, format!("cannot cast type {from} to {to}"));
        }
        self.coerce(value, to, Context::Explicit)
    }

    fn cast(&mut self, node: &'e Expression, value: &'e Expression, to: &TypeRef) -> Judged<TypeId> {
        let id = self.type_ref(node, to)?;
        let base = self.universe.base(id);
        let value = match &value.kind {
            Kind::Array(parts) if self.universe.element(base).is_some() => {
                Value { id: self.array(value, parts, Some(base))?, text: None, node: value }
            }
            _ => self.value(value)?,
        };
        self.coerce_explicit(value, id, node.offset)?;
        Ok(id)
    }

    fn type_ref(&mut self, node: &Expression, to: &TypeRef) -> Judged<TypeId> {
        let universe = self.universe;
        let Some(id) = universe.named(to.schema.as_ref(), &to.name) else {
            let schema = to.schema.as_ref().map_or_else(String::new, |schema| format!("{schema}."));
            return self.fail("42704", node.offset, format!("type \"{schema}{}\" does not exist", to.name));
        };
        if !to.modifiers.is_empty() {
            let info = universe.info(id);
            if !info.modifiers {
                let name = if info.internal.is_empty() { info.name.as_str() } else { info.internal };
                return self.fail(
                    "42601",
                    node.offset,
                    format!("type modifier is not allowed for type \"{name}\""),
                );
            }
            if let Some(message) = bad_modifier(info.internal, &to.modifiers, universe.builtin().major) {
                return self.fail("22023", node.offset, message);
            }
        }
        if !to.array {
            return Ok(id);
        }
        match universe.info(id).array {
            Some(array) => Ok(array),
            None => self.fail("42704", node.offset, format!("type \"{}[]\" does not exist", to.name)),
        }
    }

    fn element(
        &mut self,
        node: &'e Expression,
        value: &'e Expression,
        indices: &'e [Expression],
    ) -> Judged<TypeId> {
        let value = self.value(value)?;
        let universe = self.universe;
        let ids = *universe.ids();
        let id = universe.base(value.id);
        let info = universe.info(id);
        for index in indices {
            if info.subscript == Subscript::None {
                break;
            }
            let index = self.value(index)?;
            let at = index.node.start();
            if info.subscript != Subscript::Jsonb {
                if !universe.can_coerce(&[index.id], &[ids.int4], Context::Assignment) {
                    return self.fail("42804", at, "array subscript must have type integer".to_owned());
                }
                self.coerce(index, ids.int4, Context::Assignment)?;
            } else if index.id != ids.unknown {
                let fits = [ids.int4, ids.text]
                    .into_iter()
                    .filter(|to| universe.can_coerce(&[index.id], &[*to], Context::Implicit))
                    .count();
                if fits != 1 {
                    let message = format!("subscript type {} is not supported", universe.name(index.id));
                    return self.fail("42804", at, message);
                }
            }
        }
        match info.subscript {
            Subscript::Jsonb => Ok(ids.jsonb),
            Subscript::Array | Subscript::Raw => Ok(info.element.unwrap_or(id)),
            Subscript::None => {
                let name = universe.name(id);
                let message =
                    format!("cannot subscript type {name} because it does not support subscripting");
                self.fail("42804", node.start(), message)
            }
        }
    }

    fn clock(&mut self, at: usize, word: &str) -> TypeId {
        let ids = *self.universe.ids();
        self.note_clock(at, word);
        match word {
            "CURRENT_DATE" => ids.date,
            "CURRENT_TIME" => ids.timetz,
            "LOCALTIME" => ids.time,
            "LOCALTIMESTAMP" => ids.timestamp,
            _ => ids.timestamptz,
        }
    }
}

/// What PostgreSQL says about a modifier it does not take.
fn bad_modifier(name: &str, modifiers: &[i64], major: u32) -> Option<String> {
    match (name, modifiers) {
        ("varchar" | "bpchar" | "bit" | "varbit", [length]) => {
            let shown = match name {
                "bpchar" => "char",
                other => other,
            };
            if *length < 1 {
                Some(format!("length for type {shown} must be at least 1"))
            } else if *length > 10_485_760 && matches!(name, "varchar" | "bpchar") {
                Some(format!("length for type {shown} cannot exceed 10485760"))
            } else {
                None
            }
        }
        ("numeric", [precision]) if !(1..=1000).contains(precision) => {
            Some(format!("NUMERIC precision {precision} must be between 1 and 1000"))
        }
        ("numeric", [precision, scale]) => {
            let scales = if major < 15 { 0..=*precision } else { -1000..=1000 };
            if !(1..=1000).contains(precision) {
                Some(format!("NUMERIC precision {precision} must be between 1 and 1000"))
            } else if !scales.contains(scale) {
                Some(format!("NUMERIC scale {scale} must be between {} and {}", scales.start(), scales.end()))
            } else {
                None
            }
        }
        ("numeric", [_]) => None,
        ("timestamp" | "timestamptz" | "time" | "timetz", [precision]) => {
            (*precision < 0).then(|| format!("precision {precision} must not be negative"))
        }
        ("", _) => None,
        _ => Some("invalid type modifier".to_owned()),
    }
}
