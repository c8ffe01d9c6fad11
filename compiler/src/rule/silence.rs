//! Rules: Comments, levels and waivers that silence findings.
//!
//! Declarations only; the checks that report them are elsewhere.

use super::Rule;
use daam_diagnostic::Applicability;

/// The comment silences nothing: the finding is gone, or never was. It would silence the next one, which nobody has looked at.
pub static UNUSED_SUPPRESSION: Rule = Rule::warning(
    120,
    "unused-suppression",
    "The comment silences nothing: the finding is gone, or never was. It would silence the next one, which nobody has looked at. It is looked for only where nothing else kept the check from being complete.",
)
.fix(Applicability::Safe)
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  # daam: ignore[shadowed-grant] reason=\"kept until the audit\"
  - { on: public.orders, allow: [select] }
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  # daam: ignore[shadowed-grant] reason=\"kept until the audit\"
  - { on: public.orders, allow: [select], rows: total < 100 }
  - { on: \"public.order*\", allow: [select] }
",
);

/// Whoever silences a finding says why, for the reviewer and for the one who finds it in a year.
pub static SUPPRESSION_WITHOUT_REASON: Rule = Rule::error(
    121,
    "suppression-without-reason",
    "Whoever silences a finding says why, for the reviewer and for the one who finds it in a year.",
)
.fixed()
.also(&[501])
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  # daam: ignore[shadowed-grant]
  - { on: public.orders, allow: [select], rows: total < 100 }
  - { on: \"public.order*\", allow: [select] }
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  # daam: ignore[shadowed-grant] reason=\"kept until the audit\" until=2027-03-31
  - { on: public.orders, allow: [select], rows: total < 100 }
  - { on: \"public.order*\", allow: [select] }
",
);

/// There is no rule of that code or name, so nothing is silenced or set.
pub static UNKNOWN_RULE: Rule =
    Rule::error(122, "unknown-rule", "There is no rule of that code or name, so nothing is silenced or set.")
        .fixed()
        .fix(Applicability::Unsafe)
        .example(
            "\
# file: daam.yaml
kind: project
databases:
  shop: { lock: schema/shop, policies: [policies/*.yaml] }
lint: { levels: { shadowd-grant: error } }
",
            "\
# file: daam.yaml
kind: project
databases:
  shop: { lock: schema/shop, policies: [policies/*.yaml] }
lint: { levels: { shadowed-grant: error } }
",
        );

/// A comment or a waiver holds until the day it names. What it silenced is a finding again, and somebody has to look at it.
pub static EXPIRED_WAIVER: Rule = Rule::error(
    123,
    "expired-waiver",
    "A comment or a waiver holds until the day it names, that day included. What it silenced is a finding again, and somebody has to look at it.",
)
.fixed()
.also(&[501])
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  # daam: ignore[shadowed-grant] reason=\"kept until the audit\" until=2025-12-31
  - { on: public.orders, allow: [select], rows: total < 100 }
  - { on: \"public.order*\", allow: [select] }
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: \"public.order*\", allow: [select] }
",
);

/// A comment that begins with `daam:` and cannot be read. Somebody believes it silences something.
pub static INVALID_SUPPRESSION: Rule = Rule::error(
    124,
    "invalid-suppression",
    "A comment that begins with `daam:` and cannot be read. Somebody believes it silences something.",
)
.fixed()
.also(&[501])
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  # daam: ignore shadowed-grant, kept until the audit
  - { on: public.orders, allow: [select], rows: total < 100 }
  - { on: \"public.order*\", allow: [select] }
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  # daam: ignore[shadowed-grant] reason=\"kept until the audit\"
  - { on: public.orders, allow: [select], rows: total < 100 }
  - { on: \"public.order*\", allow: [select] }
",
);

/// A comment, a level or a waiver for a rule it cannot silence. Rules that guard exposure are waived in `daam.yaml` only, where owner, reason and end are mandatory and code owners can require a review; rules about meaning are never silenced.
pub static NOT_SILENCEABLE: Rule = Rule::error(
    125,
    "not-silenceable",
    "A comment, a level or a waiver for a rule it cannot silence. Rules that guard exposure are waived in `daam.yaml` only, where owner, reason and end are mandatory and code owners can require a review; rules about meaning are never silenced.",
)
.fixed()
.also(&[702])
.example(
    "\
kind: policy
name: oncall
database: shop
request:
  who: { groups: [dba] }
  # daam: ignore[self-approval] reason=\"we are only three\"
  approvers: { groups: [dba] }
  max_duration: 2h
grants:
  - { on: public.orders, allow: [select, update] }
",
    "\
# file: daam.yaml
kind: project
databases:
  shop: { lock: schema/shop, policies: [policies/*.yaml] }
waivers:
  - rule: self-approval
    policy: oncall
    owner: security@acme.test
    reason: the team has three people until spring
    until: 2027-03-31
# file: policies/example.yaml
kind: policy
name: oncall
database: shop
request:
  who: { groups: [dba] }
  approvers: { groups: [dba] }
  max_duration: 2h
grants:
  - { on: public.orders, allow: [select, update] }
",
);

/// The waiver waives nothing: the finding is gone, or the object is called differently.
pub static UNUSED_WAIVER: Rule = Rule::warning(
    126,
    "unused-waiver",
    "The waiver waives nothing: the finding is gone, or the object is called differently. It would silence a finding nobody has looked at. It is looked for only where nothing else kept the check from being complete.",
)
.example(
    "\
# file: daam.yaml
kind: project
databases:
  shop: { lock: schema/shop, policies: [policies/*.yaml] }
waivers:
  - { rule: self-approval, policy: oncall, owner: security@acme.test, reason: we are three, until: 2027-03-31 }
",
    "\
# file: daam.yaml
kind: project
databases:
  shop: { lock: schema/shop, policies: [policies/*.yaml] }
",
);

pub(super) const SILENCE_RULES: &[&Rule] = &[
    &UNUSED_SUPPRESSION,
    &SUPPRESSION_WITHOUT_REASON,
    &UNKNOWN_RULE,
    &EXPIRED_WAIVER,
    &INVALID_SUPPRESSION,
    &NOT_SILENCEABLE,
    &UNUSED_WAIVER,
];
