//! `daam policy sign`: adds signatures to a bundle, over exactly the bytes that were built.

use super::signer::SignerArgs;
use super::trust::read_trust;
use crate::error::{CliError, Doing as _};
use crate::output;
use clap::Args;
use daam_bundle::{TrustFile, UnsignedBundle};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of `daam policy sign`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy sign shop.daam --key file:policy.key
  daam policy sign shop.daam --key ssh-agent:ana@laptop
  daam policy sign shop.daam --key 'exec:kms-sign --key policy-ci' --as 'CI key'
  daam policy sign shop.daam --key file:a.key --key file:b.key --out shop.signed.daam

Signing again adds a signature; signing again with the same key replaces it. A command gets the bytes to sign on standard
input and prints the signature in base64 (raw or DER); its public key is named with --as. A key without the role in the
trust file is refused.
Exit codes: 0 signed, 2 not a bundle or no such signer, 20 the trust file does not list the key.")]
pub struct SignArgs {
    /// The bundle.
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    #[command(flatten)]
    signers: SignerArgs,
    /// The trust file that has to list the key; by default `trust.json` here, if there is one.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Sign for the emergency role: agents accept it only if it narrows what is in force. Drops other signatures.
    #[arg(long)]
    emergency: bool,
    /// Where to write the signed bundle; by default in place.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: &SignArgs) -> Result<ExitCode, CliError> {
    let shown = args.bundle.display();
    let bytes = std::fs::read(&args.bundle).doing(format_args!("read the bundle `{shown}`"))?;
    let mut bundle = UnsignedBundle::from_bytes(&bytes).doing(format_args!("read the bundle `{shown}`"))?;
    if args.emergency && bundle.role() != daam_bundle::Role::Emergency {
        bundle = bundle.for_emergency();
    }
    let trust = trust_file(args.trust.as_deref())?;
    for mut signer in args.signers.signers(trust.as_ref())? {
        let label = match &trust {
            Some(trust) => signer.label(trust, &[bundle.role()])?,
            None => signer.public().keyid(),
        };
        let signature = signer.sign(&bundle.signing_input())?;
        bundle.attach(signer.public(), &signature).doing("sign the bundle")?;
        let statement = bundle.statement();
        output::line(format!("signed serial {} of `{}` with {label}", statement.serial, statement.database));
    }
    let out = args.out.as_ref().unwrap_or(&args.bundle);
    std::fs::write(out, bundle.to_bytes()).doing(format_args!("write `{}`", out.display()))?;
    if let Some(trust) = &trust {
        let needed = match bundle.role() {
            daam_bundle::Role::Policy => trust.policy_threshold(&bundle.statement().database),
            role => trust.role(role).map_or(1, |role| role.threshold),
        };
        let missing = needed.saturating_sub(bundle.signers(trust).len());
        if missing > 0 {
            output::line(format!("{missing} more signature(s) are needed before an agent accepts it"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The trust file named, or the one that lies here.
fn trust_file(named: Option<&Path>) -> Result<Option<TrustFile>, CliError> {
    let here = Path::new("trust.json");
    match named {
        Some(path) => read_trust(path).map(Some),
        None if here.is_file() => read_trust(here).map(Some),
        None => Ok(None),
    }
}
