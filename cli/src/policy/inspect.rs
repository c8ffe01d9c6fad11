//! `daam policy inspect`: what a bundle says, without trusting it.

use super::trust::read_trust;
use crate::error::{CliError, Doing as _};
use crate::output;
use clap::{Args, ValueEnum};
use daam_bundle::{Role, Statement, UnsignedBundle};
use daam_model::{Policy, PolicySet};
use std::path::PathBuf;
use std::process::ExitCode;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Options of `daam policy inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy inspect shop.daam
  daam policy inspect shop.daam --trust trust.json
  daam policy inspect shop.daam --report json

Nothing here is verified, except that --trust says whose the signatures are; whether an agent would accept the bundle
tells `daam policy verify`.
Exit codes: 0 read, 2 not a bundle.")]
pub struct InspectArgs {
    /// The bundle.
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The trust file that says whose the signatures are.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// How to print it.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    report: Format,
}

/// How to print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// The statement, the claimed signers and the names of the policies.
    Json,
}

/// Runs it.
pub fn run(args: &InspectArgs) -> Result<ExitCode, CliError> {
    let doing = format!("read the bundle `{}`", args.bundle.display());
    let bytes = std::fs::read(&args.bundle).doing(&doing)?;
    let bundle = UnsignedBundle::from_bytes(&bytes).doing(&doing)?;
    let policies = bundle.policies().doing(&doing)?;
    let signers: Vec<&str> = bundle.claimed_signers().collect();
    let known = args.trust.as_deref().map(read_trust).transpose()?;
    match args.report {
        Format::Json => {
            let names: Vec<&str> = policies.policies.iter().map(|policy| policy.name.as_str()).collect();
            let ceilings: Vec<&str> = policies.ceilings.iter().map(|ceiling| ceiling.name.as_str()).collect();
            let shown = serde_json::json!({
                "version": 1,
                "statement": bundle.statement(),
                "statement_sha256": bundle.statement_sha256(),
                "claimed_signers": signers,
                "policies": names,
                "ceilings": ceilings,
            });
            output::line(shown.to_string());
        }
        Format::Text => {
            statement(bundle.statement(), &bundle.statement_sha256());
            let verified = known.as_ref().map(|trust| (trust, bundle.signers(trust)));
            for signer in &signers {
                let said = match &verified {
                    Some((trust, ids)) if ids.contains(*signer) => {
                        format!("{} {signer}", trust.label(signer).unwrap_or_default())
                    }
                    Some(_) => format!("{signer} (not a key of the trust file, or not its signature)"),
                    None => format!("{signer} (claimed, not verified)"),
                };
                field("signature", &said);
            }
            if bundle.role() == Role::Emergency {
                field("role", "emergency: agents accept it only if it narrows what is in force");
            }
            if signers.is_empty() {
                field("signature", "none");
            }
            for policy in &policies.policies {
                field("policy", &described(policy));
            }
            for ceiling in &policies.ceilings {
                field("ceiling", &described(&ceiling.whole()));
            }
            groups(&policies);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A bundle is not trusted yet, so no character of it reaches the terminal as a command.
fn field(name: &str, value: &str) {
    let value: String = value.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    output::line(format!("{name:<14}{value}"));
}

fn statement(statement: &Statement, digest: &str) {
    field("organization", &statement.org);
    field("database", &statement.database);
    field("serial", &format!("{} (epoch {})", statement.serial, statement.epoch));
    field("statement", digest);
    if let Some(previous) = &statement.prev {
        field("follows", &format!("serial {}, {}", previous.serial, previous.statement_sha256));
    }
    if let Some(serial) = statement.rollback_of {
        field("brings back", &format!("serial {serial}"));
    }
    field("content", &format!("{} bytes, {}", statement.content.size, statement.content.sha256));
    field("effects", &statement.effects_sha256);
    field("schema lock", &statement.lock_sha256);
    field("issued", &moment(statement.issued_at));
    field("not before", &moment(statement.not_before));
    field("expires", &moment(statement.expires_at));
    field("compiler", &statement.compiler);
    if !statement.requires.is_empty() {
        field("requires", &statement.requires.join(", "));
    }
    field("trust version", &statement.trust_version.to_string());
    let source = &statement.source;
    if !source.commit.is_empty() {
        field("commit", &format!("{} {}", source.commit, source.uri));
    }
    if source.dirty {
        field("source", "has uncommitted changes");
    }
}

fn moment(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{seconds} seconds since 1970"))
}

fn described(policy: &Policy) -> String {
    let subjects = &policy.subjects;
    let everyone = subjects.everyone.then(|| "everyone".to_owned());
    let groups = subjects.groups.iter().map(|name| format!("group:{name}"));
    let users = subjects.users.iter().map(|email| format!("user:{email}"));
    let who: Vec<String> = everyone.into_iter().chain(groups).chain(users).collect();
    let when = if policy.request.is_some() { ", on request" } else { "" };
    format!(
        "{} for {}{when}: {} grants, {} masks ({})",
        policy.name,
        who.join(", "),
        policy.grants.len(),
        policy.masks.len(),
        policy.origin
    )
}

fn groups(set: &PolicySet) {
    for (name, members) in &set.groups {
        field("group", &format!("{name}: {} members", members.len()));
    }
}
