//! Every reason a bundle is not accepted, and what would be.

use crate::content::ContentError;
use crate::head::Minimum;
use crate::statement::StatementError;

/// The kinds of refusal, as exit codes and alarms tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalKind {
    /// Not signed, or not by enough trusted keys.
    Signature,
    /// Older than what is already held, or in contradiction to it.
    Rollback,
    /// Outside its time window.
    Expired,
    /// Not a bundle, or a damaged one.
    Malformed,
    /// Authentic but meant for another organization, database or version of the agent.
    WrongTarget,
}

/// Why a bundle was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A part exceeds its limit.
    #[error("the {what} has {size} bytes; at most {limit} are accepted")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// No magic.
    #[error("the file is not a bundle; what `daam policy build` writes is accepted")]
    NotABundle,
    /// The file ends early.
    #[error("the bundle is cut off; fetch it again")]
    Truncated,
    /// The envelope is not DSSE.
    #[error("the bundle's envelope is not readable")]
    Envelope(#[source] serde_json::Error),
    /// Base64 that is not.
    #[error("the {0} is not padded base64")]
    Base64(&'static str),
    /// Signed for another purpose.
    #[error("the envelope holds a `{found}`; only `{expected}` is accepted")]
    PayloadType {
        /// The type as written.
        found: String,
        /// The one accepted.
        expected: &'static str,
    },
    /// More signatures than anyone needs.
    #[error("the bundle carries {0} signatures; at most {limit} are accepted", limit = crate::dsse::MAX_SIGNATURES)]
    TooManySignatures(usize),
    /// Nobody signed.
    #[error("the bundle is not signed; {threshold} signature(s) by trusted keys are needed")]
    NotSigned {
        /// How many are needed.
        threshold: usize,
    },
    /// Too few trusted keys signed.
    #[error("{found} trusted key(s) signed the bundle; {threshold} of {trusted} are needed")]
    Threshold {
        /// Distinct trusted keys whose signature verifies.
        found: usize,
        /// How many are needed.
        threshold: usize,
        /// How many keys are trusted.
        trusted: usize,
    },
    /// The signed statement is not one.
    #[error("the signed statement is not acceptable")]
    Statement(#[source] StatementError),
    /// Another organization's.
    #[error("the bundle is for the organization `{found}`; only `{expected}` is accepted here")]
    Organization {
        /// The bundle's.
        found: String,
        /// Ours.
        expected: String,
    },
    /// Another database's.
    #[error("the bundle is for the database `{found}`; only `{expected}` is accepted here")]
    Database {
        /// The bundle's.
        found: String,
        /// Ours.
        expected: String,
    },
    /// Made under a trust file we do not have yet.
    #[error("the bundle needs trust file version {found}; version {held} is installed, update it first")]
    TrustVersion {
        /// The bundle's.
        found: u64,
        /// Ours.
        held: u64,
    },
    /// The trust file is an earlier one than was seen already.
    #[error("trust file version {held} is installed, but version {seen} was seen already; fetch it again")]
    TrustBehind {
        /// Ours.
        held: u64,
        /// The highest seen.
        seen: u64,
    },
    /// The trust file has expired; what is held stays in force.
    #[error("trust file version {version} has expired; nothing new is accepted until a later one arrives")]
    TrustExpired {
        /// The version.
        version: u64,
    },
    /// Signed for an emergency, and nobody may.
    #[error("the bundle is signed for an emergency, but the trust file has no `emergency` role")]
    NoEmergencyRole,
    /// An emergency bundle that gives something.
    #[error(
        "emergency keys may only narrow access, and this bundle may widen it: {0}; sign it with policy keys"
    )]
    EmergencyWidens(String),
    /// Built from uncommitted files, for a protected database.
    #[error(
        "the bundle was built from uncommitted files, and `{0}` is protected; commit, build and sign again"
    )]
    Dirty(String),
    /// Earlier than what an agent that holds nothing may start with.
    #[error(
        "the bundle has epoch {} and serial {}; without anything held, epoch {} and serial {} are the lowest accepted",
        found.epoch, found.serial, minimum.epoch, minimum.serial
    )]
    BelowMinimum {
        /// The bundle's.
        found: Minimum,
        /// The lowest accepted.
        minimum: Minimum,
    },
    /// A feature we do not have.
    #[error("the bundle requires `{0}`, which this version does not support; upgrade the agent first")]
    Requires(String),
    /// We are too old.
    #[error("the bundle requires agent {needed} or later; this is {running}")]
    MinimumAgent {
        /// The bundle's.
        needed: String,
        /// Ours.
        running: &'static str,
    },
    /// Another epoch than the trust file's, or one older than already held.
    #[error("the bundle has epoch {found}; only epoch {expected} is accepted")]
    Epoch {
        /// The bundle's.
        found: u64,
        /// The one accepted.
        expected: u64,
    },
    /// Older than what is held.
    #[error(
        "the bundle has serial {found}, but serial {held} is already held; a rollback is published under a higher serial"
    )]
    Serial {
        /// The bundle's.
        found: u64,
        /// The highest seen.
        held: u64,
    },
    /// Two statements under one serial.
    #[error(
        "fork: another bundle with serial {serial} is already held (`{held}`, this one is `{found}`); two were signed under one serial, the one held stays in force"
    )]
    Fork {
        /// The serial of both.
        serial: u64,
        /// The digest of the statement held.
        held: String,
        /// The digest of the statement refused.
        found: String,
    },
    /// A serial so high that no later one could follow for long.
    #[error("the bundle has serial {found}, too far above {held}; at most {limit} above is accepted")]
    SerialJump {
        /// The bundle's.
        found: u64,
        /// The highest seen.
        held: u64,
        /// The largest step.
        limit: u64,
    },
    /// Not what was accepted earlier.
    #[error("the stored bundle is not the one that was accepted (`{held}`, found `{found}`); fetch it again")]
    NotTheHead {
        /// The digest accepted.
        held: String,
        /// The digest found.
        found: String,
    },
    /// Before its window.
    #[error("the bundle is not valid before {not_before} (seconds since 1970); it is {now}")]
    NotYetValid {
        /// The start of the window.
        not_before: i64,
        /// The time judged by.
        now: i64,
    },
    /// After its window.
    #[error("the bundle expired at {expires_at} (seconds since 1970); it is {now}; build and sign a new one")]
    Expired {
        /// The end of the window.
        expires_at: i64,
        /// The time judged by, never before one already proven.
        now: i64,
    },
    /// Content of another size or digest than the statement names.
    #[error("the content is not the one that was signed")]
    ContentDigest,
    /// Authentic content that is not policies.
    #[error("the signed content is not acceptable")]
    Content(#[source] ContentError),
    /// Authentic content for another database than the statement says.
    #[error("the statement is for `{statement}` but the content for `{content}`")]
    ContentDatabase {
        /// The statement's database.
        statement: String,
        /// The content's.
        content: String,
    },
}

