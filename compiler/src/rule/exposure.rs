//! Rules: who reads personal data and secrets in clear.
//!
//! Declarations only; the checks that report them are elsewhere.

use super::Rule;

/// Somebody reads a column in clear that seems to hold personal data or a secret.
pub static SENSITIVE_COLUMN_UNMASKED: Rule = Rule::error(
    601,
    "sensitive-column-unmasked",
    "A policy shows a column in clear that holds personal data or a secret, going by its name and type, its comment, its security label or the `classification` of the database. Mask it, leave it out of `columns`, or say in `daam.yaml` what it holds; `is: none` needs a reason. A mask counts if everybody the policy applies to is certain to have it.",
)
.locked()
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.customers, allow: [select] }
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.customers, allow: [select] }
masks:
  - { on: public.customers.email, with: email }
",
);

/// Everyone in the organization reads a sensitive column in clear.
pub static SENSITIVE_TO_BROAD_GROUP: Rule = Rule::error(
    602,
    "sensitive-to-broad-group",
    "A policy for `everyone` shows a sensitive column in clear: the whole organization reads it. Mask it, leave it out of `columns`, or name the groups that need it.",
)
.locked()
.example(
    "\
kind: policy
name: everyone
database: shop
subjects: { everyone: true }
grants:
  - { on: public.customers, allow: [select] }
",
    "\
kind: policy
name: everyone
database: shop
subjects: { everyone: true }
grants:
  - on: public.customers
    allow: [select]
    columns: { select: [id, region] }
",
);

/// A wildcard reaches a sensitive column that nobody named.
pub static WILDCARD_GAINED_SENSITIVE_COLUMN: Rule = Rule::error(
    603,
    "wildcard-gained-sensitive-column",
    "A pattern of a grant reaches a sensitive column that the policy never names, and shows it in clear. Nobody decided that: the table or the column may have come into the database after the policy was reviewed.",
)
.locked()
.example(
    "\
kind: policy
name: analyst
database: shop
subjects: { groups: [analyst] }
grants:
  - { on: analytics.*, allow: [select] }
",
    "\
kind: policy
name: analyst
database: shop
subjects: { groups: [analyst] }
grants:
  - { on: analytics.*, allow: [select] }
masks:
  - { on: analytics.*.client_ip, with: { network: 16 } }
",
);

/// A wildcard reaches a column that holds a secret.
pub static SECRET_CLASS_UNDER_WILDCARD: Rule = Rule::error(
    604,
    "secret-class-under-wildcard",
    "A pattern of a grant reaches a column of passwords, tokens or keys, and shows it in clear. Who reads such a column can act as somebody else. Mask it with `null`, or grant the tables that are needed by name.",
)
.locked()
.example(
    "\
kind: policy
name: operations
database: shop
subjects: { groups: [operations] }
grants:
  - { on: ops.*, allow: [select] }
",
    "\
kind: policy
name: operations
database: shop
subjects: { groups: [operations] }
grants:
  - { on: ops.*, allow: [select] }
masks:
  - { on: ops.*.token, with: \"null\" }
",
);

/// A classification that the column's type cannot have.
pub static CLASSIFICATION_TYPE_MISMATCH: Rule = Rule::warning(
    605,
    "classification-type-mismatch",
    "An entry of `classification` gives a column a class that its type cannot hold, e.g. e-mail addresses in an integer. Probably another column was meant.",
)
.example(
    "\
# file: daam.yaml
kind: project
attributes: { region: text, tenant_id: uuid }
databases:
  shop:
    lock: schema/shop
    policies: [policies/*.yaml]
    classification:
      - { on: public.orders.customer_id, is: email }
",
    "\
# file: daam.yaml
kind: project
attributes: { region: text, tenant_id: uuid }
databases:
  shop:
    lock: schema/shop
    policies: [policies/*.yaml]
    classification:
      - { on: public.customers.email, is: email }
",
);

/// In a strict project: a readable column nobody said anything about.
pub static UNCLASSIFIED_NEW_COLUMN: Rule = Rule::warning(
    606,
    "unclassified-new-column",
    "Only where the database has `strict_classification: true`: somebody reads a column that no entry of `classification` covers and that was not taken for sensitive either. A new column is then looked at once before it is shown.",
)
.example(
    "\
kind: policy
name: operations
database: shop
subjects: { groups: [operations] }
grants:
  - { on: hr.shifts, allow: [select] }
# file: daam.yaml
kind: project
databases:
  shop:
    lock: schema/shop
    policies: [policies/*.yaml]
    strict_classification: true
",
    "\
kind: policy
name: operations
database: shop
subjects: { groups: [operations] }
grants:
  - { on: hr.shifts, allow: [select] }
# file: daam.yaml
kind: project
databases:
  shop:
    lock: schema/shop
    policies: [policies/*.yaml]
    strict_classification: true
    classification:
      - { on: hr.shifts.*, is: none, reason: the roster hangs on the wall }
",
);

/// A table is granted whole although its siblings are filtered by a column it has too.
pub static SIBLING_TABLES_FILTERED: Rule = Rule::warning(
    607,
    "sibling-tables-filtered",
    "A policy filters relations by a column, e.g. `tenant_id`, and grants another relation that has this column without a filter. Its rows of every tenant are shown. If all rows are meant, silence the finding with that reason.",
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
    rows: region = subject.region
  - on: public.customers
    allow: [select]
    columns: { select: [id, region] }
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: [public.orders, public.customers]
    allow: [select]
    rows: region = subject.region
masks:
  - { on: public.customers.email, with: email }
",
);

pub(super) const EXPOSURE_RULES: &[&Rule] = &[
    &SENSITIVE_COLUMN_UNMASKED,
    &SENSITIVE_TO_BROAD_GROUP,
    &WILDCARD_GAINED_SENSITIVE_COLUMN,
    &SECRET_CLASS_UNDER_WILDCARD,
    &CLASSIFICATION_TYPE_MISMATCH,
    &UNCLASSIFIED_NEW_COLUMN,
    &SIBLING_TABLES_FILTERED,
];
