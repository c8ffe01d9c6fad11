//! Work that needs the database to itself: installing the session's functions, moving to another policy.
//!
//! All of it happens at rest: nothing in flight, no transaction, the client's next message not yet taken. Each piece
//! is one simple query, so it either happens whole or not at all.

use super::core::{Core, End};
use super::path;
use super::session::{Line, Session};
use crate::admin::{Admin, AdminError, SessionGrant};
use crate::upstream::Duplex;
use daam_catalog::Identifier;
use daam_enforce::{HashKey, SessionPlan};
use daam_pgwire::{FrameError, Report, TransactionStatus, backend, frontend, sqlstate};
use std::time::Duration;

/// How long the database may take for a piece of it.
const DEADLINE: Duration = Duration::from_secs(30);

impl<C: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Session<C> {
    /// Does what is due.
    pub(super) async fn maintain(&mut self) -> Result<(), End> {
        if let Some((plan, catalog)) = self.core.maintenance.widen.take() {
            self.switch(*plan, catalog).await?;
        }
        if std::mem::take(&mut self.core.maintenance.only_reads) {
            exchange(
                &mut self.core,
                &mut self.upstream,
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            )
            .await?;
        }
        if self.core.maintenance.close_cursors {
            self.core.maintenance.close_cursors = false;
            exchange(&mut self.core, &mut self.upstream, "CLOSE ALL").await?;
        }
        if self.core.maintenance.reinstall {
            self.core.maintenance.reinstall = false;
            let parts = Parts {
                core: &mut self.core,
                upstream: &mut self.upstream,
                admin: &self.ctx.admin,
                grant: &mut self.grant,
            };
            install(parts, &self.ctx.hash_key).await?;
        }
        Ok(())
    }
}

/// What installing needs of a session.
pub(super) struct Parts<'a> {
    pub(super) core: &'a mut Core,
    pub(super) upstream: &'a mut Line<Box<dyn Duplex>>,
    pub(super) admin: &'a Admin,
    pub(super) grant: &'a mut SessionGrant,
}

/// Installs the session's functions as its view owner, and reads the search path.
pub(super) async fn install(parts: Parts<'_>, key: &HashKey) -> Result<(), End> {
    let Parts { core, upstream, admin, grant } = parts;
    core.views.take();
    admin.lend(grant).await.map_err(|error| admin_failed(&error))?;
    let Some(owner) = grant.view_owner() else {
        return read_path(core, upstream).await;
    };
    let sql = script(&core.policy.plan, owner, key)?;
    let installed = exchange(core, upstream, &sql).await;
    admin.take_back(grant).await.map_err(|error| admin_failed(&error))?;
    installed?;
    read_path(core, upstream).await
}

/// One simple query is one transaction: `SET LOCAL` ends with it, whatever happens.
fn script(plan: &SessionPlan, owner: &str, key: &HashKey) -> Result<String, End> {
    let owner = Identifier::stored(owner)
        .map_err(|error| End::fatal(sqlstate::INTERNAL_ERROR, &format!("unusable role name: {error}")))?;
    let mut sql = format!(
        "SET TRANSACTION READ WRITE; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
         SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL ROLE {};",
        owner.quoted()
    );
    for statement in plan.install(key) {
        sql.push('\n');
        sql.push_str(statement.trim_end_matches(';'));
        sql.push(';');
    }
    Ok(sql)
}

async fn read_path(core: &mut Core, upstream: &mut Line<Box<dyn Duplex>>) -> Result<(), End> {
    let rows = exchange(core, upstream, path::QUESTION).await?;
    core.path.ask();
    for row in rows {
        core.path.row(&row);
    }
    if core.path.answered() {
        core.checker.next_generation();
    }
    Ok(())
}

/// Runs a query of ours and gives the first column of its rows. A statement cancelled by a late request of somebody
/// else is run once more.
pub(super) async fn exchange(
    core: &mut Core,
    upstream: &mut Line<Box<dyn Duplex>>,
    sql: &str,
) -> Result<Vec<Vec<u8>>, End> {
    for _ in 0..2 {
        let once = tokio::time::timeout(DEADLINE, exchange_once(core, upstream, sql));
        match once.await {
            Err(_) => {
                return Err(End::fatal(sqlstate::CONNECTION_FAILURE, "the database did not answer in time"));
            }
            Ok(Ok(rows)) => return Ok(rows),
            Ok(Err(Failed::End(end))) => return Err(end),
            Ok(Err(Failed::Statement(report))) if report.code() == sqlstate::QUERY_CANCELED => {}
            Ok(Err(Failed::Statement(report))) => {
                let text = format!("the session could not be set up: {}", report.text());
                return Err(End::fatal(sqlstate::INTERNAL_ERROR, &text));
            }
        }
    }
    Err(End::fatal(sqlstate::QUERY_CANCELED, "setting the session up was cancelled"))
}

enum Failed {
    End(End),
    Statement(Report),
}

async fn exchange_once(
    core: &mut Core,
    upstream: &mut Line<Box<dyn Duplex>>,
    sql: &str,
) -> Result<Vec<Vec<u8>>, Failed> {
    core.names.unnamed_gone();
    core.wires.to_upstream.extend_from_slice(&frontend::query(sql));
    upstream.send(&mut core.wires.to_upstream).await.map_err(|_| lost())?;
    let mut rows = Vec::new();
    let mut failure = None;
    loop {
        let Some(frame) = core.wires.from_upstream.take().map_err(malformed)? else {
            let read = upstream.receive(core.wires.from_upstream.buffer_mut()).await;
            if read.map_err(|_| lost())? == 0 {
                return Err(lost());
            }
            continue;
        };
        match frame.tag() {
            b'S' => core.reported(frame.body()).map_err(Failed::End)?,
            b'A' => core.tell_client(frame.as_bytes()),
            b'D' => {
                let row =
                    backend::parse_data_row(frame.body()).map_err(|_| malformed(FrameError::Invalid))?;
                rows.extend(row.first().copied().flatten().map(<[u8]>::to_vec));
            }
            b'E' => {
                let report = Report::parse(frame.body()).map_err(|_| malformed(FrameError::Invalid))?;
                if report.is_fatal() {
                    core.tell_client(frame.as_bytes());
                    let reason = format!("the database ended the session: {}", report.text());
                    return Err(Failed::End(End::UpstreamEnded(reason)));
                }
                failure.get_or_insert(report);
            }
            b'Z' => {
                return match (failure, TransactionStatus::parse(frame.body())) {
                    (None, Ok(TransactionStatus::Idle)) => Ok(rows),
                    (Some(report), Ok(TransactionStatus::Idle)) => Err(Failed::Statement(report)),
                    _ => Err(malformed(FrameError::Invalid)),
                };
            }
            _ => {}
        }
    }
}

fn lost() -> Failed {
    Failed::End(End::fatal(sqlstate::ADMIN_SHUTDOWN, "the connection to the database was lost"))
}

fn malformed(_: FrameError) -> Failed {
    Failed::End(End::fatal(sqlstate::CONNECTION_FAILURE, "the database sent a malformed message"))
}

/// The admin side could not do its part; the log has the cause, the client has what it means.
pub(super) fn admin_failed(error: &AdminError) -> End {
    tracing::error!(error = %Chain(error), "a session could not be set up");
    End::fatal(
        sqlstate::CANNOT_CONNECT_NOW,
        &format!("the agent could not arrange the database: {}", Chain(error)),
    )
}

/// An error with its causes.
pub(super) struct Chain<'a>(pub(super) &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
