//! Numbers that name no rule, and why the language needs none there.

/// A number that will not be given to anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotARule {
    /// The number.
    pub number: u16,
    /// What it is called elsewhere.
    pub slug: &'static str,
    /// Why there is nothing to find.
    pub why: &'static str,
}

const fn not(number: u16, slug: &'static str, why: &'static str) -> NotARule {
    NotARule { number, slug, why }
}

/// All of them, by number.
pub const NOT_RULES: &[NotARule] = &[
    not(210, "negation-without-effect", "patterns have no negation; DAAM211 refuses one"),
    not(
        214,
        "overlapping-ownership",
        "a scope file belongs to one database; scopes do not share tables between owners",
    ),
    not(
        405,
        "filter-subquery-needs-grant",
        "the owner of the protecting view reads the table of a subquery, not the subject",
    ),
    not(
        408,
        "filter-not-leakproof",
        "filters live in security-barrier views: what a session calls runs after them, leakproof or not",
    ),
    not(
        413,
        "filter-search-path",
        "unqualified functions and operators are pinned to `pg_catalog` when the filter is written out again",
    ),
    not(
        504,
        "write-filter-without-check",
        "`rows` is checked for new rows too: writes go through views with a cascaded check option",
    ),
    not(505, "allow-deny-conflict", "the language has no deny; access is what grants add up to"),
    not(
        507,
        "grant-to-bypass-role",
        "subjects are people and groups, never roles of the server; sessions get a role of their own",
    ),
    not(508, "missing-schema-usage", "the agent grants USAGE on the schemas a session needs"),
    not(509, "missing-sequence-usage", "`insert` implies USAGE on the sequences its defaults use"),
    not(
        706,
        "expired-grant",
        "a grant has no end of its own; requested access ends by `max_duration`, and what ends by date is DAAM123",
    ),
    not(
        708,
        "break-glass-without-notify",
        "there is no access without an approval, so nothing to be told of afterwards",
    ),
    not(709, "bad-time-window", "the language has no times of day"),
];
