//! How people get in: invites to a membership nobody has taken up yet, the operator's recovery links, and links made
//! with an API token. Each is used once, and using one begins a browser session in the same transaction.
//!
//! Refused: an invite to a membership somebody has taken up, because the admin who made it would get that person's other
//! organizations with it. One that is made for recovery does not join that person: it replaces them in this organization.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::reach::Reach;
use crate::secret::digest;
use crate::web_sessions::{self, Method, NewSession};
use crate::{
    Lasting, Role, Secret, SecretKind, StoreError, TenantScope, UserAuth, identity, lineage, passkeys, users,
};
use std::collections::BTreeSet;
use uuid::Uuid;

statements! {
    MEMBER = "SELECT id, person_id, disabled, role FROM users WHERE org_id = $1 AND email = $2";
    MEMBER_ANYWHERE = "SELECT u.id, o.id, o.slug FROM users u JOIN organizations o ON o.id = u.org_id \
                       WHERE o.slug = $1 AND u.email = $2 AND NOT u.disabled";
    LINK = "INSERT INTO sign_in_links (id, org_id, user_id, purpose, token_id, sha256, created_by, created_at, expires_at, made_by, replaces) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    REPLACE = "DELETE FROM sign_in_links WHERE org_id = $1 AND user_id = $2 AND purpose = $3";
    EXPIRED = "DELETE FROM sign_in_links WHERE expires_at <= $1";
    LIST = "SELECT l.id, u.email, u.role, l.created_by, l.expires_at FROM sign_in_links l \
            JOIN users u ON u.id = l.user_id WHERE l.org_id = $1 AND l.purpose = 'invite' AND l.expires_at > $2 \
            ORDER BY u.email, l.id";
    WITHDRAW = "DELETE FROM sign_in_links WHERE org_id = $1 AND id = $2 AND purpose = 'invite' RETURNING user_id";
    SHOW = "SELECT o.name, o.slug, u.email, l.purpose, o.force_sso, l.replaces FROM sign_in_links l JOIN users u ON u.id = l.user_id \
            JOIN organizations o ON o.id = l.org_id WHERE l.sha256 = $1 AND l.expires_at > $2 AND NOT u.disabled \
            AND (l.made_by IS NULL OR EXISTS (SELECT 1 FROM users m WHERE m.id = l.made_by AND m.role = 'admin' AND NOT m.disabled))";
    OF_ORG = "SELECT org_id FROM sign_in_links WHERE sha256 = $1";
    TAKE = "DELETE FROM sign_in_links WHERE sha256 = $1 AND expires_at > $2 \
            AND (made_by IS NULL OR EXISTS (SELECT 1 FROM users m WHERE m.id = made_by AND m.role = 'admin' AND NOT m.disabled)) \
            RETURNING org_id, user_id, purpose, token_id, replaces";
    WHOSE = "SELECT u.email, u.person_id, o.slug FROM users u JOIN organizations o ON o.id = u.org_id \
             WHERE u.org_id = $1 AND u.id = $2 AND NOT u.disabled";
    PERSON = "INSERT INTO people (id, created_at) VALUES ($1, $2)";
    JOIN = "UPDATE users SET person_id = $3 WHERE org_id = $1 AND id = $2 AND person_id IS NULL";
    LEAVE = "UPDATE users SET person_id = NULL WHERE org_id = $1 AND id = $2";
    TAKEN = "SELECT id FROM users WHERE org_id = $1 AND person_id = $2";
    TOKEN_END = "SELECT expires_at FROM api_tokens WHERE org_id = $1 AND id = $2";
}

/// An invite to make.
#[derive(Debug)]
pub struct NewInvite<'a> {
    /// Whom, lower case.
    pub email: &'a str,
    /// The role of somebody new.
    pub role: Option<Role>,
    /// The groups of somebody new.
    pub groups: Option<&'a BTreeSet<String>>,
    /// Whether it is for somebody who has taken up the membership and lost their way in.
    pub recover: bool,
    /// Unix seconds.
    pub expires_at: i64,
}

