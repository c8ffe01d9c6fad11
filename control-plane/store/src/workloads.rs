//! Whose jobs may act as a member, and the tokens they got for it. A job's own token counts once; what is given for it
//! lives for minutes, ends with the trust it was given by, and makes no token that outlives it. Trust counts as long as
//! whoever gave it is an admin.

use crate::audit::{Happened, append};
use crate::db::{Db, run, statements};
use crate::error::{read_json, read_number, stored_number, write_json};
use crate::reach::Reach;
use crate::{Lasting, Role, Secret, SecretKind, StoreError, TenantScope, UserAuth, lineage};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

statements! {
    USER = "SELECT id, role FROM users WHERE org_id = $1 AND email = $2 AND NOT disabled";
    ADD = "INSERT INTO workloads (id, org_id, name, issuer, audience, claims, user_id, lifetime, created_by, created_at, \
           database_names, made_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    LIST = "SELECT w.id, w.name, w.issuer, w.audience, w.claims, u.email, w.lifetime, w.created_by, w.created_at, \
            w.database_names, w.used_at FROM workloads w \
            JOIN users u ON u.id = w.user_id AND u.org_id = w.org_id WHERE w.org_id = $1 ORDER BY w.name, w.id";
    REMOVE = "DELETE FROM workloads WHERE org_id = $1 AND id = $2";
    END_TOKENS = "DELETE FROM api_tokens WHERE org_id = $1 AND workload_id = $2";
    BY_ID = "SELECT w.id, w.name, w.issuer, w.audience, w.claims, u.email, w.lifetime, w.created_by, w.created_at, \
             w.database_names, w.used_at, o.id, o.slug \
             FROM workloads w JOIN users u ON u.id = w.user_id AND u.org_id = w.org_id JOIN organizations o ON o.id = w.org_id \
             WHERE w.id = $1 AND NOT u.disabled \
             AND EXISTS (SELECT 1 FROM users m WHERE m.id = w.made_by AND m.role = 'admin' AND NOT m.disabled)";
    STILL = "SELECT u.id FROM workloads w JOIN users u ON u.id = w.user_id AND u.org_id = w.org_id \
             WHERE w.org_id = $1 AND w.id = $2 AND NOT u.disabled \
             AND EXISTS (SELECT 1 FROM users m WHERE m.id = w.made_by AND m.role = 'admin' AND NOT m.disabled)";
    OLD_USES = "DELETE FROM workload_uses WHERE org_id = $1 AND expires_at <= $2";
    USE = "INSERT INTO workload_uses (workload_id, org_id, sha256, expires_at) VALUES ($1, $2, $3, $4) \
           ON CONFLICT (workload_id, sha256) DO NOTHING";
    USED = "UPDATE workloads SET used_at = $3 WHERE org_id = $1 AND id = $2";
    TOKEN = "INSERT INTO api_tokens (id, org_id, user_id, name, sha256, created_at, expires_at, created_by, workload_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $3, $8)";
}

type Row = (String, String, String, String, String, String, i64, String, i64, Option<String>, Option<i64>);

type Found = (
    String,
    String,
    String,
    String,
    String,
    String,
    i64,
    String,
    i64,
    Option<String>,
    Option<i64>,
    String,
    String,
);

/// Whose jobs may act as a member.
#[derive(Debug, Clone)]
pub struct StoredWorkload {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// Who issues the jobs' tokens.
    pub issuer: String,
    /// Whom their tokens are for.
    pub audience: String,
    /// What their tokens say, by patterns.
    pub claims: BTreeMap<String, String>,
    /// The member they act as.
    pub email: String,
    /// Seconds a job may act for.
    pub lifetime: u64,
    /// Who said so.
    pub created_by: String,
    /// Unix seconds.
    pub created_at: i64,
    /// The databases they may reach; none is whichever the member may.
    pub databases: Option<BTreeSet<String>>,
    /// When a job last got a token, unix seconds. Not read when one is added.
    pub used_at: Option<i64>,
}

/// What a job asks at, with the right to give it a token in that organization and no other.
#[derive(Debug, Clone)]
pub struct WorkloadDoor {
    scope: TenantScope,
    workload: StoredWorkload,
}

impl WorkloadDoor {
    /// The organization.
    pub fn scope(&self) -> &TenantScope {
        &self.scope
    }
    /// What must be true of the job.
    pub fn workload(&self) -> &StoredWorkload {
        &self.workload
    }
}

/// A job's token that holds.
#[derive(Debug)]
pub struct ProvenJob<'a> {
    /// Whose it is, at its issuer.
    pub subject: &'a str,
    /// The same for every copy of it.
    pub sha256: &'a str,
    /// Until when a copy could come, unix seconds.
    pub forgotten_at: i64,
    /// Until when the job may act, unix seconds.
    pub expires_at: i64,
}

/// What became of an exchange.
#[derive(Debug)]
pub enum Exchanged {
    /// A token.
    Done(Secret),
    /// This token of the job was exchanged before.
    Replayed,
    /// The trust, or its member, ended meanwhile.
    Gone,
}

