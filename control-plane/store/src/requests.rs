//! Access requests: what was asked for, what was said about it, and what agents made of it. Who may say what is decided
//! elsewhere, from the signed bundle; here a change is made only on top of the revision it was decided on, so that two
//! decisions at once cannot both be made on the same facts. Whatever changes what agents are told moves the database's
//! version of it on, in the same transaction.

use crate::db::{Db, Tx, run, statements};
use crate::error::{read_json, read_number};
use crate::{StoreError, TenantScope};
use daam_api::link::{AccessAsked, AccessGrant};
use std::collections::BTreeSet;

pub(crate) mod reports;
pub(crate) mod write;

statements! {
    ONE = "SELECT r.id, r.database_name, r.user_id, u.email, r.name, r.asked, r.reason, r.seconds, r.wanted_start, r.created_at, \
           r.revision, r.decision, r.starts_at, r.ends_at, r.round, r.approved_round, r.extend_to, r.extend_reason \
           FROM access_requests r JOIN users u ON u.id = r.user_id WHERE r.org_id = $1 AND r.id = $2";
    LIST = "SELECT r.id, r.database_name, r.user_id, u.email, r.name, r.asked, r.reason, r.seconds, r.wanted_start, r.created_at, \
            r.revision, r.decision, r.starts_at, r.ends_at, r.round, r.approved_round, r.extend_to, r.extend_reason \
            FROM access_requests r JOIN users u ON u.id = r.user_id WHERE r.org_id = $1 \
            AND (CAST($2 AS TEXT) IS NULL OR r.user_id = $2) AND (CAST($3 AS TEXT) IS NULL OR r.id < $3) \
            ORDER BY r.id DESC LIMIT $4";
    UNDECIDED = "SELECT r.id, r.database_name, r.user_id, u.email, r.name, r.asked, r.reason, r.seconds, r.wanted_start, r.created_at, \
                 r.revision, r.decision, r.starts_at, r.ends_at, r.round, r.approved_round, r.extend_to, r.extend_reason \
                 FROM access_requests r JOIN users u ON u.id = r.user_id WHERE r.org_id = $1 \
                 AND (r.decision = 'pending' AND r.created_at > $2 OR r.decision = 'approved' AND r.extend_to IS NOT NULL AND r.ends_at > $3) \
                 ORDER BY r.id DESC LIMIT 1000";
    APPROVED = "SELECT r.id, r.database_name, r.user_id, u.email, r.name, r.asked, r.reason, r.seconds, r.wanted_start, r.created_at, \
                r.revision, r.decision, r.starts_at, r.ends_at, r.round, r.approved_round, r.extend_to, r.extend_reason \
                FROM access_requests r JOIN users u ON u.id = r.user_id WHERE r.org_id = $1 AND r.database_name = $2 \
                AND r.decision = 'approved' AND r.ends_at > $3 ORDER BY r.id";
    EVENTS = "SELECT e.request_id, e.round, e.act, e.user_id, u.email, e.reason, e.at FROM access_events e \
              JOIN users u ON u.id = e.user_id WHERE e.org_id = $1 AND e.request_id >= $2 AND e.request_id <= $3 \
              ORDER BY e.request_id, e.place";
    REPORTS = "SELECT p.request_id, a.name, p.state, p.reason, p.at FROM access_reports p \
               JOIN agents a ON a.id = p.agent_id AND a.org_id = p.org_id \
               WHERE p.org_id = $1 AND a.removed_at IS NULL AND p.request_id >= $2 AND p.request_id <= $3 ORDER BY p.request_id, a.name, a.id";
    VERSION = "SELECT access_version FROM databases WHERE org_id = $1 AND name = $2";
}

/// What was decided about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing yet.
    Pending,
    /// It may be held in its time.
    Approved,
    /// It may not.
    Denied,
    /// It was withdrawn or ended early.
    Revoked,
}

impl Decision {
    const EVERY: [Self; 4] = [Self::Pending, Self::Approved, Self::Denied, Self::Revoked];

    /// As stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Revoked => "revoked",
        }
    }
}

