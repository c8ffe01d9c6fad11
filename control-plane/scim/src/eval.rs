//! Whether a resource is one a filter finds.

use crate::Object;
use crate::filter::{Comparison, Filter, Place};
use crate::schema::{Attribute, Type};
use serde_json::Value;

/// Whether a canonical resource fits.
pub fn matches(filter: &Filter, resource: &Object) -> bool {
    match filter {
        Filter::Or(left, right) => matches(left, resource) || matches(right, resource),
        Filter::And(left, right) => matches(left, resource) && matches(right, resource),
        Filter::Not(inner) => !matches(inner, resource),
        Filter::Present(place) => values(*place, resource).into_iter().any(is_present),
        Filter::Compare(place, how, wanted) => {
            let values = values(*place, resource);
            let present = values.iter().any(|value| is_present(value));
            match (how, wanted) {
                (Comparison::Equal, Value::Null) => !present,
                (Comparison::NotEqual, Value::Null) => present,
                // What has no value is not equal to any.
                (Comparison::NotEqual, _) if !present => true,
                _ => values.into_iter().any(|value| compares(compared_by(*place), value, *how, wanted)),
            }
        }
        Filter::Some(attribute, inner) => elements(resource.get(attribute.name))
            .into_iter()
            .any(|element| element.as_object().is_some_and(|element| matches_element(inner, element))),
    }
}

/// Whether one value of a multi-valued attribute fits; places in the filter are its sub-attributes.
pub(crate) fn matches_element(filter: &Filter, element: &Object) -> bool {
    match filter {
        Filter::Or(left, right) => matches_element(left, element) || matches_element(right, element),
        Filter::And(left, right) => matches_element(left, element) && matches_element(right, element),
        Filter::Not(inner) => !matches_element(inner, element),
        Filter::Present(place) => sub(*place, element).is_some_and(is_present),
        Filter::Compare(place, how, wanted) => match (sub(*place, element), how, wanted) {
            (None, Comparison::Equal, Value::Null) | (None, Comparison::NotEqual, _) => true,
            (None, ..) => false,
            (Some(value), how, wanted) => compares(compared_by(*place), value, *how, wanted),
        },
        Filter::Some(..) => false,
    }
}

fn sub(place: Place, element: &Object) -> Option<&Value> {
    element.get(place.sub?.name)
}

/// A complex attribute with several values is compared by their `value`.
fn values(place: Place, resource: &Object) -> Vec<&Value> {
    let found = elements(resource.get(place.attribute.name));
    let name = match place.sub {
        Some(sub) => sub.name,
        None if place.attribute.multi && !place.attribute.subs().is_empty() => "value",
        None => return found,
    };
    found.into_iter().filter_map(|value| value.get(name)).collect()
}

fn compared_by(place: Place) -> &'static Attribute {
    place.sub.unwrap_or_else(|| {
        let value = place.attribute.subs().iter().find(|sub| sub.name == "value");
        value.unwrap_or(place.attribute)
    })
}

fn elements(value: Option<&Value>) -> Vec<&Value> {
    match value {
        None => Vec::new(),
        Some(Value::Array(elements)) => elements.iter().collect(),
        Some(value) => vec![value],
    }
}

fn is_present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => !elements.is_empty(),
        Value::Object(object) => !object.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn compares(attribute: &Attribute, value: &Value, how: Comparison, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Bool(value), Value::Bool(wanted)) => equality(how, value == wanted),
        // Sent as text by some.
        (Value::Bool(value), Value::String(wanted)) => {
            equality(how, value.to_string() == wanted.to_ascii_lowercase())
        }
        (Value::String(value), Value::String(wanted)) => {
            if attribute.case_exact || matches!(attribute.kind, Type::DateTime) {
                texts(value, how, wanted)
            } else {
                texts(&value.to_lowercase(), how, &wanted.to_lowercase())
            }
        }
        _ => how == Comparison::NotEqual,
    }
}

fn equality(how: Comparison, equal: bool) -> bool {
    match how {
        Comparison::Equal => equal,
        Comparison::NotEqual => !equal,
        _ => false,
    }
}

fn texts(value: &str, how: Comparison, wanted: &str) -> bool {
    match how {
        Comparison::Equal => value == wanted,
        Comparison::NotEqual => value != wanted,
        Comparison::Contains => value.contains(wanted),
        Comparison::StartsWith => value.starts_with(wanted),
        Comparison::EndsWith => value.ends_with(wanted),
        Comparison::Greater => value > wanted,
        Comparison::GreaterOrEqual => value >= wanted,
        Comparison::Less => value < wanted,
        Comparison::LessOrEqual => value <= wanted,
    }
}
