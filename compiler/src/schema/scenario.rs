//! `kind: test`, as editors know it.

#![expect(dead_code, reason = "the fields exist for the derived schemas only")]

use super::scalar::{Email, Null, OneOrMany, Scalar, Text};
use crate::syntax::mask;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::collections::BTreeMap;

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum TestKind {
    Test,
}

/// Expectations about who sees what.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "daam test")]
pub(super) struct TestDocument {
    kind: TestKind,
    database: Text,
    description: Option<Text>,
    cases: Vec<Case>,
}

#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend(
        "allOf" = [
            { "anyOf": [{ "required": ["as"] }, { "required": ["who_can"] }] },
            { "anyOf": [{ "required": ["expect"] }, { "required": ["who_can"] }, { "required": ["sql"] }] }
        ],
        "dependentRequired" = { "sql": ["returns"] }
    )
)]
struct Case {
    name: Text,
    /// Who asks: `email`, `groups`, and declared attributes.
    r#as: Option<Subject>,
    /// Requestable policies that are active.
    requests: Option<Vec<Text>>,
    /// By relation, `schema.table`.
    expect: Option<BTreeMap<String, Expectation>>,
    who_can: Option<WhoCan>,
    /// A statement on real rows; needs a server.
    sql: Option<Text>,
    returns: Option<Vec<Vec<Cell>>>,
}

#[derive(JsonSchema)]
struct Subject {
    email: Option<Email>,
    groups: Option<Vec<Text>>,
    #[schemars(flatten)]
    attributes: BTreeMap<String, Scalar>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Cell {
    Value(Scalar),
    Null(Null),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Expectation {
    select: Option<Access>,
    insert: Option<Access>,
    update: Option<Access>,
    delete: Option<Access>,
    truncate: Option<Access>,
    /// The filter, with the subject's values; `false` for no row, `true` for all.
    rows: Option<Text>,
    /// By column; `*` is every column that is not named.
    columns: Option<BTreeMap<String, Sight>>,
    /// Exactly the policies that decide.
    reason: Option<OneOrMany>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Access {
    Allow,
    Deny,
    Request,
}

/// `clear`, `deny` or `mask:<preset>`.
struct Sight(String);

impl JsonSchema for Sight {
    fn schema_name() -> Cow<'static, str> {
        "Sight".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let masked = mask::names().map(|name| format!("mask:{name}"));
        let all: Vec<String> = ["clear", "deny"].map(str::to_owned).into_iter().chain(masked).collect();
        json_schema!({
            "description": "`clear`, `deny` or `mask:<preset>`.",
            "type": "string",
            "enum": all,
        })
    }
}

#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [
        { "required": ["select"] },
        { "required": ["insert"] },
        { "required": ["update"] },
        { "required": ["delete"] },
        { "required": ["truncate"] }
    ])
)]
struct WhoCan {
    /// A relation or a column.
    select: Option<Text>,
    insert: Option<Text>,
    update: Option<Text>,
    delete: Option<Text>,
    truncate: Option<Text>,
    unmasked: Option<bool>,
    /// `group:…`, `user:…` or `everyone`.
    exactly: Vec<Text>,
}
