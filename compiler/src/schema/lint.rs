//! `lint:` and `waivers:` of `daam.yaml`, as editors see them.

use super::scalar::Text;
use schemars::JsonSchema;
use std::collections::BTreeMap;

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Lint {
    /// Codes or names of rules.
    levels: Option<BTreeMap<String, Level>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum Level {
    Off,
    Info,
    Warning,
    Error,
}

/// Names a column or relation with `on`, a policy with `policy`, or both.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("anyOf" = [{ "required": ["on"] }, { "required": ["policy"] }]))]
pub(super) struct Waiver {
    /// Code or name of the rule.
    rule: Text,
    /// `schema.table.column` or `schema.table`.
    #[schemars(regex(pattern = r"^[^*]+$"))]
    on: Option<String>,
    policy: Option<Text>,
    /// Needed when the project has several.
    database: Option<Text>,
    /// Who answers for it.
    owner: Text,
    reason: Text,
    /// The last day it holds.
    #[schemars(regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    until: String,
}
