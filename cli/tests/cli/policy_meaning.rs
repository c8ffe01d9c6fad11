//! What policies mean, from the command line: request ceilings, tests and their coverage, *why not*, rebuilding and
//! going back.

use crate::policy::{POLICY, expect, project, trusted, write};
use std::path::Path;

const CEILING: &str = "kind: request-ceiling\nname: incident\ndatabase: shop\nrequest:\n  who: { groups: [sales] }\n  approvers: { groups: [dba], count: 2 }\n  max_duration: 2h\n  reason: required\ngrants: [{ on: public.users, allow: [select] }]\nmasks: [{ on: public.users.email, with: hash }]\n";

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

fn read(root: &Path, name: &str) -> String {
    std::fs::read_to_string(root.join(name)).unwrap()
}

#[test]
fn a_ceiling_is_shown_as_access_to_be_had_by_asking() {
    let scratch = project();
    let root = scratch.path();
    write(root, "policies/incident.yaml", CEILING);
    let said = expect(root, 0, "policy who-can select public.users.email --via request");
    assert!(said.contains("group:sales  on request (ad hoc) incident  mask hash"), "{said}");
    let said = expect(root, 0, "policy what-can --groups sales");
    assert!(
        said.contains("on request (ad hoc) incident:\n  select public.users: email (mask hash), id"),
        "{said}"
    );
    let said = expect(root, 1, "policy explain --groups sales public.users");
    assert!(said.contains("on request (ad hoc) incident: select  (policies/incident.yaml:9)"), "{said}");
    assert!(said.contains("near miss: `support` gives select to group:support"), "{said}");
    // Nobody who may not ask is told of it.
    expect(root, 1, "policy what-can --groups marketing");
}

#[test]
fn a_wider_ceiling_is_wider_access() {
    let scratch = project();
    let root = scratch.path();
    write(root, "policies/incident.yaml", CEILING);
    let copy = tempfile::tempdir().unwrap();
    let status = std::process::Command::new("cp").arg("-r").arg(root.join(".")).arg(copy.path()).status();
    assert!(status.unwrap().success());
    let old = format!("dir:{}", copy.path().display());
    expect(root, 0, &format!("policy diff {old}"));
    write(root, "policies/incident.yaml", CEILING.split("masks:").next().unwrap());
    let said = expect(root, 11, &format!("policy diff {old}"));
    assert!(
        said.contains(
            "group:sales (on request (ad hoc) incident) select public.users: email: mask hash → clear"
        ),
        "{said}"
    );
    write(root, "policies/incident.yaml", &CEILING.replace("count: 2", "count: 1"));
    let said = expect(root, 11, &format!("policy diff {old} --fail-on widen"));
    assert!(said.contains("request ceiling incident approvals: 2 → 1"), "{said}");
    write(root, "policies/incident.yaml", &CEILING.replace("2h", "1h"));
    expect(root, 0, &format!("policy diff {old} --fail-on widen"));
    expect(root, 12, &format!("policy diff {old} --fail-on any"));
    expect(root, 10, &format!("policy diff {old}"));
}

#[test]
fn a_bundle_with_a_ceiling_asks_for_readers_that_know_it() {
    let scratch = trusted();
    let root = scratch.path();
    expect(root, 0, "policy build --trust trust.json");
    assert!(!read_lossy(root, "shop.daam").contains("ceilings"));
    write(root, "policies/incident.yaml", CEILING);
    expect(root, 0, "policy build --trust trust.json");
    let bytes = read_lossy(root, "shop.daam");
    assert!(bytes.contains("\"ceilings\":[{\"name\":\"incident\""), "{bytes}");
    let statement = expect(root, 0, "policy inspect shop.daam");
    assert!(statement.contains("request-ceiling"), "{statement}");
    expect(root, 0, "policy sign shop.daam --key file:policy.key");
    expect(root, 0, "policy verify shop.daam --trust trust.json");
}

