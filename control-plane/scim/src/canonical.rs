//! From what a client sends to the one form everything else works on.

use crate::Object;
use crate::error::{Kind, ScimError, shown};
use crate::schema::{Attribute, COMMON, Mutability, Schema, Type, find};
use serde_json::Value;

const LONGEST: usize = 1024;
/// Values of one attribute; a group of everybody is the large one.
const MOST: usize = 20_000;

/// Reads a whole resource: names in any case, unknown and read-only attributes dropped, types checked.
pub fn canonical(schema: &Schema, sent: &Value) -> Result<Object, ScimError> {
    let Value::Object(sent) = sent else {
        return Err(ScimError::new(Kind::InvalidSyntax, "a resource is a JSON object"));
    };
    let mut read = Object::new();
    for (name, value) in sent {
        // Another schema's extension is not kept here; `schemas` is known.
        let Some(attribute) = schema.find(name).filter(|found| found.mutability != Mutability::ReadOnly)
        else {
            continue;
        };
        if read.contains_key(attribute.name) {
            let detail = format!("`{}` comes twice", attribute.name);
            return Err(ScimError::new(Kind::InvalidSyntax, detail));
        }
        if let Some(value) = checked(attribute, value)? {
            read.insert(attribute.name.to_owned(), value);
        }
    }
    one_primary(&read)?;
    Ok(read)
}

/// What a resource must have.
pub(crate) fn complete(schema: &Schema, resource: &Object) -> Result<(), ScimError> {
    let missing = schema.attributes.iter().chain(COMMON).find(|attribute| {
        // An address may stand in `userName` instead.
        attribute.required && attribute.name != "emails" && !resource.contains_key(attribute.name)
    });
    match missing {
        None => Ok(()),
        Some(attribute) => {
            let detail = format!("a {} needs `{}`", schema.name, attribute.name);
            Err(ScimError::new(Kind::InvalidValue, detail))
        }
    }
}

/// A value of an attribute; `None` for one that says nothing.
pub(crate) fn checked(attribute: &Attribute, value: &Value) -> Result<Option<Value>, ScimError> {
    if !attribute.multi {
        return single(attribute, value);
    }
    let values = match value {
        Value::Null => return Ok(None),
        Value::Array(values) => values.as_slice(),
        one => std::slice::from_ref(one),
    };
    if values.len() > MOST {
        return Err(ScimError::new(
            Kind::TooMany,
            format!("`{}` has more than {MOST} values", attribute.name),
        ));
    }
    let mut read = Vec::new();
    for value in values {
        read.extend(single(attribute, value)?);
    }
    Ok((!read.is_empty()).then_some(Value::Array(read)))
}

fn single(attribute: &Attribute, value: &Value) -> Result<Option<Value>, ScimError> {
    let wrong = |wanted: &str| {
        let detail = format!("`{}` is {wanted}", attribute.name);
        ScimError::new(Kind::InvalidValue, detail)
    };
    match (attribute.kind, value) {
        (_, Value::Null) => Ok(None),
        (Type::Boolean, Value::Bool(_)) => Ok(Some(value.clone())),
        // Microsoft Entra writes booleans as text.
        (Type::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true.into())),
        (Type::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false.into())),
        (Type::Boolean, _) => Err(wrong("`true` or `false`")),
        (Type::Text | Type::Reference(_) | Type::DateTime, Value::String(text)) => {
            if text.len() > LONGEST || text.chars().any(char::is_control) {
                return Err(wrong("text of at most 1024 bytes without control characters"));
            }
            Ok((!text.is_empty()).then(|| value.clone()))
        }
        (Type::Text | Type::Reference(_) | Type::DateTime, _) => Err(wrong("text")),
        (Type::Complex(subs), Value::Object(object)) => {
            let mut read = Object::new();
            for (name, value) in object {
                let Some(sub) = find(subs, name).filter(|sub| sub.mutability != Mutability::ReadOnly) else {
                    continue;
                };
                if let Some(value) = single(sub, value)? {
                    read.insert(sub.name.to_owned(), value);
                }
            }
            Ok((!read.is_empty()).then_some(Value::Object(read)))
        }
        (Type::Complex(_), Value::String(text)) => {
            Err(wrong(&format!("an object such as `{{\"value\": \"{}\"}}`", shown(text))))
        }
        (Type::Complex(_), _) => Err(wrong("an object")),
    }
}

fn one_primary(resource: &Object) -> Result<(), ScimError> {
    let several = resource.iter().find(|(_, value)| {
        let values = value.as_array().map(Vec::as_slice).unwrap_or_default();
        values.iter().filter(|value| is_primary(value)).count() > 1
    });
    match several {
        None => Ok(()),
        Some((name, _)) => {
            Err(ScimError::new(Kind::InvalidValue, format!("`{name}` has more than one primary value")))
        }
    }
}

pub(crate) fn is_primary(value: &Value) -> bool {
    value.get("primary").and_then(Value::as_bool) == Some(true)
}
