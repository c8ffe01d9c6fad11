//! A large project as a company might have one, made from nothing but two numbers.
//!
//! Equal sizes give equal files, byte for byte: there is no chance in it, only arithmetic on the running number.
//! The project is kept as its owners would keep it: no rule finds an error in it, so what is measured is the whole way
//! to compiled databases, and about one policy in fifty has a finding somebody should look at.

use daam_catalog::{lock, snapshot};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Policies, one file each.
    pub(crate) policies: usize,
    /// Relations of 20 columns each.
    pub(crate) tables: usize,
}

/// Relations of one schema.
const PER_SCHEMA: usize = 100;
/// Policies of one group of people.
const PER_GROUP: usize = 10;
/// Files of one directory.
const PER_DIRECTORY: usize = 100;

/// Name, type and class of the columns every table has.
const COLUMNS: [(&str, &str, &str); 20] = [
    ("id", "bigint", "integer"),
    ("tenant_id", "uuid", "uuid"),
    ("region", "text", "text"),
    ("owner_team", "text", "text"),
    ("email", "text", "text"),
    ("phone", "character varying(40)", "text"),
    ("birth_date", "date", "date"),
    ("ssn", "text", "text"),
    ("status", "text", "text"),
    ("amount", "numeric(12,2)", "numeric"),
    ("currency", "character(3)", "text"),
    ("quantity", "integer", "integer"),
    ("is_active", "boolean", "boolean"),
    ("settings", "jsonb", "jsonb"),
    ("tags", "text[]", "array"),
    ("source_host", "inet", "inet"),
    ("reference", "text", "text"),
    ("note", "text", "text"),
    ("created_at", "timestamp with time zone", "timestamptz"),
    ("updated_at", "timestamp with time zone", "timestamptz"),
];

const NOUNS: [&str; 10] = [
    "account", "order", "invoice", "ticket", "shipment", "payment", "visit", "contract", "device", "message",
];

/// All files of the project, path → text.
pub(crate) fn files(size: Size) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    files.insert("daam.yaml".to_owned(), PROJECT.to_owned());
    files.insert("scope/main.yaml".to_owned(), scope(size));
    files.insert("groups/dba.yaml".to_owned(), DBA.to_owned());
    files.insert("policies/baseline.yaml".to_owned(), BASELINE.to_owned());
    for number in 0..size.policies {
        let path = format!("policies/team-{:03}/policy-{number:05}.yaml", number / PER_DIRECTORY);
        files.insert(path, policy(number, size));
    }
    for number in 0..size.policies.div_ceil(100) {
        files.insert(format!("tests/test-{number:03}.yaml"), test(number, size));
    }
    let catalogue = snapshot::from_json(&catalogue(size)).unwrap_or_default();
    for (name, text) in lock::to_files(&catalogue) {
        files.insert(format!("schema/main/{name}"), text);
    }
    files
}

/// Tests are for a sample of the policies, so the finding about the others is off.
const PROJECT: &str = "kind: project
attributes: { region: text, tenant_id: uuid, clearance: integer }
lint:
  levels: { policy-untested: off }
databases:
  main:
    lock: schema/main
    scope: scope/main.yaml
    policies: [policies/**/*.yaml]
    tests: [tests/**/*.yaml]
";

const DBA: &str = "kind: group\nname: dba\nmembers: [ada@acme.test, bob@acme.test]\n";

/// What is masked for everyone, wherever it stands.
const BASELINE: &str = r#"kind: policy
name: baseline
database: main
description: Personal data is masked everywhere, whoever reads it.
subjects: { everyone: true }
masks:
  - { on: "*.*.ssn", with: redact }
  - { on: "*.*.email", with: email }
  - { on: "*.*.phone", with: phone }
  - { on: "*.*.birth_date", with: { truncate: year } }
  - { on: "*.*.note", with: redact }
"#;

fn schema(number: usize) -> String {
    format!("area_{:03}", number / PER_SCHEMA)
}

fn noun(number: usize) -> &'static str {
    NOUNS.get(number % NOUNS.len()).copied().unwrap_or("thing")
}

/// The name of a relation, with its schema.
pub(crate) fn relation(number: usize) -> String {
    format!("{}.{}_{number:04}", schema(number), noun(number))
}

/// Every fiftieth relation is a view of the one before it.
fn is_view(number: usize) -> bool {
    number % 50 == 49
}

fn scope(size: Size) -> String {
    let mut text = "kind: scope\ndatabase: main\nscope:\n".to_owned();
    for number in (0..size.tables).step_by(PER_SCHEMA) {
        let _ = writeln!(text, "  - {}.*", schema(number));
    }
    text
}

