//! Whether new policies give nobody anything the old ones did not: the only kind an emergency key may publish.
//!
//! Judged by the text of the policies, for every person and every schema there could be, not by trying those that
//! happen to exist. What is not plainly narrower counts as wider: a policy that masks or filters must stay for
//! everyone it holds for, filters may be added but not changed, masks may be added but not replaced. Anything a
//! policy says that this module does not know must be equal.

use daam_model::{Grant, Policy, PolicySet, SessionLimits, Subjects};
use std::collections::BTreeSet;

/// The first reason why `new` may give more than `old`; none if it cannot.
pub fn widening(old: &PolicySet, new: &PolicySet) -> Option<String> {
    let mut rest = new.clone();
    rest.policies.clone_from(&old.policies);
    rest.groups.clone_from(&old.groups);
    if rest != *old {
        return Some("the database, its attributes or other declarations changed".to_owned());
    }
    groups(old, new)
        .or_else(|| old.policies.iter().find_map(|policy| missing(policy, new)))
        .or_else(|| new.policies.iter().find_map(|policy| wider(old, policy)))
}

fn named<'a>(set: &'a PolicySet, name: &str) -> Option<&'a Policy> {
    set.policies.iter().find(|policy| policy.name == name)
}

/// People may leave a group only if no policy for it takes anything away from them, and no filter asks who is in it.
fn groups(old: &PolicySet, new: &PolicySet) -> Option<String> {
    let told_apart = asks_for_groups(new);
    let names: BTreeSet<_> = old.groups.keys().chain(new.groups.keys()).collect();
    names.into_iter().find_map(|name| {
        let (Some(before), Some(after)) = (old.groups.get(name), new.groups.get(name)) else {
            return Some(format!("the group `{name}` was added or removed"));
        };
        if !after.is_subset(before) {
            return Some(format!("the group `{name}` has new members"));
        }
        if told_apart && before != after {
            return Some(format!("people leave `{name}`, and a row filter asks for their groups"));
        }
        let restrained = |policy: &Policy| policy.subjects.groups.contains(name) && restrains(policy);
        let hides = old.policies.iter().find(|policy| before != after && restrained(policy));
        hides.map(|policy| format!("people leave `{name}`, and with it what `{}` hides", policy.name))
    })
}

/// Whether a filter reads `subject.groups`: it may reach more rows for who is not in one.
fn asks_for_groups(set: &PolicySet) -> bool {
    let grants = set.policies.iter().flat_map(|policy| &policy.grants);
    let grants = grants.chain(set.ceilings.iter().flat_map(|ceiling| &ceiling.grants));
    grants
        .flat_map(|grant| grant.rows.iter().chain(&grant.restrict))
        .any(|text| text.contains("subject.groups"))
}

fn missing(old: &Policy, new: &PolicySet) -> Option<String> {
    (named(new, &old.name).is_none() && restrains(old))
        .then(|| format!("the policy `{}`, which masks, filters or limits, is gone", old.name))
}

fn wider(old: &PolicySet, new: &Policy) -> Option<String> {
    let why = match named(old, &new.name) {
        None => gives(new).then_some("is new and gives something"),
        Some(old) => changed(old, new),
    };
    why.map(|why| format!("the policy `{}` {why}", new.name))
}

/// Whether the policy takes anything away from the people it holds for.
fn restrains(policy: &Policy) -> bool {
    let session = SessionLimits { procedural: None, ..policy.session.clone() };
    !policy.masks.is_empty()
        || policy.grants.iter().any(|grant| grant.restrict.is_some())
        || session != SessionLimits::default()
}

fn gives(policy: &Policy) -> bool {
    !policy.grants.is_empty() || policy.session.procedural == Some(true)
}

fn changed(old: &Policy, new: &Policy) -> Option<&'static str> {
    let rest = Policy {
        description: old.description.clone(),
        subjects: old.subjects.clone(),
        grants: old.grants.clone(),
        masks: old.masks.clone(),
        session: old.session.clone(),
        request: old.request.clone(),
        origin: old.origin.clone(),
        ..new.clone()
    };
    let asked_for_instead = old.request.is_none() && new.request.is_some() && !restrains(old);
    let checks = [
        (rest == *old, "says something that cannot be compared"),
        (!gives(new) || within(&new.subjects, &old.subjects), "holds for more people"),
        (
            !restrains(old) || within(&old.subjects, &new.subjects),
            "no longer masks or filters for everyone it did",
        ),
        (new.request == old.request || asked_for_instead, "is asked for on other terms"),
        (
            old.masks
                .iter()
                .all(|mask| new.masks.iter().any(|kept| (&kept.on, &kept.with) == (&mask.on, &mask.with))),
            "masks less",
        ),
        (
            new.grants.iter().all(|grant| old.grants.iter().any(|before| at_most(grant, before))),
            "grants more",
        ),
        (
            old.grants
                .iter()
                .filter(|grant| grant.restrict.is_some())
                .all(|grant| new.grants.iter().any(|kept| still_restricts(kept, grant))),
            "filters less",
        ),
        (limits(&old.session, &new.session), "limits sessions less"),
    ];
    checks.into_iter().find(|(holds, _)| !holds).map(|(_, why)| why)
}

fn within(inner: &Subjects, outer: &Subjects) -> bool {
    outer.everyone
        || (!inner.everyone && inner.groups.is_subset(&outer.groups) && inner.users.is_subset(&outer.users))
}

fn at_most(new: &Grant, old: &Grant) -> bool {
    let mut rest = new.clone();
    rest.on.clone_from(&old.on);
    rest.allow.clone_from(&old.allow);
    rest.columns.clone_from(&old.columns);
    rest.rows.clone_from(&old.rows);
    rest.restrict.clone_from(&old.restrict);
    rest.functions.clone_from(&old.functions);
    rest.origin.clone_from(&old.origin);
    let columns = new.allow.iter().all(|verb| match (old.columns.get(verb), new.columns.get(verb)) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(before), Some(after)) => after.is_subset(before),
    });
    let filter = |old: &Option<String>, new: &Option<String>| old.is_none() || old == new;
    rest == *old
        && columns
        && new.on.iter().all(|on| old.on.contains(on))
        && new.allow.is_subset(&old.allow)
        && new.functions.iter().all(|function| old.functions.contains(function))
        && filter(&old.rows, &new.rows)
        && filter(&old.restrict, &new.restrict)
}

fn still_restricts(new: &Grant, old: &Grant) -> bool {
    old.restrict == new.restrict
        && old.on.iter().all(|on| new.on.contains(on))
        && old.allow.is_subset(&new.allow)
}

fn limits(old: &SessionLimits, new: &SessionLimits) -> bool {
    let shorter = |old: Option<_>, new: Option<_>| old.is_none() || (new.is_some() && new <= old);
    shorter(old.max_duration, new.max_duration)
        && shorter(old.idle_timeout, new.idle_timeout)
        && shorter(old.statement_timeout, new.statement_timeout)
        && (old.read_only != Some(true) || new.read_only == Some(true))
        && (new.procedural != Some(true) || old.procedural == Some(true))
}

#[cfg(test)]
mod tests;
