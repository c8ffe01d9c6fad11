//! `COPY … FROM` into a protected table.
//!
//! PostgreSQL copies into no view that rewrites itself, but into one with an INSTEAD OF trigger it does. So there is a
//! view without rows, and its trigger inserts each row through the view INSERT uses: the row filter and the check
//! against masked values hold for every format, and nothing on the table itself has to be granted. The trigger runs
//! with the session's own rights and can do no more than its INSERT. It is created when a COPY asks for it, as most
//! sessions never do. The price is a trigger for each row: eight times the time of a plain COPY.
//!
//! The view has the columns the session may insert, without generated ones: those are what COPY without a list means.
//! Columns that are not copied get their defaults from the view, where they are put when it is created; an identity
//! column takes what is copied, as it does in any COPY.

use super::table::{ProtectedColumn, ProtectedTable, ViewKind};
use super::views;
use daam_catalog::{Identifier, RelationKind, RelationName};
use daam_model::Verb;
use daam_sql::quote;

/// What the activation function is called with for this.
pub(super) fn key(relation: &RelationName) -> String {
    format!("copy {}", relation.quoted())
}

/// Whether anything can be copied in. Into a view it cannot, as ever: its columns' defaults are not its own.
pub(crate) fn is_possible(table: &ProtectedTable) -> bool {
    table.kind.is_writable() && table.kind != RelationKind::View && !columns(table).is_empty()
}

/// The columns that can be copied in.
pub(crate) fn columns(table: &ProtectedTable) -> Vec<&Identifier> {
    copied(table).map(|column| &column.name).collect()
}

fn copied(table: &ProtectedTable) -> impl Iterator<Item = &ProtectedColumn> {
    let granted = table.verbs.get(&Verb::Insert);
    let stored = table.columns.iter().filter(|column| !column.computed);
    stored.filter(move |column| granted.is_some_and(|granted| granted.contains(&column.name)))
}

/// The statements that make the view and its trigger.
pub(super) fn definitions(table: &ProtectedTable) -> Vec<String> {
    let view = views::qualified(ViewKind::Copy, &table.name);
    let function = view.clone();
    let target = views::qualified(table.view_for(Verb::Insert), &table.name);
    let columns: Vec<String> = columns(table).into_iter().map(Identifier::quoted).collect();
    // Of the table only the types: what does not name it cannot show it, in the planner's estimates either.
    let empty: Vec<String> = copied(table)
        .map(|column| format!("NULL::{} AS {}", column.data_type.sql, column.name.quoted()))
        .collect();
    let new: Vec<String> = columns.iter().map(|name| format!("NEW.{name}")).collect();
    let list = columns.join(", ");
    let body = format!(
        "BEGIN INSERT INTO {target} ({list}) OVERRIDING SYSTEM VALUE VALUES ({}); RETURN NEW; END",
        new.join(", ")
    );
    vec![
        format!("CREATE VIEW {view} AS SELECT {} WHERE false", empty.join(", ")),
        format!(
            "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql \
             SET search_path = pg_catalog, pg_temp AS {}",
            quote::dollar(&body)
        ),
        format!("CREATE TRIGGER daam INSTEAD OF INSERT ON {view} FOR EACH ROW EXECUTE FUNCTION {function}()"),
        format!("GRANT INSERT, SELECT ON {view} TO SESSION_USER"),
    ]
}

/// PL/pgSQL that puts the table's own defaults on the view's columns.
pub(super) fn defaults(table: &ProtectedTable) -> String {
    let names: Vec<String> = columns(table).into_iter().map(|name| quote::literal(name.as_str())).collect();
    let relation = quote::literal(&table.name.quoted());
    let view = quote::literal(&views::qualified(ViewKind::Copy, &table.name));
    format!(
        "        FOR daam_column, daam_default IN SELECT a.attname, CASE WHEN a.attidentity = '' \
         THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) ELSE pg_catalog.format('pg_catalog.nextval(%L::pg_catalog.regclass)', \
         pg_catalog.pg_get_serial_sequence({relation}, a.attname)) END FROM pg_catalog.pg_attribute a \
         LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         WHERE a.attrelid = {relation}::pg_catalog.regclass AND a.attname = ANY (ARRAY[{}]::pg_catalog.name[]) \
         AND (a.attidentity <> '' OR d.adbin IS NOT NULL) LOOP\n          \
         EXECUTE pg_catalog.format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', {view}, daam_column, daam_default);\n        \
         END LOOP;\n",
        names.join(", ")
    )
}
