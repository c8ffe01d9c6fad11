//! `daam schema pull`: the schema lock of a database.
//!
//! Reading a catalogue is the agent's craft, so its program does it (`daam-agent introspect`, found beside this
//! one or on PATH); here its snapshot becomes the files of the lock. The connection string goes through a private
//! file, never through an argument of the agent.

use super::grants::{self, Privileges};
use super::now_unix;
use crate::error::{CliError, Doing as _, Exit};
use crate::home::{search_path, write_private};
use crate::output;
use clap::Args;
use daam_catalog::user_type::named_type;
use daam_catalog::{Catalog, Identifier, RelationPattern, lock, snapshot};
use daam_compiler::Day;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::process::Command;

/// Options of `daam schema pull`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam schema pull --dsn postgresql://reader@db.internal/shop --out schema/shop
  daam schema pull --dsn postgresql://reader@db.internal/shop --out schema/shop --schema 'app_*' --schema public")]
pub struct PullArgs {
    #[command(flatten)]
    live: Live,
    /// The directory of the lock.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// The live database.
#[derive(Debug, Args)]
pub struct Live {
    /// How to reach the database; may also be given as DAAM_DSN, which other users of this machine cannot see.
    #[arg(long, env = "DAAM_DSN", hide_env_values = true)]
    dsn: Option<String>,
    /// The agent's program.
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
    /// Only schemas of this name; `*` stands for any characters. May be given several times.
    #[arg(long = "schema", value_name = "GLOB", value_parser = schema_pattern)]
    schemas: Vec<RelationPattern>,
}

fn schema_pattern(text: &str) -> Result<RelationPattern, String> {
    RelationPattern::parse(&format!("{text}.*")).map_err(|error| error.to_string())
}

/// Runs it.
pub async fn pull(args: &PullArgs) -> Result<ExitCode, CliError> {
    let catalog = args.live.read().await?;
    write_lock(&args.out, &catalog)?;
    output::line(format!(
        "{}: {} relations, {} functions, fingerprint {}",
        args.out.display(),
        catalog.relations.len(),
        catalog.functions.len(),
        lock::fingerprint(&catalog)
    ));
    Ok(ExitCode::SUCCESS)
}

/// Writes the lock of a catalogue; files of schemas that are gone are removed, other people's never.
pub fn write_lock(directory: &Path, catalog: &Catalog) -> Result<(), CliError> {
    let shown = directory.display();
    std::fs::create_dir_all(directory).doing(format_args!("make `{shown}`"))?;
    let files = lock::to_files(catalog);
    let is_lock = directory.join(lock::LOCK_FILE).is_file();
    for entry in std::fs::read_dir(directory).doing(format_args!("list `{shown}`"))? {
        let path = entry.doing(format_args!("list `{shown}`"))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let ours = path.extension().is_some_and(|extension| extension == "json");
        if ours && !files.contains_key(name) {
            if !is_lock {
                let message = format!("`{}` is not part of a schema lock", path.display());
                return Err(CliError::usage(message)
                    .remedy("a lock has a directory to itself: name another with `--out DIR`"));
            }
            std::fs::remove_file(&path).doing(format_args!("remove `{}`", path.display()))?;
        }
    }
    for (name, text) in files {
        let path = directory.join(name);
        std::fs::write(&path, text).doing(format_args!("write `{}`", path.display()))?;
    }
    Ok(())
}

/// Keeps the schemas that are wanted, with the casts between what is left.
fn only(catalog: &mut Catalog, wanted: &[RelationPattern]) {
    let keeps = |schema: &Identifier| wanted.iter().any(|pattern| pattern.matches_parts(schema, schema));
    catalog.relations.retain(|name, _| keeps(&name.schema));
    catalog.functions.retain(|name, _| keeps(&name.schema));
    catalog.types.retain(|name, _| keeps(&name.schema));
    catalog.operators.retain(|operator| keeps(&operator.schema));
    catalog.casts.retain(|cast| {
        [&cast.from, &cast.to].into_iter().all(|sql| named_type(sql).is_none_or(|name| keeps(&name.schema)))
    });
}

/// Reads the lock in a directory.
pub fn read_lock(directory: &Path) -> Result<Catalog, CliError> {
    let missing = || {
        CliError::new(Exit::SchemaLock, format!("there is no schema lock in `{}`", directory.display()))
            .remedy("`daam schema pull` writes one")
    };
    if !directory.is_dir() {
        return Err(missing());
    }
    let doing = format!("read the schema lock `{}`", directory.display());
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).doing(&doing)? {
        let path = entry.doing(&doing)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.insert(name, std::fs::read_to_string(&path).doing(&doing)?);
        }
    }
    if files.is_empty() {
        return Err(missing());
    }
    lock::from_files(&files)
        .map_err(|error| CliError::new(Exit::SchemaLock, format!("could not {doing}")).because(error))
}