/// What became of [`NewInvite`].
#[derive(Debug)]
pub enum Invited {
    /// Made; the secret is shown once.
    Done {
        /// Its id.
        id: String,
        /// Its secret.
        secret: Secret,
    },
    /// Somebody has taken up this membership already.
    Joined,
    /// The membership is disabled.
    Disabled,
    /// The membership exists; its role and groups are changed in the directory, not by an invite.
    Exists,
}

/// An open invite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedInvite {
    /// Its id.
    pub id: String,
    /// Whom.
    pub email: String,
    /// As what.
    pub role: String,
    /// By whom.
    pub created_by: String,
    /// Unix seconds.
    pub expires_at: i64,
}

/// Organization, user, purpose, token, whether it replaces whoever has the membership.
type UsedLink = (String, String, String, Option<String>, bool);

/// What a link that is still good is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkTarget {
    /// The organization's display name.
    pub organization: String,
    /// Its slug.
    pub org: String,
    /// As whom.
    pub email: String,
    /// Whether it joins a membership nobody has taken up.
    pub joins: bool,
    /// Whether that takes one of the organization's providers.
    pub by_provider: bool,
    /// Whether whoever had the membership has it no longer then.
    pub replaces: bool,
}

impl Db {
    /// Makes an invite; an earlier one to the same membership ends.
    pub async fn invite(&self, by: &UserAuth, new: &NewInvite<'_>, now: i64) -> Result<Invited, StoreError> {
        let scope = by.scope();
        let mut tx = self.write_tx(scope).await?;
        users::next_version(&mut tx, scope).await?;
        let known = run!(&mut tx, optional: (String, Option<String>, bool, String), MEMBER, &scope.org_id, new.email)?;
        let user_id = match known {
            Some((_, Some(_), ..)) if !new.recover => return Ok(Invited::Joined),
            Some((_, _, true, _)) => return Ok(Invited::Disabled),
            Some(_) if new.role.is_some() || new.groups.is_some() => return Ok(Invited::Exists),
            Some((id, _, false, role)) => {
                if Role::from_name(&role) == Some(Role::Admin) {
                    scope.basis().may(Lasting::WayIn)?;
                }
                id
            }
            None => {
                let none = BTreeSet::new();
                let role = new.role.unwrap_or(Role::Member);
                users::add(&mut tx, scope, (new.email, role, new.groups.unwrap_or(&none)), now).await?
            }
        };
        run!(&mut tx, execute REPLACE, &scope.org_id, &user_id, "invite")?;
        let (id, secret) = link(
            &mut tx,
            scope,
            (&user_id, "invite", Made::By(by.user_id(), new.recover)),
            (now, new.expires_at),
        )
        .await?;
        let action = if new.recover { "invite.recover" } else { "invite.create" };
        append(&mut tx, scope, Happened { action, target: new.email, detail: &id }, now).await?;
        tx.commit().await?;
        Ok(Invited::Done { id, secret })
    }

