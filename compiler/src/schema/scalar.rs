//! Single values of documents, as editors know them.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// A text that says something.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct Text(#[schemars(regex(pattern = r"\S"))] String);

/// An e-mail address.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct Email(#[schemars(regex(pattern = r"^[^@\s]+@[^@\s]+$"))] String);

/// A number with a unit, e.g. `30s`, `15m`, `8h`, `1h30m`.
#[derive(JsonSchema)]
pub(super) struct Duration(
    #[schemars(length(min = 2), regex(pattern = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"))]
    String,
);

/// Either one value or a list of them.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum OneOrMany {
    One(Text),
    Many(Vec<Text>),
}

/// A single value of any kind.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Scalar {
    Text(String),
    Number(f64),
    Boolean(bool),
}

/// A null that is meant, unlike that of a key that may be left out.
pub(super) struct Null;

impl JsonSchema for Null {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Null".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "const": null })
    }
}
