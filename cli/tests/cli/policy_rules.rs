//! `daam policy rule`, and what a project may say about findings.

use crate::policy::{POLICY, expect, project, trusted, write};
use serde_json::Value;
use std::path::Path;

const SHADOWED: &str = "kind: policy\nname: support\ndatabase: shop\nsubjects: { groups: [support] }\ngrants:\n\
    \x20 - { on: public.users, allow: [select] }\n\
    \x20 # daam: ignore[shadowed-grant] reason=\"kept until the audit\"\n\
    \x20 - { on: public.users, allow: [select], rows: id = 1 }\n\
    masks: [{ on: public.users.email, with: email }]\n";

#[test]
fn the_pages_of_all_rules_are_the_reference() {
    let scratch = project();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy-examples/rules.md");
    let printed = expect(scratch.path(), 0, "policy rule --all --format markdown");
    assert!(printed == std::fs::read_to_string(page).unwrap());
    let all: Value =
        serde_json::from_str(&expect(scratch.path(), 0, "policy rule --all --format json")).unwrap();
    let one: Value =
        serde_json::from_str(&expect(scratch.path(), 0, "policy rule unknown-column --format json")).unwrap();
    assert_eq!((&one["code"], &one["nature"]), (&"DAAM203".into(), &"fixed".into()));
    assert!(all["rules"].as_array().unwrap().contains(&one));
    let text = expect(scratch.path(), 0, "policy rule --all");
    assert!(
        all["rules"].as_array().unwrap().iter().all(|rule| text.contains(rule["docs"].as_str().unwrap()))
    );
    expect(scratch.path(), 2, "policy rule DAAM203 --all");
}

#[test]
fn what_a_comment_silences_stays_in_the_report() {
    let scratch = project();
    let root = scratch.path();
    write(root, "policies/support.yaml", SHADOWED);
    let report: Value = serde_json::from_str(&expect(root, 0, "policy check --report json")).unwrap();
    assert_eq!(report["diagnostics"], serde_json::json!([]));
    let waived = &report["waived"][0];
    assert_eq!((&waived["code"], &waived["waived"]["by"]), (&"DAAM501".into(), &"comment".into()));
    assert_eq!(waived["waived"]["reason"], "kept until the audit");
    let sarif: Value = serde_json::from_str(&expect(root, 0, "policy check --report sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["suppressions"][0]["kind"], "inSource");
}

#[test]
fn a_comment_that_silences_nothing_is_taken_out() {
    let scratch = project();
    let root = scratch.path();
    let idle = POLICY.replace("grants:", "# daam: ignore[501] reason=\"once\"\ngrants:");
    write(root, "policies/support.yaml", &idle);
    assert!(expect(root, 0, "policy check").contains("DAAM120"));
    expect(root, 0, "policy check --fix");
    assert_eq!(std::fs::read_to_string(root.join("policies/support.yaml")).unwrap(), POLICY);
}

#[test]
fn nothing_is_built_by_a_waiver_that_has_ended() {
    let scratch = trusted();
    let root = scratch.path();
    let asked = "kind: policy\nname: oncall\ndatabase: shop\nrequest: { who: { groups: [dba] }, \
        approvers: { groups: [dba] }, max_duration: 2h }\nsession: { read_only: true }\n";
    write(root, "policies/oncall.yaml", asked);
    let waived = |until: &str| {
        let project = std::fs::read_to_string(root.join("daam.yaml")).unwrap();
        let project = project.split("waivers:").next().unwrap().to_owned();
        let waiver = format!(
            "waivers: [{{ rule: self-approval, policy: oncall, owner: sec@acme.test, reason: three, until: {until} }}]\n"
        );
        write(root, "daam.yaml", &(project + &waiver));
    };
    waived("9999-12-31");
    expect(root, 0, "policy check");
    expect(root, 0, "policy build --trust trust.json");
    waived("2020-01-01");
    expect(root, 1, "policy check");
    expect(root, 1, "policy build --trust trust.json");
}
