//! Effects from the command line: `policy diff`, `who-can` and `what-can`.

use crate::policy::{POLICY, expect, project, trusted, write};
use std::path::Path;
use std::process::Command;

pub(crate) fn git(root: &Path, line: &str) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@b.test", "-c", "commit.gpgsign=false"]);
    let output = command.args(line.split_whitespace()).current_dir(root).output().unwrap();
    assert!(output.status.success(), "git {line}: {}", String::from_utf8_lossy(&output.stderr));
}

fn committed() -> tempfile::TempDir {
    let scratch = project();
    git(scratch.path(), "init -q");
    git(scratch.path(), "add .");
    git(scratch.path(), "commit -q -m one");
    scratch
}

#[test]
fn equal_effects_exit_with_0_however_they_are_written() {
    let scratch = committed();
    let root = scratch.path();
    assert!(expect(root, 0, "policy diff").contains("no effect changed"));
    write(root, "policies/support.yaml", &POLICY.replace("public.users, allow", "\"public.user*\", allow"));
    let said = expect(root, 0, "policy diff");
    assert!(said.contains("1 policies were edited without effect"), "{said}");
}

#[test]
fn a_mask_that_is_gone_exits_with_11() {
    let scratch = committed();
    let root = scratch.path();
    write(root, "policies/support.yaml", POLICY.split("masks:").next().unwrap());
    write(root, "tests/support.yaml", "");
    let said = expect(root, 11, "policy diff");
    assert!(said.contains("group:support select public.users: email: mask email → clear"), "{said}");
    assert!(said.contains("(policies/support.yaml:5)"), "{said}");
    let said = expect(root, 11, "policy diff git:HEAD dir:. --report markdown --report json=diff.json");
    assert!(said.contains("`group:support`") && said.contains("`mask email` → `clear`"), "{said}");
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(root.join("diff.json")).unwrap()).unwrap();
    assert_eq!(json["databases"][0]["changes"][0]["direction"], "widened");
}

#[test]
fn lost_access_exits_with_10_or_12() {
    let scratch = committed();
    let root = scratch.path();
    write(root, "policies/support.yaml", &POLICY.replace("[select] }]", "[select], rows: id > 5 }]"));
    let said = expect(root, 10, "policy diff");
    assert!(said.contains("group:support select public.users rows: all rows → id > 5"), "{said}");
    expect(root, 12, "policy diff --fail-on lost");
    expect(root, 11, "policy diff dir:. git:HEAD");
}

#[test]
fn filters_that_cannot_be_ordered_may_widen() {
    let scratch = committed();
    let root = scratch.path();
    let with = |rows: &str| POLICY.replace("[select] }]", &format!("[select], rows: {rows} }}]"));
    write(root, "policies/support.yaml", &with("id > 5"));
    git(root, "commit -q -a -m two");
    write(root, "policies/support.yaml", &with("id > 6"));
    let said = expect(root, 11, "policy diff");
    assert!(said.contains("[may widen]"), "{said}");
    write(root, "policies/support.yaml", &with("id > 5 and id < 9"));
    expect(root, 10, "policy diff");
}

#[test]
fn bundles_are_compared_with_the_schema_of_the_project() {
    let scratch = trusted();
    let root = scratch.path();
    expect(root, 0, "policy build --out-dir one");
    expect(root, 0, "policy diff bundle:one/shop.daam dir:.");
    write(root, "policies/support.yaml", &POLICY.replace("[select]", "[select, delete]"));
    write(root, "tests/support.yaml", "");
    expect(root, 0, "policy build --out-dir two");
    let said = expect(root, 11, "policy diff bundle:one/shop.daam bundle:two/shop.daam");
    assert!(said.contains("group:support delete public.users: no access → allowed"), "{said}");
}

#[test]
fn sides_that_cannot_be_read_give_no_verdict() {
    let scratch = committed();
    let root = scratch.path();
    expect(root, 2, "policy diff git:nothing-of-that-name");
    expect(root, 2, "policy diff --report html");
    expect(root, 2, "policy diff HEAD");
    expect(root, 2, "policy diff git:--output=x");
    expect(root, 3, "policy diff --database other");
    write(root, "policies/support.yaml", &POLICY.replace("users.email", "users.e_mail"));
    expect(root, 1, "policy diff");
}

#[test]
fn a_first_project_widens_from_nothing() {
    let scratch = project();
    let root = scratch.path();
    git(root, "init -q");
    git(root, "commit -q --allow-empty -m nothing");
    let said = expect(root, 11, "policy diff");
    assert!(said.contains("group:support select public.users: id: no access → clear"), "{said}");
}

#[test]
fn who_can_names_classes_conditions_and_clauses() {
    let scratch = project();
    let root = scratch.path();
    let requestable = "kind: policy\nname: repair\ndatabase: shop\nrequest:\n  who: { groups: [support] }\n  approvers: { groups: [dba] }\n  max_duration: 1h\n  reason: required\ngrants: [{ on: public.users, allow: [select, update] }]\n";
    write(root, "policies/repair.yaml", requestable);
    let said = expect(root, 0, "policy who-can select public.users.email");
    assert!(said.contains("group:support  standing  mask email  (policies/support.yaml:5)"), "{said}");
    assert!(!said.contains("on request"), "{said}");
    expect(root, 1, "policy who-can select public.users.email --unmasked");
    let said = expect(root, 0, "policy who-can update public.users --via request");
    assert!(said.contains("group:support  on request repair"), "{said}");
    expect(root, 1, "policy who-can update public.users --via standing");
    expect(root, 2, "policy who-can update public.nothing");
    expect(root, 2, "policy who-can grant public.users");
    let said = expect(root, 0, "policy what-can --email sam@acme.test --groups support");
    assert!(said.contains("select public.users: email (mask email), id"), "{said}");
    assert!(said.contains("on request repair:\n  update public.users\n"), "{said}");
    expect(root, 1, "policy what-can --groups sales");
}

#[test]
fn pipelines_read_what_widened_at_its_clause_whatever_the_format() {
    let scratch = committed();
    let root = scratch.path();
    write(root, "policies/support.yaml", POLICY.split("masks:").next().unwrap());
    write(root, "tests/support.yaml", "");
    expect(
        root,
        11,
        "policy diff --report sarif=d.sarif --report github=d.txt --report gitlab=d.json --report junit=d.xml",
    );
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let sarif: serde_json::Value = serde_json::from_str(&read("d.sarif")).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "policies/support.yaml", "{sarif:#}");
    assert_eq!(place["region"]["startLine"], 5, "{sarif:#}");
    assert!(result["message"]["text"].as_str().unwrap().contains("mask email → clear"), "{sarif:#}");
    let gitlab: serde_json::Value = serde_json::from_str(&read("d.json")).unwrap();
    assert_eq!(gitlab[0]["location"]["lines"]["begin"], 5);
    assert!(read("d.txt").contains("file=policies/support.yaml,line=5"), "{}", read("d.txt"));
    assert!(
        read("d.xml").contains("policies/support.yaml") && read("d.xml").contains("DAAM911"),
        "{}",
        read("d.xml")
    );
}
