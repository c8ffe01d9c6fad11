//! `daam trust sign`: adds root signatures to the next trust file.

use super::{read_document, read_trust, root_state};
use crate::error::{CliError, Doing as _};
use crate::output;
use crate::policy::signer::SignerArgs;
use clap::Args;
use daam_bundle::{Role, TrustDocument};
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `daam trust sign`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam trust sign trust.2.json --from trust.json --key ssh-agent:ana@laptop
  daam trust sign trust.2.json --from trust.json --key file:old-root.key --key file:new-root.key

The file goes from one signer to the next; each adds a signature over the same bytes.
Exit codes: 0 signed, 2 not a trust file to sign, 20 neither version lists the key as root.")]
pub struct SignArgs {
    /// What `daam trust rotate` wrote.
    #[arg(value_name = "FILE")]
    next: PathBuf,
    /// The version before it.
    #[arg(long, value_name = "FILE", default_value = "trust.json")]
    from: PathBuf,
    #[command(flatten)]
    signers: SignerArgs,
}

/// Signs, and says what is missing.
pub fn sign(args: &SignArgs) -> Result<ExitCode, CliError> {
    let held = read_trust(&args.from)?;
    let shown = args.next.display();
    let TrustDocument::Signed(mut signed) = read_document(&args.next)? else {
        return Err(CliError::usage(format!(
            "`{shown}` is a first trust file, which is not signed but pinned"
        ))
        .remedy("`daam trust rotate` writes the one to sign"));
    };
    let next = signed.trust().clone();
    // The public key of a command may be listed in either version; the new one is asked first.
    let signers = args.signers.signers(Some(&next)).or_else(|_| args.signers.signers(Some(&held)))?;
    for mut signer in signers {
        let label = signer.label(&next, &[Role::Root]).or_else(|_| signer.label(&held, &[Role::Root]))?;
        let signature = signer.sign(&signed.signing_input())?;
        signed.attach(signer.public(), &signature).doing("sign the trust file")?;
        output::line(format!("signed version {} with {label}", next.version()));
    }
    std::fs::write(&args.next, signed.to_json()).doing(format_args!("write `{shown}`"))?;
    for trust in [&held, signed.trust()] {
        if let Some(line) = root_state(trust, &signed.root_signers(trust)) {
            output::line(line);
        }
    }
    Ok(ExitCode::SUCCESS)
}
