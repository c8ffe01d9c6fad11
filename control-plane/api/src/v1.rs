//! Requests and answers of `/v1`.
//!
//! | method and path | request | answer | who |
//! |---|---|---|---|
//! | POST `/v1/bootstrap` | [`Bootstrap`] | [`Bootstrapped`] | bearer: the bootstrap token, once |
//! | GET `/v1/whoami` | | [`WhoAmI`] | any token |
//! | POST `/v1/tokens` | [`NewToken`] | [`TokenCreated`] | user; admin for others |
//! | GET `/v1/tokens` | | [`Token`] list | user; admins and auditors see everyone's |
//! | DELETE `/v1/tokens/{id}` | | | owner or admin |
//! | PUT `/v1/users/{email}` | [`PutUser`] | [`UserStored`] | admin |
//! | GET `/v1/users` | | [`User`] list | admin, auditor |
//! | POST `/v1/invites` | [`NewInvite`] | [`LinkCreated`] | admin |
//! | GET `/v1/invites` | | [`Invite`] list | admin, auditor |
//! | DELETE `/v1/invites/{id}` | | | admin |
//! | POST `/v1/scim-tokens` | [`NewScimToken`] | [`ScimTokenCreated`] | admin |
//! | GET `/v1/scim-tokens` | | [`ScimToken`] list | admin, auditor |
//! | DELETE `/v1/scim-tokens/{id}` | | | admin |
//! | POST `/v1/console-link` | | [`LinkCreated`] | user |
//! | POST `/v1/enrolment-tokens` | [`NewEnrolment`] | [`TokenCreated`] | admin |
//! | POST `/v1/enrol` | [`Enrol`] | [`Enrolled`] | bearer: the enrolment token, once |
//! | POST `/v1/certificates` | [`CertificateRequest`] | [`CertificateIssued`] | user |
//! | POST `/v1/agent/certificate` | [`AgentCertificateRequest`] | [`CertificateIssued`] | agent link token |
//! | PUT/GET `/v1/trust` | trust file JSON | the same | admin / any |
//! | GET `/v1/trust/{version}` | | that version of it | any token |
//! | GET `/v1/freshness-key` | | [`FreshnessKey`] | admin, auditor |
//! | PUT `/v1/databases/{db}/bundle?expect_head=N` | bundle bytes | [`BundleAccepted`] | admin |
//! | GET `/v1/databases/{db}/bundle` | | bundle bytes | user or agent |
//! | GET `/v1/databases/{db}/schema` | | snapshot JSON | admin, auditor |
//! | GET `/v1/databases` | | [`Database`] list | user |
//! | POST `/v1/databases/{db}/connect` | | [`ConnectOffer`] | user |
//! | GET `/v1/databases/{db}/requestable` | | [`Requestable`] list | user |
//! | POST `/v1/requests` | [`NewAccessRequest`] | [`AccessRequest`] | user |
//! | GET `/v1/requests?show=mine\|waiting\|all&before=&limit=` | | [`AccessRequest`] list | user; `all` for admin, auditor, approver |
//! | GET `/v1/requests/{id}` | | [`AccessRequest`] | who asked, who decides, admin, auditor, approver |
//! | POST `/v1/requests/{id}/approve`, `…/deny` | [`AccessWord`] | [`AccessRequest`] | who decides |
//! | POST `/v1/requests/{id}/end` | [`AccessWord`] | [`AccessRequest`] | who asked, who decides, admin |
//! | POST `/v1/requests/{id}/extend` | [`AccessExtension`] | [`AccessRequest`] | who asked |
//! | POST `/v1/webhooks` | [`NewWebhook`] | [`WebhookCreated`] | admin |
//! | GET `/v1/webhooks` | | [`Webhook`] list | admin, auditor |
//! | DELETE `/v1/webhooks/{id}` | | | admin |
//! | GET `/v1/audit?text=&action=&since=&until=&before=&limit=` | | [`AuditEntry`] list | admin, auditor |
//! | GET `/v1/audit/export?format=csv\|jsonl` | | the same as a file | admin, auditor |
//! | GET `/v1/audit/log` | | the whole log as evidence, JSON lines | admin, auditor |
//! | GET/POST `/v1/audit/checkpoints` | | signed checkpoints / the latest, made now | admin, auditor |
//! | GET `/v1/audit/key` | | [`AuditKey`] | admin, auditor |
//! | GET/PUT `/v1/audit/retention` | [`AuditRetention`] | the same | admin, auditor / admin |
//! | GET `/v1/connections?user=&database=&agent=&reason=&state=&since=&until=` | | [`Connection`] list | admin, auditor |
//! | GET `/v1/connections/export?format=csv\|jsonl` | | the same as a file | admin, auditor |
//! | GET `/v1/agents` | | [`Agent`] list | admin, auditor |
//! | DELETE `/v1/agents/{id}` | | | admin |
//! | GET `/v1/agent/link` | WebSocket | [`crate::link`] | agent link token |
//! | GET `/v1/relays` | | [`Relay`] list | admin, auditor |
//! | DELETE `/v1/relays/{id}` | | | admin |
//! | PUT `/v1/relay/address` | [`RelayAddress`] | | relay link token |
//! | GET `/v1/ca` | | the CA, PEM | any token |
//! | GET `/healthz` | | | anyone |

