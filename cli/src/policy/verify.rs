//! `daam policy verify`: the agent's acceptance rules, run here.

use super::now_unix;
use super::trust::read_trust;
use crate::error::{CliError, Doing as _, Exit};
use crate::output;
use clap::Args;
use daam_bundle::{Head, RefusalKind, Refused, UnsignedBundle, Verified, verify};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of `daam policy verify`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy verify shop.daam --trust trust.json --database shop
  daam policy verify shop.daam --trust trust.json --state head.json

With --state the last accepted bundle counts, as it does at an agent, and the file is updated.
Exit codes: 0 accepted, 2 not a bundle or meant for somebody else, 20 signature or threshold, 21 rollback or fork,
22 expired.")]
pub struct VerifyArgs {
    /// The bundle.
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    /// The trust file.
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// What was accepted last; need not exist yet.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// The database it has to be for; by default the one it names.
    #[arg(long)]
    database: Option<String>,
}

/// Runs it.
pub fn run(args: &VerifyArgs) -> Result<ExitCode, CliError> {
    let trust = read_trust(&args.trust)?;
    let shown = args.bundle.display();
    let bytes = std::fs::read(&args.bundle).doing(format_args!("read the bundle `{shown}`"))?;
    let head = args.state.as_deref().map(read_head).transpose()?.flatten();
    let database = match &args.database {
        Some(database) => database.clone(),
        None => UnsignedBundle::from_bytes(&bytes).map_err(refused)?.statement().database.clone(),
    };
    let verified = verify(&bytes, &trust, &database, head.as_ref(), now_unix()).map_err(refused)?;
    let known = matches!(verified, Verified::Same(_));
    let bundle = verified.into_bundle();
    if let Some(path) = &args.state {
        std::fs::write(path, bundle.head().to_json()).doing(format_args!("write `{}`", path.display()))?;
    }
    let statement = bundle.statement();
    let signers: Vec<&str> = bundle.signers().iter().map(String::as_str).collect();
    output::line(format!(
        "accepted: serial {} of `{}`{}, {} policies, signed by {}",
        statement.serial,
        statement.database,
        if known { " (already held)" } else { "" },
        bundle.policies().policies.len(),
        signers.join(", ")
    ));
    Ok(ExitCode::SUCCESS)
}

fn read_head(path: &Path) -> Result<Option<Head>, CliError> {
    let text = crate::home::read_if_present(path)?;
    let shown = path.display();
    text.map(|text| Head::from_json(&text)).transpose().doing(format_args!("use the state `{shown}`"))
}

/// A refusal and its exit code.
pub fn refused(error: Refused) -> CliError {
    let exit = match error.kind() {
        RefusalKind::Signature => Exit::Signature,
        RefusalKind::Rollback => Exit::Rollback,
        RefusalKind::Expired => Exit::Expired,
        RefusalKind::Malformed | RefusalKind::WrongTarget => Exit::Usage,
    };
    CliError::new(exit, "the bundle is refused").because(error)
}
