//! The task that owns the admin connection and does one thing at a time.
//!
//! Every command is short (nothing waits for a backend here), so a busy session cannot hold another one up. Role
//! statements of sessions that wait at the same time share a transaction: most of the time goes into its rounds. A
//! broken connection is replaced before the next command; a command that met the break fails, and its caller must
//! treat the session as lost.

use super::command::{AdminConfig, Command, Owner, Reply, SharedRoles, Swept, UpstreamFacts};
use super::connection::Connection;
use super::registry::Registry;
use super::statements::{self, Statements};
use super::{AdminError, sweep};
use crate::cause;
use crate::session_id::SessionId;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// Pauses between attempts to reconnect; after the last one the command fails.
const RECONNECT_PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(250), Duration::from_secs(1)];

/// How many sessions share a transaction at most.
const TOGETHER: usize = 64;

#[derive(Debug)]
pub(super) struct Worker {
    config: AdminConfig,
    connection: Connection,
    statements: Statements,
    registry: Registry,
    forgotten: mpsc::UnboundedReceiver<SessionId>,
}

impl Worker {
    pub(super) async fn connect(
        config: AdminConfig,
        forgotten: mpsc::UnboundedReceiver<SessionId>,
    ) -> Result<(Self, UpstreamFacts), AdminError> {
        let connection = Connection::open(&config.upstream, config.tls.as_ref()).await?;
        let facts = connection.facts().await?;
        let statements = Statements { facts: facts.clone(), tag: config.tag.clone() };
        Ok((Self { config, connection, statements, registry: Registry::default(), forgotten }, facts))
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        while let Some(first) = inbox.recv().await {
            while let Ok(session) = self.forgotten.try_recv() {
                self.registry.end(&session);
            }
            let connected = self.reconnect().await;
            if connected.is_err() || !first.is_of_roles() {
                self.handle(first, connected).await;
                continue;
            }
            let mut together = vec![first];
            while together.len() < TOGETHER
                && let Ok(next) = inbox.try_recv()
            {
                if next.is_of_roles() {
                    together.push(next);
                } else {
                    // Signals and questions are nobody's turn to wait for.
                    self.handle(next, Ok(())).await;
                }
            }
            self.arrange(together).await;
        }
    }

    /// Runs role statements of several sessions in one transaction; if that fails, each in its own.
    async fn arrange(&mut self, commands: Vec<Command>) {
        let mut freed = Vec::new();
        if let [_, _, ..] = commands.as_slice() {
            let mut making = BTreeSet::new();
            let mut batch = Vec::new();
            let mut planned = Ok(());
            for command in &commands {
                match self.statements(command, &mut making).await {
                    Ok(statements) => batch.extend(statements),
                    Err(error) => planned = Err(error),
                }
            }
            let run = self.connection.locked("arrange several sessions", &batch);
            if and_then(planned, run).await.is_ok() {
                for command in &commands {
                    self.note(command, true, &mut freed);
                }
                self.drop_shared(freed).await;
                for command in commands {
                    self.answer(command, Ok(()));
                }
                return;
            }
        }
        for command in commands {
            let connected = self.reconnect().await;
            self.alone(command, connected).await;
        }
    }

    async fn alone(&mut self, command: Command, connected: Result<(), AdminError>) {
        let mut freed = Vec::new();
        let result = self.one(&command, connected).await;
        self.note(&command, result.is_ok(), &mut freed);
        self.drop_shared(freed).await;
        self.answer(command, result);
    }

    async fn one(&self, command: &Command, connected: Result<(), AdminError>) -> Result<(), AdminError> {
        connected?;
        let statements = self.statements(command, &mut BTreeSet::new()).await?;
        self.connection.locked(command.doing(), &statements).await
    }