mod audit;
mod audit_export;
mod authority;
mod connections;
mod requests;
mod scim;
mod sign_in;
mod workload;

pub use audit::{AuditEntry, AuditKey, AuditRetention};
pub use audit_export::{AuditExport, NewAuditExport};
pub use authority::{AuthorityAgent, AuthorityList, AuthorityStanding, ListedAuthority, RetireAuthority};
pub use connections::Connection;
pub use requests::{
    AccessEvent, AccessExtension, AccessRequest, AccessWord, AgentReport, Needed, NewAccessRequest,
    NewWebhook, NotAsked, PendingExtension, Requestable, Webhook, WebhookCreated,
};
pub use scim::{NewScimToken, ScimToken, ScimTokenCreated};
pub use sign_in::{
    DeviceSignIn, FetchSignIn, IdentityLink, NewDeviceSignIn, NewProvider, NewSamlProvider, Provider,
    ProviderKey, ProviderKind, ProviderRules, SignInPolicy, SignedIn,
};
pub use workload::{NewWorkload, TokenExchanged, Workload};

use crate::link::{Authority, RelayOffer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The public key the control plane signs freshness with, to be listed in the trust file.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreshnessKey {
    /// Base64 of its SPKI form.
    pub public: String,
    /// Its id in trust files.
    pub keyid: String,
}

/// Creates the first organization and its first admin.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// Display name.
    pub organization: String,
    /// The first admin's e-mail.
    pub admin_email: String,
}

/// The answer to [`Bootstrap`].
#[derive(Clone, JsonSchema, Serialize, Deserialize)]
pub struct Bootstrapped {
    /// Server-made slug, e.g. `brave-otter`; also the `org` of bundles and certificates.
    pub org: String,
    /// The admin's id.
    pub user_id: String,
    /// An API token, shown once.
    pub token: String,
    /// Address that signs the admin in to the console, once.
    #[serde(default)]
    pub sign_in_link: String,
}

/// Who the token speaks for.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct WhoAmI {
    /// Organization slug.
    pub org: String,
    /// User id.
    pub user_id: String,
    /// E-mail.
    pub email: String,
    /// `admin`, `member`, `approver` or `auditor`.
    pub role: String,
    /// The databases the token is limited to, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub databases: Option<BTreeSet<String>>,
}

/// A new API token.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    pub name: String,
    /// For whom; absent = the caller. Only admins may name others.
    pub email: Option<String>,
    /// Seconds until it expires; absent = 30 days.
    pub expires_in: Option<u64>,
}

/// A secret shown once.
#[derive(Clone, JsonSchema, Serialize, Deserialize)]
pub struct TokenCreated {
    /// Id for listing and revoking.
    pub id: String,
    /// The secret.
    pub token: String,
    /// RFC 3339.
    pub expires_at: String,
}

/// A token as listed, without its secret.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct Token {
    /// Id, for deleting it.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// For whom it speaks.
    pub email: String,
    /// RFC 3339.
    pub expires_at: String,
}

/// Creates or replaces a user of the directory.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutUser {
    /// `admin`, `member`, `approver` or `auditor`; absent keeps the present role (`member` for a new user).
    pub role: Option<String>,
    /// Groups.
    pub groups: BTreeSet<String>,
    /// Attributes: JSON strings, integers, booleans; each name once.
    #[serde(deserialize_with = "crate::once::map")]
    pub attributes: BTreeMap<String, serde_json::Value>,
    /// A disabled user loses every session.
    #[serde(default)]
    pub disabled: bool,
}

/// The answer to [`PutUser`].
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct UserStored {
    /// The user's id.
    pub id: String,
    /// The directory version that contains this change.
    pub directory_version: u64,
}

/// A user as listed.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct User {
    /// Id.
    pub id: String,
    /// E-mail.
    pub email: String,
    /// `admin`, `member`, `approver` or `auditor`.
    pub role: String,
    /// Groups.
    pub groups: BTreeSet<String>,
    /// Attributes.
    pub attributes: BTreeMap<String, serde_json::Value>,
    /// Disabled.
    pub disabled: bool,
}

/// Invites somebody to the organization.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewInvite {
    /// Whom.
    pub email: String,
    /// The role of somebody new; absent = `member`. Not for somebody who is in the directory already.
    pub role: Option<String>,
    /// The groups of somebody new. Not for somebody who is in the directory already.
    pub groups: Option<BTreeSet<String>>,
    /// For somebody who has joined and lost every way in: whoever takes it up is this member from then on, and nobody
    /// else. What opened the membership before does so no more.
    #[serde(default)]
    pub recover: bool,
    /// Seconds until it expires; absent = 7 days.
    pub expires_in: Option<u64>,
}

