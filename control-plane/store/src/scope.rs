//! The right to ask for one organization's rows.

/// Held by whoever a token was verified for; the only key to tenant rows. It has no public constructor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantScope {
    pub(crate) org_id: String,
    pub(crate) slug: String,
    pub(crate) actor: String,
}

impl TenantScope {
    /// The organization's slug, the `org` of bundles and certificates.
    pub fn org(&self) -> &str {
        &self.slug
    }

    /// Who acts, as the audit records it, e.g. `user:ana@example.com`.
    pub fn actor(&self) -> &str {
        &self.actor
    }
}
