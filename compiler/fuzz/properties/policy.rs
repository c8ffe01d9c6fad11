//! A file of any content among the policies of a sound project.
//!
//! Findings, never a panic; every report can be written. The result depends on the files alone: on neither what a
//! workspace has seen before nor how often one looks. What compiles survives the way into a bundle and back, and
//! `fmt` changes nothing that a check can see. An editor answers at every place.

use daam_bundle::{decode_content, encode_content};
use daam_compiler::editor::Editor;
use daam_compiler::{Checked, FileSource, MemoryFiles, Options, Workspace, check, format, repair, scenario};
use daam_diagnostic::render::{concise, github, gitlab, json, junit, markdown, sarif, text};
use daam_diagnostic::{Applicability, Report, identify};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::OnceLock;

const FUZZED: &str = "policies/fuzzed.yaml";

pub(crate) fn holds(bytes: &[u8]) {
    let Ok(policy) = std::str::from_utf8(bytes) else { return };
    let files = shop().with(FUZZED, policy);
    let checked = check(&files);
    every_report(&checked);
    assert_eq!(checked.databases.is_empty(), !checked.has_meaning(), "half a project was built");
    whatever_came_before(&files, &checked);
    for database in checked.databases.values() {
        let content = encode_content(&database.policies);
        let read = decode_content(&content).expect("what compiles can be read from a bundle");
        assert_eq!(read, *database.policies, "a bundle says something else than its policies");
        for case in &database.scenarios {
            scenario::run(database, case);
        }
    }
    formatted(policy, &checked);
    repaired(&files);
    edited(&files, policy);
}

/// Writes every report.
pub(crate) fn every_report(checked: &Checked) {
    let findings = identify(checked.diagnostics.to_vec(), &checked.sources);
    let report = Report::new(&findings, &checked.sources);
    text::to_text(&checked.diagnostics, &checked.sources, text::Colour::Plain);
    concise::to_concise(&report);
    json::to_json(&report);
    github::to_annotations(&report);
    gitlab::to_gitlab(&report);
    sarif::to_sarif(&report);
    junit::to_junit(&report, "daam policy check");
    markdown::to_markdown(&report);
}

thread_local! {
    static SEEN: Cell<Option<Workspace>> = const { Cell::new(None) };
    static EDITOR: Cell<Option<Editor>> = const { Cell::new(None) };
}

/// What a workspace that has seen everything before says: cheap, since only what changed is checked.
fn seen(files: &dyn FileSource) -> Checked {
    let mut workspace = SEEN.take().unwrap_or_default();
    let checked = workspace.check(files);
    SEEN.set(Some(workspace));
    checked
}

/// A workspace that saw the project without the file, and everything before that, says what a fresh check says.
pub(crate) fn whatever_came_before(files: &MemoryFiles, checked: &Checked) {
    static WITHOUT: OnceLock<String> = OnceLock::new();
    let without = WITHOUT.get_or_init(|| told(&check(&shop())));
    assert_eq!(&told(&seen(&shop())), without, "what was checked before shows");
    assert_eq!(told(&seen(files)), told(checked), "what was checked before shows");
}

/// Everything a check says, findings with their places included.
pub(crate) fn told(checked: &Checked) -> String {
    let findings = identify(checked.diagnostics.to_vec(), &checked.sources);
    let report = json::to_json(&Report::new(&findings, &checked.sources));
    let databases = checked.databases.values();
    let contents =
        databases.map(|database| String::from_utf8_lossy(&encode_content(&database.policies)).into_owned());
    format!("{report}\n{:?}\n{}", checked.inputs, contents.collect::<String>())
}

fn formatted(policy: &str, before: &Checked) {
    let Ok(once) = format::format(policy) else { return };
    assert_eq!(format::format(&once).as_ref(), Ok(&once), "formatting twice is not formatting once");
    let after = seen(&shop().with(FUZZED, once));
    let names = |checked: &Checked| -> BTreeSet<(String, String)> {
        let findings = identify(checked.diagnostics.to_vec(), &checked.sources).into_iter();
        findings.map(|found| (found.diagnostic.message, found.fingerprint)).collect()
    };
    assert_eq!(names(&after), names(before), "formatting changes what a check finds");
    for (name, database) in &before.databases {
        let fingerprint = |checked: &Checked| daam_bundle::fingerprint(&checked.databases[name].policies);
        assert_eq!(
            fingerprint(&after),
            daam_bundle::fingerprint(&database.policies),
            "formatting changes access"
        );
    }
}

/// No fix that is called safe widens access or breaks what compiles.
fn repaired(files: &MemoryFiles) {
    let done = repair::repair(files, &mut |source| seen(source), Applicability::Safe, &|_| true);
    let done = done.expect("safe fixes are safe");
    assert!(done.settled, "the fixes undo each other");
}

/// About 32 places of the file.
fn edited(files: &MemoryFiles, policy: &str) {
    let fresh = || {
        let mut editor = Editor::new(Options::default());
        editor.update(&shop());
        editor
    };
    let mut editor = EDITOR.take().unwrap_or_else(fresh);
    editor.update(files);
    for offset in (0..=policy.len()).step_by(1 + policy.len() / 32) {
        editor.hover(files, FUZZED, offset);
        editor.complete(files, FUZZED, offset);
        editor.define(files, FUZZED, offset);
        editor.findings(FUZZED, offset, offset + 1);
    }
    EDITOR.set(Some(editor));
}

/// The shop without its policies but one, and without tests.
pub(crate) fn shop() -> MemoryFiles {
    macro_rules! shop {
        ($($name:literal),*) => {
            MemoryFiles::new()$(.with($name, include_str!(concat!("../../../policy-examples/shop/", $name))))*
        };
    }
    shop!(
        "daam.yaml",
        "scope/shop.yaml",
        "schema/shop/lock.json",
        "schema/shop/public.json",
        "schema/shop/analytics.json",
        "policies/support.yaml"
    )
}
