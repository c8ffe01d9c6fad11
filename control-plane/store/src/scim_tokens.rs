//! Tokens that identity providers provision with: made, shown once, deleted at once. They outlive whoever made them,
//! because provisioning may be what disables that person; but not the API token one was made with, and by such a one
//! no admin comes back.

use crate::audit::{Happened, append};
use crate::db::{Db, run, statements};
use crate::reach::Reach;
use crate::secret::{digest, same_digest};
use crate::{Basis, Secret, SecretKind, StoreError, TenantScope, UserAuth, lineage};
use uuid::Uuid;

statements! {
    AUTHENTICATE = "SELECT t.sha256, t.name, o.id, o.slug, t.by_person FROM scim_tokens t JOIN organizations o ON o.id = t.org_id \
                    WHERE t.sha256 = $1 AND t.expires_at > $2";
    INSERT = "INSERT INTO scim_tokens (id, org_id, name, sha256, created_by, created_at, expires_at, token_id, by_person) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    LIST = "SELECT id, name, expires_at FROM scim_tokens WHERE org_id = $1 AND expires_at > $2 ORDER BY name, id";
    DELETE = "DELETE FROM scim_tokens WHERE org_id = $1 AND id = $2";
}

/// An identity provider that provisions.
#[derive(Debug, Clone)]
pub struct ScimAuth {
    scope: TenantScope,
}

impl ScimAuth {
    /// The organization.
    pub fn scope(&self) -> &TenantScope {
        &self.scope
    }
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedScimToken {
    /// Its id.
    pub id: String,
    /// Who uses it.
    pub name: String,
    /// Unix seconds.
    pub expires_at: i64,
}

impl Db {
    pub(crate) async fn authenticate_scim(
        &self,
        secret: &str,
        now: i64,
    ) -> Result<Option<ScimAuth>, StoreError> {
        let wanted = digest(secret);
        let mut tx = self.read_tx(Reach::Arrival).await?;
        let row =
            run!(&mut tx, optional: (String, String, String, String, bool), AUTHENTICATE, &wanted, now)?;
        let Some((stored, name, org_id, slug, by_person)) = row else { return Ok(None) };
        let basis = if by_person { Basis::Person } else { Basis::Token };
        let scope = TenantScope::of(org_id, slug, format!("scim:{name}")).on(basis);
        Ok(same_digest(&stored, &wanted).then_some(ScimAuth { scope }))
    }

    /// Makes a token. One that is made with an API token ends with that; `None` if that has ended meanwhile.
    pub async fn create_scim_token(
        &self,
        by: &UserAuth,
        (name, expires_at): (&str, i64),
        now: i64,
    ) -> Result<Option<(String, Secret)>, StoreError> {
        let scope = by.scope();
        let id = Uuid::now_v7().to_string();
        let secret = Secret::generate(SecretKind::Scim)?;
        let mut tx = self.write_tx(scope).await?;
        append(&mut tx, scope, Happened { action: "scim.token.create", target: &id, detail: name }, now)
            .await?;
        let Some(origin) = lineage::of(&mut tx, by, by.email()).await? else { return Ok(None) };
        run!(&mut tx, execute INSERT, &id, &scope.org_id, name, secret.sha256(), scope.actor(), now, by.until(expires_at),
            origin.parent_id, scope.basis() == Basis::Person)?;
        tx.commit().await?;
        Ok(Some((id, secret)))
    }

    /// Tokens that have not expired.
    pub async fn scim_tokens(
        &self,
        scope: &TenantScope,
        now: i64,
    ) -> Result<Vec<ListedScimToken>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: (String, String, i64), LIST, &scope.org_id, now)?;
        Ok(rows.into_iter().map(|(id, name, expires_at)| ListedScimToken { id, name, expires_at }).collect())
    }

    /// Deletes a token; `false` if there is none.
    pub async fn delete_scim_token(&self, by: &UserAuth, id: &str, now: i64) -> Result<bool, StoreError> {
        let scope = by.scope();
        let mut tx = self.write_tx(scope).await?;
        if run!(&mut tx, execute DELETE, &scope.org_id, id)? == 0 {
            return Ok(false);
        }
        append(&mut tx, scope, Happened { action: "scim.token.delete", target: id, detail: "" }, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}
