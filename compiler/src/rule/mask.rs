//! Rules: Masks.
//!
//! Declarations only; the checks that report them are elsewhere.

use super::Rule;

/// The preset does not work on the column's type. It would show NULL instead, which is safe but not what was asked for.
pub static MASK_TYPE_MISMATCH: Rule = Rule::error(
    301,
    "mask-type-mismatch",
    "The preset does not work on the column's type. It would show NULL instead, which is safe but not what was asked for.",
)
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
masks:
  - { on: public.orders.total, with: email }
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
masks:
  - { on: public.orders.total, with: { bucket: 100 } }
",
);

/// Several rules mask one column differently. The strictest wins for whoever both apply to; this says which one that is.
pub static CONFLICTING_MASKS: Rule = Rule::info(
    302,
    "conflicting-masks",
    "Several rules mask one column differently. The strictest wins for whoever both apply to; this says which one that is.",
)
.example(
r#"kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
masks:
  - { on: public.orders.note, with: redact }
  - { on: "public.*.note", with: hash }
"#,
r#"kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
masks:
  - { on: "public.*.note", with: redact }
"#,
);

/// The mask covers only columns nobody may read. It is kept, but probably the wrong column is masked.
pub static MASK_NOT_GRANTED: Rule = Rule::warning(
    303,
    "mask-not-granted",
    "The mask covers only columns nobody may read. It is kept, but probably the wrong column is masked.",
)
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
masks:
  - { on: public.order_items.price, with: { bucket: 10 } }
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: [public.orders, public.order_items], allow: [select] }
masks:
  - { on: public.order_items.price, with: { bucket: 10 } }
",
);

/// A granted view reads a masked column of its base table, and the view's own columns are not masked. Whoever reads the view sees the raw value.
pub static MASKED_COLUMN_EXPOSED_BY_VIEW: Rule = Rule::error(
    306,
    "masked-column-exposed-by-view",
    "A granted view reads a masked column of its base table, and the view's own columns are not masked. Whoever reads the view sees the raw value.",
)
.locked()
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: [public.orders, public.order_notes], allow: [select] }
masks:
  - { on: public.orders.note, with: redact }
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

/// A restriction is written on a partition or child table whose parent is granted to the same people without it. Through the parent its rows would show unrestricted, so the agent would not grant that verb on the parent. Masks and filters of a parent reach its children by themselves.
pub static PARTITION_OR_CHILD_BYPASS: Rule = Rule::error(
    307,
    "partition-or-child-bypass",
    "A restriction is written on a partition or child table whose parent is granted to the same people without it. Through the parent its rows would show unrestricted, so the agent would not grant that verb on the parent. Masks and filters of a parent reach its children by themselves.",
)
.locked()
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: analytics.events, allow: [select] }
  - { on: analytics.events_eu, allow: [select], restrict: kind = 'click' }
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: analytics.events, allow: [select], restrict: kind = 'click' }
",
);

pub(super) const MASK_RULES: &[&Rule] = &[
    &MASK_TYPE_MISMATCH,
    &CONFLICTING_MASKS,
    &MASK_NOT_GRANTED,
    &MASKED_COLUMN_EXPOSED_BY_VIEW,
    &PARTITION_OR_CHILD_BYPASS,
];
