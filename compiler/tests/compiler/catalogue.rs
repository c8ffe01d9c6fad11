//! A short notation for catalogues, so that a specification can show one.
//!
//! ```text
//! table public.users: id integer not null, email text
//! view public.user_list reads public.users.email: email text
//! function public.order_total(integer) stable
//! function public.whoami() volatile definer
//! ```

use daam_catalog::{
    Catalog, Column, ColumnRef, DataType, Function, FunctionName, Generated, Identifier, Relation,
    RelationKind, RelationName, ServerVersion, TypeClass, Volatility, lock,
};
use daam_compiler::MemoryFiles;
use std::collections::BTreeSet;

/// The files of a lock below a directory.
pub(crate) fn with_lock(files: MemoryFiles, directory: &str, catalog: &Catalog) -> MemoryFiles {
    lock::to_files(catalog)
        .into_iter()
        .fold(files, |files, (name, text)| files.with(format!("{directory}/{name}"), text))
}

/// Reads the notation.
pub(crate) fn parse(text: &str) -> Catalog {
    let mut catalog = Catalog { server: ServerVersion(170_000), ..Catalog::default() };
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (kind, rest) = line.split_once(' ').unwrap();
        if kind == "function" {
            let function = function(rest);
            catalog.functions.insert(function.0, function.1);
        } else {
            let relation = relation(kind, rest);
            catalog.relations.insert(relation.name.clone(), relation);
        }
    }
    catalog
}

fn relation(kind: &str, rest: &str) -> Relation {
    let (head, columns) = rest.split_once(':').unwrap();
    let (name, reads) = head.split_once(" reads ").unwrap_or((head, ""));
    Relation {
        name: relation_name(name),
        kind: match kind {
            "table" => RelationKind::Table,
            "view" => RelationKind::View,
            "matview" => RelationKind::MaterializedView,
            other => panic!("no kind {other}"),
        },
        owner: Identifier::stored("owner").unwrap(),
        columns: columns.split(',').map(|text| column(text.trim())).collect(),
        primary_key: Vec::new(),
        unique: Vec::new(),
        foreign_keys: Vec::new(),
        parents: Vec::new(),
        reads: reads.split_whitespace().map(column_ref).collect(),
        public: BTreeSet::new(),
        triggers: false,
        comment: None,
    }
}

fn relation_name(text: &str) -> RelationName {
    let (schema, name) = text.trim().split_once('.').unwrap();
    RelationName::stored(schema, name).unwrap()
}

fn column_ref(text: &str) -> ColumnRef {
    let (relation, column) = text.rsplit_once('.').unwrap();
    ColumnRef { relation: relation_name(relation), column: Identifier::stored(column).unwrap() }
}

fn column(text: &str) -> Column {
    let (name, rest) = text.split_once(' ').unwrap();
    let sql = rest.trim_end_matches("not null").trim();
    Column {
        name: Identifier::stored(name).unwrap(),
        data_type: DataType { sql: sql.to_owned(), class: class(sql) },
        not_null: rest.ends_with("not null"),
        has_default: false,
        generated: Generated::No,
        sequence: None,
        comment: None,
    }
}

fn class(sql: &str) -> TypeClass {
    match sql {
        "text" => TypeClass::Text,
        "uuid" => TypeClass::Uuid,
        "integer" => TypeClass::Integer,
        "numeric" => TypeClass::Numeric,
        "boolean" => TypeClass::Boolean,
        "date" => TypeClass::Date,
        "timestamptz" => TypeClass::TimestampTz,
        "jsonb" => TypeClass::Jsonb,
        "inet" => TypeClass::Inet,
        other => panic!("no type {other}"),
    }
}

fn function(text: &str) -> (FunctionName, Function) {
    let (head, tail) = text.split_once(')').unwrap();
    let (name, arguments) = head.split_once('(').unwrap();
    let name = relation_name(name);
    let arguments: Vec<String> =
        arguments.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let words: BTreeSet<&str> = tail.split_whitespace().collect();
    let volatility = if words.contains("volatile") {
        Volatility::Volatile
    } else if words.contains("stable") {
        Volatility::Stable
    } else {
        Volatility::Immutable
    };
    let name = FunctionName { schema: name.schema, name: name.name, arguments };
    let function = Function {
        name: name.clone(),
        owner: Identifier::stored("owner").unwrap(),
        volatility,
        security_definer: words.contains("definer"),
        public_execute: false,
        returns: "integer".to_owned(),
        returns_set: words.contains("set"),
    };
    (name, function)
}
