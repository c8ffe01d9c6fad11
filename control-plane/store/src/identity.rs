//! Identity providers, who is who at them, and signing in by one.
//!
//! Somebody is known by the provider's subject. An e-mail address links nobody to a membership that exists: that takes
//! an invite, or a session of that member. What a provider vouches for counts in its own organization alone.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::error::{read_json, write_json};
use crate::reach::Reach;
use crate::web_sessions::{self, At, Method, NewSession};
use crate::{Secret, StoreError, TenantScope, UserAuth, arrivals, lineage, users};
use daam_api::v1::ProviderRules;
use std::collections::BTreeSet;
use uuid::Uuid;

statements! {
    ADD = "INSERT INTO identity_providers (id, org_id, name, issuer, client_id, sealed_secret, rules, created_at, saml) \
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    LIST = "SELECT id, name, issuer, client_id, sealed_secret, rules, saml FROM identity_providers WHERE org_id = $1 ORDER BY name, id";
    FORGET_SESSIONS = "DELETE FROM web_sessions WHERE org_id = $1 AND provider_id = $2";
    FORGET_TOKENS = "DELETE FROM api_tokens WHERE org_id = $1 AND provider_id = $2";
    REMOVE = "DELETE FROM identity_providers WHERE org_id = $1 AND id = $2";
    OF_ORG = "SELECT p.id, p.name, p.saml IS NOT NULL FROM identity_providers p JOIN organizations o ON o.id = p.org_id WHERE o.slug = $1 ORDER BY p.name, p.id";
    BY_ID = "SELECT p.id, p.name, p.issuer, p.client_id, p.sealed_secret, p.rules, p.saml, o.id, o.slug \
             FROM identity_providers p JOIN organizations o ON o.id = p.org_id WHERE p.id = $1";
    FORCED = "SELECT force_sso FROM organizations WHERE id = $1";
    FORCE = "UPDATE organizations SET force_sso = $2 WHERE id = $1";
    END_OTHER_PROGRAMS = "DELETE FROM api_tokens WHERE org_id = $1 AND session_id IN (SELECT id FROM web_sessions \
                          WHERE org_id = $1 AND provider_id IS NULL)";
    END_OTHERS = "DELETE FROM web_sessions WHERE org_id = $1 AND provider_id IS NULL";
    FLOW = "INSERT INTO sign_in_flows (state_sha256, org_id, provider_id, browser_sha256, nonce, verifier, return_to, user_id, \
            invite_sha256, expires_at, session_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    OLD_FLOWS = "DELETE FROM sign_in_flows WHERE expires_at <= $1";
    TAKE_FLOW = "DELETE FROM sign_in_flows WHERE state_sha256 = $1 AND expires_at > $2 \
                 RETURNING provider_id, browser_sha256, nonce, verifier, return_to, user_id, invite_sha256, session_id";
    KNOWN = "SELECT u.id, u.email, u.disabled FROM identity_links l JOIN users u ON u.id = l.user_id AND u.org_id = l.org_id \
             WHERE l.org_id = $1 AND l.provider_id = $2 AND l.subject = $3";
    RECOVERS = "SELECT user_id FROM sign_in_links WHERE org_id = $1 AND sha256 = $2 AND purpose = 'invite' AND replaces AND expires_at > $3";
    SEEN = "INSERT INTO logout_tokens (provider_id, jti, expires_at) VALUES ($1, $2, $3) ON CONFLICT (provider_id, jti) DO NOTHING";
    OLD_SEEN = "DELETE FROM logout_tokens WHERE expires_at <= $1";
    END_SESSIONS = "DELETE FROM web_sessions WHERE org_id = $1 AND provider_id = $2 AND (CAST($3 AS TEXT) IS NULL OR subject = $3) \
                    AND (CAST($4 AS TEXT) IS NULL OR provider_session = $4 OR (provider_session IS NULL AND CAST($3 AS TEXT) IS NOT NULL))";
    END_TOKENS = "DELETE FROM api_tokens WHERE org_id = $1 AND provider_id = $2 AND (CAST($3 AS TEXT) IS NULL OR subject = $3) \
                  AND (CAST($4 AS TEXT) IS NULL OR provider_session = $4 OR (provider_session IS NULL AND CAST($3 AS TEXT) IS NOT NULL))";
    OPEN_FLOWS = "SELECT COUNT(*) FROM sign_in_flows WHERE org_id = $1";
    MAKE_ROOM = "DELETE FROM sign_in_flows WHERE state_sha256 IN (SELECT state_sha256 FROM sign_in_flows WHERE org_id = $1 \
                 ORDER BY expires_at, state_sha256 LIMIT $2)";
}

