//! Passkeys: authenticators of a person, which open every organization that person belongs to, unless one lets in by its
//! providers only. What the authenticator said is verified by the caller; what follows from it is decided here.
//!
//! Whoever adds one has a lasting way in everywhere, so a session adds or removes them only if it proves the person and
//! is fresh. One that an invite began does so, too, as long as the person has nothing but that: then nobody vouches for
//! more than their own. Refused: sessions of an identity provider or a token, and removing the only way in.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::reach::Reach;
use crate::web_sessions::{self, Method, NewSession};
use crate::{Secret, SessionAuth, StoreError, TenantScope, lineage};
use std::collections::BTreeSet;
use uuid::Uuid;

pub(crate) mod ceremonies;

/// Passkeys are added and removed within this time of signing in.
pub const FRESH_SECONDS: i64 = 900;
/// Passkeys of one person.
pub const MOST_PASSKEYS: usize = 20;

statements! {
    LIST = "SELECT id, person_id, credential_id, name, credential, created_at, used_at FROM passkeys WHERE person_id = $1 \
            ORDER BY created_at, id";
    FIND = "SELECT id, person_id, credential_id, name, credential, created_at, used_at FROM passkeys WHERE credential_id = $1";
    OF_MEMBER = "SELECT u.person_id FROM users u JOIN organizations o ON o.id = u.org_id \
                 WHERE o.slug = $1 AND u.email = $2 AND NOT u.disabled AND u.person_id IS NOT NULL";
    ADD = "INSERT INTO passkeys (id, person_id, credential_id, name, credential, created_at) VALUES ($1, $2, $3, $4, $5, $6) \
           ON CONFLICT (credential_id) DO NOTHING";
    REMOVE = "DELETE FROM passkeys WHERE person_id = $1 AND id = $2";
    USED = "UPDATE passkeys SET credential = $3, used_at = $4 WHERE id = $1 AND credential = $2";
    BEGUN_BY = "SELECT id, org_id FROM web_sessions WHERE passkey_id = $1 ORDER BY org_id, id";
    END = "DELETE FROM web_sessions WHERE org_id = $1 AND id = $2";
    MEMBERSHIPS = "SELECT u.id, u.email, o.id, o.slug, o.force_sso FROM users u JOIN organizations o ON o.id = u.org_id \
                   WHERE u.person_id = $1 AND NOT u.disabled ORDER BY o.name, o.slug";
    EVERYWHERE = "SELECT org_id FROM users WHERE person_id = $1";
    LINKED = "SELECT l.subject FROM identity_links l JOIN users u ON u.id = l.user_id AND u.org_id = l.org_id \
              WHERE u.person_id = $1 AND NOT u.disabled LIMIT 1";
    ALIVE = "SELECT id FROM web_sessions WHERE org_id = $1 AND id = $2";
    MEMBER_ANYWHERE = "SELECT u.person_id FROM users u JOIN organizations o ON o.id = u.org_id WHERE o.slug = $1 AND u.email = $2";
}

type Row = (String, String, String, String, String, i64, Option<i64>);
/// User, e-mail, organization, slug, whether only its providers let in.
type MembershipRow = (String, String, String, String, bool);

/// A passkey of a person.
#[derive(Debug, Clone)]
pub struct StoredPasskey {
    /// Its id here.
    pub id: String,
    /// Whose.
    pub person_id: String,
    /// Its id at its authenticator, base64url.
    pub credential_id: String,
    /// What its person calls it.
    pub name: String,
    /// What its signatures are verified with.
    pub credential: String,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub used_at: Option<i64>,
}

/// A passkey to add.
#[derive(Debug)]
pub struct NewPasskey<'a> {
    /// What its person calls it.
    pub name: &'a str,
    /// Its id at its authenticator, base64url.
    pub credential_id: &'a str,
    /// What its signatures are verified with.
    pub credential: &'a str,
}

/// Whether a session may add and remove passkeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasskeyStanding {
    /// Those of this person.
    May(String),
    /// Not that long after signing in.
    Stale,
    /// What began it does not prove the person.
    Unproven,
}

/// What became of [`NewPasskey`].
#[derive(Debug)]
pub enum PasskeyAdded {
    /// Added; a session that an invite began went on as this one.
    Done(Option<Secret>),
    /// Somebody has it already.
    Exists,
    /// There are as many as one person may have.
    Full,
    /// The session may not, or has ended.
    Refused(PasskeyStanding),
}

