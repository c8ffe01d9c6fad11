//! Whose masks an edit may have changed: only policies for some of the same people have to be compared again.

use super::entry::Entry;
use crate::check::People;
use daam_catalog::pattern::ColumnPattern;
use daam_model::Subjects;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Everyone, groups and people.
#[derive(Debug, Default)]
pub(super) struct Touched {
    everyone: bool,
    groups: BTreeSet<String>,
    users: BTreeSet<String>,
}

impl Touched {
    /// Whom policies with masks are for, of those that went and came.
    pub(super) fn by_masks<'e>(entries: impl Iterator<Item = &'e Entry>) -> Self {
        let mut touched = Self::default();
        for entry in entries.filter(|entry| entry.facts.masks) {
            let subjects = &entry.checked.policy.subjects;
            touched.everyone |= subjects.everyone;
            touched.groups.extend(subjects.groups.iter().cloned());
            touched.users.extend(subjects.users.iter().cloned());
        }
        touched
    }

    /// Whose columns are masked otherwise than before, whatever policy says so.
    pub(super) fn by_columns<'e>(
        went: impl Iterator<Item = &'e Entry>,
        came: impl Iterator<Item = &'e Entry>,
    ) -> Self {
        let (before, after) = (Masked::of(went), Masked::of(came));
        Self {
            everyone: before.everyone != after.everyone,
            groups: differing(&before.groups, &after.groups),
            users: differing(&before.users, &after.users),
        }
    }

    /// Whether nobody is.
    pub(super) fn is_empty(&self) -> bool {
        !self.everyone && self.groups.is_empty() && self.users.is_empty()
    }

    /// Whether some of the subjects may be among them.
    pub(super) fn meets(&self, subjects: &Subjects) -> bool {
        self.everyone || self.names(subjects)
    }

    /// The same, with the groups the repository puts people in.
    pub(super) fn meets_members(&self, subjects: &Subjects, people: &People) -> bool {
        let member = |user: &String| people.groups_of(user).any(|group| self.groups.contains(group));
        self.meets(subjects) || (!self.groups.is_empty() && subjects.users.iter().any(member))
    }

    fn names(&self, subjects: &Subjects) -> bool {
        let any = |touched: &BTreeSet<String>, named: &BTreeSet<String>| {
            !touched.is_empty() && named.iter().any(|name| touched.contains(name))
        };
        any(&self.groups, &subjects.groups) || any(&self.users, &subjects.users)
    }
}

/// Patterns of standing masks by whom they are for.
#[derive(Debug, Default)]
struct Masked<'e> {
    everyone: HashSet<&'e ColumnPattern>,
    groups: BTreeMap<&'e str, HashSet<&'e ColumnPattern>>,
    users: BTreeMap<&'e str, HashSet<&'e ColumnPattern>>,
}

impl<'e> Masked<'e> {
    fn of(entries: impl Iterator<Item = &'e Entry>) -> Self {
        let mut masked = Self::default();
        for entry in entries.filter(|entry| entry.facts.masks && entry.checked.policy.request.is_none()) {
            let subjects = &entry.checked.policy.subjects;
            let patterns = || {
                let masks = entry.checked.masks.iter().flat_map(|mask| &mask.on);
                masks.map(|found| &found.pattern)
            };
            if subjects.everyone {
                masked.everyone.extend(patterns());
            }
            for group in &subjects.groups {
                masked.groups.entry(group).or_default().extend(patterns());
            }
            for user in &subjects.users {
                masked.users.entry(user).or_default().extend(patterns());
            }
        }
        masked
    }
}

type ByName<'e> = BTreeMap<&'e str, HashSet<&'e ColumnPattern>>;

fn differing(before: &ByName<'_>, after: &ByName<'_>) -> BTreeSet<String> {
    let names = before.keys().chain(after.keys());
    let differs = names.filter(|name| before.get(*name) != after.get(*name));
    differs.map(|name| (*name).to_owned()).collect()
}
