//! Rules: Names: schemas, tables, columns, presets, policies.
//!
//! Declarations only; the checks that report them are elsewhere.

use super::Rule;
use daam_diagnostic::Applicability;

/// The schema is not in the schema lock. Correct the name, or pull the lock again if the schema is new.
pub static UNKNOWN_SCHEMA: Rule = Rule::error(
    201,
    "unknown-schema",
    "The schema is not in the schema lock. Correct the name, or pull the lock again if the schema is new.",
)
.fixed()
.fix(Applicability::Unsafe)
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: publc.orders, allow: [select] }
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

/// No relation or function of that name is in the schema lock.
pub static UNKNOWN_TABLE: Rule =
    Rule::error(202, "unknown-table", "No relation or function of that name is in the schema lock.")
        .fixed()
        .fix(Applicability::Unsafe)
        .example(
            "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.order, allow: [select] }
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

/// None of the relations meant has a column of that name. A mask on a column that does not exist protects nothing.
pub static UNKNOWN_COLUMN: Rule = Rule::error(
    203,
    "unknown-column",
    "None of the relations meant has a column of that name. A mask on a column that does not exist protects nothing.",
)
.fixed()
.fix(Applicability::Unsafe)
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
masks:
  - { on: public.orders.notes, with: redact }
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
masks:
  - { on: public.orders.note, with: redact }
",
);

/// The repository lists the groups of the identity provider (a `kind: directory` document under `groups/`), and this one is neither there nor a `kind: group`.
pub static UNKNOWN_SUBJECT: Rule = Rule::error(204, "unknown-subject", "The repository lists the groups of the identity provider (a `kind: directory` document under `groups/`), and this one is neither there nor a `kind: group`. A grant to it would reach nobody, or later somebody nobody meant. Without such a document groups are not checked.")
.fix(Applicability::Unsafe)
.example(
"\
# file: groups/directory.yaml
kind: directory
groups: { support: 14, dba: 1 }
# file: policies/example.yaml
kind: policy
name: support
database: shop
subjects: { groups: [suport] }
grants:
  - { on: public.orders, allow: [select] }
",
"\
# file: groups/directory.yaml
kind: directory
groups: { support: 14, dba: 1 }
# file: policies/example.yaml
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
",
);

/// A mask preset that does not exist, or one with parameters it does not take.
pub static UNKNOWN_PRESET: Rule = Rule::error(
    205,
    "unknown-preset",
    "A mask preset that does not exist, or one with parameters it does not take.",
)
.fixed()
.fix(Applicability::Unsafe)
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
masks:
  - { on: public.orders.note, with: redct }
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
masks:
  - { on: public.orders.note, with: redact }
",
);

/// Two policies of one database, or two groups, share a name. Approvals, audit and `explain` refer to the name.
pub static DUPLICATE_POLICY_NAME: Rule = Rule::error(
    206,
    "duplicate-policy-name",
    "Two policies of one database, or two groups, share a name. Approvals, audit and `explain` refer to the name.",
)
.fixed()
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
---
kind: policy
name: support
database: shop
subjects: { groups: [support] }
session: { read_only: true }
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
---
kind: policy
name: support-limits
database: shop
subjects: { groups: [support] }
session: { read_only: true }
",
);

/// The policy names something outside the scope of its database. The agent refuses a whole bundle that does; the scope file says what it serves.
pub static OUT_OF_SCOPE_REFERENCE: Rule = Rule::error(
    207,
    "out-of-scope-reference",
    "The policy names something outside the scope of its database. The agent refuses a whole bundle that does; the scope file says what it serves.",
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
  - { on: hr.shifts, allow: [select] }
",
"\
# file: daam.yaml
kind: project
databases:
  shop: { lock: schema/shop, scope: scope/shop.yaml, policies: [policies/*.yaml] }
# file: scope/shop.yaml
kind: scope
database: shop
scope: [public.*, hr.shifts]
# file: policies/example.yaml
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: hr.shifts, allow: [select] }
",
);

pub(super) const NAME_RULES: &[&Rule] = &[
    &UNKNOWN_SCHEMA,
    &UNKNOWN_TABLE,
    &UNKNOWN_COLUMN,
    &UNKNOWN_SUBJECT,
    &UNKNOWN_PRESET,
    &DUPLICATE_POLICY_NAME,
    &OUT_OF_SCOPE_REFERENCE,
];
