//! `daam policy init`: a project around a schema lock, with nothing granted unless asked for.
//!
//! Refused: to overwrite a file that exists.

use super::project::ProjectArgs;
use crate::error::{CliError, Doing as _};
use crate::output;
use clap::Args;
use daam_catalog::{Catalog, Identifier, lock};
use daam_compiler::PROJECT_FILE;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

/// Options of `daam policy init`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy init --database shop --lock schema/shop
  daam policy init --database shop --lock schema/shop --readers analyst

Write the lock first: daam schema pull --dsn postgresql://reader@db.internal/shop --out schema/shop
With --readers a first policy lets that group read every schema; mask and narrow it before it is published.
Exit codes: 0 written, 2 a file exists already or the lock cannot be read.")]
pub struct InitArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// The database's name in the project.
    #[arg(long, value_parser = database_name)]
    database: String,
    /// The directory of its schema lock, relative to the project.
    #[arg(long, value_name = "DIR")]
    lock: String,
    /// A group that may read everything.
    #[arg(long, value_name = "GROUP")]
    readers: Option<String>,
}

fn database_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    if text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not a name of lower-case letters, digits, `_` and `-`"))
    }
}

/// Runs it.
pub fn run(args: &InitArgs) -> Result<ExitCode, CliError> {
    let root = &args.project.project;
    let catalog = read_lock(&root.join(&args.lock))?;
    let files = files(args, &catalog);
    if let Some(present) = files.keys().find(|path| root.join(path).exists()) {
        let message = format!("`{}` exists already", root.join(present).display());
        return Err(CliError::usage(message).remedy("choose another directory with `--project DIR`"));
    }
    for (path, text) in files {
        let path = root.join(path);
        let doing = format!("write `{}`", path.display());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).doing(&doing)?;
        }
        std::fs::write(&path, text).doing(&doing)?;
        output::line(format!("wrote {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn read_lock(directory: &Path) -> Result<Catalog, CliError> {
    let doing = format!("read the schema lock `{}`", directory.display());
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).doing(&doing)? {
        let path = entry.doing(&doing)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.insert(name, std::fs::read_to_string(&path).doing(&doing)?);
        }
    }
    lock::from_files(&files).doing(&doing)
}

fn files(args: &InitArgs, catalog: &Catalog) -> BTreeMap<String, String> {
    let database = &args.database;
    let schemas: BTreeSet<&Identifier> = catalog.relations.keys().map(|name| &name.schema).collect();
    let patterns: Vec<String> = schemas.iter().map(|schema| quoted(&format!("{schema}.*"))).collect();
    let list =
        |indent: &str| patterns.iter().map(|text| format!("{indent}- {text}\n")).collect::<Vec<_>>().concat();
    let mut files = BTreeMap::new();
    let scope = format!("scope/{database}.yaml");
    files.insert(
        PROJECT_FILE.to_owned(),
        format!(
            "kind: project\ndatabases:\n  {database}:\n    lock: {}\n    scope: {scope}\n    \
             policies: [policies/**/*.yaml]\n    tests: [tests/**/*.yaml]\n",
            quoted(&args.lock)
        ),
    );
    let empty = if patterns.is_empty() { " []\n".to_owned() } else { format!("\n{}", list("  ")) };
    files.insert(
        scope,
        format!(
            "# What the agent serves; whatever is not listed cannot be granted.\nkind: scope\n\
             database: {database}\nscope:{empty}"
        ),
    );
    if let Some(group) = args.readers.as_ref().filter(|_| !patterns.is_empty()) {
        files.insert(
            "policies/readers.yaml".to_owned(),
            format!(
                "kind: policy\nname: readers\ndatabase: {database}\nsubjects:\n  groups: [{}]\ngrants:\n  \
                 - on: [{}]\n    allow: [select]\n",
                quoted(group),
                patterns.join(", ")
            ),
        );
    }
    files
}

/// A text that YAML reads back as it is.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
