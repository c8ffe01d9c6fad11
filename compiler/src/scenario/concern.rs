//! Whether test cases say anything about a policy, without asking every case about every policy.

use super::Scenario;
use daam_catalog::{ColumnPattern, NameIndex, RelationName, RelationPattern};
use daam_model::{Policy, Subject};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Cases by what could make them concern a policy: their subject, the requests they take to be active, or the relation
/// they ask about.
#[derive(Debug)]
pub(crate) struct Cases<'a> {
    looking: Vec<(&'a Scenario, Subject)>,
    groups: HashMap<String, Vec<usize>>,
    users: HashMap<String, Vec<usize>>,
    requests: HashMap<&'a str, Vec<usize>>,
    asked: NameIndex,
}

impl<'a> Cases<'a> {
    /// All cases of a database, whose groups these are.
    pub(crate) fn of(scenarios: &'a [Arc<Scenario>], groups: &BTreeMap<String, BTreeSet<String>>) -> Self {
        let (asking, looking): (Vec<&Scenario>, Vec<&Scenario>) =
            scenarios.iter().map(AsRef::as_ref).partition(|case| case.who_can.is_some());
        let asked = asking.into_iter().filter_map(|case| case.who_can.as_ref());
        let asked = asked.map(|asked| (&asked.relation.schema, &asked.relation.name));
        let mut cases = Self {
            looking: Vec::new(),
            groups: HashMap::new(),
            users: HashMap::new(),
            requests: HashMap::new(),
            asked: NameIndex::of(asked),
        };
        for (place, case) in looking.into_iter().enumerate() {
            let subject = case.subject.with_defined_groups(groups);
            for group in &subject.groups {
                cases.groups.entry(group.clone()).or_default().push(place);
            }
            cases.users.entry(subject.email.to_ascii_lowercase()).or_default().push(place);
            for name in &case.requests {
                cases.requests.entry(name).or_default().push(place);
            }
            cases.looking.push((case, subject));
        }
        cases
    }

    /// Whether a change of that policy could change the answer to any case: its subject is one of the policy's (or
    /// has been given it), and the case looks at something the policy grants or masks.
    pub(crate) fn concern(&self, policy: &Policy) -> bool {
        let patterns = || {
            let granted = policy.grants.iter().flat_map(|grant| &grant.on);
            granted.chain(policy.masks.iter().flat_map(|mask| &mask.on).map(ColumnPattern::relation))
        };
        if patterns().any(|pattern| !self.asked.places(pattern).is_empty()) {
            return true;
        }
        let mut near = self.near(policy);
        near.any(|place| {
            self.looking.get(place).is_some_and(|(case, subject)| concerns(case, subject, policy))
        })
    }

    /// Cases that may concern the policy, by their places.
    fn near<'s>(&'s self, policy: &'s Policy) -> Box<dyn Iterator<Item = usize> + 's> {
        if policy.request.is_some() {
            return Box::new(self.requests.get(policy.name.as_str()).into_iter().flatten().copied());
        }
        if policy.subjects.everyone {
            return Box::new(0..self.looking.len());
        }
        let groups = policy.subjects.groups.iter().filter_map(|group| self.groups.get(group));
        let users = policy.subjects.users.iter();
        let users = users.filter_map(|user| self.users.get(&user.to_ascii_lowercase()));
        Box::new(groups.chain(users).flatten().copied())
    }
}

fn concerns(case: &Scenario, subject: &Subject, policy: &Policy) -> bool {
    let nothing = policy.grants.is_empty() && policy.masks.is_empty();
    let looked = || case.expect.iter().any(|expectation| touches(policy, &expectation.relation));
    // Which relations a statement reads is for the server to say.
    (nothing || case.live.is_some() || looked())
        && match policy.request {
            None => policy.subjects.include(subject),
            Some(_) => case.requests.contains(&policy.name),
        }
}

fn touches(policy: &Policy, relation: &RelationName) -> bool {
    let covers = |pattern: &RelationPattern| pattern.matches(relation);
    let granted = policy.grants.iter().flat_map(|grant| &grant.on).any(covers);
    granted || policy.masks.iter().flat_map(|mask| &mask.on).any(|pattern| covers(pattern.relation()))
}
