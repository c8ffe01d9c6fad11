//! Members and groups in parts and by what providers look them up by, so that no answer takes a reading of everybody.
//!
//! A look-up gives candidates: everyone it could be, perhaps others. Who it is, is decided by whoever asked. What is
//! looked up by is kept beside a member as digests, which are as long as any index takes.

use crate::db::{Db, Tx, run, statements};
use crate::error::read_number;
use crate::scim::{Row, ScimUser, ScimUserChange, user};
use crate::{StoreError, TenantScope, digest};
use std::collections::BTreeSet;

statements! {
    COUNT = "SELECT (SELECT COUNT(*) FROM users u WHERE u.org_id = $1) - (SELECT COUNT(*) FROM scim_users s WHERE s.org_id = $1 AND s.gone)";
    PAGE = "SELECT u.id, u.email, u.group_names, u.attributes, u.disabled, s.document, COALESCE(s.created_at, u.created_at), \
            COALESCE(s.changed_at, u.created_at) FROM users u LEFT JOIN scim_users s ON s.user_id = u.id \
            WHERE u.org_id = $1 AND (s.user_id IS NULL OR NOT s.gone) ORDER BY u.id LIMIT $3 OFFSET $2";
    AFTER = "SELECT u.id, u.email, u.group_names, u.attributes, u.disabled, s.document, COALESCE(s.created_at, u.created_at), \
             COALESCE(s.changed_at, u.created_at) FROM users u LEFT JOIN scim_users s ON s.user_id = u.id \
             WHERE u.org_id = $1 AND u.id > $2 AND (s.user_id IS NULL OR NOT s.gone) \
             AND (CAST($3 AS BOOLEAN) IS NULL OR u.disabled <> $3) ORDER BY u.id LIMIT $4";
    KEYED = "SELECT u.id, u.email, u.group_names, u.attributes, u.disabled, s.document, COALESCE(s.created_at, u.created_at), \
             COALESCE(s.changed_at, u.created_at) FROM users u LEFT JOIN scim_users s ON s.user_id = u.id \
             WHERE u.org_id = $1 AND (s.user_id IS NULL OR NOT s.gone) AND u.id IN ( \
             SELECT k.user_id FROM scim_keys k WHERE k.org_id = $1 AND k.name = $2 AND k.value_sha256 = $3 \
             UNION SELECT o.user_id FROM scim_users o WHERE o.org_id = $1 AND NOT o.keyed \
             UNION SELECT v.id FROM users v WHERE v.org_id = $1 AND v.email = $4) ORDER BY u.id";
    FORGET_KEYS = "DELETE FROM scim_keys WHERE org_id = $1 AND user_id = $2";
    KEY = "INSERT INTO scim_keys (org_id, user_id, name, value_sha256) VALUES ($1, $2, $3, $4)";
    SET_KEYED = "UPDATE scim_users SET keyed = $3 WHERE org_id = $1 AND user_id = $2";
    SEATS = "SELECT u.id, u.email, u.group_names FROM users u LEFT JOIN scim_users s ON s.user_id = u.id \
             WHERE u.org_id = $1 AND (s.user_id IS NULL OR NOT s.gone) AND ($2 OR u.group_names <> '[]') ORDER BY u.id";
    WITHIN = "SELECT u.id, u.email, u.group_names FROM users u LEFT JOIN scim_users s ON s.user_id = u.id \
              WHERE u.org_id = $1 AND (s.user_id IS NULL OR NOT s.gone) AND u.group_names LIKE $2 ESCAPE '!' ORDER BY u.id";
}

/// What a look-up is by: the name beside a member's digests.
const EXTERNAL_ID: &str = "externalId";
const EMAIL: &str = "email";
/// Whoever has more of them is looked at with every look-up instead.
const MOST_KEYS: usize = 64;

