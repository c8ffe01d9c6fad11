//! Runs `tests/spec/*.md`.
//!
//! Each `##` section is a case. A fenced block whose info string names a file (```` ```yaml policies/a.yaml ````) is
//! that file; ```` ```schema shop ```` is the schema lock; blocks before the first `##` belong to every case. The
//! block ```` ```findings ```` lists what is expected, one finding per line: code, severity, the underlined text
//! (line ends as `⏎`), and after `--` a part of the message or help. No such block: nothing is found.
//!
//! The rules about sensitive columns have a file of their own, `exposure.md`. Elsewhere they are not looked at, or
//! every case with an e-mail address in it would be about them. It is 2026-11-22.

use crate::catalogue;
use daam_compiler::{Checked, Day, MemoryFiles, Options, Workspace, rule};
use daam_diagnostic::Diagnostic;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Default)]
struct Case {
    title: String,
    blocks: Vec<(String, String)>,
}

/// Every block of the specifications: its info string and its text.
pub(crate) fn blocks() -> Vec<(String, String)> {
    let texts = specifications().into_iter().map(|path| std::fs::read_to_string(path).unwrap());
    let mut blocks: Vec<(String, String)> =
        texts.flat_map(|text| cases(&text)).flat_map(|case| case.blocks).collect();
    blocks.sort();
    blocks.dedup();
    blocks
}

#[test]
fn every_specification_holds() {
    let mut problems = String::new();
    for path in specifications() {
        let text = std::fs::read_to_string(&path).unwrap();
        let file = path.file_name().unwrap().to_string_lossy();
        for case in cases(&text) {
            if let Some(problem) = run(&case, file == "exposure.md") {
                let _ = writeln!(problems, "{file}: {}\n{problem}", case.title);
            }
        }
    }
    assert!(problems.is_empty(), "\n{problems}");
}

#[test]
fn every_rule_is_specified() {
    let all: String = specifications().iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let expected: BTreeSet<&str> = all.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let missing: Vec<String> = rule::all()
        .filter(|rule| rule.shown_by.is_none())
        .map(|rule| rule.code.to_string())
        .filter(|code| !expected.contains(code.as_str()))
        .collect();
    assert!(missing.is_empty(), "no specification shows {missing:?}");
}

fn specifications() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

fn cases(text: &str) -> Vec<Case> {
    let mut shared = Case::default();
    let mut cases: Vec<Case> = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        if let Some((_, body)) = &mut open {
            if line.trim_end() == "```" {
                let block = open.take().unwrap();
                cases.last_mut().unwrap_or(&mut shared).blocks.push(block);
            } else {
                body.push_str(line);
                body.push('\n');
            }
        } else if let Some(info) = line.strip_prefix("```") {
            open = Some((info.trim().to_owned(), String::new()));
        } else if let Some(title) = line.strip_prefix("## ") {
            cases.push(Case { title: title.to_owned(), blocks: shared.blocks.clone() });
        }
    }
    assert!(open.is_none(), "a block is not closed");
    assert!(!cases.is_empty(), "no case");
    cases
}

fn run(case: &Case, exposure: bool) -> Option<String> {
    let mut files = MemoryFiles::new();
    let mut expected = String::new();
    for (info, body) in &case.blocks {
        match info.split_once(' ') {
            None if info == "findings" => expected.clone_from(body),
            Some(("schema", database)) => {
                files = catalogue::with_lock(files, &format!("schema/{database}"), &catalogue::parse(body));
            }
            Some((_, path)) => files = files.with(path, body.clone()),
            None => {}
        }
    }
    let today = Day::parse("2026-11-22");
    let checked = Workspace::new(Options { today }).check(&files);
    let mut wanted: Vec<&str> = expected.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut unexpected = Vec::new();
    let guards = |found: &&Diagnostic| (600..700).contains(&found.code.number);
    for found in checked.diagnostics.iter().filter(|found| exposure || !guards(found)) {
        let line = shown(found, &checked);
        match wanted.iter().position(|wanted| holds(wanted, found, &line)) {
            Some(index) => drop(wanted.remove(index)),
            None => unexpected.push(format!("  found    {line} -- {}", said(found))),
        }
    }
    let compiled = checked.databases.is_empty() != checked.has_meaning();
    if wanted.is_empty() && unexpected.is_empty() && compiled {
        return None;
    }
    let missing = wanted.iter().map(|line| format!("  expected {line}"));
    Some(missing.chain(unexpected).collect::<Vec<_>>().join("\n"))
}

fn shown(found: &Diagnostic, checked: &Checked) -> String {
    let text = checked.sources.slice(found.at).replace('\n', "⏎");
    format!("{} {} {text}", found.code, found.severity).trim_end().to_owned()
}

fn said(found: &Diagnostic) -> String {
    let labels = found.labels.iter().map(|label| label.text.as_str());
    let parts: Vec<&str> =
        std::iter::once(found.message.as_str()).chain(found.help.as_deref()).chain(labels).collect();
    parts.join(" | ")
}

fn holds(wanted: &str, found: &Diagnostic, line: &str) -> bool {
    match wanted.split_once(" -- ") {
        Some((head, part)) => head.trim_end() == line && said(found).contains(part.trim()),
        None => wanted.trim_end() == line,
    }
}