/// Sign-ins of one organization that are under way, at most; the oldest goes for a new one.
const MOST_FLOWS: i64 = 40_000;

/// A provider of an organization.
#[derive(Debug, Clone)]
pub struct StoredProvider {
    /// Its id.
    pub id: String,
    /// As people see it.
    pub name: String,
    /// Its issuer.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// Our secret there, encrypted by the caller.
    pub sealed_secret: Option<String>,
    /// Whom it may bring in.
    pub rules: ProviderRules,
    /// What a provider that speaks SAML is known by, as the caller wrote it; `None` is one that speaks OpenID Connect.
    pub saml: Option<String>,
}

/// A provider as whoever wants to sign in sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    is_saml: bool,
}

impl Door {
    /// What it speaks, as our paths name it.
    pub fn speaks(&self) -> &'static str {
        if self.is_saml { "saml" } else { "oidc" }
    }
}

/// A provider somebody signs in by, with the right to let them into its organization and no other.
#[derive(Debug, Clone)]
pub struct SignInProvider {
    scope: TenantScope,
    provider: StoredProvider,
}

impl SignInProvider {
    /// The organization.
    pub fn scope(&self) -> &TenantScope {
        &self.scope
    }
    /// The provider.
    pub fn provider(&self) -> &StoredProvider {
        &self.provider
    }
}

/// A sign-in that is under way in one browser.
#[derive(Debug)]
pub struct Flow {
    /// What the provider must put into the token.
    pub nonce: String,
    /// Of PKCE.
    pub verifier: String,
    /// Where to go on to.
    pub return_to: String,
    /// The member who links their account, if it is that.
    pub user_id: Option<String>,
    /// The invite that is taken up by it, if it is that.
    pub invite_sha256: Option<String>,
    /// The session it began in, if no cookie will say so when the answer comes.
    pub session_id: Option<String>,
}

/// What a provider vouches for.
#[derive(Debug, Clone, Default)]
pub struct Proven {
    /// Who, there.
    pub subject: String,
    /// The e-mail address, if it says one.
    pub email: Option<String>,
    /// Whether it verified that; not to say so is not to have.
    pub email_verified: bool,
    /// The groups of the configured claim.
    pub groups: BTreeSet<String>,
    /// Its own session.
    pub session: Option<String>,
    /// What to call the person there, where that is to be kept.
    pub name_id: Option<String>,
    /// That it counts once: its id, and until when that is remembered.
    pub once: Option<(String, i64)>,
    /// When the session ends whatever happens, if the provider says so.
    pub ends_by: Option<i64>,
}

/// What became of a sign-in.
#[derive(Debug)]
pub enum SignInOutcome {
    /// A session.
    Done(Secret),
    /// Nobody here is this subject, and the provider may bring nobody in.
    Unknown,
    /// The provider does not say that it verified the e-mail address.
    Unverified,
    /// The e-mail address is of no allowed domain, or none.
    Domain,
    /// A membership has this e-mail address, and nothing proves that it is the same person.
    EmailTaken,
    /// The member is linked to another subject of this provider, or the invite is not good any more.
    NotLinked,
    /// The member is disabled.
    Disabled,
    /// It was said before.
    Repeated,
}

