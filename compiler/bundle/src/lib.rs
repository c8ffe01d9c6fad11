//! The sealed artefact: how policies travel, and the only way an agent comes to believe them.
//!
//! A *bundle* is a small signed statement and the policies it names by digest, in one file. [`build()`] makes
//! one, [`UnsignedBundle::sign`] adds signatures, and [`verify()`] turns bytes into a [`VerifiedBundle`], which
//! nothing else can make. Every way to refuse is a variant of [`Refused`].
//!
//! Deliberately absent: archives and compression (nothing is unpacked before it is verified), canonical JSON in
//! the trust path (the verified bytes are the bytes that are parsed and stored), algorithms chosen by the
//! bundle, and any IO or clock: bytes and time come in as arguments.

pub mod build;
pub mod content;
mod digest;
mod dsse;
mod file;
pub mod head;
pub mod key;
pub mod refused;
pub mod signing_key;
pub mod statement;
pub mod trust;
pub mod verify;

pub use build::{BuildError, StatementInput, UnsignedBundle, build};
pub use content::{ContentError, decode_content, encode_content, fingerprint};
pub use head::{Head, HeadError};
pub use key::{KeyError, PublicKey, Scheme};
pub use refused::{RefusalKind, Refused};
pub use signing_key::SigningKey;
pub use statement::{CiRun, ContentRef, Previous, SUPPORTED_FEATURES, Source, Statement, StatementError};
pub use trust::{TrustError, TrustFile, TrustedKey};
pub use verify::{Verified, VerifiedBundle, reverify, verify};
