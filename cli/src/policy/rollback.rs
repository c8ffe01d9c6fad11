//! `daam policy rollback`: the content of an earlier bundle under a new serial.
//!
//! Serials never go back, so going back is a step forward: the old content, byte for byte, in a statement that says
//! whose it is. The old bundle has to verify under the trust file as it did when it was made; the new one has to be
//! signed and published like every other.

use super::build::{previous, time};
use super::project::ProjectArgs;
use super::publish::remote;
use super::trust::read_trust;
use super::verify::refused;
use crate::error::{CliError, Doing as _, Exit};
use crate::output;
use clap::Args;
use daam_bundle::{Previous, StatementInput, TrustFile, UnsignedBundle, build, verify};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Options of `daam policy rollback`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy rollback --to 41 --bundle archive/shop-41.daam --prev shop.daam --trust trust.json
  daam policy rollback --to 41 --database shop --control-plane https://daam.example --trust trust.json
  daam policy sign shop.daam --key file:policy.key && daam policy publish shop.daam --to https://daam.example

`daam policy diff deployed:shop bundle:shop.daam` shows what going back means before it is signed.
Exit codes: 0 made, 2 no verdict, 3 no bundle of that serial, 20 the old bundle is not signed as the trust file
demands, 21 it belongs to another epoch.")]
pub struct RollbackArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// The serial whose content comes back.
    #[arg(long, value_name = "SERIAL", value_parser = clap::value_parser!(u64).range(1..))]
    to: u64,
    /// The earlier bundle; without it the control plane is asked.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// The database, where the control plane is asked.
    #[arg(long, required_unless_present = "bundle")]
    database: Option<String>,
    /// The trust file; by default `trust.json` of the project.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// The bundle in force, which the new one follows; without it the control plane is asked.
    #[arg(long, value_name = "FILE")]
    prev: Option<PathBuf>,
    /// The control plane; needed unless `--bundle` and `--prev` are given.
    #[arg(long, value_name = "URL")]
    control_plane: Option<String>,
    /// A file with an API token for it; by default the sign-in of `daam login`.
    #[arg(long, value_name = "FILE", requires = "control_plane")]
    token_file: Option<PathBuf>,
    /// How long the new bundle may be used.
    #[arg(long, value_name = "DURATION", default_value = "14d", value_parser = humantime::parse_duration)]
    expires: Duration,
    /// Where to write `<database>.daam`.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out_dir: PathBuf,
}

/// Runs it.
pub async fn run(args: &RollbackArgs) -> Result<ExitCode, CliError> {
    let trust_file = args.trust.clone().unwrap_or_else(|| args.project.project.join("trust.json"));
    let trust = read_trust(&trust_file)?;
    let bytes = old(args).await?;
    let shown = UnsignedBundle::from_bytes(&bytes).doing("read the earlier bundle")?;
    let (database, serial) = (shown.statement().database.clone(), shown.statement().serial);
    if serial != args.to {
        return Err(CliError::usage(format!("the earlier bundle has serial {serial}, not {}", args.to))
            .remedy("name the file of that serial"));
    }
    if let Some(wanted) = args.database.as_ref().filter(|wanted| **wanted != database) {
        return Err(CliError::usage(format!("the earlier bundle is of `{database}`, not of `{wanted}`"))
            .remedy("name its own database, or a bundle of this one"));
    }
    // As it was when it was made: that it has expired since is why it is made anew.
    let verified =
        verify(&bytes, &trust, &database, None, shown.statement().issued_at).map_err(refused)?.into_bundle();
    let before = head(args, &trust, &database).await?;
    let (was, issued_at) = (verified.statement(), time()?);
    let lifetime = i64::try_from(args.expires.as_secs()).unwrap_or(i64::MAX);
    let input = StatementInput {
        org: was.org.clone(),
        epoch: trust.epoch(&database),
        serial: before.serial.saturating_add(1),
        prev: Some(before),
        effects_sha256: was.effects_sha256.clone(),
        lock_sha256: was.lock_sha256.clone(),
        issued_at,
        not_before: issued_at,
        expires_at: issued_at.saturating_add(lifetime),
        requires: was.requires.clone(),
        min_agent: was.min_agent.clone(),
        compiler: was.compiler.clone(),
        source: was.source.clone(),
        rollback_of: Some(serial),
        trust_version: trust.version(),
    };
    let bundle = build(verified.policies(), input).doing("build the bundle")?;
    if bundle.statement().content.sha256 != was.content.sha256 {
        return Err(CliError::new(Exit::Internal, "the content was not carried over byte for byte"));
    }
    std::fs::create_dir_all(&args.out_dir).doing(format_args!("make `{}`", args.out_dir.display()))?;
    let path = args.out_dir.join(format!("{database}.daam"));
    std::fs::write(&path, bundle.to_bytes()).doing(format_args!("write `{}`", path.display()))?;
    output::line(format!(
        "{}: serial {} of `{database}` with the content of serial {serial}, statement {}",
        path.display(),
        bundle.statement().serial,
        bundle.statement_sha256()
    ));
    Ok(ExitCode::SUCCESS)
}

async fn old(args: &RollbackArgs) -> Result<Vec<u8>, CliError> {
    if let Some(path) = &args.bundle {
        return std::fs::read(path).doing(format_args!("read the bundle `{}`", path.display()));
    }
    let database = args.database.as_deref().unwrap_or_default();
    let control_plane = remote(address(args)?, args.token_file.as_deref())?;
    control_plane.bundle_of(database, args.to).await?.ok_or_else(|| {
        let message = format!("the control plane has no bundle of `{database}` with serial {}", args.to);
        CliError::new(Exit::NoInputs, message)
    })
}

/// The statement in force.
async fn head(args: &RollbackArgs, trust: &TrustFile, database: &str) -> Result<Previous, CliError> {
    if let Some(path) = &args.prev {
        return previous(path);
    }
    let control_plane = remote(address(args)?, args.token_file.as_deref())?;
    let bytes = control_plane
        .bundle(database)
        .await?
        .ok_or_else(|| CliError::new(Exit::NoInputs, format!("no bundle is published for `{database}`")))?;
    let shown = UnsignedBundle::from_bytes(&bytes).doing("read the published bundle")?;
    // Whoever hands it out chooses no serial: it is what the keys of the trust file signed for this database.
    let bundle =
        verify(&bytes, trust, database, None, shown.statement().issued_at).map_err(refused)?.into_bundle();
    Ok(Previous { serial: bundle.statement().serial, statement_sha256: shown.statement_sha256() })
}

fn address(args: &RollbackArgs) -> Result<&str, CliError> {
    args.control_plane.as_deref().ok_or_else(|| {
        CliError::usage("it is not known where the bundles are").remedy(
            "name the control plane with `--control-plane URL`, or files with `--bundle` and `--prev`",
        )
    })
}
