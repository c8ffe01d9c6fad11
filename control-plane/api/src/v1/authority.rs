//! Certificate authorities, while one takes the place of another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The organization's certificate authorities.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct AuthorityList {
    /// The earliest first.
    pub authorities: Vec<ListedAuthority>,
    /// What still stands on the old one, while there are two.
    pub standing: Option<AuthorityStanding>,
    /// How far each agent is, while one takes the place of another; none otherwise.
    #[serde(default)]
    pub agents: Vec<AuthorityAgent>,
}

/// How far an agent is with a new authority.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct AuthorityAgent {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its database.
    pub database: String,
    /// Whether it is connected.
    pub online: bool,
    /// Whether it says that it believes what it was told last.
    pub believes: bool,
    /// Why it refused to.
    pub refused: Option<String>,
    /// Whether it has a certificate of the new one.
    pub renewed: bool,
    /// Whether the new one does not issue yet, or the old one is not retired, because of it. Before the new one issues that
    /// is whoever is here, or was a minute ago, and does not say that it believes it, and whoever refused to.
    #[serde(default)]
    pub holds_up: bool,
}

/// One of them.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct ListedAuthority {
    /// The first is 1.
    pub number: u64,
    /// SHA-256 of its certificate, hex.
    pub fingerprint: String,
    /// `offered` (agents learn of it), `issuing`, `overlapping` (its certificates count until it is retired) or `retired`.
    pub state: String,
    /// RFC 3339.
    pub created_at: String,
    /// Since when its certificate is valid, RFC 3339.
    #[serde(default)]
    pub not_before: String,
    /// Until when its certificate is valid, RFC 3339.
    #[serde(default)]
    pub not_after: String,
    /// Its certificate, PEM.
    pub certificate_pem: String,
}

/// What retiring the old authority by force would end; it goes by itself once there is nothing.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct AuthorityStanding {
    /// Agents that do not say that they believe the new one, and why if they refused to. They would refuse everybody with a
    /// certificate of the new one.
    pub agents_behind: Vec<String>,
    /// Agents without a certificate of the new one. Nobody would believe them until they have one.
    pub agents_on_it: Vec<String>,
    /// People's certificates. They would be revoked, and their sessions end.
    pub certificates: u64,
    /// When the last of these ends, RFC 3339.
    pub until: Option<String>,
}

/// Retires the old authority.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetireAuthority {
    /// Although something stands on it.
    #[serde(default)]
    pub force: bool,
}