/// What somebody does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// Says yes.
    Approve,
    /// Says no.
    Deny,
    /// Asks for more time.
    Extend,
    /// Withdraws it or ends it early.
    End,
}

impl Act {
    /// All of them.
    pub const EVERY: [Self; 4] = [Self::Approve, Self::Deny, Self::Extend, Self::End];

    /// As stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Extend => "extend",
            Self::End => "end",
        }
    }
}

/// Something that was done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// 0 for the request itself, 1 and more for its extensions.
    pub round: i64,
    /// What.
    pub act: Act,
    /// By whom.
    pub user_id: String,
    /// By whom.
    pub email: String,
    /// Why.
    pub reason: String,
    /// Unix seconds.
    pub at: i64,
}

/// What an agent made of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The agent's name.
    pub agent: String,
    /// In the agent's words.
    pub state: String,
    /// In the agent's words.
    pub reason: Option<String>,
    /// Unix seconds.
    pub at: i64,
}

/// More time that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// The end it would have, unix seconds.
    pub ends_at: i64,
    /// Why.
    pub reason: String,
}

/// What changes in the course of a request's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What was decided.
    pub decision: Decision,
    /// Unix seconds; known once it is approved.
    pub starts_at: Option<i64>,
    /// Unix seconds; known once it is approved.
    pub ends_at: Option<i64>,
    /// 0 for the request itself, 1 and more for its extensions.
    pub round: i64,
    /// Whose approvals count for what is held.
    pub approved_round: Option<i64>,
    /// More time that is asked for.
    pub extension: Option<Extension>,
}

/// A stored request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRequest {
    /// Its id.
    pub id: String,
    /// The database.
    pub database: String,
    /// Who asked.
    pub user_id: String,
    /// Who asked.
    pub email: String,
    /// The policy or ceiling.
    pub name: String,
    /// For what.
    pub asked: AccessAsked,
    /// Why.
    pub reason: String,
    /// For how long.
    pub seconds: i64,
    /// When it is to begin, unix seconds; absent for as soon as it is approved.
    pub wanted_start: Option<i64>,
    /// Unix seconds.
    pub created_at: i64,
    /// Counts its changes.
    pub revision: i64,
    /// What became of it.
    pub standing: Standing,
    /// What was done with it.
    pub events: Vec<Event>,
    /// What agents made of it.
    pub reports: Vec<Report>,
}

impl AccessRequest {
    /// Who said yes in a round.
    pub fn approved_by(&self, round: i64) -> impl Iterator<Item = &str> {
        let yes = self.events.iter().filter(move |event| event.round == round && event.act == Act::Approve);
        yes.map(|event| event.user_id.as_str())
    }

    /// As agents are told; none before it is approved.
    fn grant(&self) -> Option<AccessGrant> {
        let standing = &self.standing;
        let approved_by: BTreeSet<String> =
            self.approved_by(standing.approved_round?).map(str::to_owned).collect();
        Some(AccessGrant {
            id: self.id.clone(),
            user_id: self.user_id.clone(),
            what: self.asked.clone(),
            starts_at: standing.starts_at?,
            ends_at: standing.ends_at?,
            approved_by,
            reason: self.reason.clone(),
        })
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    database_name: String,
    user_id: String,
    email: String,
    name: String,
    asked: String,
    reason: String,
    seconds: i64,
    wanted_start: Option<i64>,
    created_at: i64,
    revision: i64,
    decision: String,
    starts_at: Option<i64>,
    ends_at: Option<i64>,
    round: i64,
    approved_round: Option<i64>,
    extend_to: Option<i64>,
    extend_reason: Option<String>,
}

impl TryFrom<Row> for AccessRequest {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let decision = Decision::EVERY.into_iter().find(|decision| decision.name() == row.decision);
        let extension =
            row.extend_to.map(|ends_at| Extension { ends_at, reason: row.extend_reason.unwrap_or_default() });
        let standing = Standing {
            decision: decision.ok_or(StoreError::Decode("decision"))?,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            round: row.round,
            approved_round: row.approved_round,
            extension,
        };
        Ok(Self {
            id: row.id,
            database: row.database_name,
            user_id: row.user_id,
            email: row.email,
            name: row.name,
            asked: read_json(&row.asked, "access request")?,
            reason: row.reason,
            seconds: row.seconds,
            wanted_start: row.wanted_start,
            created_at: row.created_at,
            revision: row.revision,
            standing,
            events: Vec::new(),
            reports: Vec::new(),
        })
    }
}

