//! `daam policy`, `daam schema` and `daam trust`: from files in Git to a signed bundle.
//!
//! Checking needs no network and no key. Building makes the same bytes from the same inputs; signing adds nothing
//! but signatures; publishing moves bytes and cannot change them. Exit codes are the one table of [`crate::error`],
//! and no report format ever changes them.

pub mod as_findings;
pub mod ask;
pub mod brownfield;
pub mod build;
pub mod check;
pub mod comment;
pub mod diff;
pub mod difference;
pub mod explain;
pub mod first_tests;
pub mod fmt;
pub mod git;
pub mod grants;
pub mod init;
pub mod inspect;
pub mod kept;
pub mod pipeline;
pub mod project;
pub mod publish;
pub mod report;
pub mod rollback;
pub mod rules;
pub mod schema;
pub mod schema_diff;
pub mod side;
pub mod sign;
pub mod signer;
pub mod ssh_agent;
pub mod test;
pub mod trust;
pub mod verify;
pub mod what;
pub mod who;

use crate::error::CliError;
use clap::Subcommand;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Works on policies.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  daam policy check
  daam policy test
  daam policy diff git:main
  daam policy who-can select public.customers.email --unmasked
  daam policy build --trust trust.json
  daam policy sign shop.daam --key file:policy.key
  daam policy publish shop.daam --to https://daam.example")]
pub enum PolicyCommand {
    /// Start a project from a schema lock.
    Init(init::InitArgs),
    /// Check every file of the project and report everything that is wrong.
    Check(check::CheckArgs),
    /// Put the files of the project into one form.
    Fmt(fmt::FmtArgs),
    /// Run the tests of the project.
    Test(test::TestArgs),
    /// Show what a person may do and see, and which clause says so.
    Explain(explain::ExplainArgs),
    /// Show which access a change of the policies gives or takes.
    Diff(diff::DiffArgs),
    /// Write a report as one comment of a pull request.
    Comment(comment::CommentArgs),
    /// Show who can do something.
    WhoCan(who::WhoCanArgs),
    /// Show everything a person can do.
    WhatCan(what::WhatCanArgs),
    /// Explain a rule, or list all of them.
    Rule(rules::RuleArgs),
    /// Make an unsigned bundle per database.
    Build(build::BuildArgs),
    /// Sign a bundle.
    Sign(sign::SignArgs),
    /// Show what a bundle says, without verifying it.
    Inspect(inspect::InspectArgs),
    /// Verify a bundle as an agent would.
    Verify(verify::VerifyArgs),
    /// Publish a signed bundle.
    Publish(publish::PublishArgs),
    /// Make a bundle with the content of an earlier one.
    Rollback(rollback::RollbackArgs),
}

/// Works on the schema lock.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  daam schema pull --dsn postgresql://reader@db.internal/shop --out schema/shop
  daam schema check --dsn postgresql://reader@db.internal/shop
  daam schema diff git:main")]
pub enum SchemaCommand {
    /// Write the schema lock of a database.
    Pull(schema::PullArgs),
    /// Show what a change of the schema means for the policies.
    Diff(schema_diff::DiffArgs),
    /// Compare the schema lock with the live database.
    Check(schema_diff::CheckArgs),
}

/// Works on the trust file.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  daam trust init --org brave-otter --root ana=ana.pub --root bo=bo.pub
  daam trust show trust.json
  daam trust rotate trust.json --replace root:ana=ana-new.pub
  daam trust sign trust.2.json --from trust.json --key ssh-agent:ana@laptop
  daam trust verify trust.json trust.2.json")]
pub enum TrustCommand {
    /// Make a policy key and a trust file that trusts it.
    Init(trust::InitArgs),
    /// Show whom a trust file trusts.
    Show(trust::ShowArgs),
    /// Write the next version of a trust file, to be signed.
    Rotate(trust::RotateArgs),
    /// Add root signatures to the next version.
    Sign(trust::SignArgs),
    /// Say whether agents follow a trust file to its successors.
    Verify(trust::VerifyArgs),
    /// Hand a trust file to a control plane.
    Publish(trust::PublishArgs),
}

/// Obeys `daam policy …`.
pub async fn run(command: PolicyCommand) -> Result<ExitCode, CliError> {
    match command {
        PolicyCommand::Init(args) => init::run(&args).await,
        PolicyCommand::Check(args) => check::run(&args),
        PolicyCommand::Fmt(args) => fmt::run(&args),
        PolicyCommand::Test(args) => test::run(&args).await,
        PolicyCommand::Explain(args) => explain::run(&args),
        PolicyCommand::Diff(args) => diff::run(&args).await,
        PolicyCommand::Comment(args) => comment::run(&args).await,
        PolicyCommand::WhoCan(args) => who::run(&args),
        PolicyCommand::WhatCan(args) => what::run(&args),
        PolicyCommand::Rule(args) => rules::run(&args),
        PolicyCommand::Build(args) => build::run(&args).await,
        PolicyCommand::Sign(args) => sign::run(&args),
        PolicyCommand::Inspect(args) => inspect::run(&args),
        PolicyCommand::Verify(args) => verify::run(&args),
        PolicyCommand::Publish(args) => publish::run(&args).await,
        PolicyCommand::Rollback(args) => rollback::run(&args).await,
    }
}

/// Obeys `daam schema …`.
pub async fn run_schema(command: SchemaCommand) -> Result<ExitCode, CliError> {
    match command {
        SchemaCommand::Pull(args) => schema::pull(&args).await,
        SchemaCommand::Diff(args) => schema_diff::diff(&args).await,
        SchemaCommand::Check(args) => schema_diff::run(&args).await,
    }
}

/// Obeys `daam trust …`.
pub async fn run_trust(command: &TrustCommand) -> Result<ExitCode, CliError> {
    match command {
        TrustCommand::Init(args) => trust::init(args),
        TrustCommand::Show(args) => trust::show(args),
        TrustCommand::Rotate(args) => trust::rotate(args),
        TrustCommand::Sign(args) => trust::sign(args),
        TrustCommand::Verify(args) => trust::verify(args),
        TrustCommand::Publish(args) => trust::publish(args).await,
    }
}

/// Seconds since 1970; the one clock of these commands.
pub(crate) fn now_unix() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
