//! API tokens: made, shown once, deleted at once, and with a token the certificates it asked for.

use crate::audit::{Happened, append};
use crate::db::{Db, run, statements};
use crate::{Role, Secret, SecretKind, StoreError, UserAuth};
use uuid::Uuid;

statements! {
    USER = "SELECT id FROM users WHERE org_id = $1 AND email = $2 AND NOT disabled";
    INSERT = "INSERT INTO api_tokens (id, org_id, user_id, name, sha256, created_at, expires_at) \
              VALUES ($1, $2, $3, $4, $5, $6, $7)";
    LIST_ANY = "SELECT t.id, t.name, u.email, t.expires_at FROM api_tokens t JOIN users u ON u.id = t.user_id \
                WHERE t.org_id = $1 AND t.expires_at > $2 ORDER BY u.email, t.expires_at, t.id";
    LIST_OWN = "SELECT t.id, t.name, u.email, t.expires_at FROM api_tokens t JOIN users u ON u.id = t.user_id \
                WHERE t.org_id = $1 AND t.expires_at > $2 AND t.user_id = $3 ORDER BY u.email, t.expires_at, t.id";
    REVOKE = "UPDATE certificates SET revoked_at = $3 WHERE org_id = $1 AND token_id = $2 AND revoked_at IS NULL";
    DELETE_ANY = "DELETE FROM api_tokens WHERE org_id = $1 AND id = $2";
    DELETE_OWN = "DELETE FROM api_tokens WHERE org_id = $1 AND id = $2 AND user_id = $3";
}

/// A token's owner and life.
#[derive(Debug)]
pub struct TokenOwner<'a> {
    /// The user it speaks for.
    pub email: &'a str,
    /// What it is for.
    pub name: &'a str,
    /// Unix seconds.
    pub expires_at: i64,
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedToken {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// For whom it speaks.
    pub email: String,
    /// Unix seconds.
    pub expires_at: i64,
}

impl Db {
    /// The caller's tokens that have not expired, or everyone's if an admin or auditor asks.
    pub async fn tokens(&self, by: &UserAuth, now: i64) -> Result<Vec<ListedToken>, StoreError> {
        type Row = (String, String, String, i64);
        let org = &by.scope().org_id;
        let mut tx = self.read_tx().await?;
        let rows = if by.role().oversees() {
            run!(&mut tx, all: Row, LIST_ANY, org, now)?
        } else {
            run!(&mut tx, all: Row, LIST_OWN, org, now, by.user_id())?
        };
        let listed = |(id, name, email, expires_at)| ListedToken { id, name, email, expires_at };
        Ok(rows.into_iter().map(listed).collect())
    }

    /// Makes a token; `None` if there is no such enabled user. Whether the caller may is the caller's business.
    pub async fn create_token(
        &self,
        by: &UserAuth,
        new: &TokenOwner<'_>,
        now: i64,
    ) -> Result<Option<(String, Secret)>, StoreError> {
        let scope = by.scope();
        let mut tx = self.write_tx().await?;
        let Some((user_id,)) = run!(&mut tx, optional: (String,), USER, &scope.org_id, new.email)? else {
            return Ok(None);
        };
        let id = Uuid::now_v7().to_string();
        let secret = Secret::generate(SecretKind::Api)?;
        run!(&mut tx, execute INSERT, &id, &scope.org_id, &user_id, new.name, secret.sha256(), now, new.expires_at)?;
        let what = Happened { action: "token.create", target: &id, detail: new.email };
        append(&mut tx, scope, what, now).await?;
        tx.commit().await?;
        Ok(Some((id, secret)))
    }

    /// Deletes a token of the caller, or any of the organization if an admin asks. `false` if there is none to see.
    pub async fn delete_token(&self, by: &UserAuth, id: &str, now: i64) -> Result<bool, StoreError> {
        let scope = by.scope();
        let mut tx = self.write_tx().await?;
        // First of all, because it locks the organization: no certificate is recorded between the two changes.
        append(&mut tx, scope, Happened { action: "token.delete", target: id, detail: "" }, now).await?;
        let gone = match by.role() {
            Role::Admin => run!(&mut tx, execute DELETE_ANY, &scope.org_id, id)?,
            _ => run!(&mut tx, execute DELETE_OWN, &scope.org_id, id, by.user_id())?,
        };
        if gone == 0 {
            return Ok(false);
        }
        run!(&mut tx, execute REVOKE, &scope.org_id, id, now)?;
        tx.commit().await?;
        Ok(true)
    }
}
