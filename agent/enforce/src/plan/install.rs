//! The two functions a session calls, and the table that holds the hash key.
//!
//! The functions belong to the view owner and run with its rights. Their bodies hold the view definitions as text,
//! so that no object depends on a table while its views are released. Calling them by hand gives the same views
//! and nothing else: the only input is compared with fixed names.

use super::hex;
use super::table::{ProtectedTable, ViewKind};
use super::{HashKey, copy_in, uses_key, views, write_back};
use crate::mask::KEY_TABLE;
use daam_catalog::{RelationKind, RelationName};
use daam_sql::quote;
use std::collections::BTreeMap;
use std::fmt::Write as _;

pub(crate) const ACTIVATE: &str = "daam:activate";
pub(crate) const RELEASE: &str = "daam:release";

/// Settings under which definitions are read: names resolve in `pg_catalog` first, and literals and `= NULL` mean the
/// same whatever the session has set, which is what the compiler took them for.
const SETTINGS: &str = "SECURITY DEFINER SET search_path = pg_catalog, pg_temp \
    SET standard_conforming_strings = on SET transform_null_equals = off SET \"TimeZone\" = 'UTC' \
    SET \"DateStyle\" = 'ISO, MDY' SET \"IntervalStyle\" = 'postgres' SET client_min_messages = warning \
    SET array_nulls = on SET timezone_abbreviations = 'Default' SET xmloption = content SET lc_monetary = 'C'";

/// What the session runs as the view owner.
pub(crate) fn statements(tables: &BTreeMap<RelationName, ProtectedTable>, key: &HashKey) -> Vec<String> {
    let mut statements = Vec::new();
    if tables.values().any(uses_key) {
        statements.extend(key_table(key));
    }
    statements.extend(write_back::function());
    statements.push(function(ACTIVATE, &activate_body(tables)));
    statements.push(function(RELEASE, &release_body(tables)));
    for name in [ACTIVATE, RELEASE] {
        let signature = format!("pg_temp.{}(pg_catalog.text[])", quote::identifier(name));
        statements.push(format!("REVOKE ALL ON FUNCTION {signature} FROM PUBLIC"));
        statements.push(format!("GRANT EXECUTE ON FUNCTION {signature} TO SESSION_USER"));
    }
    statements
}

/// The key's two padded forms, as HMAC wants them. Views of an earlier installation depend on the table and go
/// with it; they come back with the next activation.
fn key_table(key: &HashKey) -> [String; 3] {
    let padded = |pad: u8| {
        let bytes = key.0.iter().copied().chain(std::iter::repeat(0)).take(64).map(|byte| byte ^ pad);
        hex::after("", bytes)
    };
    [
        format!("DROP TABLE IF EXISTS {KEY_TABLE} CASCADE"),
        format!("CREATE TABLE {KEY_TABLE} (inner_key pg_catalog.bytea, outer_key pg_catalog.bytea)"),
        format!(
            "INSERT INTO {KEY_TABLE} VALUES (pg_catalog.decode('{}', 'hex'), pg_catalog.decode('{}', 'hex'))",
            padded(0x36),
            padded(0x5c)
        ),
    ]
}

fn function(name: &str, body: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION pg_temp.{}(tables pg_catalog.text[]) RETURNS pg_catalog.void \
         LANGUAGE plpgsql {SETTINGS} AS {}",
        quote::identifier(name),
        quote::dollar(body)
    )
}

/// A loop over the argument with a branch for every known table.
fn body(branches: &str) -> String {
    format!(
        "DECLARE daam_table pg_catalog.text; daam_column pg_catalog.text; daam_default pg_catalog.text;\nBEGIN\n  FOREACH daam_table IN ARRAY tables LOOP\n    CASE daam_table\n\
         {branches}    ELSE NULL;\n    END CASE;\n  END LOOP;\nEND"
    )
}

