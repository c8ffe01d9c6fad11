//! `daam trust init`: a policy key and the first trust file.

use super::{labelled_key, read_key};
use crate::error::{CliError, Doing as _};
use crate::home::write_private;
use crate::output;
use crate::policy::now_unix;
use clap::Args;
use daam_bundle::{DatabaseTrust, Role, RoleKeys, SigningKey, TrustDraft, TrustFile, TrustedKey};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Options of `daam trust init`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam trust init --org brave-otter --out trust.json --key policy.key
  daam trust init --org brave-otter --root ana=ana.pub --root bo=bo.pub --root-threshold 2 --protect shop

The key is written for its owner only. Keep it out of the repository; agents need nothing but trust.json. A trust file
without root keys cannot be rotated: agents follow a successor only if root keys of both versions signed it.
Public keys are SSH keys (`id_ed25519.pub`), or Ed25519 and P-256 keys in PEM.")]
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
    #[command(flatten)]
    roles: Roles,
    /// How long it may be used; then nothing new is accepted until a later version arrives.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires: Option<Duration>,
}

#[derive(Debug, Args)]
struct Roles {
    /// A further policy key.
    #[arg(long, value_name = "LABEL=FILE")]
    policy: Vec<String>,
    /// How many policy keys must sign.
    #[arg(long, value_name = "N", default_value_t = 1)]
    policy_threshold: usize,
    /// A root key.
    #[arg(long, value_name = "LABEL=FILE")]
    root: Vec<String>,
    /// How many root keys must sign; by default more than half.
    #[arg(long, value_name = "N", requires = "root")]
    root_threshold: Option<usize>,
    /// The control plane's online key, which says what is fresh.
    #[arg(long, value_name = "LABEL=FILE")]
    freshness: Vec<String>,
    /// A key that may narrow access in an emergency.
    #[arg(long, value_name = "LABEL=FILE")]
    emergency: Vec<String>,
    /// A database whose bundles must be built from committed files.
    #[arg(long, value_name = "DATABASE")]
    protect: Vec<String>,
}

/// Makes key and trust file; an existing trust file is never overwritten.
pub fn init(args: &InitArgs) -> Result<ExitCode, CliError> {
    if args.out.exists() {
        let message = format!("`{}` exists already", args.out.display());
        return Err(CliError::usage(message)
            .remedy("agents pin it; change it with `daam trust rotate`, or remove it if no agent has it"));
    }
    let key = if args.key.exists() { read_key(&args.key)? } else { new_key(&args.key)? };
    let trust = TrustFile::check(draft(args, &key)?).doing("make a trust file")?;
    let shown = args.out.display();
    std::fs::write(&args.out, trust.to_json()).doing(format_args!("write `{shown}`"))?;
    output::line(format!("{shown}: `{}` trusts {}", args.org, key.public().keyid()));
    if trust.role(Role::Root).is_none() {
        output::line("it has no root keys and cannot be rotated; add some with `--root LABEL=FILE`");
    }
    Ok(ExitCode::SUCCESS)
}

fn draft(args: &InitArgs, key: &SigningKey) -> Result<TrustDraft, CliError> {
    let given = &args.roles;
    let read = |texts: &[String]| texts.iter().map(|text| labelled_key(text)).collect::<Result<Vec<_>, _>>();
    let mut policy = vec![TrustedKey { public: key.public(), comment: args.comment.clone() }];
    policy.extend(read(&given.policy)?);
    let majority = given.root.len() / 2 + 1;
    let lists = [
        (Role::Policy, policy, given.policy_threshold),
        (Role::Root, read(&given.root)?, given.root_threshold.unwrap_or(majority)),
        (Role::Freshness, read(&given.freshness)?, 1),
        (Role::Emergency, read(&given.emergency)?, 1),
    ];
    let roles: BTreeMap<_, _> = lists
        .into_iter()
        .filter(|(_, keys, _)| !keys.is_empty())
        .map(|(role, keys, threshold)| (role, RoleKeys { threshold, keys }))
        .collect();
    let protected =
        |name: &String| (name.clone(), DatabaseTrust { protected: true, ..DatabaseTrust::default() });
    Ok(TrustDraft {
        org: args.org.clone(),
        version: 1,
        expires_at: args.expires.map(end),
        roles,
        databases: given.protect.iter().map(protected).collect(),
    })
}

/// That long from now.
pub(super) fn end(life: Duration) -> i64 {
    now_unix().saturating_add(i64::try_from(life.as_secs()).unwrap_or(i64::MAX))
}

fn new_key(path: &Path) -> Result<SigningKey, CliError> {
    let key = SigningKey::generate().doing("make a key")?;
    let pem = key.to_pem().doing("write the key")?;
    write_private(path, pem.as_bytes())?;
    Ok(key)
}
