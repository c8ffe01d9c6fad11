//! Whose membership it is that somebody comes to by a provider for the first time, and the groups they have there.
//!
//! An e-mail address links nobody to a membership that exists: that takes an invite, or a session of that member.

use crate::audit::{Happened, append};
use crate::db::{Tx, run, statements};
use crate::error::{read_json, write_json};
use crate::identity::{Flow, Proven, SignInOutcome, SignInProvider};
use crate::{Role, StoreError, TenantScope, members, users};
use daam_api::v1::ProviderRules;
use std::collections::BTreeSet;

statements! {
    LINK = "INSERT INTO identity_links (provider_id, subject, org_id, user_id, created_at) VALUES ($1, $2, $3, $4, $5) \
            ON CONFLICT (provider_id, user_id) DO NOTHING";
    MEMBER = "SELECT email FROM users WHERE org_id = $1 AND id = $2 AND NOT disabled";
    TAKEN = "SELECT id FROM users WHERE org_id = $1 AND email = $2";
    INVITED = "DELETE FROM sign_in_links WHERE org_id = $1 AND sha256 = $2 AND purpose = 'invite' AND expires_at > $3 \
               AND (made_by IS NULL OR EXISTS (SELECT 1 FROM users m WHERE m.id = made_by AND m.role = 'admin' AND NOT m.disabled)) \
               RETURNING user_id, replaces";
    HELD_BY = "SELECT person_id FROM users WHERE org_id = $1 AND id = $2";
    GROUPS = "SELECT group_names FROM users WHERE org_id = $1 AND id = $2";
    SET_GROUPS = "UPDATE users SET group_names = $3 WHERE org_id = $1 AND id = $2";
}

/// A subject nobody here is yet: the member who links their account, whoever was invited, or somebody new.
pub(crate) async fn newcomer(
    tx: &mut Tx,
    at: &SignInProvider,
    (proven, flow): (&Proven, &Flow),
    now: i64,
) -> Result<Result<(String, String), SignInOutcome>, StoreError> {
    let org = &at.scope().org_id;
    let member = match (&flow.user_id, &flow.invite_sha256) {
        (Some(user), _) => Some(user.clone()),
        (None, Some(invite)) => {
            let Some(user) = invited(tx, at, invite, now).await? else {
                return Ok(Err(SignInOutcome::NotLinked));
            };
            Some(user)
        }
        (None, None) => None,
    };
    let (user_id, email) = match member {
        Some(user_id) => {
            let member = run!(tx, optional: (String,), MEMBER, org, &user_id)?;
            let Some((email,)) = member else { return Ok(Err(SignInOutcome::Disabled)) };
            (user_id, email)
        }
        None => match provisioned(tx, at, proven, now).await? {
            Ok(member) => member,
            Err(refused) => return Ok(Err(refused)),
        },
    };
    if run!(tx, execute LINK, &at.provider().id, &proven.subject, org, &user_id, now)? == 0 {
        return Ok(Err(SignInOutcome::NotLinked));
    }
    let what = Happened { action: "member.link", target: &email, detail: &proven.subject };
    append(tx, at.scope(), what, now).await?;
    Ok(Ok((user_id, email)))
}

/// Whose membership an invite is to, once. One that recovers leaves nobody in it; one to a membership that somebody took
/// up meanwhile is not good any more.
async fn invited(
    tx: &mut Tx,
    at: &SignInProvider,
    invite: &str,
    now: i64,
) -> Result<Option<String>, StoreError> {
    let org = &at.scope().org_id;
    let taken = run!(tx, optional: (String, bool), INVITED, org, invite, now)?;
    let Some((user, replaces)) = taken else { return Ok(None) };
    let held_by = run!(tx, optional: (Option<String>,), HELD_BY, org, &user)?.and_then(|(person,)| person);
    if replaces {
        members::leave(tx, at.scope(), (&user, held_by), now).await?;
    } else if held_by.is_some() {
        return Ok(None);
    }
    Ok(Some(user))
}

async fn provisioned(
    tx: &mut Tx,
    at: &SignInProvider,
    proven: &Proven,
    now: i64,
) -> Result<Result<(String, String), SignInOutcome>, StoreError> {
    let rules = &at.provider().rules;
    if !rules.provision {
        return Ok(Err(SignInOutcome::Unknown));
    }
    let Some(email) = &proven.email else { return Ok(Err(SignInOutcome::Domain)) };
    if !proven.email_verified && !rules.trust_unverified_email {
        return Ok(Err(SignInOutcome::Unverified));
    }
    let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
    if !rules.allowed_domains.is_empty() && !rules.allowed_domains.contains(domain) {
        return Ok(Err(SignInOutcome::Domain));
    }
    if run!(tx, optional: (String,), TAKEN, &at.scope().org_id, email)?.is_some() {
        return Ok(Err(SignInOutcome::EmailTaken));
    }
    let role =
        Role::from_name(&rules.default_role).filter(|role| *role != Role::Admin).unwrap_or(Role::Member);
    let id = users::add(tx, at.scope(), (email, role, &BTreeSet::new()), now).await?;
    Ok(Ok((id, email.clone())))
}

/// The groups the rules name are what the provider says now; all others stay as they are.
pub(crate) async fn sync_groups(
    tx: &mut Tx,
    (scope, rules): (&TenantScope, &ProviderRules),
    (user_id, email, proven): (&str, &str, &Proven),
    now: i64,
) -> Result<(), StoreError> {
    if rules.groups_claim.is_none() {
        return Ok(());
    }
    let row = run!(tx, optional: (String,), GROUPS, &scope.org_id, user_id)?;
    let present: BTreeSet<String> = read_json(&row.ok_or(StoreError::Decode("user"))?.0, "group list")?;
    let managed: BTreeSet<&String> = rules.groups.values().collect();
    let kept = present.iter().filter(|group| !managed.contains(group)).cloned();
    let said = rules.groups.iter().filter(|(theirs, _)| proven.groups.contains(*theirs));
    let groups: BTreeSet<String> = kept.chain(said.map(|(_, ours)| ours.clone())).collect();
    if groups == present {
        return Ok(());
    }
    let text = write_json(&groups, "group list")?;
    run!(tx, execute SET_GROUPS, &scope.org_id, user_id, &text)?;
    append(tx, scope, Happened { action: "user.groups", target: email, detail: &text }, now).await
}
