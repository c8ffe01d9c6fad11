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
.example("on: public.users.age\nwith: email", "on: public.users.age\nwith: { bucket: 10 }");

/// Several rules mask one column differently. The strictest wins for whoever both apply to; this says which one that is.
pub static CONFLICTING_MASKS: Rule = Rule::info(
    302,
    "conflicting-masks",
    "Several rules mask one column differently. The strictest wins for whoever both apply to; this says which one that is.",
)
.example("on: public.users.email   # hash here, email in another policy", "one preset for the column");

/// The mask covers only columns nobody may read. It is kept, but probably the wrong column is masked.
pub static MASK_NOT_GRANTED: Rule = Rule::warning(
    303,
    "mask-not-granted",
    "The mask covers only columns nobody may read. It is kept, but probably the wrong column is masked.",
)
.example(
    "masks: [{ on: public.users.ssn, with: redact }]   # no grant on public.users",
    "grants: [{ on: public.users, allow: [select] }]",
);

/// A granted view reads a masked column of its base table, and the view's own columns are not masked. Whoever reads the view sees the raw value.
pub static MASKED_COLUMN_EXPOSED_BY_VIEW: Rule = Rule::error(
    306,
    "masked-column-exposed-by-view",
    "A granted view reads a masked column of its base table, and the view's own columns are not masked. Whoever reads the view sees the raw value.",
).locked()
.example("grants: [{ on: public.user_list, allow: [select] }]\nmasks: [{ on: public.users.email, with: email }]", "masks: [{ on: [public.users.email, public.user_list.email], with: email }]");

pub(super) const MASK_RULES: &[&Rule] =
    &[&MASK_TYPE_MISMATCH, &CONFLICTING_MASKS, &MASK_NOT_GRANTED, &MASKED_COLUMN_EXPOSED_BY_VIEW];
