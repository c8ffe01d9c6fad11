//! `daam schema diff` and `daam schema check`: what changed in a database, and what that means for the policies.
//!
//! A side is the project's lock, the lock of a commit, a directory with a lock, or the live database. Policies are
//! always those of the working tree: the question is what happens to them.

mod outcome;

use super::project::{DiskFiles, ProjectArgs};
use super::schema::{Live, read_lock};
use super::side::commit;
use crate::error::{CliError, Doing as _, Exit};
use clap::Args;
use daam_catalog::{Catalog, lock};
use daam_compiler::rule::{self, Rule};
use daam_compiler::schema_diff::{Context, compare, is_stale};
use daam_compiler::{Checked, CompiledDatabase, FileSource, LockPlace, PROJECT_FILE, check};
use daam_diagnostic::{Diagnostic, Location, Severity, SourceMap};
use outcome::{LockReport, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
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
breaks-policy, newly-sensitive, newly-matched, neutral. Findings the changed schema would add are shown first.
Exit codes: 0 no change, 1 a policy breaks, 10 changed and nobody reaches more, 11 somebody reaches more,
2 no verdict, also if the project has errors of its own, 4 there is no lock.")]
pub struct DiffArgs {
    #[command(flatten)]
    project: ProjectArgs,
    #[command(flatten)]
    live: Live,
    /// `git:REF` or `dir:PATH`.
    #[arg(value_name = "OLD")]
    old: Option<LockSide>,
    /// As OLD.
    #[arg(value_name = "NEW", requires = "old")]
    new: Option<LockSide>,
    /// The database of the project; not needed if there is one.
    #[arg(long)]
    database: Option<String>,
    /// `text`, `json`, `markdown`, or for the findings alone a format of `daam policy check`, each with `=PATH` to write a
    /// file; may be given several times.
    #[arg(long = "report", value_name = "FORMAT[=PATH]", default_value = "text")]
    reports: Vec<LockReport>,
}

/// Options of `daam schema check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam schema check --dsn postgresql://reader@db.internal/shop
  daam schema check --dsn postgresql://reader@db.internal/shop --schema 'app_*'
  daam schema check --dsn postgresql://reader@db.internal/shop --report text --report sarif=schema.sarif

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
    /// `text`, `json`, `markdown`, or for the findings alone a format of `daam policy check`, each with `=PATH` to write a
    /// file; may be given several times.
    #[arg(long = "report", value_name = "FORMAT[=PATH]", default_value = "text")]
    reports: Vec<LockReport>,
}

/// Where a lock is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LockSide {
    /// The project's lock in a commit.
    Git(String),
    /// A directory.
    Directory(PathBuf),
}

