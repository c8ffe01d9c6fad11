//! Power that would outlive a credential that leaked, and so takes a person.
//!
//! Whoever comes by an API token has what it gives until it ends or is deleted, and no more: making an admin, or another
//! way to be one, takes somebody who signed in to the console by something no token began. Everything that does so asks
//! [`Basis::may`] in the transaction that does it; what nobody vouches for is a token.

use crate::StoreError;

/// On what somebody acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Basis {
    /// A session at the console that no token began, or what was made in one.
    Person,
    /// A token, a session that one began, or what was made with either.
    #[default]
    Token,
}

/// What takes a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// Giving the role, or giving it back to an admin who was disabled.
    Admin,
    /// An invite, a token or jobs that would act as an admin.
    WayIn,
    /// The keys a provider is believed by: whoever has them is everybody who signs in there.
    ProviderKeys,
}

impl Lasting {
    /// What was asked for, after "cannot".
    pub const fn what(self) -> &'static str {
        match self {
            Self::Admin => "make an admin or enable one again",
            Self::WayIn => "make an invite, a token or trust in jobs that acts as another admin",
            Self::ProviderKeys => "change the keys an identity provider is believed by",
        }
    }
}

impl Basis {
    /// Whether this may be done on it.
    pub fn may(self, what: Lasting) -> Result<(), StoreError> {
        match self {
            Self::Person => Ok(()),
            Self::Token => Err(StoreError::NeedsPerson(what)),
        }
    }

    /// When what is made on it for `wanted` ends at the latest, if the credential ends then; unix seconds.
    pub(crate) fn until(self, wanted: i64, credential_ends: i64) -> i64 {
        match self {
            Self::Person => wanted,
            Self::Token => wanted.min(credential_ends),
        }
    }
}
