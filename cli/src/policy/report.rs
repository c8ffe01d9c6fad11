//! Findings in the formats that were asked for, and the verdict, which no format changes.

use crate::error::{CliError, Doing as _, Exit};
use crate::output;
use clap::Args;
use daam_compiler::Checked;
use daam_diagnostic::Severity;
use daam_diagnostic::render::{github, json, junit, sarif, text};
use std::path::PathBuf;
use std::str::FromStr;

/// How findings are reported.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// `text`, `json`, `github`, `sarif` or `junit`, each with `=PATH` to write a file; may be given several times.
    #[arg(long = "report", value_name = "FORMAT[=PATH]", default_value = "text")]
    pub reports: Vec<Report>,
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
    Json,
    Github,
    Sarif,
    Junit,
}

impl FromStr for Report {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let (name, path) = match written.split_once('=') {
            Some((name, path)) => (name, Some(PathBuf::from(path))),
            None => (written, None),
        };
        let format = match name {
            "text" => Format::Text,
            "json" => Format::Json,
            "github" => Format::Github,
            "sarif" => Format::Sarif,
            "junit" => Format::Junit,
            other => {
                return Err(format!(
                    "`{other}` is not a report format; there are text, json, github, sarif and junit"
                ));
            }
        };
        Ok(Self { format, path })
    }
}

impl ReportArgs {
    /// Writes every report.
    pub fn write(&self, checked: &Checked) -> Result<(), CliError> {
        for report in &self.reports {
            let terminal = report.path.is_none() && output::is_terminal();
            let colour = if terminal { text::Colour::Ansi } else { text::Colour::Plain };
            let rendered = match report.format {
                Format::Text => text::to_text(&checked.diagnostics, &checked.sources, colour),
                Format::Json => format!("{}\n", json::to_json(&checked.diagnostics, &checked.sources)),
                Format::Github => github::to_annotations(&checked.diagnostics, &checked.sources),
                Format::Sarif => {
                    let version = env!("CARGO_PKG_VERSION");
                    format!("{}\n", sarif::to_sarif(&checked.diagnostics, &checked.sources, version))
                }
                Format::Junit => junit::to_junit(&checked.diagnostics, &checked.sources),
            };
            match &report.path {
                None => output::text_out(&rendered),
                Some(path) => std::fs::write(path, rendered)
                    .doing(format_args!("write the report `{}`", path.display()))?,
            }
        }
        Ok(())
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
