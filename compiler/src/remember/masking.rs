//! Policies with masks by whom they are for, kept up to date policy by policy.

use super::entry::order;
use crate::check::CheckedPolicy;
use daam_diagnostic::SourceMap;
use daam_model::Subjects;
use std::collections::HashMap;
use std::sync::Arc;

type List = Vec<Arc<CheckedPolicy>>;

/// Every list in the order of all policies.
#[derive(Debug, Default)]
pub(super) struct Masking {
    everyone: List,
    groups: HashMap<String, List>,
    users: HashMap<String, List>,
}

impl Masking {
    /// One more policy with masks.
    pub(super) fn add(&mut self, policy: &Arc<CheckedPolicy>, sources: &SourceMap) {
        let put = |list: &mut List| {
            let place = list.partition_point(|other| order(other, policy, sources).is_lt());
            list.insert(place, Arc::clone(policy));
        };
        self.lists(&policy.policy.subjects, put);
    }

    /// One that went.
    pub(super) fn remove(&mut self, policy: &Arc<CheckedPolicy>) {
        self.lists(&policy.policy.subjects, |list| list.retain(|other| !Arc::ptr_eq(other, policy)));
        let subjects = &policy.policy.subjects;
        for (lists, names) in [(&mut self.groups, &subjects.groups), (&mut self.users, &subjects.users)] {
            for name in names {
                if lists.get(name).is_some_and(Vec::is_empty) {
                    lists.remove(name);
                }
            }
        }
    }

    fn lists(&mut self, subjects: &Subjects, mut act: impl FnMut(&mut List)) {
        if subjects.everyone {
            act(&mut self.everyone);
        }
        for group in &subjects.groups {
            act(self.groups.entry(group.clone()).or_default());
        }
        for user in &subjects.users {
            act(self.users.entry(user.clone()).or_default());
        }
    }

    /// Those for everyone.
    pub(super) fn everyone(&self) -> &[Arc<CheckedPolicy>] {
        &self.everyone
    }

    /// Those for a group.
    pub(super) fn group(&self, name: &str) -> &[Arc<CheckedPolicy>] {
        self.groups.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Those for a person.
    pub(super) fn user(&self, name: &str) -> &[Arc<CheckedPolicy>] {
        self.users.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Those that certainly apply to some of the subjects, each once, in the order of all policies.
    pub(super) fn certain(&self, subjects: &Subjects, sources: &SourceMap) -> Vec<&CheckedPolicy> {
        let groups = subjects.groups.iter().flat_map(|group| self.group(group));
        let users = subjects.users.iter().flat_map(|user| self.user(user));
        let mut found: Vec<&CheckedPolicy> =
            self.everyone.iter().chain(groups).chain(users).map(AsRef::as_ref).collect();
        found.sort_by(|a, b| order(a, b, sources));
        found.dedup_by(|a, b| std::ptr::eq(*a, *b));
        found
    }
}
