//! `daam trust rotate`: the next version of a trust file, not signed yet.

use super::init::end;
use super::{labelled_key, read_trust, role, root_state};
use crate::error::{CliError, Doing as _};
use crate::output;
use clap::Args;
use daam_bundle::{DatabaseTrust, Role, RoleKeys, SignedTrust, TrustDraft, TrustFile};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Options of `daam trust rotate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam trust rotate trust.json --replace root:ana=ana-new.pub
  daam trust rotate trust.json --add policy:release=release.pub --threshold policy=2
  daam trust rotate trust.json --remove policy:'old CI' --epoch shop --expires 365d

It writes trust.N.json and says whose signatures it needs: enough root keys of the old version and enough of the new one,
so whoever replaces a root key signs with both, the old and the new. Then:
  daam trust sign trust.2.json --from trust.json --key ssh-agent:ana@laptop
  daam trust verify trust.json trust.2.json
Exit codes: 0 written, 2 the change is not possible.")]
pub struct RotateArgs {
    /// The version in force.
    #[arg(value_name = "FILE", default_value = "trust.json")]
    trust: PathBuf,
    /// Add a key to a role.
    #[arg(long, value_name = "ROLE:LABEL=FILE")]
    add: Vec<String>,
    /// Remove a key from a role, by label or key id.
    #[arg(long, value_name = "ROLE:LABEL")]
    remove: Vec<String>,
    /// Put another key in the place of the one of that label.
    #[arg(long, value_name = "ROLE:LABEL=FILE")]
    replace: Vec<String>,
    /// How many keys of a role must sign.
    #[arg(long, value_name = "ROLE=N")]
    threshold: Vec<String>,
    #[command(flatten)]
    databases: Databases,
    /// How long the new version may be used.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires: Option<Duration>,
    /// Where to write it; by default `trust.N.json` beside the old one.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Databases {
    /// Raise the epoch of a database: every bundle before becomes unacceptable, serials start again.
    #[arg(long, value_name = "DATABASE")]
    epoch: Vec<String>,
    /// The lowest serial an agent that holds nothing accepts.
    #[arg(long, value_name = "DATABASE=SERIAL")]
    minimum: Vec<String>,
    /// Accept bundles of a database only if they were built from committed files.
    #[arg(long, value_name = "DATABASE")]
    protect: Vec<String>,
    /// How many policy keys must sign for a database, if more than the role's threshold.
    #[arg(long, value_name = "DATABASE=N")]
    database_threshold: Vec<String>,
}

/// Writes the next version.
pub fn rotate(args: &RotateArgs) -> Result<ExitCode, CliError> {
    let held = read_trust(&args.trust)?;
    let mut draft = held.successor();
    if !draft.roles.contains_key(&Role::Root) {
        return Err(CliError::usage("the trust file has no root keys, so no agent would follow a successor")
            .remedy(
                "make a new one with `daam trust init --root LABEL=FILE` and give it to the agents by hand",
            ));
    }
    for text in &args.remove {
        remove(&mut draft, text)?;
    }
    for text in &args.replace {
        let (name, key) = split(text, ':')?;
        let (label, _) = split(key, '=')?;
        remove(&mut draft, &format!("{name}:{label}"))?;
        add(&mut draft, text)?;
    }
    for text in &args.add {
        add(&mut draft, text)?;
    }
    for text in &args.threshold {
        let (name, number) = split(text, '=')?;
        draft.roles.entry(role(name)?).or_default().threshold = count(number)?;
    }
    databases(&mut draft, &args.databases)?;
    draft.roles.retain(|_, keys| !keys.keys.is_empty());
    draft.expires_at = args.expires.map(end).or(draft.expires_at);
    if draft == held.successor() {
        return Err(CliError::usage("nothing changes").remedy("say what does: `daam trust rotate --help`"));
    }
    let next = TrustFile::check(draft).doing("make the next trust file")?;
    write(args, &held, next)
}

fn write(args: &RotateArgs, held: &TrustFile, next: TrustFile) -> Result<ExitCode, CliError> {
    let beside = || args.trust.with_file_name(format!("trust.{}.json", next.version()));
    let out = args.out.clone().unwrap_or_else(beside);
    let shown = out.display();
    if out.exists() {
        return Err(CliError::usage(format!("`{shown}` exists already"))
            .remedy("sign it, or remove it and rotate again"));
    }
    let signed = SignedTrust::new(next);
    std::fs::write(&out, signed.to_json()).doing(format_args!("write `{shown}`"))?;
    output::line(format!(
        "{shown}: version {} of `{}`, not signed yet",
        signed.trust().version(),
        held.org()
    ));
    for trust in [held, signed.trust()] {
        if let Some(line) = root_state(trust, &BTreeSet::new()) {
            output::line(line);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn add(draft: &mut TrustDraft, text: &str) -> Result<(), CliError> {
    let (name, key) = split(text, ':')?;
    let key = labelled_key(key)?;
    let keys: &mut RoleKeys = draft.roles.entry(role(name)?).or_default();
    keys.threshold = keys.threshold.max(1);
    keys.keys.push(key);
    Ok(())
}

fn remove(draft: &mut TrustDraft, text: &str) -> Result<(), CliError> {
    let (name, wanted) = split(text, ':')?;
    let keys = draft.roles.entry(role(name)?).or_default();
    let before = keys.keys.len();
    keys.keys.retain(|key| key.comment != wanted && key.public.keyid() != wanted);
    if before - keys.keys.len() == 1 {
        return Ok(());
    }
    let message = format!("the role `{name}` has not exactly one key called `{wanted}`");
    Err(CliError::usage(message).remedy("`daam trust show` lists labels and key ids"))
}

fn databases(draft: &mut TrustDraft, args: &Databases) -> Result<(), CliError> {
    let known = |draft: &mut TrustDraft, name: &str, change: &dyn Fn(&mut DatabaseTrust)| {
        change(draft.databases.entry(name.to_owned()).or_default());
    };
    for name in &args.epoch {
        known(draft, name, &|database| {
            database.epoch = database.epoch.saturating_add(1);
            database.minimum_serial = 0;
        });
    }
    for text in &args.minimum {
        let (name, serial) = split(text, '=')?;
        let serial: u64 = serial.parse().map_err(|_| number(serial))?;
        known(draft, name, &|database| database.minimum_serial = serial);
    }
    for name in &args.protect {
        known(draft, name, &|database| database.protected = true);
    }
    for text in &args.database_threshold {
        let (name, threshold) = split(text, '=')?;
        let threshold = count(threshold)?;
        known(draft, name, &|database| database.threshold = Some(threshold));
    }
    Ok(())
}

fn split(text: &str, at: char) -> Result<(&str, &str), CliError> {
    text.split_once(at).filter(|(left, right)| !left.is_empty() && !right.is_empty()).ok_or_else(|| {
        CliError::usage(format!("`{text}` has no two parts around `{at}`"))
            .remedy("`daam trust rotate --help` shows how options are written")
    })
}

fn count(text: &str) -> Result<usize, CliError> {
    text.parse().map_err(|_| number(text))
}

fn number(text: &str) -> CliError {
    CliError::usage(format!("`{text}` is not a number")).remedy("write a whole number, as in `root=2`")
}
