//! Equal contents give equal results, in whatever order files are listed.

use crate::catalogue;
use daam_compiler::{Checked, FileSource, MemoryFiles, ReadError, check};
use daam_diagnostic::render::json;
use daam_diagnostic::{Report, identify};
use proptest::prelude::*;

/// Lists the files of another source in a given order.
struct Reordered {
    files: MemoryFiles,
    paths: Vec<String>,
}

impl FileSource for Reordered {
    fn paths(&self) -> Vec<String> {
        self.paths.clone()
    }

    fn read(&self, path: &str) -> Result<String, ReadError> {
        self.files.read(path)
    }
}

fn project() -> MemoryFiles {
    let catalog = catalogue::parse(
        "table public.users: id integer, email text, region text\ntable public.orders: id integer, total numeric",
    );
    let policy = |name: &str, table: &str| {
        format!(
            "kind: policy\nname: {name}\ndatabase: shop\nsubjects: {{ groups: [{name}] }}\n\
             grants:\n  - {{ on: public.{table}, allow: [select] }}\n"
        )
    };
    let files = MemoryFiles::new()
        .with(
            "daam.yaml",
            "kind: project\ndatabases:\n  shop:\n    lock: schema/shop\n    policies: [policies/*.yaml]\n    \
             classification: [{ on: public.users.email, is: none, reason: role addresses }]\n",
        )
        .with("policies/a.yaml", policy("zeta", "users"))
        .with("policies/b.yaml", policy("alpha", "orders"))
        .with("policies/c.yaml", policy("mid", "users"))
        .with("groups/dba.yaml", "kind: group\nname: dba\nmembers: [a@acme.test]\n");
    catalogue::with_lock(files, "schema/shop", &catalog)
}

fn rendered(checked: &Checked) -> String {
    let findings = identify(checked.diagnostics.to_vec(), &checked.sources);
    json::to_json(&Report::new(&findings, &checked.sources)).to_string()
}

proptest! {
    #[test]
    fn the_order_of_files_changes_nothing(paths in Just(project().paths()).prop_shuffle()) {
        let expected = check(&project());
        let found = check(&Reordered { files: project(), paths });
        prop_assert!(!expected.has_errors());
        prop_assert_eq!(
            rendered(&found),
            rendered(&expected)
        );
        prop_assert_eq!(&found.databases["shop"].policies, &expected.databases["shop"].policies);
        prop_assert_eq!(found.databases["shop"].lock_fingerprint(), expected.databases["shop"].lock_fingerprint());
    }
}

#[test]
fn policies_are_sorted_by_name_whatever_file_they_are_in() {
    let checked = check(&project());
    let names: Vec<&str> =
        checked.databases["shop"].policies.policies.iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!(names, ["alpha", "mid", "zeta"]);
}
