//! Members as an identity provider's provisioning sees and changes them. What a change is, is decided by the caller,
//! within the transaction that locks the organization, so that no two changes miss each other.
//!
//! A member the provider removed keeps its row, disabled and without role, groups and attributes, because the history
//! names it; to the provider it is gone, and comes back under the same id. Nothing that signed anybody in as that member
//! does so afterwards: the next of that name may be somebody else. Whom an admin disabled stays so, whatever the provider
//! says. Refused: two members of one name or
//! address, and leaving an organization without an enabled admin.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::error::read_json;
use crate::users::{self, next_version};
use crate::{Role, StoreError, TenantScope, UserChange, members, scim_lookup};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

statements! {
    LOCK = "UPDATE organizations SET directory_version = directory_version WHERE id = $1";
    ONE = "SELECT u.id, u.email, u.group_names, u.attributes, u.disabled, s.document, COALESCE(s.created_at, u.created_at), \
           COALESCE(s.changed_at, u.created_at) FROM users u LEFT JOIN scim_users s ON s.user_id = u.id \
           WHERE u.org_id = $1 AND u.id = $2 AND (s.user_id IS NULL OR NOT s.gone)";
    NAMED = "SELECT u.id, u.email, u.group_names, u.attributes, u.disabled, s.document, COALESCE(s.created_at, u.created_at), \
             COALESCE(s.changed_at, u.created_at) FROM users u LEFT JOIN scim_users s ON s.user_id = u.id \
             WHERE u.org_id = $1 AND ((s.user_id IS NULL AND u.email = $2) OR (NOT s.gone AND s.name_key = $2)) AND u.id IN ( \
             SELECT n.user_id FROM scim_users n WHERE n.org_id = $1 AND n.name_key = $2 \
             UNION SELECT v.id FROM users v WHERE v.org_id = $1 AND v.email = $2) ORDER BY u.id";
    OF_EMAIL = "SELECT u.id, COALESCE(s.gone, FALSE) FROM users u LEFT JOIN scim_users s ON s.user_id = u.id \
                WHERE u.org_id = $1 AND u.email = $2";
    HELD_BY = "SELECT person_id FROM users WHERE org_id = $1 AND id = $2";
    BARRED = "SELECT barred FROM users WHERE org_id = $1 AND id = $2";
    RENAME = "UPDATE users SET email = $3 WHERE org_id = $1 AND id = $2";
    DESCRIBE = "INSERT INTO scim_users (user_id, org_id, name_key, document, created_at, changed_at, gone) \
                VALUES ($1, $2, $3, $4, $5, $5, FALSE) ON CONFLICT (user_id) DO UPDATE SET name_key = excluded.name_key, \
                document = excluded.document, changed_at = excluded.changed_at, gone = FALSE";
    FORGET = "INSERT INTO scim_users (user_id, org_id, name_key, document, created_at, changed_at, gone) \
              VALUES ($1, $2, $3, '{}', $4, $4, TRUE) ON CONFLICT (user_id) DO UPDATE SET name_key = excluded.name_key, \
              document = '{}', changed_at = excluded.changed_at, gone = TRUE";
}

pub(crate) type Row = (String, String, String, String, bool, Option<String>, i64, i64);

/// A member.
#[derive(Debug, Clone)]
pub struct ScimUser {
    /// The id.
    pub id: String,
    /// What the directory knows them by.
    pub email: String,
    /// Names of their groups.
    pub groups: BTreeSet<String>,
    pub(crate) attributes: BTreeMap<String, serde_json::Value>,
    /// Whether all access ended.
    pub disabled: bool,
    /// What the provider said of them; none of somebody it never described.
    pub document: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub changed_at: i64,
}

/// What a member becomes.
#[derive(Debug, Clone)]
pub struct ScimUserChange {
    /// What no two members share, whatever its case.
    pub user_name: String,
    /// Lower case.
    pub email: String,
    /// Whether they have access.
    pub active: bool,
    /// What the provider calls them.
    pub external_id: Option<String>,
    /// All their addresses, as they were said.
    pub emails: Vec<String>,
    /// To be kept.
    pub document: String,
}

