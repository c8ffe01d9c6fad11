//! `daam trust`: the keys whose signatures agents accept.

use crate::error::{CliError, Doing as _};
use crate::home::write_private;
use crate::output;
use clap::Args;
use daam_bundle::{SigningKey, TrustFile, TrustedKey};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of `daam trust init`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  daam trust init --org brave-otter --out trust.json --key policy.key

The key is written for its owner only. Keep it out of the repository; agents need nothing but trust.json.")]
pub struct InitArgs {
    /// The organization, as the control plane named it.
    #[arg(long)]
    org: String,
    /// The trust file to write.
    #[arg(long, value_name = "FILE", default_value = "trust.json")]
    out: PathBuf,
    /// The policy key to write, or to use if it exists.
    #[arg(long, value_name = "FILE", default_value = "policy.key")]
    key: PathBuf,
    /// Whose key it is, for readers of the trust file.
    #[arg(long, default_value = "policy key")]
    comment: String,
}

/// Options of `daam trust show`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  daam trust show trust.json")]
pub struct ShowArgs {
    /// The trust file.
    #[arg(value_name = "FILE", default_value = "trust.json")]
    trust: PathBuf,
}

/// Makes key and trust file; an existing trust file is never overwritten.
pub fn init(args: &InitArgs) -> Result<ExitCode, CliError> {
    if args.out.exists() {
        let message = format!("`{}` exists already", args.out.display());
        return Err(CliError::usage(message).remedy("agents pin it; remove it only if none does"));
    }
    let key = if args.key.exists() { read_key(&args.key)? } else { new_key(&args.key)? };
    let trusted = TrustedKey { public: key.public(), comment: args.comment.clone() };
    let trust = TrustFile::new(&args.org, vec![trusted], 1).doing("make a trust file")?;
    let shown = args.out.display();
    std::fs::write(&args.out, trust.to_json()).doing(format_args!("write `{shown}`"))?;
    output::line(format!("{shown}: `{}` trusts {}", args.org, key.public().keyid()));
    Ok(ExitCode::SUCCESS)
}

fn new_key(path: &Path) -> Result<SigningKey, CliError> {
    let key = SigningKey::generate().doing("make a key")?;
    let pem = key.to_pem().doing("write the key")?;
    write_private(path, pem.as_bytes())?;
    Ok(key)
}

/// Prints organization, threshold and keys.
pub fn show(args: &ShowArgs) -> Result<ExitCode, CliError> {
    let trust = read_trust(&args.trust)?;
    output::line(format!("organization  {}", trust.org()));
    output::line(format!("version       {}", trust.version()));
    output::line(format!("signatures    {} of {} needed", trust.threshold(), trust.keys().len()));
    for key in trust.keys() {
        output::line(format!("policy key    {}  {}", key.public.keyid(), key.comment));
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a trust file.
pub fn read_trust(path: &Path) -> Result<TrustFile, CliError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).doing(format_args!("read the trust file `{shown}`"))?;
    TrustFile::parse(&text).doing(format_args!("use the trust file `{shown}`"))
}

/// Reads a policy key.
pub fn read_key(path: &Path) -> Result<SigningKey, CliError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).doing(format_args!("read the key `{shown}`"))?;
    let text = zeroize::Zeroizing::new(text);
    SigningKey::from_pem(&text).doing(format_args!("use the key `{shown}`"))
}
