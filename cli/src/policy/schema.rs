//! `daam schema pull`: the schema lock of a database.
//!
//! Reading a catalogue is the agent's craft, so its program does it (`daam-agent introspect`, found beside this
//! one or on PATH); here its snapshot becomes the files of the lock. The connection string goes through a private
//! file, never through an argument of the agent.

use super::now_unix;
use crate::error::{CliError, Doing as _};
use crate::home::{search_path, write_private};
use crate::output;
use clap::Args;
use daam_catalog::{Catalog, lock, snapshot};
use daam_compiler::Day;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::process::Command;

/// Options of `daam schema pull`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  daam schema pull --dsn postgresql://reader@db.internal/shop --out schema/shop")]
pub struct PullArgs {
    /// How to reach the database; may also be given as DAAM_DSN, which other users of this machine cannot see.
    #[arg(long, env = "DAAM_DSN", hide_env_values = true)]
    dsn: String,
    /// The directory of the lock.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The agent's program.
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
}

/// Runs it.
pub async fn pull(args: &PullArgs) -> Result<ExitCode, CliError> {
    let mut catalog = introspect(args).await?;
    catalog.captured = Day::of_unix(now_unix()).map(|day| day.to_string());
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

/// Writes the lock of a catalogue; files of schemas that are gone are removed.
pub fn write_lock(directory: &Path, catalog: &Catalog) -> Result<(), CliError> {
    let shown = directory.display();
    std::fs::create_dir_all(directory).doing(format_args!("make `{shown}`"))?;
    let files = lock::to_files(catalog);
    for entry in std::fs::read_dir(directory).doing(format_args!("list `{shown}`"))? {
        let path = entry.doing(format_args!("list `{shown}`"))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let ours = path.extension().is_some_and(|extension| extension == "json");
        if ours && !files.contains_key(name) {
            std::fs::remove_file(&path).doing(format_args!("remove `{}`", path.display()))?;
        }
    }
    for (name, text) in files {
        let path = directory.join(name);
        std::fs::write(&path, text).doing(format_args!("write `{}`", path.display()))?;
    }
    Ok(())
}

async fn introspect(args: &PullArgs) -> Result<Catalog, CliError> {
    let scratch = tempfile::tempdir().doing("make a private directory")?;
    let dsn = scratch.path().join("dsn");
    write_private(&dsn, &args.dsn)?;
    let config = scratch.path().join("agent.yaml");
    write_private(&config, configuration(scratch.path(), &dsn))?;
    let program = program(args)?;
    let answer = Command::new(&program)
        .arg("introspect")
        .arg("--config")
        .arg(&config)
        .args(["--format", "json"])
        .kill_on_drop(true)
        .output()
        .await
        .doing(format_args!("run `{}`", program.display()))?;
    if !answer.status.success() {
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        return Err(CliError::usage("the database could not be read").detail(said));
    }
    let value =
        serde_json::from_slice(&answer.stdout).doing("understand what `daam-agent introspect` printed")?;
    snapshot::from_json(&value).doing("use the catalogue that was read")
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

fn program(args: &PullArgs) -> Result<PathBuf, CliError> {
    if let Some(path) = &args.agent {
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
