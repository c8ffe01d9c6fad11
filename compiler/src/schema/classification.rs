//! `classification` of a database, as editors know it.

#![expect(dead_code, reason = "the fields exist for the derived schemas only")]

use super::scalar::{OneOrMany, Text};
use schemars::JsonSchema;

/// What some columns hold.
#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend(
        "if" = { "properties": { "is": { "const": "none" } }, "required": ["is"] },
        "then" = { "required": ["reason"] }
    )
)]
pub(super) struct Classification {
    /// Columns, `schema.table.column` with `*` inside a segment.
    on: OneOrMany,
    is: ClassOfColumn,
    /// Needed where it is `none`.
    reason: Option<Text>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum ClassOfColumn {
    None,
    Email,
    Phone,
    PersonName,
    NationalId,
    Passport,
    BirthDate,
    Address,
    Geo,
    Ip,
    PaymentCard,
    Bank,
    Salary,
    Health,
    Trait,
    Secret,
    Note,
    Personal,
}