impl Refused {
    /// Which kind it is.
    pub fn kind(&self) -> RefusalKind {
        match self {
            Self::TooLarge { .. }
            | Self::NotABundle
            | Self::Truncated
            | Self::Envelope(_)
            | Self::Base64(_)
            | Self::PayloadType { .. }
            | Self::TooManySignatures(_)
            | Self::Statement(_)
            | Self::ContentDigest
            | Self::Content(_)
            | Self::ContentDatabase { .. } => RefusalKind::Malformed,
            Self::NotSigned { .. }
            | Self::Threshold { .. }
            | Self::NoEmergencyRole
            | Self::EmergencyWidens(_)
            | Self::Dirty(_) => RefusalKind::Signature,
            Self::Organization { .. }
            | Self::Database { .. }
            | Self::TrustVersion { .. }
            | Self::Requires(_)
            | Self::MinimumAgent { .. } => RefusalKind::WrongTarget,
            Self::Epoch { .. }
            | Self::Serial { .. }
            | Self::Fork { .. }
            | Self::SerialJump { .. }
            | Self::BelowMinimum { .. }
            | Self::TrustBehind { .. }
            | Self::NotTheHead { .. } => RefusalKind::Rollback,
            Self::NotYetValid { .. } | Self::Expired { .. } | Self::TrustExpired { .. } => {
                RefusalKind::Expired
            }
        }
    }

    /// A stable word for it, in logs, alarms and the published test vectors.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::NotABundle => "not-a-bundle",
            Self::Truncated => "truncated",
            Self::Envelope(_) => "envelope",
            Self::Base64(_) => "base64",
            Self::PayloadType { .. } => "payload-type",
            Self::TooManySignatures(_) => "too-many-signatures",
            Self::NotSigned { .. } => "not-signed",
            Self::Threshold { .. } => "threshold",
            Self::Statement(_) => "statement",
            Self::Organization { .. } => "organization",
            Self::Database { .. } => "database",
            Self::TrustVersion { .. } => "trust-version",
            Self::TrustBehind { .. } => "trust-behind",
            Self::TrustExpired { .. } => "trust-expired",
            Self::NoEmergencyRole => "no-emergency-role",
            Self::EmergencyWidens(_) => "emergency-widens",
            Self::Dirty(_) => "dirty",
            Self::BelowMinimum { .. } => "below-minimum",
            Self::Requires(_) => "requires",
            Self::MinimumAgent { .. } => "minimum-agent",
            Self::Epoch { .. } => "epoch",
            Self::Serial { .. } => "serial",
            Self::Fork { .. } => "fork",
            Self::SerialJump { .. } => "serial-jump",
            Self::NotTheHead { .. } => "not-the-head",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::Expired { .. } => "expired",
            Self::ContentDigest => "content-digest",
            Self::Content(_) => "content",
            Self::ContentDatabase { .. } => "content-database",
        }
    }
}

impl RefusalKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Rollback => "rollback",
            Self::Expired => "expired",
            Self::Malformed => "malformed",
            Self::WrongTarget => "wrong-target",
        }
    }
}
