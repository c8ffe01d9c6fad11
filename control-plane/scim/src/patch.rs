//! What a PATCH makes of a resource (RFC 7644, 3.5.2), with the habits of those who send it.

use crate::Object;
use crate::canonical::{checked, complete, is_primary};
use crate::error::{Kind, ScimError, shown};
use crate::eval::matches_element;
use crate::filter::{Comparison, Filter, Target, parse_path};
use crate::schema::{Attribute, Mutability, Schema};
use serde_json::Value;

const MOST: usize = 1000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Replace,
    Remove,
}

/// Applies a request's operations, all or none.
pub fn patch(schema: &'static Schema, resource: &Object, request: &Value) -> Result<Object, ScimError> {
    let malformed = |detail: &str| ScimError::new(Kind::InvalidSyntax, detail);
    let field = |object: &'_ Value, name: &str| {
        let fields = object.as_object()?;
        fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    };
    let operations = field(request, "Operations").and_then(|found| found.as_array().cloned());
    let operations = operations.ok_or_else(|| malformed("a PATCH has `Operations`, a list"))?;
    if operations.is_empty() || operations.len() > MOST {
        return Err(malformed("a PATCH has 1 to 1000 operations"));
    }
    let mut changed = resource.clone();
    for operation in operations {
        // `Add` and `Replace`, by Microsoft Entra.
        let name = field(&operation, "op").and_then(|op| op.as_str().map(str::to_ascii_lowercase));
        let op = match name.as_deref() {
            Some("add") => Op::Add,
            Some("replace") => Op::Replace,
            Some("remove") => Op::Remove,
            _ => return Err(malformed("`op` is `add`, `replace` or `remove`")),
        };
        let value = field(&operation, "value").unwrap_or(Value::Null);
        match field(&operation, "path") {
            None | Some(Value::Null) => without_path(schema, &mut changed, op, &value)?,
            Some(Value::String(path)) => with_path(schema, &mut changed, op, &path, &value)?,
            Some(_) => return Err(malformed("`path` is text")),
        }
    }
    complete(schema, &changed)?;
    Ok(changed)
}

