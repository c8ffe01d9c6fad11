//! Which roles are orphans: ours by their comment, and without a living session.

use super::registry::Registry;
use super::{AdminError, AgentTag, label};
use crate::session_id::SessionId;

/// A role of this agent as the database shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) role: String,
    /// None for shared roles.
    pub(super) session: Option<SessionId>,
    /// A backend of the session is running.
    pub(super) backend: bool,
    /// Roles of sessions that are members.
    pub(super) members: i64,
}

const ROLES: &str = "\
SELECT r.rolname::text, d.description, \
  (SELECT count(*) FROM pg_auth_members m JOIN pg_roles u ON u.oid = m.member \
    WHERE m.roleid = r.oid AND starts_with(u.rolname::text, 'daam_') AND u.rolname <> current_user) \
FROM pg_roles r \
JOIN pg_shdescription d ON d.objoid = r.oid AND d.classoid = 'pg_catalog.pg_authid'::regclass \
WHERE starts_with(r.rolname::text, 'daam_') ORDER BY 1";

const BACKENDS: &str =
    "SELECT usename::text FROM pg_stat_activity WHERE starts_with(usename::text, 'daam_s_')";

pub(super) async fn find(client: &tokio_postgres::Client, tag: &AgentTag) -> Result<Vec<Found>, AdminError> {
    let refused = |source| AdminError::Refused { doing: "list the agent's roles", source };
    let backends: Vec<String> =
        client.query(BACKENDS, &[]).await.map_err(refused)?.iter().map(|row| row.get(0)).collect();
    let rows = client.query(ROLES, &[]).await.map_err(refused)?;
    let found = rows.iter().filter_map(|row| {
        let (role, comment): (String, String) = (row.get(0), row.get(1));
        let label = label::read(&comment).filter(|label| label.agent == tag.label())?;
        let login = label.session.as_ref().map(super::names::session_role);
        let backend = login.is_some_and(|login| backends.contains(&login));
        Some(Found { role, session: label.session, backend, members: row.get(2) })
    });
    Ok(found.collect())
}

/// Roles to drop, in an order that works: sessions' own roles first, then shared roles that lose their last member.
pub(super) fn orphans(found: Vec<Found>, registry: &Registry) -> Vec<Found> {
    let alive = |found: &Found| match &found.session {
        Some(session) => found.backend || registry.is_live(session),
        None => registry.holds(&found.role),
    };
    let (own, shared): (Vec<Found>, Vec<Found>) =
        found.into_iter().partition(|found| found.session.is_some());
    // While a session of an earlier run lives, its shared roles have members; they wait for the next sweep.
    let survivors =
        own.iter().any(|found| alive(found) && !found.session.as_ref().is_some_and(|s| registry.is_live(s)));
    let own = own.into_iter().filter(|found| !alive(found));
    let shared = shared.into_iter().filter(|found| !(alive(found) || survivors && found.members > 0));
    own.chain(shared).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(session: &SessionId, backend: bool) -> Found {
        Found { role: format!("daam_s_{session}"), session: Some(session.clone()), backend, members: 0 }
    }

    fn shared(role: &str, members: i64) -> Found {
        Found { role: role.to_owned(), session: None, backend: false, members }
    }

    fn names(found: Vec<Found>) -> Vec<String> {
        found.into_iter().map(|found| found.role).collect()
    }

    #[test]
    fn only_roles_without_a_living_session_are_orphans() {
        let (dead, alive, ours) = (SessionId::fresh(), SessionId::fresh(), SessionId::fresh());
        let mut registry = Registry::default();
        registry.join("daam_p_held", &ours);
        let found = vec![
            own(&dead, false),
            own(&alive, true),
            own(&ours, false),
            shared("daam_p_held", 1),
            shared("daam_p_used", 1),
            shared("daam_p_free", 0),
        ];
        assert_eq!(names(orphans(found, &registry)), [format!("daam_s_{dead}"), "daam_p_free".to_owned()]);
    }

    #[test]
    fn shared_roles_go_with_their_last_dead_session() {
        let dead = SessionId::fresh();
        let found = vec![own(&dead, false), shared("daam_p_x", 1)];
        assert_eq!(
            names(orphans(found, &Registry::default())),
            [format!("daam_s_{dead}"), "daam_p_x".to_owned()]
        );
    }
}
