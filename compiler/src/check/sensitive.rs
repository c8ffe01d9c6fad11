//! Who reads sensitive columns in clear: the 6xx rules.
//!
//! Every column is classified once; then each policy is asked which of the flagged ones it shows without a mask to
//! at least one of its groups or people. Both grow with the size of the project, not with its square.

mod classified;
mod exposed;
mod masks;
mod sibling;

pub(crate) use classified::Classified;
pub(crate) use exposed::{exposed, unclassified};
pub(crate) use masks::{Masks, Whom};
pub(crate) use sibling::{restricted_by, siblings};
