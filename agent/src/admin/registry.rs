//! Which sessions use which shared role, so that the last one out removes it.

use crate::session_id::SessionId;
use std::collections::{BTreeMap, BTreeSet};

/// Sessions of this process and the shared roles they hold.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// Shared role → sessions. A role that is here exists in the database with its grants.
    users: BTreeMap<String, BTreeSet<SessionId>>,
    live: BTreeSet<SessionId>,
}

impl Registry {
    pub(super) fn holds(&self, role: &str) -> bool {
        self.users.contains_key(role)
    }

    pub(super) fn is_live(&self, session: &SessionId) -> bool {
        self.live.contains(session)
    }

    pub(super) fn join(&mut self, role: &str, session: &SessionId) {
        self.users.entry(role.to_owned()).or_default().insert(session.clone());
        self.live.insert(session.clone());
    }

    /// The session leaves one role; true if nobody uses it now.
    pub(super) fn leave(&mut self, role: &str, session: &SessionId) -> bool {
        let Some(sessions) = self.users.get_mut(role) else { return false };
        sessions.remove(session);
        let empty = sessions.is_empty();
        if empty {
            self.users.remove(role);
        }
        empty
    }

    /// The session is over; answers the shared roles nobody uses any more.
    pub(super) fn end(&mut self, session: &SessionId) -> Vec<String> {
        self.live.remove(session);
        let roles: Vec<String> = self.users.keys().cloned().collect();
        roles.into_iter().filter(|role| self.leave(role, session)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_session_out_frees_a_shared_role() {
        let (a, b) = (SessionId::fresh(), SessionId::fresh());
        let mut registry = Registry::default();
        registry.join("p", &a);
        registry.join("p", &b);
        registry.join("v", &b);
        assert!(registry.end(&a).is_empty());
        assert!(!registry.is_live(&a));
        assert_eq!(registry.end(&b), ["p", "v"]);
        assert!(!registry.holds("p"));
    }
}
