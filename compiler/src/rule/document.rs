//! Rules: How documents are written: YAML, keys, scalars.
//!
//! Declarations only; the checks that report them are elsewhere.

use super::Rule;
use daam_diagnostic::Applicability;

/// The document is not YAML. It is left out and reading goes on at the next `---`, so that the other documents are still checked.
pub static INVALID_YAML: Rule = Rule::error(
    101,
    "invalid-yaml",
    "The document is not YAML. It is left out and reading goes on at the next `---`, so that the other documents are still checked.",
)
.fixed()
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
session: { read_only: true }
",
);

/// A key occurs twice in one mapping. Parsers disagree on which one counts; in an access policy that would hide a rule from the reviewer.
pub static DUPLICATE_KEY: Rule = Rule::error(
    102,
    "duplicate-key",
    "A key occurs twice in one mapping. Parsers disagree on which one counts; in an access policy that would hide a rule from the reviewer.",
)
.fixed()
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
session: { read_only: true, read_only: false }
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
session: { read_only: true }
",
);

/// A key the language does not know. A mistyped `masks` must not silently mean that nothing is masked.
pub static UNKNOWN_KEY: Rule = Rule::error(
    103,
    "unknown-key",
    "A key the language does not know. A mistyped `masks` must not silently mean that nothing is masked.",
)
.fixed()
.fix(Applicability::Unsafe)
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
maks:
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

/// Anchors, aliases and merge keys hide meaning from a review: the text of one place changes another. Write the value out.
pub static ANCHOR_ALIAS_MERGE: Rule = Rule::error(
    104,
    "anchor-alias-merge",
    "Anchors, aliases and merge keys hide meaning from a review: the text of one place changes another. Write the value out.",
)
.fixed()
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: &tables [public.orders], allow: [select] }
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: [public.orders], allow: [select] }
",
);

/// Tags and `%` directives change how the document is read. The language needs neither.
pub static TAG_OR_DIRECTIVE: Rule = Rule::error(
    105,
    "tag-or-directive",
    "Tags and `%` directives change how the document is read. The language needs neither.",
)
.fixed()
.example(
    "\
kind: policy
name: !!str support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
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

/// An unquoted value that some YAML readers take for a number, a boolean, a time or nothing, where a text is expected. Quote it so that everyone reads the same.
pub static AMBIGUOUS_SCALAR: Rule = Rule::error(
    106,
    "ambiguous-scalar",
    "An unquoted value that some YAML readers take for a number, a boolean, a time or nothing, where a text is expected. Quote it so that everyone reads the same.",
)
.fixed()
.fix(Applicability::Safe)
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [no] }
grants:
  - { on: public.orders, allow: [select] }
",
r#"kind: policy
name: support
database: shop
subjects: { groups: ["no"] }
grants:
  - { on: public.orders, allow: [select] }
"#,
);

/// A value of another kind than the language expects here, e.g. a list where a mapping belongs, or a duration without a unit.
pub static WRONG_NODE_TYPE: Rule = Rule::error(
    107,
    "wrong-node-type",
    "A value of another kind than the language expects here, e.g. a list where a mapping belongs, or a duration without a unit.",
)
.fixed()
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
session: { idle_timeout: 30 }
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
session: { idle_timeout: 30s }
",
);

/// Something that has to be said is not said. Nothing about access is assumed.
pub static MISSING_KEY: Rule = Rule::error(
    108,
    "missing-key",
    "Something that has to be said is not said. Nothing about access is assumed.",
)
.fixed()
.example(
    "\
kind: policy
name: support
database: shop
grants:
  - { on: public.orders, allow: [select] }
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

/// A key with nothing after it where a list or a mapping is expected. Nothing must not read as "no masks": leave the key out or write the empty list.
pub static NULL_WHERE_COLLECTION: Rule = Rule::error(
    109,
    "null-where-collection",
    "A key with nothing after it where a list or a mapping is expected. Nothing must not read as \"no masks\": leave the key out or write the empty list.",
)
.fixed()
.example(
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
masks:
",
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
masks: []
",
);

/// A `kind` this version of the compiler does not know. A document that is not understood is never skipped.
pub static UNSUPPORTED_VERSION: Rule = Rule::error(
    110,
    "unsupported-version",
    "A `kind` this version of the compiler does not know. A document that is not understood is never skipped.",
)
.fixed()
.fix(Applicability::Unsafe)
.example(
"\
kind: polcy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
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

/// The text contains characters that do not show or that turn the reading direction, or a blank that is not a space. What the reviewer sees is then not what the compiler reads.
pub static CONFUSABLE_IDENTIFIER: Rule = Rule::error(
    111,
    "confusable-identifier",
    "The text contains characters that do not show or that turn the reading direction, or a blank that is not a space. What the reviewer sees is then not what the compiler reads.",
)
.fixed()
.example(
r#"kind: policy
name: support
database: shop
subjects: { groups: ["sup\u200Bport"] }
grants:
  - { on: public.orders, allow: [select] }
"#,
"\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: public.orders, allow: [select] }
",
);

/// The file is larger or deeper than a policy can sensibly be: 1 MiB, 50 000 nodes, 64 levels. It is refused before it is read in full.
pub static DOCUMENT_BUDGET: Rule = Rule::error(
    112,
    "document-budget",
    "The file is larger or deeper than a policy can sensibly be: 1 MiB, 50 000 nodes, 64 levels. It is refused before it is read in full.",
)
.fixed()
.example(
"\
kind: policy
name: support
database: shop
subjects: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
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

/// Two keys that exclude each other. Which of them would count is for the author to say.
pub static CONFLICTING_KEYS: Rule = Rule::error(
    113,
    "conflicting-keys",
    "Two keys that exclude each other. Which of them would count is for the author to say.",
)
.fixed()
.example(
    "\
kind: policy
name: support
database: shop
subjects: { groups: [support] }
request:
  { who: { groups: [dev] }, approvers: { groups: [dba] }, max_duration: 2h }
grants:
  - { on: public.orders, allow: [select] }
",
    "\
kind: policy
name: support
database: shop
request:
  { who: { groups: [dev] }, approvers: { groups: [dba] }, max_duration: 2h }
grants:
  - { on: public.orders, allow: [select] }
",
);

pub(super) const DOCUMENT_RULES: &[&Rule] = &[
    &INVALID_YAML,
    &DUPLICATE_KEY,
    &UNKNOWN_KEY,
    &ANCHOR_ALIAS_MERGE,
    &TAG_OR_DIRECTIVE,
    &AMBIGUOUS_SCALAR,
    &WRONG_NODE_TYPE,
    &MISSING_KEY,
    &NULL_WHERE_COLLECTION,
    &UNSUPPORTED_VERSION,
    &CONFUSABLE_IDENTIFIER,
    &DOCUMENT_BUDGET,
    &CONFLICTING_KEYS,
];
