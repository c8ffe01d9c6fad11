//! Findings that are known already: those of a baseline file, and those of the commit a branch began at.
//!
//! Both go by fingerprints, never by lines. A baseline is a promise to look later, so it takes only findings that a
//! comment with a reason could silence: what guards exposure is waived in `daam.yaml`, with an owner, a reason and an
//! end, and what keeps a policy from meaning what it says has to be put right.

use crate::error::{CliError, Doing as _};
use crate::output;
use crate::policy::{git, side};
use clap::Args;
use daam_compiler::Workspace;
use daam_compiler::rule::{self, Nature};
use daam_diagnostic::{Diagnostic, Finding, SourceMap};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;

/// What is known already.
#[derive(Debug, Args)]
pub(super) struct KnownArgs {
    /// Leave out the findings this file lists.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// List the findings of this run in the baseline.
    #[arg(long, requires = "baseline")]
    write_baseline: bool,
    /// Leave out what was found already where this branch left REF.
    #[arg(long, value_name = "REF")]
    new_from: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Baseline {
    version: u32,
    findings: BTreeMap<String, Entry>,
}

/// What a fingerprint stands for, for those who review the file; only the fingerprint counts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    rule: String,
    file: String,
    subject: String,
    message: String,
}

impl KnownArgs {
    /// Takes what is known out of the findings.
    pub(super) fn narrow(
        &self,
        project: &Path,
        findings: &mut Vec<Finding>,
        sources: &SourceMap,
    ) -> Result<(), CliError> {
        if let Some(reference) = &self.new_from {
            let before = at_merge_base(project, reference)?;
            findings.retain(|finding| !before.contains(&finding.fingerprint));
        }
        let Some(path) = &self.baseline else { return Ok(()) };
        if self.write_baseline {
            let written = write(path, findings, sources)?;
            output::progress(format!("{written} findings are in `{}` now", path.display()));
        }
        let known = read(path)?;
        let stale = known.keys().filter(|name| !findings.iter().any(|finding| finding.fingerprint == **name));
        let stale: Vec<&String> = stale.collect();
        for name in &stale {
            let Some(entry) = known.get(*name) else { continue };
            output::progress(format!(
                "stale in the baseline: {} {}: {}",
                entry.rule, entry.file, entry.message
            ));
        }
        if !stale.is_empty() {
            output::progress("`--write-baseline` takes stale entries out");
        }
        findings
            .retain(|finding| !may_wait(&finding.diagnostic) || !known.contains_key(&finding.fingerprint));
        Ok(())
    }
}

fn may_wait(found: &Diagnostic) -> bool {
    rule::of(found.code).is_some_and(|rule| rule.nature == Nature::Free)
}

fn write(path: &Path, findings: &[Finding], sources: &SourceMap) -> Result<usize, CliError> {
    let (kept, left): (Vec<&Finding>, Vec<&Finding>) =
        findings.iter().partition(|finding| may_wait(&finding.diagnostic));
    if !left.is_empty() {
        let rules: BTreeSet<String> = left.iter().map(|one| one.diagnostic.code.to_string()).collect();
        output::progress(format!(
            "{} findings stay out of the baseline: {} may not wait",
            left.len(),
            rules.into_iter().collect::<Vec<_>>().join(", ")
        ));
    }
    let entry = |finding: &&Finding| {
        let found = &finding.diagnostic;
        let entry = Entry {
            rule: format!("{} {}", found.code, found.code.slug),
            file: sources.path(found.at.source).to_owned(),
            subject: found.subject.clone(),
            message: found.message.clone(),
        };
        (finding.fingerprint.clone(), entry)
    };
    let baseline = Baseline { version: VERSION, findings: kept.iter().map(entry).collect() };
    let text = serde_json::to_string_pretty(&baseline).doing("write the baseline")?;
    std::fs::write(path, text + "\n").doing(format_args!("write the baseline `{}`", path.display()))?;
    Ok(kept.len())
}

fn read(path: &Path) -> Result<BTreeMap<String, Entry>, CliError> {
    let doing = format!("read the baseline `{}`", path.display());
    let text = std::fs::read_to_string(path)
        .doing(&doing)
        .map_err(|error| error.remedy("`--write-baseline` makes one"))?;
    let baseline: Baseline = serde_json::from_str(&text).doing(&doing)?;
    if baseline.version != VERSION {
        let message =
            format!("the baseline has version {}; this program reads version {VERSION}", baseline.version);
        return Err(CliError::usage(message));
    }
    Ok(baseline.findings)
}

/// What was found where HEAD and the reference parted.
fn at_merge_base(project: &Path, reference: &str) -> Result<BTreeSet<String>, CliError> {
    let Some(base) = git::merge_base(project, reference) else {
        let message =
            format!("there is no common commit of `{reference}` and HEAD in `{}`", project.display());
        return Err(CliError::usage(message)
            .remedy("fetch more of the history (`git fetch --unshallow`), or name another reference"));
    };
    let Some(files) = side::commit(project, &base)? else {
        output::progress(format!("`{reference}` has no project here: every finding is new"));
        return Ok(BTreeSet::new());
    };
    let mut checked = Workspace::new(super::options()).check(&files);
    let (findings, _) = super::identified(&mut checked);
    Ok(findings.into_iter().map(|finding| finding.fingerprint).collect())
}
