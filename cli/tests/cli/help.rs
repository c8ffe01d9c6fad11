//! Help texts: present everywhere, with examples.

use crate::command::daam;

const COMMANDS: [&[&str]; 33] = [
    &[],
    &["login"],
    &["databases"],
    &["connect"],
    &["psql"],
    &["run"],
    &["status"],
    &["doctor"],
    &["lsp"],
    &["audit", "verify"],
    &["audit", "export"],
    &["audit", "key"],
    &["audit", "search"],
    &["request"],
    &["request", "options"],
    &["request", "policy"],
    &["request", "tables"],
    &["request", "show"],
    &["request", "extend"],
    &["request", "end"],
    &["requests"],
    &["approve"],
    &["deny"],
    &["dev", "up"],
    &["dev", "psql"],
    &["dev", "run"],
    &["dev", "publish"],
    &["dev", "test"],
    &["dev", "down"],
    &["policy", "init"],
    &["schema", "pull"],
    &["schema", "diff"],
    &["schema", "check"],
];

#[test]
fn every_command_explains_itself_with_an_example() {
    let home = tempfile::tempdir().unwrap();
    for command in COMMANDS {
        let mut arguments = command.to_vec();
        arguments.push("--help");
        let outcome = daam(home.path(), &arguments).unwrap();
        assert_eq!(outcome.code, Some(0), "{command:?}");
        let example = format!("  daam {}", command.join(" "));
        assert!(outcome.out.contains("Example"), "{command:?}: {}", outcome.out);
        assert!(outcome.out.contains(example.trim_end()), "{command:?}: {}", outcome.out);
    }
}

#[test]
fn wrong_use_exits_with_2_and_says_so_on_standard_error() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [&["frobnicate"][..], &["connect"], &["run", "shop"], &["dev", "psql"]] {
        let outcome = daam(home.path(), arguments).unwrap();
        assert_eq!(outcome.code, Some(2), "{arguments:?}");
        assert!(
            outcome.out.is_empty() && outcome.err.starts_with("error:"),
            "{arguments:?}: {}",
            outcome.err
        );
    }
}

#[test]
fn the_version_is_told_on_standard_output() {
    let home = tempfile::tempdir().unwrap();
    let outcome = daam(home.path(), &["--version"]).unwrap();
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.out.starts_with("daam "), "{}", outcome.out);
}
