//! Bearer secrets: 256 random bits behind a prefix that says what they are; stored only as SHA-256.

use crate::StoreError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use std::fmt;
use subtle::ConstantTimeEq as _;

/// What a secret admits its bearer to. The prefix also lets scanners find leaked ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// Creates the first organization, once.
    Bootstrap,
    /// Speaks for a user.
    Api,
    /// Enrols one agent or relay, once.
    Enrolment,
    /// An agent's link.
    Agent,
    /// A relay's link.
    Relay,
    /// Signs in to the console, once.
    SignIn,
    /// A browser's session.
    Session,
    /// Binds a sign-in that is under way to its browser.
    Flow,
    /// Fetches a program's sign-in, once.
    Program,
    /// Provisions members and groups.
    Scim,
}

impl SecretKind {
    const EVERY: [Self; 10] = [
        Self::Bootstrap,
        Self::Api,
        Self::Enrolment,
        Self::Agent,
        Self::Relay,
        Self::SignIn,
        Self::Session,
        Self::Flow,
        Self::Program,
        Self::Scim,
    ];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Bootstrap => "daam_boot_",
            Self::Api => "daam_pat_",
            Self::Enrolment => "daam_enr_",
            Self::Agent => "daam_agt_",
            Self::Relay => "daam_rly_",
            Self::SignIn => "daam_sgn_",
            Self::Session => "daam_ses_",
            Self::Flow => "daam_flw_",
            Self::Program => "daam_dev_",
            Self::Scim => "daam_scm_",
        }
    }

    /// What a presented secret claims to be.
    pub fn of(secret: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|kind| secret.starts_with(kind.prefix()))
    }
}

/// A new secret. Its `Debug` shows nothing.
pub struct Secret(String);

impl Secret {
    /// Makes one.
    pub fn generate(kind: SecretKind) -> Result<Self, StoreError> {
        let mut random = [0_u8; 32];
        getrandom::fill(&mut random).map_err(|_| StoreError::Random)?;
        Ok(Self(format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(random))))
    }

    /// What is stored.
    pub fn sha256(&self) -> String {
        digest(&self.0)
    }

    /// The secret, to be shown once.
    pub fn reveal(self) -> String {
        self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The stored form of a presented secret.
pub fn digest(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// Compares two digests in time that does not depend on where they differ.
pub(crate) fn same_digest(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_says_what_it_is_but_not_what_it_is_worth() {
        let secret = Secret::generate(SecretKind::Api).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        let stored = secret.sha256();
        let shown = secret.reveal();
        assert_eq!(SecretKind::of(&shown), Some(SecretKind::Api));
        assert!(same_digest(&digest(&shown), &stored));
        assert!(!stored.contains(&shown));
        assert_eq!(SecretKind::of("Bearer x"), None);
    }
}
