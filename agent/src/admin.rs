//! The admin side of the upstream database: roles and grants of sessions, through one serialised connection.
//!
//! # Roles
//!
//! | role | shared by | holds |
//! |---|---|---|
//! | `daam_p_<hash>_<agent>` | sessions of this agent with the same direct grants | those grants |
//! | `daam_v_<hash>_<agent>` | sessions of this agent with the same protected tables | the base privileges behind masks and row filters |
//! | `daam_o_<session>_<n>` | nobody | membership of the `daam_v_` role; owns the session's activation functions and views |
//! | `daam_s_<session>` | nobody | membership of the `daam_p_` role; LOGIN |
//!
//! The owner of a session's views is a role of its own (its *view owner*), a mere member of the shared `daam_v_`
//! role. So a connect changes no table's ACL, and a live change revokes exactly one session: the old owner loses
//! its membership, which kills the old views at once and without any lock; a new owner (`<n>` counts up) is
//! made at the session's next safe point, when [`Admin::lend`] drops what the old one owned.
//!
//! A change of policy concerns many sessions at once: what waits for the connection is done in one transaction.
//!
//! Roles carry the agent in their name and their comment, so agents of one cluster never touch each other's.
//! A GRANT that PostgreSQL only warns about (01007) is an error here, and the transaction is rolled back.
//! What this module refuses: to run two role statements at once, and to call anything done that was not.

mod command;
mod connection;
mod label;
mod names;
mod registry;
mod statements;
mod sweep;
mod worker;

pub use command::{AdminConfig, Swept, UpstreamFacts};
pub use names::AgentTag;

use crate::secret::Secret;
use crate::session_id::SessionId;
use command::{Command, Owner, Reply, SharedRoles};
use daam_enforce::SessionPlan;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// How long a terminated backend may take to end before its roles are left to the sweep.
const END_DEADLINE: Duration = Duration::from_secs(10);
const END_POLL: Duration = Duration::from_millis(10);
/// Commands waiting for the connection before callers wait too.
const QUEUE: usize = 256;

/// Why an admin operation failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No connection.
    #[error("could not connect to the database as the agent's own role")]
    Unreachable(#[source] tokio_postgres::Error),
    /// A statement failed.
    #[error("the database refused to {doing}")]
    Refused {
        /// What was attempted.
        doing: &'static str,
        /// The server's answer.
        #[source]
        source: tokio_postgres::Error,
    },
    /// A GRANT that granted nothing or not everything.
    #[error(
        "the agent's own role may not grant this: {warning}; make it a member of the objects' owner or give it the privilege WITH GRANT OPTION"
    )]
    MissingRight {
        /// PostgreSQL's warning.
        warning: String,
    },
    /// The backend did not end.
    #[error("the backend of role `{role}` did not end in time; its roles will be swept later")]
    StillRunning {
        /// The session role.
        role: String,
    },
    /// No random bytes.
    #[error("could not get random bytes for a password")]
    Random,
    /// The admin task has stopped.
    #[error("the agent is shutting down")]
    Stopped,
}

/// What a live change means for the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switched {
    /// Roles and views are the same; nothing was done.
    Unchanged,
    /// The session's functions are gone or dead: lend, install, take back at the next safe point.
    Reinstall,
}

/// One session's roles. Dropping it without [`Admin::close`] leaves them to the sweep.
#[derive(Debug)]
pub struct SessionGrant {
    session: SessionId,
    role: String,
    password: Secret,
    permission: String,
    shared_view: Option<String>,
    view_owner: Option<String>,
    /// The view owner does not exist yet.
    owner_to_make: bool,
    generation: u32,
    retired: Vec<String>,
    forget: mpsc::UnboundedSender<SessionId>,
}

impl SessionGrant {
    /// The session.
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// The session role, to log in as.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// Its password, valid for one login within a minute.
    pub fn password(&self) -> &Secret {
        &self.password
    }

    fn existing_owner(&self) -> Option<String> {
        self.view_owner.clone().filter(|_| !self.owner_to_make)
    }

    /// The role to `SET ROLE` to while installing; none when no table is protected.
    pub fn view_owner(&self) -> Option<&str> {
        self.view_owner.as_deref()
    }
}

impl Drop for SessionGrant {
    fn drop(&mut self) {
        // A closed channel means the agent is going down; the next start sweeps.
        let _ = self.forget.send(self.session.clone());
    }
}

/// A handle on the admin connection; cheap to clone.
#[derive(Debug, Clone)]
pub struct Admin {
    commands: mpsc::Sender<Command>,
    forget: mpsc::UnboundedSender<SessionId>,
    tag: Arc<AgentTag>,
}

impl Admin {
    /// Starts the task that owns the connection and proves it once. The task ends when every handle is gone.
    pub async fn start(config: AdminConfig) -> Result<(Self, UpstreamFacts), AdminError> {
        let (commands, inbox) = mpsc::channel(QUEUE);
        let (forget, forgotten) = mpsc::unbounded_channel();
        let tag = Arc::new(config.tag.clone());
        let (worker, facts) = worker::Worker::connect(config, forgotten).await?;
        tokio::spawn(worker.run(inbox));
        Ok((Self { commands, forget, tag }, facts))
    }

