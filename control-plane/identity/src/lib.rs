//! Proofs of who someone is: certificates, the principals named in them, and relay tickets.
//!
//! No HTTP, no database, no clock: the time is always passed in, as seconds since 1970 UTC. What this crate
//! refuses: certificates that name anything but exactly one principal, requests that try to choose their own
//! name, users' certificates that would live longer than [`authority::MAX_USER_SECONDS`], and tickets that are
//! not byte for byte what the control plane signed.

pub mod authorities;
pub mod authority;
pub mod certificate;
pub mod principal;
pub mod ticket;
pub mod word;

pub use authorities::{Authorities, AuthorityFacts, FollowError, Successor, facts_of_authority};
pub use authority::{AuthorityError, CertificateAuthority, Issued, make_csr};
pub use certificate::{CertificateFacts, facts_of, facts_of_pem, principal_of};
pub use principal::{AgentPrincipal, Databases, Principal, PrincipalError, UserPrincipal};