fn read_lossy(root: &Path, name: &str) -> String {
    String::from_utf8_lossy(&std::fs::read(root.join(name)).unwrap()).into_owned()
}

#[test]
fn tests_are_reported_in_every_format_and_chosen_by_name() {
    let scratch = project();
    let root = scratch.path();
    let said = expect(root, 0, "policy test --list");
    assert!(said.contains("shop: masked  (tests/support.yaml:4)"), "{said}");
    expect(root, 3, "policy test --run ^nothing");
    expect(root, 3, "policy test --list --run ^nothing");
    expect(root, 2, "policy test --run (");
    let line = "policy test --run ^mask --report text --report json=t.json --report junit=t.xml --report github=t.txt --report gitlab=g.json --report sarif=t.sarif --report markdown=t.md";
    assert!(expect(root, 0, line).contains("1 passed, 0 failed, 0 skipped"));
    assert_eq!(json(&read(root, "t.json"))["cases"][0]["verdict"], "passed");
    write(root, "policies/support.yaml", &POLICY.replace("with: email", "with: hash"));
    let said = expect(root, 1, line);
    assert!(said.contains("`public.users.email` is `mask:hash`"), "{said}");
    assert!(read(root, "t.xml").contains("failures=\"1\""));
    assert!(
        read(root, "t.txt").starts_with("::error file=tests/support.yaml,line=6,"),
        "{}",
        read(root, "t.txt")
    );
    assert_eq!(json(&read(root, "g.json"))[0]["location"]["path"], "tests/support.yaml");
    assert!(read(root, "t.md").contains("`tests/support.yaml:6`"));
    let sarif = json(&read(root, "t.sarif"));
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "tests/support.yaml", "{sarif:#}");
    assert_eq!(place["region"]["startLine"], 6, "{sarif:#}");
}

#[test]
fn coverage_names_the_clauses_no_test_depends_on() {
    let scratch = project();
    let root = scratch.path();
    let said = expect(root, 0, "policy test --coverage --threshold 100");
    assert!(said.contains("coverage of shop: 2 of 2 clauses (100%), 1 of 1 masked columns"), "{said}");
    write(root, "policies/incident.yaml", CEILING);
    let said = expect(root, 1, "policy test --coverage --coverage=text --threshold 100");
    assert!(
        said.contains("no test depends on the request of `incident` (policies/incident.yaml:1)"),
        "{said}"
    );
    assert!(said.contains("2 of 5 clauses are covered (40%), which is below 100%"), "{said}");
    expect(root, 0, "policy test --coverage=lcov=coverage.info --threshold 40");
    let lcov = read(root, "coverage.info");
    assert!(lcov.contains("SF:policies/incident.yaml\nDA:1,0\n"), "{lcov}");
    expect(root, 0, "policy test --coverage=json=coverage.json");
    assert_eq!(json(&read(root, "coverage.json"))["databases"][0]["percent"], 40);
    // Asking for it is what the ceiling is for.
    write(
        root,
        "tests/incident.yaml",
        "kind: test\ndatabase: shop\ncases:\n  - name: asked\n    as: { groups: [sales] }\n    expect: { public.users: { select: request, reason: incident } }\n  - name: held\n    as: { groups: [sales] }\n    requests: [incident]\n    expect: { public.users: { select: allow, columns: { \"*\": clear, email: \"mask:hash\" } } }\n",
    );
    let said = expect(root, 0, "policy test --coverage --threshold 100");
    assert!(said.contains("5 of 5 clauses"), "{said}");
}

#[test]
fn expectations_say_who_decides_and_what_the_rest_of_the_columns_is() {
    let scratch = project();
    let root = scratch.path();
    let case = |expect: &str| {
        format!(
            "kind: test\ndatabase: shop\ncases:\n  - name: one\n    as: {{ groups: [support] }}\n    expect: {{ public.users: {{ {expect} }} }}\n"
        )
    };
    for (fine, wanted) in [
        ("select: allow, reason: [support]", true),
        ("select: allow, reason: [sales]", false),
        ("select: allow, reason: []", false),
        ("update: deny, reason: []", true),
        ("columns: { \"*\": clear, email: \"mask:email\" }", true),
        ("columns: { \"*\": clear }", false),
        ("update: request", false),
        ("select: request", false),
    ] {
        write(root, "tests/support.yaml", &case(fine));
        expect(root, i32::from(!wanted), "policy test");
    }
}

