//! Identity providers, and sign-ins of programs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An OpenID Connect provider of the organization.
#[derive(Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewProvider {
    /// As the sign-in page names it.
    pub name: String,
    /// Its issuer, as its discovery document says it.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// Our client secret there; absent for a public client.
    pub client_secret: Option<String>,
    /// Whom it may bring in, and as what.
    #[serde(default)]
    pub rules: ProviderRules,
}

/// A SAML 2.0 identity provider of the organization.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSamlProvider {
    /// As the sign-in page names it.
    pub name: String,
    /// Its metadata, an XML document: the keys in it are the ones it is believed by.
    pub metadata: String,
    /// The attribute that holds the e-mail address; absent = one of the usual names.
    #[serde(default)]
    pub email_attribute: Option<String>,
    /// Whom it may bring in, and as what; `groups_claim` is the attribute that holds groups.
    #[serde(default)]
    pub rules: ProviderRules,
}

/// A key a provider is believed by.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct ProviderKey {
    /// SHA-256 of its certificate.
    pub sha256: String,
    /// Until when the certificate says it is good, RFC 3339.
    pub not_after: String,
}

/// What a provider speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// OpenID Connect.
    #[default]
    Oidc,
    /// SAML 2.0.
    Saml,
}

/// Whom a provider may bring in, and as what.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderRules {
    /// Whether somebody it vouches for becomes a member by signing in.
    pub provision: bool,
    /// Only addresses in these domains become members; empty = any.
    pub allowed_domains: BTreeSet<String>,
    /// Their role: `member`, `approver` or `auditor`.
    pub default_role: String,
    /// The claim or attribute that holds groups; absent = groups are not its business.
    pub groups_claim: Option<String>,
    /// Its groups and what they are called here. Groups named here are what the provider says at every sign-in.
    pub groups: BTreeMap<String, String>,
    /// Believe its e-mail addresses although it does not say that it verified them.
    pub trust_unverified_email: bool,
}

impl Default for ProviderRules {
    fn default() -> Self {
        Self {
            provision: false,
            allowed_domains: BTreeSet::new(),
            default_role: "member".to_owned(),
            groups_claim: None,
            groups: BTreeMap::new(),
            trust_unverified_email: false,
        }
    }
}

/// A provider as listed, without its secret.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct Provider {
    /// Id, for removing it.
    pub id: String,
    /// What it speaks.
    #[serde(default)]
    pub kind: ProviderKind,
    /// As the sign-in page names it.
    pub name: String,
    /// Its issuer, or its entity id.
    pub issuer: String,
    /// Our client id there, or our entity id, which is where our metadata is.
    pub client_id: String,
    /// Whom it may bring in, and as what.
    pub rules: ProviderRules,
    /// To be registered there: where it sends people back to.
    pub redirect_uri: String,
    /// To be registered there: where it says that somebody signed out.
    pub backchannel_logout_uri: String,
    /// SAML: the attribute that holds the e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_attribute: Option<String>,
    /// SAML: the keys it is believed by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<ProviderKey>,
}

/// A member's account at an identity provider.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct IdentityLink {
    /// The provider's id.
    pub provider_id: String,
    /// The provider's name.
    pub provider: String,
    /// Who they are there.
    pub subject: String,
    /// Who they are here.
    pub email: String,
    /// RFC 3339.
    pub created_at: String,
}

/// Whether people sign in by the organization's providers alone.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInPolicy {
    /// No invite, no passkey and no token opens the console, and what these began ends; the operator's recovery link still
    /// opens it.
    pub force_sso: bool,
}

/// A program asks for a sign-in by way of a browser.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDeviceSignIn {
    /// The machine, as the person will recognize it.
    pub device: String,
}

/// What the person does next.
#[derive(Clone, JsonSchema, Serialize, Deserialize)]
pub struct DeviceSignIn {
    /// The program's secret for fetching the outcome.
    pub device_code: String,
    /// What the person compares or types.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// Where, with the code filled in.
    pub verification_uri_complete: String,
    /// Seconds between two attempts to fetch.
    pub interval: u64,
    /// RFC 3339.
    pub expires_at: String,
}

/// Fetches a sign-in that was approved.
#[derive(Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchSignIn {
    /// The device code, or the code that came back to the program.
    pub code: String,
    /// The PKCE verifier; absent for a device code.
    pub verifier: Option<String>,
}

/// A sign-in of a program.
#[derive(Clone, JsonSchema, Serialize, Deserialize)]
pub struct SignedIn {
    /// An API token that ends with the sign-in.
    pub token: String,
    /// RFC 3339.
    pub expires_at: String,
}
