//! Rules: Requests and the schema lock.
//!
//! Declarations only; the checks that report them are elsewhere.

use super::Rule;

/// Access that is asked for needs somebody who decides.
pub static REQUESTABLE_WITHOUT_APPROVER: Rule =
    Rule::error(701, "requestable-without-approver", "Access that is asked for needs somebody who decides.")
        .locked()
        .example(
            "request: { who: { groups: [dev] }, max_duration: 2h }",
            "request: { who: { groups: [dev] }, approvers: { groups: [dba] }, max_duration: 2h }",
        );

/// Everyone who may ask may also approve. Nobody approves their own request, but two colleagues could approve each other's without anyone else knowing.
pub static SELF_APPROVAL: Rule = Rule::error(
    702,
    "self-approval",
    "Everyone who may ask may also approve. Nobody approves their own request, but two colleagues could approve each other's without anyone else knowing.",
).locked()
.example("who: { groups: [dba] }\napprovers: { groups: [dba] }", "who: { groups: [dev] }\napprovers: { groups: [dba] }");

/// Requested access may be held for 24 hours at most. What is needed longer should be a standing policy that is reviewed.
pub static DURATION_TOO_LONG: Rule = Rule::error(
    703,
    "duration-too-long",
    "Requested access may be held for 24 hours at most. What is needed longer should be a standing policy that is reviewed.",
)
.example("max_duration: 30d", "max_duration: 8h");

/// Requested access ends. `max_duration` says when.
pub static DURATION_MISSING: Rule =
    Rule::error(704, "duration-missing", "Requested access ends. `max_duration` says when.").example(
        "request: { who: { groups: [dev] }, approvers: { groups: [dba] } }",
        "request: { who: { groups: [dev] }, approvers: { groups: [dba] }, max_duration: 2h }",
    );

/// There is no schema lock for the database, so no name can be checked. `daam schema pull` writes one.
pub static LOCK_MISSING: Rule = Rule::error(
    801,
    "lock-missing",
    "There is no schema lock for the database, so no name can be checked. `daam schema pull` writes one.",
)
.example("lock: schema/shop   # directory is empty", "daam schema pull --dsn … --out schema/shop");

/// The schema lock cannot be read or was edited by hand. Pull it again.
pub static LOCK_INVALID: Rule =
    Rule::error(804, "lock-invalid", "The schema lock cannot be read or was edited by hand. Pull it again.")
        .example("a line deleted from schema/shop/public.json", "daam schema pull --dsn … --out schema/shop");

pub(super) const REQUEST_RULES: &[&Rule] = &[
    &REQUESTABLE_WITHOUT_APPROVER,
    &SELF_APPROVAL,
    &DURATION_TOO_LONG,
    &DURATION_MISSING,
    &LOCK_MISSING,
    &LOCK_INVALID,
];
