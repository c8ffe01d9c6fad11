//! Rules: Grants.
//!
//! Declarations only; the checks that report them are elsewhere.

use super::Rule;
use daam_diagnostic::Applicability;

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

/// `truncate` removes every row at once: no row filter is asked, and no trigger for the rows.
pub static PRIVILEGED_VERB: Rule = Rule::warning(506, "privileged-verb", "`truncate` removes every row at once: no row filter is asked, and no trigger for the rows. Where `delete` is enough, allow that.")

.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select, truncate] }
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select, delete] }
",
);

/// People may overwrite what they cannot see.
pub static WRITE_TO_MASKED_COLUMN: Rule = Rule::warning(510, "write-to-masked-column", "People may overwrite what they cannot see. Programs that read a row, change a part and write it back would store the masked value; with `hash` one can write a guess and compare; where the mask shows the same for every value (`null`, `redact` of a boolean), that writing it is refused tells that something else is stored. Constraints and unique indexes tell in the same way.")

.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select, update] }
masks:
  - { on: public.orders.note, with: redact }
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select, update]
    columns: { update: [status] }
masks:
  - { on: public.orders.note, with: redact }
",
);

/// A group or an address is listed twice.
pub static DUPLICATE_SUBJECT: Rule =
    Rule::info(511, "duplicate-subject", "A group or an address is listed twice. It counts once.")
        .fix(Applicability::Safe)
        .example(
            "\
kind: policy
name: support
database: shop
subjects: { groups: [support, sales, support] }
grants:
  - { on: public.orders, allow: [select] }
",
            "\
kind: policy
name: support
database: shop
subjects: { groups: [support, sales] }
grants:
  - { on: public.orders, allow: [select] }
",
        );

pub(super) const GRANT_RULES: &[&Rule] = &[
    &SHADOWED_GRANT,
    &GRANT_WITHOUT_EFFECT,
    &WRITE_WITHOUT_SELECT,
    &PRIVILEGED_VERB,
    &WRITE_TO_MASKED_COLUMN,
    &DUPLICATE_SUBJECT,
];
