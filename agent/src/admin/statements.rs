//! The role and grant statements, as text. Names come only from the names module, so they need no escaping; they
//! are quoted all the same.

use super::command::{Change, SharedRole, UpstreamFacts};
use super::{AgentTag, label};
use crate::secret::Secret;
use crate::session_id::SessionId;
use std::collections::BTreeSet;

/// How long a session role may still be logged in with.
const LOGIN_WINDOW: &str = "1 minute";

/// Writes statements for one server and one agent.
#[derive(Debug, Clone)]
pub(super) struct Statements {
    pub(super) facts: UpstreamFacts,
    pub(super) tag: AgentTag,
}

impl Statements {
    /// A NOLOGIN role that carries the plan's grants; `exists` = left by an earlier run, so it is reset first.
    /// USAGE on the schemas of `open` is left out: PUBLIC has it, and the agent may have no right to grant it.
    pub(super) fn shared(
        &self,
        shared: &SharedRole,
        exists: bool,
        open: &BTreeSet<String>,
        now: u64,
    ) -> Vec<String> {
        let role = quoted(&shared.role);
        let mut out = Vec::new();
        if exists {
            out.push(self.grant_to_self(&shared.role));
            out.push(format!("DROP OWNED BY {role}"));
        } else {
            out.push(format!("CREATE ROLE {role} NOLOGIN"));
            out.push(self.comment(&shared.role, None, now));
        }
        let database = quoted(&self.facts.database);
        if !self.facts.public_connect {
            out.push(format!("GRANT CONNECT ON DATABASE {database} TO {role}"));
        }
        if !self.facts.public_temporary {
            out.push(format!("GRANT TEMPORARY ON DATABASE {database} TO {role}"));
        }
        let usage: BTreeSet<String> =
            open.iter().map(|schema| format!("GRANT USAGE ON SCHEMA {} TO {role}", quoted(schema))).collect();
        out.extend(shared.grants.iter().filter(|grant| !usage.contains(*grant)).cloned());
        out
    }

    /// The session role: one login, within the window, by a verifier that says nothing about the password.
    pub(super) fn session(
        &self,
        session: &SessionId,
        role: &str,
        verifier: &Secret,
        now: u64,
    ) -> Vec<String> {
        // VALID UNTIL takes only a literal, and the clock that counts is the server's.
        let create = format!(
            "DO $daam$ BEGIN EXECUTE format('CREATE ROLE {role} LOGIN CONNECTION LIMIT 1 PASSWORD %L VALID UNTIL %L', \
             '{}', now() + interval '{LOGIN_WINDOW}'); END $daam$",
            verifier.expose().replace('\'', "''"),
            role = quoted(role),
        );
        vec![create, self.comment(role, Some(session), now), self.grant_to_self(role)]
    }

    /// The role that owns the session's functions and views.
    pub(super) fn view_owner(&self, session: &SessionId, owner: &str, shared: &str, now: u64) -> Vec<String> {
        vec![
            format!("CREATE ROLE {} NOLOGIN", quoted(owner)),
            self.comment(owner, Some(session), now),
            self.grant_to_self(owner),
            self.member(shared, owner),
        ]
    }

    /// Takes the old pair away and gives the new one, without touching anything the session has locked.
    pub(super) fn switch(&self, change: &Change) -> Vec<String> {
        let mut out = Vec::new();
        if let (Some(shared), Some(owner)) = (&change.old_view, &change.old_owner) {
            out.push(not_member(shared, owner));
            out.push(not_member(owner, &change.role));
        }
        if change.old_permission != change.shared.permission.role {
            out.push(not_member(&change.old_permission, &change.role));
            out.push(self.member(&change.shared.permission.role, &change.role));
        }
        out
    }

    /// Removes a shared role with everything it holds in this database.
    pub(super) fn drop(&self, role: &str) -> Vec<String> {
        vec![
            // Others wait for this connection; what somebody holds is left to the next sweep.
            "SET LOCAL lock_timeout = '1s'".to_owned(),
            self.grant_to_self(role),
            format!("DROP OWNED BY {} CASCADE", quoted(role)),
            format!("DROP ROLE {}", quoted(role)),
        ]
    }

    /// Removes a role of one session. What the session built on its views goes with them: after a crash of the server
    /// all of that is there still.
    pub(super) fn retire(&self, role: &str) -> Vec<String> {
        vec![
            self.grant_to_self(role),
            format!("DROP OWNED BY {} CASCADE", quoted(role)),
            format!("DROP ROLE {}", quoted(role)),
        ]
    }

    /// The privileges of a shared role, without being able to become it where the server knows the difference.
    pub(super) fn member(&self, role: &str, of: &str) -> String {
        let set = if self.facts.server.major() >= 16 { " WITH INHERIT TRUE, SET FALSE" } else { "" };
        format!("GRANT {} TO {}{set}", quoted(role), quoted(of))
    }

    /// Membership of our own role: PostgreSQL asks for it before DROP OWNED and before ending a backend.
    fn grant_to_self(&self, role: &str) -> String {
        // From 16 on, whether a membership inherits is stated with it; before, the member's own attribute decides.
        let inherit = if self.facts.server.major() >= 16 { " WITH INHERIT TRUE" } else { "" };
        format!("GRANT {} TO {}{inherit}", quoted(role), quoted(&self.facts.role))
    }

    fn comment(&self, role: &str, session: Option<&SessionId>, now: u64) -> String {
        let text = label::write(&self.tag, session, now);
        format!("COMMENT ON ROLE {} IS '{}'", quoted(role), text.replace('\'', "''"))
    }
}

/// A membership that also allows SET ROLE, for the moment of installing.
pub(super) fn lend(owner: &str, session: &str) -> String {
    format!("GRANT {} TO {}", quoted(owner), quoted(session))
}

pub(super) fn not_member(role: &str, of: &str) -> String {
    format!("REVOKE {} FROM {}", quoted(role), quoted(of))
}

pub(super) fn seal(role: &str) -> String {
    format!("ALTER ROLE {} NOLOGIN PASSWORD NULL", quoted(role))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
