//! How a program on somebody's machine signs in by way of their browser: the program asks or is sent back to with a code,
//! a signed-in person says yes to exactly that, and the program fetches a token once. The token lives as long as the
//! session that said yes: it ends when that person signs out, here or at their identity provider.

use crate::audit::{Happened, append};
use crate::db::{Db, run, statements};
use crate::reach::Reach;
use crate::{Secret, SecretKind, SessionAuth, StoreError, TenantScope, lineage};
use uuid::Uuid;

statements! {
    OLD = "DELETE FROM program_sign_ins WHERE expires_at <= $1";
    OPEN = "SELECT COUNT(*) FROM program_sign_ins WHERE session_id IS NULL";
    MAKE_ROOM = "DELETE FROM program_sign_ins WHERE id IN (SELECT id FROM program_sign_ins WHERE session_id IS NULL \
                 ORDER BY asked_at, id LIMIT $1)";
    ASK = "INSERT INTO program_sign_ins (id, device, user_code, fetch_sha256, asked_at, expires_at) \
           VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_code) DO NOTHING";
    PENDING = "SELECT id, device FROM program_sign_ins WHERE user_code = $1 AND session_id IS NULL AND NOT denied AND expires_at > $2";
    APPROVE = "UPDATE program_sign_ins SET org_id = $3, session_id = $4 \
               WHERE user_code = $1 AND session_id IS NULL AND NOT denied AND expires_at > $2 RETURNING device";
    DENY = "UPDATE program_sign_ins SET denied = TRUE WHERE user_code = $1 AND session_id IS NULL AND expires_at > $2";
    HAND = "INSERT INTO program_sign_ins (id, device, challenge, fetch_sha256, org_id, session_id, asked_at, expires_at) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    STATE = "SELECT id, device, challenge, denied, session_id, org_id FROM program_sign_ins WHERE fetch_sha256 = $1 AND expires_at > $2";
    TAKE = "DELETE FROM program_sign_ins WHERE id = $1";
    SESSION = "SELECT s.org_id, o.slug, u.id, u.email, s.expires_at, s.provider_id, s.subject, s.provider_session, s.token_id \
               FROM web_sessions s JOIN users u ON u.id = s.user_id AND u.org_id = s.org_id \
               JOIN organizations o ON o.id = s.org_id WHERE s.id = $1 AND s.expires_at > $2 AND NOT u.disabled";
    TOKEN = "INSERT INTO api_tokens (id, org_id, user_id, name, sha256, created_at, expires_at, provider_id, subject, provider_session, \
             created_by, parent_id, session_id, workload_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $3, $11, $12, \
             (SELECT p.workload_id FROM api_tokens p WHERE p.org_id = $2 AND p.id = $11))";
}

/// A program's request.
#[derive(Debug)]
pub struct ProgramRequest<'a> {
    /// Where it runs, as the person will recognize it.
    pub device: &'a str,
    /// What the person types or compares.
    pub user_code: &'a str,
    /// Digest of the program's own secret.
    pub fetch_sha256: &'a str,
    /// Unix seconds.
    pub expires_at: i64,
}

/// What became of a sign-in.
#[derive(Debug)]
pub enum Fetched {
    /// A token and when it ends, unix seconds.
    Done(Secret, i64),
    /// Nobody has answered yet.
    Pending,
    /// Somebody said no.
    Denied,
    /// There is none: unknown, fetched, too old, or whoever said yes is signed out.
    Unknown,
}

impl Db {
    /// Stores a program's request. `false` if the code is taken. Strangers make them: of those nobody answered no more than
    /// `most` wait, and the oldest goes for a new one, so that nobody who fills the list keeps others out.
    pub async fn ask_sign_in(
        &self,
        new: &ProgramRequest<'_>,
        most: i64,
        now: i64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write_tx(Reach::Arrival).await?;
        run!(&mut tx, execute OLD, now)?;
        let open = run!(&mut tx, optional: (i64,), OPEN)?.map_or(0, |(count,)| count);
        if open >= most {
            run!(&mut tx, execute MAKE_ROOM, open.saturating_sub(most).saturating_add(1))?;
        }
        let id = Uuid::now_v7().to_string();
        let made = run!(&mut tx, execute ASK, &id, new.device, new.user_code, new.fetch_sha256, now, new.expires_at)?;
        tx.commit().await?;
        Ok(made == 1)
    }

