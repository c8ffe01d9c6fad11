//! What this device remembers of an organization's audit.

use crate::error::{CliError, Doing as _};
use crate::home::{Home, read_if_present, write_private};
use daam_ledger::Signed;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The key that was seen first, and the latest checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// Base64 of the public key.
    pub(super) key: String,
    /// The latest checkpoint that was verified.
    pub(super) checkpoint: Option<Signed>,
}

fn place(home: &Home, org: &str) -> Result<PathBuf, CliError> {
    // It becomes part of a file's name.
    if org.is_empty() || !org.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(CliError::usage("the log does not name an organization"));
    }
    Ok(home.file(&format!("audit-{org}.json")))
}

/// What is remembered.
pub(super) fn load(home: &Home, org: &str) -> Result<Option<Kept>, CliError> {
    let path = place(home, org)?;
    let Some(text) = read_if_present(&path)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).doing(format_args!("understand `{}`", path.display()))
}

/// Remembers.
pub(super) fn store(home: &Home, org: &str, kept: &Kept) -> Result<(), CliError> {
    home.prepare()?;
    let text = serde_json::to_string_pretty(kept).doing("write what is remembered of the audit")?;
    write_private(&place(home, org)?, text)
}
