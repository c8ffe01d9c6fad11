//! What the bundle declares requestable, and who people are to it: the same reading as the agent's, so that nobody is asked
//! to decide about something the agent would refuse anyway.

use daam_api::link::AccessAsked;
use daam_api::v1::{Requestable, User};
use daam_bundle::UnsignedBundle;
use daam_model::{Ceiling, Grant, PolicySet, RequestTerms, Subject, Subjects};
use std::collections::BTreeMap;

/// The bundle's policies, and everyone who is not disabled.
#[derive(Debug, Default)]
pub(super) struct Declared {
    set: PolicySet,
    people: BTreeMap<String, Subject>,
}

/// On what terms something may be asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    /// The policy or ceiling.
    pub(super) name: &'a str,
    who: &'a Subjects,
    pub(super) asked: &'a RequestTerms,
    /// The ceiling, if it is one.
    pub(super) ceiling: Option<&'a Ceiling>,
}

impl Declared {
    /// Of the published bundle; nothing can be asked for without one, or if this version cannot read it.
    pub(super) fn of(bundle: Option<&[u8]>, users: &[User]) -> Self {
        let read = bundle.and_then(|bytes| UnsignedBundle::from_bytes(bytes).ok()?.policies().ok());
        Self::new(read.unwrap_or_default(), users)
    }

    pub(super) fn new(set: PolicySet, users: &[User]) -> Self {
        let enabled = users.iter().filter(|user| !user.disabled);
        let subject = |user: &User| {
            Subject::new(&user.id, &user.email)
                .in_groups(user.groups.iter().cloned())
                .with_defined_groups(&set.groups)
        };
        let people = enabled.map(|user| (user.id.clone(), subject(user))).collect();
        Self { set, people }
    }

    pub(super) fn set(&self) -> &PolicySet {
        &self.set
    }

    pub(super) fn terms(&self, what: &AccessAsked) -> Option<Terms<'_>> {
        match what {
            AccessAsked::Policy { policy_id } => {
                let policy = self.set.policies.iter().find(|policy| policy.name == *policy_id)?;
                let asked = policy.request.as_ref()?;
                Some(Terms { name: &policy.name, who: &policy.subjects, asked, ceiling: None })
            }
            AccessAsked::AdHoc { ceiling_id, .. } => {
                let ceiling = self.set.ceilings.iter().find(|ceiling| ceiling.name == *ceiling_id)?;
                Some(of_ceiling(ceiling))
            }
        }
    }

    /// Whether they may ask on these terms.
    pub(super) fn may_ask(&self, user_id: &str, terms: Terms<'_>) -> bool {
        self.people.get(user_id).is_some_and(|person| terms.who.include(person))
    }

    /// Whether they may decide about what `requester` asks for.
    pub(super) fn may_decide(&self, user_id: &str, requester: &str, terms: Terms<'_>) -> bool {
        let Some(person) = self.people.get(user_id) else { return false };
        // Another account of the same person is the same person.
        let same = self.people.get(requester).is_some_and(|other| other.has_email(&person.email));
        user_id != requester && !same && !person.groups.is_disjoint(&terms.asked.approvers)
    }

    /// The addresses of those who may decide.
    pub(super) fn approvers_of(&self, what: &AccessAsked, requester: &str) -> Vec<&str> {
        let Some(terms) = self.terms(what) else { return Vec::new() };
        let deciding = self.people.iter().filter(|(id, _)| self.may_decide(id, requester, terms));
        deciding.map(|(_, person)| person.email.as_str()).collect()
    }

    /// Everything they may ask for.
    pub(super) fn requestable(&self, user_id: &str) -> Vec<Requestable> {
        let policies = self.set.policies.iter().filter_map(|policy| {
            let asked = policy.request.as_ref()?;
            let terms = Terms { name: &policy.name, who: &policy.subjects, asked, ceiling: None };
            Some(("policy", &policy.description, &policy.grants, terms))
        });
        let ceilings = self
            .set
            .ceilings
            .iter()
            .map(|ceiling| ("ceiling", &ceiling.description, &ceiling.grants, of_ceiling(ceiling)));
        policies
            .chain(ceilings)
            .filter(|(.., terms)| self.may_ask(user_id, *terms))
            .map(|(kind, description, grants, terms)| Requestable {
                kind: kind.to_owned(),
                name: terms.name.to_owned(),
                description: description.clone(),
                gives: grants.iter().filter_map(gives).collect(),
                max_seconds: terms.asked.max_duration.as_secs(),
                reason_required: terms.asked.reason_required,
                approvals: terms.asked.count,
                approvers: terms.asked.approvers.clone(),
            })
            .collect()
    }
}

fn of_ceiling(ceiling: &Ceiling) -> Terms<'_> {
    Terms { name: &ceiling.name, who: &ceiling.who, asked: &ceiling.terms, ceiling: Some(ceiling) }
}

/// A grant in one line; none for functions alone.
fn gives(grant: &Grant) -> Option<String> {
    if grant.on.is_empty() {
        return None;
    }
    let verbs = grant.allow.iter().map(|verb| match grant.columns.get(verb) {
        None => verb.as_str().to_owned(),
        Some(columns) => {
            let names: Vec<String> = columns.iter().map(ToString::to_string).collect();
            format!("{}({})", verb.as_str(), names.join(","))
        }
    });
    let on: Vec<String> = grant.on.iter().map(ToString::to_string).collect();
    let mut text = format!("{}: {}", on.join(", "), verbs.collect::<Vec<_>>().join(", "));
    if grant.rows.is_some() || grant.restrict.is_some() {
        text.push_str(" (some rows)");
    }
    Some(text)
}