/// An address that signs in to the console, once.
#[derive(Clone, JsonSchema, Serialize, Deserialize)]
pub struct LinkCreated {
    /// Id for withdrawing an invite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The address, to be given to nobody else.
    pub link: String,
    /// RFC 3339.
    pub expires_at: String,
}

/// An invite that can still be used.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct Invite {
    /// Id, for withdrawing it.
    pub id: String,
    /// Whom.
    pub email: String,
    /// As what.
    pub role: String,
    /// By whom, as the audit names them.
    pub created_by: String,
    /// RFC 3339.
    pub expires_at: String,
}

/// A one-time token that admits an agent or a relay.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewEnrolment {
    /// `agent` or `relay`.
    pub kind: String,
    /// The database an agent will serve.
    pub database: Option<String>,
    /// Seconds until it expires; absent = 1 hour.
    pub expires_in: Option<u64>,
}

/// What an agent or relay sends with its enrolment token.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    /// A name for people.
    pub name: String,
    /// PKCS#10 request for the key it made; agents only.
    pub csr_pem: Option<String>,
}

/// The answer to [`Enrol`].
#[derive(Clone, JsonSchema, Serialize, Deserialize)]
pub struct Enrolled {
    /// Agent or relay id.
    pub id: String,
    /// Organization slug.
    pub org: String,
    /// Certificate chain, PEM; agents only.
    pub certificate_pem: Option<String>,
    /// The organization's CA, PEM.
    pub ca_pem: String,
    /// Bearer token for the link.
    pub link_token: String,
    /// Base64 Ed25519 public key that tickets are verified with; relays only.
    pub ticket_key: Option<String>,
    /// Every CA there was, the earliest first, once there was more than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<Authority>,
}

/// Asks for a client certificate for a key made on the device.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateRequest {
    /// PKCS#10 request.
    pub csr_pem: String,
    /// The device's id, made by the CLI.
    pub device: String,
}

/// The answer to [`CertificateRequest`].
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct CertificateIssued {
    /// Certificate, PEM.
    pub certificate_pem: String,
    /// The organization's CA, PEM; both while one takes the place of another.
    pub ca_pem: String,
    /// RFC 3339; at most 12 hours ahead.
    pub not_after: String,
    /// Every CA there was, the earliest first, once there was more than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<Authority>,
}

/// Asks for a new certificate for an enrolled agent, before the present one ends.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentCertificateRequest {
    /// PKCS#10 request.
    pub csr_pem: String,
}

/// The answer to a bundle upload.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct BundleAccepted {
    /// Its serial, now the head.
    pub serial: u64,
    /// SHA-256 of the statement, hex.
    pub statement_sha256: String,
}

/// A database the caller can see.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// Agents connected now.
    pub agents_online: u32,
    /// Serial of the published bundle, 0 if none.
    pub bundle_serial: u64,
}

/// How to reach an agent of a database.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct ConnectOffer {
    /// Organization slug.
    pub org: String,
    /// The agent's id (its certificate must say so).
    pub agent_id: String,
    /// The database.
    pub database: String,
    /// Direct addresses, `host:port`.
    pub direct: Vec<String>,
    /// Relays with tickets for this agent.
    pub relays: Vec<RelayOffer>,
    /// Every CA there was, the earliest first, once there was more than one: the agent's certificate may be of a new one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<Authority>,
}

/// An agent as listed.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct Agent {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Database.
    pub database: String,
    /// Connected now.
    pub online: bool,
    /// Serial it enforces.
    pub bundle_serial: u64,
    /// Why it refused the latest offer, if it did.
    pub bundle_refused: Option<String>,
    /// Directory version it enforces.
    pub directory_version: u64,
    /// Scope violations in the last 7 days.
    pub scope_violations: u64,
}

/// A record of an agent's audit.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct AgentAuditRecord {
    /// Which chain of the agent.
    pub chain: String,
    /// Its place in the chain.
    pub seq: u64,
    /// The record itself, without its detail.
    pub line: String,
    /// The statement, as far as the agent tells.
    pub statement: Option<String>,
    /// Why something was refused or ended, as far as the agent tells.
    pub reason: Option<String>,
    /// Whether records before it never came.
    pub after_gap: bool,
    /// The agent's signature, where it gave one: it is of this record and all before it in the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// A relay as listed.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct Relay {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Where it listens, once it has said so.
    pub address: Option<String>,
    /// Whether it said so lately; only then is anybody sent to it.
    pub online: bool,
}

/// Where a relay can be reached.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayAddress {
    /// `host:port` of its UDP socket.
    pub address: String,
}

/// RFC 9457 problem document; every error answer is one.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct Problem {
    /// Stable code, e.g. `bundle.serial-behind`.
    pub code: String,
    /// What was refused and why.
    pub title: String,
    /// What would be allowed.
    pub detail: Option<String>,
    /// HTTP status.
    pub status: u16,
}
