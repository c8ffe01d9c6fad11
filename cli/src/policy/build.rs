//! `daam policy build`: one unsigned bundle per database, the same bytes from the same inputs.

pub mod compare;

use super::git;
use super::now_unix;
use super::project::ProjectArgs;
use super::publish::{head_serial, remote};
use super::report::require_clean;
use super::trust::read_trust;
use crate::error::{CliError, Doing as _, Exit};
use crate::home::text_variable;
use crate::output;
use clap::Args;
use daam_bundle::{Previous, Source, StatementInput, UnsignedBundle, build};
use daam_compiler::CompiledDatabase;
use daam_compiler::effects::{Side, effects_sha256};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

const OLDEST_AGENT: &str = "0.0.0";

/// Options of `daam policy build`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy build --trust trust.json
  daam policy build --trust trust.json --serial auto --to https://daam.example --token-file token
  daam policy build --org brave-otter --serial 7 --expires 14d --out-dir dist
  daam policy build --check shop.daam
  daam policy build --check 5f0c… --database shop

The time is SOURCE_DATE_EPOCH if that is set; then equal inputs give equal bytes.
--check builds and writes nothing: with a bundle it takes time, serial and the like from it, so that the same files
give the same statement, and says what differs; with a digest it compares that of the content, of the effects or of
the statement.
Exit codes: 0 built, or the same, 1 not the same, or the project has errors, 3 no policies, 4 schema lock missing or not usable.")]
pub struct BuildArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// Only this database.
    #[arg(long)]
    database: Option<String>,
    /// The trust file: organization, version and epochs.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// The organization, where there is no trust file.
    #[arg(long)]
    org: Option<String>,
    #[command(flatten)]
    order: Order,
    /// How long the bundle may be used.
    #[arg(long, value_name = "DURATION", default_value = "14d", value_parser = humantime::parse_duration)]
    expires: Duration,
    /// Where to write `<database>.daam`.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out_dir: PathBuf,
    /// Refuse to build from uncommitted files.
    #[arg(long)]
    require_clean: bool,
    /// Write nothing; compare with a bundle, or with a digest of its content, effects or statement.
    #[arg(long, value_name = "FILE|DIGEST", conflicts_with_all = ["serial", "prev", "to", "expires"])]
    check: Option<String>,
}

/// Which place in the order of bundles the new one takes.
#[derive(Debug, Args)]
struct Order {
    /// A number, or `auto`: one more than the bundle before it, or 1.
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    serial: Serial,
    /// The bundle before this one.
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    prev: Option<PathBuf>,
    /// The control plane that holds the bundle before this one.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// A file with an API token for `--to`; by default the sign-in of `daam login`.
    #[arg(long, value_name = "FILE", requires = "to")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy)]
enum Serial {
    Auto,
    Number(u64),
}

impl FromStr for Serial {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            text => text
                .parse::<u64>()
                .ok()
                .filter(|number| *number > 0)
                .map(Self::Number)
                .ok_or_else(|| format!("`{text}` is neither `auto` nor a number from 1")),
        }
    }
}

/// Who a bundle is for.
struct Target {
    org: String,
    epoch: u64,
    trust_version: u64,
}

