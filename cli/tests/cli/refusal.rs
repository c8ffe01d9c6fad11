//! Refusals: one sentence, a remedy, an exit code, nothing left behind.

use crate::command::daam;
use std::fs;

#[test]
fn without_a_sign_in_every_connecting_command_says_how_to_sign_in() {
    let home = tempfile::tempdir().unwrap();
    for arguments in
        [&["databases"][..], &["connect", "shop"], &["psql", "shop"], &["run", "shop", "--", "true"]]
    {
        let outcome = daam(home.path(), arguments).unwrap();
        assert_eq!(outcome.code, Some(2), "{arguments:?}");
        assert!(
            outcome.err.starts_with("error: you are not signed in\nhelp: run `daam login"),
            "{}",
            outcome.err
        );
    }
}

#[test]
fn a_token_is_never_sent_unencrypted_to_another_machine() {
    let home = tempfile::tempdir().unwrap();
    let token = home.path().join("token");
    fs::write(&token, "t0p").unwrap();
    let token = token.to_str().unwrap();
    let arguments = ["login", "--control-plane", "http://daam.example", "--token-file", token];
    let outcome = daam(home.path(), &arguments).unwrap();
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.err.contains("unencrypted") && !outcome.err.contains("t0p"), "{}", outcome.err);
    assert!(!home.path().join("login.json").exists());
}

#[test]
fn a_control_plane_that_does_not_answer_is_named() {
    let home = tempfile::tempdir().unwrap();
    let token = home.path().join("token");
    fs::write(&token, "t0p").unwrap();
    let token = token.to_str().unwrap();
    let arguments = ["login", "--control-plane", "http://127.0.0.1:1", "--token-file", token];
    let outcome = daam(home.path(), &arguments).unwrap();
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.err.contains("could not reach the control plane at http://127.0.0.1:1"),
        "{}",
        outcome.err
    );
}

#[test]
fn login_without_a_terminal_and_without_a_token_asks_for_a_file() {
    let home = tempfile::tempdir().unwrap();
    let outcome =
        daam(home.path(), &["login", "--ask-token", "--control-plane", "https://daam.example"]).unwrap();
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.err.contains("--token-file"), "{}", outcome.err);
}

#[test]
fn a_sandbox_needs_a_project() {
    let home = tempfile::tempdir().unwrap();
    let outcome = daam(home.path(), &["dev", "up"]).unwrap();
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.err.contains("daam.yaml") && outcome.err.contains("--project"), "{}", outcome.err);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn nothing_is_removed_from_a_directory_that_was_no_sandbox() {
    let home = tempfile::tempdir().unwrap();
    let project = home.path().join("project");
    fs::create_dir_all(project.join("schema")).unwrap();
    for file in ["schema/a.yaml", "trust.json", "lock"] {
        fs::write(project.join(file), "mine").unwrap();
    }
    let outcome = daam(home.path(), &["dev", "down", "--state", project.to_str().unwrap()]).unwrap();
    assert_eq!(outcome.code, Some(2), "{}", outcome.err);
    assert!(outcome.err.contains("there is no sandbox in"), "{}", outcome.err);
    assert_eq!(fs::read_to_string(project.join("schema/a.yaml")).unwrap(), "mine");
    assert!(project.join("trust.json").exists() && project.join("lock").exists());
}

#[test]
fn commands_about_the_sandbox_say_that_none_is_running() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [&["dev", "publish"][..], &["dev", "psql", "--as", "a@b.test"], &["dev", "down"]] {
        let outcome = daam(home.path(), arguments).unwrap();
        assert_eq!(outcome.code, Some(2), "{arguments:?}");
        assert!(outcome.err.contains("no sandbox is running"), "{}", outcome.err);
    }
}
