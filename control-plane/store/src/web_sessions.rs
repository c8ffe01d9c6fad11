//! Browser sessions: 256 random bits in a cookie, only their SHA-256 here, with an end for idleness and one for age,
//! whatever the way in. A session speaks for one membership; where it may move to others says how it was begun.
//!
//! A session that a means of one organization began (an invite, its identity provider, a token) never leaves that
//! organization: whoever controls that means is not to be believed elsewhere.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::reach::Reach;
use crate::secret::{SecretKind, digest, same_digest};
use crate::{Basis, Secret, StoreError, TenantScope, UserAuth, identity, lineage};
use uuid::Uuid;

/// A session nobody used for this long has ended.
pub const IDLE_SECONDS: i64 = 3600;
/// The longest life of a session, and of everything that is signed in by it.
pub const LONGEST_SECONDS: i64 = 12 * 3600;
/// Use is written down this often.
const TOUCH_SECONDS: i64 = 60;

statements! {
    BEGIN = "INSERT INTO web_sessions (id, org_id, user_id, only_here, method, token_id, sha256, created_at, seen_at, expires_at, \
             provider_id, subject, provider_session, passkey_id, name_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $15, $8, $9, $10, $11, $12, $13, $14)";
    PRUNE = "DELETE FROM web_sessions WHERE expires_at <= $1";
    FIND = "SELECT s.sha256, s.id, s.expires_at, u.id, u.email, u.role, o.id, o.slug, s.seen_at, s.only_here, s.method, u.person_id, o.name, \
            s.created_at, s.passkey_id \
            FROM web_sessions s JOIN users u ON u.id = s.user_id AND u.org_id = s.org_id JOIN organizations o ON o.id = s.org_id \
            WHERE s.sha256 = $1 AND s.expires_at > $2 AND s.seen_at > $3 AND NOT u.disabled";
    TOUCH = "UPDATE web_sessions SET seen_at = $3 WHERE org_id = $1 AND id = $2 AND seen_at < $3";
    END = "DELETE FROM web_sessions WHERE org_id = $1 AND id = $2";
    END_OF_USER = "DELETE FROM web_sessions WHERE org_id = $1 AND user_id = $2 AND id = $3";
    LIST = "SELECT id, method, created_at, seen_at, expires_at FROM web_sessions WHERE org_id = $1 AND user_id = $2 \
            AND expires_at > $3 AND seen_at > $4 ORDER BY created_at DESC, id";
    MEMBERSHIPS = "SELECT o.slug, o.name, u.email, u.role FROM users u JOIN organizations o ON o.id = u.org_id \
                   WHERE u.person_id = $1 AND NOT u.disabled ORDER BY o.name, o.slug";
    MEMBERSHIP = "SELECT u.id, u.email, o.id FROM users u JOIN organizations o ON o.id = u.org_id \
                  WHERE u.person_id = $1 AND o.slug = $2 AND NOT u.disabled";
}

/// How a session was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// An invite to the organization.
    Invite,
    /// A link from the operator of the installation.
    Recovery,
    /// A link made with an API token.
    Token,
    /// An identity provider of the organization.
    Provider,
    /// A passkey of the person.
    Passkey,
}

impl Method {
    const EVERY: [Self; 5] = [Self::Invite, Self::Recovery, Self::Token, Self::Provider, Self::Passkey];

    /// As stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invite => "invite",
            Self::Recovery => "recovery link",
            Self::Token => "API token",
            Self::Provider => "identity provider",
            Self::Passkey => "passkey",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|method| method.name() == name)
    }

    /// What those signed in by it act on.
    const fn basis(self) -> Basis {
        match self {
            Self::Invite | Self::Recovery | Self::Provider | Self::Passkey => Basis::Person,
            Self::Token => Basis::Token,
        }
    }

    /// Whether it proves the person, rather than one organization's word for them.
    const fn proves_person(self) -> bool {
        matches!(self, Self::Recovery | Self::Passkey)
    }
}

/// Where an identity provider knows the session, so that it can end it.
#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) provider_id: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) session: Option<&'a str>,
    /// What it calls the person, where that is told to it when they sign out here.
    pub(crate) name_id: Option<&'a str>,
}

/// A session to begin.
#[derive(Debug)]
pub(crate) struct NewSession<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) method: Method,
    pub(crate) token_id: Option<&'a str>,
    pub(crate) at: Option<At<'a>>,
    /// Sooner than by age.
    pub(crate) ends_by: Option<i64>,
    /// The passkey it ends with.
    pub(crate) passkey_id: Option<&'a str>,
    /// When its person proved who they are, if that was not just now.
    pub(crate) began_at: Option<i64>,
}

impl<'a> NewSession<'a> {
    /// With nothing that ends it but its age.
    pub(crate) fn of(user_id: &'a str, method: Method) -> Self {
        Self { user_id, method, token_id: None, at: None, ends_by: None, passkey_id: None, began_at: None }
    }
}

