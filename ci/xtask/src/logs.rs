//! `cargo xtask logs`: reads what the tests' programs logged and what was refused in their answers, and finds the secrets
//! in it; `--forget` before a run, so that what is read is of that run.
//!
//! A run that left no log of some kind is a failure too: nothing was proven then.

use anyhow::{Context as _, bail};
use daam_suite_log::directory;
use daam_suite_log::secrets::Search;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// Whose logs a whole run leaves.
const KINDS: [&str; 5] = ["agent", "control_plane", "fabric", "relay", "said"];

/// Findings beyond this many are counted, not shown.
const SHOWN: usize = 50;

/// The logs' directory, empty.
pub(crate) fn forget() -> anyhow::Result<()> {
    let directory = directory().context("where the logs are")?;
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context("forget the logs"),
        _ => Ok(()),
    }
}

/// What was found, a line each, and a summary of what was read.
pub(crate) fn run() -> anyhow::Result<(Vec<String>, String)> {
    let directory = directory().context("where the logs are")?;
    read(&directory).with_context(|| {
        format!("read the logs in {}; `cargo nextest run --workspace` writes them", directory.display())
    })
}

fn read(directory: &Path) -> anyhow::Result<(Vec<String>, String)> {
    let search = Search::new()?;
    let (mut findings, mut lines, mut found) = (Vec::new(), 0, 0);
    let mut files: BTreeMap<String, usize> = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kind = name.split('.').next().unwrap_or_default().to_owned();
        *files.entry(kind).or_default() += usize::from(!text.is_empty());
        lines += text.lines().count();
        for secret in search.found(&text) {
            found += 1;
            if found <= SHOWN {
                findings.push(format!("{name}:{}: {}: {}", secret.line, secret.what, secret.shown));
            }
        }
    }
    if found > SHOWN {
        findings.push(format!("and {} more", found - SHOWN));
    }
    for kind in KINDS {
        if files.get(kind).copied().unwrap_or_default() == 0 {
            bail!("no `{kind}` wrote a log");
        }
    }
    let count: Vec<String> = files.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    Ok((findings, format!("logs: {lines} lines of {} read", count.join(", "))))
}
