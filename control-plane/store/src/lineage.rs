//! From what a credential comes, and what ends with it.
//!
//! A token somebody makes for themselves ends with the credential that asked for it: the token (the foreign key sees to
//! that), or the sign-in at an identity provider. One that an admin makes for another account ends when that admin is
//! disabled or is no admin any more, and with the token that asked, unless that one is of a sign-in: a pipeline goes on
//! when its admin goes home. A program's token ends with the browser session that said yes to it.

use crate::db::{Tx, run, statements};
use crate::{Role, StoreError, TenantScope, UserAuth};

statements! {
    TOKEN = "SELECT t.id, u.role, t.provider_id, t.subject, t.provider_session, t.session_id FROM api_tokens t \
             JOIN users u ON u.id = t.user_id AND u.org_id = t.org_id WHERE t.org_id = $1 AND t.id = $2 AND NOT u.disabled";
    SESSION = "SELECT s.token_id, u.role, s.provider_id, s.subject, s.provider_session, s.id FROM web_sessions s \
               JOIN users u ON u.id = s.user_id AND u.org_id = s.org_id WHERE s.org_id = $1 AND s.id = $2 AND NOT u.disabled";
    LOCK = "UPDATE organizations SET audit_seq = audit_seq WHERE id = $1";
    END_OF_SESSION = "DELETE FROM api_tokens WHERE org_id = $1 AND session_id = $2";
    END_OF_USERS_SESSIONS = "DELETE FROM api_tokens WHERE org_id = $1 AND user_id = $2 AND session_id IS NOT NULL";
    END_MADE_FOR_OTHERS = "DELETE FROM api_tokens WHERE org_id = $1 AND created_by = $2 AND user_id <> $2";
    END_JOBS = "DELETE FROM api_tokens WHERE org_id = $1 AND workload_id IN (SELECT id FROM workloads WHERE org_id = $1 AND made_by = $2)";
    END_INVITES = "DELETE FROM sign_in_links WHERE org_id = $1 AND made_by = $2 AND purpose = 'invite'";
    END_ENROLMENTS = "DELETE FROM enrolment_tokens WHERE org_id = $1 AND created_by = $2 AND used_at IS NULL";
    REVOKE = "UPDATE certificates SET revoked_at = $2 WHERE org_id = $1 AND revoked_at IS NULL AND token_id IS NOT NULL \
              AND NOT EXISTS (SELECT 1 FROM api_tokens t WHERE t.id = certificates.token_id)";
}

type Row = (Option<String>, String, Option<String>, Option<String>, Option<String>, Option<String>);

/// Of which credential a new one is.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    pub(crate) parent_id: Option<String>,
    pub(crate) provider_id: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) provider_session: Option<String>,
}

/// What the caller's credential is of, for a token that speaks for `email`. `None` if that credential, or the right to
/// make such a token, has ended meanwhile. The organization must be locked: whatever ends the credential comes wholly
/// before or wholly after.
pub(crate) async fn of(tx: &mut Tx, by: &UserAuth, email: &str) -> Result<Option<Origin>, StoreError> {
    let (org, id) = (&by.scope().org_id, by.token_id());
    let mut row = run!(tx, optional: Row, TOKEN, org, id)?;
    if row.is_none() {
        row = run!(tx, optional: Row, SESSION, org, id)?;
    }
    let Some((parent_id, role, provider_id, subject, provider_session, signed_in)) = row else {
        return Ok(None);
    };
    if email == by.email() {
        return Ok(Some(Origin { parent_id, provider_id, subject, provider_session }));
    }
    if Role::from_name(&role) != Some(Role::Admin) {
        return Ok(None);
    }
    let of_a_sign_in = provider_id.is_some() || signed_in.is_some();
    Ok(Some(Origin { parent_id: parent_id.filter(|_| !of_a_sign_in), ..Origin::default() }))
}

/// Locks an organization before a look that something is decided by: nobody is disabled between the two. First of all,
/// because everything that ends credentials locks it first.
pub(crate) async fn lock(tx: &mut Tx, org_id: &str) -> Result<(), StoreError> {
    run!(tx, execute LOCK, org_id)?;
    Ok(())
}

/// Ends what programs were given by a browser session that ends.
pub(crate) async fn end_of_session(
    tx: &mut Tx,
    scope: &TenantScope,
    session: &str,
    now: i64,
) -> Result<(), StoreError> {
    run!(tx, execute END_OF_SESSION, &scope.org_id, session)?;
    revoke(tx, scope, now).await
}

/// Ends what programs were given by any browser session of a member.
pub(crate) async fn end_of_sessions(
    tx: &mut Tx,
    scope: &TenantScope,
    user: &str,
    now: i64,
) -> Result<(), StoreError> {
    run!(tx, execute END_OF_USERS_SESSIONS, &scope.org_id, user)?;
    revoke(tx, scope, now).await
}

/// Ends what somebody made as an admin: tokens of others, what jobs were given, open invites and enrolments.
pub(crate) async fn end_of_admin(
    tx: &mut Tx,
    scope: &TenantScope,
    user: &str,
    now: i64,
) -> Result<(), StoreError> {
    for end in [END_MADE_FOR_OTHERS, END_JOBS, END_INVITES, END_ENROLMENTS] {
        run!(tx, execute end, &scope.org_id, user)?;
    }
    revoke(tx, scope, now).await
}

/// Revokes the certificates of every token that is gone. After each deletion of tokens, in its transaction.
pub(crate) async fn revoke(tx: &mut Tx, scope: &TenantScope, now: i64) -> Result<(), StoreError> {
    run!(tx, execute REVOKE, &scope.org_id, now)?;
    Ok(())
}
