//! `daam policy verify`: the agent's acceptance rules, run here.

mod rebuild;

use super::now_unix;
use super::trust::{moment, read_chain};
use crate::error::{CliError, Doing as _, Exit};
use crate::output;
use clap::Args;
use daam_bundle::{Acceptance, Head, Minimum, RefusalKind, Refused, UnsignedBundle, Verified};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of `daam policy verify`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy verify shop.daam --trust trust.json --database shop
  daam policy verify shop.daam --trust trust.json --database shop --state head.json
  daam policy verify shop.daam --trust trust.json --trust trust.2.json --at 2027-01-31T12:00:00Z
  daam policy verify shop.daam --trust trust.json --rebuild .

The first --trust is taken as given, further ones must be its signed successors. With --state the last accepted bundle
counts, as it does at an agent, and the file is updated. With --rebuild the policies are compiled again from the commit
the bundle names, in a checkout whose working files do not matter, as of the day the bundle was made: content, effects
and schema lock have to come out with the same digests, whoever signed.
Exit codes: 0 accepted, 1 not what the commit makes, 2 not a bundle or meant for somebody else, 20 signature or threshold, 21 rollback or fork,
22 expired.")]
pub struct VerifyArgs {
    /// The bundle.
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    /// The trust file, and its successors in order.
    #[arg(long, value_name = "FILE", required = true)]
    trust: Vec<PathBuf>,
    /// What was accepted last for that database; need not exist yet.
    #[arg(long, value_name = "FILE", requires = "database")]
    state: Option<PathBuf>,
    /// The database it has to be for; by default the one it names.
    #[arg(long)]
    database: Option<String>,
    /// The time to judge by, RFC 3339 or seconds since 1970; by default now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<i64>,
    /// The lowest epoch and serial accepted where nothing was accepted before.
    #[arg(long, value_name = "EPOCH.SERIAL", value_parser = minimum)]
    minimum: Option<Minimum>,
    /// The project's directory in a Git checkout, and the commit where it is not the one the bundle names.
    #[arg(long, value_name = "DIR[@COMMIT]", value_parser = rebuild::Checkout::parse)]
    rebuild: Option<rebuild::Checkout>,
    /// The bundle in force, which an emergency bundle may only narrow.
    #[arg(long, value_name = "FILE")]
    held: Option<PathBuf>,
}

fn minimum(text: &str) -> Result<Minimum, String> {
    Minimum::parse(text).ok_or_else(|| format!("`{text}` is not `EPOCH.SERIAL`"))
}

/// Runs it.
pub fn run(args: &VerifyArgs) -> Result<ExitCode, CliError> {
    let now_unix = args.at.unwrap_or_else(now_unix);
    let chain = read_chain(&args.trust, now_unix)?;
    let trust = chain.current();
    let (bytes, unsigned) = read_bundle(&args.bundle)?;
    let head = args.state.as_deref().map(read_head).transpose()?.flatten();
    let in_force = match &args.held {
        Some(path) => Some(read_bundle(path)?.1.policies().doing("read the policies in force")?),
        None => None,
    };
    let acceptance = Acceptance {
        trust,
        database: args.database.as_deref().unwrap_or(&unsigned.statement().database),
        head: head.as_ref(),
        minimum: args.minimum.unwrap_or_default(),
        held: in_force.as_ref(),
        now_unix,
    };
    let verified = acceptance.verify(&bytes).map_err(refused)?;
    let known = matches!(verified, Verified::Same(_));
    let bundle = verified.into_bundle();
    if let Some(checkout) = &args.rebuild
        && !rebuild::holds(checkout, &unsigned)?
    {
        return Ok(Exit::Findings.into());
    }
    if let Some(path) = &args.state {
        std::fs::write(path, bundle.head().to_json()).doing(format_args!("write `{}`", path.display()))?;
    }
    let statement = bundle.statement();
    let label = |keyid: &String| trust.label(keyid).unwrap_or_else(|| keyid.clone());
    let signers: Vec<String> = bundle.signers().iter().map(label).collect();
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

fn read_bundle(path: &Path) -> Result<(Vec<u8>, UnsignedBundle), CliError> {
    let bytes = std::fs::read(path).doing(format_args!("read the bundle `{}`", path.display()))?;
    let bundle = UnsignedBundle::from_bytes(&bytes).map_err(refused)?;
    Ok((bytes, bundle))
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
