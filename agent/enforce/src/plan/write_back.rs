//! Masked values are not written back.
//!
//! A program that reads a row, changes one field and saves them all would replace `jane@example.com` by
//! `j***@e***.com`. The write views refuse that themselves, in the condition their CHECK OPTION holds new rows to, so
//! literals, parameters, INSERT … SELECT, COPY and MERGE are all the same to it, and no text has to be understood.
//!
//! *Refused*: a value that equals what the mask shows of the value stored under the same key, and is not the stored
//! value itself; and, in any row, a value that can only be a mask (`***`, `j***@e***.com`), unless it is stored there
//! already. *Not refused*: a value that happens to be its own mask (a first of January, NULL over NULL); a row whose
//! stored value looks masked can be updated in its other columns. Where a mask shows NULL, NULL cannot be written over
//! a value: nobody can tell clearing from saving back, and only one of the two can be undone.
//!
//! *Not noticed*: a masked value without a shape of its own (a hash, a truncated date) in a new row, where it destroys
//! nothing, or in a table without a key.
//!
//! The condition is part of the view's WHERE, where it must hold for every stored row, and does: the subqueries find
//! the row itself. For a new row they find the old one, because a statement does not see its own effects.

use super::table::{ALIAS, ProtectedColumn, ProtectedTable, ViewKind};
use crate::mask::{self, shape};
use crate::rewrite::Refusal;
use crate::rewrite::refuse::denied;
use daam_catalog::{Identifier, Relation, RelationName, TypeClass};
use daam_model::{Mask, Verb};
use daam_sql::quote;
use std::collections::BTreeSet;

/// The function that refuses, in `pg_temp`.
pub(crate) const FUNCTION: &str = "daam:written";
/// The stored row in a check.
const STORED: &str = "daam_stored";
/// What its mask shows.
const SHOWN: &str = "daam_shown.value";

/// The statements that make the function. Everyone who calls it gets an error and nothing else.
pub(super) fn function() -> [String; 3] {
    let name = format!("pg_temp.{}", quote::identifier(FUNCTION));
    let signature = format!("{name}(pg_catalog.text[])");
    let body = "BEGIN RAISE EXCEPTION USING ERRCODE = told[1], TABLE = told[2], COLUMN = told[3], MESSAGE = told[4], \
                DETAIL = told[5], HINT = told[6]; END";
    [
        format!(
            "CREATE OR REPLACE FUNCTION {name}(told pg_catalog.text[]) RETURNS pg_catalog.bool LANGUAGE plpgsql \
             VOLATILE SET search_path = pg_catalog, pg_temp AS {}",
            quote::dollar(body)
        ),
        format!("REVOKE ALL ON FUNCTION {signature} FROM PUBLIC"),
        format!("GRANT EXECUTE ON FUNCTION {signature} TO SESSION_USER"),
    ]
}

/// What is said when a masked value is written to a column.
pub(crate) fn refusal(table: &RelationName, column: &str, mask: &Mask) -> Refusal {
    let message = format!(
        "the value for column `{column}` of `{table}` is a masked one: writing it would replace the real one"
    );
    let hint = format!("leave `{column}` out of what you write, or write a real value");
    let detail = format!("you see `{column}` masked (`{}`)", mask.preset());
    Refusal { detail: Some(detail), ..denied(message, Some(&hint)) }
}

/// A call of the function.
fn refuse(table: &RelationName, column: &str, mask: &Mask) -> String {
    let told = refusal(table, column, mask);
    let detail = told.detail.unwrap_or_default();
    let hint = told.hint.unwrap_or_default();
    let relation = table.to_string();
    let parts = [told.sqlstate, &relation, column, &told.message, &detail, &hint].map(quote::literal);
    format!("pg_temp.{}(ARRAY[{}]::pg_catalog.text[])", quote::identifier(FUNCTION), parts.join(", "))
}

/// The columns by which a stored row is found again: the primary key, or another unique set without NULLs, of types
/// whose equality is PostgreSQL's own.
pub(super) fn key(relation: &Relation) -> Vec<Identifier> {
    let comparable = |name: &Identifier| {
        let column = relation.columns.iter().find(|column| &column.name == name);
        column.is_some_and(|column| {
            let primary = relation.primary_key.contains(name);
            (primary || column.not_null) && is_comparable(column.data_type.class, &column.data_type.sql)
        })
    };
    std::iter::once(&relation.primary_key)
        .chain(&relation.unique)
        .find(|columns| !columns.is_empty() && columns.iter().all(comparable))
        .cloned()
        .unwrap_or_default()
}

