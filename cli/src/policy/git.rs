//! What a bundle was made from, as far as Git knows.
//!
//! Without Git, or outside a repository, everything is empty and counts as uncommitted: a bundle never claims a
//! commit that nobody can look up.

use daam_bundle::Source;
use std::path::Path;
use std::process::{Command, Stdio};

/// The source of the project in that directory.
pub fn source(directory: &Path) -> Source {
    let Some(commit) = ask(directory, &["rev-parse", "HEAD"]) else {
        return Source { dirty: true, ..Source::default() };
    };
    let changes = ask(directory, &["status", "--porcelain", "--untracked-files=normal", "--", "."]);
    Source {
        uri: ask(directory, &["config", "--get", "remote.origin.url"])
            .map(without_secret)
            .unwrap_or_default(),
        commit,
        tree: ask(directory, &["rev-parse", "HEAD:./"]).unwrap_or_default(),
        dirty: changes.is_none_or(|changes| !changes.is_empty()),
        ci: None,
    }
}

/// The tree of that directory in a commit, if it is there.
pub fn tree(directory: &Path, commit: &str) -> Option<String> {
    ask(directory, &["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{commit}:./")])
}

/// Where HEAD and another commit parted; nothing if they have no commit in common, or one is not there.
pub fn merge_base(directory: &Path, reference: &str) -> Option<String> {
    let wanted = format!("{reference}^{{commit}}");
    let other = ask(directory, &["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])?;
    ask(directory, &["merge-base", "HEAD", &other]).filter(|commit| !commit.is_empty())
}

fn ask(directory: &Path, arguments: &[&str]) -> Option<String> {
    let answer = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    answer.status.success().then(|| text.trim().to_owned())
}

/// Credentials in an address would be published with the bundle.
fn without_secret(uri: String) -> String {
    match uri.split_once("://") {
        Some((scheme, rest)) => match rest.split_once('@') {
            Some((user, host)) if !user.contains('/') => format!("{scheme}://{host}"),
            _ => uri,
        },
        None => uri,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_the_address_are_left_out() {
        let clean = |uri: &str| without_secret(uri.to_owned());
        assert_eq!(clean("https://token@git.example/a"), "https://git.example/a");
        assert_eq!(clean("https://git.example/a@b"), "https://git.example/a@b");
        assert_eq!(clean("git@git.example:a"), "git@git.example:a");
    }

    #[test]
    fn outside_a_repository_the_source_counts_as_uncommitted() {
        let scratch = tempfile::tempdir().unwrap();
        let found = source(scratch.path());
        assert!(found.dirty && found.commit.is_empty());
    }
}
