//! Groups an identity provider keeps. A group is a name that policies use; who is in it stands in the members' rows and
//! nowhere else, so the provider and an admin cannot disagree unnoticed.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::error::{read_json, read_number, write_json};
use crate::scim::{self, ScimStored};
use crate::scim_lookup::{Seat, bound, seats, within};
use crate::users::next_version;
use crate::{StoreError, TenantScope};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

statements! {
    LIST = "SELECT id, name, external_id, created_at, changed_at FROM scim_groups WHERE org_id = $1 ORDER BY id";
    ONE = "SELECT id, name, external_id, created_at, changed_at FROM scim_groups WHERE org_id = $1 AND id = $2";
    COUNT = "SELECT COUNT(*) FROM scim_groups WHERE org_id = $1";
    PAGE = "SELECT id, name, external_id, created_at, changed_at FROM scim_groups WHERE org_id = $1 ORDER BY id LIMIT $3 OFFSET $2";
    AFTER = "SELECT id, name, external_id, created_at, changed_at FROM scim_groups WHERE org_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    NAMED = "SELECT id, name, external_id, created_at, changed_at FROM scim_groups WHERE org_id = $1 AND name_key = $2 ORDER BY id";
    CALLED = "SELECT id, name, external_id, created_at, changed_at FROM scim_groups WHERE org_id = $1 AND external_id = $2 ORDER BY id";
    GROUPS_OF = "SELECT u.group_names FROM users u WHERE u.org_id = $1 AND u.id = $2";
    OF_NAME = "SELECT id FROM scim_groups WHERE org_id = $1 AND name_key = $2";
    PUT = "INSERT INTO scim_groups (id, org_id, name, name_key, external_id, created_at, changed_at) \
           VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
           name_key = excluded.name_key, external_id = excluded.external_id, changed_at = excluded.changed_at";
    DELETE = "DELETE FROM scim_groups WHERE org_id = $1 AND id = $2";
    SET = "UPDATE users SET group_names = $3 WHERE org_id = $1 AND id = $2";
}

type Row = (String, String, Option<String>, i64, i64);

/// How many members an audit entry names.
const TOLD: usize = 20;
/// Of so many groups the members are asked for group by group.
const ONE_BY_ONE: usize = 4;

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

/// By what groups are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimGroupKey<'a> {
    /// The id.
    Id(&'a str),
    /// The name, in any case.
    Name(&'a str),
    /// What the provider calls it.
    ExternalId(&'a str),
    /// The id of somebody in it.
    Member(&'a str),
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
    /// So many groups in the order of their ids, after the first `skip`; and how many there are.
    pub async fn scim_groups_page(
        &self,
        scope: &TenantScope,
        (skip, most): (usize, usize),
    ) -> Result<(usize, Vec<ScimGroup>), StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let count = run!(&mut tx, optional: (i64,), COUNT, &scope.org_id)?.map_or(0, |(count,)| count);
        let rows = run!(&mut tx, all: Row, PAGE, &scope.org_id, bound(skip), bound(most))?;
        let count = usize::try_from(read_number(count, "group count")?).unwrap_or(usize::MAX);
        Ok((count, with_members(&mut tx, scope, rows).await?))
    }

    /// So many groups in the order of their ids, after one of them.
    pub async fn scim_groups_after(
        &self,
        scope: &TenantScope,
        after: &str,
        most: usize,
    ) -> Result<Vec<ScimGroup>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: Row, AFTER, &scope.org_id, after, bound(most))?;
        with_members(&mut tx, scope, rows).await
    }

    /// Every group that a key could mean, perhaps others.
    pub async fn scim_groups_by(
        &self,
        scope: &TenantScope,
        key: ScimGroupKey<'_>,
    ) -> Result<Vec<ScimGroup>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let rows = match key {
            ScimGroupKey::Id(id) => {
                run!(&mut tx, optional: Row, ONE, &scope.org_id, id)?.into_iter().collect()
            }
            ScimGroupKey::Name(name) => run!(&mut tx, all: Row, NAMED, &scope.org_id, name.to_lowercase())?,
            ScimGroupKey::ExternalId(id) => run!(&mut tx, all: Row, CALLED, &scope.org_id, id)?,
            ScimGroupKey::Member(id) => {
                let row = run!(&mut tx, optional: (String,), GROUPS_OF, &scope.org_id, id)?;
                let Some((names,)) = row else { return Ok(Vec::new()) };
                let names: BTreeSet<String> = read_json(&names, "group list")?;
                let mut every = run!(&mut tx, all: Row, LIST, &scope.org_id)?;
                every.retain(|row| names.contains(&row.1));
                every
            }
        };
        with_members(&mut tx, scope, rows).await
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
        let within = within(&mut tx, scope, &present.name).await?;
        let (gone, _) =
            set_members(&mut tx, scope, (&present.name, &present.name), (within, &nobody)).await?;
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
    let users = seats(tx, scope, true).await?;
    let known: BTreeSet<&str> = users.iter().map(|user| user.id.as_str()).collect();
    if let Some(unknown) = change.members.iter().find(|member| !known.contains(member.as_str())) {
        return Ok(ScimStored::NoMember(unknown.clone()));
    }
    run!(tx, execute PUT, id, &scope.org_id, &change.name, &key, &change.external_id, now)?;
    let (gone, come) = set_members(tx, scope, (before, &change.name), (users, &change.members)).await?;
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

/// Addresses of those who went, and of those who came, of these.
async fn set_members(
    tx: &mut Tx,
    scope: &TenantScope,
    (before, name): (&str, &str),
    (of, members): (Vec<Seat>, &BTreeSet<String>),
) -> Result<(Vec<String>, Vec<String>), StoreError> {
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    for mut user in of {
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
    let named: Vec<String> = emails.iter().take(TOLD).map(|email| format!("{sign}{email}")).collect();
    match emails.len().checked_sub(TOLD).filter(|more| *more > 0) {
        Some(more) => format!("{} and {sign}{more} more", named.join(" ")),
        None => named.join(" "),
    }
}

async fn one(tx: &mut Tx, scope: &TenantScope, id: &str) -> Result<Option<ScimGroup>, StoreError> {
    let Some(row) = run!(tx, optional: Row, ONE, &scope.org_id, id)? else { return Ok(None) };
    Ok(with_members(tx, scope, vec![row]).await?.pop())
}

/// Groups with who is in them. Of many groups, everybody who is in any is read once instead.
async fn with_members(
    tx: &mut Tx,
    scope: &TenantScope,
    rows: Vec<Row>,
) -> Result<Vec<ScimGroup>, StoreError> {
    let mut of_name: BTreeMap<String, BTreeMap<String, String>> =
        rows.iter().map(|row| (row.1.clone(), BTreeMap::new())).collect();
    let mut within_these = Vec::new();
    if rows.len() > ONE_BY_ONE {
        within_these = seats(tx, scope, false).await?;
    } else {
        for row in &rows {
            within_these.extend(within(tx, scope, &row.1).await?);
        }
    }
    for seat in within_these {
        for name in &seat.groups {
            if let Some(members) = of_name.get_mut(name) {
                members.insert(seat.id.clone(), seat.email.clone());
            }
        }
    }
    let group = |row: Row| {
        let members = of_name.remove(&row.1).unwrap_or_default();
        group(row, members)
    };
    Ok(rows.into_iter().map(group).collect())
}

fn group(
    (id, name, external_id, created_at, changed_at): Row,
    members: BTreeMap<String, String>,
) -> ScimGroup {
    ScimGroup { id, name, external_id, members, created_at, changed_at }
}