fn activate_body(tables: &BTreeMap<RelationName, ProtectedTable>) -> String {
    let mut branches = String::new();
    for (name, table) in tables {
        let _ = writeln!(branches, "    WHEN {} THEN", quote::literal(&name.quoted()));
        for (kind, statements) in views::definitions(table) {
            let view = quote::literal(&views::qualified(kind, name));
            let _ = writeln!(branches, "      IF pg_catalog.to_regclass({view}) IS NULL THEN BEGIN");
            for statement in statements {
                let _ = writeln!(branches, "        EXECUTE {};", quote::literal(&statement));
            }
            branches.push_str(&unchanged(table));
            // A view of the customer's may not be updatable; then it can be read and not written.
            let handler = if table.kind == RelationKind::View && kind != ViewKind::Read {
                " EXCEPTION WHEN feature_not_supported OR object_not_in_prerequisite_state THEN NULL;"
            } else {
                ""
            };
            let _ = writeln!(branches, "     {handler} END; END IF;");
        }
        branches.push_str("      NULL;\n");
        if copy_in::is_possible(table) {
            branches.push_str(&copy_branch(name, table));
        }
    }
    body(&branches)
}

/// Fails unless every name still stands for the column it stood for when the plan was made: a view is written by names,
/// and shows another column unmasked where two have changed places. The new view keeps them as they are meanwhile.
/// Identities are read as they are now, whatever the snapshot of the transaction is.
fn unchanged(table: &ProtectedTable) -> String {
    let mut checks = String::new();
    for (name, object) in table.objects.iter().filter(|(_, object)| !object.columns.is_empty()) {
        let columns: Vec<String> = object
            .columns
            .iter()
            .map(|(number, column)| format!("({number}, {})", quote::literal(column)))
            .collect();
        let _ = writeln!(
            checks,
            "        IF EXISTS (SELECT FROM (VALUES {}) AS known(number, name) WHERE \
             (pg_catalog.pg_identify_object_as_address(1259::pg_catalog.oid, {}::pg_catalog.oid, known.number))\
             .object_names IS DISTINCT FROM ARRAY[{}, {}, known.name::pg_catalog.text]) THEN \
             RAISE undefined_column USING MESSAGE = 'columns have changed their names'; END IF;",
            columns.join(", "),
            object.oid,
            quote::literal(name.schema.as_str()),
            quote::literal(name.name.as_str()),
        );
    }
    checks
}

/// What `COPY … FROM` goes through, under a key of its own.
fn copy_branch(name: &RelationName, table: &ProtectedTable) -> String {
    let mut branch = format!("    WHEN {} THEN\n", quote::literal(&copy_in::key(name)));
    let view = quote::literal(&views::qualified(ViewKind::Copy, name));
    let _ = writeln!(branch, "      IF pg_catalog.to_regclass({view}) IS NULL THEN");
    for statement in copy_in::definitions(table) {
        let _ = writeln!(branch, "        EXECUTE {};", quote::literal(&statement));
    }
    branch.push_str(&unchanged(table));
    branch.push_str(&copy_in::defaults(table));
    branch.push_str("      END IF;\n");
    branch
}

fn release_body(tables: &BTreeMap<RelationName, ProtectedTable>) -> String {
    let mut branches = String::new();
    for name in tables.keys() {
        let _ = writeln!(branches, "    WHEN {} THEN", quote::literal(&name.quoted()));
        for kind in [ViewKind::Read, ViewKind::Write, ViewKind::Insert, ViewKind::Delete, ViewKind::Copy] {
            let drop = quote::literal(&format!("DROP VIEW IF EXISTS {}", views::qualified(kind, name)));
            // A view something of the session depends on, or that a cursor still reads, stays.
            let _ = writeln!(
                branches,
                "      BEGIN EXECUTE {drop}; EXCEPTION WHEN dependent_objects_still_exist OR object_in_use OR \
                 insufficient_privilege OR wrong_object_type THEN NULL; END;"
            );
        }
    }
    body(&branches)
}
