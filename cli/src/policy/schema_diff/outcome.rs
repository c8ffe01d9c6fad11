//! What a comparison of schemas gave, in the formats that were asked for.

use super::super::report::{Report, ReportArgs, format_and_path};
use crate::error::{CliError, Doing as _, Exit};
use crate::output;
use daam_compiler::schema_diff::{SchemaChange, Significance, to_json, to_markdown, to_text};
use daam_diagnostic::render::{json, markdown, text};
use daam_diagnostic::{Diagnostic, Finding, Report as Shown, SourceMap, identify};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// One report.
#[derive(Debug, Clone)]
pub(super) enum LockReport {
    /// Changes and findings.
    Whole(Format, Option<PathBuf>),
    /// The findings, as `daam policy check` reports them.
    Findings(Report),
}

/// How changes are shown.
#[derive(Debug, Clone, Copy)]
pub(super) enum Format {
    Text,
    Json,
    Markdown,
}

impl FromStr for LockReport {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let (name, path) = format_and_path(written)?;
        Ok(match name {
            "text" => Self::Whole(Format::Text, path),
            "markdown" => Self::Whole(Format::Markdown, path),
            "json" => Self::Whole(Format::Json, path),
            _ => Self::Findings(written.parse()?),
        })
    }
}

/// What a comparison gave.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) changes: Vec<SchemaChange>,
    /// Errors the changed schema adds to the project's own.
    pub(super) findings: Vec<Diagnostic>,
    /// What is wrong with the lock itself.
    pub(super) lock: Option<Diagnostic>,
    /// The texts both point into.
    pub(super) sources: SourceMap,
    /// Whether the policies could be asked; without a project there are none to ask.
    pub(super) judged: bool,
    /// Whether there was anything to compare.
    pub(super) compared: bool,
}

impl Outcome {
    /// Changes without a project whose policies could judge them.
    pub(super) fn unjudged(changes: Vec<SchemaChange>) -> Self {
        let (findings, sources) = (Vec::new(), SourceMap::new());
        Self { changes, findings, lock: None, sources, judged: true, compared: true }
    }

    /// A lock that is not to be compared.
    pub(super) fn refused(lock: Option<Diagnostic>, sources: SourceMap) -> Self {
        Self { lock, sources, judged: false, compared: false, ..Self::unjudged(Vec::new()) }
    }

    fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        self.lock.iter().chain(&self.findings)
    }

    fn named(&self) -> Vec<Finding> {
        identify(self.diagnostics().cloned().collect(), &self.sources)
    }

    fn text(&self, database: &str) -> String {
        let mut out = String::new();
        if self.compared && !self.judged {
            out.push_str("the project has errors, so the changes are not judged by its policies\n\n");
        }
        if !self.findings.is_empty() {
            let count = self.findings.len();
            let _ = writeln!(out, "the changed schema adds {count} errors to the project:\n");
        }
        if self.diagnostics().next().is_some() {
            out.push_str(&text::to_text(self.diagnostics(), &self.sources, text::Colour::Plain));
            out.push('\n');
        }
        if self.compared {
            out.push_str(&to_text(database, &self.changes));
        }
        out
    }

    fn markdown(&self, database: &str) -> String {
        let named = self.named();
        let mut out = String::new();
        if self.compared && !self.judged {
            out.push_str("The project has errors, so the changes are not judged by its policies.\n\n");
        }
        if !named.is_empty() {
            out.push_str(&markdown::to_markdown(&Shown::new(&named, &self.sources)));
            out.push('\n');
        }
        if self.compared {
            out.push_str(&to_markdown(database, &self.changes));
        }
        out
    }

    fn json(&self, database: &str) -> Value {
        let named = self.named();
        let mut shown = json::to_json(&Shown::new(&named, &self.sources));
        let mut value = to_json(database, &self.changes);
        if let Some(fields) = value.as_object_mut() {
            let findings = shown.get_mut("diagnostics").map(Value::take).unwrap_or_default();
            fields.insert("findings".to_owned(), findings);
            fields.insert("judged".to_owned(), json!(self.judged));
        }
        value
    }

    /// Writes every report about the project in that directory.
    pub(super) fn write(
        &self,
        database: &str,
        project: &Path,
        reports: &[LockReport],
    ) -> Result<(), CliError> {
        for report in reports {
            let (format, path) = match report {
                LockReport::Whole(format, path) => (format, path),
                LockReport::Findings(report) => {
                    ReportArgs::from(report.clone()).write(&self.named(), &[], &self.sources, project)?;
                    continue;
                }
            };
            let rendered = match format {
                Format::Text => self.text(database),
                Format::Markdown => self.markdown(database),
                Format::Json => format!("{}\n", self.json(database)),
            };
            match path {
                None => output::text_out(&rendered),
                Some(path) => {
                    std::fs::write(path, rendered).doing(format_args!("write `{}`", path.display()))?;
                }
            }
        }
        Ok(())
    }

    /// The exit code of a comparison; nothing where nothing changed.
    pub(super) fn exit(&self) -> Option<Exit> {
        let any = |wanted| self.changes.iter().any(|change| change.significance == wanted);
        if !self.findings.is_empty() || any(Significance::BreaksPolicy) {
            Some(Exit::Findings)
        } else if any(Significance::NewlySensitive) || any(Significance::NewlyMatched) {
            Some(Exit::Widened)
        } else if self.changes.is_empty() {
            None
        } else if !self.judged {
            Some(Exit::Usage)
        } else {
            Some(Exit::Changed)
        }
    }
}
