//! Lists: which part of what was found, and which attributes of it.

use crate::Object;
use crate::error::{Kind, ScimError};
use crate::schema::Schema;
use serde_json::{Value, json};

/// Most resources of one answer.
pub const MOST: usize = 200;
const DEFAULT: usize = 100;
/// The longest list of attribute names.
const LONGEST: usize = 4096;

/// What a list request asks, from its query or its `.search` body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// `filter`.
    pub filter: Option<String>,
    /// `startIndex`.
    pub start_index: Option<i64>,
    /// `count`.
    pub count: Option<i64>,
    /// `attributes`.
    pub attributes: Option<String>,
    /// `excludedAttributes`.
    pub excluded: Option<String>,
}

/// Which part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// 1 for the first.
    start: usize,
    count: usize,
}

/// Which of those that are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many come before.
    pub skip: usize,
    /// How many it has at most.
    pub most: usize,
}

/// What is found, as it comes: how many, and those of a window.
#[derive(Debug)]
pub struct Part {
    window: Window,
    /// How many came.
    pub total: usize,
    /// Those of the window.
    pub resources: Vec<Object>,
}

impl Part {
    /// Nothing yet.
    pub fn of(window: Window) -> Self {
        Self { window, total: 0, resources: Vec::new() }
    }

    /// One more.
    pub fn add(&mut self, found: Object) {
        if self.total >= self.window.skip && self.resources.len() < self.window.most {
            self.resources.push(found);
        }
        self.total = self.total.saturating_add(1);
    }
}

impl Window {
    /// What is left of it for what comes behind `total` others, of which it has taken `taken`.
    #[must_use]
    pub fn behind(self, total: usize, taken: usize) -> Self {
        Self { skip: self.skip.saturating_sub(total), most: self.most.saturating_sub(taken) }
    }
}

/// Which attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Projection {
    only: Option<Vec<String>>,
    without: Vec<String>,
}

impl Query {
    /// Reads name and value pairs; what is not known is ignored, as the protocol asks.
    pub fn of_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, ScimError> {
        let mut query = Self::default();
        for (name, value) in pairs {
            let number = || {
                value.trim().parse::<i64>().map(Some).map_err(|_| {
                    ScimError::new(Kind::InvalidValue, "`startIndex` and `count` are whole numbers")
                })
            };
            match name.to_ascii_lowercase().as_str() {
                "filter" => query.filter = Some(value.to_owned()).filter(|text| !text.trim().is_empty()),
                "startindex" => query.start_index = number()?,
                "count" => query.count = number()?,
                "attributes" => query.attributes = Some(value.to_owned()),
                "excludedattributes" => query.excluded = Some(value.to_owned()),
                _ => {}
            }
        }
        Ok(query)
    }

    /// Reads the body of a `.search`.
    pub fn of_body(body: &Value) -> Result<Self, ScimError> {
        let Value::Object(body) = body else {
            return Err(ScimError::new(Kind::InvalidSyntax, "a search is a JSON object"));
        };
        let pairs: Vec<(String, String)> = body
            .iter()
            .filter_map(|(name, value)| {
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Array(names) => {
                        names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
                    }
                    Value::Number(number) => number.to_string(),
                    _ => return None,
                };
                Some((name.clone(), text))
            })
            .collect();
        Self::of_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// Which part.
    pub fn page(&self) -> Page {
        let least = |number: i64, least: usize| usize::try_from(number).unwrap_or(least).max(least);
        Page {
            start: self.start_index.map_or(1, |start| least(start, 1)),
            count: self.count.map_or(DEFAULT, |count| least(count, 0)).min(MOST),
        }
    }

    /// Which attributes.
    pub fn projection(&self) -> Result<Projection, ScimError> {
        let names = |text: &Option<String>| -> Result<Vec<String>, ScimError> {
            let text = text.as_deref().unwrap_or_default();
            if text.len() > LONGEST {
                return Err(ScimError::new(Kind::InvalidValue, "the list of attributes is too long"));
            }
            let plain = |name: &str| {
                let name = name.trim();
                let name = name.rsplit_once(':').map_or(name, |(_, name)| name);
                name.to_ascii_lowercase()
            };
            Ok(text.split(',').map(plain).filter(|name| !name.is_empty()).collect())
        };
        let only = names(&self.attributes)?;
        Ok(Projection { only: (!only.is_empty()).then_some(only), without: names(&self.excluded)? })
    }
}

impl Page {
    /// Which of those that are found it has.
    pub fn window(self) -> Window {
        Window { skip: self.start.saturating_sub(1), most: self.count }
    }

    /// As an answer.
    pub fn answer(self, total: usize, resources: &[Value]) -> Value {
        json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": total,
            "startIndex": self.start,
            "itemsPerPage": resources.len(),
            "Resources": resources,
        })
    }
}

impl Projection {
    /// Leaves what was asked for, and what every answer has.
    pub fn apply(&self, schema: &Schema, resource: Object) -> Object {
        let always = |name: &str| matches!(name, "id" | "schemas");
        let mut kept = Object::new();
        for (name, value) in resource {
            let lower = name.to_ascii_lowercase();
            if always(&name) {
                kept.insert(name, value);
                continue;
            }
            let subs = |names: &[String]| -> Vec<String> {
                let prefix = format!("{lower}.");
                names.iter().filter_map(|name| name.strip_prefix(&prefix).map(str::to_owned)).collect()
            };
            let value = match &self.only {
                Some(only) if !only.contains(&lower) => match subs(only) {
                    subs if subs.is_empty() => continue,
                    subs => parts(value, &|name| subs.iter().any(|sub| sub.eq_ignore_ascii_case(name))),
                },
                Some(_) => value,
                None if self.without.contains(&lower) => continue,
                None => match subs(&self.without) {
                    subs if subs.is_empty() => value,
                    subs => parts(value, &|name| !subs.iter().any(|sub| sub.eq_ignore_ascii_case(name))),
                },
            };
            if schema.find(&name).is_some() {
                kept.insert(name, value);
            }
        }
        kept
    }
}

fn parts(value: Value, wanted: &dyn Fn(&str) -> bool) -> Value {
    match value {
        Value::Array(values) => Value::Array(values.into_iter().map(|value| parts(value, wanted)).collect()),
        Value::Object(object) => Value::Object(object.into_iter().filter(|(name, _)| wanted(name)).collect()),
        other => other,
    }
}
