//! `daam policy test --live`: every expectation asked of a real PostgreSQL, through an agent.

use super::{Ran, Verdict, said, stand_in};
use crate::dev::live::Stage;
use crate::dev::up::{Passing, during};
use crate::error::{CliError, Doing as _};
use clap::Args;
use daam_compiler::Checked;
use daam_compiler::scenario::Scenario;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Which server, and what is in it.
#[derive(Debug, Args)]
pub(super) struct LiveArgs {
    /// Ask a real PostgreSQL as well, about rows and about every expectation.
    #[arg(long)]
    pub(super) live: bool,
    /// The server; without it a private one is started.
    #[arg(long, value_name = "DSN", requires = "live")]
    dsn: Option<String>,
    /// SQL to run in the database first; several in order. Without any, a private server gets the tables of the lock.
    #[arg(long, value_name = "FILE.sql", requires = "live")]
    seed: Vec<PathBuf>,
    /// Directory of `postgres` and `initdb`.
    #[arg(long, value_name = "DIR", requires = "live", conflicts_with = "dsn")]
    postgres_bin: Option<PathBuf>,
}

/// Asks about every case, and adds what does not hold to what came of it without a server.
pub(super) async fn run(
    args: &LiveArgs,
    project: &Path,
    checked: &Checked,
    cases: &[(&str, &Scenario)],
    ran: &mut [Ran],
) -> Result<(), CliError> {
    let mut by_database: BTreeMap<&str, Vec<(&Scenario, &mut Ran)>> = BTreeMap::new();
    for ((name, case), one) in cases.iter().zip(ran) {
        by_database.entry(name).or_default().push((case, one));
    }
    for (name, mut cases) in by_database {
        let Some(database) = checked.databases.get(name) else { continue };
        let scratch = tempfile::tempdir().doing("make a temporary directory")?;
        let mut seed = args.seed.clone();
        if seed.is_empty() && args.dsn.is_none() {
            let path = scratch.path().join("schema.sql");
            std::fs::write(&path, stand_in::statements(&database.catalog)).doing("write a temporary file")?;
            seed.push(path);
        }
        let passing = Passing {
            project: project.to_owned(),
            database: name.to_owned(),
            seed,
            upstream: args.dsn.clone(),
            postgres_bin: args.postgres_bin.clone(),
        };
        during(passing, async |state, facts, outside| {
            let stage = Stage { state, facts, outside: Some(outside) };
            for (case, one) in &mut cases {
                let replayed = stage.replay(database, case, true).await?;
                let failures = replayed.failures.into_iter();
                one.failures.extend(failures.map(|(at, message)| said(checked, at, message)));
                one.verdict = match (one.failures.is_empty(), replayed.asked, &case.live) {
                    (false, _, _) => Verdict::Failed,
                    (true, 0, Some(_)) => Verdict::Skipped,
                    _ => Verdict::Passed,
                };
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}