/// Each member of the value is a path of its own, `name.givenName` included.
fn without_path(
    schema: &'static Schema,
    resource: &mut Object,
    op: Op,
    value: &Value,
) -> Result<(), ScimError> {
    let Value::Object(members) = value else {
        let detail = "without `path`, `value` is an object of attributes, and `remove` needs a `path`";
        return Err(ScimError::new(Kind::NoTarget, detail));
    };
    if op == Op::Remove {
        return Err(ScimError::new(Kind::NoTarget, "`remove` needs a `path`"));
    }
    for (name, value) in members {
        let known = name.eq_ignore_ascii_case("schemas") || name.starts_with("urn:");
        match parse_path(name, schema) {
            // Okta sends `id` along; what the server writes stays as it is.
            Ok(Some(target)) if target.attribute.mutability == Mutability::ReadOnly => {}
            Ok(Some(target)) => apply(resource, op, &target, value)?,
            Ok(None) => {}
            Err(_) if known => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn with_path(
    schema: &'static Schema,
    resource: &mut Object,
    op: Op,
    path: &str,
    value: &Value,
) -> Result<(), ScimError> {
    let Some(target) = parse_path(path, schema)? else { return Ok(()) };
    let read_only = |attribute: &Attribute| attribute.mutability == Mutability::ReadOnly;
    if read_only(target.attribute) || target.sub.is_some_and(read_only) {
        let detail = format!("`{}` is written by the server alone", shown(path));
        return Err(ScimError::new(Kind::Mutability, detail));
    }
    apply(resource, op, &target, value)
}

fn apply(resource: &mut Object, op: Op, target: &Target, value: &Value) -> Result<(), ScimError> {
    let Target { attribute, values, sub } = target;
    match (attribute.multi, values, sub) {
        (true, Some(filter), _) => some(resource, op, target, filter, value),
        (true, None, Some(sub)) => every(resource, op, attribute, sub, value),
        (true, None, None) => whole_list(resource, op, attribute, value),
        (false, _, Some(sub)) => {
            let mut inner = match resource.remove(attribute.name) {
                Some(Value::Object(inner)) => inner,
                _ => Object::new(),
            };
            set(&mut inner, op, sub, value)?;
            if !inner.is_empty() {
                resource.insert(attribute.name.to_owned(), Value::Object(inner));
            }
            Ok(())
        }
        (false, _, None) => match (op, checked(attribute, value)?, resource.get_mut(attribute.name)) {
            // What is not named of a complex value stays.
            (Op::Add | Op::Replace, Some(Value::Object(new)), Some(Value::Object(present))) => {
                present.extend(new);
                Ok(())
            }
            _ => set(resource, op, attribute, value),
        },
    }
}

/// A value in its place; none removes it.
fn set(object: &mut Object, op: Op, attribute: &Attribute, value: &Value) -> Result<(), ScimError> {
    let value = if op == Op::Remove { None } else { checked(attribute, value)? };
    match value {
        Some(value) => drop(object.insert(attribute.name.to_owned(), value)),
        None => drop(object.remove(attribute.name)),
    }
    Ok(())
}

fn take_list(resource: &mut Object, attribute: &Attribute) -> Vec<Value> {
    match resource.remove(attribute.name) {
        Some(Value::Array(values)) => values,
        Some(value) => vec![value],
        None => Vec::new(),
    }
}

fn put_list(resource: &mut Object, attribute: &Attribute, values: Vec<Value>) {
    if !values.is_empty() {
        resource.insert(attribute.name.to_owned(), Value::Array(values));
    }
}

fn whole_list(resource: &mut Object, op: Op, attribute: &Attribute, value: &Value) -> Result<(), ScimError> {
    let new = match checked(attribute, value)? {
        Some(Value::Array(values)) => values,
        _ => Vec::new(),
    };
    let mut values = take_list(resource, attribute);
    match op {
        Op::Replace => values = new,
        // Microsoft Entra says whom to remove in `value`; to remove everybody then would be the worst reading.
        Op::Remove if !new.is_empty() => values.retain(|value| !new.iter().any(|gone| same(gone, value))),
        Op::Remove => values.clear(),
        Op::Add => {
            if new.iter().any(is_primary) {
                values.iter_mut().for_each(not_primary);
            }
            for value in new {
                if let Some(present) = values.iter_mut().find(|present| same(present, &value)) {
                    *present = value;
                } else {
                    values.push(value);
                }
            }
        }
    }
    if values.iter().filter(|value| is_primary(value)).count() > 1 {
        return Err(ScimError::new(Kind::InvalidValue, "more than one value is primary"));
    }
    put_list(resource, attribute, values);
    Ok(())
}

/// The same element: by its `value`, and by its `type` where both have one.
fn same(one: &Value, other: &Value) -> bool {
    let (a, b) = (one.get("value"), other.get("value"));
    let (kind_a, kind_b) = (one.get("type"), other.get("type"));
    a.is_some() && a == b && (kind_a == kind_b || kind_a.is_none() || kind_b.is_none())
}

fn not_primary(value: &mut Value) {
    if let Some(present) = value.get_mut("primary") {
        *present = Value::Bool(false);
    }
}

/// A sub-attribute of every value.
fn every(
    resource: &mut Object,
    op: Op,
    attribute: &Attribute,
    sub: &Attribute,
    value: &Value,
) -> Result<(), ScimError> {
    let mut values = take_list(resource, attribute);
    if values.is_empty() && op != Op::Remove {
        values.push(Value::Object(Object::new()));
    }
    for element in &mut values {
        if let Value::Object(element) = element {
            set(element, op, sub, value)?;
        }
    }
    values.retain(|element| element.as_object().is_none_or(|element| !element.is_empty()));
    put_list(resource, attribute, values);
    Ok(())
}

/// The values a filter finds, or a sub-attribute of these.
fn some(
    resource: &mut Object,
    op: Op,
    target: &Target,
    filter: &Filter,
    value: &Value,
) -> Result<(), ScimError> {
    let Target { attribute, sub, .. } = target;
    let mut values = take_list(resource, attribute);
    let found = |element: &Value| element.as_object().is_some_and(|element| matches_element(filter, element));
    if op == Op::Remove && sub.is_none() {
        // Whoever is not there is removed already.
        values.retain(|element| !found(element));
        put_list(resource, attribute, values);
        return Ok(());
    }
    if !values.iter().any(found) {
        // Microsoft Entra sets `emails[type eq "work"].value` before there is one.
        let mut fresh = Object::new();
        if op == Op::Remove || !describe(filter, &mut fresh) {
            let detail = "no value is what the path's filter asks for";
            return Err(ScimError::new(Kind::NoTarget, detail));
        }
        values.push(Value::Object(fresh));
    }
    for element in values.iter_mut().filter(|element| found(element)) {
        let Value::Object(object) = element else { continue };
        match sub {
            Some(sub) => set(object, op, sub, value)?,
            None => match checked(attribute, value)? {
                Some(Value::Array(new)) => {
                    for new in new {
                        if let Value::Object(new) = new {
                            object.extend(new);
                        }
                    }
                }
                _ => return Err(ScimError::new(Kind::InvalidValue, "the value says nothing")),
            },
        }
    }
    if values.iter().filter(|value| is_primary(value)).count() > 1 {
        return Err(ScimError::new(Kind::InvalidValue, "more than one value is primary"));
    }
    put_list(resource, attribute, values);
    Ok(())
}

/// The value that a filter of plain equalities describes.
fn describe(filter: &Filter, into: &mut Object) -> bool {
    match filter {
        Filter::And(left, right) => describe(left, into) && describe(right, into),
        Filter::Compare(place, Comparison::Equal, value) => match place.sub {
            Some(sub) if sub.mutability != Mutability::ReadOnly => {
                into.insert(sub.name.to_owned(), value.clone());
                true
            }
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests;
