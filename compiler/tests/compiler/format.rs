//! Formatting changes nothing for people: every shipped project has the same findings and the same effects after it.

use daam_compiler::diff::diff;
use daam_compiler::effects::Side;
use daam_compiler::format::format;
use daam_compiler::{Checked, MemoryFiles, check};
use std::path::{Path, PathBuf};

/// Every directory with a `daam.yaml` below the examples.
fn projects() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy-examples");
    let mut projects = Vec::new();
    let mut open = vec![root];
    while let Some(directory) = open.pop() {
        if directory.join("daam.yaml").is_file() {
            projects.push(directory);
            continue;
        }
        let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        open.extend(entries.filter(|path| path.is_dir()));
    }
    projects.sort();
    projects
}

fn texts(root: &Path, directory: &Path, out: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts(root, &path, out);
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "json") {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            out.push((name, std::fs::read_to_string(path).unwrap()));
        }
    }
}

fn checked(files: &[(String, String)]) -> Checked {
    check(&files.iter().fold(MemoryFiles::new(), |all, (path, text)| all.with(path, text)))
}

fn findings(checked: &Checked) -> Vec<String> {
    let mut found: Vec<String> =
        checked.diagnostics.iter().map(|found| format!("{} {}", found.code, found.message)).collect();
    found.sort();
    found
}

#[test]
fn every_example_means_the_same_when_formatted_and_stays_so() {
    let projects = projects();
    assert!(!projects.is_empty());
    for project in projects {
        let mut files = Vec::new();
        texts(&project, &project, &mut files);
        let mut formatted = files.clone();
        for (path, text) in formatted.iter_mut().filter(|(path, _)| !path.ends_with("json")) {
            let once = format(text).unwrap_or_else(|error| panic!("{}/{path}: {error}", project.display()));
            assert_eq!(format(&once).as_ref(), Ok(&once), "{path}");
            *text = once;
        }
        let (before, after) = (checked(&files), checked(&formatted));
        assert_eq!(findings(&before), findings(&after), "{}", project.display());
        assert_eq!(before.inputs, after.inputs);
        for (name, old) in &before.databases {
            let found = diff(&Side::of(old), &Side::of(&after.databases[name]));
            assert!(!found.changed(), "{}: {found:?}", project.display());
            assert_eq!(old.scenarios.len(), after.databases[name].scenarios.len());
        }
    }
}

#[test]
fn what_every_refused_example_says_is_not_changed_either() {
    // Files of projects with mistakes: what cannot be read is refused, what can be read keeps its findings.
    for policy in [
        "kind: policy\nname: 'a'\ndatabase: shop\nmaks: 1\nsubjects: {groups: [no, 'x']}\n",
        "name: a\nkind: policy\nsubjects: { everyone: yes }\nmasks:\n- on: \"1.10\"\n  with: 0755\n",
    ] {
        let project = |policy: &str| {
            checked(&[
                (
                    "daam.yaml".to_owned(),
                    "kind: project\ndatabases: { shop: { lock: l, policies: [p/*] } }\n".to_owned(),
                ),
                ("p/a.yaml".to_owned(), policy.to_owned()),
            ])
        };
        let (before, after) = (project(policy), project(&format(policy).unwrap()));
        assert_eq!(findings(&before), findings(&after));
        assert!(before.has_errors());
    }
}