/// What became of a passkey's removal.
#[derive(Debug, PartialEq, Eq)]
pub enum PasskeyRemoved {
    /// Gone, with every session it began.
    Done,
    /// The person has no such passkey.
    Unknown,
    /// Nothing else would let them in.
    Last,
    /// The session may not, or has ended.
    Refused(PasskeyStanding),
}

/// What became of a sign-in by passkey.
#[derive(Debug)]
pub enum PasskeyOutcome {
    /// A session.
    Done(Secret),
    /// The organization lets in by its providers only.
    Forced,
    /// The person is an enabled member of no such organization.
    Nowhere,
    /// The passkey was used or removed meanwhile.
    Outdated,
}

impl Db {
    /// Whether this session may add and remove passkeys.
    pub async fn passkey_standing(
        &self,
        session: &SessionAuth,
        now: i64,
    ) -> Result<PasskeyStanding, StoreError> {
        let mut tx = self.read_tx(Reach::Arrival).await?;
        standing(&mut tx, session, now).await
    }

    /// The passkeys of a person.
    pub async fn passkeys(&self, person: &str) -> Result<Vec<StoredPasskey>, StoreError> {
        let mut tx = self.read_tx(Reach::Arrival).await?;
        Ok(run!(&mut tx, all: Row, LIST, person)?.into_iter().map(passkey).collect())
    }

    /// The person who is that member, for whoever says their name before they sign in.
    pub async fn person_of(&self, org: &str, email: &str) -> Result<Option<String>, StoreError> {
        let mut tx = self.read_tx(Reach::Arrival).await?;
        Ok(run!(&mut tx, optional: (String,), OF_MEMBER, org, email)?.map(|(person,)| person))
    }

    /// The passkey of that id at its authenticator.
    pub async fn passkey(&self, credential_id: &str) -> Result<Option<StoredPasskey>, StoreError> {
        let mut tx = self.read_tx(Reach::Arrival).await?;
        Ok(run!(&mut tx, optional: Row, FIND, credential_id)?.map(passkey))
    }

    /// Adds a passkey that answered what was asked in this session.
    pub async fn add_passkey(
        &self,
        session: &SessionAuth,
        new: &NewPasskey<'_>,
        now: i64,
    ) -> Result<PasskeyAdded, StoreError> {
        let mut tx = self.write_tx(Reach::Arrival).await?;
        let person = match settled(&mut tx, session, now).await? {
            PasskeyStanding::May(person) => person,
            refused => return Ok(PasskeyAdded::Refused(refused)),
        };
        if run!(&mut tx, all: Row, LIST, &person)?.len() >= MOST_PASSKEYS {
            return Ok(PasskeyAdded::Full);
        }
        let id = Uuid::now_v7().to_string();
        if run!(&mut tx, execute ADD, &id, &person, new.credential_id, new.name, new.credential, now)? == 0 {
            return Ok(PasskeyAdded::Exists);
        }
        tell(&mut tx, &person, Happened { action: "passkey.add", target: new.name, detail: &id }, now)
            .await?;
        let begun = if session.method() == Method::Invite {
            Some(upgraded(&mut tx, session, &id, now).await?)
        } else {
            None
        };
        tx.commit().await?;
        Ok(PasskeyAdded::Done(begun))
    }

    /// Removes a passkey of the session's person; every session it began ends.
    pub async fn remove_passkey(
        &self,
        session: &SessionAuth,
        id: &str,
        now: i64,
    ) -> Result<PasskeyRemoved, StoreError> {
        let mut tx = self.write_tx(Reach::Arrival).await?;
        let person = match settled(&mut tx, session, now).await? {
            PasskeyStanding::May(person) => person,
            refused => return Ok(PasskeyRemoved::Refused(refused)),
        };
        let all = run!(&mut tx, all: Row, LIST, &person)?;
        let Some(gone) = all.iter().find(|(known, ..)| known == id) else {
            return Ok(PasskeyRemoved::Unknown);
        };
        if all.len() == 1 && !is_linked(&mut tx, &person).await? {
            return Ok(PasskeyRemoved::Last);
        }
        remove(&mut tx, (&person, id, &gone.3), now).await?;
        tx.commit().await?;
        Ok(PasskeyRemoved::Done)
    }