/// What became of a change.
#[derive(Debug)]
pub enum ScimStored<T> {
    /// Done.
    Done(T),
    /// There is no such thing.
    Missing,
    /// Another one has this already; named is the attribute.
    Taken(&'static str),
    /// It would leave no enabled admin.
    LastAdmin,
    /// A member it names is none.
    NoMember(String),
}

impl Db {
    /// Whoever has this name, whatever its case.
    pub async fn scim_users_named(
        &self,
        scope: &TenantScope,
        name: &str,
    ) -> Result<Vec<ScimUser>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: Row, NAMED, &scope.org_id, name.to_lowercase())?;
        rows.into_iter().map(user).collect()
    }

    /// One of them.
    pub async fn scim_user(&self, scope: &TenantScope, id: &str) -> Result<Option<ScimUser>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        one(&mut tx, scope, id).await
    }

    /// Adds a member, or brings back one the provider removed before.
    pub async fn scim_add_user(
        &self,
        scope: &TenantScope,
        change: &ScimUserChange,
        now: i64,
    ) -> Result<ScimStored<ScimUser>, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        next_version(&mut tx, scope).await?;
        let known = run!(&mut tx, optional: (String, bool), OF_EMAIL, &scope.org_id, &change.email)?;
        let id = match known {
            Some((_, false)) => return Ok(ScimStored::Taken("emails")),
            Some((id, true)) => id,
            None => Uuid::now_v7().to_string(),
        };
        if name_is_taken(&mut tx, scope, (&id, &change.user_name)).await? {
            return Ok(ScimStored::Taken("userName"));
        }
        let (groups, attributes) = (BTreeSet::new(), BTreeMap::new());
        let barred = run!(&mut tx, optional: (bool,), BARRED, &scope.org_id, &id)?;
        let active = change.active && !barred.is_some_and(|(barred,)| barred);
        let put = UserChange {
            email: &change.email,
            role: Some(Role::Member),
            groups: &groups,
            attributes: &attributes,
            disabled: !active,
        };
        // An address of its own id, so that what is stored beside it can name it.
        let Some(id) = users::put_as(&mut tx, scope, &id, &put, now).await? else {
            return Ok(ScimStored::LastAdmin);
        };
        let change = ScimUserChange { active, ..change.clone() };
        describe(&mut tx, scope, (&id, &change), now).await?;
        let made = one(&mut tx, scope, &id).await?.ok_or(StoreError::Decode("user"))?;
        tx.commit().await?;
        Ok(ScimStored::Done(made))
    }

    /// Changes a member as `decide` says; `Ok(None)` of it leaves everything as it is.
    pub async fn scim_change_user<E: Send>(
        &self,
        scope: &TenantScope,
        id: &str,
        decide: impl FnOnce(&ScimUser) -> Result<Option<ScimUserChange>, E> + Send,
        now: i64,
    ) -> Result<Result<ScimStored<ScimUser>, E>, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        run!(&mut tx, execute LOCK, &scope.org_id)?;
        let Some(present) = one(&mut tx, scope, id).await? else { return Ok(Ok(ScimStored::Missing)) };
        let change = match decide(&present) {
            Err(refused) => return Ok(Err(refused)),
            Ok(None) => return Ok(Ok(ScimStored::Done(present))),
            Ok(Some(change)) => change,
        };
        if name_is_taken(&mut tx, scope, (id, &change.user_name)).await? {
            return Ok(Ok(ScimStored::Taken("userName")));
        }
        if change.email != present.email {
            if run!(&mut tx, optional: (String, bool), OF_EMAIL, &scope.org_id, &change.email)?.is_some() {
                return Ok(Ok(ScimStored::Taken("emails")));
            }
            run!(&mut tx, execute RENAME, &scope.org_id, id, &change.email)?;
        }
        // Provisioning goes through everybody again and again; an admin who disabled somebody meant it.
        let barred =
            run!(&mut tx, optional: (bool,), BARRED, &scope.org_id, id)?.is_none_or(|(barred,)| barred);
        let active = change.active && !barred;
        if change.email != present.email || active == present.disabled {
            next_version(&mut tx, scope).await?;
            let put = UserChange {
                email: &change.email,
                role: None,
                groups: &present.groups,
                attributes: &present.attributes,
                disabled: !active,
            };
            if users::put(&mut tx, scope, &put, now).await?.is_none() {
                return Ok(Ok(ScimStored::LastAdmin));
            }
        }
        let change = ScimUserChange { active, ..change };
        describe(&mut tx, scope, (id, &change), now).await?;
        let changed = one(&mut tx, scope, id).await?.ok_or(StoreError::Decode("user"))?;
        tx.commit().await?;
        Ok(Ok(ScimStored::Done(changed)))
    }

    /// Ends a member's access for good, if `decide` agrees.
    pub async fn scim_remove_user<E: Send>(
        &self,
        scope: &TenantScope,
        id: &str,
        decide: impl FnOnce(&ScimUser) -> Result<(), E> + Send,
        now: i64,
    ) -> Result<Result<ScimStored<()>, E>, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        next_version(&mut tx, scope).await?;
        let Some(present) = one(&mut tx, scope, id).await? else { return Ok(Ok(ScimStored::Missing)) };
        if let Err(refused) = decide(&present) {
            return Ok(Err(refused));
        }
        let (groups, attributes) = (BTreeSet::new(), BTreeMap::new());
        let put = UserChange {
            email: &present.email,
            role: Some(Role::Member),
            groups: &groups,
            attributes: &attributes,
            disabled: true,
        };
        if users::put(&mut tx, scope, &put, now).await?.is_none() {
            return Ok(Ok(ScimStored::LastAdmin));
        }
        let held_by = run!(&mut tx, optional: (Option<String>,), HELD_BY, &scope.org_id, id)?;
        let held_by = held_by.and_then(|(person,)| person);
        members::leave(&mut tx, scope, (id, held_by), now).await?;
        // No name anybody can ask for, so that the name is free.
        run!(&mut tx, execute FORGET, id, &scope.org_id, format!("\u{1}{id}"), now)?;
        scim_lookup::forget(&mut tx, scope, id).await?;
        let what = Happened { action: "scim.user.remove", target: &present.email, detail: id };
        append(&mut tx, scope, what, now).await?;
        tx.commit().await?;
        Ok(Ok(ScimStored::Done(())))
    }
}