/// Runs it.
pub async fn run(args: &BuildArgs) -> Result<ExitCode, CliError> {
    let checked = args.project.check()?;
    require_clean(&checked)?;
    let source = git::source(&args.project.project);
    if args.require_clean && source.dirty {
        return Err(CliError::new(Exit::Findings, "the project has uncommitted changes (DAAM807)")
            .remedy("commit them, or build without `--require-clean`"));
    }
    if let Some(written) = &args.check {
        return compare::run(written, args.database.as_deref(), &checked);
    }
    let wanted = |name: &str| args.database.as_ref().is_none_or(|only| only == name);
    let databases: Vec<_> = checked.databases.iter().filter(|(name, _)| wanted(name)).collect();
    if databases.is_empty() {
        return Err(CliError::new(Exit::NoInputs, "no database of that name is in the project"));
    }
    std::fs::create_dir_all(&args.out_dir).doing(format_args!("make `{}`", args.out_dir.display()))?;
    for (name, database) in databases {
        let bundle = one(args, name, database, &source).await?;
        let path = args.out_dir.join(format!("{name}.daam"));
        std::fs::write(&path, bundle.to_bytes()).doing(format_args!("write `{}`", path.display()))?;
        output::line(format!(
            "{}: serial {} of `{name}`, {} policies, statement {}",
            path.display(),
            bundle.statement().serial,
            database.policies.policies.len(),
            bundle.statement_sha256()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

async fn one(
    args: &BuildArgs,
    name: &str,
    database: &CompiledDatabase,
    source: &Source,
) -> Result<UnsignedBundle, CliError> {
    let target = target(args, name)?;
    let (serial, prev) = place(&args.order, name).await?;
    let issued_at = time()?;
    let lifetime = i64::try_from(args.expires.as_secs()).unwrap_or(i64::MAX);
    let input = StatementInput {
        org: target.org,
        epoch: target.epoch,
        serial,
        prev,
        effects_sha256: effects_sha256(&Side::of(database)),
        lock_sha256: database.lock_fingerprint(),
        issued_at,
        not_before: issued_at,
        expires_at: issued_at.saturating_add(lifetime),
        requires: Vec::new(),
        min_agent: OLDEST_AGENT.to_owned(),
        compiler: compiler(),
        source: source.clone(),
        rollback_of: None,
        trust_version: target.trust_version,
    };
    build(&database.policies, input).doing(format_args!("build the bundle of `{name}`"))
}

/// What statements call this program.
pub(super) fn compiler() -> String {
    format!("daam {}", env!("CARGO_PKG_VERSION"))
}

fn target(args: &BuildArgs, database: &str) -> Result<Target, CliError> {
    let beside = args.project.project.join("trust.json");
    let file = args.trust.clone().or_else(|| beside.is_file().then_some(beside));
    match (file, &args.org) {
        (Some(path), org) => {
            let trust = read_trust(&path)?;
            if org.as_ref().is_some_and(|org| org != trust.org()) {
                let message = format!("`{}` is the trust file of `{}`", path.display(), trust.org());
                return Err(CliError::usage(message).remedy("leave `--org` out"));
            }
            let (epoch, trust_version) = (trust.epoch(database), trust.version());
            Ok(Target { org: trust.org().to_owned(), epoch, trust_version })
        }
        (None, Some(org)) => Ok(Target { org: org.clone(), epoch: 1, trust_version: 1 }),
        (None, None) => Err(CliError::usage("a bundle names its organization, and none is given")
            .remedy("name the trust file with `--trust FILE` (`daam trust init` makes one), or `--org ORG`")),
    }
}

/// The serial, and the statement it follows where that is known.
async fn place(order: &Order, database: &str) -> Result<(u64, Option<Previous>), CliError> {
    let before = match (&order.prev, &order.to) {
        (Some(path), _) => Some(previous(path)?),
        (None, Some(url)) => {
            let control_plane = remote(url, order.token_file.as_deref())?;
            let head = head_serial(&control_plane, database).await?;
            return Ok(match order.serial {
                Serial::Auto => (head.saturating_add(1), None),
                Serial::Number(number) => (number, None),
            });
        }
        (None, None) => None,
    };
    let serial = match order.serial {
        Serial::Number(number) => number,
        Serial::Auto => before.as_ref().map_or(1, |before| before.serial.saturating_add(1)),
    };
    Ok((serial, before))
}

pub(super) fn previous(path: &Path) -> Result<Previous, CliError> {
    let shown = path.display();
    let bytes = std::fs::read(path).doing(format_args!("read the bundle `{shown}`"))?;
    let bundle = UnsignedBundle::from_bytes(&bytes).doing(format_args!("read the bundle `{shown}`"))?;
    Ok(Previous { serial: bundle.statement().serial, statement_sha256: bundle.statement_sha256() })
}

pub(super) fn time() -> Result<i64, CliError> {
    match text_variable("SOURCE_DATE_EPOCH") {
        None => Ok(now_unix()),
        Some(text) => {
            text.parse().doing(format_args!("read SOURCE_DATE_EPOCH (`{text}`) as seconds since 1970"))
        }
    }
}