    /// Removes every passkey of a member's person. For the operator of the installation, not for any tenant. How many.
    pub async fn forget_passkeys(&self, org: &str, email: &str, now: i64) -> Result<usize, StoreError> {
        let mut tx = self.write_tx(Reach::Arrival).await?;
        let person = run!(&mut tx, optional: (Option<String>,), MEMBER_ANYWHERE, org, email)?;
        let Some((Some(person),)) = person else { return Ok(0) };
        lock_everywhere(&mut tx, &person, None).await?;
        let all = run!(&mut tx, all: Row, LIST, &person)?;
        for (id, _, _, name, ..) in &all {
            remove(&mut tx, (&person, id, name), now).await?;
        }
        tx.commit().await?;
        Ok(all.len())
    }

    /// A passkey's counter went back: there may be two of it. Whoever oversees the person's organizations sees that.
    pub async fn doubt_passkey(&self, doubted: &StoredPasskey, now: i64) -> Result<(), StoreError> {
        let mut tx = self.write_tx(Reach::Arrival).await?;
        lock_everywhere(&mut tx, &doubted.person_id, None).await?;
        let what = Happened { action: "passkey.doubt", target: &doubted.name, detail: &doubted.id };
        tell(&mut tx, &doubted.person_id, what, now).await?;
        tx.commit().await
    }

    /// Begins a session of whoever has this passkey, which answered what was asked and is `credential` from now on: in
    /// that organization, or in the first that takes passkeys.
    pub async fn sign_in_by_passkey(
        &self,
        used: &StoredPasskey,
        credential: &str,
        org: Option<&str>,
        now: i64,
    ) -> Result<PasskeyOutcome, StoreError> {
        let mut tx = self.write_tx(Reach::Arrival).await?;
        let all = run!(&mut tx, all: MembershipRow, MEMBERSHIPS, &used.person_id)?;
        let mut wanted = all.iter().filter(|(_, _, _, slug, _)| org.is_none_or(|org| org == slug));
        let Some(first) = wanted.clone().next() else { return Ok(PasskeyOutcome::Nowhere) };
        let (_, _, org_id, ..) = wanted.find(|(.., forced)| !forced).unwrap_or(first);
        // Nobody is disabled, and nothing is forced, between the look and the session.
        lineage::lock(&mut tx, org_id).await?;
        let all = run!(&mut tx, all: MembershipRow, MEMBERSHIPS, &used.person_id)?;
        let Some((user_id, email, org_id, slug, forced)) =
            all.into_iter().find(|(_, _, id, ..)| id == org_id)
        else {
            return Ok(PasskeyOutcome::Nowhere);
        };
        if forced {
            return Ok(PasskeyOutcome::Forced);
        }
        // Of two who answer at once with one passkey, one is late: its counter cannot be compared any more.
        if run!(&mut tx, execute USED, &used.id, &used.credential, credential, now)? == 0 {
            return Ok(PasskeyOutcome::Outdated);
        }
        let scope = TenantScope::of(org_id, slug, format!("user:{email}"));
        tx.turn_to((&scope).into()).await?;
        let new = NewSession { passkey_id: Some(&used.id), ..NewSession::of(&user_id, Method::Passkey) };
        let secret = web_sessions::begin(&mut tx, &scope, &new, now).await?;
        tx.commit().await?;
        Ok(PasskeyOutcome::Done(secret))
    }
}

fn passkey((id, person_id, credential_id, name, credential, created_at, used_at): Row) -> StoredPasskey {
    StoredPasskey { id, person_id, credential_id, name, credential, created_at, used_at }
}

async fn standing(tx: &mut Tx, session: &SessionAuth, now: i64) -> Result<PasskeyStanding, StoreError> {
    let person = match (session.person(), session.invited_person()) {
        (Some(person), _) => person.to_owned(),
        (None, Some(person)) => {
            let alone = everywhere(tx, person).await?.len() == 1;
            if !alone || !run!(tx, all: Row, LIST, person)?.is_empty() {
                return Ok(PasskeyStanding::Unproven);
            }
            person.to_owned()
        }
        (None, None) => return Ok(PasskeyStanding::Unproven),
    };
    if session.began_at().saturating_add(FRESH_SECONDS) < now {
        return Ok(PasskeyStanding::Stale);
    }
    Ok(PasskeyStanding::May(person))
}

