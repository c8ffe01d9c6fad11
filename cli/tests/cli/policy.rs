//! Policies from the command line: every exit code of the table, and bundles from build to acceptance.

use anyhow::Context as _;
use daam_catalog::{
    Catalog, Column, DataType, Identifier, Relation, RelationKind, RelationName, ServerVersion, TypeClass,
    lock,
};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

pub(crate) const POLICY: &str = "kind: policy\nname: support\ndatabase: shop\nsubjects: { groups: [support] }\n\
    grants: [{ on: public.users, allow: [select] }]\nmasks: [{ on: public.users.email, with: email }]\n";

const TEST: &str = "kind: test\ndatabase: shop\ncases:\n  - name: masked\n    as: { email: sam@acme.test, groups: [support] }\n\
    \x20   expect: { public.users: { select: allow, update: deny, columns: { email: \"mask:email\", id: clear } } }\n\
    \x20 - name: who reads raw e-mail\n    who_can: { select: public.users.email, unmasked: true, exactly: [] }\n";

#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs `daam` in a project, with the clock of builds set.
fn daam_at(project: &Path, epoch: Option<i64>, line: &str) -> anyhow::Result<Said> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_daam"));
    command.args(line.split_whitespace()).env("DAAM_HOME", project.join("home")).env_remove("DAAM_DSN");
    command.env_remove("SOURCE_DATE_EPOCH").stdin(Stdio::null()).current_dir(project);
    if let Some(epoch) = epoch {
        command.env("SOURCE_DATE_EPOCH", epoch.to_string());
    }
    let output = command.output().context("run daam")?;
    Ok(Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}

fn daam(project: &Path, line: &str) -> Said {
    daam_at(project, None, line).unwrap()
}

/// Runs it and expects an exit code; gives back both streams.
pub(crate) fn expect(project: &Path, code: i32, line: &str) -> String {
    let said = daam(project, line);
    assert_eq!(said.code, Some(code), "daam {line}\n{}{}", said.out, said.err);
    said.out + &said.err
}

pub(crate) fn write(project: &Path, name: &str, text: &str) {
    let path = project.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn catalog() -> Catalog {
    let column = |name: &str, sql: &str, class| {
        Column::new(Identifier::stored(name).unwrap(), DataType { sql: sql.to_owned(), class })
    };
    let name = RelationName::stored("public", "users").unwrap();
    let users = Relation {
        columns: vec![column("id", "integer", TypeClass::Integer), column("email", "text", TypeClass::Text)],
        ..Relation::new(name.clone(), RelationKind::Table, Identifier::stored("owner").unwrap())
    };
    let mut catalog = Catalog { server: ServerVersion(170_000), ..Catalog::default() };
    catalog.relations.insert(name, users);
    catalog
}

/// A project that compiles.
pub(crate) fn project() -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    write(
        root,
        "daam.yaml",
        "kind: project\ndatabases:\n  shop: { lock: schema/shop, policies: [policies/*.yaml], tests: [tests/*.yaml] }\n",
    );
    write(root, "policies/support.yaml", POLICY);
    write(root, "tests/support.yaml", TEST);
    for (name, text) in lock::to_files(&catalog()) {
        write(root, &format!("schema/shop/{name}"), &text);
    }
    scratch
}

/// A project with key and trust file.
pub(crate) fn trusted() -> tempfile::TempDir {
    let scratch = project();
    expect(scratch.path(), 0, "trust init --org acme --out trust.json --key policy.key");
    scratch
}

#[test]
fn a_project_without_mistakes_exits_with_0() {
    let scratch = project();
    let said = expect(scratch.path(), 0, "policy check");
    assert!(said.contains("no findings"), "{said}");
    let said = expect(scratch.path(), 0, "policy test");
    assert!(said.contains("2 passed, 0 failed, 0 skipped"), "{said}");
}

