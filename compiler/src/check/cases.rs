//! Test cases about nobody: requests no policy is asked for by, groups no policy names.
//!
//! A slip in such a name makes people of the case strangers, and everything is denied to strangers: what is expected
//! to be denied would be so for the wrong reason.

use super::Database;
use crate::rule;
use crate::scenario::Scenario;
use daam_diagnostic::{Severity, Sink, suggest};
use daam_model::{Ceiling, Policy};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One finding per case and name.
pub(crate) fn cases<'p>(
    policies: impl Iterator<Item = &'p Policy>,
    ceilings: &'p [Ceiling],
    scenarios: &[Arc<Scenario>],
    database: &'p Database<'_>,
    sink: &mut Sink,
) {
    let names = |case: &Arc<Scenario>| !case.requests().is_empty() || !case.subject().groups.is_empty();
    if !scenarios.iter().any(names) {
        return;
    }
    let known = Known::of(policies, ceilings, database);
    for case in scenarios {
        for request in case.requests().iter().filter(|request| !known.asked.contains(request.as_str())) {
            let message = format!("nothing in `{}` is asked for under the name `{request}`", database.name);
            let help = suggest::did_you_mean(request, known.asked.iter().copied());
            sink.push(rule::UNKNOWN_SUBJECT.at(case.at, message).maybe_help(help));
        }
        for group in case.subject().groups.iter().filter(|group| !known.groups.contains(group.as_str())) {
            let near = suggest::nearest(group, known.groups.iter().copied());
            let unknown = database.people.is_unknown(group);
            if near.is_none() && !unknown {
                continue;
            }
            let message = format!("no policy of `{}` names the group `{group}`", database.name);
            let help = near.map(|near| format!("did you mean `{near}`?"));
            let mut found = rule::UNKNOWN_SUBJECT.at(case.at, message).maybe_help(help);
            if !unknown {
                found.severity = Severity::Warning;
            }
            sink.push(found);
        }
    }
}

/// What cases may name.
#[derive(Default)]
struct Known<'p> {
    /// Policies of requests, and ceilings.
    asked: BTreeSet<&'p str>,
    /// Groups that are subjects, that approve, or that the repository decides.
    groups: BTreeSet<&'p str>,
}

impl<'p> Known<'p> {
    fn of(
        policies: impl Iterator<Item = &'p Policy>,
        ceilings: &'p [Ceiling],
        database: &'p Database<'_>,
    ) -> Self {
        let mut known = Self::default();
        known.groups.extend(database.people.defined.keys().map(String::as_str));
        for policy in policies {
            known.groups.extend(policy.subjects.groups.iter().map(String::as_str));
            if let Some(terms) = &policy.request {
                known.asked.insert(&policy.name);
                known.groups.extend(terms.approvers.iter().map(String::as_str));
            }
        }
        for ceiling in ceilings {
            known.asked.insert(&ceiling.name);
            let groups = ceiling.who.groups.iter().chain(&ceiling.terms.approvers);
            known.groups.extend(groups.map(String::as_str));
        }
        known
    }
}
