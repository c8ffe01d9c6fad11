//! Asking, and changing what was asked for. Audit entry, notices and the version agents are told by go with the change.

use super::{AccessRequest, Act, Standing};
use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::error::write_json;
use crate::outbox::{Notice, put};
use crate::{StoreError, TenantScope, UserAuth};
use daam_api::link::AccessAsked;
use uuid::Uuid;

statements! {
    NEXT_VERSION = "UPDATE databases SET access_version = access_version + 1 WHERE org_id = $1 AND name = $2";
    OPEN = "SELECT COUNT(*) FROM access_requests WHERE org_id = $1 AND user_id = $2 AND decision = 'pending' AND created_at > $3";
    INSERT = "INSERT INTO access_requests (id, org_id, database_name, user_id, name, asked, reason, seconds, wanted_start, created_at) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    CHANGE = "UPDATE access_requests SET revision = revision + 1, decision = $4, starts_at = $5, ends_at = $6, round = $7, \
              approved_round = $8, extend_to = $9, extend_reason = $10 WHERE org_id = $1 AND id = $2 AND revision = $3";
    EVENT = "INSERT INTO access_events (org_id, request_id, place, round, act, user_id, reason, at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
}

/// Something to ask for.
#[derive(Debug)]
pub struct NewRequest<'a> {
    /// The id it will have.
    pub id: &'a str,
    /// The database.
    pub database: &'a str,
    /// The policy or ceiling.
    pub name: &'a str,
    /// For what.
    pub asked: &'a AccessAsked,
    /// Why.
    pub reason: &'a str,
    /// For how long.
    pub seconds: i64,
    /// When it is to begin, unix seconds; absent for as soon as it is approved.
    pub wanted_start: Option<i64>,
}

/// How many requests somebody may have waiting.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    /// At most.
    pub most: i64,
    /// Counted from then on, unix seconds.
    pub since: i64,
}

/// What somebody does with a request, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What is done.
    pub act: Act,
    /// In which round.
    pub round: i64,
    /// Why.
    pub reason: String,
    /// What becomes of it.
    pub standing: Standing,
    /// Whether agents are told something else now.
    pub told: bool,
}

/// An id for a request.
pub fn new_request_id() -> String {
    Uuid::now_v7().to_string()
}

impl Db {
    /// Stores a request; `false` if its maker has too many that wait.
    pub async fn ask_for_access(
        &self,
        by: &UserAuth,
        new: &NewRequest<'_>,
        (waiting, notice): (Waiting, &Notice),
        now: i64,
    ) -> Result<bool, StoreError> {
        let scope = by.scope();
        let asked = write_json(new.asked, "access request")?;
        let mut tx = self.write_tx(scope).await?;
        let detail = format!("{} on {} for {} s", new.name, new.database, new.seconds);
        // First of all, because it locks the organization: nobody counts what another is about to add.
        append(&mut tx, scope, Happened { action: "request.ask", target: new.id, detail: &detail }, now)
            .await?;
        let open = run!(&mut tx, optional: (i64,), OPEN, &scope.org_id, by.user_id(), waiting.since)?;
        if open.is_some_and(|(count,)| count >= waiting.most) {
            return Ok(false);
        }
        run!(&mut tx, execute INSERT, new.id, &scope.org_id, new.database, by.user_id(), new.name, &asked, new.reason,
            new.seconds, new.wanted_start, now)?;
        put(&mut tx, scope, notice, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Makes a change that was decided on `request` as it was read; `false` if it has changed since.
    pub async fn change_request(
        &self,
        by: &UserAuth,
        request: &AccessRequest,
        (change, notice): (&Change, Option<&Notice>),
        now: i64,
    ) -> Result<bool, StoreError> {
        let scope = by.scope();
        let standing = &change.standing;
        let (extend_to, extend_reason) =
            standing.extension.as_ref().map(|more| (more.ends_at, more.reason.as_str())).unzip();
        let mut tx = self.write_tx(scope).await?;
        let changed = run!(&mut tx, execute CHANGE, &scope.org_id, &request.id, request.revision, standing.decision.name(),
            standing.starts_at, standing.ends_at, standing.round, standing.approved_round, extend_to, extend_reason)?;
        if changed == 0 {
            return Ok(false);
        }
        run!(&mut tx, execute EVENT, &scope.org_id, &request.id, request.revision, change.round, change.act.name(),
            by.user_id(), &change.reason, now)?;
        if change.told {
            moved_on(&mut tx, scope, &request.database).await?;
        }
        let action = match change.act {
            Act::Approve => "request.approve",
            Act::Deny => "request.deny",
            Act::Extend => "request.extend",
            Act::End => "request.end",
        };
        let detail = format!(
            "{} on {} of {}; now {}",
            request.name,
            request.database,
            request.email,
            standing.decision.name()
        );
        append(&mut tx, scope, Happened { action, target: &request.id, detail: &detail }, now).await?;
        if let Some(notice) = notice {
            put(&mut tx, scope, notice, now).await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}

/// Agents of the database are told another list from now on.
async fn moved_on(tx: &mut Tx, scope: &TenantScope, database: &str) -> Result<(), StoreError> {
    run!(tx, execute NEXT_VERSION, &scope.org_id, database)?;
    Ok(())
}
