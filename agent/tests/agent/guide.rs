//! The scope guide's table: every row names a test that exists.

use std::path::{Path, PathBuf};

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_test_the_scope_guide_names_exists_where_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let guide = std::fs::read_to_string(root.join("policy-examples/scope.md")).unwrap();
    let rows: Vec<Vec<&str>> = guide
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains(".rs`"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 30, "{} rows", rows.len());
    for row in &rows {
        let [behaviour, test, file] = row.as_slice() else { panic!("{row:?}") };
        let (test, file) = (test.trim_matches('`'), file.trim_matches('`'));
        let source =
            std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let marked = source
            .split("fn ")
            .skip(1)
            .any(|rest| rest.strip_prefix(test).is_some_and(|rest| rest.starts_with('(')));
        assert!(marked, "no test `{test}` in {file} for: {behaviour}");
    }
}

#[test]
fn every_test_of_the_scope_is_in_the_guide() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agent");
    let guide = std::fs::read_to_string(tests.join("../../../policy-examples/scope.md")).unwrap();
    let mut files = Vec::new();
    sources(&tests, &mut files);
    let names = ["scope.rs", "scope_live.rs", "blind.rs"];
    for file in files.iter().filter(|file| names.iter().any(|name| file.ends_with(name))) {
        let source = std::fs::read_to_string(file).unwrap();
        for after in source.split("#[tokio::test(flavor = \"multi_thread\")]\nasync fn ").skip(1) {
            let name = after.split('(').next().unwrap();
            assert!(guide.contains(&format!("`{name}`")), "`{name}` is not in the guide");
        }
    }
}
