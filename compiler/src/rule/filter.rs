//! Rules: Row filters.
//!
//! Declarations only; the checks that report them are elsewhere.

use super::Rule;

/// The filter is not an expression PostgreSQL can read, or uses something filters must not use.
pub static FILTER_SYNTAX: Rule = Rule::error(
    401,
    "filter-syntax",
    "The filter is not an expression PostgreSQL can read, or uses something filters must not use.",
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
    rows: total = = 1
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: total = 1
",
);

/// The filter is not a condition: its value is not a boolean.
pub static FILTER_NOT_BOOLEAN: Rule =
    Rule::error(402, "filter-not-boolean", "The filter is not a condition: its value is not a boolean.")
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
    rows: customer_id
",
            "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: customer_id = 1
",
        );

/// The filter names a column the relation does not have.
pub static FILTER_UNKNOWN_COLUMN: Rule =
    Rule::error(403, "filter-unknown-column", "The filter names a column the relation does not have.")
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
    rows: reigon = subject.region
",
            "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: region = subject.region
",
        );

/// A subquery of the filter reads a table that is unknown or outside the scope of the database.
pub static FILTER_FOREIGN_RELATION: Rule = Rule::error(
    404,
    "filter-foreign-relation",
    "A subquery of the filter reads a table that is unknown or outside the scope of the database.",
)
.fixed()
.example(
    "\
# file: daam.yaml
kind: project
databases:
  shop: { lock: schema/shop, scope: scope/shop.yaml, policies: [policies/*.yaml] }
# file: scope/shop.yaml
kind: scope
database: shop
scope: [public.*]
# file: policies/example.yaml
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: customer_id in (select id from hr.shifts)
",
    "\
# file: daam.yaml
kind: project
databases:
  shop: { lock: schema/shop, scope: scope/shop.yaml, policies: [policies/*.yaml] }
# file: scope/shop.yaml
kind: scope
database: shop
scope: [public.*]
# file: policies/example.yaml
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: customer_id in (select id from public.customers)
",
);

/// The filter calls a function whose answer may change within one statement. Which rows are reached would depend on luck.
pub static FILTER_VOLATILE: Rule = Rule::error(
    406,
    "filter-volatile",
    "The filter calls a function whose answer may change within one statement. Which rows are reached would depend on luck.",
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
    rows: random() < 0.5
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: region = subject.region
",
);

/// The filter calls a function that acts, waits, reads files or runs with somebody else's rights.
pub static FILTER_UNSAFE_FUNCTION: Rule = Rule::error(
    407,
    "filter-unsafe-function",
    "The filter calls a function that acts, waits, reads files or runs with somebody else's rights.",
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
    rows: pg_sleep(1) is not null
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: region = subject.region
",
);

/// The text is more than one expression: a comment, a semicolon, or a parenthesis that closes what it did not open.
pub static FILTER_BREAKOUT: Rule = Rule::error(
    409,
    "filter-breakout",
    "The text is more than one expression: a comment, a semicolon, or a parenthesis that closes what it did not open.",
)
.fixed()
.example(
r#"kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: "true) or (true"
"#,
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: region = subject.region
",
);

/// The filter is a constant. Always true filters nothing; always false grants nothing.
pub static FILTER_CONSTANT: Rule = Rule::warning(
    410,
    "filter-constant",
    "The filter is a constant. Always true filters nothing; always false grants nothing.",
)
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: 'true'
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

/// A comparison with `<>` or `NOT IN` is neither true nor false for NULL, so it hides those rows without saying so.
pub static FILTER_NULL_SEMANTICS: Rule = Rule::warning(
    411,
    "filter-null-semantics",
    "A comparison with `<>` or `NOT IN` is neither true nor false for NULL, so it hides the rows whose column is NULL without saying so. Write `is distinct from`, or test for NULL in the filter.",
)
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: region <> 'eu'
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: region is distinct from 'eu'
",
);

/// A row filter on a large table that no index helps with.
pub static FILTER_UNINDEXED: Rule = Rule::warning(
    414,
    "filter-unindexed",
    "The filter is part of every query of everybody it applies to. The table is large (a million rows or more when the lock was pulled), it has indexes, and none begins with a column the filter reads, so each query reads the whole table. Create an index on such a column.",
)
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: analytics.clicks, allow: [select], rows: region = subject.region }
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: analytics.clicks, allow: [select], rows: day > '2026-01-01' and region = subject.region }
",
);

/// A function of a user schema that reads no column of the row is called for every row all the same.
pub static FILTER_PER_ROW_CALL: Rule = Rule::warning(
    412,
    "filter-per-row-call",
    "A function of a user schema that reads no column of the row is called for every row all the same. An attribute of the subject has its value once.",
)
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: customer_id = public.order_total(7)
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: customer_id = public.order_total(id)
",
);

/// The filter compares a column the same policy masks: which rows come back tells what the mask hides.
pub static FILTER_ON_MASKED_COLUMN: Rule = Rule::warning(
    415,
    "filter-on-masked-column",
    "The filter compares a column the same policy masks: which rows come back tells what the mask hides. Filter by a column that may be seen.",
)
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.customers
    allow: [select]
    rows: email = subject.email
masks: [{ on: public.customers.email, with: email }]
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.customers
    allow: [select]
    rows: region = subject.region
masks: [{ on: public.customers.email, with: email }]
",
);

/// `subject.x` is neither built in (`id`, `email`, `groups`) nor declared under `attributes:` in `daam.yaml`.
pub static UNKNOWN_ATTRIBUTE: Rule = Rule::error(
    416,
    "unknown-attribute",
    "`subject.x` is neither built in (`id`, `email`, `groups`) nor declared under `attributes:` in `daam.yaml`.",
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
    rows: region = subject.regio
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: region = subject.region
",
);

/// The filter compares values of types PostgreSQL has no operator for.
pub static FILTER_TYPE_MISMATCH: Rule = Rule::error(
    417,
    "filter-type-mismatch",
    "PostgreSQL would refuse the filter: there is no such operator, function or cast for these types, or a literal is no value of the type it is compared with. No session could start with it, so it is refused here. Cast one side, or declare the attribute with the type of the column.",
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
    rows: tenant_id = subject.region
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: tenant_id = subject.tenant_id
",
);

pub(super) const FILTER_RULES: &[&Rule] = &[
    &FILTER_SYNTAX,
    &FILTER_NOT_BOOLEAN,
    &FILTER_UNKNOWN_COLUMN,
    &FILTER_FOREIGN_RELATION,
    &FILTER_VOLATILE,
    &FILTER_UNSAFE_FUNCTION,
    &FILTER_BREAKOUT,
    &FILTER_CONSTANT,
    &FILTER_NULL_SEMANTICS,
    &FILTER_PER_ROW_CALL,
    &FILTER_UNINDEXED,
    &FILTER_ON_MASKED_COLUMN,
    &UNKNOWN_ATTRIBUTE,
    &FILTER_TYPE_MISMATCH,
];
