//! API tokens: made, shown once, deleted at once, and with a token the certificates it asked for.

use crate::audit::{Happened, append};
use crate::db::{Db, run, statements};
use crate::{Lasting, Role, Secret, SecretKind, StoreError, UserAuth, lineage};
use uuid::Uuid;

statements! {
    USER = "SELECT id, role FROM users WHERE org_id = $1 AND email = $2 AND NOT disabled";
    INSERT = "INSERT INTO api_tokens (id, org_id, user_id, name, sha256, created_at, expires_at, created_by, parent_id, provider_id, \
              subject, provider_session, workload_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    JOB = "SELECT t.workload_id FROM api_tokens t WHERE t.org_id = $1 AND t.workload_id IS NOT NULL \
             AND (t.id = $2 OR t.id IN (SELECT s.token_id FROM web_sessions s WHERE s.org_id = $1 AND s.id = $2))";
    LIST_ANY = "SELECT t.id, t.name, u.email, t.expires_at FROM api_tokens t JOIN users u ON u.id = t.user_id \
                WHERE t.org_id = $1 AND t.expires_at > $2 ORDER BY u.email, t.expires_at, t.id";
    LIST_OWN = "SELECT t.id, t.name, u.email, t.expires_at FROM api_tokens t JOIN users u ON u.id = t.user_id \
                WHERE t.org_id = $1 AND t.expires_at > $2 AND t.user_id = $3 ORDER BY u.email, t.expires_at, t.id";
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
        let mut tx = self.read_tx(by.scope()).await?;
        let rows = if by.role().oversees() {
            run!(&mut tx, all: Row, LIST_ANY, org, now)?
        } else {
            run!(&mut tx, all: Row, LIST_OWN, org, now, by.user_id())?
        };
        let listed = |(id, name, email, expires_at)| ListedToken { id, name, email, expires_at };
        Ok(rows.into_iter().map(listed).collect())
    }

    /// Makes a token, which ends no later than one it is made with; `None` if there is no such enabled user, or if the caller is not who they were any more.
    pub async fn create_token(
        &self,
        by: &UserAuth,
        new: &TokenOwner<'_>,
        now: i64,
    ) -> Result<Option<(String, Secret)>, StoreError> {
        let scope = by.scope();
        let mut tx = self.write_tx(scope).await?;
        let id = Uuid::now_v7().to_string();
        // First of all, because it locks the organization: nobody is disabled between the look and the token.
        let what = Happened { action: "token.create", target: &id, detail: new.email };
        append(&mut tx, scope, what, now).await?;
        let Some(origin) = lineage::of(&mut tx, by, new.email).await? else { return Ok(None) };
        let user = run!(&mut tx, optional: (String, String), USER, &scope.org_id, new.email)?;
        let Some((user_id, role)) = user else { return Ok(None) };
        if new.email != by.email() && Role::from_name(&role) == Some(Role::Admin) {
            scope.basis().may(Lasting::WayIn)?;
        }
        let expires_at = by.until(new.expires_at);
        let job = run!(&mut tx, optional: (String,), JOB, &scope.org_id, by.token_id())?;
        let secret = Secret::generate(SecretKind::Api)?;
        run!(&mut tx, execute INSERT, &id, &scope.org_id, &user_id, new.name, secret.sha256(), now, expires_at,
            by.user_id(), origin.parent_id, origin.provider_id, origin.subject, origin.provider_session,
            job.map(|(workload,)| workload))?;
        tx.commit().await?;
        Ok(Some((id, secret)))
    }

    /// Deletes a token of the caller, or any of the organization if an admin asks, and what was made with it. `false` if there is none to see.
    pub async fn delete_token(&self, by: &UserAuth, id: &str, now: i64) -> Result<bool, StoreError> {
        let scope = by.scope();
        let mut tx = self.write_tx(scope).await?;
        // First of all, because it locks the organization: no certificate is recorded between the two changes.
        append(&mut tx, scope, Happened { action: "token.delete", target: id, detail: "" }, now).await?;
        let gone = match by.role() {
            Role::Admin => run!(&mut tx, execute DELETE_ANY, &scope.org_id, id)?,
            _ => run!(&mut tx, execute DELETE_OWN, &scope.org_id, id, by.user_id())?,
        };
        if gone == 0 {
            return Ok(false);
        }
        lineage::revoke(&mut tx, scope, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}
