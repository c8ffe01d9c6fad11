//! A SAML 2.0 service provider as decisions: what an identity provider's metadata pins, what we ask it, and whether what
//! it says holds. No sockets and no clock: callers bring the text, what they expect and the time.
//!
//! The library reads and verifies with one parser, which is why it was taken; this crate is its only user. What counts
//! leaves as an [`Assertion`], a [`Logout`] or a [`LogoutAnswer`], which nothing but their checks makes. Refused besides what the library
//! refuses: more than one assertion, a signature that is anywhere but in the message or its assertion, or that covers
//! anything but its parent, an identifier that is there twice, encrypted parts, keys that come with the message, SHA-1,
//! names for people that are made up anew for every sign-in, and answers to what was not asked.

mod key;
mod logout;
mod message;
mod metadata;
mod outgoing;
mod refused;
mod response;
mod signature;

pub use key::{KeyError, OurKey};
pub use logout::{Logout, LogoutAnswer, logout_answer, logout_request};
pub use message::{Carried, LARGEST_MESSAGE};
pub use metadata::{IdentityProvider, LogoutService, MetadataError, Pinned};
pub use outgoing::{Outgoing, OutgoingError};
pub use refused::Refused;
pub use response::{Assertion, Expected, response};

use serde::{Deserialize, Serialize};

/// Our own addresses at one identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Us {
    /// Who we are: where our metadata is.
    pub entity_id: String,
    /// Where assertions are posted to.
    pub acs: String,
    /// Where notices of logouts come to.
    pub logout: String,
}

/// Whom an identity provider means, as it says it. Kept for as long as the session, because a logout names them so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameId {
    /// The name itself.
    pub value: String,
    /// What kind of name it is.
    pub format: Option<String>,
    /// Whose name it is.
    pub name_qualifier: Option<String>,
    /// For whom it was made.
    pub sp_name_qualifier: Option<String>,
}

/// Seconds that clocks may differ.
const SKEW: u64 = 180;
/// Seconds a message may be on its way.
const LONGEST_WAY: u64 = 300;
/// Seconds after which a message is refused whatever happens; its id is to be remembered until then.
const FORGETTABLE: i64 = 900;
/// Bytes of a name or an id that are kept.
const LONGEST_NAME: usize = 255;

#[cfg(test)]
mod tests;
