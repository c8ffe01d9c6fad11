//! `daam policy init`: a project around a schema lock, with nothing granted unless asked for; or from a database,
//! with what its own grants give.
//!
//! Refused: to overwrite a file that exists.

use super::pipeline::Pipeline;
use super::project::ProjectArgs;
use super::schema::{Live, read_lock};
use super::{brownfield, first_tests};
use crate::error::{CliError, Doing as _, Exit};
use crate::output;
use clap::Args;
use daam_catalog::{Catalog, Identifier};
use daam_compiler::PROJECT_FILE;
use daam_compiler::format::format;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `daam policy init`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy init --database shop --lock schema/shop
  daam policy init --database shop --lock schema/shop --readers analyst
  daam policy init --database shop --from-db --dsn postgresql://reader@db.internal/shop
  daam policy init --database shop --lock schema/shop --schema 'app_*' --ci github

With --schema the scope is those schemas only. Write the lock first: daam schema pull --dsn postgresql://reader@db.internal/shop --out schema/shop
With --readers a first policy lets that group read every relation, with masks proposed for columns that look sensitive;
narrow it before it is published.
With --from-db the lock and the scope are written too, and a policy per role of the database: what GRANT gives today,
PUBLIC as everyone, masks proposed for columns that look sensitive, and tests that hold. Roles become groups of the
same name. What policies cannot say is told; grants in a schema the role may not use give nothing today and are left
out.
Exit codes: 0 written, 2 a file exists already or the database cannot be read, 4 the lock is missing or not usable.")]
pub struct InitArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// The database's name in the project.
    #[arg(long, value_parser = database_name)]
    database: String,
    /// The directory of its schema lock, relative to the project.
    #[arg(long, value_name = "DIR", required_unless_present = "from_db", conflicts_with = "from_db")]
    lock: Option<String>,
    /// Read the live database (--dsn) and propose policies from its grants.
    #[arg(long, conflicts_with = "readers")]
    from_db: bool,
    #[command(flatten)]
    live: Live,
    /// A group that may read everything.
    #[arg(long, value_name = "GROUP")]
    readers: Option<String>,
    /// Also write the pipeline that checks pull requests, at the root of the repository.
    #[arg(long, value_name = "SERVICE")]
    ci: Option<Pipeline>,
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
pub async fn run(args: &InitArgs) -> Result<ExitCode, CliError> {
    let root = &args.project.project;
    let files = match &args.lock {
        Some(lock) => files(args, lock, &args.live.narrowed(read_lock(&root.join(lock))?)?),
        None => from_database(args).await?,
    };
    // Tables of the lock and other files than YAML have a form of their own.
    let formatted = |path: &str, text: String| {
        if path.strip_suffix(".yaml").is_some() { format(&text).unwrap_or(text) } else { text }
    };
    let mut files: BTreeMap<PathBuf, String> = files
        .into_iter()
        .map(|(path, text)| {
            let text = formatted(&path, text);
            (root.join(path), text)
        })
        .collect();
    files.extend(args.ci.map(|pipeline| pipeline.file(root)));
    if let Some(present) = files.keys().find(|path| path.exists()) {
        let message = format!("`{}` exists already", present.display());
        return Err(CliError::usage(message).remedy("choose another directory with `--project DIR`"));
    }
    for (path, text) in files {
        let doing = format!("write `{}`", path.display());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).doing(&doing)?;
        }
        std::fs::write(&path, text).doing(&doing)?;
        output::line(format!("wrote {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn files(args: &InitArgs, lock: &str, catalog: &Catalog) -> BTreeMap<String, String> {
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
            quoted(lock)
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
    let mut notes = Vec::new();
    let readers =
        args.readers.as_ref().and_then(|group| brownfield::readers(database, catalog, group, &mut notes));
    if let Some(text) = readers {
        files.insert("policies/readers.yaml".to_owned(), text);
    }
    for note in notes {
        output::progress(format!("note: {note}"));
    }
    files
}

/// What the database says today; refused if that does not make a project without errors, whose tests hold.
async fn from_database(args: &InitArgs) -> Result<BTreeMap<String, String>, CliError> {
    let catalog = args.live.read().await?;
    let privileges = args.live.privileges().await?;
    let mut proposal = brownfield::propose(&args.database, &catalog, &privileges);
    let tests = first_tests::propose(&args.database, &proposal.files)
        .map_err(|said| CliError::new(Exit::Internal, "the proposed project has errors").detail(said))?;
    match tests {
        Some(text) => drop(proposal.files.insert(format!("tests/{}.yaml", args.database), text)),
        None => proposal
            .notes
            .push("no role holds a grant that policies know, so there is no policy yet".to_owned()),
    }
    for note in &proposal.notes {
        output::progress(format!("note: {note}"));
    }
    Ok(proposal.files)
}

/// A text that YAML reads back as it is.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
