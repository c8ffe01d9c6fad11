//! An organization's CA, ticket key, freshness key and audit key: made once, sealed in the store, opened only to sign.

use crate::app::App;
use crate::problem::Refusal;
use crate::vault::{Vault, VaultError};
use daam_bundle::SigningKey;
use daam_identity::ticket::{TicketError, TicketSigner};
use daam_identity::{AuthorityError, CertificateAuthority};
use daam_store::{OrgKey, StoreError, StoredAuthority, TenantScope};

/// New keys, ready to be stored.
#[derive(Debug)]
pub(crate) struct SealedKeys {
    pub(crate) ca_cert: String,
    pub(crate) ca_sealed: String,
    pub(crate) ticket_public: String,
    pub(crate) ticket_sealed: String,
}

/// Why a key is not there.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The CA.
    #[error("the certificate authority failed")]
    Authority(#[from] AuthorityError),
    /// The ticket key.
    #[error("the ticket key failed")]
    Ticket(#[from] TicketError),
    /// A signing key.
    #[error("a signing key failed")]
    Signing(#[from] daam_bundle::KeyError),
    /// Sealing.
    #[error("a key could not be sealed or opened")]
    Vault(#[from] VaultError),
    /// The store.
    #[error("a key could not be read from the store")]
    Store(#[from] StoreError),
    /// What was signed before.
    #[error(
        "could not read what was signed of this organization's audit before (`audit-signed` in the data directory)"
    )]
    Signed(#[source] std::io::Error),
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        Self::internal("use a key of the organization", &error)
    }
}

pub(crate) fn generate(vault: &Vault, org: &str, now: i64) -> Result<SealedKeys, KeyError> {
    let ca = CertificateAuthority::generate(org, now)?;
    let ticket = TicketSigner::generate()?;
    Ok(SealedKeys {
        ca_cert: ca.cert_pem().to_owned(),
        ca_sealed: vault.seal(&authority_place(org, 1), &ca.key_pem())?,
        ticket_public: ticket.public_base64(),
        ticket_sealed: vault.seal(&ticket_place(org), &ticket.to_pem()?)?,
    })
}

/// The authority that certificates come from now, and its number.
pub(crate) fn issuer(
    app: &App,
    scope: &TenantScope,
    all: &[StoredAuthority],
) -> Result<(i64, CertificateAuthority), KeyError> {
    let issues = issuing(all).ok_or(StoreError::Decode("certificate authority"))?;
    Ok((issues.number, authority(app, scope, issues)?))
}

/// The latest that issues.
pub(crate) fn issuing(all: &[StoredAuthority]) -> Option<&StoredAuthority> {
    all.iter().rev().find(|authority| authority.in_force() && authority.issues_since.is_some())
}

/// One of the authorities, opened.
pub(crate) fn authority(
    app: &App,
    scope: &TenantScope,
    stored: &StoredAuthority,
) -> Result<CertificateAuthority, KeyError> {
    let sealed = stored.sealed.as_deref().ok_or(StoreError::Decode("certificate authority"))?;
    let opened = app.vault().open(&authority_place(scope.org(), stored.number), sealed)?;
    Ok(CertificateAuthority::from_pem(&stored.certificate, &opened)?)
}

/// A new authority's key, sealed.
pub(crate) fn seal_authority(
    app: &App,
    scope: &TenantScope,
    (number, ca): (i64, &CertificateAuthority),
) -> Result<String, KeyError> {
    Ok(app.vault().seal(&authority_place(scope.org(), number), &ca.key_pem())?)
}

pub(crate) async fn ticket_signer(app: &App, scope: &TenantScope) -> Result<TicketSigner, KeyError> {
    let key = app.db().ticket_key(scope).await?;
    let opened = app.vault().open(&ticket_place(scope.org()), &key.sealed)?;
    Ok(TicketSigner::from_pem(&opened)?)
}

/// The online key that says which bundle is the latest; made when it is first asked for.
pub(crate) async fn freshness(app: &App, scope: &TenantScope) -> Result<SigningKey, KeyError> {
    let place = format!("{}/freshness", scope.org());
    if app.db().freshness_key(scope).await?.is_none() {
        let key = SigningKey::generate()?;
        let sealed = app.vault().seal(&place, &key.to_pem()?)?;
        app.db()
            .add_freshness_key(scope, &OrgKey { public: key.public().to_base64(), sealed }, app.now())
            .await?;
    }
    let stored = app.db().freshness_key(scope).await?.ok_or(StoreError::Decode("freshness key"))?;
    Ok(SigningKey::from_pem(&app.vault().open(&place, &stored.sealed)?)?)
}

/// The key that signs checkpoints of the audit; made when it is first needed.
pub(crate) async fn audit(app: &App, scope: &TenantScope) -> Result<SigningKey, KeyError> {
    let place = format!("{}/audit", scope.org());
    if app.db().audit_key(scope).await?.is_none() {
        let key = SigningKey::generate()?;
        let sealed = app.vault().seal(&place, &key.to_pem()?)?;
        app.db()
            .add_audit_key(scope, &OrgKey { public: key.public().to_base64(), sealed }, app.now())
            .await?;
    }
    let stored = app.db().audit_key(scope).await?.ok_or(StoreError::Decode("audit key"))?;
    Ok(SigningKey::from_pem(&app.vault().open(&place, &stored.sealed)?)?)
}

fn ticket_place(org: &str) -> String {
    format!("{org}/ticket")
}

/// The first has the name it had when there was only one.
fn authority_place(org: &str, number: i64) -> String {
    if number == 1 { format!("{org}/ca") } else { format!("{org}/ca/{number}") }
}