impl Db {
    /// Trusts jobs. `false` if there is no such enabled member.
    pub async fn add_workload(
        &self,
        by: &UserAuth,
        new: &StoredWorkload,
        now: i64,
    ) -> Result<bool, StoreError> {
        let scope = by.scope();
        let claims = write_json(&new.claims, "claims")?;
        let lifetime = stored_number(new.lifetime, "lifetime")?;
        let mut tx = self.write_tx(scope).await?;
        let databases = new.databases.as_ref().map(|named| write_json(named, "databases")).transpose()?;
        let reach = databases.as_ref().map_or_else(String::new, |named| format!(" only to {named}"));
        let detail = format!("{} as {} {claims}{reach}", new.issuer, new.email);
        append(&mut tx, scope, Happened { action: "workload.add", target: &new.name, detail: &detail }, now)
            .await?;
        let user = run!(&mut tx, optional: (String, String), USER, &scope.org_id, &new.email)?;
        let Some((user, role)) = user else { return Ok(false) };
        if Role::from_name(&role) == Some(Role::Admin) {
            scope.basis().may(Lasting::WayIn)?;
        }
        run!(&mut tx, execute ADD, &new.id, &scope.org_id, &new.name, &new.issuer, &new.audience, &claims, &user, lifetime,
            by.email(), now, databases.as_deref(), by.user_id())?;
        tx.commit().await?;
        Ok(true)
    }

    /// Whose jobs are trusted.
    pub async fn workloads(&self, scope: &TenantScope) -> Result<Vec<StoredWorkload>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        run!(&mut tx, all: Row, LIST, &scope.org_id)?.into_iter().map(workload).collect()
    }

    /// Trusts them no longer; what they were given ends. `false` if there is none.
    pub async fn remove_workload(&self, by: &UserAuth, id: &str, now: i64) -> Result<bool, StoreError> {
        let scope = by.scope();
        let mut tx = self.write_tx(scope).await?;
        append(&mut tx, scope, Happened { action: "workload.remove", target: id, detail: "" }, now).await?;
        run!(&mut tx, execute END_TOKENS, &scope.org_id, id)?;
        lineage::revoke(&mut tx, scope, now).await?;
        if run!(&mut tx, execute REMOVE, &scope.org_id, id)? == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// What a job asks at.
    pub async fn workload_door(&self, id: &str) -> Result<Option<WorkloadDoor>, StoreError> {
        let mut tx = self.read_tx(Reach::Arrival).await?;
        let Some(found) = run!(&mut tx, optional: Found, BY_ID, id)? else { return Ok(None) };
        let (id, name, issuer, audience, claims, email, lifetime, by, at, databases, used, org_id, slug) =
            found;
        let scope = TenantScope::of(org_id, slug, format!("workload:{name}"));
        let row = (id, name, issuer, audience, claims, email, lifetime, by, at, databases, used);
        Ok(Some(WorkloadDoor { scope, workload: workload(row)? }))
    }

    /// Gives a job a token for its own.
    pub async fn exchange(
        &self,
        at: &WorkloadDoor,
        job: &ProvenJob<'_>,
        now: i64,
    ) -> Result<Exchanged, StoreError> {
        let (scope, known) = (&at.scope, &at.workload);
        let mut tx = self.write_tx(scope).await?;
        // First of all, because it locks the organization: nothing of this ends between the looks and the token.
        let what = Happened { action: "workload.exchange", target: &known.name, detail: job.subject };
        append(&mut tx, scope, what, now).await?;
        let Some((user,)) = run!(&mut tx, optional: (String,), STILL, &scope.org_id, &known.id)? else {
            return Ok(Exchanged::Gone);
        };
        run!(&mut tx, execute OLD_USES, &scope.org_id, now)?;
        if run!(&mut tx, execute USE, &known.id, &scope.org_id, job.sha256, job.forgotten_at)? == 0 {
            return Ok(Exchanged::Replayed);
        }
        let secret = Secret::generate(SecretKind::Api)?;
        let (id, name) = (Uuid::now_v7().to_string(), format!("job of {}", known.name));
        run!(&mut tx, execute TOKEN, &id, &scope.org_id, &user, &name, secret.sha256(), now, job.expires_at, &known.id)?;
        run!(&mut tx, execute USED, &scope.org_id, &known.id, now)?;
        tx.commit().await?;
        Ok(Exchanged::Done(secret))
    }
}

fn workload(
    (id, name, issuer, audience, claims, email, lifetime, created_by, created_at, databases, used_at): Row,
) -> Result<StoredWorkload, StoreError> {
    Ok(StoredWorkload {
        id,
        name,
        issuer,
        audience,
        claims: read_json(&claims, "claims")?,
        email,
        lifetime: read_number(lifetime, "lifetime")?,
        created_by,
        created_at,
        databases: databases.map(|named| read_json(&named, "databases")).transpose()?,
        used_at,
    })
}