fn policy(number: usize, size: Size) -> String {
    let group = number / PER_GROUP;
    let table = |step: usize| {
        let found = (number * 7 + step * 13) % size.tables;
        if is_view(found) { found - 2 } else { found }
    };
    let (first, second) = (table(0), table(1));
    let mut text = format!("kind: policy\nname: policy-{number:05}\ndatabase: main\n");
    let _ = writeln!(text, "description: What team {group} needs of {}.", relation(first));
    if number % 100 == 99 {
        let _ = writeln!(
            text,
            "request:\n  who: {{ groups: [team-{group:04}] }}\n  approvers: {{ groups: [dba], count: 1 }}\n  \
             max_duration: 2h\n  reason: required"
        );
    } else if number % 10 == 3 {
        let _ = writeln!(text, "subjects: {{ groups: [team-{group:04}], users: [user{number}@acme.test] }}");
    } else {
        let _ = writeln!(text, "subjects: {{ groups: [team-{group:04}] }}");
    }
    text.push_str("grants:\n");
    let _ = writeln!(text, "  - on: {}\n    allow: [select, update]", relation(first));
    let _ = writeln!(text, "    columns: {{ update: [status, quantity] }}\n    rows: {}", rows(number));
    let _ = writeln!(text, "  - on: [{}]\n    allow: [select]", relation(second));
    // One in fifty forgets the second table, and is told so.
    if number % 50 != 4 {
        let _ = writeln!(text, "    rows: {}", rows(number));
    }
    if number % 20 == 7 {
        let _ = writeln!(text, "  - on: {}.{}_*\n    allow: [select]", schema(first), noun(second));
        let _ = writeln!(text, "    rows: region = subject.region");
    }
    if number.is_multiple_of(2) {
        let _ = writeln!(text, "masks:\n  - on: {}.reference", relation(first));
        let _ = writeln!(text, "    with: {{ partial: {{ prefix: 2, suffix: 2 }} }}");
        let _ = writeln!(text, "  - on: {}.source_host\n    with: {{ network: 24 }}", relation(first));
    }
    if number % 5 == 1 {
        text.push_str("session: { max_duration: 8h, statement_timeout: 30s }\n");
    }
    text
}

/// A filter; one in four is the only one of its text.
fn rows(number: usize) -> String {
    match number % 4 {
        0 => "region = subject.region".to_owned(),
        1 => format!("tenant_id = subject.tenant_id and quantity < {}", number % 50),
        2 => "status is distinct from 'closed' and owner_team = any(subject.groups)".to_owned(),
        _ => format!("amount between {number} and {} or subject.clearance >= {}", number * 2, number % 5),
    }
}

fn test(number: usize, size: Size) -> String {
    let policy = number * 100;
    let table = (policy * 7) % size.tables;
    let table = if is_view(table) { table - 2 } else { table };
    format!(
        "kind: test\ndatabase: main\ncases:\n  - name: team {group} reads its table, masked\n    as: {{ email: \
         sam@acme.test, groups: [team-{group:04}], region: eu }}\n    expect:\n      {relation}: {{ select: allow, \
         delete: deny, columns: {{ ssn: \"mask:redact\", status: clear }} }}\n",
        group = policy / PER_GROUP,
        relation = relation(table)
    )
}

fn catalogue(size: Size) -> Value {
    let relations: Vec<Value> = (0..size.tables).map(one_relation).collect();
    json!({ "version": snapshot::VERSION, "server_version": 170_000, "relations": relations, "functions": [] })
}

fn one_relation(number: usize) -> Value {
    let columns: Vec<Value> = COLUMNS.iter().map(|column| one_column(number, *column)).collect();
    let name = format!("{}_{number:04}", noun(number));
    let mut relation = json!({
        "schema": schema(number), "name": name, "kind": "table", "owner": "app_owner", "columns": columns,
    });
    let Some(fields) = relation.as_object_mut() else { return relation };
    if is_view(number) {
        let read = number - 1;
        let base = format!("{}_{read:04}", noun(read));
        let reads: Vec<Value> = COLUMNS
            .iter()
            .map(|(column, ..)| json!({ "schema": schema(read), "relation": base, "column": column }))
            .collect();
        fields.insert("kind".to_owned(), json!("view"));
        fields.insert("reads".to_owned(), json!(reads));
    } else {
        fields.insert("primary_key".to_owned(), json!(["id"]));
    }
    // Every thirtieth table is a partition of the one before it.
    if number % 30 == 17 && !is_view(number - 1) && number / PER_SCHEMA == (number - 1) / PER_SCHEMA {
        let parent = format!("{}_{:04}", noun(number - 1), number - 1);
        fields.insert("parents".to_owned(), json!([{ "schema": schema(number - 1), "name": parent }]));
    }
    relation
}

fn one_column(number: usize, (name, sql, class): (&str, &str, &str)) -> Value {
    let mut column = json!({ "name": name, "type": sql, "class": class });
    let Some(fields) = column.as_object_mut() else { return column };
    if matches!(name, "id" | "tenant_id" | "created_at") {
        fields.insert("not_null".to_owned(), json!(true));
        fields.insert("has_default".to_owned(), json!(true));
    }
    if name == "reference" && number.is_multiple_of(3) {
        fields.insert("comment".to_owned(), json!("What the other side calls it."));
    }
    column
}
