//! Why somebody has something or has it not: every clause that would give it, and whom it is for.

use super::{Class, Condition, Side};
use daam_catalog::{Identifier, RelationName};
use daam_model::{Grant, Origin, Policy, Subject, Subjects, Verb};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A clause that gives what was asked about to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Giving {
    /// The policy or ceiling it is part of.
    pub policy: String,
    /// When it holds.
    pub condition: Condition,
    /// Whom it is for.
    pub who: BTreeSet<Class>,
    /// The verbs it gives on it.
    pub verbs: BTreeSet<Verb>,
    /// What the person has to do with it.
    pub standing: Standing,
    /// Where it is written.
    pub origin: Origin,
}

/// What a person has to do with a clause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It applies to them.
    Applies,
    /// It applies once a request of theirs is approved.
    MayAsk,
    /// It is for others.
    ForOthers,
    /// It applies, and reaches no row, since they have no such attributes.
    LacksAttributes(BTreeSet<String>),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applies => f.write_str("applies"),
            Self::MayAsk => f.write_str("may be asked for"),
            Self::ForOthers => f.write_str("is for others"),
            Self::LacksAttributes(names) => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                write!(f, "reaches no row, for want of the attribute {}", names.join(", "))
            }
        }
    }
}

/// Every clause that gives a verb on the relation (on the column, if one is named): those that apply to the person
/// first, then what can be asked for, then near misses.
pub fn giving(
    side: &Side<'_>,
    subject: &Subject,
    relation: &RelationName,
    column: Option<&Identifier>,
) -> Vec<Giving> {
    let subject = subject.with_defined_groups(&side.policies.groups);
    let ceilings: Vec<Policy> =
        side.policies.ceilings.iter().map(|ceiling| Policy { request: None, ..ceiling.whole() }).collect();
    let standing = side.policies.policies.iter().map(|policy| {
        let condition = match &policy.request {
            None => Condition::Standing,
            Some(_) => Condition::Request(policy.name.clone()),
        };
        (policy, condition)
    });
    let ad_hoc = ceilings.iter().map(|policy| (policy, Condition::AdHoc(policy.name.clone())));
    let mut found = Vec::new();
    for (policy, condition) in standing.chain(ad_hoc) {
        for grant in policy.grants.iter().filter(|grant| grant.on.iter().any(|on| on.matches(relation))) {
            let verbs = verbs(grant, column);
            if verbs.is_empty() {
                continue;
            }
            found.push(Giving {
                policy: policy.name.clone(),
                who: named(&policy.subjects),
                verbs,
                standing: place(&policy.subjects, &condition, grant, &subject),
                condition: condition.clone(),
                origin: grant.origin.clone(),
            });
        }
    }
    found.sort_by(|a, b| {
        (rank(&a.standing), &a.policy, &a.origin).cmp(&(rank(&b.standing), &b.policy, &b.origin))
    });
    found
}

fn rank(standing: &Standing) -> u8 {
    match standing {
        Standing::Applies => 0,
        Standing::LacksAttributes(_) => 1,
        Standing::MayAsk => 2,
        Standing::ForOthers => 3,
    }
}

fn verbs(grant: &Grant, column: Option<&Identifier>) -> BTreeSet<Verb> {
    let covers = |verb: &Verb| {
        let narrowed = grant.columns.get(verb);
        column.is_none_or(|column| {
            verb.has_columns() && narrowed.is_none_or(|columns| columns.contains(column))
        })
    };
    grant.allow.iter().copied().filter(covers).collect()
}

fn place(subjects: &Subjects, condition: &Condition, grant: &Grant, subject: &Subject) -> Standing {
    if !subjects.include(subject) {
        return Standing::ForOthers;
    }
    if *condition != Condition::Standing {
        return Standing::MayAsk;
    }
    let lacking: BTreeSet<String> = grant
        .rows
        .iter()
        .flat_map(|text| attributes(text))
        .filter(|name| !subject.attributes.contains_key(name))
        .collect();
    if lacking.is_empty() { Standing::Applies } else { Standing::LacksAttributes(lacking) }
}

/// The attributes a filter reads.
fn attributes(filter: &str) -> BTreeSet<String> {
    let rest = filter.split("subject.").skip(1);
    let names = rest.map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next());
    let known = ["id", "email", "groups"];
    names.flatten().filter(|name| !known.contains(name)).map(str::to_owned).collect()
}

fn named(subjects: &Subjects) -> BTreeSet<Class> {
    let everyone = subjects.everyone.then_some(Class::Everyone);
    let groups = subjects.groups.iter().cloned().map(Class::Group);
    everyone.into_iter().chain(groups).chain(subjects.users.iter().cloned().map(Class::User)).collect()
}

/// What one person may do beyond what they hold, request by request.
pub fn on_request(
    side: &Side<'_>,
    catalog: &daam_catalog::Catalog,
    subject: &Subject,
) -> BTreeMap<Condition, daam_model::EffectivePolicy> {
    let person = subject.with_defined_groups(&side.policies.groups);
    let mut found = BTreeMap::new();
    for policy in side.policies.policies.iter().filter(|policy| policy.request.is_some()) {
        if policy.subjects.include(&person) {
            let requests = BTreeSet::from([policy.name.clone()]);
            let held = daam_model::effective(side.policies, catalog, subject, &requests);
            found.insert(Condition::Request(policy.name.clone()), held);
        }
    }
    for ceiling in side.policies.ceilings.iter().filter(|ceiling| ceiling.who.include(&person)) {
        let requests = BTreeSet::from([ceiling.name.clone()]);
        let mut set = side.policies.clone();
        set.policies.push(ceiling.whole());
        let held = daam_model::effective(&set, catalog, subject, &requests);
        found.insert(Condition::AdHoc(ceiling.name.clone()), held);
    }
    found
}