/// Locks the organization against other changes of its directory.
pub(crate) async fn lock(tx: &mut Tx, scope: &TenantScope) -> Result<(), StoreError> {
    run!(tx, execute LOCK, &scope.org_id).map(drop)
}

async fn one(tx: &mut Tx, scope: &TenantScope, id: &str) -> Result<Option<ScimUser>, StoreError> {
    run!(tx, optional: Row, ONE, &scope.org_id, id)?.map(user).transpose()
}

async fn name_is_taken(
    tx: &mut Tx,
    scope: &TenantScope,
    (id, name): (&str, &str),
) -> Result<bool, StoreError> {
    let found = run!(tx, all: Row, NAMED, &scope.org_id, name.to_lowercase())?;
    Ok(found.iter().any(|row| row.0 != id))
}

async fn describe(
    tx: &mut Tx,
    scope: &TenantScope,
    (id, change): (&str, &ScimUserChange),
    now: i64,
) -> Result<(), StoreError> {
    run!(tx, execute DESCRIBE, id, &scope.org_id, change.user_name.to_lowercase(), &change.document, now)?;
    scim_lookup::key(tx, scope, (id, change)).await?;
    let detail = format!("active={}", change.active);
    append(tx, scope, Happened { action: "scim.user.put", target: &change.email, detail: &detail }, now).await
}

pub(crate) fn user(row: Row) -> Result<ScimUser, StoreError> {
    let (id, email, groups, attributes, disabled, document, created_at, changed_at) = row;
    let (groups, attributes) = (read_json(&groups, "group list")?, read_json(&attributes, "attribute map")?);
    Ok(ScimUser { id, email, groups, attributes, disabled, document, created_at, changed_at })
}
