//! Publishing: the project compiled, signed with the sandbox's key, pushed, and enforced by the agent.

use super::project::lock_dir;
use super::state::{Facts, StateDir};
use crate::control_plane::ControlPlane;
use crate::error::{CliError, Doing as _, Exit};
use crate::home::{private_dir, write_private};
use crate::output;
use crate::policy::project::DiskFiles;
use daam_api::v1::Agent;
use daam_bundle::{Previous, SigningKey, Source, StatementInput, TrustFile, UnsignedBundle};
use daam_catalog::{Catalog, lock, snapshot};
use daam_compiler::CompiledDatabase;
use daam_diagnostic::Severity;
use daam_diagnostic::render::text::{Colour, to_text};
use std::path::Path;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

const POLL: Duration = Duration::from_millis(20);
const SCHEMA_DEADLINE: Duration = Duration::from_secs(30);
const ENFORCED_DEADLINE: Duration = Duration::from_secs(30);
/// An agent that still shows the refusal of an earlier bundle gets this long to judge the new one.
const OLD_REFUSAL: Duration = Duration::from_secs(5);
const LIFETIME: i64 = 30 * 24 * 60 * 60;
/// The agent's clock is ours; this only covers rounding.
const CLOCK_SLACK: i64 = 60;

/// Publishes the project and waits until the agent enforces it; gives the serial.
pub async fn publish(state: &StateDir, facts: &Facts, admin: &ControlPlane) -> Result<u64, CliError> {
    let database = compile(state, facts, admin).await?;
    let head = head(admin, &facts.database).await?;
    let expect_head = head.as_ref().map_or(0, |head| head.serial);
    let (bundle, serial) = sign(state, facts, &database, head)?;
    let refused_before = refusals(&agents(admin, &facts.database).await?);
    let accepted = admin.put_bundle(&facts.database, expect_head, bundle).await?;
    until_enforced(admin, &facts.database, accepted.serial, &refused_before).await?;
    Ok(serial)
}

pub(super) async fn compile(
    state: &StateDir,
    facts: &Facts,
    admin: &ControlPlane,
) -> Result<CompiledDatabase, CliError> {
    let lock_dir = lock_dir(&facts.project, &facts.database)?;
    let live = live_catalog(admin, &facts.database).await?;
    let mut files = DiskFiles::open(&facts.project)?;
    // A project without a schema lock is compiled against the lock of the sandbox's own database.
    if !files.has_lock(&lock_dir) {
        let kept = state.path("schema").join(&facts.database);
        private_dir(&kept)?;
        for (name, text) in lock::to_files(&live) {
            write_private(&kept.join(name), &text)?;
        }
        files = files.with_lock(&lock_dir, &live);
    }
    let mut checked = daam_compiler::check(&files);
    // Remarks belong to `daam policy check`; here they would hide what is wrong.
    let shown: Vec<_> =
        checked.diagnostics.iter().filter(|found| found.severity != Severity::Info).cloned().collect();
    if !shown.is_empty() {
        output::text_err(&to_text(&shown, &checked.sources, colour()));
    }
    let lacks_lock = checked.lacks_lock();
    if checked.has_errors() {
        return Err(refused(&facts.project, lacks_lock));
    }
    let compiled =
        checked.databases.remove(&facts.database).ok_or_else(|| refused(&facts.project, lacks_lock))?;
    if compiled.lock_fingerprint() != lock::fingerprint(&live) {
        output::progress("note: the project's schema lock differs from the sandbox's schema");
    }
    Ok(compiled)
}

fn refused(project: &Path, lacks_lock: bool) -> CliError {
    let exit = if lacks_lock { Exit::SchemaLock } else { Exit::Findings };
    CliError::new(exit, format!("the project `{}` was not published", project.display()))
        .remedy("correct the errors above; `daam policy check` shows them too")
}

fn colour() -> Colour {
    if output::errors_to_terminal() { Colour::Ansi } else { Colour::Plain }
}

