//! The shipped examples, from one table to more than a thousand: every document is valid for its schema, compiles,
//! and its tests hold.

use daam_compiler::{Checked, MemoryFiles, check, scenario, stored};
use daam_diagnostic::Severity;
use std::path::{Path, PathBuf};
use std::process::Command;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy-examples").join(name)
}

/// Every file of a project that a check may look at, by path.
fn read(root: &Path) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "json") {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                out.push((name, std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    out.sort();
    out
}

/// Every YAML file of the examples that are checked in, by path.
pub(crate) fn files() -> Vec<(String, String)> {
    let all = ["tiny", "shop", "saas"].into_iter().flat_map(|name| read(&example(name)));
    all.filter(|(path, _)| Path::new(path).extension().is_some_and(|kind| kind == "yaml")).collect()
}

/// Checks the project, runs its tests, and gives back how many there were. What is shown in clear is decided, even
/// where it would only be a warning.
fn holds(root: &Path) -> (Checked, usize) {
    let files = read(root).into_iter().fold(MemoryFiles::new(), |files, (path, text)| files.with(path, text));
    let checked = check(&files);
    let findings: Vec<String> = checked
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error || (600..700).contains(&found.code.number))
        .map(|found| format!("{} {} {}", checked.sources.path(found.at.source), found.code, found.message))
        .collect();
    assert!(findings.is_empty(), "{}: {findings:#?}", root.display());
    let mut cases = 0;
    for database in checked.databases.values() {
        for case in &database.scenarios {
            assert_eq!(scenario::run(database, case).failures, [], "{}: {}", root.display(), case.name);
            cases += 1;
        }
    }
    let bytes = stored::to_bytes(&checked.databases).unwrap();
    let read = stored::from_bytes(&bytes).unwrap();
    assert_eq!(read.len(), checked.databases.len());
    for (name, database) in &checked.databases {
        assert_eq!(read[name].policies, database.policies, "{name}");
        assert_eq!(read[name].catalog, database.catalog, "{name}");
        assert_eq!(read[name].scope, database.scope, "{name}");
    }
    (checked, cases)
}

#[test]
fn bytes_that_are_no_compiled_databases_are_refused_without_a_panic() {
    let (checked, _) = holds(&example("shop"));
    let bytes = stored::to_bytes(&checked.databases).unwrap();
    for at in 0..bytes.len() {
        assert!(stored::from_bytes(&bytes[..at]).is_err(), "cut at {at}");
        let mut changed = bytes.clone();
        changed[at] ^= 0x81;
        // It may be another text of the same length; what counts is that nothing worse happens.
        drop(stored::from_bytes(&changed));
    }
}

#[test]
fn the_tiny_example_is_clean_and_its_tests_hold() {
    let (checked, cases) = holds(&example("tiny"));
    assert_eq!((checked.databases.len(), cases), (1, 2));
}

#[test]
fn the_shop_is_clean_and_its_tests_hold() {
    let (_, cases) = holds(&example("shop"));
    assert!(cases >= 5);
}

#[test]
fn the_example_of_several_teams_and_databases_is_clean_and_its_tests_hold() {
    let (checked, cases) = holds(&example("saas"));
    assert_eq!(checked.databases.len(), 2);
    assert!(cases >= 10);
}

fn generated(more: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(example("large").join("generate"))
        .arg("--out")
        .arg(folder.path())
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

#[test]
fn the_generated_example_has_more_than_a_thousand_tables_is_clean_and_its_tests_hold() {
    let folder = generated(&[]);
    let (checked, cases) = holds(folder.path());
    let large = &checked.databases["large"];
    assert!(large.catalog.relations.len() > 1000);
    assert!(large.policies.policies.len() >= 400);
    assert!(cases >= 20);
}

#[test]
fn equal_parameters_generate_equal_projects_of_the_size_that_was_asked_for() {
    let size = ["--tables", "60", "--columns", "12", "--policies", "25"];
    let (one, other) = (generated(&size), generated(&size));
    assert_eq!(read(one.path()), read(other.path()));
    let (checked, _) = holds(one.path());
    let large = &checked.databases["large"];
    assert_eq!((large.catalog.relations.len(), large.policies.policies.len()), (60, 25));
    assert!(large.catalog.relations.values().all(|relation| relation.columns.len() == 12));
}
