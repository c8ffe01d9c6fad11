//! Freshness: the control plane's word, for at most an hour, on which bundle is the latest.
//!
//! It is the one statement an online key signs, and so it can give nothing: a bundle stays exactly what its own
//! signatures make it. What its absence takes away is [`Standing`]'s business: without it an agent serves on but
//! starts no time-boxed access, and past the bundle's end it opens no session. Refused: longer lives than an hour,
//! another organization or database, an earlier bundle than the one held, and another one under the same serial.

use crate::build::BuildError;
use crate::digest::is_sha256_hex;
use crate::dsse::{Envelope, Payload};
use crate::head::Head;
use crate::key::PublicKey;
use crate::refused::Refused;
use crate::signing_key::SigningKey;
use crate::statement::{MAX_EXACT, StatementError};
use crate::trust::{Role, TrustFile};
use crate::verify::CLOCK_SKEW;
use serde::{Deserialize, Serialize};

/// The `type` of a freshness statement.
pub const FRESHNESS_TYPE: &str = "daam-freshness.v1";
/// The longest life of one.
pub const MAX_LIFE: i64 = 3600;
/// The largest envelope read.
const MAX_ENVELOPE: usize = 64 * 1024;

/// What the control plane says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freshness {
    /// [`FRESHNESS_TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The organization.
    pub org: String,
    /// The database.
    pub database: String,
    /// The epoch of its latest bundle.
    pub epoch: u64,
    /// The serial of its latest bundle.
    pub serial: u64,
    /// The digest of that bundle's statement.
    pub statement_sha256: String,
    /// When it was said.
    pub issued_at: i64,
    /// Until when it counts.
    pub expires_at: i64,
}

/// A freshness statement that was verified against the trust file and the bundle held. Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedFreshness {
    statement: Freshness,
    current: bool,
}

impl VerifiedFreshness {
    /// What it says.
    pub fn statement(&self) -> &Freshness {
        &self.statement
    }

    /// Whether the bundle held is the latest; if not, a later one exists that did not arrive.
    pub fn is_current(&self) -> bool {
        self.current
    }
}

/// What is known about whether the bundle in force is the latest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attested {
    /// The trust file names who says so; without that nobody has to.
    pub required: bool,
    /// It was said before, or the lowest bundle is known from elsewhere.
    pub before: bool,
    /// What was said last.
    pub said: Option<VerifiedFreshness>,
}

/// How far the agent may go with the bundle it holds. Each step takes something away; none gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The bundle is the latest, and somebody said so within the hour. Without a freshness role, always this.
    Fresh,
    /// Nobody says so any more, or a later bundle did not arrive: serve, alarm, start no time-boxed access.
    Stale,
    /// Nothing was ever said and nothing was held before: do not serve yet.
    Unknown,
    /// Past the bundle's end: no new sessions; running ones end at their own limit.
    Expired,
}

impl Standing {
    /// The word for it, in logs and health output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
        }
    }

    /// The standing of a bundle that ends at `bundle_end`.
    pub fn of(bundle_end: i64, attested: &Attested, now_unix: i64) -> Self {
        if now_unix >= bundle_end {
            return Self::Expired;
        }
        if !attested.required {
            return Self::Fresh;
        }
        match &attested.said {
            Some(said) if said.current && now_unix < said.statement.expires_at => Self::Fresh,
            Some(_) => Self::Stale,
            None if attested.before => Self::Stale,
            None => Self::Unknown,
        }
    }

    /// Whether new sessions may begin.
    pub fn admits_sessions(self) -> bool {
        matches!(self, Self::Fresh | Self::Stale)
    }

    /// Whether new time-boxed access may begin.
    pub fn starts_requests(self) -> bool {
        self == Self::Fresh
    }
}

/// Why a freshness statement does not count.
#[derive(Debug, thiserror::Error)]
pub enum FreshnessRefused {
    /// The envelope or its signatures.
    #[error("the freshness statement is not acceptable")]
    Envelope(#[source] Refused),
    /// No such role.
    #[error("the trust file has no `freshness` role; nobody may sign freshness")]
    NoRole,
    /// Too few keys of the role.
    #[error("{found} freshness key(s) signed; {threshold} are needed")]
    Threshold {
        /// Distinct keys whose signature verifies.
        found: usize,
        /// How many are needed.
        threshold: usize,
    },
    /// The statement.
    #[error("the freshness statement is not acceptable")]
    Statement(#[source] StatementError),
    /// Another organization or database.
    #[error("the freshness statement is for `{found}`; only `{expected}` is accepted here")]
    Target {
        /// The statement's organization and database.
        found: String,
        /// Ours.
        expected: String,
    },
    /// An earlier bundle than the one held.
    #[error("the freshness statement names epoch {epoch} serial {serial}, which is before the bundle held")]
    Behind {
        /// Its epoch.
        epoch: u64,
        /// Its serial.
        serial: u64,
    },
    /// Another bundle under the serial held.
    #[error(
        "fork: the freshness statement names another bundle (`{found}`) under the serial held (`{held}`); two were signed under one serial"
    )]
    Fork {
        /// The digest named.
        found: String,
        /// The digest held.
        held: String,
    },
    /// Nothing held.
    #[error("a freshness statement counts only with the bundle it is about; none is held")]
    NothingHeld,
    /// Outside its window.
    #[error(
        "the freshness statement counts from {issued_at} to {expires_at} (seconds since 1970); it is {now}"
    )]
    Window {
        /// The start.
        issued_at: i64,
        /// The end.
        expires_at: i64,
        /// The time judged by.
        now: i64,
    },
}

