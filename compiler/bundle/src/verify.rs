//! Acceptance: the only way from bytes to policies an agent may enforce.
//!
//! The order is part of the promise: nothing is parsed before its signatures verify, except the envelope and
//! the framing around it. Scope and the live schema are judged by the agent afterwards.

use crate::content::decode_content;
use crate::digest::sha256_hex;
use crate::dsse::Envelope;
use crate::file::{self, Parts};
use crate::head::Head;
use crate::refused::Refused;
use crate::statement::{SUPPORTED_FEATURES, Statement, version};
use crate::trust::TrustFile;
use daam_model::PolicySet;
use std::collections::BTreeSet;

/// How far ahead of ours the signer's clock may be, in seconds.
pub const CLOCK_SKEW: i64 = 5 * 60;
/// The largest step of the serial, so that one mistake cannot use up all serials.
pub const MAX_SERIAL_STEP: u64 = 1_000_000;
/// The version statements compare `min_agent` with.
pub const AGENT_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// Newer than what is held.
    New(VerifiedBundle),
    /// What is held already; nothing to do.
    Same(VerifiedBundle),
}

impl Verified {
    /// The bundle, new or not.
    pub fn into_bundle(self) -> VerifiedBundle {
        match self {
            Self::New(bundle) | Self::Same(bundle) => bundle,
        }
    }
}

/// Policies that were signed by enough trusted keys and passed every check. Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedBundle {
    statement: Statement,
    policies: PolicySet,
    signers: BTreeSet<String>,
    head: Head,
    bytes: Vec<u8>,
}

impl VerifiedBundle {
    /// What was signed.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The policies.
    pub fn policies(&self) -> &PolicySet {
        &self.policies
    }

    /// The ids of the trusted keys that signed.
    pub fn signers(&self) -> &BTreeSet<String> {
        &self.signers
    }

