//! What a workspace keeps from one check to the next.
//!
//! Three things, each with what it was made from: checked policies ([`policies::Policies`]) with what comparing them with others
//! gave, documents of other kinds ([`kept::Kept`]), and the settled findings of each file ([`files::Settling`]). All of it is
//! found out anew whenever anything it was made from is another; that is decided by comparing, never by guessing what
//! an edit was. Nothing here has a rule of its own.

mod entry;
pub(crate) mod files;
pub(crate) mod kept;
mod masking;
mod policies;
mod touched;