    /// What a command about roles says to the database. `making`: shared roles that statements before make.
    async fn statements(
        &self,
        command: &Command,
        making: &mut BTreeSet<String>,
    ) -> Result<Vec<String>, AdminError> {
        let now = unix_now();
        Ok(match command {
            Command::Open { session, role, owner, verifier, shared, .. } => {
                let mut batch = self.shared(shared, making, now).await?;
                batch.extend(self.statements.session(session, role, verifier, now));
                batch.push(self.statements.member(&shared.permission.role, role));
                if let (Some(view), Some(owner)) = (&shared.view, owner) {
                    batch.extend(self.statements.view_owner(session, owner, &view.role, now));
                }
                batch
            }
            Command::Lend { role, owner, retired, .. } => {
                // The session is outside a transaction, so nothing but a bug can hold these locks.
                let mut batch = vec!["SET LOCAL lock_timeout = '2s'".to_owned()];
                batch.extend(retired.iter().flat_map(|role| self.statements.retire(role)));
                if let Some(Owner { session, role: owner, to_make }) = owner {
                    let make = to_make.iter();
                    batch.extend(make.flat_map(|view| self.statements.view_owner(session, owner, view, now)));
                    batch.push(statements::lend(owner, role));
                }
                batch
            }
            Command::TakeBack { role, owner, .. } => vec![statements::not_member(owner, role)],
            Command::Seal { role, .. } => vec![statements::seal(role)],
            Command::Switch { change, .. } => {
                let mut batch = self.shared(&change.shared, making, now).await?;
                batch.extend(self.statements.switch(change));
                batch
            }
            Command::Close { role, owners, .. } => {
                owners.iter().chain([role]).flat_map(|role| self.statements.retire(role)).collect()
            }
            Command::Cancel { .. }
            | Command::Terminate { .. }
            | Command::EndBackend { .. }
            | Command::Sweep { .. } => Vec::new(),
        })
    }

    /// Takes note of what was done; shared roles that nobody uses any more are `freed`.
    fn note(&mut self, command: &Command, done: bool, freed: &mut Vec<String>) {
        match command {
            Command::Open { session, shared, .. } if done => self.join(shared, session),
            Command::Switch { change, .. } if done => {
                self.join(&change.shared, &change.session);
                let kept = [Some(&change.shared.permission), change.shared.view.as_ref()];
                let old = std::iter::once(&change.old_permission).chain(&change.old_view);
                for role in old.filter(|role| !kept.iter().flatten().any(|kept| kept.role == **role)) {
                    if self.registry.leave(role, &change.session) {
                        freed.push(role.clone());
                    }
                }
            }
            Command::Close { session, .. } => {
                let unused = self.registry.end(session);
                if done {
                    freed.extend(unused);
                }
            }
            _ => {}
        }
    }

    fn answer(&mut self, command: Command, result: Result<(), AdminError>) {
        match command {
            Command::Open { session, reply, .. } => {
                // Nobody waits for the answer any more: the roles are an orphan from the start.
                if reply.send(result).is_err() {
                    self.registry.end(&session);
                }
            }
            Command::Switch { reply, .. }
            | Command::Close { reply, .. }
            | Command::Lend { reply, .. }
            | Command::TakeBack { reply, .. }
            | Command::Seal { reply, .. }
            | Command::Cancel { reply, .. }
            | Command::Terminate { reply, .. } => answer(reply, result),
            Command::EndBackend { .. } | Command::Sweep { .. } => {}
        }
    }

    async fn handle(&mut self, command: Command, connected: Result<(), AdminError>) {
        match command {
            Command::Cancel { pid, reply } => {
                let run = self.signal("SELECT pg_cancel_backend($1)", pid);
                answer(reply, and_then(connected, run).await);
            }
            Command::Terminate { pid, reply } => {
                let run = self.signal("SELECT pg_terminate_backend($1)", pid);
                answer(reply, and_then(connected, run).await);
            }
            Command::EndBackend { role, reply } => {
                answer(reply, and_then(connected, self.end_backend(role)).await);
            }
            Command::Sweep { reply } => answer(reply, and_then(connected, self.sweep()).await),
            command => self.alone(command, connected).await,
        }
    }

