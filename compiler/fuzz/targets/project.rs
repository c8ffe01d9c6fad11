//! A project file of any content: findings, never a panic.

#![no_main]

use daam_compiler::{MemoryFiles, PROJECT_FILE, check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|project: &str| {
    let files = MemoryFiles::new()
        .with(PROJECT_FILE, project)
        .with("policies/a.yaml", "kind: policy\nname: a\ndatabase: shop\nsubjects: { everyone: true }\n")
        .with("scope/shop.yaml", "kind: scope\ndatabase: shop\nscope: [public.*]\n");
    let checked = check(&files);
    assert_eq!(checked.databases.is_empty() || checked.has_errors(), checked.databases.is_empty());
});