/// By what somebody is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimKey<'a> {
    /// The id.
    Id(&'a str),
    /// What they sign in with, in any case.
    UserName(&'a str),
    /// What the provider calls them.
    ExternalId(&'a str),
    /// One of their addresses, in any case.
    Email(&'a str),
}

/// A member, as far as groups go.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) groups: BTreeSet<String>,
}

impl Db {
    /// So many members in the order of their ids, after the first `skip`; and how many there are.
    pub async fn scim_users_page(
        &self,
        scope: &TenantScope,
        (skip, most): (usize, usize),
    ) -> Result<(usize, Vec<ScimUser>), StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let count = run!(&mut tx, optional: (i64,), COUNT, &scope.org_id)?.map_or(0, |(count,)| count);
        let (skip, most) = (bound(skip), bound(most));
        let rows = run!(&mut tx, all: Row, PAGE, &scope.org_id, skip, most)?;
        let count = usize::try_from(read_number(count, "member count")?).unwrap_or(usize::MAX);
        Ok((count, rows.into_iter().map(user).collect::<Result<_, _>>()?))
    }

    /// So many members in the order of their ids, after one of them; all, or those with or without access.
    pub async fn scim_users_after(
        &self,
        scope: &TenantScope,
        after: &str,
        (active, most): (Option<bool>, usize),
    ) -> Result<Vec<ScimUser>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: Row, AFTER, &scope.org_id, after, active, bound(most))?;
        rows.into_iter().map(user).collect()
    }

    /// Everyone whom a key could mean, perhaps others.
    pub async fn scim_users_by(
        &self,
        scope: &TenantScope,
        key: ScimKey<'_>,
    ) -> Result<Vec<ScimUser>, StoreError> {
        let (name, value, email) = match key {
            ScimKey::Id(id) => return Ok(self.scim_user(scope, id).await?.into_iter().collect()),
            ScimKey::UserName(name) => return self.scim_users_named(scope, name).await,
            ScimKey::ExternalId(id) => (EXTERNAL_ID, digest(id), String::new()),
            ScimKey::Email(email) => (EMAIL, digest(&email.to_lowercase()), email.to_lowercase()),
        };
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: Row, KEYED, &scope.org_id, name, value, email)?;
        rows.into_iter().map(user).collect()
    }
}

/// Writes down what a member is looked up by from now on.
pub(crate) async fn key(
    tx: &mut Tx,
    scope: &TenantScope,
    (id, change): (&str, &ScimUserChange),
) -> Result<(), StoreError> {
    forget(tx, scope, id).await?;
    let emails: BTreeSet<String> = change.emails.iter().map(|email| email.to_lowercase()).collect();
    let keyed = emails.len() <= MOST_KEYS;
    if keyed {
        let external = change.external_id.iter().map(|id| (EXTERNAL_ID, id));
        for (name, value) in external.chain(emails.iter().map(|email| (EMAIL, email))) {
            run!(tx, execute KEY, &scope.org_id, id, name, digest(value))?;
        }
    }
    run!(tx, execute SET_KEYED, &scope.org_id, id, keyed).map(drop)
}

/// Whoever is gone is not looked up.
pub(crate) async fn forget(tx: &mut Tx, scope: &TenantScope, id: &str) -> Result<(), StoreError> {
    run!(tx, execute FORGET_KEYS, &scope.org_id, id).map(drop)
}

/// Every member; or those that are in any group.
pub(crate) async fn seats(tx: &mut Tx, scope: &TenantScope, all: bool) -> Result<Vec<Seat>, StoreError> {
    run!(tx, all: (String, String, String), SEATS, &scope.org_id, all)?.into_iter().map(seat).collect()
}

/// Who is in a group.
pub(crate) async fn within(tx: &mut Tx, scope: &TenantScope, group: &str) -> Result<Vec<Seat>, StoreError> {
    // As the member's row has it, among others; which of them are in it is said by what is read.
    let quoted = crate::error::write_json(&group, "group name")?;
    let escaped = quoted.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    let rows = run!(tx, all: (String, String, String), WITHIN, &scope.org_id, format!("%{escaped}%"))?;
    let seats: Vec<Seat> = rows.into_iter().map(seat).collect::<Result<_, _>>()?;
    Ok(seats.into_iter().filter(|seat| seat.groups.contains(group)).collect())
}

fn seat((id, email, groups): (String, String, String)) -> Result<Seat, StoreError> {
    Ok(Seat { id, email, groups: crate::error::read_json(&groups, "group list")? })
}

pub(crate) fn bound(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
