//! `daam policy check`: repairs, baselines, new findings only, selection, watching.

use crate::policy::{POLICY, expect, project, write};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// A text that YAML readers disagree on, quoted by a safe fix, and a key with an unsafe one.
const AMBIGUOUS: &str = "kind: policy\nname: support\ndatabase: shop\nsubjects: { groups: [support, no] } # é\n\
    grants: [{ on: public.users, allow: [select] }]\nmasks: [{ on: public.users.email, with: email }]\n";

fn read(project: &Path, name: &str) -> String {
    std::fs::read_to_string(project.join(name)).unwrap()
}

pub(crate) fn git(project: &Path, arguments: &[&str]) {
    let done = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@acme.test", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(project)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

pub(crate) fn repository(project: &Path) {
    git(project, &["init", "-q", "-b", "main", "."]);
    git(project, &["add", "."]);
    git(project, &["commit", "-q", "-m", "first"]);
}

#[test]
fn a_safe_fix_is_written_and_the_project_passes() {
    let scratch = project();
    let root = scratch.path();
    write(root, "policies/support.yaml", AMBIGUOUS);
    expect(root, 1, "policy check");
    let said = expect(root, 1, "policy check --fix --diff");
    assert!(said.contains("--- a/policies/support.yaml\n+++ b/policies/support.yaml"), "{said}");
    assert!(said.contains("\n+subjects: { groups: [support, \"no\"] } # é\n"), "{said}");
    assert_eq!(read(root, "policies/support.yaml"), AMBIGUOUS);
    let said = expect(root, 0, "policy check --fix");
    assert!(said.contains("1 fix applied in 1 file"), "{said}");
    assert_eq!(read(root, "policies/support.yaml"), AMBIGUOUS.replace("no]", "\"no\"]"));
    assert!(!expect(root, 0, "policy check --fix --diff").contains("---"));
}

#[test]
fn an_unsafe_fix_waits_to_be_asked_for() {
    let scratch = project();
    let root = scratch.path();
    let slip = POLICY.replace("masks:", "maks:");
    write(root, "policies/support.yaml", &slip);
    expect(root, 1, "policy check --fix");
    assert_eq!(read(root, "policies/support.yaml"), slip);
    let said = expect(root, 0, "policy check --unsafe-fixes");
    assert!(said.contains("1 fix applied"), "{said}");
    assert_eq!(read(root, "policies/support.yaml"), POLICY);
}

#[test]
fn a_rule_that_is_not_selected_fixes_nothing() {
    let scratch = project();
    write(scratch.path(), "policies/support.yaml", AMBIGUOUS);
    expect(scratch.path(), 0, "policy check --fix --ignore ambiguous-scalar");
    assert_eq!(read(scratch.path(), "policies/support.yaml"), AMBIGUOUS);
}

#[test]
fn selection_goes_by_code_name_and_beginning_and_refuses_slips() {
    let scratch = project();
    let root = scratch.path();
    write(root, "policies/support.yaml", &POLICY.replace("masks:", "maks:"));
    let said = expect(root, 1, "policy check --select DAAM1 --report concise");
    assert!(said.contains("policies/support.yaml:6:1: error DAAM103 unknown-key: "), "{said}");
    assert!(said.contains("[--unsafe-fixes]"), "{said}");
    expect(root, 0, "policy check --select DAAM2");
    expect(root, 0, "policy check --ignore unknown-key,DAAM8");
    let said = expect(root, 2, "policy check --select unknown-kye");
    assert!(said.contains("did you mean `unknown-key`?"), "{said}");
    let said = expect(root, 1, "policy check --statistics");
    assert!(said.starts_with("     1  DAAM103  error    unknown-key\n"), "{said}");
}

#[test]
fn the_fail_level_decides_and_no_format_does() {
    let scratch = project();
    let root = scratch.path();
    write(
        root,
        "policies/support.yaml",
        &POLICY.replace("maks:", "masks:").replace("[support]", "[support, support]"),
    );
    write(
        root,
        "policies/other.yaml",
        &POLICY.replace("name: support", "name: other").replace("masks:", "maks:"),
    );
    for format in ["text", "concise", "json", "sarif", "github", "gitlab", "junit", "markdown"] {
        expect(root, 1, &format!("policy check --report {format}"));
        expect(root, 0, &format!("policy check --fail-level never --report {format}"));
    }
    let said = expect(
        root,
        1,
        "policy check --report gitlab=q.json --report markdown=s.md --report junit=j.xml --statistics",
    );
    assert!(said.contains("in all"), "{said}");
    let quality: Value = serde_json::from_str(&read(root, "q.json")).unwrap();
    assert!(quality[0]["fingerprint"].as_str().unwrap().len() == 64, "{quality}");
    assert!(read(root, "s.md").starts_with("### Policy check\n"));
    assert!(read(root, "j.xml").contains("<failure "));
}

#[test]
fn paths_lead_from_the_root_of_the_repository() {
    let outer = tempfile::tempdir().unwrap();
    let scratch = project();
    let root = outer.path().join("data/shop");
    std::fs::create_dir_all(outer.path().join("data")).unwrap();
    let copied = Command::new("cp").arg("-r").arg(scratch.path()).arg(&root).status().unwrap();
    assert!(copied.success());
    write(&root, "policies/support.yaml", &POLICY.replace("masks:", "maks:"));
    git(outer.path(), &["init", "-q", "."]);
    let said = expect(&root, 1, "policy check --report github");
    assert!(said.starts_with("::error file=data/shop/policies/support.yaml,line=6,"), "{said}");
    let json: Value = serde_json::from_str(&expect(&root, 1, "policy check --report json")).unwrap();
    assert_eq!(json["diagnostics"][0]["file"], "policies/support.yaml");
    assert_eq!(json["diagnostics"][0]["subject"], "policy:support/maks");
}

#[test]
fn a_baseline_survives_moved_lines_and_reports_what_is_gone() {
    let scratch = project();
    let root = scratch.path();
    let doubtful = POLICY.replace("[select]", "[update]");
    write(root, "policies/support.yaml", &doubtful);
    write(root, "tests/support.yaml", "kind: test\ndatabase: shop\ncases: []\n");
    expect(root, 1, "policy check --strict");
    expect(root, 2, "policy check --strict --baseline known.json");
    expect(root, 0, "policy check --strict --baseline known.json --write-baseline");
    write(root, "policies/support.yaml", &format!("# a comment\n\n{doubtful}"));
    let said = expect(root, 0, "policy check --strict --baseline known.json");
    assert!(!said.contains("stale"), "{said}");
    write(root, "policies/support.yaml", &doubtful.replace("name: support", "name: other"));
    let said = expect(root, 1, "policy check --strict --baseline known.json");
    assert!(
        said.contains("stale in the baseline: DAAM503 write-without-select policies/support.yaml"),
        "{said}"
    );
    assert!(!read(root, "known.json").contains("line"), "{}", read(root, "known.json"));
}

#[test]
fn a_baseline_takes_no_finding_that_may_not_be_silenced() {
    let scratch = project();
    let root = scratch.path();
    write(root, "policies/support.yaml", &POLICY.replace("masks:", "maks:"));
    let said = expect(root, 1, "policy check --baseline known.json --write-baseline");
    assert!(said.contains("DAAM103 may not wait"), "{said}");
    assert!(!read(root, "known.json").contains("DAAM103"));
    let forged = read(root, "known.json");
    assert!(forged.contains("\"version\": 1"), "{forged}");
    write(root, "known.json", "{\"version\":2,\"findings\":{}}");
    expect(root, 2, "policy check --baseline known.json");
}

#[test]
fn only_what_the_branch_brought_is_new() {
    let scratch = project();
    let root = scratch.path();
    let old = POLICY.replace("public.users.email", "public.users.emial");
    write(root, "policies/support.yaml", &old);
    repository(root);
    git(root, &["checkout", "-q", "-b", "work"]);
    write(root, "policies/support.yaml", &format!("# moved\n{old}"));
    expect(root, 1, "policy check");
    expect(root, 0, "policy check --new-from main");
    let other = POLICY.replace("name: support", "name: other").replace("public.users,", "public.user,");
    write(root, "policies/other.yaml", &other);
    let said = expect(root, 1, "policy check --new-from main --report concise");
    assert!(said.contains("policies/other.yaml") && !said.contains("policies/support.yaml"), "{said}");
    let said = expect(root, 2, "policy check --new-from nowhere");
    assert!(said.contains("no common commit of `nowhere`"), "{said}");
    // What main found since does not count: the comparison is with the commit the branch began at.
    git(root, &["add", "."]);
    git(root, &["commit", "-q", "-m", "work"]);
    git(root, &["checkout", "-q", "main"]);
    write(root, "policies/other.yaml", &other);
    git(root, &["add", "."]);
    git(root, &["commit", "-q", "-m", "the same on main"]);
    git(root, &["checkout", "-q", "work"]);
    expect(root, 1, "policy check --new-from main");
}

#[test]
fn an_editors_text_is_checked_in_place_of_the_file() {
    let scratch = project();
    let root = scratch.path();
    write(
        root,
        "policies/other.yaml",
        &POLICY.replace("name: support", "name: other").replace("masks:", "mask:"),
    );
    let mut child = Command::new(env!("CARGO_BIN_EXE_daam"))
        .args(["policy", "check", "--report", "json", "--stdin-filename", "policies/support.yaml"])
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(POLICY.replace("masks:", "maks:").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let files: Vec<&str> =
        json["diagnostics"].as_array().unwrap().iter().map(|one| one["file"].as_str().unwrap()).collect();
    assert_eq!(files, ["policies/support.yaml"]);
    assert_eq!(read(root, "policies/support.yaml"), POLICY);
}

#[test]
fn watching_checks_again_after_an_edit() {
    let scratch = project();
    let root = scratch.path();
    let mut child = Command::new(env!("CARGO_BIN_EXE_daam"))
        .args(["policy", "check", "--watch", "--report", "concise"])
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut verdict = || {
        let line = lines.by_ref().map(Result::unwrap).find(|line| line.starts_with("checked in ")).unwrap();
        line.split_once(": ").unwrap().1.to_owned()
    };
    assert_eq!(verdict(), "passed; waiting for changes");
    write(root, "policies/support.yaml", &POLICY.replace("masks:", "maks:"));
    assert_eq!(verdict(), "exit code 1; waiting for changes");
    std::fs::remove_file(root.join("daam.yaml")).unwrap();
    assert_eq!(verdict(), "exit code 2; waiting for changes");
    write(root, "daam.yaml", "kind: project\ndatabases: {}\n");
    drop(verdict());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_summary_of_a_job_gets_every_finding() {
    let scratch = project();
    let root = scratch.path();
    write(root, "policies/support.yaml", &POLICY.replace("masks:", "maks:"));
    let output = Command::new(env!("CARGO_BIN_EXE_daam"))
        .args(["policy", "check", "--report", "github", "--rules-url", "https://docs.acme.test/rules"])
        .current_dir(root)
        .env("GITHUB_STEP_SUMMARY", root.join("summary.md"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let summary = read(root, "summary.md");
    assert!(summary.contains("[DAAM103](https://docs.acme.test/rules/DAAM103) unknown-key"), "{summary}");
}

#[test]
fn standard_input_is_formatted_to_standard_output() {
    let scratch = tempfile::tempdir().unwrap();
    let run = |text: &str, arguments: &[&str]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_daam"))
            .args(["policy", "fmt", "-"])
            .args(arguments)
            .current_dir(scratch.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let formatted = "kind: policy # what\nname: a\n";
    assert_eq!(run("name:   'a'\nkind: policy # what\n", &[]), (Some(0), formatted.to_owned()));
    assert_eq!(run(formatted, &[]), (Some(0), formatted.to_owned()));
    assert_eq!(run("name: a\nkind: policy\n", &["--check"]), (Some(1), "not formatted: -\n".to_owned()));
    assert_eq!(run("name: [\n", &[]), (Some(2), String::new()));
}

#[cfg(unix)]
#[test]
fn a_policy_behind_a_link_is_an_error_and_not_silently_missing() {
    let scratch = project();
    let root = scratch.path();
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "masks.yaml", POLICY);
    std::os::unix::fs::symlink(outside.path().join("masks.yaml"), root.join("policies/masks.yaml")).unwrap();
    let said = expect(root, 1, "policy check");
    assert!(
        said.contains("`policies/masks.yaml` is covered by `policies/*.yaml` and has no effect"),
        "{said}"
    );
    std::fs::remove_file(root.join("policies/masks.yaml")).unwrap();
    std::os::unix::fs::symlink(outside.path(), root.join("policies/more")).unwrap();
    expect(root, 0, "policy check");
    let named = read(root, "daam.yaml").replace("policies/*.yaml", "policies/**/*.yaml");
    write(root, "daam.yaml", &named);
    let said = expect(root, 1, "policy check");
    assert!(
        said.contains("`policies/more/masks.yaml` is covered by `policies/**/*.yaml` and has no effect"),
        "{said}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_no_verdict() {
    let scratch = project();
    let run = |out: &str| {
        let out = std::fs::File::options().write(true).open(out).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_daam"));
        let command = command.args(["policy", "check", "--report", "json"]).current_dir(scratch.path());
        command.stdout(out).stderr(Stdio::piped()).output().unwrap()
    };
    let full = run("/dev/full");
    assert_eq!(full.status.code(), Some(2), "{}", String::from_utf8_lossy(&full.stderr));
    assert!(String::from_utf8_lossy(&full.stderr).contains("could not be written"));
    assert_eq!(run("/dev/null").status.code(), Some(0));
}

#[test]
fn a_known_finding_about_one_table_does_not_hide_one_about_another() {
    let scratch = project();
    let root = scratch.path();
    let granting = |one: &str, other: &str| {
        format!(
            "kind: policy\nname: support\ndatabase: shop\nsubjects: {{ groups: [support] }}\ngrants:\n  \
             - {{ on: public.users, allow: [{one}], columns: {{ select: [id] }} }}\n  \
             - {{ on: \"public.user*\", allow: [{other}], columns: {{ select: [id] }} }}\n"
        )
    };
    write(root, "policies/support.yaml", &granting("select, truncate", "select"));
    expect(root, 0, "policy check --baseline known.json --write-baseline");
    expect(root, 0, "policy check --strict --baseline known.json");
    write(root, "policies/support.yaml", &granting("select", "select, truncate"));
    let said = expect(root, 1, "policy check --strict --baseline known.json");
    assert!(said.contains("DAAM506"), "{said}");
}
