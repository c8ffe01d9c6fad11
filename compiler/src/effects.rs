//! What every class of people holds: everyone, each group, each person a policy names.
//!
//! Groups stay symbolic: a class is what membership alone gives, whoever the members are. The answers come from
//! the evaluator agents run, so they cannot differ from what is enforced. A request that is not active gives
//! nothing, so what can be asked for is a condition of its own.

mod holding;
mod who;

pub use holding::{Access, Holding, Rows};
pub use who::{Answer, Question, who_can};

use crate::compile::CompiledDatabase;
use daam_catalog::{Catalog, Scope};
use daam_model::effective::effective;
use daam_model::{EffectivePolicy, PolicySet, Subject};
use std::collections::BTreeSet;
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
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standing => f.write_str("standing"),
            Self::Request(policy) => write!(f, "on request {policy}"),
        }
    }
}

/// Every class a policy of the set names, and everyone.
pub fn classes(set: &PolicySet) -> BTreeSet<Class> {
    let subjects = set.policies.iter().map(|policy| &policy.subjects);
    let named = subjects.flat_map(|subjects| {
        let groups = subjects.groups.iter().cloned().map(Class::Group);
        groups.chain(subjects.users.iter().cloned().map(Class::User))
    });
    std::iter::once(Class::Everyone).chain(named).collect()
}

/// Standing, and each requestable policy of the set.
pub fn conditions(set: &PolicySet) -> BTreeSet<Condition> {
    let requests = set.policies.iter().filter(|policy| policy.request.is_some());
    let requests = requests.map(|policy| Condition::Request(policy.name.clone()));
    std::iter::once(Condition::Standing).chain(requests).collect()
}

/// What the class holds under the condition.
pub fn evaluate(set: &PolicySet, catalog: &Catalog, class: &Class, condition: &Condition) -> EffectivePolicy {
    let requests: BTreeSet<String> = match condition {
        Condition::Standing => BTreeSet::new(),
        Condition::Request(policy) => BTreeSet::from([policy.clone()]),
    };
    match class {
        Class::User(email) => effective(set, catalog, &Subject::new("", email), &requests),
        Class::Everyone => effective(&symbolic(set), catalog, &Subject::default(), &requests),
        Class::Group(name) => {
            effective(&symbolic(set), catalog, &Subject::default().in_groups([name.clone()]), &requests)
        }
    }
}

/// The set without membership, so that being in a group is up to the question.
fn symbolic(set: &PolicySet) -> PolicySet {
    PolicySet { groups: std::collections::BTreeMap::new(), ..set.clone() }
}