/// Somebody signed in with a browser.
#[derive(Debug, Clone)]
pub struct SessionAuth {
    user: UserAuth,
    organization: String,
    person_id: Option<String>,
    only_here: bool,
    method: Method,
    began_at: i64,
    passkey_id: Option<String>,
}

impl SessionAuth {
    /// The membership it speaks for.
    pub fn user(&self) -> &UserAuth {
        &self.user
    }
    /// The organization's display name.
    pub fn organization(&self) -> &str {
        &self.organization
    }
    /// The session's id.
    pub fn id(&self) -> &str {
        self.user.token_id()
    }
    /// When it ends whatever happens, unix seconds.
    pub fn expires_at(&self) -> i64 {
        self.user.token_expires_at()
    }
    /// How it was begun.
    pub fn method(&self) -> Method {
        self.method
    }
    /// When it began, unix seconds.
    pub fn began_at(&self) -> i64 {
        self.began_at
    }
    /// Whether an account at a provider may be linked by it. A token that fell into other hands must not become a lasting
    /// way in.
    pub fn may_link(&self) -> bool {
        self.method != Method::Token
    }
    /// Whoever took up an invite, in the session that invite began.
    pub(crate) fn invited_person(&self) -> Option<&str> {
        self.person_id.as_deref().filter(|_| self.method == Method::Invite)
    }
    /// The person, if the session proves who that is.
    pub fn person(&self) -> Option<&str> {
        self.person_id.as_deref().filter(|_| !self.only_here)
    }
}

/// One of somebody's sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSession {
    /// Its id.
    pub id: String,
    /// How it was begun.
    pub method: String,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub seen_at: i64,
    /// Unix seconds.
    pub expires_at: i64,
}

/// An organization a person belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Its slug.
    pub org: String,
    /// Its display name.
    pub name: String,
    /// As whom.
    pub email: String,
    /// As what.
    pub role: String,
}

impl Db {
    /// Whose session this is now; `None` if it ended, or its membership did. Using it keeps it from ending idly.
    pub async fn session(&self, secret: &str, now: i64) -> Result<Option<SessionAuth>, StoreError> {
        type Row = (
            String,
            String,
            i64,
            String,
            String,
            String,
            String,
            String,
            i64,
            bool,
            String,
            Option<String>,
            String,
            i64,
            Option<String>,
        );
        if SecretKind::of(secret) != Some(SecretKind::Session) {
            return Ok(None);
        }
        let wanted = digest(secret);
        let mut tx = self.read_tx(Reach::Arrival).await?;
        let found = run!(&mut tx, optional: Row, FIND, &wanted, now, now.saturating_sub(IDLE_SECONDS))?;
        drop(tx);
        let Some((
            stored,
            id,
            expires,
            user,
            email,
            role,
            org,
            slug,
            seen,
            only_here,
            method,
            person_id,
            organization,
            began_at,
            passkey_id,
        )) = found
        else {
            return Ok(None);
        };
        if !same_digest(&stored, &wanted) {
            return Ok(None);
        }
        let method = Method::from_name(&method).ok_or(StoreError::Decode("sign-in method"))?;
        let user = UserAuth::from_row((id, expires, user, email, role, org, slug), method.basis())?;
        if seen.saturating_add(TOUCH_SECONDS) <= now {
            let mut tx = self.write_tx(user.scope()).await?;
            run!(&mut tx, execute TOUCH, &user.scope().org_id, user.token_id(), now)?;
            tx.commit().await?;
        }
        Ok(Some(SessionAuth { user, organization, person_id, only_here, method, began_at, passkey_id }))
    }

    /// Ends the caller's own session, and what programs were given by it.
    pub async fn end_session(&self, session: &SessionAuth, now: i64) -> Result<(), StoreError> {
        let scope = session.user.scope();
        let mut tx = self.write_tx(scope).await?;
        lineage::lock(&mut tx, &scope.org_id).await?;
        run!(&mut tx, execute END, &scope.org_id, session.id())?;
        lineage::end_of_session(&mut tx, scope, session.id(), now).await?;
        append(
            &mut tx,
            scope,
            Happened { action: "session.end", target: session.user.email(), detail: "" },
            now,
        )
        .await?;
        tx.commit().await
    }

