//! `daam trust publish`: hands a trust file to a control plane, which passes it on to the agents.

use super::read_text;
use crate::error::CliError;
use crate::output;
use crate::policy::publish::remote;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `daam trust publish`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam trust publish trust.json --to https://daam.example --token-file token
  daam trust publish trust.2.json --to https://daam.example

The control plane refuses a version that agents would not follow; it cannot change one.")]
pub struct PublishArgs {
    /// The trust file.
    #[arg(value_name = "FILE")]
    trust: PathBuf,
    /// The control plane's address.
    #[arg(long, value_name = "URL")]
    to: String,
    /// A file with an API token; by default the sign-in of `daam login`.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Hands it over.
pub async fn publish(args: &PublishArgs) -> Result<ExitCode, CliError> {
    let text = read_text(&args.trust)?;
    let version = super::read_trust(&args.trust)?.version();
    remote(&args.to, args.token_file.as_deref())?.put_trust(text).await?;
    output::line(format!("published version {version} of the trust file"));
    Ok(ExitCode::SUCCESS)
}