impl FreshnessRefused {
    /// A stable word for it, in logs, alarms and the published test vectors.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Envelope(_) => "envelope",
            Self::NoRole => "no-role",
            Self::Threshold { .. } => "threshold",
            Self::Statement(_) => "statement",
            Self::Target { .. } => "target",
            Self::Behind { .. } => "behind",
            Self::Fork { .. } => "fork",
            Self::NothingHeld => "nothing-held",
            Self::Window { .. } => "window",
        }
    }
}

impl Freshness {
    /// About one bundle, from now on, for at most [`MAX_LIFE`].
    pub fn about(org: &str, database: &str, head: &Head, now_unix: i64, life: i64) -> Self {
        Self {
            kind: FRESHNESS_TYPE.to_owned(),
            org: org.to_owned(),
            database: database.to_owned(),
            epoch: head.epoch,
            serial: head.serial,
            statement_sha256: head.statement_sha256.clone(),
            issued_at: now_unix,
            expires_at: now_unix.saturating_add(life.clamp(1, MAX_LIFE)),
        }
    }

    /// The signed envelope.
    pub fn sign(&self, key: &SigningKey) -> Result<String, BuildError> {
        self.check().map_err(BuildError::Statement)?;
        let mut envelope = self.envelope();
        let signature = key.sign(&envelope.pae());
        envelope.attach(&key.public(), &signature)?;
        Ok(envelope.to_json())
    }

    /// The envelope around a signature made elsewhere over [`Freshness::signing_input`].
    pub fn attach(&self, key: &PublicKey, signature: &[u8]) -> Result<String, BuildError> {
        let mut envelope = self.envelope();
        envelope.attach(key, signature)?;
        Ok(envelope.to_json())
    }

    /// The bytes to sign, for keys that live elsewhere.
    pub fn signing_input(&self) -> Vec<u8> {
        self.envelope().pae()
    }

    fn envelope(&self) -> Envelope {
        // Plain strings and numbers cannot fail to serialise; an empty statement is refused when read.
        Envelope::new(Payload::Freshness, serde_json::to_vec(self).unwrap_or_default())
    }

    fn check(&self) -> Result<(), StatementError> {
        let exact = "whole numbers from 0 to 2^53-1 are";
        let time = |seconds: i64| u64::try_from(seconds).is_ok_and(|seconds| seconds <= MAX_EXACT);
        let life = self.expires_at.saturating_sub(self.issued_at);
        let checks = [
            ("type", self.kind == FRESHNESS_TYPE, "`daam-freshness.v1` is"),
            ("epoch", self.epoch <= MAX_EXACT, exact),
            ("serial", self.serial <= MAX_EXACT, exact),
            (
                "statement_sha256",
                is_sha256_hex(&self.statement_sha256),
                "64 lower-case hexadecimal digits are",
            ),
            ("issued_at", time(self.issued_at), exact),
            ("expires_at", time(self.expires_at), exact),
            ("expires_at", (1..=MAX_LIFE).contains(&life), "at most an hour after `issued_at` is"),
        ];
        match checks.into_iter().find(|(_, holds, _)| !holds) {
            None => Ok(()),
            Some((field, _, accepted)) => Err(StatementError::Field { field, accepted }),
        }
    }
}

/// Verifies a freshness statement against the trust file and the bundle held.
pub fn verify_freshness(
    envelope: &[u8],
    trust: &TrustFile,
    database: &str,
    head: Option<&Head>,
    now_unix: i64,
) -> Result<VerifiedFreshness, FreshnessRefused> {
    if envelope.len() > MAX_ENVELOPE {
        let (what, size, limit) = ("envelope", envelope.len(), MAX_ENVELOPE);
        return Err(FreshnessRefused::Envelope(Refused::TooLarge { what, size, limit }));
    }
    let envelope = Envelope::parse(envelope, &[Payload::Freshness]).map_err(FreshnessRefused::Envelope)?;
    let role = trust.role(Role::Freshness).ok_or(FreshnessRefused::NoRole)?;
    let (found, threshold) = (envelope.signers(&role.keys).len(), role.threshold);
    if found < threshold {
        return Err(FreshnessRefused::Threshold { found, threshold });
    }
    let read: Result<Freshness, _> = serde_json::from_slice(&envelope.payload).map_err(StatementError::Shape);
    let statement = read.and_then(|read| read.check().map(|()| read)).map_err(FreshnessRefused::Statement)?;
    if (statement.org.as_str(), statement.database.as_str()) != (trust.org(), database) {
        let found = format!("{}/{}", statement.org, statement.database);
        return Err(FreshnessRefused::Target { found, expected: format!("{}/{database}", trust.org()) });
    }
    let head = head.ok_or(FreshnessRefused::NothingHeld)?;
    let now = now_unix.max(head.time_floor);
    let (issued_at, expires_at) = (statement.issued_at, statement.expires_at);
    if issued_at > now.saturating_add(CLOCK_SKEW) || now >= expires_at {
        return Err(FreshnessRefused::Window { issued_at, expires_at, now });
    }
    let named = (statement.epoch, statement.serial);
    let current = named == (head.epoch, head.serial);
    if named < (head.epoch, head.serial) {
        return Err(FreshnessRefused::Behind { epoch: named.0, serial: named.1 });
    }
    if current && statement.statement_sha256 != head.statement_sha256 {
        let found = statement.statement_sha256;
        return Err(FreshnessRefused::Fork { found, held: head.statement_sha256.clone() });
    }
    Ok(VerifiedFreshness { statement, current })
}
