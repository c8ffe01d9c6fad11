//! `daam schema diff` and `daam schema check`: what changed in a database, and what that means for the policies.
//!
//! A side is the project's lock, the lock of a commit, a directory with a lock, or the live database. Policies are
//! always those of the working tree: the question is what happens to them.

use super::project::{DiskFiles, ProjectArgs};
use super::schema::{Live, read_lock};
use super::side::commit;
use crate::error::{CliError, Doing as _, Exit};
use crate::output;
use clap::Args;
use daam_catalog::{Catalog, lock};
use daam_compiler::schema_diff::{
    Context, SchemaChange, Significance, compare, is_stale, to_json, to_markdown, to_text,
};
use daam_compiler::{Checked, CompiledDatabase, FileSource, check};
use daam_diagnostic::Severity;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

/// Options of `daam schema diff`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam schema diff --dsn postgresql://reader@db.internal/shop
  daam schema diff git:main
  daam schema diff dir:old/schema/shop dir:schema/shop --report markdown=comment.md

Without sides the project's lock is compared with the live database (--dsn), with one side that side with the
project's lock, or with the live database if --dsn is given. Each change is judged by the policies of the project:
breaks-policy, newly-sensitive, newly-matched, neutral. Findings the changed schema would add are listed first.
Exit codes: 0 no change, 1 a policy breaks, 10 changed and nobody reaches more, 11 somebody reaches more,
2 no verdict, also if the project has errors of its own, 4 there is no lock.")]
pub struct DiffArgs {
    #[command(flatten)]
    project: ProjectArgs,
    #[command(flatten)]
    live: Live,
    /// `git:REF` or `dir:PATH`.
    #[arg(value_name = "OLD")]
    old: Option<LockPlace>,
    /// As OLD.
    #[arg(value_name = "NEW", requires = "old")]
    new: Option<LockPlace>,
    /// The database of the project; not needed if there is one.
    #[arg(long)]
    database: Option<String>,
    /// `text`, `json` or `markdown`, each with `=PATH` to write a file; may be given several times.
    #[arg(long = "report", value_name = "FORMAT[=PATH]", default_value = "text")]
    reports: Vec<LockReport>,
}

/// Options of `daam schema check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam schema check --dsn postgresql://reader@db.internal/shop
  daam schema check --dsn postgresql://reader@db.internal/shop --schema 'app_*'

Says what differs between the project's lock and the live database, and what that means for the policies.
A lock that was pulled with --schema is compared with the same --schema.
Exit codes: 0 the lock is current, 4 it is stale, missing, or of another database, 2 no verdict.")]
pub struct CheckArgs {
    #[command(flatten)]
    project: ProjectArgs,
    #[command(flatten)]
    live: Live,
    /// The database of the project; not needed if there is one.
    #[arg(long)]
    database: Option<String>,
    /// `text`, `json` or `markdown`, each with `=PATH` to write a file; may be given several times.
    #[arg(long = "report", value_name = "FORMAT[=PATH]", default_value = "text")]
    reports: Vec<LockReport>,
}

/// Where a lock is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LockPlace {
    /// The project's lock in a commit.
    Git(String),
    /// A directory.
    Directory(PathBuf),
}

impl FromStr for LockPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("git", reference)) if !reference.is_empty() => Ok(Self::Git(reference.to_owned())),
            Some(("dir", path)) if !path.is_empty() => Ok(Self::Directory(path.into())),
            _ => Err(format!("`{text}` is none of `git:REF` and `dir:PATH`")),
        }
    }
}

/// One report.
#[derive(Debug, Clone)]
struct LockReport {
    format: fn(&str, &Outcome) -> String,
    path: Option<PathBuf>,
}

impl FromStr for LockReport {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let (name, path) = match written.split_once('=') {
            Some((name, path)) => (name, Some(PathBuf::from(path))),
            None => (written, None),
        };
        let format: fn(&str, &Outcome) -> String = match name {
            "text" => {
                |database, outcome| format!("{}{}", outcome.found("  "), to_text(database, &outcome.changes))
            }
            "markdown" => |database, outcome| {
                format!("{}{}", outcome.found("- "), to_markdown(database, &outcome.changes))
            },
            "json" => |database, outcome| format!("{}\n", outcome.json(database)),
            other => {
                return Err(format!("`{other}` is not a format here; there are text, json and markdown"));
            }
        };
        Ok(Self { format, path })
    }
}

