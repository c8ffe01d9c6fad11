//! The pages of the rules: what `daam policy rule` prints, and the reference made of all of them.

use super::{NOT_RULES, Nature, Rule, all, example};
use daam_diagnostic::Applicability;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// One rule as Markdown, headed at a level.
pub fn markdown(rule: &Rule, level: usize) -> String {
    let heading = "#".repeat(level);
    let mut page = format!("{heading} {} {}\n\n", rule.code, rule.code.slug);
    let _ = writeln!(page, "Default: {}. {} {}\n\n{}", rule.severity, silenced(rule), fixed(rule), rule.docs);
    for (title, text) in [("Found", rule.bad), ("Right", rule.good)] {
        let _ = write!(page, "\n{title}:\n\n```yaml\n{}\n```\n", text.trim_end());
    }
    if let Some(command) = rule.shown_by {
        let _ = write!(page, "\nShown by:\n\n```console\n$ {command}\n```\n");
    }
    page
}

/// One rule as text for a terminal.
pub fn text(rule: &Rule) -> String {
    let mut page = format!("{} {}\n\n", rule.code, rule.code.slug);
    let _ = writeln!(page, "Default: {}. {} {}\n\n{}", rule.severity, silenced(rule), fixed(rule), rule.docs);
    for (title, text) in [("Found", rule.bad), ("Right", rule.good)] {
        let _ = write!(page, "\n{title}:\n\n");
        for line in text.trim_end().lines() {
            let _ = writeln!(page, "    {line}");
        }
    }
    if let Some(command) = rule.shown_by {
        let _ = write!(page, "\nShown by:\n\n    {command}\n");
    }
    page
}

/// One rule as JSON.
pub fn json(rule: &Rule) -> Value {
    json!({
        "code": rule.code.to_string(),
        "slug": rule.code.slug,
        "severity": rule.severity.as_str(),
        "nature": rule.nature.as_str(),
        "fix": rule.fix.map(Applicability::as_str),
        "docs": rule.docs,
        "bad": rule.bad,
        "good": rule.good,
        "shown_by": rule.shown_by,
    })
}

/// All rules as JSON.
pub fn json_reference() -> Value {
    let unused: Vec<Value> = NOT_RULES
        .iter()
        .map(|entry| json!({ "number": entry.number, "slug": entry.slug, "why": entry.why }))
        .collect();
    json!({ "version": 1, "rules": all().map(json).collect::<Vec<_>>(), "not_rules": unused })
}

/// All rules as text.
pub fn text_reference() -> String {
    all().map(text).collect::<Vec<_>>().join("\n\n")
}

/// All rules as Markdown: the page `policy-examples/rules.md`.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("| code | name | default | silenced by | fix |\n|---|---|---|---|---|\n");
    for rule in all() {
        let silenced = match rule.nature {
            Nature::Free => "level, comment",
            Nature::Locked => "waiver",
            Nature::Fixed => "nothing",
        };
        let fix = rule.fix.map_or("", Applicability::as_str);
        let (code, slug) = (rule.code.to_string(), rule.code.slug);
        let anchor = format!("{}-{slug}", code.to_lowercase());
        let _ = writeln!(page, "| [{code}](#{anchor}) | `{slug}` | {} | {silenced} | {fix} |", rule.severity);
    }
    let _ = write!(
        page,
        "\n## The project of the examples\n\nEach example is run as a test against this project; a line `# file: …` \
         begins another file, otherwise it is `{}`.\n\n```yaml\n{}```\n\n```text\n{}```\n\nThe schema `schema/legacy` of some of \
         them:\n\n```text\n{}```\n\n## Rules\n",
        example::DEFAULT_FILE,
        example::PROJECT,
        example::SCHEMA,
        example::LEGACY
    );
    for rule in all() {
        page.push('\n');
        page.push_str(&markdown(rule, 3));
    }
    page.push_str(UNUSED);
    for entry in NOT_RULES {
        let _ = writeln!(page, "| {} | `{}` | {} |", entry.number, entry.slug, entry.why);
    }
    page
}

fn silenced(rule: &Rule) -> &'static str {
    match rule.nature {
        Nature::Free => {
            "The level can be set under `lint.levels`; a comment with a reason silences one finding."
        }
        Nature::Locked => "It guards exposure: only a waiver in `daam.yaml` silences a finding.",
        Nature::Fixed => "Nothing silences it: the policy would not mean what it says.",
    }
}

fn fixed(rule: &Rule) -> &'static str {
    match rule.fix {
        None => "There is no automatic fix.",
        Some(Applicability::Safe) => "`daam policy check --fix` puts it right.",
        Some(Applicability::Unsafe) => {
            "`daam policy check --fix --unsafe-fixes` applies the suggestion; review what it changes."
        }
        Some(Applicability::Display) => "A finding shows a change to copy.",
    }
}

const INTRODUCTION: &str = "\
# Rules

Every finding of `daam policy check` has a code that is never reused and a name; either can be used wherever a rule
is named. This page is printed by `daam policy rule --all --format markdown`.

## Levels, comments and waivers

* **Levels.** `daam.yaml` sets the level of a rule for the project: `lint: { levels: { shadowed-grant: error,
  conflicting-masks: off } }`, each `off`, `info`, `warning` or `error`. A level replaces the default of the rule and
  whatever weaker or stronger severity a single finding would have had. Rules that guard exposure can be raised and
  not lowered; rules about meaning cannot be changed at all.
* **Comments.** `# daam: ignore[shadowed-grant] reason=\"kept for the audit\" until=2027-03-31` silences findings that
  begin on its own line, or, on a line of its own, on the next line that holds something. The reason is mandatory,
  `until` is the last day it holds. A comment that silences nothing is itself a finding, and so is one that has ended.
* **Waivers.** Findings of rules that guard exposure are waived in `daam.yaml` only, where code owners can require a
  review: `waivers: [{ rule: self-approval, policy: oncall, owner: security@acme.test, reason: \"…\", until: 2027-03-31 }]`.
  `on: schema.table.column` or `on: schema.table` names the object, `policy:` the policy, both together mean both;
  `database:` is needed when the project has several. Everything else is mandatory. A waiver that has ended, or that
  waives nothing, is a finding.

What was silenced by a comment or a waiver stays in the reports: `\"waived\"` in JSON, `suppressions` in SARIF.

## Overview

";

const UNUSED: &str = "
## Numbers without a rule

These numbers are taken by what other policy languages check. Here there is nothing to check, and this is why.

| number | name | why |
|---|---|---|
";