impl Live {
    /// Whether a database was named.
    pub fn is_given(&self) -> bool {
        self.dsn.is_some()
    }

    /// Whether it was named on the command line, not only by the environment.
    pub fn is_asked_for(&self) -> bool {
        self.is_given() && self.dsn != std::env::var("DAAM_DSN").ok()
    }

    /// How it is reached.
    pub fn dsn(&self) -> Result<&str, CliError> {
        self.dsn.as_deref().ok_or_else(|| {
            CliError::usage("the database is not named").remedy("give `--dsn DSN`, or set DAAM_DSN")
        })
    }

    /// Its catalogue, as of today, of the schemas that are wanted.
    pub async fn read(&self) -> Result<Catalog, CliError> {
        let answer = introspect(self, "json").await?;
        let value =
            serde_json::from_slice(&answer).doing("understand what `daam-agent introspect` printed")?;
        let catalog = snapshot::from_json(&value).doing("use the catalogue that was read")?;
        let mut catalog = self.narrowed(catalog)?;
        catalog.captured = Day::of_unix(now_unix()).map(|day| day.to_string());
        Ok(catalog)
    }

    /// Whether only some schemas are wanted.
    pub fn is_narrow(&self) -> bool {
        !self.schemas.is_empty()
    }

    /// What a catalogue has of the schemas that are wanted.
    pub fn narrowed(&self, mut catalog: Catalog) -> Result<Catalog, CliError> {
        if self.is_narrow() {
            only(&mut catalog, &self.schemas);
            if catalog.relations.is_empty() && catalog.functions.is_empty() {
                let message = "no schema of that name has a relation or a function";
                return Err(CliError::new(Exit::NoInputs, message));
            }
        }
        Ok(catalog)
    }

    /// What its own grants give to whom.
    pub async fn privileges(&self) -> Result<Privileges, CliError> {
        let doing = "understand what `daam-agent introspect` printed";
        let privileges: Privileges =
            serde_json::from_slice(&introspect(self, "grants").await?).doing(doing)?;
        grants::understood(&privileges).map_err(CliError::usage)?;
        Ok(privileges)
    }
}

/// What the agent's program prints about the database.
async fn introspect(live: &Live, format: &str) -> Result<Vec<u8>, CliError> {
    let scratch = tempfile::tempdir().doing("make a private directory")?;
    let dsn = scratch.path().join("dsn");
    write_private(&dsn, live.dsn()?)?;
    let config = scratch.path().join("agent.yaml");
    write_private(&config, configuration(scratch.path(), &dsn))?;
    let program = program(live)?;
    let answer = Command::new(&program)
        .arg("introspect")
        .arg("--config")
        .arg(&config)
        .args(["--format", format])
        .kill_on_drop(true)
        .output()
        .await
        .doing(format_args!("run `{}`", program.display()))?;
    if !answer.status.success() {
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        return Err(CliError::usage("the database could not be read").detail(said));
    }
    Ok(answer.stdout)
}

/// A configuration of an agent that only looks: without scope, so the whole catalogue is seen.
fn configuration(scratch: &Path, dsn: &Path) -> String {
    let quoted = |path: &Path| serde_json::Value::from(path.to_string_lossy()).to_string();
    let none = quoted(&scratch.join("none"));
    format!(
        "agent: {{ name: schema-pull, database: schema-pull, listen: 127.0.0.1:0, state_dir: {} }}\n\
         control_plane: {{ url: https://unused.invalid, enrolment_token_file: {none} }}\n\
         trust: {{ file: {none}, identity_ca: {none} }}\n\
         upstream: {{ dsn_file: {} }}\n",
        quoted(scratch),
        quoted(dsn)
    )
}

fn program(live: &Live) -> Result<PathBuf, CliError> {
    if let Some(path) = &live.agent {
        return Ok(path.clone());
    }
    let beside =
        std::env::current_exe().ok().and_then(|path| path.parent().map(|dir| dir.join("daam-agent")));
    beside
        .into_iter()
        .chain(search_path().into_iter().map(|dir| dir.join("daam-agent")))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            CliError::usage("`daam-agent` was found neither beside `daam` nor on PATH")
                .remedy("name it with `--agent FILE`")
        })
}
