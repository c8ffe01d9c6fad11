//! Whether a test case says anything about a policy.

use super::Scenario;
use daam_catalog::RelationName;
use daam_model::Policy;
use std::collections::{BTreeMap, BTreeSet};

impl Scenario {
    /// Whether a change of that policy could change the answer to this case: its subject is one of the policy's (or
    /// has been given it), and the case looks at something the policy grants or masks.
    pub(crate) fn concerns(&self, policy: &Policy, groups: &BTreeMap<String, BTreeSet<String>>) -> bool {
        if let Some(asked) = &self.who_can {
            return touches(policy, &asked.relation);
        }
        let nothing = policy.grants.is_empty() && policy.masks.is_empty();
        let looked = self.expect.iter().any(|expectation| touches(policy, &expectation.relation));
        // Which relations a statement reads is for the server to say.
        if !(nothing || looked || self.live.is_some()) {
            return false;
        }
        let subject = self.subject.with_defined_groups(groups);
        match policy.request {
            None => policy.subjects.include(&subject),
            Some(_) => self.requests.contains(&policy.name),
        }
    }
}

fn touches(policy: &Policy, relation: &RelationName) -> bool {
    let granted = policy.grants.iter().flat_map(|grant| &grant.on).any(|pattern| pattern.matches(relation));
    let masked =
        || policy.masks.iter().flat_map(|mask| &mask.on).any(|pattern| pattern.relation().matches(relation));
    granted || masked()
}