fn is_comparable(class: TypeClass, sql: &str) -> bool {
    match class {
        TypeClass::Text => !sql.ends_with("citext"),
        TypeClass::Array | TypeClass::Domain | TypeClass::Other | TypeClass::Json | TypeClass::Jsonb => false,
        _ => true,
    }
}

/// What the new rows of a view must fulfil, one condition for each masked column that can be written through it.
pub(super) fn checks(table: &ProtectedTable, kind: ViewKind, verbs: &[Verb]) -> Vec<String> {
    if kind == ViewKind::Delete {
        return Vec::new();
    }
    let granted = |verb: &Verb| table.verbs.get(verb).into_iter().flatten();
    let written: BTreeSet<&Identifier> =
        verbs.iter().filter(|verb| **verb != Verb::Delete).flat_map(granted).collect();
    let replaces = verbs.contains(&Verb::Update);
    let seen = |column: &&ProtectedColumn| table.reads(&column.name) && written.contains(&column.name);
    table.columns.iter().filter(seen).filter_map(|column| check(table, column, replaces)).collect()
}

fn check(table: &ProtectedTable, column: &ProtectedColumn, replaces: bool) -> Option<String> {
    let mask = column.mask()?;
    let value = format!("{ALIAS}.{}", column.name.quoted());
    let refuse = refuse(&table.name, column.name.as_str(), mask);
    let mut branches = Vec::new();
    if replaces && !table.key.is_empty() {
        branches.push(format!("WHEN {} THEN {refuse}", written_back(table, column, mask, &value)));
    }
    if let Some(certain) = shape::certain(mask, &column.data_type, &value) {
        let stored = format!("{STORED}.{}", column.name.quoted());
        let same = format!("{stored}::pg_catalog.text = {value}::pg_catalog.text");
        branches.push(format!("WHEN {certain} AND NOT {} THEN {refuse}", exists(table, "", &same)));
    }
    if branches.is_empty() {
        return None;
    }
    let image = shape::image(mask, &column.data_type, &value);
    // CASE, because its order is kept: the first branch is the one nearly every row takes.
    Some(format!("CASE WHEN ({image}) IS NOT TRUE THEN true {} ELSE true END", branches.join(" ")))
}

/// The value stored under the same key is another one, and its mask shows the new value.
fn written_back(table: &ProtectedTable, column: &ProtectedColumn, mask: &Mask, value: &str) -> String {
    let stored = format!("{STORED}.{}", column.name.quoted());
    let shown = mask::expression(mask, &column.data_type, &stored);
    let (all, condition) = if let Mask::Json(json) = mask {
        let document = |it: &str| shape::document(it, &column.data_type);
        // A document that cannot be masked in parts is hidden whole.
        let hidden = format!("({value} IS NULL AND daam_parts.shown IS NULL AND {stored} IS NOT NULL)");
        let parts = shape::parts(json).into_iter().map(|path| same(&|it| shape::part(it, &path)));
        let parts: Vec<String> = parts.chain(std::iter::once(hidden)).collect();
        ([document(&stored), document(value), document(SHOWN)], format!("({})", parts.join(" OR ")))
    } else {
        let text = |it: &str| format!("({it})::pg_catalog.text");
        ([text(&stored), text(value), text(SHOWN)], same(&str::to_owned))
    };
    let [old, new, again] = all;
    // OFFSET keeps the planner from writing the mask out wherever its result is used.
    let masked = format!("CROSS JOIN LATERAL (SELECT {shown} AS value OFFSET 0) AS daam_shown");
    let parts = format!(
        "{masked} CROSS JOIN LATERAL (SELECT {old} AS old, {new} AS new, {again} AS shown OFFSET 0) AS daam_parts"
    );
    exists(table, &parts, &condition)
}

/// A part that is not what was stored, but what was shown of it.
fn same(part: &dyn Fn(&str) -> String) -> String {
    let (old, new, shown) = (part("daam_parts.old"), part("daam_parts.new"), part("daam_parts.shown"));
    format!("({old} IS DISTINCT FROM {new} AND {new} IS NOT DISTINCT FROM {shown})")
}

/// Whether a stored row fulfils a condition: the row of that key, or any where there is no key.
fn exists(table: &ProtectedTable, joined: &str, condition: &str) -> String {
    let keys = table.key.iter().map(|name| {
        let name = name.quoted();
        format!("{STORED}.{name} = {ALIAS}.{name} AND ")
    });
    let keys: String = keys.collect();
    format!("EXISTS (SELECT FROM {} AS {STORED} {joined} WHERE {keys}{condition})", table.name.quoted())
}
