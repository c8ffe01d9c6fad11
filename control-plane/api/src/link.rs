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
        /// What that is known by ([`crate::directory`]), none if none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        directory_digest: Option<String>,
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
    /// The sessions there are: after [`ToAgent::SessionsRequest`], and from then on every minute of this link, because events
    /// get lost. Whatever else the control plane takes to be open has ended. An agent that does not say this is believed by
    /// its events alone.
    OpenSessions {
        /// The sessions' ids.
        session_ids: Vec<String>,
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
        /// By the key the agent enrolled with, under the last of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// The directory version now enforced.
    DirectoryStatus {
        /// The version.
        version: u64,
    },
    /// What became of the access of the last [`ToAgent::AccessUpdate`]; sent again, whole, whenever it changes.
    AccessStatus {
        /// The list's version.
        version: u64,
        /// One entry for each grant of that list, none left out.
        grants: Vec<AccessState>,
    },
    /// What came does not go on from the directory held: the whole is wanted.
    DirectoryRequest {},
    /// The version of the certificate authorities now believed.
    CaStatus {
        /// The version.
        version: u64,
        /// Why what was offered was not followed.
        reason: Option<String>,
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
    /// Say which sessions there are, and go on saying it.
    SessionsRequest {},
    /// The whole directory at a version.
    DirectoryUpdate {
        /// Monotone version.
        version: u64,
        /// Everyone who may connect.
        users: Vec<DirectoryUser>,
    },
    /// What changed in a directory. An agent that does not hold what it changed from, or does not arrive at what it is to
    /// be known by, changes nothing and answers [`FromAgent::DirectoryRequest`].
    DirectoryDelta {
        /// The version that is changed.
        from: u64,
        /// The version it becomes.
        version: u64,
        /// Everyone who is new or different; nobody leaves a directory.
        users: Vec<DirectoryUser>,
        /// What the result is known by ([`crate::directory`]).
        digest: String,
    },
    /// The whole directory, in place of one the agent said it holds (`hello`) and that is out of this control plane's
    /// reach: nothing this control plane counted to. Its version is lower, and counts from here on.
    DirectoryReplaced {
        /// The version the agent holds.
        held: u64,
        /// Ours.
        version: u64,
        /// Everyone who may connect.
        users: Vec<DirectoryUser>,
    },
    /// All access that was asked for and approved, replacing the last list: what is not in it any more ends at once, so a
    /// message that was lost takes nothing with it. It may begin before its time comes; the agent keeps the times itself.
    /// Every entry is judged against the signed bundle, the directory and the scope, and again whenever one of them
    /// changes; the agent answers [`FromAgent::AccessStatus`]. An older version than the one held is ignored.
    AccessUpdate {
        /// Monotone version.
        version: u64,
        /// The access. Two entries of one id are both refused.
        grants: Vec<AccessGrant>,
    },
    /// The same, in place of a list the agent said it holds (`access_status`) and that is out of this control plane's
    /// reach: nothing this control plane counted to. Its version is lower, and counts from here on.
    AccessReplaced {
        /// The version the agent holds.
        held: u64,
        /// Ours.
        version: u64,
        /// The access.
        grants: Vec<AccessGrant>,
    },
    /// The organization's certificate authorities, once there was more than one. The agent believes what one that it
    /// believes handed over to, and nothing else; it answers [`FromAgent::CaStatus`].
    CaUpdate {
        /// Monotone version.
        version: u64,
        /// All there ever were, the earliest first.
        authorities: Vec<Authority>,
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

/// Access that a person asked for and others approved. It gives nothing by itself: the agent carries it out as far as the
/// signed bundle declares it requestable, and refuses it whole otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessGrant {
    /// The request's id, as audit records and notices name it: letters, digits, `-` and `_`, at most 64. Extending the
    /// access keeps the id and moves `ends_at`.
    pub id: String,
    /// Who asked; the id in the directory.
    pub user_id: String,
    /// For what.
    pub what: AccessAsked,
    /// When it begins (Unix seconds).
    pub starts_at: i64,
    /// When it ends (Unix seconds). From the beginning to the end it is at most the bundle's `max_duration`.
    pub ends_at: i64,
    /// Who approved, as ids in the directory: as many as the bundle says, of the groups it says, never who asked.
    pub approved_by: BTreeSet<String>,
    /// Why it was asked for. May be empty where the bundle requires none.
    pub reason: String,
}

/// What was asked for.
#[derive(schemars::JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum AccessAsked {
    /// A policy of the bundle that has `request:`.
    Policy {
        /// Its name.
        policy_id: String,
    },
    /// Tables, within a `kind: request-ceiling` of the bundle.
    AdHoc {
        /// The ceiling's name.
        ceiling_id: String,
        /// At least one, each relation once.
        relations: Vec<AskedRelation>,
    },
}

/// A relation that was asked for ad hoc.
#[derive(schemars::JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedRelation {
    /// Its schema, exactly as the schema report spells it.
    pub schema: String,
    /// Its name, exactly as the schema report spells it.
    pub name: String,
    /// `select`, `insert`, `update`, `delete`, `truncate`; at least one.
    pub verbs: BTreeSet<String>,
    /// Verbs narrowed to columns; a verb that is absent covers what the ceiling gives of it.
    #[serde(default, deserialize_with = "crate::once::map")]
    pub columns: BTreeMap<String, BTreeSet<String>>,
    /// Masks in the bundle's JSON form (`"redact"`, `{"partial":{"prefix":1,"suffix":2}}`) by column. One that shows more
    /// than the ceiling's mask is refused; columns without one have the ceiling's.
    #[serde(default, deserialize_with = "crate::once::map")]
    pub masks: BTreeMap<String, serde_json::Value>,
    /// Only rows for which all of these hold, besides what the ceiling's `rows` says.
    #[serde(default)]
    pub rows: Vec<AskedRows>,
}

