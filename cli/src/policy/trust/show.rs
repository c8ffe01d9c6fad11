//! `daam trust show`: whom a trust file trusts, in words.

use super::{read_document, shown_moment};
use crate::error::CliError;
use crate::output;
use clap::Args;
use daam_bundle::{Role, TrustDocument};
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `daam trust show`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  daam trust show trust.json

Signatures of a signed trust file are shown as they claim to be; `daam trust verify` says whether agents follow it.")]
pub struct ShowArgs {
    /// The trust file.
    #[arg(value_name = "FILE", default_value = "trust.json")]
    trust: PathBuf,
}

/// Prints organization, roles, thresholds, keys and databases.
pub fn show(args: &ShowArgs) -> Result<ExitCode, CliError> {
    let document = read_document(&args.trust)?;
    let trust = document.trust();
    output::line(format!("organization  {}", trust.org()));
    output::line(format!("version       {}", trust.version()));
    if let Some(end) = trust.expires_at() {
        output::line(format!("expires       {}", shown_moment(end)));
    }
    for role in Role::ALL {
        let Some(keys) = trust.role(role) else { continue };
        output::line(format!("{:<14}{} of {} needed", role.as_str(), keys.threshold, keys.keys.len()));
        for key in &keys.keys {
            let scheme = key.public.scheme().as_str();
            output::line(format!("  {}  {}  {scheme}", key.public.keyid(), key.comment));
        }
    }
    for (name, known) in trust.databases() {
        let parts = [
            Some(format!("database      {name}: epoch {}", known.epoch)),
            (known.minimum_serial > 0).then(|| format!("nothing before serial {}", known.minimum_serial)),
            known.protected.then(|| "built from committed files only".to_owned()),
            known.threshold.map(|threshold| format!("{threshold} policy signatures")),
        ];
        output::line(parts.into_iter().flatten().collect::<Vec<_>>().join(", "));
    }
    if let TrustDocument::Signed(signed) = &document {
        for keyid in signed.claimed_signers() {
            let label = trust.label(keyid).unwrap_or_else(|| "of an earlier version".to_owned());
            output::line(format!("signed by     {label}  {keyid} (claimed)"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
