//! The pages of the rules are true: every bad example breaks its rule and nothing else, every good one does not.
//!
//! `DAAM_WRITE_RULES=1 cargo test -p daam-compiler rules` writes the reference page.

use crate::catalogue;
use daam_compiler::rule::{self, Rule, example, page};
use daam_compiler::{Checked, MemoryFiles, Options, Workspace};
use daam_diagnostic::Severity;
use std::collections::BTreeSet;
use std::path::Path;

/// The rules a first version of the language was meant to have, by number.
const MEANT: [u16; 49] = [
    101, 102, 103, 104, 106, 107, 109, 111, 120, 201, 202, 203, 204, 206, 207, 208, 209, 212, 301, 302, 303,
    306, 307, 401, 402, 403, 404, 405, 406, 407, 409, 410, 413, 501, 502, 503, 504, 507, 601, 602, 603, 701,
    702, 703, 801, 802, 805, 806, 807,
];

/// Those of them that are not written yet.
const PENDING: [u16; 0] = [];

fn checked(example: &str) -> Checked {
    let catalog = catalogue::parse(example::SCHEMA);
    let files = catalogue::with_lock(MemoryFiles::new(), "schema/shop", &catalog);
    let files = catalogue::with_lock(files, "schema/legacy", &catalogue::parse(example::LEGACY));
    let files = example::files(example).into_iter().fold(files, |files, (path, text)| files.with(path, text));
    let options = Options { today: daam_compiler::Day::parse("2026-11-22") };
    Workspace::new(options).check(&files)
}

fn found(checked: &Checked) -> BTreeSet<u16> {
    checked.diagnostics.iter().map(|found| found.code.number).collect()
}

fn told(checked: &Checked) -> Vec<String> {
    checked.diagnostics.iter().map(|found| format!("{} {}", found.code, found.message)).collect()
}

fn shown() -> impl Iterator<Item = &'static Rule> {
    rule::all().filter(|rule| rule.shown_by.is_none())
}

#[test]
fn every_bad_example_breaks_its_rule_and_no_other() {
    let mut wrong = Vec::new();
    for rule in shown() {
        let checked = checked(rule.bad);
        let number = rule.code.number;
        let expected: BTreeSet<u16> = rule.also.iter().copied().chain([number]).collect();
        if found(&checked) != expected {
            wrong.push(format!("{}: {:#?}", rule.code, told(&checked)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_good_example_is_free_of_its_rule_and_of_errors() {
    let mut wrong = Vec::new();
    for rule in shown() {
        let checked = checked(rule.good);
        let own = found(&checked).contains(&rule.code.number);
        let errors = checked.diagnostics.iter().any(|found| found.severity == Severity::Error);
        if own || errors {
            wrong.push(format!("{}: {:#?}", rule.code, told(&checked)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_finding_has_only_fixes_its_rule_announces() {
    for rule in shown() {
        for found in &checked(rule.bad).diagnostics {
            let announced = rule::of(found.code).and_then(|rule| rule.fix);
            for fix in &found.fixes {
                assert!(Some(fix.applicability) <= announced.map(Some).unwrap_or_default(), "{}", found.code);
            }
        }
    }
}

#[test]
fn every_fix_a_rule_announces_is_in_its_example() {
    for rule in shown().filter(|rule| rule.fix.is_some()) {
        let fixes: Vec<_> = checked(rule.bad)
            .diagnostics
            .iter()
            .filter(|found| found.code == rule.code)
            .flat_map(|found| &found.fixes)
            .map(|fix| fix.applicability)
            .collect();
        assert!(fixes.contains(&rule.fix.unwrap()), "{} shows {fixes:?}", rule.code);
    }
}

#[test]
fn every_number_that_was_meant_is_a_rule_or_says_why_not() {
    let unaccounted: Vec<u16> = MEANT
        .into_iter()
        .filter(|number| !PENDING.contains(number))
        .filter(|number| !rule::all().any(|rule| rule.code.number == *number))
        .filter(|number| !rule::NOT_RULES.iter().any(|entry| entry.number == *number))
        .collect();
    assert!(unaccounted.is_empty(), "{unaccounted:?}");
}

#[test]
fn no_number_is_both_a_rule_and_not_one() {
    assert!(rule::NOT_RULES.is_sorted_by_key(|entry| entry.number));
    for entry in rule::NOT_RULES {
        assert!(rule::find(&entry.number.to_string()).is_none(), "{}", entry.number);
        assert!(rule::find(entry.slug).is_none(), "{}", entry.slug);
    }
}

#[test]
fn the_reference_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy-examples/rules.md");
    if std::env::var_os("DAAM_WRITE_RULES").is_some() {
        std::fs::write(&path, page::reference()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page::reference(),
        "`DAAM_WRITE_RULES=1 cargo test -p daam-compiler rules` writes it"
    );
}
