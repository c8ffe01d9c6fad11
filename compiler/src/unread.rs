//! What the globs of `daam.yaml` cover and the project does not read, and globs that cover nothing.
//!
//! A policy that is a link to somewhere else, or that lies behind a glob with a slip in it, would otherwise be missing
//! without a word: with it go its masks.

use crate::file_source::{FileSource, Passed, PassedOver, is_yaml};
use crate::glob::Glob;
use crate::load::GROUPS;
use crate::rule;
use crate::syntax::decode::Spanned;
use crate::syntax::project::WrittenProject;
use daam_diagnostic::{Severity, Sink};

pub(crate) fn unread(project: &WrittenProject, source: &dyn FileSource, sink: &mut Sink) {
    let listed = if source.kept().is_some() { Vec::new() } else { source.paths() };
    let paths: Vec<&str> = match source.kept() {
        Some(kept) => kept.keys().map(String::as_str).collect(),
        None => listed.iter().map(String::as_str).collect(),
    };
    let passed_over = source.passed_over();
    for database in project.databases.values() {
        for text in database.policies.iter().chain(&database.tests) {
            outside(text, sink);
            let glob = Glob::new(&text.value);
            passed(text, &passed_over, sink);
            // Commits and editors are read by names; what only some commands saw would be in no diff.
            for path in paths.iter().filter(|path| !is_yaml(path) && glob.covers(path)) {
                let message = format!("`{path}` is covered by this and is not named like YAML");
                let mut found = rule::FILE_NOT_USED.at(text.at, message).help("let its name end in `.yaml`");
                found.severity = Severity::Error;
                sink.push(found);
            }
        }
        idle(&database.policies, &paths, sink);
    }
    // Groups have a place of their own, which nobody writes down.
    let Some(database) = project.databases.values().next() else { return };
    let groups = Spanned { value: GROUPS.to_owned(), at: database.name.at };
    passed(&groups, &passed_over, sink);
}

/// What a glob covers and is not read.
fn passed(text: &Spanned<String>, passed_over: &[PassedOver], sink: &mut Sink) {
    let glob = Glob::new(&text.value);
    for PassedOver { path, why } in passed_over.iter().filter(|file| glob.covers(&file.path)) {
        let message =
            format!("`{path}` is covered by `{}` and has no effect: {}", text.value, why.sentence());
        let mut found = rule::FILE_NOT_USED.at(text.at, message).help(why.remedy());
        found.severity = if *why == Passed::Hidden { Severity::Warning } else { Severity::Error };
        sink.push(found);
    }
}

/// Globs without a file beside globs that have some. That there is no policy at all is told elsewhere.
fn idle(globs: &[Spanned<String>], paths: &[&str], sink: &mut Sink) {
    let hits = |text: &&Spanned<String>| {
        let glob = Glob::new(&text.value);
        paths.iter().any(|path| glob.covers(path))
    };
    let (used, missed): (Vec<_>, Vec<_>) = globs.iter().partition(hits);
    if used.is_empty() {
        return;
    }
    for text in missed.into_iter().filter(|text| !leads_outside(&text.value)) {
        let message = format!("`{}` covers no file of the project", text.value);
        let mut found = rule::PATTERN_MATCHES_NOTHING.at(text.at, message);
        found.severity = Severity::Warning;
        sink.push(found.help("correct it, or remove it until there is such a file"));
    }
}

fn leads_outside(glob: &str) -> bool {
    glob.starts_with('/') || glob.split('/').any(|segment| segment == "..")
}

/// A path that could never be one of the project's.
fn outside(text: &Spanned<String>, sink: &mut Sink) {
    if leads_outside(&text.value) {
        let message = format!("`{}` leads outside the project, where nothing is read", text.value);
        let help =
            "paths are relative to the directory of `daam.yaml`; what counts is in the tree that is reviewed";
        sink.push(rule::PATTERN_MATCHES_NOTHING.at(text.at, message).help(help));
    }
}