impl Db {
    /// One request.
    pub async fn access_request(
        &self,
        scope: &TenantScope,
        id: &str,
    ) -> Result<Option<AccessRequest>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        one(&mut tx, scope, id).await
    }

    /// Requests, latest first: of one person or of everybody, before the one named.
    pub async fn access_requests(
        &self,
        scope: &TenantScope,
        user_id: Option<&str>,
        (before, most): (Option<&str>, u32),
    ) -> Result<Vec<AccessRequest>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: Row, LIST, &scope.org_id, user_id, before, i64::from(most))?;
        whole(&mut tx, scope, rows).await
    }

    /// Requests that wait for a decision: made after `since`, or with more time asked for and not over `now`.
    pub async fn undecided_requests(
        &self,
        scope: &TenantScope,
        (since, now): (i64, i64),
    ) -> Result<Vec<AccessRequest>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: Row, UNDECIDED, &scope.org_id, since, now)?;
        whole(&mut tx, scope, rows).await
    }

    /// The version of what agents of a database are told; 0 if there never was anything.
    pub async fn access_version(&self, scope: &TenantScope, database: &str) -> Result<u64, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        version(&mut tx, scope, database).await
    }

    /// All access of a database that was approved and is not over, and the version of that.
    pub async fn access_grants(
        &self,
        scope: &TenantScope,
        database: &str,
        now: i64,
    ) -> Result<(u64, Vec<AccessGrant>), StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let version = version(&mut tx, scope, database).await?;
        let rows = run!(&mut tx, all: Row, APPROVED, &scope.org_id, database, now)?;
        let requests = whole(&mut tx, scope, rows).await?;
        Ok((version, requests.iter().filter_map(AccessRequest::grant).collect()))
    }
}

async fn version(tx: &mut Tx, scope: &TenantScope, database: &str) -> Result<u64, StoreError> {
    let row = run!(tx, optional: (i64,), VERSION, &scope.org_id, database)?;
    read_number(row.map_or(0, |(version,)| version), "access version")
}

async fn one(tx: &mut Tx, scope: &TenantScope, id: &str) -> Result<Option<AccessRequest>, StoreError> {
    let row = run!(tx, optional: Row, ONE, &scope.org_id, id)?;
    Ok(whole(tx, scope, row.into_iter().collect()).await?.pop())
}

/// With what was said about them.
async fn whole(tx: &mut Tx, scope: &TenantScope, rows: Vec<Row>) -> Result<Vec<AccessRequest>, StoreError> {
    type EventRow = (String, i64, String, String, String, String, i64);
    type ReportRow = (String, String, String, Option<String>, i64);
    let mut requests: Vec<AccessRequest> =
        rows.into_iter().map(AccessRequest::try_from).collect::<Result<_, _>>()?;
    let ids = || requests.iter().map(|request| request.id.as_str());
    let (Some(first), Some(last)) = (ids().min().map(str::to_owned), ids().max().map(str::to_owned)) else {
        return Ok(requests);
    };
    let events = run!(tx, all: EventRow, EVENTS, &scope.org_id, &first, &last)?;
    let reports = run!(tx, all: ReportRow, REPORTS, &scope.org_id, &first, &last)?;
    for (id, round, act, user_id, email, reason, at) in events {
        let act =
            Act::EVERY.into_iter().find(|known| known.name() == act).ok_or(StoreError::Decode("act"))?;
        if let Some(request) = requests.iter_mut().find(|request| request.id == id) {
            request.events.push(Event { round, act, user_id, email, reason, at });
        }
    }
    for (id, agent, state, reason, at) in reports {
        if let Some(request) = requests.iter_mut().find(|request| request.id == id) {
            request.reports.push(Report { agent, state, reason, at });
        }
    }
    Ok(requests)
}
