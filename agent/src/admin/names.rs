//! Names of the roles the agent creates, and the passwords of session roles.
//!
//! Every name is made of lower-case letters, digits and `_`, at most 63 bytes, so it reads the same quoted and bare.

use super::AdminError;
use crate::secret::Secret;
use crate::session_id::SessionId;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Which agent a role belongs to: part of shared roles' names and of every role's comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentTag {
    agent: String,
    short: String,
}

impl AgentTag {
    /// The tag of an agent (its id) serving a database. Two databases of one cluster never share roles.
    pub fn new(agent: &str, database: &str) -> Self {
        let digest = Sha256::digest(format!("{}:{agent}{database}", agent.len()));
        Self { agent: format!("{agent}/{database}"), short: hex(digest.get(..5).unwrap_or_default()) }
    }

    /// What the comment says.
    pub fn label(&self) -> &str {
        &self.agent
    }

    /// What ends the names of shared roles.
    pub fn short(&self) -> &str {
        &self.short
    }
}

pub(super) fn session_role(session: &SessionId) -> String {
    format!("daam_s_{session}")
}

pub(super) fn view_owner(session: &SessionId, generation: u32) -> String {
    format!("daam_o_{session}_{generation}")
}

/// 192 random bits.
pub(super) fn password() -> Result<Secret, AdminError> {
    let mut random = [0_u8; 24];
    getrandom::fill(&mut random).map_err(|_| AdminError::Random)?;
    Ok(Secret::new(hex(&random)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ_per_agent_and_database() {
        let session = SessionId::fresh();
        assert!(session_role(&session).len() <= 63);
        assert!(view_owner(&session, u32::MAX).len() <= 63);
        assert_ne!(AgentTag::new("a", "bc").short(), AgentTag::new("ab", "c").short());
    }
}
