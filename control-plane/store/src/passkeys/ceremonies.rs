//! What an authenticator was asked, until it answers: kept here and not in the browser, taken once, for a short time. In a
//! browser nobody is signed in with it belongs to that browser, for a registration to the session.

use crate::db::{Db, run, statements};
use crate::reach::Reach;
use crate::{SessionAuth, StoreError};

statements! {
    OLD = "DELETE FROM passkey_ceremonies WHERE expires_at <= $1";
    OPEN = "SELECT COUNT(*) FROM passkey_ceremonies WHERE session_id IS NULL";
    MAKE_ROOM = "DELETE FROM passkey_ceremonies WHERE place IN (SELECT place FROM passkey_ceremonies WHERE session_id IS NULL \
                 ORDER BY expires_at, place LIMIT $1)";
    BEGIN = "INSERT INTO passkey_ceremonies (place, session_id, state, expires_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (place) DO UPDATE SET state = excluded.state, expires_at = excluded.expires_at";
    TAKE = "DELETE FROM passkey_ceremonies WHERE place = $1 AND expires_at > $2 RETURNING state";
}

impl Db {
    /// Remembers what was asked of an authenticator in some browser that nobody is signed in with; of these no more than
    /// `most`, and the oldest goes for a new one.
    pub async fn begin_passkey_sign_in(
        &self,
        browser_sha256: &str,
        state: &str,
        (most, now, expires_at): (i64, i64, i64),
    ) -> Result<(), StoreError> {
        let mut tx = self.write_tx(Reach::Arrival).await?;
        run!(&mut tx, execute OLD, now)?;
        let open = run!(&mut tx, optional: (i64,), OPEN)?.map_or(0, |(count,)| count);
        if open >= most {
            run!(&mut tx, execute MAKE_ROOM, open.saturating_sub(most).saturating_add(1))?;
        }
        run!(&mut tx, execute BEGIN, browser_sha256, None::<&str>, state, expires_at)?;
        tx.commit().await
    }

    /// The same for the person of a session; one at a time.
    pub async fn begin_passkey_registration(
        &self,
        session: &SessionAuth,
        state: &str,
        (now, expires_at): (i64, i64),
    ) -> Result<(), StoreError> {
        let mut tx = self.write_tx(Reach::Arrival).await?;
        run!(&mut tx, execute OLD, now)?;
        run!(&mut tx, execute BEGIN, place(session), Some(session.id()), state, expires_at)?;
        tx.commit().await
    }

    /// What was asked in that browser, once.
    pub async fn take_passkey_sign_in(
        &self,
        browser_sha256: &str,
        now: i64,
    ) -> Result<Option<String>, StoreError> {
        self.take(browser_sha256, now).await
    }

    /// What was asked in that session, once.
    pub async fn take_passkey_registration(
        &self,
        session: &SessionAuth,
        now: i64,
    ) -> Result<Option<String>, StoreError> {
        self.take(&place(session), now).await
    }

    async fn take(&self, place: &str, now: i64) -> Result<Option<String>, StoreError> {
        let mut tx = self.write_tx(Reach::Arrival).await?;
        let state = run!(&mut tx, optional: (String,), TAKE, place, now)?;
        tx.commit().await?;
        Ok(state.map(|(state,)| state))
    }
}

fn place(session: &SessionAuth) -> String {
    format!("session:{}", session.id())
}
