//! Changes beside access itself: terms of requests, membership the repository decides, attributes.

use super::{Change, Direction};
use daam_model::{Policy, PolicySet, RequestTerms};
use std::collections::{BTreeMap, BTreeSet};

/// A change that is about the project, not about one class.
pub(super) fn project_change(direction: Direction, what: String, before: String, after: String) -> Change {
    Change {
        direction,
        by_schema: false,
        who: String::new(),
        when: String::new(),
        what,
        before,
        after,
        origins: BTreeSet::new(),
    }
}

pub(super) fn changes(old: &PolicySet, new: &PolicySet) -> Vec<Change> {
    let mut found = Vec::new();
    let before: BTreeMap<&String, &Policy> = old.policies.iter().map(|p| (&p.name, p)).collect();
    for policy in &new.policies {
        let was = before.get(&policy.name).and_then(|policy| policy.request.as_ref());
        if let (Some(was), Some(is)) = (was, &policy.request) {
            let from = found.len();
            request(&policy.name, was, is, &mut found);
            for change in found.iter_mut().skip(from) {
                change.origins.insert(policy.origin.clone());
            }
        }
    }
    membership(old, new, &mut found);
    for (name, kind) in &new.attributes {
        if let Some(was) = old.attributes.get(name).filter(|was| *was != kind) {
            let what = format!("attribute {name}");
            let (before, after) = (was.as_str().to_owned(), kind.as_str().to_owned());
            found.push(project_change(Direction::MayWiden, what, before, after));
        }
    }
    found
}

fn request(policy: &str, was: &RequestTerms, is: &RequestTerms, found: &mut Vec<Change>) {
    let widened = |widens: bool| if widens { Direction::Widened } else { Direction::Lost };
    let mut push = |direction, what: &str, before: String, after: String| {
        found.push(project_change(direction, format!("request {policy} {what}"), before, after));
    };
    if was.count != is.count {
        push(widened(is.count < was.count), "approvals", was.count.to_string(), is.count.to_string());
    }
    if was.max_duration != is.max_duration {
        let direction = widened(is.max_duration > was.max_duration);
        let (before, after) = (format!("{:?}", was.max_duration), format!("{:?}", is.max_duration));
        push(direction, "max_duration", before, after);
    }
    if was.reason_required != is.reason_required {
        let word = |required: bool| if required { "required" } else { "optional" }.to_owned();
        push(widened(was.reason_required), "reason", word(was.reason_required), word(is.reason_required));
    }
    if was.approvers != is.approvers {
        let fewer = is.approvers.is_subset(&was.approvers);
        let direction = if fewer { Direction::Lost } else { Direction::Widened };
        push(direction, "approvers", listed(&was.approvers), listed(&is.approvers));
    }
}

fn listed(names: &BTreeSet<String>) -> String {
    names.iter().cloned().collect::<Vec<_>>().join(", ")
}

/// Members of groups the repository decides. Who joins gains what the group has and comes under its masks; where
/// a group only starts or stops being decided here, who is in it before or after is not known.
fn membership(old: &PolicySet, new: &PolicySet, found: &mut Vec<Change>) {
    let groups: BTreeSet<&String> = old.groups.keys().chain(new.groups.keys()).collect();
    for group in groups {
        let hides = |set: &PolicySet| {
            let concerned = set.policies.iter().filter(|policy| policy.subjects.groups.contains(group));
            concerned
                .into_iter()
                .any(|policy| !policy.masks.is_empty() || policy.grants.iter().any(|g| g.restrict.is_some()))
        };
        let what = format!("members of group:{group}");
        let shown = |members: Option<&BTreeSet<String>>| {
            members.map_or_else(|| "as the directory says".to_owned(), listed)
        };
        let (was, is) = (old.groups.get(group), new.groups.get(group));
        let direction = match (was, is) {
            _ if was == is => continue,
            (Some(was), Some(is)) if was.is_subset(is) => Direction::Widened,
            (Some(was), Some(is)) if is.is_subset(was) && !hides(old) => Direction::Lost,
            _ => Direction::MayWiden,
        };
        found.push(project_change(direction, what, shown(was), shown(is)));
    }
}