impl FromStr for LockSide {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("git", reference)) if !reference.is_empty() => Ok(Self::Git(reference.to_owned())),
            Some(("dir", path)) if !path.is_empty() => Ok(Self::Directory(path.into())),
            _ => Err(format!("`{text}` is none of `git:REF` and `dir:PATH`")),
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
    if args.live.is_narrow() && !args.live.is_given() {
        return Err(CliError::usage(
            "`--schema` chooses what is read of the live database, and none is named",
        )
        .remedy("give `--dsn DSN`, or leave `--schema` out"));
    }
    // Two directories need no project; with one, its policies still judge.
    let frame = Frame::open(&args.project, args.database.as_deref());
    let directories = (&args.old, &args.new);
    if let (Some(LockSide::Directory(old)), Some(LockSide::Directory(new))) = directories {
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
    match frame {
        Some(frame) => outcome.write(&frame.lock.database, &frame.root, reports)?,
        None => outcome.write("schema", Path::new("."), reports)?,
    }
    Ok(outcome.exit().map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// Runs `daam schema check`.
pub async fn run(args: &CheckArgs) -> Result<ExitCode, CliError> {
    let frame = Frame::open(&args.project, args.database.as_deref())?;
    let locked = frame.own()?;
    let live = args.live.read().await?;
    let name = &frame.lock.database;
    let pull = format!("run `daam schema pull --out {}` and review what changes", frame.lock.directory);
    if let Some(why) = other_database(&locked, &live) {
        let message = format!("the schema lock of `{name}` is of another database: {why}");
        let sources = frame.sources();
        let finding = frame.finding(&rule::LOCK_WRONG_DATABASE, &message, &sources);
        let help = "name the database the lock is of, or pull it again";
        Outcome::refused(finding.map(|finding| finding.help(help)), sources).write(
            name,
            &frame.root,
            &args.reports,
        )?;
        return Err(CliError::new(Exit::SchemaLock, format!("{message} (DAAM803)")));
    }
    let mut outcome = judged(Some(&frame), &locked, &live);
    let stale = is_stale(&outcome.changes);
    if stale {
        let message =
            format!("the schema lock of `{name}` is stale: the database has changed since it was pulled");
        let finding = frame.finding(&rule::LOCK_STALE, &message, &outcome.sources);
        outcome.lock = finding.map(|finding| finding.help(pull.as_str()));
    }
    outcome.write(name, &frame.root, &args.reports)?;
    if stale {
        let message = format!("the schema lock of `{name}` is stale (DAAM802)");
        return Err(CliError::new(Exit::SchemaLock, message).remedy(pull));
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
            Some("it was read from another server, or from another database of this one".to_owned())
        }
        _ => None,
    }
}

fn judged(frame: Option<&Frame>, before: &Catalog, after: &Catalog) -> Outcome {
    let Some(frame) = frame else { return Outcome::unjudged(compare(before, after, None)) };
    let (then, now) = (frame.compile(before), frame.compile(after));
    // Policies that were written for the new schema may name what the old one lacks, and the other way round.
    let name = &frame.lock.database;
    let compiled = then.databases.get(name).or_else(|| now.databases.get(name));
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
    let changes = compare(before, after, context);
    let known: BTreeSet<_> = errors(&then).map(|found| said(found, &then.sources)).collect();
    let added = errors(&now).filter(|found| !known.contains(&said(found, &now.sources)));
    let findings = added.cloned().collect();
    Outcome { changes, findings, judged, sources: now.sources, lock: None, compared: true }
}

/// Errors that leave open what policies mean: what is exposed is judged by the changes themselves.
fn errors(checked: &Checked) -> impl Iterator<Item = &Diagnostic> {
    let exposes =
        |found: &&Diagnostic| rule::of(found.code).is_some_and(|rule| rule.nature == rule::Nature::Locked);
    checked.diagnostics.iter().filter(move |found| found.severity == Severity::Error && !exposes(found))
}

/// What makes two findings of two checks of the same files the same.
fn said(found: &Diagnostic, sources: &SourceMap) -> (String, usize, u16, String) {
    let path = sources.path(found.at.source).to_owned();
    (path, found.at.span.start, found.code.number, found.message.clone())
}

/// The database of the project the question is about.
struct Frame {
    root: PathBuf,
    lock: LockPlace,
}

impl Frame {
    fn open(project: &ProjectArgs, database: Option<&str>) -> Result<Self, CliError> {
        let root = project.project.clone();
        let places = daam_compiler::lock_places(&DiskFiles::open(&root)?);
        let wanted = |place: &LockPlace| database.is_none_or(|wanted| wanted == place.database);
        let mut found: Vec<LockPlace> = places.into_iter().filter(wanted).collect();
        match (found.pop(), found.is_empty()) {
            (Some(lock), true) => Ok(Self { root, lock }),
            (Some(_), false) => Err(CliError::usage("the project has several databases")
                .remedy("say which one with `--database NAME`")),
            (None, _) => Err(CliError::new(Exit::NoInputs, "the project has no such database with a lock")),
        }
    }

    /// The project file alone.
    fn sources(&self) -> SourceMap {
        let mut sources = SourceMap::new();
        let text = std::fs::read_to_string(self.root.join(PROJECT_FILE)).unwrap_or_default();
        sources.add(PROJECT_FILE, text);
        sources
    }

    /// A finding about the lock, where the project file names it.
    fn finding(&self, rule: &Rule, message: &str, sources: &SourceMap) -> Option<Diagnostic> {
        let project = sources.find(PROJECT_FILE)?;
        Some(rule.at(Location::new(project, self.lock.span), message))
    }

    fn own(&self) -> Result<Catalog, CliError> {
        read_lock(&self.root.join(&self.lock.directory))
    }

    fn at(&self, place: &LockSide) -> Result<Catalog, CliError> {
        let reference = match place {
            LockSide::Directory(path) => return read_lock(path),
            LockSide::Git(reference) => reference,
        };
        let missing = || {
            CliError::new(Exit::SchemaLock, format!("`{}` has no lock at `{reference}`", self.lock.directory))
                .remedy("name a commit that has one")
        };
        let files = commit(&self.root, reference)?.ok_or_else(missing)?;
        let prefix = format!("{}/", self.lock.directory.trim_start_matches("./").trim_end_matches('/'));
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
            |files| check(&files.with_lock(&self.lock.directory, catalog)),
        )
    }
}
