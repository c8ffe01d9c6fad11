//! `daam audit`: the organization's audit, searched, taken out, and checked.
//!
//! Checking happens here, not there: the log is read line by line and judged by `daam-ledger`. What is kept on this
//! device are the key and the latest checkpoint that were seen, so that a log that is cut short or written anew later
//! is found out although everything at the control plane fits.

use crate::credentials::Login;
use crate::error::{CliError, Doing as _};
use crate::home::Home;
use crate::output;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

pub mod connections;
mod kept;
pub mod verify;

/// `daam audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that nobody changed, reordered, removed or cut off entries.
    Verify(verify::VerifyArgs),
    /// Take the whole log out, with its signed checkpoints.
    Export(ExportArgs),
    /// Print the key that checkpoints are verified with.
    Key(KeyArgs),
    /// Find entries, the latest first.
    Search(SearchArgs),
    /// Find who was connected where and when, the latest first.
    Connections(connections::ConnectionsArgs),
}

/// Options of `daam audit export`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam audit export --out audit-log.jsonl
  daam audit export | gzip > audit-log.jsonl.gz

The file is checked with `daam audit verify FILE`, also where the control plane cannot be reached.")]
pub struct ExportArgs {
    /// Where to write it; standard output, if absent.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Options of `daam audit key`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam audit key > audit.pub
  daam audit verify audit-log.jsonl --key audit.pub")]
pub struct KeyArgs {}

/// Options of `daam audit search`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam audit search sam@acme.test
  daam audit search --action user. --limit 20 --json")]
pub struct SearchArgs {
    /// Words that are in an entry, as one phrase.
    text: Option<String>,
    /// How the action begins.
    #[arg(long, value_name = "PREFIX")]
    action: Option<String>,
    /// Most entries.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Obeys.
pub async fn run(command: AuditCommand) -> Result<ExitCode, CliError> {
    match command {
        AuditCommand::Verify(args) => return verify::run(&args).await,
        AuditCommand::Export(args) => export(&args).await?,
        AuditCommand::Key(KeyArgs {}) => {
            let key = Login::load(&Home::find()?)?.control_plane()?.audit_key().await?;
            output::line(key.public);
        }
        AuditCommand::Search(args) => search(args).await?,
        AuditCommand::Connections(args) => connections::run(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn export(args: &ExportArgs) -> Result<(), CliError> {
    let mut answer = Login::load(&Home::find()?)?.control_plane()?.audit_log().await?;
    let reading = "read the log from the control plane";
    let Some(path) = &args.out else {
        while let Some(bytes) = answer.chunk().await.doing(reading)? {
            output::bytes_out(&bytes);
        }
        return Ok(());
    };
    let writing = format!("write `{}`", path.display());
    let mut file = std::fs::File::create(path).doing(&writing)?;
    while let Some(bytes) = answer.chunk().await.doing(reading)? {
        std::io::Write::write_all(&mut file, &bytes).doing(&writing)?;
    }
    file.sync_all().doing(&writing)?;
    output::progress(format!("wrote {}", path.display()));
    Ok(())
}

async fn search(args: SearchArgs) -> Result<(), CliError> {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.text.map(|text| ("text", text)));
    query.extend(args.action.map(|action| ("action", action)));
    let found = Login::load(&Home::find()?)?.control_plane()?.search_audit(&query).await?;
    if args.json {
        output::line(serde_json::to_string_pretty(&found).doing("write JSON")?);
        return Ok(());
    }
    for entry in found {
        // People choose some of these texts; an entry is one line.
        let plain = |text: String| text.replace(['\n', '\t'], " ");
        let (actor, target, detail) = (plain(entry.actor), plain(entry.target), plain(entry.detail));
        output::line(format!(
            "{:>6}  {}  {actor}  {}  {target}  {detail}",
            entry.seq, entry.at, entry.action
        ));
    }
    Ok(())
}
