//! `daam policy publish`: moves a signed bundle; nothing here can change it.

use crate::control_plane::ControlPlane;
use crate::credentials::Login;
use crate::error::{CliError, Doing as _};
use crate::home::Home;
use crate::output;
use clap::Args;
use daam_bundle::UnsignedBundle;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of `daam policy publish`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy publish shop.daam --to https://daam.example --token-file token
  daam policy publish shop.daam --to https://daam.example --expect-head 41 --require-approval \"$APPROVED\"
  daam policy publish shop.daam --to file:/srv/bundles

The control plane refuses a bundle that does not follow the published one; --expect-head says which one that is.
An approval names effects, not text: with --require-approval the bundle is published only if its `effects_sha256`
(`daam policy inspect` shows it) is the approved one.
Exit codes: 0 published, 1 not what was approved, 2 no verdict, 20 not signed, 21 it does not follow the head.")]
pub struct PublishArgs {
    /// The signed bundle.
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    /// The control plane's address, or `file:DIR`.
    #[arg(long, value_name = "URL|file:DIR")]
    to: String,
    /// A file with an API token; by default the sign-in of `daam login`.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The serial it follows; by default what the control plane has now.
    #[arg(long, value_name = "SERIAL")]
    expect_head: Option<u64>,
    /// The `effects_sha256` that was approved.
    #[arg(long, value_name = "DIGEST")]
    require_approval: Option<String>,
}

/// Runs it.
pub async fn run(args: &PublishArgs) -> Result<ExitCode, CliError> {
    let shown = args.bundle.display();
    let bytes = std::fs::read(&args.bundle).doing(format_args!("read the bundle `{shown}`"))?;
    let bundle = UnsignedBundle::from_bytes(&bytes).doing(format_args!("read the bundle `{shown}`"))?;
    if bundle.claimed_signers().next().is_none() {
        let error = CliError::new(crate::error::Exit::Signature, format!("`{shown}` is not signed"));
        return Err(error.remedy(format!("sign it: `daam policy sign {shown} --key file:policy.key`")));
    }
    let effects = &bundle.statement().effects_sha256;
    if let Some(approved) =
        args.require_approval.as_ref().filter(|approved| !approved.eq_ignore_ascii_case(effects))
    {
        let message = format!("the bundle has the effects {effects}, and {approved} was approved (DAAM806)");
        return Err(CliError::new(crate::error::Exit::Findings, message)
            .remedy("`daam policy diff` shows what changes; have exactly that approved"));
    }
    let database = bundle.statement().database.clone();
    if let Some(directory) = args.to.strip_prefix("file:") {
        return to_directory(Path::new(directory), &database, &bytes);
    }
    let control_plane = remote(&args.to, args.token_file.as_deref())?;
    let expect = match args.expect_head {
        Some(serial) => serial,
        None => head_serial(&control_plane, &database).await?,
    };
    let accepted = control_plane.put_bundle(&database, expect, bytes).await?;
    output::line(format!("published serial {} of `{database}`", accepted.serial));
    Ok(ExitCode::SUCCESS)
}

/// Written beside and renamed, so that a web server never sends half a bundle.
fn to_directory(directory: &Path, database: &str, bytes: &[u8]) -> Result<ExitCode, CliError> {
    let doing = format!("write into `{}`", directory.display());
    std::fs::create_dir_all(directory).doing(&doing)?;
    let fresh = directory.join(format!(".{database}.daam.new"));
    let path = directory.join(format!("{database}.daam"));
    std::fs::write(&fresh, bytes).and_then(|()| std::fs::rename(&fresh, &path)).doing(&doing)?;
    output::line(format!("wrote {}", path.display()));
    Ok(ExitCode::SUCCESS)
}

/// The control plane, with the token of the file or of the sign-in.
pub fn remote(url: &str, token_file: Option<&Path>) -> Result<ControlPlane, CliError> {
    let token = match token_file {
        Some(path) => {
            std::fs::read_to_string(path).doing(format_args!("read the token `{}`", path.display()))?
        }
        None => Login::load(&Home::find()?)?.token,
    };
    ControlPlane::new(url, &token)
}

/// The serial published now; 0 when there is none.
pub async fn head_serial(control_plane: &ControlPlane, database: &str) -> Result<u64, CliError> {
    let databases = control_plane.databases().await?;
    Ok(databases.iter().find(|known| known.name == database).map_or(0, |known| known.bundle_serial))
}