    /// The machine a code belongs to, as long as nobody answered.
    pub async fn asked_sign_in(&self, user_code: &str, now: i64) -> Result<Option<String>, StoreError> {
        let mut tx = self.read_tx(Reach::Arrival).await?;
        let row = run!(&mut tx, optional: (String, String), PENDING, user_code, now)?;
        Ok(row.map(|(_, device)| device))
    }

    /// Answers a program's request for the person of the session. `false` if there is none.
    pub async fn answer_sign_in(
        &self,
        session: &SessionAuth,
        (user_code, yes): (&str, bool),
        now: i64,
    ) -> Result<bool, StoreError> {
        let scope = session.user().scope();
        let mut tx = self.write_tx(scope).await?;
        if !yes {
            let denied = run!(&mut tx, execute DENY, user_code, now)?;
            tx.commit().await?;
            return Ok(denied == 1);
        }
        let row = run!(&mut tx, optional: (String,), APPROVE, user_code, now, &scope.org_id, session.id())?;
        let Some((device,)) = row else { return Ok(false) };
        let target = session.user().email();
        append(&mut tx, scope, Happened { action: "sign_in.program", target, detail: &device }, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Hands a sign-in to a program that waits at this machine's own address; `sealed` is its PKCE challenge and the
    /// digest of the code it is sent back with.
    pub async fn hand_sign_in(
        &self,
        session: &SessionAuth,
        device: &str,
        (challenge, code): (&str, &str),
        (now, expires_at): (i64, i64),
    ) -> Result<(), StoreError> {
        let scope = session.user().scope();
        let mut tx = self.write_tx(scope).await?;
        run!(&mut tx, execute OLD, now)?;
        let id = Uuid::now_v7().to_string();
        run!(&mut tx, execute HAND, &id, device, challenge, code, &scope.org_id, session.id(), now, expires_at)?;
        let target = session.user().email();
        append(&mut tx, scope, Happened { action: "sign_in.program", target, detail: device }, now).await?;
        tx.commit().await
    }

    /// Fetches what became of a sign-in, once. `challenge` is of the verifier that was presented.
    pub async fn fetch_sign_in(
        &self,
        fetch_sha256: &str,
        challenge: Option<&str>,
        now: i64,
    ) -> Result<Fetched, StoreError> {
        type State = (String, String, Option<String>, bool, Option<String>, Option<String>);
        type Session = (
            String,
            String,
            String,
            String,
            i64,
            Option<String>,
            Option<String>,
            Option<String>,
            Option<String>,
        );
        let mut tx = self.write_tx(Reach::Arrival).await?;
        let state = run!(&mut tx, optional: State, STATE, fetch_sha256, now)?;
        let Some((id, device, wanted, denied, session, org)) = state else { return Ok(Fetched::Unknown) };
        if wanted.is_none() && !denied && session.is_none() {
            return Ok(Fetched::Pending);
        }
        if let Some(org) = &org {
            tx.turn_to(Reach::Org(org)).await?;
            lineage::lock(&mut tx, org).await?;
        }
        // Once, whatever comes of it: a code that was tried with another verifier is in the wrong hands.
        if run!(&mut tx, execute TAKE, &id)? == 0 {
            return Ok(Fetched::Unknown);
        }
        if denied || wanted.as_deref() != challenge {
            tx.commit().await?;
            return Ok(if denied { Fetched::Denied } else { Fetched::Unknown });
        }
        let session = session.unwrap_or_default();
        let row = run!(&mut tx, optional: Session, SESSION, &session, now)?;
        let Some((org_id, slug, user_id, email, expires_at, provider, subject, provider_session, parent)) =
            row
        else {
            tx.commit().await?;
            return Ok(Fetched::Unknown);
        };
        let scope = TenantScope::of(org_id, slug, format!("user:{email}"));
        let token = Secret::generate(SecretKind::Api)?;
        let token_id = Uuid::now_v7().to_string();
        let name = format!("daam on {device}");
        run!(&mut tx, execute TOKEN, &token_id, &scope.org_id, &user_id, &name, token.sha256(), now, expires_at,
            &provider, &subject, &provider_session, &parent, &session)?;
        append(&mut tx, &scope, Happened { action: "token.create", target: &token_id, detail: &email }, now)
            .await?;
        tx.commit().await?;
        Ok(Fetched::Done(token, expires_at))
    }
}