type ProviderRow = (String, String, String, String, Option<String>, String, Option<String>);

impl Db {
    /// Adds a provider. `id` is made by the caller, because the secret is sealed for it.
    pub async fn add_provider(
        &self,
        by: &UserAuth,
        new: &StoredProvider,
        now: i64,
    ) -> Result<(), StoreError> {
        let scope = by.scope();
        let rules = write_json(&new.rules, "provider rules")?;
        let mut tx = self.write_tx(scope).await?;
        insert_provider(&mut tx, scope, new, now).await?;
        let what = Happened { action: "provider.add", target: &new.issuer, detail: &rules };
        append(&mut tx, scope, what, now).await?;
        tx.commit().await
    }

    /// The organization's providers.
    pub async fn providers(&self, scope: &TenantScope) -> Result<Vec<StoredProvider>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        run!(&mut tx, all: ProviderRow, LIST, &scope.org_id)?.into_iter().map(provider).collect()
    }

    /// Removes a provider; whoever is signed in by it no longer is. `false` if there is none.
    pub async fn remove_provider(&self, by: &UserAuth, id: &str, now: i64) -> Result<bool, StoreError> {
        let scope = by.scope();
        let mut tx = self.write_tx(scope).await?;
        append(&mut tx, scope, Happened { action: "provider.remove", target: id, detail: "" }, now).await?;
        run!(&mut tx, execute FORGET_SESSIONS, &scope.org_id, id)?;
        run!(&mut tx, execute FORGET_TOKENS, &scope.org_id, id)?;
        lineage::revoke(&mut tx, scope, now).await?;
        if run!(&mut tx, execute REMOVE, &scope.org_id, id)? == 0 {
            return Ok(false);
        }
        if run!(&mut tx, all: ProviderRow, LIST, &scope.org_id)?.is_empty() {
            // With nobody left to vouch, forcing it would lock everybody out.
            run!(&mut tx, execute FORCE, &scope.org_id, false)?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// The ids and names of an organization's providers, for whoever wants to sign in.
    pub async fn providers_of(&self, slug: &str) -> Result<Vec<Door>, StoreError> {
        let mut tx = self.read_tx(Reach::Arrival).await?;
        let rows = run!(&mut tx, all: (String, String, bool), OF_ORG, slug)?;
        Ok(rows.into_iter().map(|(id, name, is_saml)| Door { id, name, is_saml }).collect())
    }

    /// A provider somebody wants to sign in by.
    pub async fn sign_in_provider(&self, id: &str) -> Result<Option<SignInProvider>, StoreError> {
        type Row = (String, String, String, String, Option<String>, String, Option<String>, String, String);
        let mut tx = self.read_tx(Reach::Arrival).await?;
        let Some((id, name, issuer, client_id, secret, rules, saml, org_id, slug)) =
            run!(&mut tx, optional: Row, BY_ID, id)?
        else {
            return Ok(None);
        };
        let scope = TenantScope::of(org_id, slug, format!("provider:{name}"));
        Ok(Some(SignInProvider {
            scope,
            provider: provider((id, name, issuer, client_id, secret, rules, saml))?,
        }))
    }

    /// Whether only providers open the organization's console.
    pub async fn forces_sso(&self, scope: &TenantScope) -> Result<bool, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        forces_sso(&mut tx, &scope.org_id).await
    }

    /// Sets that, and ends what anything but a provider began, with what programs were given by it. `false`, and nothing is
    /// set, if there is no provider to sign in by.
    pub async fn force_sso(&self, by: &UserAuth, force: bool, now: i64) -> Result<bool, StoreError> {
        let scope = by.scope();
        let mut tx = self.write_tx(scope).await?;
        let detail = format!("force_sso={force}");
        append(&mut tx, scope, Happened { action: "sign_in.policy", target: "", detail: &detail }, now)
            .await?;
        if force && run!(&mut tx, all: ProviderRow, LIST, &scope.org_id)?.is_empty() {
            return Ok(false);
        }
        run!(&mut tx, execute FORCE, &scope.org_id, force)?;
        if force {
            run!(&mut tx, execute END_OTHER_PROGRAMS, &scope.org_id)?;
            run!(&mut tx, execute END_OTHERS, &scope.org_id)?;
            lineage::revoke(&mut tx, scope, now).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Remembers a sign-in that is under way: by the digests of its state and of the browser it began in.
    pub async fn begin_flow(
        &self,
        at: &SignInProvider,
        (state, browser): (&str, &str),
        flow: &Flow,
        (now, expires_at): (i64, i64),
    ) -> Result<(), StoreError> {
        let mut tx = self.write_tx(&at.scope).await?;
        run!(&mut tx, execute OLD_FLOWS, now)?;
        let open = run!(&mut tx, optional: (i64,), OPEN_FLOWS, &at.scope.org_id)?.map_or(0, |(count,)| count);
        if open >= MOST_FLOWS {
            let too_many = open.saturating_sub(MOST_FLOWS).saturating_add(1);
            run!(&mut tx, execute MAKE_ROOM, &at.scope.org_id, too_many)?;
        }
        run!(&mut tx, execute FLOW, state, &at.scope.org_id, &at.provider.id, browser, &flow.nonce, &flow.verifier,
            &flow.return_to, &flow.user_id, &flow.invite_sha256, expires_at, &flow.session_id)?;
        tx.commit().await
    }

    /// Takes the flow a state belongs to, once. `None` unless it began in this browser.
    pub async fn take_flow(
        &self,
        (state, browser): (&str, &str),
        now: i64,
    ) -> Result<Option<(SignInProvider, Flow)>, StoreError> {
        type Row = (String, String, String, String, String, Option<String>, Option<String>, Option<String>);
        let mut tx = self.write_tx(Reach::Arrival).await?;
        let taken = run!(&mut tx, optional: Row, TAKE_FLOW, state, now)?;
        tx.commit().await?;
        let Some((id, began_in, nonce, verifier, return_to, user_id, invite_sha256, session_id)) = taken
        else {
            return Ok(None);
        };
        if !crate::secret::same_digest(&began_in, browser) {
            return Ok(None);
        }
        let at = self.sign_in_provider(&id).await?;
        Ok(at.map(|at| (at, Flow { nonce, verifier, return_to, user_id, invite_sha256, session_id })))
    }

    /// Lets in whom the provider vouches for, as far as its rules go.
    pub async fn sign_in(
        &self,
        at: &SignInProvider,
        (proven, flow): (&Proven, &Flow),
        now: i64,
    ) -> Result<SignInOutcome, StoreError> {
        let mut tx = self.write_tx(&at.scope).await?;
        // First of all, because it locks the organization: two first sign-ins of one subject make one member.
        users::next_version(&mut tx, &at.scope).await?;
        if let Some((id, until)) = &proven.once
            && !remember(&mut tx, at, (id, *until), now).await?
        {
            return Ok(SignInOutcome::Repeated);
        }
        let row = (&at.scope.org_id, &at.provider.id, &proven.subject);
        let known = run!(&mut tx, optional: (String, String, bool), KNOWN, row.0, row.1, row.2)?;
        let recovered = match &flow.invite_sha256 {
            Some(invite) => run!(&mut tx, optional: (String,), RECOVERS, row.0, invite, now)?,
            None => None,
        };
        // By the account they had here before, too: whatever else opened the membership opens it no more.
        let known = known.filter(|(id, ..)| recovered.as_ref().is_none_or(|(whose,)| whose != id));
        let (user_id, email) = match known {
            Some((_, _, true)) => return Ok(SignInOutcome::Disabled),
            Some((id, email, false)) => (id, email),
            None => match arrivals::newcomer(&mut tx, at, (proven, flow), now).await? {
                Ok(member) => member,
                Err(refused) => return Ok(refused),
            },
        };
        let scope = TenantScope { actor: format!("user:{email}"), ..at.scope.clone() };
        arrivals::sync_groups(&mut tx, (&scope, &at.provider.rules), (&user_id, &email, proven), now).await?;
        let session = proven.session.as_deref();
        let name_id = proven.name_id.as_deref();
        let by = At { provider_id: &at.provider.id, subject: &proven.subject, session, name_id };
        let ends_by = proven.ends_by;
        let new = NewSession { at: Some(by), ends_by, ..NewSession::of(&user_id, Method::Provider) };
        let secret = web_sessions::begin(&mut tx, &scope, &new, now).await?;
        tx.commit().await?;
        Ok(SignInOutcome::Done(secret))
    }

    /// The provider says that somebody signed out: their sessions here end, and what was made with these.
    /// It names them, a session of theirs, or both.
    /// `false` if it said so before.
    pub async fn signed_out(
        &self,
        at: &SignInProvider,
        (subject, session): (Option<&str>, Option<&str>),
        (jti, expires_at): (&str, i64),
        now: i64,
    ) -> Result<bool, StoreError> {
        // Whoever names neither would end everything of the provider.
        let Some(target) = subject.or(session) else { return Ok(false) };
        let mut tx = self.write_tx(&at.scope).await?;
        append(&mut tx, &at.scope, Happened { action: "provider.logout", target, detail: jti }, now).await?;
        if !remember(&mut tx, at, (jti, expires_at), now).await? {
            return Ok(false);
        }
        end_at(&mut tx, at, (subject, session)).await?;
        lineage::revoke(&mut tx, &at.scope, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

pub(crate) async fn insert_provider(
    tx: &mut Tx,
    scope: &TenantScope,
    new: &StoredProvider,
    now: i64,
) -> Result<(), StoreError> {
    let rules = write_json(&new.rules, "provider rules")?;
    run!(tx, execute ADD, &new.id, &scope.org_id, &new.name, &new.issuer, &new.client_id, &new.sealed_secret, &rules,
        now, &new.saml)?;
    Ok(())
}

/// Remembers what a provider said, by its id. `false` if it said so before.
pub(crate) async fn remember(
    tx: &mut Tx,
    at: &SignInProvider,
    (id, expires_at): (&str, i64),
    now: i64,
) -> Result<bool, StoreError> {
    run!(tx, execute OLD_SEEN, now)?;
    Ok(run!(tx, execute SEEN, &at.provider.id, id, expires_at)? > 0)
}

/// Ends what was begun at a provider by somebody, in a session there, or both.
pub(crate) async fn end_at(
    tx: &mut Tx,
    at: &SignInProvider,
    (subject, session): (Option<&str>, Option<&str>),
) -> Result<(), StoreError> {
    let (org, id) = (&at.scope.org_id, &at.provider.id);
    run!(tx, execute END_TOKENS, org, id, subject, session)?;
    run!(tx, execute END_SESSIONS, org, id, subject, session)?;
    Ok(())
}

pub(crate) async fn forces_sso(tx: &mut Tx, org_id: &str) -> Result<bool, StoreError> {
    Ok(run!(tx, optional: (bool,), FORCED, org_id)?.is_some_and(|(forced,)| forced))
}

/// An id for a new provider.
pub fn new_provider_id() -> String {
    Uuid::now_v7().to_string()
}

fn provider(
    (id, name, issuer, client_id, sealed_secret, rules, saml): ProviderRow,
) -> Result<StoredProvider, StoreError> {
    let rules = read_json(&rules, "provider rules")?;
    Ok(StoredProvider { id, name, issuer, client_id, sealed_secret, rules, saml })
}
