//! A fix is not believed to be safe because its rule says so.

use crate::catalogue;
use daam_compiler::repair::{RepairError, Repaired, repair};
use daam_compiler::{Checked, FileSource, MemoryFiles, check};
use daam_diagnostic::{Applicability, Diagnostic, Location, RuleCode, Severity, Span};

const POLICY: &str = "kind: policy\nname: a\ndatabase: shop\nsubjects: { groups: [g] }\n\
    grants: [{ on: public.users, allow: [select] }]\nmasks: [{ on: public.users.email, with: redact }]\n";

fn project(policy: &str) -> MemoryFiles {
    let catalog = catalogue::parse("table public.users: id integer, email text");
    let files = MemoryFiles::new()
        .with("daam.yaml", "kind: project\ndatabases: { shop: { lock: schema, policies: [p/*.yaml] } }\n")
        .with("p/a.yaml", policy);
    catalogue::with_lock(files, "schema", &catalog)
}

/// A check that also finds each `old` and suggests `new`, as safe.
fn with_rule(source: &dyn FileSource, old: &str, new: &str) -> Checked {
    let mut checked = check(source);
    let text = source.read("p/a.yaml").unwrap();
    // The findings of a good project point nowhere, so its text gets a place of its own.
    let id = checked.sources.add("p/a.yaml", text.clone());
    let mut diagnostics = checked.diagnostics.to_vec();
    for (start, _) in text.match_indices(old) {
        let at = Location::new(id, Span::new(start, start + old.len()));
        let code = RuleCode::new(999, "test");
        let found = Diagnostic::new(code, Severity::Info, at, "x").replace(Applicability::Safe, new);
        diagnostics.push(found);
    }
    checked.diagnostics = diagnostics.into_iter().collect();
    checked
}

fn mended(policy: &str, old: &str, new: &str) -> Result<Repaired, RepairError> {
    let mut check = |source: &dyn FileSource| with_rule(source, old, new);
    repair(&project(policy), &mut check, Applicability::Safe, &|_| true)
}

#[test]
fn a_fix_that_takes_a_mask_away_is_refused_with_what_it_would_give() {
    let refused = mended(POLICY, "masks: [{ on: public.users.email, with: redact }]\n", "");
    let Err(RepairError::Widens(diffs)) = refused else { panic!("{refused:?}") };
    assert!(diffs.iter().any(|diff| diff.changes.iter().any(|change| change.what.contains("email"))));
    assert!(matches!(mended(POLICY, "redact", "email"), Err(RepairError::Widens(_))));
    assert!(matches!(mended(POLICY, "[select]", "[select, update]"), Err(RepairError::Widens(_))));
}

#[test]
fn a_fix_that_narrows_or_changes_nothing_is_applied() {
    let done = mended(POLICY, "redact", "\"null\"").unwrap();
    assert_eq!((done.applied, done.settled, done.unproved), (1, true, 0));
    assert!(done.texts["p/a.yaml"].contains("with: \"null\""), "{:?}", done.texts);
    let done = mended(POLICY, "[g]", "[ g ]").unwrap();
    assert_eq!((done.applied, done.texts.len()), (1, 1));
}

#[test]
fn a_fix_that_breaks_the_project_is_refused() {
    assert!(matches!(mended(POLICY, "kind: policy", "kind: polic"), Err(RepairError::Breaks(_))));
}

#[test]
fn as_long_as_there_are_errors_only_what_says_the_same_is_taken() {
    let broken = POLICY.replace("public.users,", "public.user,");
    let done = mended(&broken, "redact", "email").unwrap();
    assert_eq!((done.applied, done.unproved, done.texts.len()), (0, 1, 0));
    let done = mended(&broken, " redact", " 'redact'").unwrap();
    assert_eq!((done.applied, done.unproved), (1, 0));
    // Once it compiles, effects are compared again.
    let ambiguous = POLICY.replace("[g]", "[g, no]");
    let done =
        repair(&project(&ambiguous), &mut |source| check(source), Applicability::Safe, &|_| true).unwrap();
    assert!(!done.checked.has_errors() && done.settled);
}

#[test]
fn fixes_that_touch_wait_for_each_other_and_endless_ones_are_stopped() {
    let done = mended(&POLICY.replace("name: a\n", "name: a #xxxx\n"), "xx", "y").unwrap();
    assert!(done.texts["p/a.yaml"].contains("#yy\n"), "{:?}", done.texts);
    let done = mended(&POLICY.replace("name: a\n", "name: a #x\n"), "#x", "#xx").unwrap();
    assert!(!done.settled && done.applied == 16, "{}", done.applied);
}

#[test]
fn what_is_not_wanted_is_not_repaired() {
    let mut check = |source: &dyn FileSource| with_rule(source, "redact", "\"null\"");
    let done = repair(&project(POLICY), &mut check, Applicability::Safe, &|found| found.code.number != 999);
    assert!(done.unwrap().texts.is_empty());
}