#[test]
fn explain_says_why_not() {
    let scratch = project();
    let root = scratch.path();
    let said = expect(root, 1, "policy explain --groups sales public.users.email");
    assert!(said.contains("no policy grants this person access to `public.users.email`"), "{said}");
    assert!(
        said.contains(
            "near miss: `support` gives select to group:support, standing  (policies/support.yaml:5)"
        ),
        "{said}"
    );
    let said = expect(root, 0, "policy explain --groups support public.users --column email --report json");
    let answer = json(&said);
    assert_eq!(answer["relations"][0]["masks"][0]["mask"], "email");
    assert_eq!(answer["relations"][0]["masks"][0]["clauses"][0]["line"], 6);
    assert_eq!(answer["relations"][0]["verbs"][0]["columns"][0], "email");
    assert_eq!(answer["giving"][0]["standing"], "applies");
    expect(root, 2, "policy explain --groups support public.users.nothing");
    let answer = json(&expect(root, 0, "policy who-can select public.users.email --report json"));
    assert_eq!(answer["who"][0]["mask"], "email");
    let answer = json(&expect(root, 0, "policy what-can --groups support --unmasked --report json"));
    assert_eq!(answer["holds"][0]["can"][0]["columns"][0]["column"], "id");
    assert!(answer["holds"][0]["can"][0]["columns"].as_array().is_some_and(|columns| columns.len() == 1));
}

#[test]
fn a_filter_whose_attribute_is_missing_is_told() {
    let scratch = project();
    let root = scratch.path();
    let declared = read(root, "daam.yaml").replace("databases:", "attributes: { region: text }\ndatabases:");
    write(root, "daam.yaml", &declared);
    write(
        root,
        "policies/support.yaml",
        &POLICY.replace("[select] }]", "[select], rows: email = subject.region }]"),
    );
    let said = expect(root, 0, "policy explain --groups support public.users");
    assert!(
        said.contains("`support` gives select, and reaches no row, for want of the attribute `region`"),
        "{said}"
    );
}

#[test]
fn a_diff_can_be_narrowed_and_shows_planned_sql() {
    let scratch = trusted();
    let root = scratch.path();
    expect(root, 0, "policy build --trust trust.json");
    write(root, "policies/support.yaml", POLICY.split("masks:").next().unwrap());
    write(root, "tests/support.yaml", "");
    let said = expect(root, 11, "policy diff bundle:shop.daam --sql --groups support");
    assert!(said.contains("shop: planned SQL\n  - "), "{said}");
    expect(root, 0, "policy diff bundle:shop.daam --subject group:sales");
    expect(root, 0, "policy diff bundle:shop.daam --resource public.orders");
    expect(root, 11, "policy diff bundle:shop.daam --subject group:support --resource public.*");
    expect(root, 2, "policy diff deployed:shop");
}

#[test]
fn a_relation_out_of_scope_has_left_management() {
    let scratch = trusted();
    let root = scratch.path();
    let copy = tempfile::tempdir().unwrap();
    let status = std::process::Command::new("cp").arg("-r").arg(root.join(".")).arg(copy.path()).status();
    assert!(status.unwrap().success());
    write(
        root,
        "daam.yaml",
        &read(root, "daam.yaml").replace("lock: schema/shop,", "lock: schema/shop, scope: scope.yaml,"),
    );
    write(root, "scope.yaml", "kind: scope\ndatabase: shop\nscope: [public.other]\n");
    write(
        root,
        "policies/support.yaml",
        "kind: policy\nname: support\ndatabase: shop\nsubjects: { groups: [support] }\nsession: { idle_timeout: 5m }\n",
    );
    write(root, "tests/support.yaml", "");
    let said = expect(root, 12, &format!("policy diff dir:{} --fail-on lost", copy.path().display()));
    assert!(
        said.contains("shop: left management\n  relation public.users: managed → outside the scope"),
        "{said}"
    );
}

