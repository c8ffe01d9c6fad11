//! Whatever a file contains, the compiler answers with findings.

use crate::catalogue;
use daam_compiler::{Checked, MemoryFiles, check};
use daam_diagnostic::render::{github, json, markdown, sarif, text};
use daam_diagnostic::{Report, identify};
use proptest::prelude::*;

const GOOD: &str = "kind: policy\nname: support\ndatabase: shop\nsubjects: { groups: [support] }\n\
    grants:\n  - on: public.users\n    allow: [select]\n    rows: region = subject.region\n\
    masks:\n  - on: public.users.email\n    with: email\n";

fn checked(policy: &str) -> Checked {
    let catalog = catalogue::parse("table public.users: id integer, email text, region text");
    let files = MemoryFiles::new()
        .with(
            "daam.yaml",
            "kind: project\nattributes: { region: text }\n\
             databases:\n  shop: { lock: schema/shop, policies: [policies/*.yaml] }\n",
        )
        .with("policies/a.yaml", policy);
    check(&catalogue::with_lock(files, "schema/shop", &catalog))
}

fn all_renderings(checked: &Checked) -> usize {
    let findings = identify(checked.diagnostics.to_vec(), &checked.sources);
    let report = Report::new(&findings, &checked.sources);
    text::to_text(&checked.diagnostics, &checked.sources, text::Colour::Plain).len()
        + github::to_annotations(&report).len()
        + json::to_json(&report).to_string().len()
        + sarif::to_sarif(&report).to_string().len()
        + markdown::to_markdown(&report).len()
}

proptest! {
    #[test]
    fn no_text_makes_the_compiler_panic(policy in "\\PC{0,200}") {
        prop_assert!(all_renderings(&checked(&policy)) > 0);
    }

    #[test]
    fn no_arrangement_of_yaml_signs_makes_the_compiler_panic(
        policy in "[-:{}\\[\\],&*!|>'\"%@#?a-c \n\u{e9}]{0,120}"
    ) {
        prop_assert!(all_renderings(&checked(&policy)) > 0);
    }

    #[test]
    fn no_damage_to_a_good_policy_makes_the_compiler_panic(
        at in 0..GOOD.len(), insert in "[-:{}\\[\\],&*!|>'\"\n x]{1,3}", cut in 0..20_usize
    ) {
        let mut bytes = GOOD.as_bytes().to_vec();
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, insert.bytes());
        prop_assert!(all_renderings(&checked(&String::from_utf8(bytes).unwrap())) > 0);
    }
}

#[test]
fn a_good_policy_has_no_findings() {
    let checked = checked(GOOD);
    assert_eq!(*checked.diagnostics, []);
}

#[test]
fn a_file_that_is_too_long_too_wide_or_too_deep_is_refused() {
    for policy in [
        format!("# {}\n", "x".repeat(1_100_000)),
        format!("- {}\n", "[],".repeat(60_000)),
        format!("a: {}1{}\n", "[".repeat(100), "]".repeat(100)),
        format!("a: [{}]\n", "1,".repeat(60_000)),
    ] {
        let checked = checked(&policy);
        let codes: Vec<String> = checked.diagnostics.iter().map(|found| found.code.to_string()).collect();
        assert!(codes.iter().any(|code| code == "DAAM112" || code == "DAAM101"), "{codes:?}");
    }
}

#[test]
fn a_lock_that_was_edited_is_no_lock() {
    let catalog = catalogue::parse("table public.users: id integer");
    let files = catalogue::with_lock(
        MemoryFiles::new()
            .with(
                "daam.yaml",
                "kind: project\ndatabases:\n  shop: { lock: schema/shop, policies: [p.yaml] }\n",
            )
            .with("p.yaml", GOOD),
        "schema/shop",
        &catalog,
    );
    let public = daam_catalog::lock::to_files(&catalog)["public.json"].replace("users", "persons");
    let checked = check(&files.with("schema/shop/public.json", public));
    assert!(checked.lacks_lock());
    assert!(checked.databases.is_empty());
}
