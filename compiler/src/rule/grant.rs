//! Rules: Grants.
//!
//! Declarations only; the checks that report them are elsewhere.

use super::Rule;

/// Another grant of the same policy already allows all of this, without a filter. A narrower grant beside a wider one narrows nothing.
pub static SHADOWED_GRANT: Rule = Rule::warning(
    501,
    "shadowed-grant",
    "Another grant of the same policy already allows all of this, without a filter. A narrower grant beside a wider one narrows nothing.",
)
.example(
r#"kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select], rows: total < 100 }
  - { on: "public.order*", allow: [select] }
"#,
r#"kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: "public.order*", allow: [select] }
"#,
);

/// The clause can never have an effect: no verbs, no subjects, or columns for a verb that is not allowed or has none.
pub static GRANT_WITHOUT_EFFECT: Rule = Rule::warning(
    502,
    "grant-without-effect",
    "The clause can never have an effect: no verbs, no subjects, or columns for a verb that is not allowed or has none.",
)
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [] }
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

/// `update` and `delete` need to read the columns of their WHERE clause, and nobody may read this relation.
pub static WRITE_WITHOUT_SELECT: Rule = Rule::warning(
    503,
    "write-without-select",
    "`update` and `delete` need to read the columns of their WHERE clause, and nobody may read this relation.",
)
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [update] }
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select, update] }
",
);

pub(super) const GRANT_RULES: &[&Rule] = &[&SHADOWED_GRANT, &GRANT_WITHOUT_EFFECT, &WRITE_WITHOUT_SELECT];
