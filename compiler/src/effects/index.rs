//! Policies by the people they concern, so that what one class holds is found without reading everybody's.

use super::{Class, Condition, Side};
use daam_catalog::Catalog;
use daam_model::effective::effective;
use daam_model::{Ceiling, EffectivePolicy, Grant, MaskRule, Policy, PolicySet, Subject, Subjects};
use std::collections::{BTreeMap, BTreeSet};

/// Something that gives or hides: a policy, or all that a ceiling lets people ask for.
#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    Policy(&'a Policy),
    Ceiling(&'a Ceiling),
}

impl<'a> Source<'a> {
    fn subjects(self) -> &'a Subjects {
        match self {
            Self::Policy(policy) => &policy.subjects,
            Self::Ceiling(ceiling) => &ceiling.who,
        }
    }

    fn condition(self) -> Condition {
        match self {
            Self::Policy(policy) if policy.request.is_none() => Condition::Standing,
            Self::Policy(policy) => Condition::Request(policy.name.clone()),
            Self::Ceiling(ceiling) => Condition::AdHoc(ceiling.name.clone()),
        }
    }

    fn clauses(self) -> (&'a [Grant], &'a [MaskRule]) {
        match self {
            Self::Policy(policy) => (&policy.grants, &policy.masks),
            Self::Ceiling(ceiling) => (&ceiling.grants, &ceiling.masks),
        }
    }

    /// As it is while it is held.
    fn held(self) -> Policy {
        match self {
            Self::Policy(policy) => Policy { request: None, ..policy.clone() },
            Self::Ceiling(ceiling) => Policy { request: None, ..ceiling.whole() },
        }
    }
}

/// The policies and ceilings of a side by whom they concern.
#[derive(Debug)]
pub struct Index<'a> {
    set: &'a PolicySet,
    sources: Vec<Source<'a>>,
    everyone: Vec<usize>,
    groups: BTreeMap<String, Vec<usize>>,
    users: BTreeMap<String, Vec<usize>>,
    /// Groups by the members the repository gives them.
    memberships: BTreeMap<String, Vec<String>>,
}

impl<'a> Index<'a> {
    /// All of a side.
    pub fn of(side: &Side<'a>) -> Self {
        Self::with(side.policies, |_| true)
    }

    /// Only what says something about a relation of the catalogue.
    pub fn about(side: &Side<'a>, catalog: &Catalog) -> Self {
        Self::with(side.policies, |source| {
            let (grants, masks) = source.clauses();
            let mut granted = grants.iter().flat_map(|grant| &grant.on);
            let mut masked =
                masks.iter().flat_map(|rule| &rule.on).map(daam_catalog::ColumnPattern::relation);
            let covers = |pattern: &daam_catalog::RelationPattern| {
                catalog.relations.keys().any(|name| pattern.matches(name))
            };
            granted.any(covers) || masked.any(covers)
        })
    }

    fn with(set: &'a PolicySet, keep: impl Fn(Source<'a>) -> bool) -> Self {
        let policies = set.policies.iter().map(Source::Policy);
        let ceilings = set.ceilings.iter().map(Source::Ceiling);
        let sources: Vec<Source<'a>> = policies.chain(ceilings).filter(|source| keep(*source)).collect();
        let mut index = Self {
            set,
            everyone: Vec::new(),
            groups: BTreeMap::new(),
            users: BTreeMap::new(),
            memberships: BTreeMap::new(),
            sources: Vec::new(),
        };
        for (at, source) in sources.iter().enumerate() {
            let subjects = source.subjects();
            if subjects.everyone {
                index.everyone.push(at);
            }
            for group in &subjects.groups {
                index.groups.entry(group.clone()).or_default().push(at);
            }
            for user in &subjects.users {
                index.users.entry(user.to_ascii_lowercase()).or_default().push(at);
            }
        }
        for (group, members) in &set.groups {
            for member in members {
                index.memberships.entry(member.to_ascii_lowercase()).or_default().push(group.clone());
            }
        }
        Self { sources, ..index }
    }

    /// The same without what people are named for themselves.
    #[must_use]
    pub(super) fn without_users(self) -> Self {
        Self { users: BTreeMap::new(), ..self }
    }

    /// Whether the repository puts the person into a group.
    pub(super) fn has_groups(&self, email: &str) -> bool {
        !self.groups_of(email).is_empty()
    }

    /// Every class that is named, and everyone.
    pub fn classes(&self) -> BTreeSet<Class> {
        let groups = self.groups.keys().cloned().map(Class::Group);
        let users = self.users.keys().cloned().map(Class::User);
        std::iter::once(Class::Everyone).chain(groups).chain(users).collect()
    }

    /// Standing, and every request the class may make.
    pub fn conditions(&self, class: &Class) -> BTreeSet<Condition> {
        let concerned = self.concerned(class);
        let requests = concerned.into_iter().map(Source::condition);
        std::iter::once(Condition::Standing).chain(requests).collect()
    }

    /// What the class holds under the condition, over a catalogue.
    pub fn evaluate(&self, catalog: &Catalog, class: &Class, condition: &Condition) -> EffectivePolicy {
        self.evaluate_with(catalog, class, condition, None)
    }

    /// The same, with one more policy for everyone.
    pub(super) fn evaluate_with(
        &self,
        catalog: &Catalog,
        class: &Class,
        condition: &Condition,
        more: Option<Policy>,
    ) -> EffectivePolicy {
        let set = PolicySet {
            database: self.set.database.clone(),
            attributes: self.set.attributes.clone(),
            policies: self.held(class, condition).into_iter().chain(more).collect(),
            // Who is in which group is up to the question.
            ..PolicySet::default()
        };
        let subject = match class {
            Class::Everyone => Subject::default(),
            Class::Group(name) => Subject::default().in_groups([name.clone()]),
            Class::User(email) => Subject::new("", email).in_groups(self.groups_of(email)),
        };
        effective(&set, catalog, &subject, &BTreeSet::new())
    }

    /// The policies that apply to the class under the condition, as they are while they are held.
    pub fn held(&self, class: &Class, condition: &Condition) -> Vec<Policy> {
        let concerned = self.concerned(class).into_iter();
        let applies = |source: &Source<'a>| {
            let its = source.condition();
            its == Condition::Standing || its == *condition
        };
        concerned.filter(applies).map(Source::held).collect()
    }

    fn concerned(&self, class: &Class) -> Vec<Source<'a>> {
        let mut found: BTreeSet<usize> = self.everyone.iter().copied().collect();
        let mut group = |name: &str| found.extend(self.groups.get(name).into_iter().flatten());
        match class {
            Class::Everyone => {}
            Class::Group(name) => group(name),
            Class::User(email) => {
                self.groups_of(email).iter().for_each(|name| group(name));
                found.extend(self.users.get(&email.to_ascii_lowercase()).into_iter().flatten());
            }
        }
        found.into_iter().filter_map(|at| self.sources.get(at).copied()).collect()
    }

    fn groups_of(&self, email: &str) -> Vec<String> {
        self.memberships.get(&email.to_ascii_lowercase()).cloned().unwrap_or_default()
    }
}
