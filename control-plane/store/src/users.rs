//! The directory: who there is, their groups and attributes, and its version. A change is a new version in the same
//! transaction. Refused: leaving an organization without an enabled admin, and admins that a token makes.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::error::{read_json, read_number, write_json};
use crate::{Lasting, Role, StoreError, TenantScope, lineage};
use daam_api::link::DirectoryUser;
use daam_api::v1::{User, UserStored};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

statements! {
    NEXT_VERSION = "UPDATE organizations SET directory_version = directory_version + 1 WHERE id = $1 RETURNING directory_version";
    VERSION = "SELECT directory_version FROM organizations WHERE id = $1";
    BY_EMAIL = "SELECT id, role, disabled FROM users WHERE org_id = $1 AND email = $2";
    OTHER_ADMINS = "SELECT COUNT(*) FROM users WHERE org_id = $1 AND role = 'admin' AND NOT disabled AND email <> $2";
    PUT = "INSERT INTO users (id, org_id, email, role, group_names, attributes, disabled, created_at) \
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
           ON CONFLICT (org_id, email) DO UPDATE SET role = excluded.role, group_names = excluded.group_names, \
           attributes = excluded.attributes, disabled = excluded.disabled RETURNING id";
    REVOKE = "UPDATE certificates SET revoked_at = $3 \
              WHERE org_id = $1 AND holder_kind = 'user' AND holder_id = $2 AND revoked_at IS NULL";
    BAR = "UPDATE users SET barred = $3 WHERE org_id = $1 AND id = $2";
    END_SESSIONS = "DELETE FROM web_sessions WHERE org_id = $1 AND user_id = $2";
    END_LINKS = "DELETE FROM sign_in_links WHERE org_id = $1 AND user_id = $2";
    END_ACCOUNTS = "DELETE FROM identity_links WHERE org_id = $1 AND user_id = $2";
    END_TOKENS = "DELETE FROM api_tokens WHERE org_id = $1 AND user_id = $2";
    END_JOBS = "DELETE FROM workloads WHERE org_id = $1 AND user_id = $2";
    ONE = "SELECT id, email, role, group_names, attributes, disabled FROM users WHERE org_id = $1 AND email = $2";
    LIST = "SELECT id, email, role, group_names, attributes, disabled FROM users WHERE org_id = $1 ORDER BY email";
    PAGE = "SELECT id, email, role, group_names, attributes, disabled FROM users WHERE org_id = $1 AND email > $2 ORDER BY email LIMIT $3";
}

type Row = (String, String, String, String, String, bool);

/// What a user becomes.
#[derive(Debug)]
pub struct UserChange<'a> {
    /// Lower case.
    pub email: &'a str,
    /// Absent keeps the present role.
    pub role: Option<Role>,
    /// All groups.
    pub groups: &'a BTreeSet<String>,
    /// All attributes.
    pub attributes: &'a BTreeMap<String, serde_json::Value>,
    /// Whether all access ends.
    pub disabled: bool,
}

/// What became of [`UserChange`].
#[derive(Debug)]
pub enum Stored {
    /// Done.
    Done(UserStored),
    /// It would leave no enabled admin.
    LastAdmin,
}