#[test]
fn findings_exit_with_1_in_every_format() {
    let scratch = project();
    let root = scratch.path();
    write(root, "policies/support.yaml", &POLICY.replace("users.email", "users.e_mail"));
    let said = expect(root, 1, "policy check");
    assert!(said.contains("DAAM203") && said.contains("did you mean `email`?"), "{said}");
    assert!(!said.contains('\u{1b}'), "colour only on terminals");
    let said = expect(root, 1, "policy check --report json --report github=notes.txt");
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["version"], 1);
    let found = &json["diagnostics"][0];
    assert_eq!(
        (found["code"].as_str(), found["slug"].as_str(), found["severity"].as_str()),
        (Some("DAAM203"), Some("unknown-column"), Some("error"))
    );
    assert_eq!(found["file"], "policies/support.yaml");
    assert_eq!(found["span"]["start"], serde_json::json!({ "line": 6, "column": 15 }));
    let keys: BTreeSet<&str> = found.as_object().unwrap().keys().map(String::as_str).collect();
    let wanted = ["code", "slug", "severity", "message", "help", "file", "span", "fixes", "fingerprint"];
    assert!(keys.is_superset(&BTreeSet::from(wanted)), "{keys:?}");
    let notes = std::fs::read_to_string(root.join("notes.txt")).unwrap();
    assert!(notes.starts_with("::error file=policies/support.yaml,line=6,endLine=6,col=15,"), "{notes}");
    let said = expect(root, 1, "policy check --report sarif --report junit=junit.xml");
    let log: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&log["version"], &log["runs"][0]["results"][0]["ruleId"]),
        (&"2.1.0".into(), &"DAAM203".into())
    );
    assert!(std::fs::read_to_string(root.join("junit.xml")).unwrap().contains("failures=\"1\""));
    expect(root, 1, "policy build --org acme");
    expect(root, 1, "policy test");
    assert!(!root.join("shop.daam").exists());
}

#[test]
fn a_failed_test_and_denied_access_exit_with_1() {
    let scratch = project();
    let root = scratch.path();
    write(
        root,
        "tests/support.yaml",
        &TEST.replace("mask:email", "mask:hash").replace("exactly: []", "exactly: [\"group:dba\"]"),
    );
    let said = expect(root, 1, "policy test");
    assert!(said.contains("tests/support.yaml:6:"), "{said}");
    assert!(said.contains("`public.users.email` is `mask:email`"), "{said}");
    assert!(said.contains("`group:dba` cannot"), "{said}");
    let said = expect(root, 0, "policy explain --as sam@acme.test --groups support public.users");
    assert!(said.contains("masked    email: email  (policies/support.yaml:6)"), "{said}");
    expect(root, 1, "policy explain --as sam@acme.test --groups sales");
}

#[test]
fn wrong_use_and_missing_files_exit_with_2() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    assert!(expect(root, 2, "policy check").contains("daam.yaml"));
    expect(root, 2, "policy frobnicate");
    expect(root, 2, "policy check --report pdf");
    expect(root, 2, "policy sign none.daam --key file:none.key");
    expect(root, 2, "policy rule DAAM999");
    write(root, "junk.daam", "junk");
    write(root, "junk.json", "{}");
    expect(root, 2, "policy verify junk.daam --trust junk.json");
    expect(
        root,
        2,
        "schema pull --dsn postgresql://nobody@127.0.0.1:1/x --out lock --agent /none/daam-agent",
    );
}

#[test]
fn nothing_to_do_exits_with_3() {
    let scratch = project();
    let root = scratch.path();
    expect(root, 3, "policy test --filter nothing-of-that-name");
    expect(root, 3, "policy build --org acme --database other");
    std::fs::remove_dir_all(root.join("policies")).unwrap();
    expect(root, 3, "policy check");
    expect(root, 0, "policy check --allow-empty");
    expect(root, 3, "policy build --org acme");
}

#[test]
fn a_missing_or_edited_lock_exits_with_4() {
    let scratch = project();
    let root = scratch.path();
    let path = root.join("schema/shop/public.json");
    let edited = std::fs::read_to_string(&path).unwrap().replace("email", "e_mail");
    std::fs::write(&path, edited).unwrap();
    assert!(expect(root, 4, "policy check").contains("DAAM804"));
    std::fs::remove_dir_all(root.join("schema")).unwrap();
    assert!(expect(root, 4, "policy check").contains("DAAM801"));
    expect(root, 4, "policy build --org acme");
}

