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

/// The mask shows NULL in a column that is declared NOT NULL.
pub static MASK_NULL_ON_NOT_NULL: Rule = Rule::warning(304, "mask-null-on-not-null", "The mask shows NULL in a column that is declared NOT NULL. Programs and drivers that rely on the declaration may break.")

.example(
r#"kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
masks:
  - { on: public.orders.status, with: "null" }
"#,
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
masks:
  - { on: public.orders.status, with: redact }
",
);

/// A column of a foreign key is masked so that equal values do not stay equal on both sides.
pub static MASK_BREAKS_JOIN: Rule = Rule::warning(305, "mask-breaks-join", "A column of a foreign key is masked so that equal values do not stay equal on both sides. Joins over it find nothing, or too much. `hash` on both columns keeps them.")

.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: [public.order_items, public.orders], allow: [select] }
masks:
  - { on: public.order_items.order_id, with: redact }
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: [public.order_items, public.orders], allow: [select] }
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
masks:
  - { on: analytics.events.client_ip, with: { network: 16 } }
",
);

/// The mask gives the value back: all bits of an IPv4 address, or a number but for its fraction.
pub static REVERSIBLE_MASK: Rule = Rule::warning(309, "reversible-mask", "The mask gives the value back: all bits of an IPv4 address, or a number but for its fraction. (`hash` has a key of its own for each database and cannot be undone by hashing guesses.)")

.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
masks:
  - { on: public.orders.total, with: { bucket: 1 } }
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
masks:
  - { on: public.orders.total, with: { bucket: 1000 } }
",
);

/// The mask shows half of the characters the column can hold, or eight and more where there is no limit.
pub static PARTIAL_MASK_TOO_REVEALING: Rule = Rule::warning(
    310,
    "partial-mask-too-revealing",
    "The mask shows half of the characters the column can hold, or eight and more where there is no limit.",
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
  - { on: public.orders.note, with: { partial: { prefix: 6, suffix: 4 } } }
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
masks:
  - { on: public.orders.note, with: { partial: { prefix: 1, suffix: 2 } } }
",
);

/// Something granted shows a masked value under another name.
pub static DERIVED_COLUMN_EXPOSURE: Rule = Rule::error(
    308,
    "derived-column-exposure",
    "Something granted shows a masked value under another name: a view that reads a column generated from a masked one, or a column of a child table whose parent masks it; or a column that refers to a masked one by a foreign key and so holds the same values in clear. Such a view would not be granted; mask the referring column too, or leave it out.",
)
.locked()
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: [public.orders, public.order_labels], allow: [select] }
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

pub(super) const MASK_RULES: &[&Rule] = &[
    &MASK_TYPE_MISMATCH,
    &CONFLICTING_MASKS,
    &MASK_NOT_GRANTED,
    &MASK_NULL_ON_NOT_NULL,
    &MASK_BREAKS_JOIN,
    &MASKED_COLUMN_EXPOSED_BY_VIEW,
    &PARTITION_OR_CHILD_BYPASS,
    &DERIVED_COLUMN_EXPOSURE,
    &REVERSIBLE_MASK,
    &PARTIAL_MASK_TOO_REVEALING,
];
