//! Rules: what a database leaves open by itself, whatever policies say.
//!
//! Declarations only; the checks that report them are elsewhere.

use super::Rule;

/// Everybody who can connect holds something on a relation.
pub static PUBLIC_BYPASS: Rule = Rule::warning(
    810,
    "public-bypass",
    "PostgreSQL's own grants give PUBLIC rights on a relation in scope: everybody who can connect reads or writes it, past every mask and filter. `daam-agent doctor` reports the same of the live database. Revoke it.",
)
.locked()
.also(&[811])
.example(BAD_TABLE, GOOD_TABLE);

/// Everybody may call a function that runs with its owner's rights.
pub static DEFINER_FUNCTION_PUBLIC: Rule = Rule::warning(
    811,
    "definer-function-public",
    "A SECURITY DEFINER function may be called by PUBLIC, as PostgreSQL grants it unless it is revoked. It reads what its owner may read, and no policy holds for that. Revoke EXECUTE and grant the function to those who need it, under `functions`.",
)
.locked()
.also(&[810])
.example(BAD_TABLE, GOOD_TABLE);

/// A granted function with its owner's rights looks for names where its caller says.
pub static DEFINER_SEARCH_PATH: Rule = Rule::warning(
    812,
    "definer-search-path",
    "A policy grants a SECURITY DEFINER function that does not set `search_path`. Names in it without a schema are looked up where its caller says, so a caller who can create objects anywhere can have it do something else with its owner's rights.",
)
.locked()
.also(&[810, 811])
.example(
    "\
# file: daam.yaml
kind: project
databases:
  legacy: { lock: schema/legacy, policies: [policies/*.yaml] }
# file: policies/example.yaml
kind: policy
name: support
database: legacy
subjects: { groups: [support] }
grants:
  - { functions: [public.close_account] }
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { functions: [public.order_total] }
",
);

/// A granted function is written in a language without bounds.
pub static UNTRUSTED_LANGUAGE: Rule = Rule::warning(
    813,
    "untrusted-language",
    "A policy grants a function written in an untrusted language: it can read files and talk to other machines as the server itself. Nothing about it can be told from its definition.",
)
.locked()
.also(&[810, 811])
.example(
    "\
# file: daam.yaml
kind: project
databases:
  legacy: { lock: schema/legacy, policies: [policies/*.yaml] }
# file: policies/example.yaml
kind: policy
name: support
database: legacy
subjects: { groups: [support] }
grants:
  - { functions: [public.send_mail] }
",
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { functions: [public.order_total] }
",
);

/// A granted relation lives on another server.
pub static FOREIGN_TABLE_GRANTED: Rule = Rule::info(
    814,
    "foreign-table-granted",
    "A policy grants a foreign table. Its masks and filters hold here; who reads the other server sees its rows as they are, and the agent reads them with the rights of the user mapping.",
)
.also(&[810, 811])
.example(
    "\
# file: daam.yaml
kind: project
databases:
  legacy: { lock: schema/legacy, policies: [policies/*.yaml] }
# file: policies/example.yaml
kind: policy
name: support
database: legacy
subjects: { groups: [support] }
grants:
  - { on: public.remote_orders, allow: [select] }
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

const BAD_TABLE: &str = "\
# file: daam.yaml
kind: project
databases:
  legacy: { lock: schema/legacy, policies: [policies/*.yaml] }
# file: policies/example.yaml
kind: policy
name: support
database: legacy
subjects: { groups: [support] }
grants:
  - { on: public.prices, allow: [select] }
";

const GOOD_TABLE: &str = "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
";

pub(super) const OPENING_RULES: &[&Rule] = &[
    &PUBLIC_BYPASS,
    &DEFINER_FUNCTION_PUBLIC,
    &DEFINER_SEARCH_PATH,
    &UNTRUSTED_LANGUAGE,
    &FOREIGN_TABLE_GRANTED,
];
