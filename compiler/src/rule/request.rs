//! Rules: Requests and the schema lock.
//!
//! Declarations only; the checks that report them are elsewhere.

use super::Rule;

/// Access that is asked for needs somebody who decides.
pub static REQUESTABLE_WITHOUT_APPROVER: Rule =
    Rule::error(701, "requestable-without-approver", "Access that is asked for needs somebody who decides.")
        .fixed()
        .example(
            "\
kind: policy
name: oncall
database: shop
request:
  who: { groups: [dev] }
  max_duration: 2h
grants:
  - { on: public.orders, allow: [select, update] }
",
            "\
kind: policy
name: oncall
database: shop
request:
  who: { groups: [dev] }
  approvers: { groups: [dba] }
  max_duration: 2h
grants:
  - { on: public.orders, allow: [select, update] }
",
        );

/// Everyone who may ask may also approve. Nobody approves their own request, but two colleagues could approve each other's without anyone else knowing.
pub static SELF_APPROVAL: Rule = Rule::error(
    702,
    "self-approval",
    "Everyone who may ask may also approve. Nobody approves their own request, but two colleagues could approve each other's without anyone else knowing.",
)
.locked()
.example(
"\
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
"\
kind: policy
name: oncall
database: shop
request:
  who: { groups: [dev] }
  approvers: { groups: [dba] }
  max_duration: 2h
grants:
  - { on: public.orders, allow: [select, update] }
",
);

/// Requested access may be held for 24 hours at most. What is needed longer should be a standing policy that is reviewed.
pub static DURATION_TOO_LONG: Rule = Rule::error(
    703,
    "duration-too-long",
    "Requested access may be held for 24 hours at most. What is needed longer should be a standing policy that is reviewed.",
)
.fixed()
.example(
"\
kind: policy
name: oncall
database: shop
request:
  who: { groups: [dev] }
  approvers: { groups: [dba] }
  max_duration: 30d
grants:
  - { on: public.orders, allow: [select, update] }
",
"\
kind: policy
name: oncall
database: shop
request:
  who: { groups: [dev] }
  approvers: { groups: [dba] }
  max_duration: 8h
grants:
  - { on: public.orders, allow: [select, update] }
",
);

/// Requested access ends. `max_duration` says when.
pub static DURATION_MISSING: Rule =
    Rule::error(704, "duration-missing", "Requested access ends. `max_duration` says when.").fixed().example(
        "\
kind: policy
name: oncall
database: shop
request:
  who: { groups: [dev] }
  approvers: { groups: [dba] }
grants:
  - { on: public.orders, allow: [select, update] }
",
        "\
kind: policy
name: oncall
database: shop
request:
  who: { groups: [dev] }
  approvers: { groups: [dba] }
  max_duration: 2h
grants:
  - { on: public.orders, allow: [select, update] }
",
    );

/// The groups that approve have fewer members than approvals are needed, as far as `kind: group` and `kind: directory` documents say.
pub static APPROVER_GROUP_EMPTY: Rule = Rule::error(705, "approver-group-empty", "The groups that approve have fewer members than approvals are needed, as far as `kind: group` and `kind: directory` documents say. No request could ever be approved.")

.example(
"\
# file: groups/directory.yaml
kind: directory
groups: { support: 14, dba: 1 }
# file: policies/example.yaml
kind: policy
name: oncall
database: shop
request:
  who: { groups: [support] }
  approvers: { groups: [dba], count: 2 }
  max_duration: 2h
grants:
  - { on: public.orders, allow: [select, update] }
",
"\
# file: groups/directory.yaml
kind: directory
groups: { support: 14, dba: 1 }
# file: policies/example.yaml
kind: policy
name: oncall
database: shop
request:
  who: { groups: [support] }
  approvers: { groups: [dba], count: 1 }
  max_duration: 2h
grants:
  - { on: public.orders, allow: [select, update] }
",
);

/// `daam.yaml` calls the database `protected`, and this policy lets people write without asking.
pub static STANDING_WRITE: Rule = Rule::warning(707, "standing-write-in-protected", "`daam.yaml` calls the database `protected`, and this policy lets people write without asking. Move the verb into a policy with `request`: it is approved, and it ends.")

