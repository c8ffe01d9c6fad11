//! Rules: Patterns, verbs, databases, and files nobody reads.
//!
//! Declarations only; the checks that report them are elsewhere.

use super::Rule;
use daam_diagnostic::Applicability;

/// The pattern covers no object of the schema lock. A rule that means nothing is a mistake, and a mask that covers nothing protects nothing. The same goes for a glob of files in `daam.yaml` that leads outside the project, and, as a warning, for one without a file.
pub static PATTERN_MATCHES_NOTHING: Rule = Rule::error(
    208,
    "pattern-matches-nothing",
    "The pattern covers no object of the schema lock. A rule that means nothing is a mistake, and a mask that covers nothing protects nothing. The same goes for a glob of files in `daam.yaml` that leads outside the project, and, as a warning, for one without a file.",
)
.fixed()
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.ordr_*, allow: [select] }
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.order_*, allow: [select] }
",
);

/// System schemas (`pg_catalog`, `information_schema`, everything that begins with `pg_`) are out of reach of every pattern.
pub static SYSTEM_OBJECT: Rule = Rule::error(
    209,
    "system-object",
    "System schemas (`pg_catalog`, `information_schema`, everything that begins with `pg_`) are out of reach of every pattern.",
)
.fixed()
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: pg_catalog.pg_authid, allow: [select] }
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
",
);

/// Patterns know `*` inside a segment and nothing else. Negations and regular expressions would make it hard to see what a rule covers.
pub static REGEX_OR_NEGATION: Rule = Rule::error(
    211,
    "regex-or-negation",
    "Patterns know `*` inside a segment and nothing else. Negations and regular expressions would make it hard to see what a rule covers.",
)
.fixed()
.example(
r#"kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: "!public.order_items", allow: [select] }
"#,
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
",
);

/// Capitals outside double quotes mean nothing: names fold to lower case, as in PostgreSQL.
pub static UNQUOTED_IDENTIFIER: Rule = Rule::warning(212, "unquoted-identifier", "Capitals outside double quotes mean nothing: names fold to lower case, as in PostgreSQL. Write what is meant.")
.fix(Applicability::Safe)
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.Orders, allow: [select] }
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
",
);

/// PostgreSQL cuts names after 63 bytes, so a longer one would quietly mean another object.
pub static IDENTIFIER_TOO_LONG: Rule = Rule::error(
    213,
    "identifier-too-long",
    "PostgreSQL cuts names after 63 bytes, so a longer one would quietly mean another object.",
)
.fixed()
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    columns: { select: [the_status_of_the_order_as_it_was_when_the_order_was_last_looked_at] }
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    columns: { select: [status] }
",
);

/// Another pattern of the same list contains this one, whatever tables there will be.
pub static REDUNDANT_PATTERN: Rule = Rule::info(
    215,
    "redundant-pattern",
    "Another pattern of the same list contains this one, whatever tables there will be.",
)
.fix(Applicability::Safe)
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: [public.orders, public.order*], allow: [select] }
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: [public.order*], allow: [select] }
",
);

/// The verbs are `select`, `insert`, `update`, `delete` and `truncate`.
pub static UNKNOWN_VERB: Rule =
    Rule::error(216, "unknown-verb", "The verbs are `select`, `insert`, `update`, `delete` and `truncate`.")
        .fixed()
        .fix(Applicability::Unsafe)
        .example(
            "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [slect] }
",
            "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
",
        );

/// The database is not declared in `daam.yaml`.
pub static UNKNOWN_DATABASE: Rule =
    Rule::error(217, "unknown-database", "The database is not declared in `daam.yaml`.")
        .fixed()
        .fix(Applicability::Unsafe)
        .example(
            "\
kind: policy
name: support
database: shopp
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
",
            "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
",
        );

/// The text is not a pattern: `schema.table` for relations and functions, `schema.table.column` for columns, names with special characters in double quotes.
pub static INVALID_PATTERN: Rule = Rule::error(
    218,
    "invalid-pattern",
    "The text is not a pattern: `schema.table` for relations and functions, `schema.table.column` for columns, names with special characters in double quotes.",
)
.fixed()
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: orders, allow: [select] }
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
",
);

/// A file with a document for daam that nothing in `daam.yaml` names.
pub static FILE_NOT_USED: Rule = Rule::warning(
    219,
    "file-not-used",
    "The file holds a document of the language, but no glob of `daam.yaml` covers it, so it has no effect. Often the extension or the directory is not the one the glob says. An error where a glob does cover the file and it is not read all the same: symbolic links are not followed. The same goes for a `kind: scope` that is not in the file `daam.yaml` names.",
)
.example(
"\
# file: policies/support.yml
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
",
"\
# file: policies/support.yaml
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
",
);

pub(super) const PATTERN_RULES: &[&Rule] = &[
    &PATTERN_MATCHES_NOTHING,
    &SYSTEM_OBJECT,
    &REGEX_OR_NEGATION,
    &UNQUOTED_IDENTIFIER,
    &IDENTIFIER_TOO_LONG,
    &REDUNDANT_PATTERN,
    &UNKNOWN_VERB,
    &UNKNOWN_DATABASE,
    &INVALID_PATTERN,
    &FILE_NOT_USED,
];
