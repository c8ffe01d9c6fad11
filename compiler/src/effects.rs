//! What every class of people holds: everyone, each group, each person a policy names.
//!
//! Groups stay symbolic: a class is what membership alone gives, whoever the members are. The answers come from
//! the evaluator agents run, so they cannot differ from what is enforced. A request that is not active gives
//! nothing, so what can be asked for is a condition of its own: a policy of a request, or all of what a ceiling lets
//! people ask for.

mod around;
mod digest;
mod holding;
mod index;
mod reached;
mod who;
mod why;

pub use around::around;
pub(crate) use around::{cut, kin};
pub(crate) use digest::document;
pub use digest::effects_sha256;
pub use holding::{Access, Holding, Rows};
pub use index::Index;
pub use reached::Reached;
pub use who::{Answer, Question, who_can};
pub use why::{Giving, Standing, giving, on_request};

use crate::compile::CompiledDatabase;
use daam_catalog::{Catalog, Scope};
use daam_model::PolicySet;
use std::fmt;

/// What effects are computed from.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The policies.
    pub policies: &'a PolicySet,
    /// The schema they are applied to.
    pub catalog: &'a Catalog,
    /// What the agent serves of it.
    pub scope: &'a Scope,
}

impl<'a> Side<'a> {
    /// The side of a compiled database.
    pub fn of(database: &'a CompiledDatabase) -> Self {
        Self { policies: &database.policies, catalog: &database.catalog, scope: &database.scope }
    }
}

/// People a policy can name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Everyone with an identity in the organization.
    Everyone,
    /// Members of a group, as far as membership alone goes.
    Group(String),
    /// One person, with the groups the repository gives.
    User(String),
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => f.write_str("everyone"),
            Self::Group(name) => write!(f, "group:{name}"),
            Self::User(email) => write!(f, "user:{email}"),
        }
    }
}

/// When something is held.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Always.
    Standing,
    /// While a request for that policy is active.
    Request(String),
    /// While a request for all that this ceiling lets people ask for is active.
    AdHoc(String),
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standing => f.write_str("standing"),
            Self::Request(policy) => write!(f, "on request {policy}"),
            Self::AdHoc(ceiling) => write!(f, "on request (ad hoc) {ceiling}"),
        }
    }
}

/// Whether any filter reads the attribute.
pub(crate) fn uses(set: &PolicySet, attribute: &str) -> bool {
    let wanted = format!("subject.{attribute}");
    let policies = set.policies.iter().flat_map(|policy| &policy.grants);
    let ceilings = set.ceilings.iter().flat_map(|ceiling| &ceiling.grants);
    let filters = policies.chain(ceilings).flat_map(|grant| grant.rows.iter().chain(&grant.restrict));
    filters.into_iter().any(|text| text.contains(&wanted))
}
