//! Who is who at identity providers: listed, and removed by the person or by an admin. What a link began ends with it.
//! Refused: removing one's own last way in.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::{SessionAuth, StoreError, TenantScope, UserAuth, lineage};

statements! {
    ALL_LINKS = "SELECT l.provider_id, p.name, l.subject, u.email, l.created_at FROM identity_links l \
                 JOIN identity_providers p ON p.id = l.provider_id JOIN users u ON u.id = l.user_id AND u.org_id = l.org_id \
                 WHERE l.org_id = $1 ORDER BY u.email, p.name, l.provider_id";
    OWN_LINKS = "SELECT l.provider_id, p.name, l.subject, u.email, l.created_at FROM identity_links l \
                 JOIN identity_providers p ON p.id = l.provider_id JOIN users u ON u.id = l.user_id AND u.org_id = l.org_id \
                 WHERE l.org_id = $1 AND l.user_id = $2 ORDER BY p.name, l.provider_id";
    MEMBER = "SELECT id FROM users WHERE org_id = $1 AND email = $2";
    ANY_PASSKEY = "SELECT k.id FROM passkeys k JOIN users u ON u.person_id = k.person_id WHERE u.org_id = $1 AND u.id = $2 LIMIT 1";
    REMOVE_LINK = "DELETE FROM identity_links WHERE org_id = $1 AND user_id = $2 AND provider_id = $3 RETURNING subject";
    END_LINKED_SESSIONS = "DELETE FROM web_sessions WHERE org_id = $1 AND user_id = $2 AND provider_id = $3";
    END_LINKED_TOKENS = "DELETE FROM api_tokens WHERE org_id = $1 AND user_id = $2 AND provider_id = $3";
}

type Row = (String, String, String, String, i64);

/// A member's account at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedLink {
    /// The provider.
    pub provider_id: String,
    /// Its name.
    pub provider: String,
    /// Who they are there.
    pub subject: String,
    /// Who they are here.
    pub email: String,
    /// Unix seconds.
    pub created_at: i64,
}

/// What became of a link's removal.
#[derive(Debug, PartialEq, Eq)]
pub enum Unlinked {
    /// Gone, with what it began.
    Done,
    /// There is none.
    Unknown,
    /// Nothing else would let them in.
    Last,
}

impl Db {
    /// Everybody's accounts at the organization's providers.
    pub async fn identity_links(&self, scope: &TenantScope) -> Result<Vec<ListedLink>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        Ok(run!(&mut tx, all: Row, ALL_LINKS, &scope.org_id)?.into_iter().map(listed).collect())
    }

    /// The caller's own.
    pub async fn own_identity_links(&self, by: &UserAuth) -> Result<Vec<ListedLink>, StoreError> {
        let mut tx = self.read_tx(by.scope()).await?;
        let rows = run!(&mut tx, all: Row, OWN_LINKS, &by.scope().org_id, by.user_id())?;
        Ok(rows.into_iter().map(listed).collect())
    }

    /// Removes a member's account at a provider. For an admin.
    pub async fn unlink_member(
        &self,
        by: &UserAuth,
        (email, provider): (&str, &str),
        now: i64,
    ) -> Result<Unlinked, StoreError> {
        let scope = by.scope();
        let mut tx = self.write_tx(scope).await?;
        lineage::lock(&mut tx, &scope.org_id).await?;
        let Some((user,)) = run!(&mut tx, optional: (String,), MEMBER, &scope.org_id, email)? else {
            return Ok(Unlinked::Unknown);
        };
        let unlinked = unlink(&mut tx, scope, (&user, email, provider), now).await?;
        tx.commit().await?;
        Ok(unlinked)
    }

    /// Removes one's own account at a provider, as long as another way in is left.
    pub async fn unlink_own(
        &self,
        session: &SessionAuth,
        provider: &str,
        now: i64,
    ) -> Result<Unlinked, StoreError> {
        let by = session.user();
        let (scope, user) = (by.scope(), by.user_id());
        let mut tx = self.write_tx(scope).await?;
        lineage::lock(&mut tx, &scope.org_id).await?;
        let all = run!(&mut tx, all: Row, OWN_LINKS, &scope.org_id, user)?;
        let has_passkey = run!(&mut tx, optional: (String,), ANY_PASSKEY, &scope.org_id, user)?.is_some();
        if all.len() == 1 && all.iter().any(|(id, ..)| id == provider) && !has_passkey {
            return Ok(Unlinked::Last);
        }
        let unlinked = unlink(&mut tx, scope, (user, by.email(), provider), now).await?;
        tx.commit().await?;
        Ok(unlinked)
    }
}

async fn unlink(
    tx: &mut Tx,
    scope: &TenantScope,
    (user, email, provider): (&str, &str, &str),
    now: i64,
) -> Result<Unlinked, StoreError> {
    let gone = run!(tx, optional: (String,), REMOVE_LINK, &scope.org_id, user, provider)?;
    let Some((subject,)) = gone else { return Ok(Unlinked::Unknown) };
    for end in [END_LINKED_SESSIONS, END_LINKED_TOKENS] {
        run!(tx, execute end, &scope.org_id, user, provider)?;
    }
    lineage::revoke(tx, scope, now).await?;
    append(tx, scope, Happened { action: "member.unlink", target: email, detail: &subject }, now).await?;
    Ok(Unlinked::Done)
}

fn listed((provider_id, provider, subject, email, created_at): Row) -> ListedLink {
    ListedLink { provider_id, provider, subject, email, created_at }
}
