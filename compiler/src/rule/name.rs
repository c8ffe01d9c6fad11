//! Rules: Names: schemas, tables, columns, databases, verbs, presets.
//!
//! Declarations only; the checks that report them are elsewhere.

use super::Rule;

/// The schema is not in the schema lock. Correct the name, or pull the lock again if the schema is new.
pub static UNKNOWN_SCHEMA: Rule = Rule::error(
    201,
    "unknown-schema",
    "The schema is not in the schema lock. Correct the name, or pull the lock again if the schema is new.",
)
.example("on: billling.*", "on: billing.*");

/// No relation or function of that name is in the schema lock.
pub static UNKNOWN_TABLE: Rule =
    Rule::error(202, "unknown-table", "No relation or function of that name is in the schema lock.")
        .example("on: public.user", "on: public.users");

/// None of the relations meant has a column of that name. A mask on a column that does not exist protects nothing.
pub static UNKNOWN_COLUMN: Rule = Rule::error(
    203,
    "unknown-column",
    "None of the relations meant has a column of that name. A mask on a column that does not exist protects nothing.",
)
.example("on: public.users.e_mail", "on: public.users.email");

/// A mask preset that does not exist, or one with parameters it does not take.
pub static UNKNOWN_PRESET: Rule = Rule::error(
    205,
    "unknown-preset",
    "A mask preset that does not exist, or one with parameters it does not take.",
)
.example("with: hsh", "with: hash");

/// Two policies of one database, or two groups, share a name. Approvals, audit and `explain` refer to the name.
pub static DUPLICATE_POLICY_NAME: Rule = Rule::error(
    206,
    "duplicate-policy-name",
    "Two policies of one database, or two groups, share a name. Approvals, audit and `explain` refer to the name.",
)
.example("name: support   # in two files", "name: support-eu");

/// The policy names something outside the scope of its database. The agent refuses a whole bundle that does; the scope file says what it serves.
pub static OUT_OF_SCOPE_REFERENCE: Rule = Rule::error(
    207,
    "out-of-scope-reference",
    "The policy names something outside the scope of its database. The agent refuses a whole bundle that does; the scope file says what it serves.",
).locked()
.example("on: hr.salaries", "on: public.orders");

/// The pattern covers no object of the schema lock. A rule that means nothing is a mistake, and a mask that covers nothing protects nothing.
pub static PATTERN_MATCHES_NOTHING: Rule = Rule::error(
    208,
    "pattern-matches-nothing",
    "The pattern covers no object of the schema lock. A rule that means nothing is a mistake, and a mask that covers nothing protects nothing.",
)
.example("on: public.ordr_*", "on: public.order_*");

/// System schemas (`pg_catalog`, `information_schema`, everything that begins with `pg_`) are out of reach of every pattern.
pub static SYSTEM_OBJECT: Rule = Rule::error(
    209,
    "system-object",
    "System schemas (`pg_catalog`, `information_schema`, everything that begins with `pg_`) are out of reach of every pattern.",
).locked()
.example("on: pg_catalog.pg_authid", "on: public.users");

/// Patterns know `*` inside a segment and nothing else. Negations and regular expressions would make it hard to see what a rule covers.
pub static REGEX_OR_NEGATION: Rule = Rule::error(
    211,
    "regex-or-negation",
    "Patterns know `*` inside a segment and nothing else. Negations and regular expressions would make it hard to see what a rule covers.",
)
.example("on: \"!public.secrets\"", "on: public.orders");

/// PostgreSQL cuts names after 63 bytes, so a longer one would quietly mean another object.
pub static IDENTIFIER_TOO_LONG: Rule = Rule::error(
    213,
    "identifier-too-long",
    "PostgreSQL cuts names after 63 bytes, so a longer one would quietly mean another object.",
)
.example(
    "columns: { select: [a_name_of_more_than_sixty_three_bytes_…] }",
    "columns: { select: [short_name] }",
);

/// The verbs are `select`, `insert`, `update`, `delete` and `truncate`.
pub static UNKNOWN_VERB: Rule =
    Rule::error(216, "unknown-verb", "The verbs are `select`, `insert`, `update`, `delete` and `truncate`.")
        .example("allow: [read]", "allow: [select]");

/// The database is not declared in `daam.yaml`.
pub static UNKNOWN_DATABASE: Rule =
    Rule::error(217, "unknown-database", "The database is not declared in `daam.yaml`.")
        .example("database: shopp", "database: shop");

/// The text is not a pattern: `schema.table` for relations and functions, `schema.table.column` for columns, names with special characters in double quotes.
pub static INVALID_PATTERN: Rule = Rule::error(
    218,
    "invalid-pattern",
    "The text is not a pattern: `schema.table` for relations and functions, `schema.table.column` for columns, names with special characters in double quotes.",
)
.example("on: users", "on: public.users");

/// A file with a document for daam that nothing in `daam.yaml` names.
pub static FILE_NOT_USED: Rule = Rule::warning(
    219,
    "file-not-used",
    "The file holds a document of the language, but no glob of `daam.yaml` covers it, so it has no effect. Often the extension or the directory is not the one the glob says.",
)
.example("policies/support.yml   # with policies: [policies/**/*.yaml]", "policies/support.yaml");

pub(super) const NAME_RULES: &[&Rule] = &[
    &UNKNOWN_SCHEMA,
    &UNKNOWN_TABLE,
    &UNKNOWN_COLUMN,
    &UNKNOWN_PRESET,
    &DUPLICATE_POLICY_NAME,
    &OUT_OF_SCOPE_REFERENCE,
    &PATTERN_MATCHES_NOTHING,
    &SYSTEM_OBJECT,
    &REGEX_OR_NEGATION,
    &IDENTIFIER_TOO_LONG,
    &UNKNOWN_VERB,
    &UNKNOWN_DATABASE,
    &INVALID_PATTERN,
    &FILE_NOT_USED,
];
