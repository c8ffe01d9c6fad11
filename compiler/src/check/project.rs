//! Rules that compare the clauses of one policy with one another and with those of other policies.
//!
//! Each looks from one policy, at what it is told of the others: which relations anybody reads, which policies apply
//! to the same people. So a policy needs to be compared again only when something it looks at has changed.

use super::conflicts::Conflict;
use super::covered::Covered;
use super::{CheckedMask, CheckedPolicy};
use crate::preset::written;
use crate::rule;
use crate::tables::{RelationId, Tables};
use daam_diagnostic::{Diagnostic, Sink};
use daam_model::{EffectiveMask, Subjects, Verb};
use std::collections::BTreeSet;

/// The second of two policies of one name.
pub(crate) fn duplicate(policy: &CheckedPolicy, earlier: &CheckedPolicy) -> Diagnostic {
    let name = &policy.name.value;
    rule::DUPLICATE_POLICY_NAME
        .at(policy.name.at, format!("the policy `{name}` exists twice"))
        .label(earlier.name.at, "also here")
        .help("approvals, audit and `explain` refer to the name; give each its own")
        .about(format!("policy:{name}"))
}

/// The relations a policy grants `select` on, once for every grant.
pub(crate) fn read_by(policy: &CheckedPolicy) -> impl Iterator<Item = &RelationId> {
    let grants = policy.grants.iter().filter(|grant| grant.allow.contains(&Verb::Select));
    grants.flat_map(|grant| &grant.on).flat_map(|found| &found.covers)
}

/// A column with two masks: names the winner.
pub(crate) fn conflict(
    (a, b): (&CheckedMask, &CheckedMask),
    conflict: &Conflict,
    tables: &Tables<'_>,
) -> Option<Diagnostic> {
    let (relation, column) = tables.column(conflict.column)?;
    let winner = EffectiveMask::new(a.with.clone()).join(&EffectiveMask::new(b.with.clone()));
    let message = format!(
        "`{}.{}` is masked with `{}` here and `{}` elsewhere; who both apply to sees `{}`",
        relation.name,
        column.name,
        written(&b.with),
        written(&a.with),
        written(winner.mask())
    );
    Some(rule::CONFLICTING_MASKS.at(b.at, message).label(a.at, "the other rule"))
}

/// Masks over what nobody reads.
pub(crate) fn masks_not_granted(policy: &CheckedPolicy, readable: &Covered<RelationId>, sink: &mut Sink) {
    for found in policy.masks.iter().flat_map(|mask| &mask.on) {
        let any = found.covers.iter().any(|column| readable.contains(&column.relation()));
        if !any {
            let message = format!("no policy grants `select` on anything `{}` covers", found.pattern);
            sink.push(rule::MASK_NOT_GRANTED.at(found.at, message));
        }
    }
}

/// Writes to what nobody reads.
pub(crate) fn writes_without_select(
    policy: &CheckedPolicy,
    readable: &Covered<RelationId>,
    tables: &Tables<'_>,
    sink: &mut Sink,
) {
    for grant in &policy.grants {
        let writes = grant.allow.iter().find(|verb| matches!(verb, Verb::Update | Verb::Delete));
        let Some(verb) = writes else { continue };
        let unread = grant.on.iter().flat_map(|found| &found.covers).find(|id| !readable.contains(id));
        if let Some(relation) = unread.and_then(|id| tables.relation(*id)) {
            let message =
                format!("`{}` on `{}`, which no policy lets anyone read", verb.as_str(), relation.name);
            sink.push(
                rule::WRITE_WITHOUT_SELECT
                    .at(grant.at, message)
                    .help("allow `select` too, at least on the columns a WHERE clause needs"),
            );
        }
    }
}

/// A grant that another grant of the same policy contains whole.
pub(super) fn shadowed(policy: &CheckedPolicy, sink: &mut Sink) {
    if policy.grants.len() < 2 {
        return;
    }
    let covers: Vec<BTreeSet<RelationId>> = policy
        .grants
        .iter()
        .map(|grant| grant.on.iter().flat_map(|found| &found.covers).copied().collect())
        .collect();
    for (index, (narrow, covered)) in policy.grants.iter().zip(&covers).enumerate() {
        if narrow.on.is_empty() || narrow.allow.is_empty() || narrow.restricts {
            continue;
        }
        let wider = policy.grants.iter().zip(&covers).enumerate().find(|(other, (wide, names))| {
            let contains = wide.whole
                && covered.is_subset(names)
                && narrow.allow.iter().all(|verb| wide.allow.contains(verb));
            // Of two equal grants only the later one is shadowed.
            let equal = narrow.whole && *names == covered && wide.allow.len() == narrow.allow.len();
            *other != index && contains && (!equal || *other < index)
        });
        if let Some((_, (wide, _))) = wider {
            sink.push(
                rule::SHADOWED_GRANT
                    .at(narrow.at, "another grant of this policy already allows all of this")
                    .label(wide.at, "this one, without a filter"),
            );
        }
    }
}

/// Whether some of the subjects of the first certainly are subjects of the second.
pub(crate) fn together(granted: &Subjects, masked: &Subjects) -> bool {
    masked.everyone
        || !granted.groups.is_disjoint(&masked.groups)
        || !granted.users.is_disjoint(&masked.users)
}
