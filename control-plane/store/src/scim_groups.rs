//! Groups an identity provider keeps. A group is a name that policies use; who is in it stands in the members' rows and
//! nowhere else, so the provider and an admin cannot disagree unnoticed.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::error::write_json;
use crate::scim::{self, ScimStored};
use crate::users::next_version;
use crate::{StoreError, TenantScope};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

statements! {
    LIST = "SELECT id, name, external_id, created_at, changed_at FROM scim_groups WHERE org_id = $1 ORDER BY id";
    ONE = "SELECT id, name, external_id, created_at, changed_at FROM scim_groups WHERE org_id = $1 AND id = $2";
    OF_NAME = "SELECT id FROM scim_groups WHERE org_id = $1 AND name_key = $2";
    PUT = "INSERT INTO scim_groups (id, org_id, name, name_key, external_id, created_at, changed_at) \
           VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
           name_key = excluded.name_key, external_id = excluded.external_id, changed_at = excluded.changed_at";
    DELETE = "DELETE FROM scim_groups WHERE org_id = $1 AND id = $2";
    SET = "UPDATE users SET group_names = $3 WHERE org_id = $1 AND id = $2";
}

type Row = (String, String, Option<String>, i64, i64);

/// How many members an audit entry names.
const NAMED: usize = 20;

/// A group.
#[derive(Debug, Clone)]
pub struct ScimGroup {
    /// The id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What the provider calls it.
    pub external_id: Option<String>,
    /// Ids and addresses of who is in it.
    pub members: BTreeMap<String, String>,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub changed_at: i64,
}

/// What a group becomes.
#[derive(Debug)]
pub struct ScimGroupChange {
    /// Its name.
    pub name: String,
    /// What the provider calls it.
    pub external_id: Option<String>,
    /// Ids of everybody in it.
    pub members: BTreeSet<String>,
}

impl Db {
    /// Every group.
    pub async fn scim_groups(&self, scope: &TenantScope) -> Result<Vec<ScimGroup>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: Row, LIST, &scope.org_id)?;
        let users = scim::every(&mut tx, scope).await?;
        let mut of_name: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
        for user in &users {
            for group in &user.groups {
                of_name.entry(group).or_default().insert(user.id.clone(), user.email.clone());
            }
        }
        let group = |row: Row| {
            let members = of_name.get(row.1.as_str()).cloned().unwrap_or_default();
            group(row, members)
        };
        Ok(rows.into_iter().map(group).collect())
    }

    /// Ids of groups by their names.
    pub async fn scim_group_ids(&self, scope: &TenantScope) -> Result<BTreeMap<String, String>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: Row, LIST, &scope.org_id)?;
        Ok(rows.into_iter().map(|(id, name, ..)| (name, id)).collect())
    }

    /// One of them.
    pub async fn scim_group(&self, scope: &TenantScope, id: &str) -> Result<Option<ScimGroup>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        one(&mut tx, scope, id).await
    }

    /// Adds a group. Whoever had its name before and is not named now has it no more.
    pub async fn scim_add_group(
        &self,
        scope: &TenantScope,
        change: &ScimGroupChange,
        now: i64,
    ) -> Result<ScimStored<ScimGroup>, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        scim::lock(&mut tx, scope).await?;
        let id = Uuid::now_v7().to_string();
        let stored = put(&mut tx, scope, (&id, &change.name, change), now).await?;
        if matches!(stored, ScimStored::Done(_)) {
            tx.commit().await?;
        }
        Ok(stored)
    }

    /// Changes a group as `decide` says; `Ok(None)` of it leaves everything as it is.
    pub async fn scim_change_group<E: Send>(
        &self,
        scope: &TenantScope,
        id: &str,
        decide: impl FnOnce(&ScimGroup) -> Result<Option<ScimGroupChange>, E> + Send,
        now: i64,
    ) -> Result<Result<ScimStored<ScimGroup>, E>, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        scim::lock(&mut tx, scope).await?;
        let Some(present) = one(&mut tx, scope, id).await? else { return Ok(Ok(ScimStored::Missing)) };
        let change = match decide(&present) {
            Err(refused) => return Ok(Err(refused)),
            Ok(None) => return Ok(Ok(ScimStored::Done(present))),
            Ok(Some(change)) => change,
        };
        let stored = put(&mut tx, scope, (id, &present.name, &change), now).await?;
        if matches!(stored, ScimStored::Done(_)) {
            tx.commit().await?;
        }
        Ok(Ok(stored))
    }

    /// Removes a group, and its name from everybody, if `decide` agrees.
    pub async fn scim_remove_group<E: Send>(
        &self,
        scope: &TenantScope,
        id: &str,
        decide: impl FnOnce(&ScimGroup) -> Result<(), E> + Send,
        now: i64,
    ) -> Result<Result<ScimStored<()>, E>, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        scim::lock(&mut tx, scope).await?;
        let Some(present) = one(&mut tx, scope, id).await? else { return Ok(Ok(ScimStored::Missing)) };
        if let Err(refused) = decide(&present) {
            return Ok(Err(refused));
        }
        let nobody = BTreeSet::new();
        let (gone, _) = set_members(&mut tx, scope, (&present.name, &present.name), &nobody).await?;
        run!(&mut tx, execute DELETE, &scope.org_id, id)?;
        next_version(&mut tx, scope).await?;
        let what = Happened { action: "scim.group.remove", target: &present.name, detail: &told("-", &gone) };
        append(&mut tx, scope, what, now).await?;
        tx.commit().await?;
        Ok(Ok(ScimStored::Done(())))
    }
}

