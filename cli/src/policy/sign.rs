//! `daam policy sign`: adds a signature to a bundle, over exactly the bytes that were built.

use super::trust::read_key;
use crate::error::{CliError, Doing as _};
use crate::output;
use clap::Args;
use daam_bundle::UnsignedBundle;
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `daam policy sign`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy sign shop.daam --key file:policy.key
  daam policy sign shop.daam --key file:a.key --key file:b.key --out shop.signed.daam")]
pub struct SignArgs {
    /// The bundle.
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    /// A key, `file:PATH`; may be given several times.
    #[arg(long = "key", value_name = "file:PATH", required = true)]
    keys: Vec<String>,
    /// Where to write the signed bundle; by default in place.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: &SignArgs) -> Result<ExitCode, CliError> {
    let shown = args.bundle.display();
    let bytes = std::fs::read(&args.bundle).doing(format_args!("read the bundle `{shown}`"))?;
    let mut bundle = UnsignedBundle::from_bytes(&bytes).doing(format_args!("read the bundle `{shown}`"))?;
    for name in &args.keys {
        let Some(path) = name.strip_prefix("file:") else {
            return Err(CliError::usage(format!("`{name}` is not a key")).remedy("write `file:PATH`"));
        };
        let key = read_key(path.as_ref())?;
        bundle.sign(&key).doing("sign the bundle")?;
        let statement = bundle.statement();
        output::line(format!(
            "signed serial {} of `{}` with {}",
            statement.serial,
            statement.database,
            key.public().keyid()
        ));
    }
    let out = args.out.as_ref().unwrap_or(&args.bundle);
    std::fs::write(out, bundle.to_bytes()).doing(format_args!("write `{}`", out.display()))?;
    Ok(ExitCode::SUCCESS)
}
