//! Findings in the formats that were asked for, and the verdict, which no format changes.

use crate::error::{CliError, Doing as _, Exit};
use crate::output;
use clap::Args;
use daam_compiler::rule::page;
use daam_compiler::{Checked, rule};
use daam_diagnostic::render::{concise, github, gitlab, json, junit, markdown, sarif, text};
use daam_diagnostic::{Finding, Report as Shown, RuleText, Severity, Silenced, SourceMap};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// How findings are reported.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// `text`, `concise`, `json`, `sarif`, `github`, `gitlab`, `junit` or `markdown`, each with `=PATH` to write a
    /// file; may be given several times.
    #[arg(long = "report", value_name = "FORMAT[=PATH]", default_value = "text")]
    pub reports: Vec<Report>,
    /// Where the output of `daam policy rule --all` is published, for links in reports.
    #[arg(long, value_name = "URL", env = "DAAM_RULES_URL")]
    rules_url: Option<String>,
}

/// One report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    format: Format,
    path: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Concise,
    Json,
    Sarif,
    Github,
    Gitlab,
    Junit,
    Markdown,
}

const FORMATS: [(&str, Format); 8] = [
    ("text", Format::Text),
    ("concise", Format::Concise),
    ("json", Format::Json),
    ("sarif", Format::Sarif),
    ("github", Format::Github),
    ("gitlab", Format::Gitlab),
    ("junit", Format::Junit),
    ("markdown", Format::Markdown),
];

/// The parts of `FORMAT[=PATH]`.
pub(super) fn format_and_path(written: &str) -> Result<(&str, Option<PathBuf>), String> {
    match written.split_once('=') {
        Some((_, "")) => Err(format!("`{written}` names no file")),
        Some((name, path)) => Ok((name, Some(PathBuf::from(path)))),
        None => Ok((written, None)),
    }
}

impl FromStr for Report {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let (name, path) = format_and_path(written)?;
        let Some((_, format)) = FORMATS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
            return Err(format!("`{name}` is not a report format; there are {}", known.join(", ")));
        };
        Ok(Self { format: *format, path })
    }
}

impl Report {
    /// Whether it shares standard output with lines for people.
    fn is_for_machines(&self) -> bool {
        self.path.is_none() && !matches!(self.format, Format::Text | Format::Concise | Format::Markdown)
    }
}

impl From<Report> for ReportArgs {
    fn from(report: Report) -> Self {
        Self { reports: vec![report], rules_url: None }
    }
}

impl ReportArgs {
    /// Whether only the text for people was asked for.
    pub fn is_default(&self) -> bool {
        matches!(self.reports.as_slice(), [Report { format: Format::Text, path: None }])
    }

    /// Whether something reads standard output that would stumble over further lines.
    pub fn machine_reads_stdout(&self) -> bool {
        self.reports.iter().any(Report::is_for_machines)
    }

    /// Writes every report about the project in that directory.
    pub fn write(
        &self,
        findings: &[Finding],
        silenced: &[Silenced],
        sources: &SourceMap,
        project: &Path,
    ) -> Result<(), CliError> {
        let rules = rules(findings, silenced);
        let prefix = prefix(project);
        let shown = Shown {
            findings,
            silenced,
            sources,
            rules: &rules,
            prefix: &prefix,
            docs: self.rules_url.as_deref(),
            version: env!("CARGO_PKG_VERSION"),
        };
        for report in &self.reports {
            let rendered = render(report, &shown);
            match &report.path {
                None => output::text_out(&rendered),
                Some(path) => std::fs::write(path, rendered)
                    .doing(format_args!("write the report `{}`", path.display()))?,
            }
            if report.format == Format::Github {
                summarize(&shown)?;
            }
        }
        Ok(())
    }
}

fn render(report: &Report, shown: &Shown<'_>) -> String {
    let terminal = report.path.is_none() && output::has_colours();
    let colour = if terminal { text::Colour::Ansi } else { text::Colour::Plain };
    let diagnostics = shown.findings.iter().map(|finding| &finding.diagnostic);
    match report.format {
        Format::Text => text::to_text(diagnostics, shown.sources, colour),
        Format::Concise => concise::to_concise(shown),
        Format::Json => format!("{}\n", json::to_json(shown)),
        Format::Sarif => format!("{}\n", sarif::to_sarif(shown)),
        Format::Github => github::to_annotations(shown),
        Format::Gitlab => format!("{}\n", gitlab::to_gitlab(shown)),
        Format::Junit => junit::to_junit(shown, "daam policy check"),
        Format::Markdown => markdown::to_markdown(shown),
    }
}

/// Annotations show ten findings of a kind; the job's summary gets all that fit.
fn summarize(shown: &Shown<'_>) -> Result<(), CliError> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let doing = "append to the summary of the job";
    let mut file = std::fs::File::options().append(true).create(true).open(path).doing(doing)?;
    file.write_all(markdown::to_markdown(shown).as_bytes()).doing(doing)
}

/// What the rules that found something say about themselves.
fn rules(findings: &[Finding], silenced: &[Silenced]) -> Vec<RuleText> {
    let all = || findings.iter().chain(silenced.iter().map(|one| &one.finding));
    let found = |rule: &&rule::Rule| all().any(|one| one.diagnostic.code == rule.code);
    rule::all()
        .filter(found)
        .map(|rule| RuleText {
            code: rule.code,
            severity: rule.severity,
            summary: rule.docs.to_owned(),
            page: page::markdown(rule, 1),
        })
        .collect()
}

/// What leads from the root of the repository to the project; nothing outside a repository.
pub(super) fn prefix(project: &Path) -> String {
    let Ok(project) = project.canonicalize() else { return String::new() };
    let root = project.ancestors().find(|directory| directory.join(".git").exists());
    let inner = root.and_then(|root| project.strip_prefix(root).ok());
    match inner.and_then(Path::to_str) {
        Some(path) if !path.is_empty() => format!("{path}/"),
        _ => String::new(),
    }
}

/// The exit code of a checked project; nothing if it is fit to be built.
pub fn verdict(checked: &Checked, strict: bool) -> Option<Exit> {
    let warned = checked.diagnostics.iter().any(|found| found.severity == Severity::Warning);
    if checked.lacks_lock() {
        Some(Exit::SchemaLock)
    } else if checked.has_errors() || (strict && warned) {
        Some(Exit::Findings)
    } else if checked.inputs.policies == 0 {
        Some(Exit::NoInputs)
    } else {
        None
    }
}

/// Refuses to go on with a project whose policies mean nothing certain. Errors about what they expose are no obstacle
/// to a question about what they expose.
pub fn require_meaning(checked: &Checked) -> Result<(), CliError> {
    match verdict(checked, false) {
        Some(Exit::Findings) if !checked.databases.is_empty() => Ok(()),
        _ => require_clean(checked),
    }
}

/// Refuses to go on with a project that has errors; the findings go to standard error.
pub fn require_clean(checked: &Checked) -> Result<(), CliError> {
    let Some(exit) = verdict(checked, false) else { return Ok(()) };
    let shown = text::to_text(&checked.diagnostics, &checked.sources, text::Colour::Plain);
    output::text_err(&shown);
    Err(match exit {
        Exit::NoInputs => CliError::new(exit, "the project has no policies"),
        Exit::SchemaLock => CliError::new(exit, "the schema lock is missing or not usable"),
        _ => CliError::new(exit, "the project has errors"),
    }
    .remedy("`daam policy check` reports them"))
}