#[test]
fn building_again_says_what_differs() {
    let scratch = trusted();
    let root = scratch.path();
    expect(root, 0, "policy build --trust trust.json --out-dir dist");
    assert!(expect(root, 0, "policy build --check dist/shop.daam").contains("the same"));
    let statement = expect(root, 0, "policy inspect dist/shop.daam");
    write(root, "policies/support.yaml", &POLICY.replace("with: email", "with: hash"));
    write(root, "tests/support.yaml", "");
    let said = expect(root, 1, "policy build --check dist/shop.daam");
    assert!(said.contains("content: ") && said.contains("effects: "), "{said}");
    assert!(said.contains("policy `support`: not the same"), "{said}");
    let said = expect(root, 1, &format!("policy build --check {}", "0".repeat(64)));
    let content = said.lines().find_map(|line| line.strip_prefix("content: ")).unwrap();
    assert!(!statement.contains(content));
    expect(root, 0, &format!("policy build --check {content}"));
    assert!(!root.join("shop.daam").exists(), "a check writes nothing");
}

#[test]
fn going_back_is_the_old_content_under_a_new_serial() {
    let scratch = trusted();
    let root = scratch.path();
    let sign = |name: &str| expect(root, 0, &format!("policy sign {name} --key file:policy.key"));
    expect(root, 0, "policy build --trust trust.json --out-dir one");
    sign("one/shop.daam");
    write(root, "policies/support.yaml", &POLICY.replace("with: email", "with: hash"));
    write(root, "tests/support.yaml", "");
    expect(root, 0, "policy build --trust trust.json --prev one/shop.daam --out-dir two");
    sign("two/shop.daam");
    for name in ["one/shop.daam", "two/shop.daam"] {
        expect(
            root,
            0,
            &format!("policy verify {name} --trust trust.json --database shop --state head.json"),
        );
    }
    let back =
        "policy rollback --bundle one/shop.daam --prev two/shop.daam --trust trust.json --out-dir three";
    expect(root, 2, &format!("{back} --to 2"));
    let said = expect(root, 2, &format!("{back} --to 1 --database other"));
    assert!(said.contains("is of `shop`, not of `other`"), "{said}");
    let said = expect(root, 0, &format!("{back} --to 1"));
    assert!(said.contains("serial 3 of `shop` with the content of serial 1"), "{said}");
    expect(root, 20, "policy verify three/shop.daam --trust trust.json --database shop --state head.json");
    // What was accepted last is remembered of one database: it has to be said which.
    expect(root, 2, "policy verify one/shop.daam --trust trust.json --state head.json");
    sign("three/shop.daam");
    expect(root, 21, "policy verify one/shop.daam --trust trust.json --database shop --state head.json");
    expect(root, 0, "policy verify three/shop.daam --trust trust.json --database shop --state head.json");
    expect(root, 0, "policy diff bundle:one/shop.daam bundle:three/shop.daam");
    expect(root, 2, "policy rollback --to 1 --database shop --trust trust.json");
}

#[test]
fn only_approved_effects_are_published() {
    let scratch = trusted();
    let root = scratch.path();
    expect(root, 0, "policy build --trust trust.json");
    expect(root, 0, "policy sign shop.daam --key file:policy.key");
    let said = expect(
        root,
        1,
        &format!("policy publish shop.daam --to file:out --require-approval {}", "0".repeat(64)),
    );
    assert!(!root.join("out").exists());
    let effects = said.split("has the effects ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    expect(root, 0, &format!("policy publish shop.daam --to file:out --require-approval {effects}"));
    assert!(root.join("out/shop.daam").exists());
}