    async fn reconnect(&mut self) -> Result<(), AdminError> {
        if !self.connection.is_closed() {
            return Ok(());
        }
        let mut last = AdminError::Stopped;
        for pause in RECONNECT_PAUSES {
            tokio::time::sleep(pause).await;
            match Connection::open(&self.config.upstream, self.config.tls.as_ref()).await {
                Ok(connection) => {
                    self.statements.facts = connection.facts().await?;
                    self.connection = connection;
                    tracing::info!("the admin connection is back");
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Statements for the shared roles this process does not hold yet.
    async fn shared(
        &self,
        shared: &SharedRoles,
        making: &mut BTreeSet<String>,
        now: u64,
    ) -> Result<Vec<String>, AdminError> {
        let mut batch = Vec::new();
        for role in std::iter::once(&shared.permission).chain(&shared.view) {
            if !self.registry.holds(&role.role) && making.insert(role.role.clone()) {
                let exists = self.exists(&role.role).await?;
                let open = self.open_schemas().await?;
                batch.extend(self.statements.shared(role, exists, &open, now));
            }
        }
        Ok(batch)
    }

    fn join(&mut self, shared: &SharedRoles, session: &SessionId) {
        for role in std::iter::once(&shared.permission).chain(&shared.view) {
            self.registry.join(&role.role, session);
        }
    }

    async fn signal(&self, call: &str, pid: i32) -> Result<(), AdminError> {
        let refused = |source| AdminError::Refused { doing: "signal a backend", source };
        // A pid that is gone answers false with a warning: that is what the caller wanted anyway.
        self.connection.client.query_one(call, &[&pid]).await.map_err(refused)?;
        Ok(())
    }

    async fn end_backend(&self, role: String) -> Result<bool, AdminError> {
        let rows = self
            .connection
            .client
            .query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", &[&role])
            .await
            .map_err(|source| AdminError::Refused { doing: "end a session's backend", source })?;
        Ok(!rows.is_empty())
    }

    /// A shared role that cannot go now is the sweep's business.
    async fn drop_shared(&self, mut roles: Vec<String>) {
        roles.retain(|role| !self.registry.holds(role));
        if roles.is_empty() {
            return;
        }
        let batch: Vec<String> = roles.iter().flat_map(|role| self.statements.drop(role)).collect();
        if let Err(error) = self.connection.locked("remove unused shared roles", &batch).await {
            tracing::warn!(error = cause::chain(&error), "shared roles are left to the sweep");
        }
    }

    async fn sweep(&self) -> Result<Swept, AdminError> {
        let roles = sweep::find(&self.connection.client, &self.statements.tag).await?;
        let mut swept = Swept::default();
        for orphan in sweep::orphans(roles, &self.registry) {
            let role = orphan.role;
            let statements = match orphan.session {
                Some(_) => self.statements.retire(&role),
                None => self.statements.drop(&role),
            };
            match self.connection.locked("remove an orphaned role", &statements).await {
                Ok(()) => swept.dropped.push(role),
                Err(error) => swept.kept.push((role, cause::chain(&error))),
            }
        }
        Ok(swept)
    }

    /// Schemas PUBLIC has USAGE on.
    async fn open_schemas(&self) -> Result<BTreeSet<String>, AdminError> {
        const SQL: &str = "SELECT n.nspname::text FROM pg_namespace n, aclexplode(n.nspacl) a \
             WHERE a.grantee = 0 AND a.privilege_type = 'USAGE'";
        let rows = self.connection.client.query(SQL, &[]).await;
        rows.map(|rows| rows.iter().map(|row| row.get(0)).collect())
            .map_err(|source| AdminError::Refused { doing: "look at the schemas", source })
    }

    async fn exists(&self, role: &str) -> Result<bool, AdminError> {
        self.connection
            .client
            .query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&role])
            .await
            .map(|row| row.is_some())
            .map_err(|source| AdminError::Refused { doing: "look for a role", source })
    }
}

async fn and_then<T>(
    connected: Result<(), AdminError>,
    run: impl Future<Output = Result<T, AdminError>>,
) -> Result<T, AdminError> {
    match connected {
        Ok(()) => run.await,
        Err(error) => Err(error),
    }
}

fn answer<T>(reply: Reply<T>, result: Result<T, AdminError>) {
    // The caller may have given up; what was done stays done and the sweep knows the rest.
    if reply.send(result).is_err() {
        tracing::debug!("nobody waited for an admin answer");
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
