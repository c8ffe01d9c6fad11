//! Large projects: what has to be done grows with the project and not faster. Counted, never timed.

#[path = "../../benches/large/project.rs"]
mod project;

use daam_compiler::{MemoryFiles, Options, Work, Workspace};
use project::Size;

fn memory(size: Size) -> MemoryFiles {
    project::files(size).into_iter().fold(MemoryFiles::new(), |files, (path, text)| files.with(path, text))
}

fn work(size: Size) -> Work {
    let mut workspace = Workspace::new(Options::default());
    let checked = workspace.check(&memory(size));
    let told: Vec<&str> = checked.diagnostics.iter().map(|found| found.message.as_str()).take(3).collect();
    assert!(!checked.has_errors(), "{told:?}");
    assert_eq!(checked.databases["main"].policies.policies.len(), size.policies + 1);
    workspace.work()
}

#[test]
fn twice_the_policies_are_twice_the_work() {
    let once = work(Size { policies: 200, tables: 300 });
    let twice = work(Size { policies: 400, tables: 300 });
    assert!(twice.files <= once.files * 2, "{once:?} {twice:?}");
    assert!(twice.filters <= once.filters * 2 + 10, "{once:?} {twice:?}");
    assert!(twice.names <= once.names * 2, "{once:?} {twice:?}");
    assert_eq!(twice.policies, once.policies + 200);
}

#[test]
fn a_policy_that_names_its_tables_costs_the_same_in_a_larger_database() {
    let small = work(Size { policies: 200, tables: 300 });
    let large = work(Size { policies: 200, tables: 900 });
    // The scope and five masks for everyone look at every table, once each; a wildcard at its schema.
    let everywhere = 6 * (900 - 300);
    assert!(large.names <= small.names + everywhere, "{small:?} {large:?}");
}

#[test]
fn after_an_edit_only_what_it_touches_is_read_again() {
    let files = memory(Size { policies: 200, tables: 300 });
    let mut workspace = Workspace::new(Options::default());
    workspace.check(&files);
    let before = workspace.work();
    let path = "policies/team-000/policy-00042.yaml";
    let text = "kind: policy\nname: policy-00042\ndatabase: main\nsubjects: { groups: [team-0004] }\n\
        grants:\n  - { on: area_000.account_0000, allow: [select], rows: quantity < 12345 }\n";
    let files = files.with(path, text);
    let checked = workspace.check(&files);
    assert!(!checked.has_errors());
    let after = workspace.work();
    assert_eq!(after.files - before.files, 1);
    assert_eq!(after.filters - before.filters, 1);
    assert_eq!(after.policies - before.policies, 1);
    // It had masks for its team, ten policies are for the team, and there are a handful of comparisons. That its table
    // is no longer read by anybody would be news for everybody.
    assert!(after.compared - before.compared <= 100, "{before:?} {after:?}");
    assert!(after.settled - before.settled <= 12, "{before:?} {after:?}");

    // Another filter of the same policy concerns nobody else.
    let checked = workspace.check(&files.with(path, text.replace("12345", "12346")));
    assert!(!checked.has_errors());
    let last = workspace.work();
    assert_eq!((last.files - after.files, last.policies - after.policies), (1, 1));
    assert!(last.compared - after.compared <= 10, "{after:?} {last:?}");
    assert!(last.settled - after.settled <= 2, "{after:?} {last:?}");
}
