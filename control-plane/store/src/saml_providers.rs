//! Providers that speak SAML, where that differs: keys are pinned and change by an admin's hand, an assertion counts
//! once, sessions end by the provider's name for the person, and whoever signs out here is told there.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::error::write_json;
use crate::identity::{StoredProvider, insert_provider, remember};
use crate::reach::Reach;
use crate::web_sessions::IDLE_SECONDS;
use crate::{SessionAuth, SignInProvider, StoreError, TenantScope, UserAuth, lineage};
use serde::Serialize;

statements! {
    CHANGE = "UPDATE identity_providers SET name = $3, rules = $4, saml = $5 WHERE org_id = $1 AND id = $2 AND issuer = $6 \
              AND saml = $7";
    BEGAN_IN = "SELECT s.org_id, o.slug, u.id, u.email FROM web_sessions s JOIN users u ON u.id = s.user_id AND u.org_id = s.org_id \
                JOIN organizations o ON o.id = s.org_id WHERE s.id = $1 AND s.expires_at > $2 AND s.seen_at > $3 AND NOT u.disabled";
    END = "DELETE FROM web_sessions WHERE org_id = $1 AND id = $2";
    OLD_LOGOUTS = "DELETE FROM saml_logouts WHERE org_id = $1 AND expires_at <= $2";
    SENT = "INSERT INTO saml_logouts (id, org_id, provider_id, expires_at) VALUES ($1, $2, $3, $4)";
    ANSWERED = "DELETE FROM saml_logouts WHERE org_id = $1 AND provider_id = $2 AND id = $3 AND expires_at > $4";
    THERE = "SELECT provider_id, name_id, provider_session FROM web_sessions WHERE org_id = $1 AND id = $2 \
             AND provider_id IS NOT NULL AND name_id IS NOT NULL";
}

/// As whom somebody is known where their session was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownThere {
    /// The provider.
    pub provider_id: String,
    /// Its name for the person, as it was kept.
    pub name_id: String,
    /// Its session.
    pub session: Option<String>,
}

/// What an entry of the audit says of a provider's keys.
#[derive(Serialize)]
struct Detail<'a> {
    rules: &'a daam_api::v1::ProviderRules,
    keys: &'a [String],
}

impl Db {
    /// Adds a provider whose keys are these (their certificates' SHA-256, for the audit).
    pub async fn add_saml_provider(
        &self,
        by: &UserAuth,
        (new, keys): (&StoredProvider, &[String]),
        now: i64,
    ) -> Result<(), StoreError> {
        let scope = by.scope();
        let mut tx = self.write_tx(scope).await?;
        insert_provider(&mut tx, scope, new, now).await?;
        happened(&mut tx, scope, ("provider.add", new, keys), now).await?;
        tx.commit().await
    }