impl Db {
    /// Creates or replaces a user. Disabling also revokes the user's certificates and ends every token and session, and
    /// what an admin made for others, so that enabling the user again brings none of them back.
    pub async fn put_user(
        &self,
        scope: &TenantScope,
        change: &UserChange<'_>,
        now: i64,
    ) -> Result<Stored, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        // First of all, because it locks the organization: two admins cannot demote each other at once.
        let version = next_version(&mut tx, scope).await?;
        let Some(id) = put(&mut tx, scope, change, now).await? else { return Ok(Stored::LastAdmin) };
        run!(&mut tx, execute BAR, &scope.org_id, &id, change.disabled)?;
        tx.commit().await?;
        Ok(Stored::Done(UserStored { id, directory_version: read_number(version, "directory version")? }))
    }

    /// Gives somebody another role, or ends or begins their access, and leaves everything else as it is. `None` if
    /// there is nobody of that address.
    pub async fn change_member(
        &self,
        scope: &TenantScope,
        (email, role, disabled): (&str, Option<Role>, Option<bool>),
        now: i64,
    ) -> Result<Option<Stored>, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        let version = next_version(&mut tx, scope).await?;
        let Some(row) = run!(&mut tx, optional: Row, ONE, &scope.org_id, email)? else { return Ok(None) };
        let present = user(row)?;
        let change = UserChange {
            email,
            role,
            groups: &present.groups,
            attributes: &present.attributes,
            disabled: disabled.unwrap_or(present.disabled),
        };
        let Some(id) = put(&mut tx, scope, &change, now).await? else { return Ok(Some(Stored::LastAdmin)) };
        if let Some(disabled) = disabled {
            run!(&mut tx, execute BAR, &scope.org_id, &id, disabled)?;
        }
        tx.commit().await?;
        let directory_version = read_number(version, "directory version")?;
        Ok(Some(Stored::Done(UserStored { id, directory_version })))
    }

    /// Everyone.
    pub async fn users(&self, scope: &TenantScope) -> Result<Vec<User>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        run!(&mut tx, all: Row, LIST, &scope.org_id)?.into_iter().map(user).collect()
    }

    /// So many of them, by address, after one.
    pub async fn users_after(
        &self,
        scope: &TenantScope,
        after: &str,
        most: u32,
    ) -> Result<Vec<User>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        run!(&mut tx, all: Row, PAGE, &scope.org_id, after, i64::from(most))?.into_iter().map(user).collect()
    }

    /// The present version of the directory.
    pub async fn directory_version(&self, scope: &TenantScope) -> Result<u64, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        version(&mut tx, scope).await
    }

    /// The directory and the version it is of, as agents get it.
    pub async fn directory(&self, scope: &TenantScope) -> Result<(u64, Vec<DirectoryUser>), StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let version = version(&mut tx, scope).await?;
        let users = run!(&mut tx, all: Row, LIST, &scope.org_id)?
            .into_iter()
            .map(|row| {
                let User { id, email, disabled, groups, attributes, .. } = user(row)?;
                Ok(DirectoryUser { id, email, disabled, groups, attributes })
            })
            .collect::<Result<_, StoreError>>()?;
        Ok((version, users))
    }
}

/// Locks the organization and moves its directory on.
pub(crate) async fn next_version(tx: &mut Tx, scope: &TenantScope) -> Result<i64, StoreError> {
    let version = run!(tx, optional: (i64,), NEXT_VERSION, &scope.org_id)?;
    Ok(version.ok_or(StoreError::Decode("organization"))?.0)
}

/// `None` if it would leave no enabled admin.
pub(crate) async fn put(
    tx: &mut Tx,
    scope: &TenantScope,
    change: &UserChange<'_>,
    now: i64,
) -> Result<Option<String>, StoreError> {
    put_as(tx, scope, &Uuid::now_v7().to_string(), change, now).await
}

/// The same, with the id of somebody new.
pub(crate) async fn put_as(
    tx: &mut Tx,
    scope: &TenantScope,
    new_id: &str,
    change: &UserChange<'_>,
    now: i64,
) -> Result<Option<String>, StoreError> {
    let present = run!(tx, optional: (String, String, bool), BY_EMAIL, &scope.org_id, change.email)?;
    let present_role = present.as_ref().and_then(|(_, role, _)| Role::from_name(role));
    let role = change.role.or(present_role).unwrap_or(Role::Member);
    let comes_back = present.is_some_and(|(_, _, was)| was && !change.disabled);
    if role == Role::Admin && (present_role != Some(Role::Admin) || comes_back) {
        scope.basis.may(Lasting::Admin)?;
    }
    if present_role == Some(Role::Admin)
        && (role != Role::Admin || change.disabled)
        && !has_other_admin(tx, scope, change.email).await?
    {
        return Ok(None);
    }
    let groups = write_json(change.groups, "group list")?;
    let attributes = write_json(change.attributes, "attribute map")?;
    let (email, disabled) = (change.email, change.disabled);
    let put = run!(tx, optional: (String,), PUT, new_id, &scope.org_id, email, role.name(), &groups, &attributes,
        disabled, now)?;
    let (id,) = put.ok_or(StoreError::Decode("user"))?;
    if present_role.is_some_and(|before| before != role) {
        // What began under another role does not go on under this one, nor come back with the old one.
        sign_out(tx, scope, &id, now).await?;
        lineage::end_of_admin(tx, scope, &id, now).await?;
        if role == Role::Admin {
            end_what_was_less(tx, scope, &id, now).await?;
        }
    }
    if disabled {
        end_everything(tx, scope, &id, now).await?;
    }
    let detail = format!("role={} disabled={disabled} groups={groups}", role.name());
    append(tx, scope, Happened { action: "user.put", target: email, detail: &detail }, now).await?;
    Ok(Some(id))
}

