//! `daam trust`: the keys whose signatures agents accept, and how they change.
//!
//! The first trust file is plain JSON and is given to every agent by hand. Each later version travels in an envelope
//! that root keys of the version before *and* of the new one have signed; agents follow those by themselves.

mod init;
mod publish;
mod rotate;
mod show;
mod sign;
mod verify;

pub use init::{InitArgs, init};
pub use publish::{PublishArgs, publish};
pub use rotate::{RotateArgs, rotate};
pub use show::{ShowArgs, show};
pub use sign::{SignArgs, sign};
pub use verify::{VerifyArgs, verify};

use super::signer::read_public;
use crate::error::{CliError, Doing as _, Exit};
use daam_bundle::{ChainError, Role, SigningKey, TrustChain, TrustDocument, TrustFile, TrustedKey};
use std::path::{Path, PathBuf};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Reads what a trust file says, plain or signed, without following anything.
pub fn read_trust(path: &Path) -> Result<TrustFile, CliError> {
    read_document(path).map(|document| document.trust().clone())
}

fn read_text(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).doing(format_args!("read the trust file `{}`", path.display()))
}

fn read_document(path: &Path) -> Result<TrustDocument, CliError> {
    TrustDocument::parse(&read_text(path)?).doing(format_args!("use the trust file `{}`", path.display()))
}

/// The first file as it is, and every further one as its signed successor.
pub fn read_chain(paths: &[PathBuf], now_unix: i64) -> Result<TrustChain, CliError> {
    let (first, rest) = paths.split_first().ok_or_else(|| CliError::usage("no trust file is named"))?;
    let chain = TrustChain::pin(&read_text(first)?)
        .doing(format_args!("use the trust file `{}`", first.display()))?;
    let rest = rest.iter().map(|path| read_text(path)).collect::<Result<Vec<_>, _>>()?;
    let walk = chain.walk(rest.iter().map(String::as_str), now_unix);
    match walk.ended {
        None => Ok(walk.chain),
        Some(error) => Err(not_followed(error)),
    }
}

/// A refusal to follow, and its exit code.
fn not_followed(error: ChainError) -> CliError {
    let exit = match error {
        ChainError::OldThreshold { .. } | ChainError::NewThreshold { .. } | ChainError::NoRoot { .. } => {
            Exit::Signature
        }
        ChainError::Version { .. } | ChainError::Backwards(_) => Exit::Rollback,
        ChainError::Expired { .. } => Exit::Expired,
        ChainError::Trust(_) | ChainError::Organization { .. } | ChainError::TooMany => Exit::Usage,
    };
    CliError::new(exit, "the trust file is not followed").because(error)
}

/// Reads a private key from a file.
pub fn read_key(path: &Path) -> Result<SigningKey, CliError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).doing(format_args!("read the key `{shown}`"))?;
    let text = zeroize::Zeroizing::new(text);
    SigningKey::from_pem(&text).doing(format_args!("use the key `{shown}`"))
}

/// Seconds since 1970 of a time written either way.
pub fn moment(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok(seconds);
    }
    OffsetDateTime::parse(text, &Rfc3339)
        .map(OffsetDateTime::unix_timestamp)
        .map_err(|_| format!("`{text}` is neither like `2027-01-31T12:00:00Z` nor seconds since 1970"))
}

fn shown_moment(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{seconds} seconds since 1970"))
}

/// `LABEL=FILE`: a key and whose it is.
fn labelled_key(text: &str) -> Result<TrustedKey, CliError> {
    let Some((label, file)) = text.split_once('=').filter(|(label, _)| !label.is_empty()) else {
        return Err(CliError::usage(format!("`{text}` is not `LABEL=FILE`"))
            .remedy("name the person or machine, and the file with its public key: `ana=ana.pub`"));
    };
    Ok(TrustedKey { public: read_public(Path::new(file))?, comment: label.to_owned() })
}

/// `ROLE` as written in options.
fn role(name: &str) -> Result<Role, CliError> {
    Role::from_name(name).ok_or_else(|| {
        CliError::usage(format!("`{name}` is not a role"))
            .remedy("the roles are `root`, `policy`, `freshness` and `emergency`")
    })
}

/// Who of a version's root keys has signed and who may still, in words.
fn root_state(trust: &TrustFile, signed: &std::collections::BTreeSet<String>) -> Option<String> {
    let root = trust.role(Role::Root)?;
    let (have, open): (Vec<&TrustedKey>, Vec<&TrustedKey>) =
        root.keys.iter().partition(|key| signed.contains(&key.public.keyid()));
    let names =
        |keys: &[&TrustedKey]| keys.iter().map(|key| key.comment.as_str()).collect::<Vec<_>>().join(", ");
    let line = format!("version {}: {} of {} root signatures", trust.version(), have.len(), root.threshold);
    let by = if have.is_empty() { String::new() } else { format!(", by {}", names(&have)) };
    let missing = have.len() < root.threshold;
    let still = if missing { format!("; still possible: {}", names(&open)) } else { String::new() };
    Some(format!("{line}{by}{still}"))
}
