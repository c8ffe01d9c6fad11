//! The right to ask for one organization's rows.

use crate::Basis;

/// Held by whoever a token was verified for; the only key to tenant rows. It has no public constructor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantScope {
    pub(crate) org_id: String,
    pub(crate) slug: String,
    pub(crate) actor: String,
    pub(crate) basis: Basis,
}

impl TenantScope {
    /// Of whoever is vouched for by what they present; a session says [`TenantScope::on`] what it acts.
    pub(crate) fn of(org_id: String, slug: String, actor: String) -> Self {
        Self { org_id, slug, actor, basis: Basis::Token }
    }

    /// The same, on another basis.
    pub(crate) fn on(self, basis: Basis) -> Self {
        Self { basis, ..self }
    }

    /// On what basis they act.
    pub fn basis(&self) -> Basis {
        self.basis
    }

    /// The organization's slug, the `org` of bundles and certificates.
    pub fn org(&self) -> &str {
        &self.slug
    }

    /// Who acts, as the audit records it, e.g. `user:ana@example.com`.
    pub fn actor(&self) -> &str {
        &self.actor
    }
}