/// What the agent reported about the database; it does so when it has connected.
async fn live_catalog(admin: &ControlPlane, database: &str) -> Result<Catalog, CliError> {
    let start = Instant::now();
    loop {
        if let Some(reported) = admin.schema(database).await? {
            return snapshot::from_json(&reported).doing("understand the schema the agent reported");
        }
        if start.elapsed() > SCHEMA_DEADLINE {
            return Err(CliError::usage("the agent has not reported the schema in time")
                .remedy("look at `logs/agent.log` in the sandbox's state directory"));
        }
        sleep(POLL).await;
    }
}

async fn head(admin: &ControlPlane, database: &str) -> Result<Option<Previous>, CliError> {
    let Some(bytes) = admin.bundle(database).await? else { return Ok(None) };
    let bundle = UnsignedBundle::from_bytes(&bytes).doing("understand the published bundle")?;
    Ok(Some(Previous { serial: bundle.statement().serial, statement_sha256: bundle.statement_sha256() }))
}

fn sign(
    state: &StateDir,
    facts: &Facts,
    database: &CompiledDatabase,
    head: Option<Previous>,
) -> Result<(Vec<u8>, u64), CliError> {
    let read = |name: &str| {
        std::fs::read_to_string(state.path(name)).doing(format_args!("read the sandbox's `{name}`"))
    };
    let trust = TrustFile::parse(&read("trust.json")?).doing("understand the sandbox's trust file")?;
    let key = SigningKey::from_pem(&read("trust-key.pem")?).doing("understand the sandbox's signing key")?;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let serial = head.as_ref().map_or(0, |head| head.serial).saturating_add(1);
    let input = StatementInput {
        org: facts.org.clone(),
        epoch: trust.epoch(&facts.database),
        serial,
        prev: head,
        effects_sha256: daam_bundle::fingerprint(&database.policies),
        lock_sha256: database.lock_fingerprint(),
        issued_at: now,
        not_before: now.saturating_sub(CLOCK_SLACK),
        expires_at: now.saturating_add(LIFETIME),
        requires: Vec::new(),
        min_agent: "0.0.0".to_owned(),
        compiler: concat!("daam ", env!("CARGO_PKG_VERSION")).to_owned(),
        source: Source::default(),
        rollback_of: None,
        trust_version: trust.version(),
    };
    let mut bundle = daam_bundle::build(&database.policies, input).doing("build the bundle")?;
    bundle.sign(&key).doing("sign the bundle")?;
    Ok((bundle.to_bytes(), serial))
}

async fn agents(admin: &ControlPlane, database: &str) -> Result<Vec<Agent>, CliError> {
    let agents = admin.agents().await?;
    Ok(agents.into_iter().filter(|agent| agent.online && agent.database == database).collect())
}

fn refusals(agents: &[Agent]) -> Vec<String> {
    agents.iter().filter_map(|agent| agent.bundle_refused.clone()).collect()
}

async fn until_enforced(
    admin: &ControlPlane,
    database: &str,
    serial: u64,
    refused_before: &[String],
) -> Result<(), CliError> {
    let start = Instant::now();
    loop {
        let agents = agents(admin, database).await?;
        if !agents.is_empty() && agents.iter().all(|agent| agent.bundle_serial >= serial) {
            return Ok(());
        }
        let refused = refusals(&agents)
            .into_iter()
            .find(|reason| start.elapsed() > OLD_REFUSAL || !refused_before.contains(reason));
        if let Some(reason) = refused {
            return Err(CliError::denied(format!("the agent refused policy {serial}: {reason}"))
                .remedy("the policy before it stays in force; correct the project and publish again"));
        }
        if start.elapsed() > ENFORCED_DEADLINE {
            return Err(CliError::usage(format!("the agent did not take over policy {serial} in time"))
                .remedy("look at `logs/agent.log` in the sandbox's state directory"));
        }
        sleep(POLL).await;
    }
}
