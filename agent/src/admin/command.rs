//! What the admin task can be asked.

use super::{AdminError, AgentTag};
use crate::secret::Secret;
use crate::session_id::SessionId;
use daam_catalog::ServerVersion;
use daam_enforce::SessionPlan;
use tokio::sync::oneshot;

/// How the admin task connects and labels.
#[derive(Clone)]
pub struct AdminConfig {
    /// The DSN role's connection.
    pub upstream: tokio_postgres::Config,
    /// TLS, if the DSN wants it.
    pub tls: Option<rustls::ClientConfig>,
    /// Whose roles these are.
    pub tag: AgentTag,
}

impl std::fmt::Debug for AdminConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminConfig")
            .field("tag", &self.tag)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// What the first connection found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamFacts {
    /// The server.
    pub server: ServerVersion,
    /// The database connected to.
    pub database: String,
    /// The agent's own role.
    pub role: String,
    /// Whether PUBLIC may connect; if not, every session role gets CONNECT.
    pub public_connect: bool,
    /// Whether PUBLIC may create temporary objects; if not, sessions and view owners get TEMPORARY.
    pub public_temporary: bool,
}

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Roles removed.
    pub dropped: Vec<String>,
    /// Roles that could not be removed, and why.
    pub kept: Vec<(String, String)>,
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, AdminError>>;

/// A shared role and the statements that give it its privileges.
#[derive(Debug, Clone)]
pub(super) struct SharedRole {
    pub(super) role: String,
    pub(super) grants: Vec<String>,
}

/// The shared roles of one plan, named for one agent.
#[derive(Debug, Clone)]
pub(super) struct SharedRoles {
    pub(super) permission: SharedRole,
    pub(super) view: Option<SharedRole>,
}

impl SharedRoles {
    /// The plan's roles under this agent's names, so that two agents of one cluster never share one.
    pub(super) fn of(plan: &SessionPlan, tag: &AgentTag) -> Self {
        Self {
            permission: SharedRole::named(plan.permission_role(), &plan.permission_grants(), tag),
            view: plan.view_owner().map(|role| SharedRole::named(role, &plan.view_owner_grants(), tag)),
        }
    }
}

impl SharedRole {
    fn named(planned: &str, grants: &[String], tag: &AgentTag) -> Self {
        let role = format!("{planned}_{}", tag.short());
        let (to_planned, to_role) = (recipient(planned), recipient(&role));
        // A grant that does not end so stays as it is, names a role that does not exist, and fails.
        let rename = |grant: &String| match grant.strip_suffix(&to_planned) {
            Some(head) => format!("{head}{to_role}"),
            None => grant.clone(),
        };
        Self { grants: grants.iter().map(rename).collect(), role }
    }
}

/// How a GRANT ends.
fn recipient(role: &str) -> String {
    format!(" TO {}", daam_sql::quote::identifier(role))
}

/// A live change of one session.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) session: SessionId,
    pub(super) role: String,
    pub(super) old_permission: String,
    /// The session's owner that loses its membership.
    pub(super) old_owner: Option<String>,
    pub(super) old_view: Option<String>,
    pub(super) shared: SharedRoles,
}

/// A view owner, and the shared role it is a member of if it must be made first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) session: SessionId,
    pub(super) role: String,
    pub(super) to_make: Option<String>,
}

#[derive(Debug)]
pub(super) enum Command {
    Open {
        session: SessionId,
        role: String,
        owner: Option<String>,
        verifier: Secret,
        shared: SharedRoles,
        reply: Reply<()>,
    },
    Lend {
        role: String,
        owner: Option<Owner>,
        retired: Vec<String>,
        reply: Reply<()>,
    },
    TakeBack {
        role: String,
        owner: String,
        reply: Reply<()>,
    },
    Seal {
        role: String,
        reply: Reply<()>,
    },
    Switch {
        change: Change,
        reply: Reply<()>,
    },
    Cancel {
        pid: i32,
        reply: Reply<()>,
    },
    Terminate {
        pid: i32,
        reply: Reply<()>,
    },
    /// Terminates every backend of the role; answers whether one was still there.
    EndBackend {
        role: String,
        reply: Reply<bool>,
    },
    Close {
        session: SessionId,
        role: String,
        owners: Vec<String>,
        reply: Reply<()>,
    },
    Sweep {
        reply: Reply<Swept>,
    },
}

impl Command {
    /// Whether it is role statements alone, which can share a transaction with others.
    pub(super) fn is_of_roles(&self) -> bool {
        matches!(
            self,
            Self::Open { .. }
                | Self::Lend { .. }
                | Self::TakeBack { .. }
                | Self::Seal { .. }
                | Self::Switch { .. }
                | Self::Close { .. }
        )
    }

    /// What it does, for an error.
    pub(super) fn doing(&self) -> &'static str {
        match self {
            Self::Open { .. } => "create the session's roles",
            Self::Lend { .. } => "lend the view owner to a session",
            Self::TakeBack { .. } => "take the view owner back from a session",
            Self::Seal { .. } => "seal the session role",
            Self::Switch { .. } => "move a session to another policy",
            Self::Close { .. } => "remove the session's roles",
            Self::Cancel { .. } | Self::Terminate { .. } => "signal a backend",
            Self::EndBackend { .. } => "end a session's backend",
            Self::Sweep { .. } => "list the agent's roles",
        }
    }
}
