//! Which columns are certainly masked for everyone, for a group, for a person.

use crate::check::{CheckedPolicy, People};
use daam_catalog::pattern::ColumnPattern;
use daam_catalog::{Generated, Identifier, Relation, RelationName};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Mask rules of some policies; those that name a column are looked up, the others are tried one by one.
#[derive(Debug, Default)]
struct Rules<'a> {
    /// By lower-case name; whether one really matches is the pattern's to say.
    literal: HashMap<String, Vec<&'a ColumnPattern>>,
    patterns: Vec<&'a ColumnPattern>,
    seen: HashSet<&'a ColumnPattern>,
}

impl<'a> Rules<'a> {
    fn add(&mut self, policy: &'a CheckedPolicy) {
        for found in policy.masks.iter().flat_map(|mask| &mask.on) {
            let pattern = &found.pattern;
            if !self.seen.insert(pattern) {
                continue;
            }
            match (pattern.relation().literal(), pattern.literal_column()) {
                (Some(relation), Some(column)) => {
                    self.literal.entry(key(&relation, column)).or_default().push(pattern);
                }
                _ => self.patterns.push(pattern),
            }
        }
    }

    fn cover(&self, relation: &RelationName, column: &Identifier) -> bool {
        let named = self.literal.get(&key(relation, column.as_str()));
        named.into_iter().flatten().chain(&self.patterns).any(|pattern| pattern.matches(relation, column))
    }
}

fn key(relation: &RelationName, column: &str) -> String {
    format!("{relation}.{column}").to_ascii_lowercase()
}

/// Whose masks are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whom<'n> {
    /// Those everyone has.
    Everyone,
    /// Those of a group.
    Group(&'n str),
    /// Those of a person.
    User(&'n str),
}

/// All of them, by whom they apply to. Masks of requestable policies hold only while the request is active.
#[derive(Debug)]
pub(crate) struct Masks<'a> {
    everyone: Rules<'a>,
    groups: HashMap<&'a str, Rules<'a>>,
    users: HashMap<&'a str, Rules<'a>>,
    people: &'a People,
}

impl<'a> Masks<'a> {
    /// What masks anything for the people of some policies, `asked` about; `masking` gives the policies with masks for
    /// everyone, a group or a person.
    pub(crate) fn of(
        asked: impl Iterator<Item = &'a CheckedPolicy>,
        masking: impl Fn(Whom<'_>) -> &'a [Arc<CheckedPolicy>],
        people: &'a People,
    ) -> Self {
        let rules = |whom: Whom<'_>| {
            let mut rules = Rules::default();
            for policy in masking(whom) {
                if policy.policy.request.is_none() {
                    rules.add(policy);
                }
            }
            rules
        };
        let everyone = rules(Whom::Everyone);
        let mut masks = Self { everyone, groups: HashMap::new(), users: HashMap::new(), people };
        for subjects in asked.map(|policy| &policy.policy.subjects) {
            for user in &subjects.users {
                masks.users.entry(user).or_insert_with(|| rules(Whom::User(user)));
            }
            let of_users = subjects.users.iter().flat_map(|user| people.groups_of(user));
            for group in subjects.groups.iter().map(String::as_str).chain(of_users) {
                masks.groups.entry(group).or_insert_with(|| rules(Whom::Group(group)));
            }
        }
        masks
    }

    /// Whom of its subjects a policy shows the column in clear.
    pub(super) fn clear_for(
        &self,
        policy: &CheckedPolicy,
        (relation, column): (&Relation, &Identifier),
    ) -> Vec<String> {
        let places = places(relation, column);
        let covered =
            |rules: &Rules<'_>| places.iter().any(|(relation, column)| rules.cover(relation, column));
        // Of a requestable policy, its own masks hold whenever its grants do.
        let mut own = Rules::default();
        if policy.policy.request.is_some() {
            own.add(policy);
        }
        if covered(&own) || covered(&self.everyone) {
            return Vec::new();
        }
        let subjects = &policy.policy.subjects;
        if subjects.everyone {
            return vec!["everyone".to_owned()];
        }
        let group_masked = |group: &str| self.groups.get(group).is_some_and(covered);
        let groups = subjects.groups.iter().filter(|group| !group_masked(group));
        let users = subjects.users.iter().filter(|user| {
            let own = self.users.get(user.as_str()).is_some_and(covered);
            !own && !self.people.groups_of(user).any(group_masked)
        });
        groups.map(|group| format!("group:{group}")).chain(users.map(|user| format!("user:{user}"))).collect()
    }
}

/// Where a mask of the column may be written: on it, on the parents it inherits from, on what it is computed from.
fn places<'r>(relation: &'r Relation, column: &'r Identifier) -> Vec<(&'r RelationName, &'r Identifier)> {
    let computed = match relation.column(column).map(|column| &column.generated) {
        Some(Generated::From(columns)) => columns.as_slice(),
        _ => &[],
    };
    let columns = || std::iter::once(column).chain(computed);
    let relations = std::iter::once(&relation.name).chain(&relation.parents);
    relations.flat_map(|relation| columns().map(move |column| (relation, column))).collect()
}