/// A condition on rows. Not SQL: what nobody signed is never run.
#[derive(schemars::JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedRows {
    /// A column of a text, uuid, whole-number or boolean type that nothing masks.
    pub column: String,
    /// The column has one of these values; at least one.
    pub any_of: BTreeSet<String>,
}

/// What became of one grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessState {
    /// The grant's id.
    pub id: String,
    /// `waiting` (its time has not come, or the bundle is not known to be the latest), `active`, `ended` (its time is
    /// over) or `refused`.
    pub state: String,
    /// Why it was refused or waits, in words for people.
    pub reason: Option<String>,
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

/// A certificate authority of the organization.
#[derive(schemars::JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// The word of the one before it: a certificate of its key by that one's, PEM. None for the first.
    pub handover_pem: Option<String>,
    /// Whether certificates of it count.
    pub in_force: bool,
    /// Whether new certificates come from it.
    pub issues: bool,
}

/// A relay and the ticket that admits the holder.
#[derive(schemars::JsonSchema, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayOffer {
    /// `host:port` of the relay's UDP socket.
    pub address: String,
    /// The ticket, opaque text.
    pub ticket: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn update(grant: &serde_json::Value) -> Result<ToAgent, serde_json::Error> {
        let message = json!({"type": "access_update", "version": 1, "grants": [grant]});
        serde_json::from_str(&message.to_string())
    }

    #[test]
    fn access_reads_back_as_it_was_written_and_nothing_unknown_is_read() {
        let policy = json!({
            "id": "r1", "user_id": "u1", "what": {"kind": "policy", "policy_id": "incident"}, "starts_at": 1,
            "ends_at": 2, "approved_by": ["u2"], "reason": "r",
        });
        let ad_hoc = json!({
            "id": "r2", "user_id": "u1", "starts_at": 1, "ends_at": 2, "approved_by": [], "reason": "",
            "what": {"kind": "ad_hoc", "ceiling_id": "c", "relations": [{
                "schema": "public", "name": "orders", "verbs": ["select"], "columns": {"select": ["id"]},
                "masks": {"id": "null"}, "rows": [{"column": "id", "any_of": ["7"]}],
            }]},
        });
        for grant in [&policy, &ad_hoc] {
            let read = update(grant).unwrap();
            let again = serde_json::to_string(&read).unwrap();
            assert_eq!(serde_json::from_str::<ToAgent>(&again).unwrap(), read);
            let mut more = grant.clone();
            more["standing"] = json!(true);
            assert!(update(&more).is_err(), "{more}");
            let mut more = grant.clone();
            more["what"]["standing"] = json!(true);
            assert!(update(&more).is_err(), "{more}");
        }
        let twice = ad_hoc.to_string().replace(r#"{"id":"null"}"#, r#"{"id":"null","id":"hash"}"#);
        let message = format!(r#"{{"type":"access_update","version":1,"grants":[{twice}]}}"#);
        assert!(twice.contains("hash") && serde_json::from_str::<ToAgent>(&message).is_err());
    }
}
