//! The sealed artefact: how policies travel, and the only way an agent comes to believe them.
//!
//! A *bundle* is a small signed statement and the policies it names by digest, in one file. [`build()`] makes
//! one, [`UnsignedBundle::sign`] adds signatures, and [`verify()`] turns bytes into a [`VerifiedBundle`], which
//! nothing else can make. Every way to refuse is a variant of [`Refused`].
//!
//! Whose signatures count says the [`TrustFile`]; a [`TrustChain`] leads from a pinned one to its signed
//! successors. A [`Freshness`] statement says for an hour which bundle is the latest; what an agent may still do
//! without one is [`Standing`]'s to say.
//!
//! Deliberately absent: archives and compression (nothing is unpacked before it is verified), canonical JSON in
//! the trust path (the verified bytes are the bytes that are parsed and stored), algorithms chosen by the
//! bundle, and any IO or clock: bytes and time come in as arguments.

mod asked;
pub mod build;
pub mod content;
mod digest;
mod dsse;
mod file;
pub mod freshness;
pub mod head;
pub mod key;
mod narrow;
pub mod refused;
pub mod signing_key;
pub mod statement;
pub mod trust;
pub mod verify;

pub use asked::{AskedError, asked_relation};
pub use build::{BuildError, StatementInput, UnsignedBundle, build};
pub use content::{ContentError, decode_content, decode_mask, encode_content, fingerprint};
pub use freshness::{Attested, Freshness, FreshnessRefused, Standing, VerifiedFreshness, verify_freshness};
pub use head::{Head, HeadError, Minimum};
pub use key::{KeyError, PublicKey, Scheme};
pub use narrow::widening;
pub use refused::{RefusalKind, Refused};
pub use signing_key::SigningKey;
pub use statement::{CiRun, ContentRef, Previous, SUPPORTED_FEATURES, Source, Statement, StatementError};
pub use trust::{
    ChainError, DatabaseTrust, Role, RoleKeys, SignedTrust, TrustChain, TrustDocument, TrustDraft,
    TrustError, TrustFile, TrustedKey, Walk,
};
pub use verify::{Acceptance, Verified, VerifiedBundle, reverify, verify};