async fn put(
    tx: &mut Tx,
    scope: &TenantScope,
    (id, before, change): (&str, &str, &ScimGroupChange),
    now: i64,
) -> Result<ScimStored<ScimGroup>, StoreError> {
    let key = change.name.to_lowercase();
    let named = run!(tx, optional: (String,), OF_NAME, &scope.org_id, &key)?;
    if named.is_some_and(|(other,)| other != id) {
        return Ok(ScimStored::Taken("displayName"));
    }
    let users = scim::every(tx, scope).await?;
    let known: BTreeSet<&str> = users.iter().map(|user| user.id.as_str()).collect();
    if let Some(unknown) = change.members.iter().find(|member| !known.contains(member.as_str())) {
        return Ok(ScimStored::NoMember(unknown.clone()));
    }
    run!(tx, execute PUT, id, &scope.org_id, &change.name, &key, &change.external_id, now)?;
    let (gone, come) = set_members(tx, scope, (before, &change.name), &change.members).await?;
    if !gone.is_empty() || !come.is_empty() || before != change.name {
        next_version(tx, scope).await?;
    }
    let detail = format!("{} {}", told("+", &come), told("-", &gone));
    append(
        tx,
        scope,
        Happened { action: "scim.group.put", target: &change.name, detail: detail.trim() },
        now,
    )
    .await?;
    let put = one(tx, scope, id).await?.ok_or(StoreError::Decode("group"))?;
    Ok(ScimStored::Done(put))
}

/// Addresses of those who went, and of those who came.
async fn set_members(
    tx: &mut Tx,
    scope: &TenantScope,
    (before, name): (&str, &str),
    members: &BTreeSet<String>,
) -> Result<(Vec<String>, Vec<String>), StoreError> {
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    for mut user in scim::every(tx, scope).await? {
        let was = user.groups.clone();
        user.groups.remove(before);
        if members.contains(&user.id) {
            user.groups.insert(name.to_owned());
        } else {
            user.groups.remove(name);
        }
        if user.groups == was {
            continue;
        }
        let groups = write_json(&user.groups, "group list")?;
        run!(tx, execute SET, &scope.org_id, &user.id, &groups)?;
        match (was.contains(before), user.groups.contains(name)) {
            (_, false) => gone.push(user.email),
            (false, true) => come.push(user.email),
            (true, true) => {}
        }
    }
    Ok((gone, come))
}

fn told(sign: &str, emails: &[String]) -> String {
    let named: Vec<String> = emails.iter().take(NAMED).map(|email| format!("{sign}{email}")).collect();
    match emails.len().checked_sub(NAMED).filter(|more| *more > 0) {
        Some(more) => format!("{} and {sign}{more} more", named.join(" ")),
        None => named.join(" "),
    }
}

async fn one(tx: &mut Tx, scope: &TenantScope, id: &str) -> Result<Option<ScimGroup>, StoreError> {
    let Some(row) = run!(tx, optional: Row, ONE, &scope.org_id, id)? else { return Ok(None) };
    let users = scim::every(tx, scope).await?;
    let within = users.into_iter().filter(|user| user.groups.contains(&row.1));
    let members = within.map(|user| (user.id, user.email)).collect();
    Ok(Some(group(row, members)))
}

fn group(
    (id, name, external_id, created_at, changed_at): Row,
    members: BTreeMap<String, String>,
) -> ScimGroup {
    ScimGroup { id, name, external_id, members, created_at, changed_at }
}
