//! One-time tokens that admit an agent or a relay. Using one, and what it made, is one transaction. A token made by
//! somebody who is no longer an admin admits nobody.

use crate::audit::{Happened, append};
use crate::certificates::{NewCertificate, counts, insert};
use crate::db::{Db, Tx, run, statements};
use crate::{EnrolmentAuth, EnrolmentKind, Secret, SecretKind, StoreError, UserAuth};
use uuid::Uuid;

statements! {
    INSERT = "INSERT INTO enrolment_tokens (id, org_id, kind, database_name, sha256, created_at, expires_at, created_by) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    USE = "UPDATE enrolment_tokens SET used_at = $3 WHERE org_id = $1 AND id = $2 AND used_at IS NULL AND expires_at > $3 \
           AND EXISTS (SELECT 1 FROM users u WHERE u.id = created_by AND u.role = 'admin' AND NOT u.disabled)";
    DATABASE = "INSERT INTO databases (org_id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (org_id, name) DO NOTHING";
    AGENT = "INSERT INTO agents (id, org_id, database_name, name, link_sha256, created_at, audit_key) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)";
    RELAY = "INSERT INTO relays (id, org_id, name, link_sha256, created_at) VALUES ($1, $2, $3, $4, $5)";
}

/// An enrolment token to make.
#[derive(Debug)]
pub struct Enrolment<'a> {
    /// What it admits.
    pub kind: &'a EnrolmentKind,
    /// Unix seconds.
    pub expires_at: i64,
}

/// An agent to store, with the certificate it was issued.
#[derive(Debug)]
pub struct NewAgent<'a> {
    /// Its id, as in the certificate.
    pub id: &'a str,
    /// A name for people.
    pub name: &'a str,
    /// The key it enrols with; what it records is signed by it.
    pub audit_key: &'a str,
    /// The certificate.
    pub certificate: NewCertificate<'a>,
}

/// What became of an agent that asked to be admitted.
#[derive(Debug)]
pub enum AgentEnrolment {
    /// It is stored; the token of its link.
    Made(Secret),
    /// The token was used meanwhile, or is not for an agent.
    Used,
    /// The authority its certificate is of was retired meanwhile; the token is as good as before.
    Retired,
}

impl Db {
    /// Makes a token; a database it names exists from now on.
    pub async fn create_enrolment(
        &self,
        by: &UserAuth,
        new: &Enrolment<'_>,
        now: i64,
    ) -> Result<(String, Secret), StoreError> {
        let scope = by.scope();
        let (kind, database) = match new.kind {
            EnrolmentKind::Agent { database } => ("agent", Some(database.as_str())),
            EnrolmentKind::Relay => ("relay", None),
        };
        let mut tx = self.write_tx(scope).await?;
        if let Some(database) = database {
            run!(&mut tx, execute DATABASE, &scope.org_id, database, now)?;
        }
        let id = Uuid::now_v7().to_string();
        let secret = Secret::generate(SecretKind::Enrolment)?;
        run!(&mut tx, execute INSERT, &id, &scope.org_id, kind, database, secret.sha256(), now, new.expires_at,
            by.user_id())?;
        let detail = database.map_or_else(|| kind.to_owned(), |database| format!("{kind} of {database}"));
        let what = Happened { action: "enrolment.create", target: &id, detail: &detail };
        append(&mut tx, scope, what, now).await?;
        tx.commit().await?;
        Ok((id, secret))
    }

    /// Uses an agent's token.
    pub async fn enrol_agent(
        &self,
        token: &EnrolmentAuth,
        new: &NewAgent<'_>,
        now: i64,
    ) -> Result<AgentEnrolment, StoreError> {
        let EnrolmentKind::Agent { database } = token.kind() else { return Ok(AgentEnrolment::Used) };
        let scope = token.scope();
        let mut tx = self.write_tx(scope).await?;
        // First of all, because it locks the organization: an authority is retired wholly before or wholly after.
        let what = Happened { action: "agent.enrol", target: new.id, detail: database };
        append(&mut tx, scope, what, now).await?;
        if !used(&mut tx, token, now).await? {
            return Ok(AgentEnrolment::Used);
        }
        if !counts(&mut tx, scope, new.certificate.authority).await? {
            return Ok(AgentEnrolment::Retired);
        }
        let link = Secret::generate(SecretKind::Agent)?;
        run!(&mut tx, execute AGENT, new.id, &scope.org_id, database, new.name, link.sha256(), now, new.audit_key)?;
        insert(&mut tx, scope, &new.certificate).await?;
        tx.commit().await?;
        Ok(AgentEnrolment::Made(link))
    }

    /// Uses a relay's token; `None` if it was used meanwhile or is not for a relay.
    pub async fn enrol_relay(
        &self,
        token: &EnrolmentAuth,
        name: &str,
        now: i64,
    ) -> Result<Option<(String, Secret)>, StoreError> {
        if *token.kind() != EnrolmentKind::Relay {
            return Ok(None);
        }
        let scope = token.scope();
        let mut tx = self.write_tx(scope).await?;
        if !used(&mut tx, token, now).await? {
            return Ok(None);
        }
        let id = Uuid::now_v7().to_string();
        let link = Secret::generate(SecretKind::Relay)?;
        run!(&mut tx, execute RELAY, &id, &scope.org_id, name, link.sha256(), now)?;
        append(&mut tx, scope, Happened { action: "relay.enrol", target: &id, detail: name }, now).await?;
        tx.commit().await?;
        Ok(Some((id, link)))
    }
}

async fn used(tx: &mut Tx, token: &EnrolmentAuth, now: i64) -> Result<bool, StoreError> {
    Ok(run!(tx, execute USE, &token.scope().org_id, token.id(), now)? == 1)
}
