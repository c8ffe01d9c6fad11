//! `daam policy check`: everything that is wrong, in all files, in one run.
//!
//! What is shown can be narrowed by rule, by a baseline and to what a branch brought; none of it changes what
//! `daam policy build` accepts. The exit code is that of everything that was shown, whatever the formats.

mod known;
mod mend;
mod selection;
mod watch;

use super::project::{DiskFiles, ProjectArgs};
use super::report::ReportArgs;
use crate::error::{CliError, Doing as _, Exit};
use crate::output;
use clap::Args;
use daam_compiler::{Checked, Day, FileSource, Options, Overlay, WaivedBy, Workspace, name_subjects};
use daam_diagnostic::{Finding, Severity, Silenced, identify};
use known::KnownArgs;
use mend::MendArgs;
use selection::SelectionArgs;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

/// Options of `daam policy check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy check
  daam policy check --fix
  daam policy check --fix --diff
  daam policy check --watch
  daam policy check --select DAAM4 --statistics
  daam policy check --new-from origin/main --report concise
  daam policy check --baseline daam-baseline.json --write-baseline
  daam policy check --report github --report sarif=daam.sarif --fail-level warning
  daam policy check --stdin-filename policies/support.yaml < policies/support.yaml

A fix that is called safe is not believed: the effects before and after are compared, and nothing is written if
anybody could do or see more. A baseline goes by fingerprints, never by lines, and takes only findings of rules that
may be silenced at all; `daam policy rule CODE` tells which.
Exit codes: 0 nothing at or above the fail level, 1 findings (or fixes shown by --diff), 2 no verdict, 3 no policies,
4 schema lock missing or not usable, 11 a fix would have widened access.")]
pub struct CheckArgs {
    #[command(flatten)]
    project: ProjectArgs,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    mend: MendArgs,
    #[command(flatten)]
    known: KnownArgs,
    /// Count findings by rule instead of showing them as text.
    #[arg(long)]
    statistics: bool,
    /// Check again whenever a file of the project changes.
    #[arg(long, conflicts_with_all = ["fix", "unsafe_fixes", "diff", "write_baseline", "stdin_filename"])]
    watch: bool,
    /// Read this file of the project from standard input, and report only its findings.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["fix", "unsafe_fixes", "diff", "write_baseline"])]
    stdin_filename: Option<PathBuf>,
    /// Do not fail when there is nothing to check.
    #[arg(long)]
    allow_empty: bool,
}