.example(
"\
# file: daam.yaml
kind: project
databases:
  shop: { lock: schema/shop, policies: [policies/*.yaml], protected: true }
# file: policies/example.yaml
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select, update] }
",
"\
# file: daam.yaml
kind: project
databases:
  shop: { lock: schema/shop, policies: [policies/*.yaml], protected: true }
# file: policies/example.yaml
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
",
);

/// There is no schema lock for the database, so no name can be checked. `daam schema pull` writes one.
pub static LOCK_MISSING: Rule = Rule::error(
    801,
    "lock-missing",
    "There is no schema lock for the database, so no name can be checked. `daam schema pull` writes one.",
)
.fixed()
.example(
    "\
# file: daam.yaml
kind: project
databases:
  shop: { lock: schema/shopp, policies: [policies/*.yaml] }
",
    "\
# file: daam.yaml
kind: project
databases:
  shop: { lock: schema/shop, policies: [policies/*.yaml] }
",
);

/// The schema lock is older than `lock_max_age` allows, or the live database has changed since: names are checked against a past schema. `daam schema check` compares with the database, `daam schema pull` writes the lock anew.
pub static LOCK_STALE: Rule = Rule::warning(
    802,
    "lock-stale",
    "The schema lock is older than `lock_max_age` allows, or the live database has changed since: names are checked against a past schema. `daam schema check` compares with the database, `daam schema pull` writes the lock anew.",
)
.example(
    "\
# file: daam.yaml
kind: project
attributes: { region: text, tenant_id: uuid }
databases:
  shop: { lock: schema/shop, lock_max_age: 30d, policies: [policies/*.yaml] }
",
    "\
# file: daam.yaml
kind: project
attributes: { region: text, tenant_id: uuid }
databases:
  shop: { lock: schema/shop, lock_max_age: 90d, policies: [policies/*.yaml] }
",
);

/// The schema lock was read from another database: its cluster, the database in it or the major version differs from the live one. What is checked against it says nothing about this database.
pub static LOCK_WRONG_DATABASE: Rule = Rule::error(
    803,
    "lock-wrong-database",
    "The schema lock was read from another database: its cluster, the database in it or the major version differs from the live one. What is checked against it says nothing about this database.",
)
.fixed()
.shown_by("daam schema check --dsn DSN")
.example(
    "\
# daam schema check --dsn postgresql://reader@staging.internal/shop, with a lock of the production database
",
    "\
# daam schema check --dsn postgresql://reader@db.internal/shop
",
);

/// The schema lock cannot be read or was edited by hand. Pull it again.
pub static LOCK_INVALID: Rule =
    Rule::error(804, "lock-invalid", "The schema lock cannot be read or was edited by hand. Pull it again.")
        .fixed()
        .example(
            "\
# file: schema/shop/public.json
{}
",
            "\
# Written by: daam schema pull --dsn DSN --out schema/shop
",
        );

/// The project has tests, and no case concerns this policy: none has one of its subjects looking at one of its relations.
pub static POLICY_UNTESTED: Rule = Rule::warning(805, "policy-untested", "The project has tests, and no case concerns this policy: none has one of its subjects looking at one of its relations. A change of it would go unnoticed.")

.example(
"\
# file: daam.yaml
kind: project
databases:
  shop: { lock: schema/shop, policies: [policies/*.yaml], tests: [tests/*.yaml] }
# file: policies/example.yaml
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
",
"\
# file: daam.yaml
kind: project
databases:
  shop: { lock: schema/shop, policies: [policies/*.yaml], tests: [tests/*.yaml] }
# file: policies/example.yaml
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
# file: tests/support.yaml
kind: test
database: shop
cases:
  - name: support sees the orders
    as: { email: sam@acme.test, groups: [support] }
    expect:
      public.orders: { select: allow }
",
);

/// A bundle whose effects are not the approved ones is not published.
pub static WIDENING_UNAPPROVED: Rule = Rule::error(
    806,
    "widening-unapproved",
    "What was approved is a meaning, not a text: the digest of the effects of the policies. A bundle with other effects needs an approval of its own, however small the edit was.",
)
.fixed()
.shown_by("daam policy publish shop.daam --to URL --require-approval DIGEST")
.example(
    "\
# daam policy publish shop.daam --require-approval DIGEST, with a bundle built after one more grant was added
",
    "\
# the digest `daam policy inspect` shows for the bundle is the one that was approved
",
);

/// A bundle is to be built from files that are not committed.
pub static DIRTY_TREE: Rule = Rule::error(
    807,
    "dirty-tree",
    "The files differ from the commit the bundle would name, so nobody could find out later what it was built from, nor build it again. Commit them first.",
)
.fixed()
.shown_by("daam policy build --require-clean")
.example(
    "\
# daam policy build --require-clean, with an edited and uncommitted policies/support.yaml
",
    "\
# the same after `git commit`
",
);

pub(super) const REQUEST_RULES: &[&Rule] = &[
    &REQUESTABLE_WITHOUT_APPROVER,
    &SELF_APPROVAL,
    &DURATION_TOO_LONG,
    &DURATION_MISSING,
    &APPROVER_GROUP_EMPTY,
    &STANDING_WRITE,
    &LOCK_MISSING,
    &LOCK_STALE,
    &LOCK_WRONG_DATABASE,
    &LOCK_INVALID,
    &POLICY_UNTESTED,
    &WIDENING_UNAPPROVED,
    &DIRTY_TREE,
];