#[test]
fn a_bundle_goes_from_build_to_acceptance() {
    let scratch = trusted();
    let root = scratch.path();
    let mode = std::fs::metadata(root.join("policy.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(expect(root, 0, "trust show trust.json").contains("acme"));
    expect(root, 2, "trust init --org acme --out trust.json");
    let said = expect(root, 0, "policy build");
    assert!(said.contains("serial 1 of `shop`, 1 policies"), "{said}");
    assert!(expect(root, 0, "policy inspect shop.daam").contains("signature     none"));
    expect(root, 0, "policy sign shop.daam --key file:policy.key");
    let said = expect(root, 0, "policy inspect shop.daam");
    assert!(said.contains("serial        1 (epoch 1)") && said.contains("claimed, not verified"), "{said}");
    assert!(said.contains("support for group:support: 1 grants, 1 masks"), "{said}");
    let json: serde_json::Value =
        serde_json::from_str(&expect(root, 0, "policy inspect shop.daam --report json")).unwrap();
    assert_eq!((&json["statement"]["serial"], &json["policies"][0]), (&1.into(), &"support".into()));
    expect(root, 2, "policy inspect trust.json");
    let said =
        expect(root, 0, "policy verify shop.daam --trust trust.json --database shop --state head.json");
    assert!(said.contains("accepted: serial 1"), "{said}");
    let said =
        expect(root, 0, "policy verify shop.daam --trust trust.json --database shop --state head.json");
    assert!(said.contains("already held"), "{said}");
    expect(root, 2, "policy verify shop.daam --trust trust.json --database other");
    let published = root.join("srv");
    expect(root, 0, &format!("policy publish shop.daam --to file:{}", published.display()));
    assert_eq!(
        std::fs::read(published.join("shop.daam")).unwrap(),
        std::fs::read(root.join("shop.daam")).unwrap()
    );
}

#[test]
fn equal_inputs_give_equal_bundles() {
    let scratch = trusted();
    let root = scratch.path();
    for out in ["one", "two"] {
        let line = format!("policy build --out-dir {out}");
        assert_eq!(daam_at(root, Some(1_800_000_000), &line).unwrap().code, Some(0));
    }
    let read = |out: &str| std::fs::read(root.join(out).join("shop.daam")).unwrap();
    assert_eq!(read("one"), read("two"));
}

#[test]
fn a_signature_that_is_missing_or_not_trusted_exits_with_20() {
    let scratch = trusted();
    let root = scratch.path();
    expect(root, 0, "policy build");
    expect(root, 20, "policy verify shop.daam --trust trust.json");
    expect(root, 20, "policy publish shop.daam --to file:srv");
    expect(root, 0, "trust init --org acme --out other.json --key other.key");
    expect(root, 0, "policy sign shop.daam --key file:other.key --trust other.json");
    expect(root, 20, "policy verify shop.daam --trust trust.json");
    expect(root, 0, "policy verify shop.daam --trust other.json");
}

#[test]
fn an_older_bundle_and_a_fork_exit_with_21() {
    let scratch = trusted();
    let root = scratch.path();
    expect(root, 0, "policy build --serial 1 --out-dir one");
    expect(root, 0, "policy build --prev one/shop.daam --out-dir two");
    write(root, "policies/support.yaml", &POLICY.replace("with: email", "with: hash"));
    expect(root, 0, "policy build --serial 2 --out-dir fork");
    for out in ["one", "two", "fork"] {
        expect(root, 0, &format!("policy sign {out}/shop.daam --key file:policy.key"));
    }
    let said =
        expect(root, 0, "policy verify two/shop.daam --trust trust.json --database shop --state head.json");
    assert!(said.contains("serial 2"), "{said}");
    expect(root, 21, "policy verify one/shop.daam --trust trust.json --database shop --state head.json");
    expect(root, 21, "policy verify fork/shop.daam --trust trust.json --database shop --state head.json");
}

#[test]
fn an_expired_bundle_exits_with_22() {
    let scratch = trusted();
    let root = scratch.path();
    let said = daam_at(root, Some(1_500_000_000), "policy build --expires 1h").unwrap();
    assert_eq!(said.code, Some(0), "{}", said.err);
    expect(root, 0, "policy sign shop.daam --key file:policy.key");
    expect(root, 22, "policy verify shop.daam --trust trust.json");
}

#[test]
fn files_are_formatted_only_where_they_say_the_same() {
    let scratch = project();
    let root = scratch.path();
    expect(root, 0, "policy fmt");
    expect(root, 0, "policy fmt --check");
    let path = "policies/support.yaml";
    write(
        root,
        path,
        &format!(
            "# why\n{}\n\n",
            POLICY.replace("kind: policy\n", "").replace("database: shop", "kind: policy  \ndatabase: shop")
        ),
    );
    let said = expect(root, 1, "policy fmt --check");
    assert!(said.contains("not formatted: ./policies/support.yaml"), "{said}");
    assert!(expect(root, 1, "policy fmt --diff").contains("\n+kind: policy\n"));
    expect(root, 0, "policy fmt");
    assert_eq!(std::fs::read_to_string(root.join(path)).unwrap(), format!("# why\n{POLICY}"));
    expect(root, 0, "policy fmt --check policies/support.yaml");
    write(root, "policies/broken.yaml", "kind: policy\nname: [\n");
    let said = expect(root, 2, "policy fmt");
    assert!(said.contains("`./policies/broken.yaml` cannot be formatted: line"), "{said}");
}

#[test]
fn a_project_starts_from_a_lock_and_overwrites_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    expect(root, 4, "policy init --database shop --lock schema/shop");
    for (name, text) in lock::to_files(&catalog()) {
        write(root, &format!("schema/shop/{name}"), &text);
    }
    expect(root, 2, "policy init --database Shop:x --lock schema/shop");
    expect(root, 0, "policy init --database shop --lock schema/shop --readers analyst --ci github");
    assert!(root.join(".github/workflows/policy.yml").is_file());
    expect(root, 2, "policy init --database shop --lock schema/shop");
    expect(root, 0, "policy fmt --check");
    // What looks sensitive is masked from the start, so the project passes its own check.
    let said = expect(root, 0, "policy check");
    assert!(!said.contains("DAAM6"), "{said}");
    let said = daam(root, "policy who-can select public.users.email");
    assert!(said.out.contains("group:analyst  standing  mask email"), "{}{}", said.out, said.err);
    let said = daam(root, "policy who-can select public.users");
    assert!(said.out.contains("group:analyst  standing"), "{}{}", said.out, said.err);
}

#[test]
fn every_rule_has_a_page() {
    let scratch = tempfile::tempdir().unwrap();
    let list = expect(scratch.path(), 0, "policy rule");
    assert!(list.lines().count() > 40, "{list}");
    for code in ["DAAM203", "unknown-column"] {
        assert!(
            expect(scratch.path(), 0, &format!("policy rule {code}")).starts_with("DAAM203 unknown-column")
        );
    }
    assert!(
        expect(scratch.path(), 2, "policy rule unknown-colum").contains("did you mean `unknown-column`?")
    );
}

#[test]
fn every_command_has_help_with_an_example() {
    let scratch = tempfile::tempdir().unwrap();
    for command in [
        "policy init",
        "policy check",
        "policy comment",
        "policy fmt",
        "policy test",
        "policy explain",
        "policy diff",
        "policy who-can",
        "policy what-can",
        "policy rule",
        "policy build",
        "policy sign",
        "policy inspect",
        "policy verify",
        "policy publish",
        "schema pull",
        "trust init",
        "trust show",
        "trust rotate",
        "trust sign",
        "trust verify",
        "trust publish",
    ] {
        let said = expect(scratch.path(), 0, &format!("{command} --help"));
        assert!(said.contains(&format!("  daam {command}")), "{command}: {said}");
    }
}
