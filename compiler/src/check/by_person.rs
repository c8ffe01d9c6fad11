//! Policies by whom they are for: who may be looked up instead of tried one by one.

use daam_model::Subjects;
use std::collections::{BTreeSet, HashMap};

/// Places of policies in a list, by everyone, group and person.
#[derive(Debug, Default)]
pub(crate) struct ByPerson<'p> {
    everyone: Vec<usize>,
    groups: HashMap<&'p str, Vec<usize>>,
    users: HashMap<&'p str, Vec<usize>>,
}

impl<'p> ByPerson<'p> {
    /// The subjects of the policies, in their order; the first has place 0.
    pub(crate) fn of(subjects: impl Iterator<Item = &'p Subjects>) -> Self {
        let mut known = Self::default();
        for (place, subjects) in subjects.enumerate() {
            if subjects.everyone {
                known.everyone.push(place);
            }
            for group in &subjects.groups {
                known.groups.entry(group).or_default().push(place);
            }
            for user in &subjects.users {
                known.users.entry(user).or_default().push(place);
            }
        }
        known
    }

    /// Those that name one of the groups or people, in order.
    pub(crate) fn sharing(&self, subjects: &Subjects) -> BTreeSet<usize> {
        let groups = subjects.groups.iter().filter_map(|group| self.groups.get(group.as_str()));
        let users = subjects.users.iter().filter_map(|user| self.users.get(user.as_str()));
        groups.chain(users).flatten().copied().collect()
    }

    /// Those that certainly apply to some of the subjects, in order.
    pub(crate) fn certain(&self, subjects: &Subjects) -> BTreeSet<usize> {
        let mut found = self.sharing(subjects);
        found.extend(&self.everyone);
        found
    }
}
