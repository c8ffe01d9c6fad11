//! The scopes one session has lived under. A scope that becomes wider is for new sessions; one that becomes narrower is
//! for all. So a session may use what every one of them admits, and a filter that one of them closed stays closed.

use crate::scope::{self, admits_function};
use daam_catalog::{FunctionName, RelationName, Scope};
use daam_model::PolicySet;
use std::borrow::Cow;
use std::sync::Arc;

/// Every scope that was in force since the session began.
#[derive(Debug, Clone, Default)]
pub struct Ceiling {
    scopes: Vec<Arc<Scope>>,
}

impl Ceiling {
    /// Takes the scope in force now.
    pub(super) fn lower(&mut self, scope: &Arc<Scope>) {
        if !self.scopes.contains(scope) {
            self.scopes.push(Arc::clone(scope));
        }
    }

    pub(super) fn admits(&self, relation: &RelationName) -> bool {
        self.scopes.iter().all(|scope| scope.admits(relation))
    }

    pub(super) fn admits_function(&self, function: &FunctionName) -> bool {
        self.scopes.iter().all(|scope| admits_function(scope, function))
    }

    /// Policies that are narrowed to `done` already, narrowed to the earlier scopes as well.
    pub(super) fn narrow<'a>(&self, policies: &'a PolicySet, done: &Scope) -> Cow<'a, PolicySet> {
        let earlier = self.scopes.iter().filter(|scope| scope.as_ref() != done);
        earlier.fold(Cow::Borrowed(policies), |set, scope| Cow::Owned(scope::narrow(&set, scope)))
    }
}