    /// What to remember about it.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The file, exactly as it was verified.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Verifies a bundle for one database. `head` is what was accepted last, `now_unix` the time fixed once for
/// the whole update.
pub fn verify(
    bytes: &[u8],
    trust: &TrustFile,
    database: &str,
    head: Option<&Head>,
    now_unix: i64,
) -> Result<Verified, Refused> {
    let parts = file::split(bytes)?;
    let envelope = Envelope::parse(parts.envelope)?;
    let signers = check_signatures(&envelope, trust)?;
    let statement = Statement::parse(&envelope.payload).map_err(Refused::Statement)?;
    check_target(&statement, trust, database)?;
    let statement_sha256 = sha256_hex(&envelope.payload);
    let same = check_succession(&statement, &statement_sha256, trust, head)?;
    let time_floor = check_time(&statement, head, now_unix)?;
    let policies = open_content(&statement, parts)?;
    let head = Head { epoch: statement.epoch, serial: statement.serial, statement_sha256, time_floor };
    let bundle = VerifiedBundle { statement, policies, signers, head, bytes: bytes.to_vec() };
    Ok(if same { Verified::Same(bundle) } else { Verified::New(bundle) })
}

/// Verifies the stored bytes of the bundle that was accepted last, as an agent does when it starts.
pub fn reverify(
    stored: &[u8],
    trust: &TrustFile,
    database: &str,
    head: &Head,
    now_unix: i64,
) -> Result<VerifiedBundle, Refused> {
    match verify(stored, trust, database, Some(head), now_unix)? {
        Verified::Same(bundle) => Ok(bundle),
        Verified::New(bundle) => Err(Refused::NotTheHead {
            held: head.statement_sha256.clone(),
            found: bundle.head.statement_sha256,
        }),
    }
}

/// Tries every trusted key on every signature: ids in the envelope decide nothing.
fn check_signatures(envelope: &Envelope, trust: &TrustFile) -> Result<BTreeSet<String>, Refused> {
    let threshold = trust.threshold();
    if envelope.signatures.is_empty() {
        return Err(Refused::NotSigned { threshold });
    }
    let message = envelope.pae();
    let signed = |key: &&crate::trust::TrustedKey| {
        envelope.signatures.iter().any(|signature| key.public.verifies(&message, &signature.signature))
    };
    let signers: BTreeSet<String> =
        trust.keys().iter().filter(signed).map(|key| key.public.keyid()).collect();
    if signers.len() < threshold {
        return Err(Refused::Threshold { found: signers.len(), threshold, trusted: trust.keys().len() });
    }
    Ok(signers)
}

fn check_target(statement: &Statement, trust: &TrustFile, database: &str) -> Result<(), Refused> {
    if statement.org != trust.org() {
        return Err(Refused::Organization { found: statement.org.clone(), expected: trust.org().to_owned() });
    }
    if statement.database != database {
        return Err(Refused::Database { found: statement.database.clone(), expected: database.to_owned() });
    }
    if statement.trust_version > trust.version() {
        return Err(Refused::TrustVersion { found: statement.trust_version, held: trust.version() });
    }
    if let Some(unknown) = statement.requires.iter().find(|name| !SUPPORTED_FEATURES.contains(&name.as_str()))
    {
        return Err(Refused::Requires(unknown.clone()));
    }
    let new_enough = version(AGENT_VERSION) >= version(&statement.min_agent);
    if !new_enough {
        return Err(Refused::MinimumAgent { needed: statement.min_agent.clone(), running: AGENT_VERSION });
    }
    Ok(())
}

/// Tells whether it is the statement already held.
fn check_succession(
    statement: &Statement,
    digest: &str,
    trust: &TrustFile,
    head: Option<&Head>,
) -> Result<bool, Refused> {
    let expected = trust.epoch(&statement.database).max(head.map_or(0, |head| head.epoch));
    if statement.epoch != expected {
        return Err(Refused::Epoch { found: statement.epoch, expected });
    }
    // A higher epoch starts a new count; that is what epochs are for.
    let Some(head) = head.filter(|head| head.epoch == statement.epoch) else { return Ok(false) };
    let (found, highest) = (statement.serial, head.serial);
    if found < highest {
        return Err(Refused::Serial { found, held: highest });
    }
    if found == highest && digest != head.statement_sha256 {
        return Err(Refused::Fork {
            serial: found,
            held: head.statement_sha256.clone(),
            found: digest.to_owned(),
        });
    }
    if found - highest > MAX_SERIAL_STEP {
        return Err(Refused::SerialJump { found, held: highest, limit: MAX_SERIAL_STEP });
    }
    Ok(found == highest)
}

/// Judges the window by the later of the clock and the proven time; returns the time that is now proven.
fn check_time(statement: &Statement, head: Option<&Head>, now_unix: i64) -> Result<i64, Refused> {
    let floor = head.map_or(0, |head| head.time_floor);
    let now = now_unix.max(floor);
    let begins = statement.not_before.max(statement.issued_at);
    if begins > now.saturating_add(CLOCK_SKEW) {
        return Err(Refused::NotYetValid { not_before: begins, now });
    }
    if now >= statement.expires_at {
        return Err(Refused::Expired { expires_at: statement.expires_at, now });
    }
    Ok(floor.max(statement.issued_at))
}

fn open_content(statement: &Statement, parts: Parts<'_>) -> Result<PolicySet, Refused> {
    statement.vouches_for(parts.content)?;
    let policies = decode_content(parts.content).map_err(Refused::Content)?;
    if policies.database != statement.database {
        return Err(Refused::ContentDatabase {
            statement: statement.database.clone(),
            content: policies.database,
        });
    }
    Ok(policies)
}

impl Statement {
    /// Whether these bytes are the content it names: size first, then digest.
    pub(crate) fn vouches_for(&self, content: &[u8]) -> Result<(), Refused> {
        let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
        if size == self.content.size && sha256_hex(content) == self.content.sha256 {
            Ok(())
        } else {
            Err(Refused::ContentDigest)
        }
    }
}

#[cfg(test)]
mod tests;