    /// Changes a provider's name, rules and keys, where its settings are still `before`: what may be changed was judged by
    /// those. `false` if there is no such provider of this issuer: who somebody is was said by that one.
    pub async fn change_saml_provider(
        &self,
        by: &UserAuth,
        (before, changed, keys): (&str, &StoredProvider, &[String]),
        now: i64,
    ) -> Result<bool, StoreError> {
        let scope = by.scope();
        let rules = write_json(&changed.rules, "provider rules")?;
        let mut tx = self.write_tx(scope).await?;
        happened(&mut tx, scope, ("provider.change", changed, keys), now).await?;
        if run!(&mut tx, execute CHANGE, &scope.org_id, &changed.id, &changed.name, &rules, &changed.saml, &changed.issuer,
            before)?
            == 0
        {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Whether the session a sign-in began in still is this member's.
    pub async fn still_signed_in(&self, session: &str, user_id: &str, now: i64) -> Result<bool, StoreError> {
        let mut tx = self.read_tx(Reach::Arrival).await?;
        let began = began_in(&mut tx, session, now).await?;
        Ok(began.is_some_and(|(_, user)| user == user_id))
    }

    /// Ends the session a sign-in began in, if there still is one; where that was.
    pub async fn end_session_before(
        &self,
        session: &str,
        now: i64,
    ) -> Result<Option<TenantScope>, StoreError> {
        let mut tx = self.write_tx(Reach::Arrival).await?;
        let Some((scope, _)) = began_in(&mut tx, session, now).await? else { return Ok(None) };
        tx.turn_to((&scope).into()).await?;
        lineage::lock(&mut tx, &scope.org_id).await?;
        run!(&mut tx, execute END, &scope.org_id, session)?;
        lineage::end_of_session(&mut tx, &scope, session, now).await?;
        let target = scope.actor.strip_prefix("user:").unwrap_or(&scope.actor);
        append(&mut tx, &scope, Happened { action: "session.end", target, detail: "" }, now).await?;
        tx.commit().await?;
        Ok(Some(scope))
    }

    /// As whom the caller is known where their session was begun, if that is to be told when they sign out.
    pub async fn known_there(&self, session: &SessionAuth) -> Result<Option<KnownThere>, StoreError> {
        let scope = session.user().scope();
        let mut tx = self.read_tx(scope).await?;
        let row =
            run!(&mut tx, optional: (String, String, Option<String>), THERE, &scope.org_id, session.id())?;
        Ok(row.map(|(provider_id, name_id, session)| KnownThere { provider_id, name_id, session }))
    }

    /// Remembers a notice that a provider is sent, until it is answered or `expires_at`.
    pub async fn logout_sent(
        &self,
        at: &SignInProvider,
        (id, expires_at): (&str, i64),
        now: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.write_tx(at.scope()).await?;
        run!(&mut tx, execute OLD_LOGOUTS, &at.scope().org_id, now)?;
        run!(&mut tx, execute SENT, id, &at.scope().org_id, &at.provider().id, expires_at)?;
        tx.commit().await
    }

    /// A notice is answered. `false` if this provider was sent none of that id, or has answered it before.
    pub async fn logout_answered(&self, at: &SignInProvider, id: &str, now: i64) -> Result<bool, StoreError> {
        let mut tx = self.write_tx(at.scope()).await?;
        let open = run!(&mut tx, execute ANSWERED, &at.scope().org_id, &at.provider().id, id, now)?;
        tx.commit().await?;
        Ok(open == 1)
    }

    /// The provider says that somebody signed out of these sessions there, or of all. `false` if it said so before.
    pub async fn signed_out_of(
        &self,
        at: &SignInProvider,
        (subject, sessions): (&str, &[String]),
        (id, expires_at): (&str, i64),
        now: i64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write_tx(at.scope()).await?;
        let what = Happened { action: "provider.logout", target: subject, detail: id };
        append(&mut tx, at.scope(), what, now).await?;
        if !remember(&mut tx, at, (id, expires_at), now).await? {
            return Ok(false);
        }
        let every: Vec<Option<&str>> = if sessions.is_empty() {
            vec![None]
        } else {
            sessions.iter().map(|one| Some(one.as_str())).collect()
        };
        for session in every {
            crate::identity::end_at(&mut tx, at, (Some(subject), session)).await?;
        }
        lineage::revoke(&mut tx, at.scope(), now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn happened(
    tx: &mut Tx,
    scope: &TenantScope,
    (action, provider, keys): (&'static str, &StoredProvider, &[String]),
    now: i64,
) -> Result<(), StoreError> {
    let detail = write_json(&Detail { rules: &provider.rules, keys }, "provider rules")?;
    append(tx, scope, Happened { action, target: &provider.issuer, detail: &detail }, now).await
}

/// Whose session it is, by organization and member.
async fn began_in(tx: &mut Tx, session: &str, now: i64) -> Result<Option<(TenantScope, String)>, StoreError> {
    type Row = (String, String, String, String);
    let row = run!(tx, optional: Row, BEGAN_IN, session, now, now.saturating_sub(IDLE_SECONDS))?;
    Ok(row.map(|(org_id, slug, user, email)| (TenantScope::of(org_id, slug, format!("user:{email}")), user)))
}
