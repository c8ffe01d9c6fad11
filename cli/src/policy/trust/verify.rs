//! `daam trust verify`: whether agents follow these trust files, one after the other.

use super::{moment, read_chain, read_document, read_trust, root_state};
use crate::error::CliError;
use crate::output;
use crate::policy::now_unix;
use clap::Args;
use daam_bundle::TrustDocument;
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `daam trust verify`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam trust verify trust.json trust.2.json
  daam trust verify trust.json trust.2.json trust.3.json --at 2027-01-31T12:00:00Z

The first is taken as given, as the agents were given it.
Exit codes: 0 followed to the end, 2 not trust files, 20 signatures are missing, 21 not the next version, 22 the last one
has expired.")]
pub struct VerifyArgs {
    /// The pinned trust file, and its successors in order.
    #[arg(value_name = "FILE", required = true, num_args = 1..)]
    trust: Vec<PathBuf>,
    /// The time to judge by, RFC 3339 or seconds since 1970; by default now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<i64>,
}

/// Walks the chain.
pub fn verify(args: &VerifyArgs) -> Result<ExitCode, CliError> {
    let chain = match read_chain(&args.trust, args.at.unwrap_or_else(now_unix)) {
        Ok(chain) => chain,
        Err(error) => return Err(error.detail(missing(&args.trust)?)),
    };
    let trust = chain.current();
    output::line(format!("followed: version {} of `{}`", trust.version(), trust.org()));
    Ok(ExitCode::SUCCESS)
}

/// Who has signed each version and who has not.
fn missing(paths: &[PathBuf]) -> Result<String, CliError> {
    let mut lines = Vec::new();
    for pair in paths.windows(2) {
        if let [before, next] = pair
            && let TrustDocument::Signed(signed) = read_document(next)?
        {
            let held = read_trust(before)?;
            let states = [&held, signed.trust()].map(|trust| root_state(trust, &signed.root_signers(trust)));
            lines.extend(states.into_iter().flatten());
        }
    }
    Ok(lines.join("\n"))
}