    /// Invites that can still be used.
    pub async fn invites(&self, scope: &TenantScope, now: i64) -> Result<Vec<ListedInvite>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: (String, String, String, String, i64), LIST, &scope.org_id, now)?;
        let listed = |(id, email, role, created_by, expires_at)| ListedInvite {
            id,
            email,
            role,
            created_by,
            expires_at,
        };
        Ok(rows.into_iter().map(listed).collect())
    }

    /// Ends an invite. `false` if there is none.
    pub async fn withdraw_invite(&self, scope: &TenantScope, id: &str, now: i64) -> Result<bool, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        if run!(&mut tx, optional: (String,), WITHDRAW, &scope.org_id, id)?.is_none() {
            return Ok(false);
        }
        append(&mut tx, scope, Happened { action: "invite.withdraw", target: id, detail: "" }, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// A link that signs the caller in to the console; what it begins ends with the caller's token.
    pub async fn link_for_token(
        &self,
        by: &UserAuth,
        expires_at: i64,
        now: i64,
    ) -> Result<Secret, StoreError> {
        let scope = by.scope();
        let mut tx = self.write_tx(scope).await?;
        let what = (by.user_id(), "token", Made::With(by.token_id()));
        let (id, secret) = link(&mut tx, scope, what, (now, expires_at)).await?;
        append(
            &mut tx,
            scope,
            Happened { action: "sign_in_link.create", target: by.email(), detail: &id },
            now,
        )
        .await?;
        tx.commit().await?;
        Ok(secret)
    }

    /// A link for somebody who lost every other way in. For the operator of the installation, not for any tenant.
    pub async fn recovery_link(
        &self,
        org: &str,
        email: &str,
        (now, expires_at): (i64, i64),
    ) -> Result<Option<Secret>, StoreError> {
        let mut tx = self.write_tx(Reach::Arrival).await?;
        let member = run!(&mut tx, optional: (String, String, String), MEMBER_ANYWHERE, org, email)?;
        let Some((user_id, org_id, slug)) = member else { return Ok(None) };
        let scope = TenantScope::of(org_id, slug, "operator".to_owned());
        tx.turn_to((&scope).into()).await?;
        run!(&mut tx, execute REPLACE, &scope.org_id, &user_id, "recovery")?;
        let (id, secret) =
            link(&mut tx, &scope, (&user_id, "recovery", Made::ByOperator), (now, expires_at)).await?;
        append(&mut tx, &scope, Happened { action: "sign_in_link.recover", target: email, detail: &id }, now)
            .await?;
        tx.commit().await?;
        Ok(Some(secret))
    }

    /// What a link is for, as long as it can be used.
    pub async fn link_target(&self, secret: &str, now: i64) -> Result<Option<LinkTarget>, StoreError> {
        if SecretKind::of(secret) != Some(SecretKind::SignIn) {
            return Ok(None);
        }
        let mut tx = self.read_tx(Reach::Arrival).await?;
        let row =
            run!(&mut tx, optional: (String, String, String, String, bool, bool), SHOW, digest(secret), now)?;
        Ok(row.map(|(organization, org, email, purpose, forced, replaces)| LinkTarget {
            organization,
            org,
            email,
            joins: purpose == "invite",
            by_provider: forced && purpose != "recovery",
            replaces,
        }))
    }

    /// Uses a link: a new session, or `None` if the link is not good (any more). `person` is whoever is signed in
    /// already with means of their own; an invite then joins them rather than somebody new.
    pub async fn use_link(
        &self,
        secret: &str,
        person: Option<&str>,
        now: i64,
    ) -> Result<Option<Secret>, StoreError> {
        if SecretKind::of(secret) != Some(SecretKind::SignIn) {
            return Ok(None);
        }
        let mut tx = self.write_tx(Reach::Arrival).await?;
        let org = run!(&mut tx, optional: (String,), OF_ORG, digest(secret))?;
        let Some((org,)) = org else { return Ok(None) };
        tx.turn_to(Reach::Org(&org)).await?;
        lineage::lock(&mut tx, &org).await?;
        let used = run!(&mut tx, optional: UsedLink, TAKE, digest(secret), now)?;
        let Some((org_id, user_id, purpose, token_id, replaces)) = used else { return Ok(None) };
        let whose = run!(&mut tx, optional: (String, Option<String>, String), WHOSE, &org_id, &user_id)?;
        let Some((email, mut held_by, slug)) = whose else { return Ok(None) };
        let scope = TenantScope::of(org_id, slug, format!("user:{email}"));
        if purpose != "recovery" && identity::forces_sso(&mut tx, &scope.org_id).await? {
            return Ok(None);
        }
        // Whoever proves to be the person who has it keeps what they have; nobody else does.
        if replaces && (held_by.is_none() || held_by.as_deref() != person) {
            leave(&mut tx, &scope, (&user_id, held_by.take()), now).await?;
        }
        let (method, ends_by) = match (purpose.as_str(), &held_by, &token_id) {
            ("invite", None, None) => (Method::Invite, None),
            ("invite", Some(_), None) if replaces => (Method::Invite, None),
            ("recovery", _, None) => (Method::Recovery, None),
            ("token", _, Some(token)) => (
                Method::Token,
                run!(&mut tx, optional: (i64,), TOKEN_END, &scope.org_id, token)?.map(|(at,)| at),
            ),
            _ => return Ok(None),
        };
        if held_by.is_none() && method != Method::Token {
            let person = match (person, method) {
                (Some(person), Method::Invite) if !is_member(&mut tx, &scope, person).await? => {
                    person.to_owned()
                }
                _ => new_person(&mut tx, now).await?,
            };
            run!(&mut tx, execute JOIN, &scope.org_id, &user_id, &person)?;
            append(
                &mut tx,
                &scope,
                Happened { action: "member.join", target: &email, detail: &purpose },
                now,
            )
            .await?;
        }
        let new = NewSession { token_id: token_id.as_deref(), ends_by, ..NewSession::of(&user_id, method) };
        let session = web_sessions::begin(&mut tx, &scope, &new, now).await?;
        tx.commit().await?;
        Ok(Some(session))
    }
}