/// Adds somebody new.
pub(crate) async fn add(
    tx: &mut Tx,
    scope: &TenantScope,
    (email, role, groups): (&str, Role, &BTreeSet<String>),
    now: i64,
) -> Result<String, StoreError> {
    if role == Role::Admin {
        scope.basis.may(Lasting::Admin)?;
    }
    let id = Uuid::now_v7().to_string();
    let groups = write_json(groups, "group list")?;
    run!(tx, optional: (String,), PUT, &id, &scope.org_id, email, role.name(), &groups, "{}", false, now)?;
    let detail = format!("role={} disabled=false groups={groups}", role.name());
    append(tx, scope, Happened { action: "user.put", target: email, detail: &detail }, now).await?;
    Ok(id)
}

/// Ends a member's console sessions, and what programs were given by them.
async fn sign_out(tx: &mut Tx, scope: &TenantScope, id: &str, now: i64) -> Result<(), StoreError> {
    run!(tx, execute END_SESSIONS, &scope.org_id, id)?;
    lineage::end_of_sessions(tx, scope, id, now).await
}

/// Ends everything that signs somebody in as this member, accounts at providers included, and what they made as an admin.
pub(crate) async fn shut_out(tx: &mut Tx, scope: &TenantScope, id: &str, now: i64) -> Result<(), StoreError> {
    end_everything(tx, scope, id, now).await?;
    run!(tx, execute END_ACCOUNTS, &scope.org_id, id)?;
    Ok(())
}

/// What signs somebody in who is an admin from now on, and was made when that was less: an admin's token could make it.
async fn end_what_was_less(tx: &mut Tx, scope: &TenantScope, id: &str, now: i64) -> Result<(), StoreError> {
    for end in [END_LINKS, END_TOKENS, END_JOBS] {
        run!(tx, execute end, &scope.org_id, id)?;
    }
    lineage::revoke(tx, scope, now).await
}

async fn end_everything(tx: &mut Tx, scope: &TenantScope, id: &str, now: i64) -> Result<(), StoreError> {
    run!(tx, execute REVOKE, &scope.org_id, id, now)?;
    for end in [END_SESSIONS, END_LINKS, END_TOKENS] {
        run!(tx, execute end, &scope.org_id, id)?;
    }
    lineage::end_of_admin(tx, scope, id, now).await
}

pub(crate) async fn version(tx: &mut Tx, scope: &TenantScope) -> Result<u64, StoreError> {
    let row = run!(tx, optional: (i64,), VERSION, &scope.org_id)?;
    read_number(row.ok_or(StoreError::Decode("organization"))?.0, "directory version")
}

async fn has_other_admin(tx: &mut Tx, scope: &TenantScope, email: &str) -> Result<bool, StoreError> {
    let row = run!(tx, optional: (i64,), OTHER_ADMINS, &scope.org_id, email)?;
    Ok(row.is_some_and(|(count,)| count > 0))
}

fn user((id, email, role, groups, attributes, disabled): Row) -> Result<User, StoreError> {
    Ok(User {
        id,
        email,
        role,
        groups: read_json(&groups, "group list")?,
        attributes: read_json(&attributes, "attribute map")?,
        disabled,
    })
}
