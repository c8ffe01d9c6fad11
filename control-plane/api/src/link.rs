//! The agent link: one WebSocket per agent, JSON text messages, version [`VERSION`].
//!
//! There is no message by which the control plane can ask for scope, for out-of-scope objects, or for rows.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The protocol version both sides state first.
pub const VERSION: u32 = 1;

/// From the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum FromAgent {
    /// First message after connecting.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// The agent's own version.
        agent_version: String,
        /// Addresses where the tunnel listens, `host:port`.
        addresses: Vec<String>,
        /// Serial of the active bundle, 0 if none.
        bundle_serial: u64,
        /// Directory version held, 0 if none.
        directory_version: u64,
    },
    /// The in-scope catalogue, replacing any earlier report. The snapshot is the schema lock's JSON form.
    SchemaReport {
        /// `daam_catalog::snapshot` JSON.
        snapshot: serde_json::Value,
    },
    /// A grant or policy the agent refused because of scope. Exactly these four fields.
    ScopeViolation {
        /// The policy.
        policy_id: String,
        /// The rejected target's schema.
        schema: String,
        /// The rejected target's name.
        table: String,
        /// Which of the enforcement sites refused.
        site: String,
    },
    /// A developer's session started or ended.
    SessionEvent {
        /// The session's id.
        session_id: String,
        /// The user's id.
        user_id: String,
        /// `started` or `ended`.
        event: String,
        /// Why it ended.
        reason: Option<String>,
        /// Statements seen so far.
        statements: u64,
    },
    /// The outcome of a bundle offer.
    BundleStatus {
        /// The serial.
        serial: u64,
        /// `active`, `refused`, or `signer-revoked`: in force, but the trust file no longer vouches for it.
        state: String,
        /// Why it was refused, or is no longer vouched for.
        reason: Option<String>,
    },
    /// The version of the trust file now in force.
    TrustStatus {
        /// The version.
        version: u64,
        /// Why what was offered was not followed to its end.
        reason: Option<String>,
    },
    /// Audit records in the order of their chain. Only after [`ToAgent::AuditHeld`] on the same link.
    AuditBatch {
        /// The chain's name.
        chain: String,
        /// The records.
        records: Vec<AuditRecord>,
    },
    /// The directory version now enforced.
    DirectoryStatus {
        /// The version.
        version: u64,
    },
    /// Still here.
    Heartbeat {},
}

/// To the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToAgent {
    /// A bundle, as the exact bytes of its file.
    PolicyUpdate {
        /// The serial the control plane believes it has.
        serial: u64,
        /// The bundle file, standard base64.
        bundle: String,
    },
    /// Signed trust files in the order of their versions. The agent follows what root keys signed and nothing else.
    TrustUpdate {
        /// The envelopes.
        documents: Vec<String>,
    },
    /// Which bundle is the latest, signed, for at most an hour.
    Freshness {
        /// The envelope.
        envelope: String,
    },
    /// Please introspect and report again.
    SchemaRequest {},
    /// The whole directory at a version (small organizations; deltas come later).
    DirectoryUpdate {
        /// Monotone version.
        version: u64,
        /// Everyone who may connect.
        users: Vec<DirectoryUser>,
    },
    /// Certificates that must no longer be accepted.
    IdentityRevoked {
        /// Serial numbers, lower-case hex.
        serials: BTreeSet<String>,
    },
    /// Relays to register with, with tickets.
    RelayUpdate {
        /// The relays.
        relays: Vec<RelayOffer>,
    },
    /// How far the control plane holds the agent's audit: said first on every link, and after every batch.
    AuditHeld {
        /// The chain; empty if it holds none.
        chain: String,
        /// The last record it holds, 0 for none.
        through: u64,
        /// That record's hash; empty for none.
        hash: String,
    },
    /// End one session.
    SessionTerminate {
        /// The session's id.
        session_id: String,
        /// What the developer is told.
        reason: String,
    },
}

/// A person in the directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryUser {
    /// Stable id, as in the certificate.
    pub id: String,
    /// E-mail, lower case.
    pub email: String,
    /// Disabled users have no access at all.
    pub disabled: bool,
    /// Groups.
    pub groups: BTreeSet<String>,
    /// Attributes as JSON scalars, each name once; the agent types them by the bundle's declaration.
    #[serde(deserialize_with = "crate::once::map")]
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// One record of an agent's audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditRecord {
    /// The record's line without its detail.
    pub line: String,
    /// The statement, as far as it may be told.
    pub statement: Option<String>,
    /// Why something was refused or ended, as far as it may be told.
    pub reason: Option<String>,
}

/// A relay and the ticket that admits the holder.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayOffer {
    /// `host:port` of the relay's UDP socket.
    pub address: String,
    /// The ticket, opaque text.
    pub ticket: String,
}
