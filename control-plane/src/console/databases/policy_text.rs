//! A policy in words, for a page. It says what is written, not what it comes to for somebody: that is
//! `daam policy explain`.

use daam_model::policy::{Ceiling, Grant, MaskRule, Policy, PolicySet, RequestTerms, Subjects};
use std::fmt::Display;

/// A policy as the page shows it.
#[derive(Debug)]
pub(super) struct PolicyText {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) subjects: String,
    pub(super) held: String,
    pub(super) origin: String,
    pub(super) grants: Vec<GrantText>,
    pub(super) masks: Vec<MaskText>,
}

/// One of its grants.
#[derive(Debug)]
pub(super) struct GrantText {
    pub(super) on: String,
    pub(super) allows: String,
    pub(super) rows: String,
}

/// One of its masks.
#[derive(Debug)]
pub(super) struct MaskText {
    pub(super) on: String,
    pub(super) with: String,
}

/// Policies and request ceilings, by name.
pub(super) fn all(set: &PolicySet) -> Vec<PolicyText> {
    let mut all: Vec<_> =
        set.policies.iter().map(of_policy).chain(set.ceilings.iter().map(of_ceiling)).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn of_policy(policy: &Policy) -> PolicyText {
    let held =
        policy.request.as_ref().map_or_else(|| "always".to_owned(), |terms| on_request("on request", terms));
    PolicyText {
        name: policy.name.clone(),
        description: policy.description.clone(),
        subjects: subjects(&policy.subjects),
        held,
        origin: policy.origin.to_string(),
        grants: policy.grants.iter().map(grant).collect(),
        masks: policy.masks.iter().map(mask).collect(),
    }
}

fn of_ceiling(ceiling: &Ceiling) -> PolicyText {
    let held = on_request("the most that may be asked for", &ceiling.terms);
    PolicyText { held, ..of_policy(&ceiling.whole()) }
}

fn on_request(how: &str, terms: &RequestTerms) -> String {
    let groups = joined(terms.approvers.iter());
    let minutes = terms.max_duration.as_secs() / 60;
    format!("{how}: {} of {groups} approve, {minutes} minutes at most", terms.count)
}

fn subjects(subjects: &Subjects) -> String {
    if subjects.everyone {
        return "everyone".to_owned();
    }
    let groups = subjects.groups.iter().map(|group| format!("group {group}"));
    joined(groups.chain(subjects.users.iter().cloned()))
}

fn grant(grant: &Grant) -> GrantText {
    let verbs = grant.allow.iter().map(|verb| match grant.columns.get(verb) {
        Some(columns) => format!("{} ({})", verb.as_str(), joined(columns.iter())),
        None => verb.as_str().to_owned(),
    });
    let rows = [("", &grant.rows), ("only ", &grant.restrict)];
    let rows = rows.iter().filter_map(|(how, rows)| rows.as_ref().map(|rows| format!("{how}{rows}")));
    GrantText {
        on: joined(
            grant.on.iter().map(ToString::to_string).chain(grant.functions.iter().map(ToString::to_string)),
        ),
        allows: joined(verbs),
        rows: rows.collect::<Vec<_>>().join("; "),
    }
}

fn mask(rule: &MaskRule) -> MaskText {
    MaskText { on: joined(rule.on.iter()), with: rule.with.to_string() }
}

fn joined<T: Display>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