/// Runs it.
pub fn run(args: &CheckArgs) -> Result<ExitCode, CliError> {
    args.selection.validate()?;
    if args.watch {
        return watch::run(args);
    }
    let files = DiskFiles::open(&args.project.project)?;
    let mut texts = BTreeMap::new();
    let mut only = None;
    if let Some(path) = &args.stdin_filename {
        let path = within(&args.project.project, path)?;
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).doing("read standard input as UTF-8 text")?;
        texts.insert(path.clone(), text);
        only = Some(path);
    }
    let source = Overlay::new(&files, &texts);
    let outcome = once(args, &source, &mut Workspace::new(options()), only.as_deref())?;
    if outcome == Some(Exit::NoInputs) {
        output::progress("no policies were found; `databases.<name>.policies` in daam.yaml names them");
    }
    Ok(outcome.map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// Today, by this machine's clock.
pub(super) fn options() -> Options {
    Options { today: Day::of_unix(super::now_unix()) }
}

/// One check with all it entails; the exit code, if it is not 0.
fn once(
    args: &CheckArgs,
    source: &dyn FileSource,
    workspace: &mut Workspace,
    only: Option<&str>,
) -> Result<Option<Exit>, CliError> {
    let (mut checked, would_change) = if args.mend.wanted() {
        args.mend.run(&args.project.project, source, &args.selection)?
    } else {
        (workspace.check(source), false)
    };
    let (mut findings, mut silenced) = identified(&mut checked);
    findings.retain(|finding| args.selection.takes(&finding.diagnostic));
    silenced.retain(|silenced| args.selection.takes(&silenced.finding.diagnostic));
    if let Some(path) = only {
        let inside = |finding: &Finding| checked.sources.path(finding.diagnostic.at.source) == path;
        findings.retain(inside);
        silenced.retain(|silenced| inside(&silenced.finding));
    }
    args.known.narrow(&args.project.project, &mut findings, &checked.sources)?;
    show(args, &findings, &silenced, &checked)?;
    let failed = args.selection.fails(&findings) || would_change;
    Ok(if checked.lacks_lock() {
        Some(Exit::SchemaLock)
    } else if failed {
        Some(Exit::Findings)
    } else if checked.inputs.policies == 0 && !args.allow_empty {
        Some(Exit::NoInputs)
    } else {
        None
    })
}

/// All findings of a run under their names, and those that were silenced.
fn identified(checked: &mut Checked) -> (Vec<Finding>, Vec<Silenced>) {
    let mut diagnostics = checked.diagnostics.to_vec();
    let open = diagnostics.len();
    diagnostics.extend(checked.waived.iter().map(|waived| waived.diagnostic.clone()));
    name_subjects(&mut diagnostics, &checked.sources);
    // What the verdict needs stays where it is.
    checked.diagnostics = diagnostics.iter().take(open).cloned().collect();
    // All of them at once: a name must not be that of a finding which is open and of one which is not.
    let mut findings = identify(diagnostics, &checked.sources);
    let waived = findings.split_off(open.min(findings.len()));
    let silenced = waived.into_iter().zip(&checked.waived).map(|(finding, by)| Silenced {
        finding,
        in_source: by.by == WaivedBy::Comment,
        at: by.at,
        reason: by.reason.clone(),
        owner: match &by.by {
            WaivedBy::Comment => None,
            WaivedBy::Waiver { owner } => Some(owner.clone()),
        },
        until: by.until.map(|day| day.to_string()),
    });
    (findings, silenced.collect())
}

fn show(
    args: &CheckArgs,
    findings: &[Finding],
    silenced: &[Silenced],
    checked: &Checked,
) -> Result<(), CliError> {
    let plain = args.report.is_default();
    if !(plain && args.statistics) {
        args.report.write(findings, silenced, &checked.sources, &args.project.project)?;
    }
    if args.statistics {
        let text = statistics(findings);
        if args.report.machine_reads_stdout() { output::text_err(&text) } else { output::text_out(&text) }
    }
    Ok(())
}

/// Findings per rule, the most frequent first.
fn statistics(findings: &[Finding]) -> String {
    let mut counts: BTreeMap<_, (usize, Severity)> = BTreeMap::new();
    for finding in findings {
        let found = &finding.diagnostic;
        let entry = counts.entry(found.code).or_insert((0, found.severity));
        *entry = (entry.0 + 1, entry.1.min(found.severity));
    }
    let mut rows: Vec<_> = counts.into_iter().collect();
    rows.sort_by_key(|(code, (count, _))| (std::cmp::Reverse(*count), *code));
    let mut lines: Vec<String> = rows
        .into_iter()
        .map(|(code, (count, severity))| {
            format!("{count:>6}  {code}  {:<8} {}\n", severity.as_str(), code.slug)
        })
        .collect();
    lines.push(format!("{:>6}  in all\n", findings.len()));
    lines.concat()
}

/// A path a person wrote, as the project names it.
fn within(project: &Path, path: &Path) -> Result<String, CliError> {
    let inner = path.strip_prefix(project).unwrap_or(path);
    let absolute = project.canonicalize().ok();
    let inner = absolute.as_deref().and_then(|root| path.strip_prefix(root).ok()).unwrap_or(inner);
    let parts: Option<Vec<&str>> = inner
        .components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    match parts {
        Some(parts) if !parts.is_empty() => Ok(parts.join("/")),
        _ => Err(CliError::usage(format!("`{}` is not a file of the project", path.display()))
            .remedy("name it relative to the project")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_as_the_project_names_it() {
        let of = |project: &str, path: &str| within(Path::new(project), Path::new(path)).ok();
        assert_eq!(of(".", "./policies/a.yaml").as_deref(), Some("policies/a.yaml"));
        assert_eq!(of("shop", "shop/policies/a.yaml").as_deref(), Some("policies/a.yaml"));
        assert_eq!(of("shop", "policies/a.yaml").as_deref(), Some("policies/a.yaml"));
        assert_eq!(of("shop", "../a.yaml"), None);
    }
}
