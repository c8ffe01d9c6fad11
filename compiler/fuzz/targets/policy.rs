//! A policy file of any content beside a sound project: findings, never a panic, and every report can be written.
//! What the formatter accepts it leaves alone the second time.

#![no_main]

use daam_compiler::{MemoryFiles, check, format};
use daam_diagnostic::render::{github, json, junit, sarif, text};
use libfuzzer_sys::fuzz_target;

const SHOP: &str = "../../policy-examples/shop";

fuzz_target!(|policy: &str| {
    let files = shop().with("policies/fuzzed.yaml", policy);
    let checked = check(&files);
    let (found, sources) = (&checked.diagnostics, &checked.sources);
    text::to_text(found, sources, text::Colour::Plain);
    json::to_json(found, sources);
    github::to_annotations(found, sources);
    sarif::to_sarif(found, sources, "0");
    junit::to_junit(found, sources);
    assert_eq!(checked.databases.is_empty(), checked.has_errors());
    if let Ok(once) = format::format(policy) {
        assert_eq!(format::format(&once).ok().as_ref(), Some(&once));
    }
});

fn shop() -> MemoryFiles {
    static FILES: std::sync::OnceLock<MemoryFiles> = std::sync::OnceLock::new();
    FILES
        .get_or_init(|| {
            let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(SHOP);
            ["daam.yaml", "scope/shop.yaml", "schema/shop/lock.json", "schema/shop/public.json", "schema/shop/analytics.json"]
                .into_iter()
                .fold(MemoryFiles::new(), |files, name| {
                    let read = std::fs::read_to_string(root.join(name));
                    files.with(name, read.expect("the shop example is part of the repository"))
                })
        })
        .clone()
}
