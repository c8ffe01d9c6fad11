//! Changes beside access itself: terms of requests, membership the repository decides, attributes.

use super::{Change, Direction};
use crate::effects::{Condition, uses};
use daam_catalog::RelationName;
use daam_model::{Grant, Origin, Policy, PolicySet, RequestTerms};
use std::collections::{BTreeMap, BTreeSet};

/// A change that is about the project, not about one class.
pub(super) fn project_change(direction: Direction, what: String, before: String, after: String) -> Change {
    Change {
        direction,
        by_schema: false,
        left: false,
        relation: None,
        who: String::new(),
        when: String::new(),
        what,
        before,
        after,
        origins: BTreeSet::new(),
    }
}

/// `requests` are those that give something: terms of others change nothing for anybody. `viewed` are the relations
/// whose filters have a say elsewhere.
pub(super) fn changes(
    old: &PolicySet,
    new: &PolicySet,
    requests: &BTreeSet<Condition>,
    viewed: &BTreeSet<RelationName>,
) -> Vec<Change> {
    let mut found = Vec::new();
    let before = terms(old);
    for (condition, (is, origin)) in terms(new) {
        let Some((was, _)) = before.get(&condition).filter(|_| requests.contains(&condition)) else {
            continue;
        };
        let from = found.len();
        let what = match &condition {
            Condition::AdHoc(name) => format!("request ceiling {name}"),
            Condition::Request(name) => format!("request {name}"),
            Condition::Standing => continue,
        };
        request(&what, was, is, &mut found);
        for change in found.iter_mut().skip(from) {
            change.origins.insert(origin.clone());
        }
    }
    membership(old, new, viewed, &mut found);
    for (name, kind) in &new.attributes {
        let used = uses(old, name) && uses(new, name);
        if let Some(was) = old.attributes.get(name).filter(|was| used && *was != kind) {
            let what = format!("attribute {name}");
            let (before, after) = (was.as_str().to_owned(), kind.as_str().to_owned());
            found.push(project_change(Direction::MayWiden, what, before, after));
        }
    }
    found
}

/// The terms of every request that can be made, and where they are written.
fn terms(set: &PolicySet) -> BTreeMap<Condition, (&RequestTerms, &Origin)> {
    let asked = set.policies.iter().filter_map(|policy| {
        let terms = policy.request.as_ref()?;
        Some((Condition::Request(policy.name.clone()), (terms, &policy.origin)))
    });
    let ad_hoc = set
        .ceilings
        .iter()
        .map(|ceiling| (Condition::AdHoc(ceiling.name.clone()), (&ceiling.terms, &ceiling.origin)));
    asked.chain(ad_hoc).collect()
}

fn request(request: &str, was: &RequestTerms, is: &RequestTerms, found: &mut Vec<Change>) {
    let widened = |widens: bool| if widens { Direction::Widened } else { Direction::Lost };
    let mut push = |direction, what: &str, before: String, after: String| {
        found.push(project_change(direction, format!("{request} {what}"), before, after));
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
fn membership(old: &PolicySet, new: &PolicySet, viewed: &BTreeSet<RelationName>, found: &mut Vec<Change>) {
    let groups: BTreeSet<&String> = old.groups.keys().chain(new.groups.keys()).collect();
    // A filter may reach more rows for who is not in a group.
    let told_apart = uses(new, "groups");
    for group in groups {
        let hides = |set: &PolicySet| {
            let mut concerned = set.policies.iter().filter(|policy| policy.subjects.groups.contains(group));
            told_apart || concerned.any(|policy| withholds(policy, viewed))
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

/// Whether a policy takes something from whom it applies to: whoever leaves it may then do or see more.
fn withholds(policy: &Policy, viewed: &BTreeSet<RelationName>) -> bool {
    let limits = &policy.session;
    let timed = [limits.max_duration, limits.idle_timeout, limits.statement_timeout];
    let limited = limits.read_only == Some(true) || timed.iter().any(Option::is_some);
    let filters = |grant: &Grant| {
        let told = || viewed.iter().any(|name| grant.on.iter().any(|pattern| pattern.matches(name)));
        grant.restrict.is_some() || (grant.rows.is_some() && told())
    };
    limited || !policy.masks.is_empty() || policy.grants.iter().any(filters)
}
