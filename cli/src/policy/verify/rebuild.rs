//! `--rebuild`: whether a bundle is what its commit makes.
//!
//! A signature says who vouches for a bundle, not that it follows from what was reviewed: a pipeline that was taken
//! over signs anything. Compiled again from the commit, content, effects and schema lock have the same digests or the
//! bundle was made from something else. Nothing of the working tree counts, and no date but the bundle's own.

use super::super::build::{compare, compiler};
use super::super::report::require_clean;
use super::super::{ask, git, side};
use crate::error::CliError;
use crate::output;
use daam_bundle::UnsignedBundle;
use daam_compiler::{Day, Options, PROJECT_FILE, Workspace};
use std::path::{Path, PathBuf};

/// Where the files of a bundle are to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkout {
    directory: PathBuf,
    /// Instead of the commit the bundle names.
    commit: Option<String>,
}

impl Checkout {
    /// Reads `DIR` or `DIR@COMMIT`; a directory may have an `@` in its name.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let whole = Self { directory: text.into(), commit: None };
        match text.rsplit_once('@') {
            _ if Path::new(text).is_dir() => Ok(whole),
            Some((directory, commit)) if !directory.is_empty() && !commit.is_empty() => {
                Ok(Self { directory: directory.into(), commit: Some(commit.to_owned()) })
            }
            _ => Err(format!("`{text}` is neither a directory nor `DIR@COMMIT`")),
        }
    }
}

/// Compiles the commit again and says how the bundle differs from it, if it does.
pub(super) fn holds(checkout: &Checkout, bundle: &UnsignedBundle) -> Result<bool, CliError> {
    let statement = bundle.statement();
    let named = Some(&statement.source.commit).filter(|commit| !commit.is_empty());
    let Some(commit) = checkout.commit.as_ref().or(named) else {
        return Err(CliError::usage("the bundle names no commit that it could be rebuilt from")
            .remedy("name one: `--rebuild DIR@COMMIT`"));
    };
    let Some(files) = side::commit(&checkout.directory, commit)? else {
        let message =
            format!("there is no `{PROJECT_FILE}` in `{}` at `{commit}`", checkout.directory.display());
        return Err(CliError::usage(message).remedy("name the project's directory in the checkout"));
    };
    // A waiver that has ended since was in force when the bundle was made.
    let today = Day::of_unix(statement.issued_at);
    let checked = Workspace::new(Options { today }).check(&files);
    require_clean(&checked)?;
    let database = ask::database(Some(&statement.database), &checked.databases)?;
    let mut differences = compare::with_bundle(bundle, database, &statement.compiler)?;
    if Some(commit) == named {
        let tree = git::tree(&checkout.directory, commit).unwrap_or_default();
        if tree != statement.source.tree {
            differences.push(format!("tree: {tree} here, {} in the bundle", statement.source.tree));
        }
    }
    if differences.is_empty() {
        output::line(format!("rebuilt: `{commit}` makes the same content, effects and schema lock"));
    } else {
        output::line(format!("not what `{commit}` makes:"));
        differences.iter().for_each(output::line);
    }
    if statement.source.dirty {
        output::progress("the bundle says that it was made with uncommitted changes");
    }
    if statement.compiler != compiler() {
        output::progress(format!("made by `{}`, rebuilt by `{}`", statement.compiler, compiler()));
    }
    Ok(differences.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_stands_behind_the_last_at_sign_and_may_be_left_out() {
        let read = |text: &str| Checkout::parse(text).map(|found| (found.directory, found.commit));
        assert_eq!(read("."), Ok((".".into(), None)));
        assert_eq!(read("a@b/policies@main"), Ok(("a@b/policies".into(), Some("main".to_owned()))));
        assert!(read("no-such-directory").is_err() && read("@main").is_err() && read("x@").is_err());
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("x@y");
        std::fs::create_dir(&odd).unwrap();
        assert_eq!(read(odd.to_str().unwrap()), Ok((odd.clone(), None)));
    }
}