    /// Creates what the plan needs and a session role that may log in once within a minute.
    pub async fn open(&self, session: &SessionId, plan: &SessionPlan) -> Result<SessionGrant, AdminError> {
        let password = names::password()?;
        let shared = SharedRoles::of(plan, &self.tag);
        let role = names::session_role(session);
        let view_owner = shared.view.as_ref().map(|_| names::view_owner(session, 0));
        let grant = SessionGrant {
            session: session.clone(),
            role,
            password,
            permission: shared.permission.role.clone(),
            shared_view: shared.view.as_ref().map(|view| view.role.clone()),
            view_owner,
            owner_to_make: false,
            generation: 0,
            retired: Vec::new(),
            forget: self.forget.clone(),
        };
        let verifier = postgres_protocol::password::scram_sha_256(grant.password.expose().as_bytes());
        let (session, role, owner) = (session.clone(), grant.role.clone(), grant.view_owner.clone());
        self.ask(|reply| Command::Open {
            session,
            role,
            owner,
            verifier: Secret::new(verifier),
            shared,
            reply,
        })
        .await?;
        Ok(grant)
    }

    /// Lets the session act as its view owner, and drops what earlier view owners of this session left.
    /// Call only at a safe point: outside a transaction of the session.
    pub async fn lend(&self, grant: &mut SessionGrant) -> Result<(), AdminError> {
        let role = grant.role.clone();
        let owner = grant.view_owner.clone().map(|role| Owner {
            session: grant.session.clone(),
            role,
            to_make: grant.shared_view.clone().filter(|_| grant.owner_to_make),
        });
        let retired = grant.retired.clone();
        self.ask(|reply| Command::Lend { role, owner, retired, reply }).await?;
        grant.owner_to_make = false;
        grant.retired.clear();
        Ok(())
    }

    /// Ends what [`Admin::lend`] began; after it the session cannot act as its view owner.
    pub async fn take_back(&self, grant: &SessionGrant) -> Result<(), AdminError> {
        let Some(owner) = grant.view_owner.clone() else { return Ok(()) };
        let role = grant.role.clone();
        self.ask(|reply| Command::TakeBack { role, owner, reply }).await
    }

    /// Makes the session role unusable for another login: NOLOGIN and no password.
    pub async fn seal(&self, grant: &SessionGrant) -> Result<(), AdminError> {
        let role = grant.role.clone();
        self.ask(|reply| Command::Seal { role, reply }).await
    }

    /// Moves a live session to another plan in one transaction. When it returns, everything the old plan gave
    /// and the new one does not is gone (an already open cursor excepted: cancel and close those).
    pub async fn switch(
        &self,
        grant: &mut SessionGrant,
        old: &SessionPlan,
        new: &SessionPlan,
    ) -> Result<Switched, AdminError> {
        if old.same_roles(new) && old.same_views(new) {
            return Ok(Switched::Unchanged);
        }
        let shared = SharedRoles::of(new, &self.tag);
        let generation = grant.generation.saturating_add(1);
        let owner = shared.view.as_ref().map(|_| names::view_owner(&grant.session, generation));
        let permission = shared.permission.role.clone();
        let shared_view = shared.view.as_ref().map(|view| view.role.clone());
        let change = command::Change {
            session: grant.session.clone(),
            role: grant.role.clone(),
            old_permission: grant.permission.clone(),
            old_owner: grant.existing_owner(),
            old_view: grant.shared_view.clone(),
            shared,
        };
        self.ask(|reply| Command::Switch { change, reply }).await?;
        grant.retired.extend(grant.existing_owner());
        grant.owner_to_make = owner.is_some();
        grant.permission = permission;
        grant.shared_view = shared_view;
        grant.view_owner = owner;
        grant.generation = generation;
        Ok(Switched::Reinstall)
    }

    /// Cancels the statement a backend is running.
    pub async fn cancel(&self, pid: i32) -> Result<(), AdminError> {
        self.ask(|reply| Command::Cancel { pid, reply }).await
    }

    /// Ends a backend.
    pub async fn terminate(&self, pid: i32) -> Result<(), AdminError> {
        self.ask(|reply| Command::Terminate { pid, reply }).await
    }

    /// Ends the session's backend if it still runs, waits for it, and removes every role of the session.
    pub async fn close(&self, grant: SessionGrant) -> Result<(), AdminError> {
        let deadline = Instant::now() + END_DEADLINE;
        loop {
            let role = grant.role.clone();
            if !self.ask(|reply| Command::EndBackend { role, reply }).await? {
                break;
            }
            if Instant::now() >= deadline {
                return Err(AdminError::StillRunning { role: grant.role.clone() });
            }
            tokio::time::sleep(END_POLL).await;
        }
        let session = grant.session.clone();
        let role = grant.role.clone();
        let owners: Vec<String> = grant.retired.iter().cloned().chain(grant.existing_owner()).collect();
        self.ask(|reply| Command::Close { session, role, owners, reply }).await
    }

    /// Removes roles of this agent whose session is not alive.
    pub async fn sweep(&self) -> Result<Swept, AdminError> {
        self.ask(|reply| Command::Sweep { reply }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, AdminError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| AdminError::Stopped)?;
        answer.await.map_err(|_| AdminError::Stopped)?
    }
}