/// A link for the first admin, in the transaction that makes the organization.
pub(crate) async fn first_link(
    tx: &mut Tx,
    scope: &TenantScope,
    user_id: &str,
    times: (i64, i64),
) -> Result<Secret, StoreError> {
    link(tx, scope, (user_id, "recovery", Made::ByOperator), times).await.map(|(_, secret)| secret)
}

/// What a link ends with.
enum Made<'a> {
    /// This token.
    With(&'a str),
    /// This admin's being one; and whether whoever takes it up replaces whoever has the membership.
    By(&'a str, bool),
    /// Nothing but its time.
    ByOperator,
}

async fn link(
    tx: &mut Tx,
    scope: &TenantScope,
    (user_id, purpose, made): (&str, &str, Made<'_>),
    (now, expires_at): (i64, i64),
) -> Result<(String, Secret), StoreError> {
    run!(tx, execute EXPIRED, now)?;
    let id = Uuid::now_v7().to_string();
    let secret = Secret::generate(SecretKind::SignIn)?;
    let (token_id, made_by, replaces) = match made {
        Made::With(token) => (Some(token), None, false),
        Made::By(admin, replaces) => (None, Some(admin), replaces),
        Made::ByOperator => (None, None, false),
    };
    run!(tx, execute LINK, &id, &scope.org_id, user_id, purpose, token_id, secret.sha256(), &scope.actor, now, expires_at,
        made_by, replaces)?;
    Ok((id, secret))
}

/// Whoever had a membership has it no longer, and nothing they have, or made as an admin, opens anything.
pub(crate) async fn leave(
    tx: &mut Tx,
    scope: &TenantScope,
    (user, held_by): (&str, Option<String>),
    now: i64,
) -> Result<(), StoreError> {
    users::shut_out(tx, scope, user, now).await?;
    run!(tx, execute LEAVE, &scope.org_id, user)?;
    match held_by {
        Some(person) => passkeys::forget_person(tx, (&person, scope)).await,
        None => Ok(()),
    }
}

async fn is_member(tx: &mut Tx, scope: &TenantScope, person: &str) -> Result<bool, StoreError> {
    Ok(run!(tx, optional: (String,), TAKEN, &scope.org_id, person)?.is_some())
}

async fn new_person(tx: &mut Tx, now: i64) -> Result<String, StoreError> {
    let id = Uuid::now_v7().to_string();
    run!(tx, execute PERSON, &id, now)?;
    Ok(id)
}
