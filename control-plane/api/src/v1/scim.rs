//! Tokens for provisioning. SCIM's own words are SCIM's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A new token an identity provider provisions with.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewScimToken {
    /// Which provider uses it.
    pub name: String,
    /// Seconds until it expires; absent = 366 days.
    pub expires_in: Option<u64>,
}

/// The answer to [`NewScimToken`].
#[derive(Clone, JsonSchema, Serialize, Deserialize)]
pub struct ScimTokenCreated {
    /// Id for deleting it.
    pub id: String,
    /// The secret, shown once.
    pub token: String,
    /// What the provider is given as the base URL.
    pub base_url: String,
    /// RFC 3339.
    pub expires_at: String,
}

/// A token as listed.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct ScimToken {
    /// Id for deleting it.
    pub id: String,
    /// Which provider uses it.
    pub name: String,
    /// RFC 3339.
    pub expires_at: String,
}