/// What a comparison gave.
#[derive(Debug)]
struct Outcome {
    changes: Vec<SchemaChange>,
    /// Errors the changed schema adds to the project's own, with their places.
    findings: Vec<String>,
    /// Whether the policies could be asked; without a project there are none to ask.
    judged: bool,
}

impl Outcome {
    fn found(&self, bullet: &str) -> String {
        let mut text = String::new();
        if !self.judged {
            text.push_str("the project has errors, so the changes are not judged by its policies\n\n");
        }
        if !self.findings.is_empty() {
            let _ =
                writeln!(text, "the changed schema adds {} errors to the project:\n", self.findings.len());
            for finding in &self.findings {
                let _ = writeln!(text, "{bullet}{finding}");
            }
            text.push('\n');
        }
        text
    }

    fn json(&self, database: &str) -> Value {
        let mut value = to_json(database, &self.changes);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("findings".to_owned(), json!(self.findings));
            fields.insert("judged".to_owned(), json!(self.judged));
        }
        value
    }

    fn write(&self, database: &str, reports: &[LockReport]) -> Result<(), CliError> {
        for report in reports {
            let rendered = (report.format)(database, self);
            match &report.path {
                None => output::text_out(&rendered),
                Some(path) => {
                    std::fs::write(path, rendered).doing(format_args!("write `{}`", path.display()))?;
                }
            }
        }
        Ok(())
    }

    fn exit(&self) -> Option<Exit> {
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

/// Runs `daam schema diff`.
pub async fn diff(args: &DiffArgs) -> Result<ExitCode, CliError> {
    // The variable may be set for other commands: two sides need no database.
    if args.new.is_some() && args.live.is_asked_for() {
        return Err(CliError::usage("NEW and the live database cannot both be the newer side")
            .remedy("leave out NEW, or `--dsn`"));
    }
    // Two directories need no project; with one, its policies still judge.
    let frame = Frame::open(&args.project, args.database.as_deref());
    let directories = (&args.old, &args.new);
    if let (Some(LockPlace::Directory(old)), Some(LockPlace::Directory(new))) = directories {
        let (before, after) = (read_lock(old)?, read_lock(new)?);
        return finish(frame.ok().as_ref(), (&before, &after), &args.reports);
    }
    let frame = frame?;
    let before = match &args.old {
        Some(place) => frame.at(place)?,
        None => frame.own()?,
    };
    let after = match &args.new {
        Some(place) => frame.at(place)?,
        None if args.live.is_given() => args.live.read().await?,
        None if args.old.is_some() => frame.own()?,
        None => {
            return Err(CliError::usage("there is nothing to compare the lock with")
                .remedy("give `--dsn DSN` for the live database, or a side such as `git:main`"));
        }
    };
    finish(Some(&frame), (&before, &after), &args.reports)
}

fn finish(
    frame: Option<&Frame>,
    (before, after): (&Catalog, &Catalog),
    reports: &[LockReport],
) -> Result<ExitCode, CliError> {
    let outcome = judged(frame, before, after);
    outcome.write(frame.map_or("schema", |frame| &frame.name), reports)?;
    Ok(outcome.exit().map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// Runs `daam schema check`.
pub async fn run(args: &CheckArgs) -> Result<ExitCode, CliError> {
    let frame = Frame::open(&args.project, args.database.as_deref())?;
    let locked = frame.own()?;
    let live = args.live.read().await?;
    if let Some(why) = other_database(&locked, &live) {
        return Err(CliError::new(
            Exit::SchemaLock,
            format!("the lock is of another database: {why} (DAAM803)"),
        )
        .remedy(format!(
            "name the database the lock is of, or run `daam schema pull --out {}`",
            frame.directory
        )));
    }
    let outcome = judged(Some(&frame), &locked, &live);
    outcome.write(&frame.name, &args.reports)?;
    if is_stale(&outcome.changes) {
        let message = format!("the schema lock of `{}` is stale (DAAM802)", frame.name);
        return Err(CliError::new(Exit::SchemaLock, message)
            .remedy(format!("run `daam schema pull --out {}` and review what changes", frame.directory)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Why two catalogues cannot be of one database.
fn other_database(locked: &Catalog, live: &Catalog) -> Option<String> {
    if locked.server.major() != live.server.major() {
        return Some(format!(
            "it was read from PostgreSQL {}, this is PostgreSQL {}",
            locked.server.major(),
            live.server.major()
        ));
    }
    match (&locked.system, &live.system) {
        (Some(locked), Some(live)) if locked != live => {
            Some("the system identifiers of the servers differ".to_owned())
        }
        _ => None,
    }
}

fn judged(frame: Option<&Frame>, before: &Catalog, after: &Catalog) -> Outcome {
    let Some(frame) = frame else {
        return Outcome { changes: compare(before, after, None), findings: Vec::new(), judged: true };
    };
    let (then, now) = (frame.compile(before), frame.compile(after));
    // Policies that were written for the new schema may name what the old one lacks, and the other way round.
    let compiled = then.databases.get(&frame.name).or_else(|| now.databases.get(&frame.name));
    let judged = compiled.is_some();
    let context = compiled.map(|compiled: &CompiledDatabase| Context {
        policies: &compiled.policies,
        scope: &compiled.scope,
        sensitive: |relation, column| {
            let found =
                daam_compiler::sensitive::classify(&daam_compiler::sensitive::Facts::of(relation, column));
            found.map(|found| found.evidence)
        },
    });
    let known: BTreeSet<String> = errors(&then).into_iter().collect();
    let findings = errors(&now).into_iter().filter(|found| !known.contains(found)).collect();
    Outcome { changes: compare(before, after, context), findings, judged }
}

fn errors(checked: &Checked) -> Vec<String> {
    let errors = checked.diagnostics.iter().filter(|found| found.severity == Severity::Error);
    let shown = errors.map(|found| {
        let position = checked.sources.position(found.at.source, found.at.span.start);
        let path = checked.sources.path(found.at.source);
        format!("{path}:{}: {} {}", position.line, found.code, found.message)
    });
    shown.collect()
}

/// The database of the project the question is about.
struct Frame {
    root: PathBuf,
    name: String,
    directory: String,
}

impl Frame {
    fn open(project: &ProjectArgs, database: Option<&str>) -> Result<Self, CliError> {
        let root = project.project.clone();
        let places = daam_compiler::lock_places(&DiskFiles::open(&root)?);
        let wanted = |(name, _): &(String, String)| database.is_none_or(|wanted| wanted == name);
        let mut found: Vec<(String, String)> = places.into_iter().filter(wanted).collect();
        match (found.pop(), found.is_empty()) {
            (Some((name, directory)), true) => Ok(Self { root, name, directory }),
            (Some(_), false) => Err(CliError::usage("the project has several databases")
                .remedy("say which one with `--database NAME`")),
            (None, _) => Err(CliError::new(Exit::NoInputs, "the project has no such database with a lock")),
        }
    }

    fn own(&self) -> Result<Catalog, CliError> {
        read_lock(&self.root.join(&self.directory))
    }

    fn at(&self, place: &LockPlace) -> Result<Catalog, CliError> {
        let reference = match place {
            LockPlace::Directory(path) => return read_lock(path),
            LockPlace::Git(reference) => reference,
        };
        let missing = || {
            CliError::new(Exit::SchemaLock, format!("`{}` has no lock at `{reference}`", self.directory))
                .remedy("name a commit that has one")
        };
        let files = commit(&self.root, reference)?.ok_or_else(missing)?;
        let prefix = format!("{}/", self.directory.trim_start_matches("./").trim_end_matches('/'));
        let mut texts = BTreeMap::new();
        for path in files.paths() {
            if let Some(name) = path.strip_prefix(&prefix).filter(|name| !name.contains('/')) {
                let text = files.read(&path).doing(format_args!("read `{path}` of `{reference}`"))?;
                texts.insert(name.to_owned(), text);
            }
        }
        if texts.is_empty() {
            return Err(missing());
        }
        lock::from_files(&texts).doing(format_args!("read the schema lock at `{reference}`"))
    }

    fn compile(&self, catalog: &Catalog) -> Checked {
        // The project was listed a moment ago; without it there is nothing to judge by.
        DiskFiles::open(&self.root).map_or_else(
            |_| check(&daam_compiler::MemoryFiles::new()),
            |files| check(&files.with_lock(&self.directory, catalog)),
        )
    }
}
