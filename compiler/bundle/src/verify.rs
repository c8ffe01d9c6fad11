//! Acceptance: the only way from bytes to policies an agent may enforce.
//!
//! The order is part of the promise: nothing is parsed before its signatures verify, except the envelope and
//! the framing around it. Scope and the live schema are judged by the agent afterwards.

use crate::content::decode_content;
use crate::digest::sha256_hex;
use crate::dsse::{Envelope, Payload};
use crate::file::{self, Parts};
use crate::head::{Head, Minimum};
use crate::narrow::widening;
use crate::refused::Refused;
use crate::statement::{SUPPORTED_FEATURES, Statement, version};
use crate::trust::{Role, TrustFile};
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
    emergency: bool,
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

    /// Whether emergency keys signed it, which may only narrow what was in force.
    pub fn is_emergency(&self) -> bool {
        self.emergency
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

/// What a bundle is judged against. `now_unix` is fixed once for the whole update.
#[derive(Debug, Clone, Copy)]
pub struct Acceptance<'a> {
    /// Whose signatures count.
    pub trust: &'a TrustFile,
    /// The database it has to be for.
    pub database: &'a str,
    /// What was accepted last.
    pub head: Option<&'a Head>,
    /// The lowest place in the order that counts where nothing was accepted yet, beside the trust file's own.
    pub minimum: Minimum,
    /// The policies in force; an emergency bundle is judged against them and refused without.
    pub held: Option<&'a PolicySet>,
    /// The clock.
    pub now_unix: i64,
}

impl<'a> Acceptance<'a> {
    /// Against a trust file, with nothing held.
    pub fn new(trust: &'a TrustFile, database: &'a str, now_unix: i64) -> Self {
        Self { trust, database, head: None, minimum: Minimum::default(), held: None, now_unix }
    }

    /// After a head.
    #[must_use]
    pub fn after(self, head: Option<&'a Head>) -> Self {
        Self { head, ..self }
    }

    /// Verifies a bundle.
    pub fn verify(&self, bytes: &[u8]) -> Result<Verified, Refused> {
        let parts = file::split(bytes)?;
        let envelope = Envelope::parse(parts.envelope, &[Payload::Policy, Payload::Emergency])?;
        let signers = self.check_signatures(&envelope)?;
        let statement = Statement::parse(&envelope.payload).map_err(Refused::Statement)?;
        self.check_target(&statement)?;
        let statement_sha256 = sha256_hex(&envelope.payload);
        let same = self.check_succession(&statement, &statement_sha256)?;
        if statement.source.dirty && self.trust.database(self.database).protected {
            return Err(Refused::Dirty(self.database.to_owned()));
        }
        let time_floor = check_time(&statement, self.head, self.now_unix)?;
        // What is held stays in force when the trust file ends; what is new needs one that has not.
        if !same && self.trust.has_expired(self.now_unix.max(time_floor)) {
            return Err(Refused::TrustExpired { version: self.trust.version() });
        }
        let policies = open_content(&statement, parts)?;
        let emergency = envelope.kind == Payload::Emergency;
        if emergency && !same {
            self.check_narrower(&policies)?;
        }
        let trust_version = self.trust.version().max(self.head.map_or(0, |head| head.trust_version));
        let (epoch, serial) = (statement.epoch, statement.serial);
        let head = Head { epoch, serial, statement_sha256, time_floor, trust_version };
        let bundle = VerifiedBundle { statement, policies, signers, emergency, head, bytes: bytes.to_vec() };
        Ok(if same { Verified::Same(bundle) } else { Verified::New(bundle) })
    }

    /// The keys of the role that signed. A database may ask for more policy keys than the role does.
    fn check_signatures(&self, envelope: &Envelope) -> Result<BTreeSet<String>, Refused> {
        let (keys, threshold) = if envelope.kind == Payload::Emergency {
            let role = self.trust.role(Role::Emergency).ok_or(Refused::NoEmergencyRole)?;
            (role.keys.as_slice(), role.threshold)
        } else {
            (self.trust.keys(), self.trust.policy_threshold(self.database))
        };
        if envelope.signatures.is_empty() {
            return Err(Refused::NotSigned { threshold });
        }
        let signers = envelope.signers(keys);
        if signers.len() < threshold {
            return Err(Refused::Threshold { found: signers.len(), threshold, trusted: keys.len() });
        }
        Ok(signers)
    }

    fn check_target(&self, statement: &Statement) -> Result<(), Refused> {
        let (trust, database) = (self.trust, self.database);
        if statement.org != trust.org() {
            let (found, expected) = (statement.org.clone(), trust.org().to_owned());
            return Err(Refused::Organization { found, expected });
        }
        if statement.database != database {
            let (found, expected) = (statement.database.clone(), database.to_owned());
            return Err(Refused::Database { found, expected });
        }
        if statement.trust_version > trust.version() {
            return Err(Refused::TrustVersion { found: statement.trust_version, held: trust.version() });
        }
        let seen = self.head.map_or(0, |head| head.trust_version);
        if seen > trust.version() {
            return Err(Refused::TrustBehind { held: trust.version(), seen });
        }
        let unknown = statement.requires.iter().find(|name| !SUPPORTED_FEATURES.contains(&name.as_str()));
        if let Some(unknown) = unknown {
            return Err(Refused::Requires(unknown.clone()));
        }
        let new_enough = version(AGENT_VERSION) >= version(&statement.min_agent);
        if !new_enough {
            return Err(Refused::MinimumAgent {
                needed: statement.min_agent.clone(),
                running: AGENT_VERSION,
            });
        }
        Ok(())
    }

    /// Tells whether it is the statement already held.
    fn check_succession(&self, statement: &Statement, digest: &str) -> Result<bool, Refused> {
        let expected = self.trust.epoch(&statement.database).max(self.head.map_or(0, |head| head.epoch));
        if statement.epoch != expected {
            return Err(Refused::Epoch { found: statement.epoch, expected });
        }
        // A higher epoch starts a new count; that is what epochs are for.
        let Some(last) = self.head.filter(|head| head.epoch == statement.epoch) else {
            let found = Minimum { epoch: statement.epoch, serial: statement.serial };
            let minimum = self.minimum.max(self.trust.minimum(self.database));
            return if found < minimum { Err(Refused::BelowMinimum { found, minimum }) } else { Ok(false) };
        };
        let (found, highest) = (statement.serial, last.serial);
        if found < highest {
            return Err(Refused::Serial { found, held: highest });
        }
        if found == highest && digest != last.statement_sha256 {
            let (serial, known) = (found, last.statement_sha256.clone());
            return Err(Refused::Fork { serial, held: known, found: digest.to_owned() });
        }
        if found - highest > MAX_SERIAL_STEP {
            return Err(Refused::SerialJump { found, held: highest, limit: MAX_SERIAL_STEP });
        }
        Ok(found == highest)
    }

    fn check_narrower(&self, policies: &PolicySet) -> Result<(), Refused> {
        let held = self
            .held
            .ok_or_else(|| Refused::EmergencyWidens("nothing is in force that it could narrow".to_owned()))?;
        widening(held, policies).map_or(Ok(()), |why| Err(Refused::EmergencyWidens(why)))
    }
}

/// Verifies a bundle for one database. `head` is what was accepted last, `now_unix` the time fixed once for
/// the whole update. Emergency bundles need [`Acceptance::held`] and are refused here.
pub fn verify(
    bytes: &[u8],
    trust: &TrustFile,
    database: &str,
    head: Option<&Head>,
    now_unix: i64,
) -> Result<Verified, Refused> {
    Acceptance::new(trust, database, now_unix).after(head).verify(bytes)
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