/// The same, with everything locked that it depends on.
async fn settled(tx: &mut Tx, session: &SessionAuth, now: i64) -> Result<PasskeyStanding, StoreError> {
    let org = &session.user().scope().org_id;
    if let Some(person) = session.person().or(session.invited_person()) {
        lock_everywhere(tx, person, Some(org)).await?;
    }
    if run!(tx, optional: (String,), ALIVE, org, session.id())?.is_none() {
        return Ok(PasskeyStanding::Stale);
    }
    standing(tx, session, now).await
}

/// Every organization of a person, always in the same order.
async fn lock_everywhere(tx: &mut Tx, person: &str, also: Option<&str>) -> Result<(), StoreError> {
    for org in
        everywhere(tx, person).await?.into_iter().chain(also.map(str::to_owned)).collect::<BTreeSet<_>>()
    {
        lineage::lock(tx, &org).await?;
    }
    Ok(())
}

/// The organizations of a person.
async fn everywhere(tx: &mut Tx, person: &str) -> Result<BTreeSet<String>, StoreError> {
    Ok(run!(tx, all: (String,), EVERYWHERE, person)?.into_iter().map(|(org,)| org).collect())
}

/// Whether a provider of some organization lets the person in.
async fn is_linked(tx: &mut Tx, person: &str) -> Result<bool, StoreError> {
    let mut found = false;
    for org in everywhere(tx, person).await? {
        tx.turn_to(Reach::Org(&org)).await?;
        found |= run!(tx, optional: (String,), LINKED, person)?.is_some();
        tx.turn_to(Reach::Arrival).await?;
    }
    Ok(found)
}

/// In the audit of every organization of the person.
async fn tell(tx: &mut Tx, person: &str, what: Happened<'_>, now: i64) -> Result<(), StoreError> {
    for (_, email, org_id, slug, _) in run!(tx, all: MembershipRow, MEMBERSHIPS, person)? {
        let scope = TenantScope::of(org_id, slug, format!("user:{email}"));
        tx.turn_to((&scope).into()).await?;
        append(tx, &scope, what, now).await?;
        tx.turn_to(Reach::Arrival).await?;
    }
    Ok(())
}

/// What an invite began goes on as what the passkey proves.
async fn upgraded(tx: &mut Tx, session: &SessionAuth, id: &str, now: i64) -> Result<Secret, StoreError> {
    let user = session.user();
    tx.turn_to(user.scope().into()).await?;
    run!(tx, execute END, &user.scope().org_id, session.id())?;
    lineage::end_of_session(tx, user.scope(), session.id(), now).await?;
    let ends_by = Some(session.expires_at());
    let new = NewSession { passkey_id: Some(id), ends_by, ..NewSession::of(user.user_id(), Method::Passkey) };
    web_sessions::begin(tx, user.scope(), &new, now).await
}

async fn remove(tx: &mut Tx, (person, id, name): (&str, &str, &str), now: i64) -> Result<(), StoreError> {
    for (session, org_id) in run!(tx, all: (String, String), BEGUN_BY, id)? {
        let scope = TenantScope::of(org_id, String::new(), String::new());
        tx.turn_to((&scope).into()).await?;
        run!(tx, execute END, &scope.org_id, &session)?;
        lineage::end_of_session(tx, &scope, &session, now).await?;
        tx.turn_to(Reach::Arrival).await?;
    }
    run!(tx, execute REMOVE, person, id)?;
    tell(tx, person, Happened { action: "passkey.remove", target: name, detail: id }, now).await
}

/// A person without a membership is nobody. They just left one of `scope`.
pub(crate) async fn forget_person(
    tx: &mut Tx,
    (person, scope): (&str, &TenantScope),
) -> Result<(), StoreError> {
    // Where else they belong is not seen from there.
    tx.turn_to(Reach::Arrival).await?;
    let nowhere = everywhere(tx, person).await?.is_empty();
    tx.turn_to(scope.into()).await?;
    if nowhere {
        for (id, ..) in run!(tx, all: Row, LIST, person)? {
            run!(tx, execute REMOVE, person, &id)?;
        }
    }
    Ok(())
}
