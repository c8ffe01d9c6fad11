//! Rules: Row filters whose answer the session could steer.
//!
//! Declarations only; the checks that report them are elsewhere.

use super::Rule;

/// The filter's answer depends on a setting every session can change, such as `TimeZone` or `DateStyle`.
pub static FILTER_SESSION_SETTING: Rule = Rule::error(
    418,
    "filter-session-setting",
    "The filter's answer depends on a setting every session can change, such as `TimeZone`, `DateStyle` or `lc_numeric`: people could move rows into their reach with `SET`. Name the time zone, and compare values instead of their text. The clock (`now()`) is fine.",
)
.locked()
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: placed_at::date = '2026-01-31'
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - on: public.orders
    allow: [select]
    rows: (placed_at at time zone 'UTC')::date = '2026-01-31'
",
);

/// The filter calls a function that looks for names where its caller says.
pub static FILTER_FUNCTION_SEARCH_PATH: Rule = Rule::error(
    419,
    "filter-function-search-path",
    "The filter calls a function that looks for names in the search path of its caller, where temporary objects come first. Whoever the filter is for can put a table of their own in the place of the one the function means. Set `search_path` on the function, with `pg_temp` at its end, or write its body in standard SQL (`BEGIN ATOMIC`).",
)
.locked()
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select], rows: public.is_current(id) }
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select], rows: public.is_listed(id) }
",
);

pub(super) const STEERED_RULES: &[&Rule] = &[&FILTER_SESSION_SETTING, &FILTER_FUNCTION_SEARCH_PATH];
