//! `daam.yaml`: databases, attributes, levels and waivers.

use super::classification::{self, WrittenClassification};
use super::decode::{Decoder, Spanned, list};
use super::lint::{self, WrittenLint, WrittenWaiver};
use super::node::{Entry, Node};
use crate::rule;
use daam_diagnostic::{Location, suggest};
use daam_model::AttributeType;
use daam_sql::typing::AttributeKind;
use std::collections::BTreeMap;
use std::time::Duration;

/// A project.
#[derive(Debug, Default)]
pub(crate) struct WrittenProject {
    pub(crate) attributes: BTreeMap<String, AttributeType>,
    pub(crate) databases: BTreeMap<String, WrittenDatabase>,
    pub(crate) lint: WrittenLint,
    pub(crate) waivers: Vec<WrittenWaiver>,
}

/// One database of it.
#[derive(Debug)]
pub(crate) struct WrittenDatabase {
    pub(crate) name: Spanned<String>,
    pub(crate) lock: Option<Spanned<String>>,
    /// How old the lock may be.
    pub(crate) lock_max_age: Option<Spanned<Duration>>,
    pub(crate) scope: Option<Spanned<String>>,
    pub(crate) policies: Vec<Spanned<String>>,
    pub(crate) tests: Vec<Spanned<String>>,
    pub(crate) classification: Vec<WrittenClassification>,
    /// Where it says that every readable column has to be classified.
    pub(crate) strict_classification: Option<Location>,
    /// Writes have to be asked for.
    pub(crate) protected: bool,
}

const TYPES: [(&str, AttributeType); 4] = [
    ("text", AttributeType::Text),
    ("uuid", AttributeType::Uuid),
    ("integer", AttributeType::Integer),
    ("boolean", AttributeType::Boolean),
];

const DATABASE_KEYS: &[&str] = &[
    "lock",
    "lock_max_age",
    "scope",
    "policies",
    "tests",
    "classification",
    "strict_classification",
    "protected",
];

/// Attributes every subject has, with what a filter sees of them; they cannot be declared again.
pub(crate) const BUILT_IN: [(&str, AttributeKind); 3] =
    [("email", AttributeKind::Text), ("groups", AttributeKind::TextList), ("id", AttributeKind::Text)];

/// The names of [`BUILT_IN`].
pub(crate) fn built_in<'a>() -> impl Iterator<Item = &'a str> {
    BUILT_IN.into_iter().map(|(name, _)| name)
}

pub(crate) fn read(decoder: &mut Decoder<'_>, node: &Node) -> WrittenProject {
    let mut project = WrittenProject::default();
    let keys = ["kind", "attributes", "databases", "lint", "waivers"];
    let Some(fields) = decoder.mapping(node, "a project", &keys) else { return project };
    project.lint = fields.get("lint").map(|node| lint::lint(decoder, node)).unwrap_or_default();
    project.waivers = fields.get("waivers").map(|node| lint::waivers(decoder, node)).unwrap_or_default();
    if let Some(node) = fields.get("attributes") {
        for entry in decoder.entries(node, "`attributes`").unwrap_or_default() {
            if let Some(kind) = attribute(decoder, entry) {
                project.attributes.insert(entry.key.clone(), kind);
            }
        }
    }
    if let Some(node) = decoder.required(&fields, "a project", "databases") {
        for entry in decoder.entries(node, "`databases`").unwrap_or_default() {
            if let Some(database) = database(decoder, entry) {
                project.databases.insert(entry.key.clone(), database);
            }
        }
    }
    project
}

fn attribute(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<AttributeType> {
    let at = decoder.at(entry.key_span);
    let name_ok = entry.key.starts_with(|c: char| c.is_ascii_lowercase())
        && entry.key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !name_ok || built_in().any(|name| name == entry.key) {
        let message = format!("`{}` cannot be the name of an attribute", entry.key);
        decoder.sink.push(
            rule::WRONG_NODE_TYPE
                .at(at, message)
                .help("use lower-case letters, digits and `_`; `id`, `email` and `groups` are built in"),
        );
        return None;
    }
    let text = decoder.text(&entry.value, "the type of an attribute")?;
    let known = TYPES.map(|(name, _)| name);
    let found = TYPES.iter().find(|(name, _)| *name == text.value).map(|(_, kind)| *kind);
    if found.is_none() {
        decoder.sink.push(
            rule::WRONG_NODE_TYPE
                .at(text.at, format!("`{}` is not a type of an attribute", text.value))
                .help(format!("the types are {}", list(&known)))
                .maybe_help(suggest::did_you_mean(&text.value, known)),
        );
    }
    found
}

fn database(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<WrittenDatabase> {
    let name = Spanned { value: entry.key.clone(), at: decoder.at(entry.key_span) };
    let fields = decoder.mapping(&entry.value, "a database", DATABASE_KEYS)?;
    let mut path = |key: &str, what: &str| fields.get(key).and_then(|node| decoder.text(node, what));
    let lock = path("lock", "the directory of the schema lock");
    let scope = path("scope", "the path of the scope file");
    if fields.get("lock").is_none() {
        decoder.missing(&fields, "a database", "lock");
    }
    let policies = decoder.required(&fields, "a database", "policies");
    let policies = policies.map(|node| decoder.one_or_many(node, "`policies`")).unwrap_or_default();
    let tests = fields.get("tests");
    let tests = tests.map(|node| decoder.one_or_many(node, "`tests`")).unwrap_or_default();
    let classification =
        fields.get("classification").map(|node| classification::read(decoder, node)).unwrap_or_default();
    let strict = fields.get("strict_classification");
    let strict_classification = strict.and_then(|node| {
        let strict = decoder.boolean(node, "`strict_classification`")?;
        strict.then(|| decoder.at(node.span))
    });
    let protected = fields.get("protected").and_then(|node| decoder.boolean(node, "`protected`"));
    let protected = protected.unwrap_or(false);
    let lock_max_age =
        fields.get("lock_max_age").and_then(|node| decoder.duration(node, "the age a schema lock may reach"));
    Some(WrittenDatabase {
        name,
        lock,
        lock_max_age,
        scope,
        policies,
        tests,
        classification,
        strict_classification,
        protected,
    })
}