    /// Ends another session of the same membership. `false` if there is none.
    pub async fn end_other_session(&self, by: &UserAuth, id: &str, now: i64) -> Result<bool, StoreError> {
        let scope = by.scope();
        let mut tx = self.write_tx(scope).await?;
        lineage::lock(&mut tx, &scope.org_id).await?;
        if run!(&mut tx, execute END_OF_USER, &scope.org_id, by.user_id(), id)? == 0 {
            return Ok(false);
        }
        lineage::end_of_session(&mut tx, scope, id, now).await?;
        append(&mut tx, scope, Happened { action: "session.end", target: by.email(), detail: id }, now)
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The sessions of the caller's membership, newest first.
    pub async fn sessions(&self, by: &UserAuth, now: i64) -> Result<Vec<ListedSession>, StoreError> {
        let mut tx = self.read_tx(by.scope()).await?;
        let idle = now.saturating_sub(IDLE_SECONDS);
        let rows = run!(&mut tx, all: (String, String, i64, i64, i64), LIST, &by.scope().org_id, by.user_id(), now, idle)?;
        let listed = |(id, method, created_at, seen_at, expires_at)| ListedSession {
            id,
            method,
            created_at,
            seen_at,
            expires_at,
        };
        Ok(rows.into_iter().map(listed).collect())
    }

    /// Where the session may move to, its own organization included; empty if it may not move.
    pub async fn memberships(&self, session: &SessionAuth) -> Result<Vec<Membership>, StoreError> {
        let Some(person) = session.person() else { return Ok(Vec::new()) };
        let mut tx = self.read_tx(Reach::Arrival).await?;
        let rows = run!(&mut tx, all: (String, String, String, String), MEMBERSHIPS, person)?;
        Ok(rows.into_iter().map(|(org, name, email, role)| Membership { org, name, email, role }).collect())
    }

    /// Moves to another organization of the same person: a new session, and the old one has ended. It lives no longer
    /// than the old one would have, and its person has proven nothing anew. `None` if the person does not belong there, or the session may not move.
    pub async fn switch_organization(
        &self,
        session: &SessionAuth,
        org: &str,
        now: i64,
    ) -> Result<Option<Secret>, StoreError> {
        let Some(person) = session.person() else { return Ok(None) };
        let mut tx = self.write_tx(Reach::Arrival).await?;
        let found = run!(&mut tx, optional: (String, String, String), MEMBERSHIP, person, org)?;
        let Some((.., to)) = found else { return Ok(None) };
        // Whatever ends the membership or asks for a provider comes wholly before or wholly after; locked in one order, so
        // that two who cross over do not wait for each other.
        let mut both = [to.as_str(), &session.user.scope().org_id];
        both.sort_unstable();
        for org_id in both {
            tx.turn_to(Reach::Org(org_id)).await?;
            lineage::lock(&mut tx, org_id).await?;
        }
        tx.turn_to(Reach::Arrival).await?;
        let found = run!(&mut tx, optional: (String, String, String), MEMBERSHIP, person, org)?;
        let Some((user_id, email, org_id)) = found else { return Ok(None) };
        // Proof of the person is not what that organization asks for.
        if identity::forces_sso(&mut tx, &org_id).await? {
            return Ok(None);
        }
        tx.turn_to(session.user.scope().into()).await?;
        if run!(&mut tx, execute END, &session.user.scope().org_id, session.id())? == 0 {
            return Ok(None);
        }
        lineage::end_of_session(&mut tx, session.user.scope(), session.id(), now).await?;
        let scope = TenantScope::of(org_id, org.to_owned(), format!("user:{email}"));
        tx.turn_to((&scope).into()).await?;
        let ends_by = Some(session.expires_at());
        let passkey_id = session.passkey_id.as_deref();
        let began_at = Some(session.began_at());
        let new = NewSession { ends_by, passkey_id, began_at, ..NewSession::of(&user_id, session.method) };
        let secret = begin(&mut tx, &scope, &new, now).await?;
        tx.commit().await?;
        Ok(Some(secret))
    }
}

/// Begins a session of a membership that was proven.
pub(crate) async fn begin(
    tx: &mut Tx,
    scope: &TenantScope,
    new: &NewSession<'_>,
    now: i64,
) -> Result<Secret, StoreError> {
    // An idle one opens nothing, but stays as long as what programs were given by it: that ends with it.
    run!(tx, execute PRUNE, now)?;
    let id = Uuid::now_v7().to_string();
    let secret = Secret::generate(SecretKind::Session)?;
    let by_age = now.saturating_add(LONGEST_SECONDS);
    let expires_at = new.ends_by.map_or(by_age, |end| end.min(by_age));
    let at = new.at.as_ref();
    run!(tx, execute BEGIN, &id, &scope.org_id, new.user_id, !new.method.proves_person(), new.method.name(),
        new.token_id, secret.sha256(), now, expires_at, at.map(|at| at.provider_id), at.map(|at| at.subject),
        at.and_then(|at| at.session), new.passkey_id, at.and_then(|at| at.name_id), new.began_at.unwrap_or(now))?;
    let target = scope.actor.strip_prefix("user:").unwrap_or(&scope.actor);
    append(tx, scope, Happened { action: "session.begin", target, detail: new.method.name() }, now).await?;
    Ok(secret)
}
