//! What one subject may do and see in one catalogue: all applicable policies, combined.
//!
//! Grants and permissive rows add up, restrictive rows and masks hold over everything, and what is not granted
//! is denied. A view that would show what is hidden from the subject is refused whole: its grant is dropped and
//! listed in [`EffectivePolicy::refused`].

mod grants;
mod masks;
mod rows;
mod views;

use crate::mask::EffectiveMask;
use crate::policy::{Origin, Policy, PolicySet, SessionLimits, Verb};
use crate::subject::Subject;
use daam_catalog::{Catalog, ColumnRef, FunctionName, Identifier, Relation, RelationName};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The combination of every policy that applies to a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectivePolicy {
    /// Whose.
    pub subject: Subject,
    /// Names of the policies that apply.
    pub policies: BTreeSet<String>,
    /// Relations with at least one granted verb; everything else is denied.
    pub relations: BTreeMap<RelationName, RelationAccess>,
    /// Functions granted by name.
    pub functions: BTreeSet<FunctionName>,
    /// Combined limits.
    pub limits: SessionLimits,
    /// Grants that were dropped because they would show what is hidden, or cannot be held.
    pub refused: Vec<RefusedGrant>,
}

/// A grant that was written but is not held.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefusedGrant {
    /// The relation it was for.
    pub relation: RelationName,
    /// Why it is not held.
    pub reason: RefusedReason,
    /// The clause that granted it.
    pub origin: Origin,
}

/// Why a written grant is not held.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusedReason {
    /// A view reads a column that is masked for the subject.
    ReadsMasked(ColumnRef),
    /// A view reads a relation of which the subject may not see every row.
    ReadsFiltered(RelationName),
    /// A view calls a function that reads with other rights than the subject's, and is not granted itself.
    CallsFunction(FunctionName),
    /// The verb does not exist for that kind of relation.
    VerbUnsuited(Verb),
    /// A rewrite rule answers for the verb, with its owner's rights.
    Rules(Verb),
    /// A policy that applies says that sessions only read.
    ReadOnly(Verb),
    /// A partition or child is restricted for that verb, and the parent is not.
    ChildRestricted(Verb, RelationName),
}

impl fmt::Display for RefusedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadsMasked(read) => write!(
                f,
                "the view reads `{}.{}`, which is masked for this subject, and would show it; grant the table \
                 instead, or a view that does not read the column",
                read.relation, read.column
            ),
            Self::ReadsFiltered(relation) => write!(
                f,
                "the view reads `{relation}`, of which this subject sees only some rows, and would show all; \
                 grant the table instead"
            ),
            Self::CallsFunction(function) => write!(
                f,
                "the view calls `{function}`, which reads with its owner's rights past every mask and filter; grant \
                 the function too, or a view that does not call it"
            ),
            Self::ChildRestricted(verb, child) => write!(
                f,
                "`{}` is restricted on `{child}`, whose rows the parent would show unrestricted; write the \
                 restriction on the parent",
                verb.as_str()
            ),
            Self::Rules(verb) => write!(
                f,
                "`{}` is rewritten by a rule (`CREATE RULE`), which reads with its owner's rights past every mask and \
                 filter and can answer with rows; use a trigger instead",
                verb.as_str()
            ),
            Self::ReadOnly(verb) => write!(
                f,
                "`{}` is not held in sessions that only read, and a policy that applies says `read_only: true`",
                verb.as_str()
            ),
            Self::VerbUnsuited(verb) => {
                write!(f, "`{}` does not exist for this kind of relation", verb.as_str())
            }
        }
    }
}

/// Access to one relation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RelationAccess {
    /// Granted verbs with their columns (empty for `delete` and `truncate`, which have none).
    pub verbs: BTreeMap<Verb, BTreeSet<Identifier>>,
    /// Masked columns, whether or not they are granted; includes inherited masks of derived columns.
    pub masks: BTreeMap<Identifier, EffectiveMask>,
    /// Row filters per verb; an absent verb reaches every row.
    pub rows: BTreeMap<Verb, RowFilter>,
    /// The clauses that granted something here.
    pub origins: BTreeSet<Origin>,
    /// The clauses that granted each verb.
    pub verb_origins: BTreeMap<Verb, BTreeSet<Origin>>,
    /// The rules behind each mask.
    pub mask_origins: BTreeMap<Identifier, BTreeSet<Origin>>,
    /// Whether a column that does not exist yet could be masked by a rule of today: what is granted must not extend to
    /// columns by itself then.
    pub future_masks: bool,
}

/// Which rows a verb reaches: any of `any` (all rows if empty) and all of `all`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowFilter {
    /// Permissive clauses.
    pub any: Vec<FilterClause>,
    /// Restrictive clauses.
    pub all: Vec<FilterClause>,
}

/// One filter clause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilterClause {
    /// The relation whose columns the clause was written against (a partition inherits its parent's).
    pub relation: RelationName,
    /// Canonical text, with `subject.<attribute>` unbound.
    pub text: String,
    /// Where it was written.
    pub origin: Origin,
}

/// Combines every policy of the set that applies to the subject.
///
/// A requestable policy applies only while its name is in `active_requests` and the subject may ask for it.
/// Membership of groups defined in the set replaces what the directory says about groups of the same name.
pub fn effective(
    set: &PolicySet,
    catalog: &Catalog,
    subject: &Subject,
    active_requests: &BTreeSet<String>,
) -> EffectivePolicy {
    let subject = subject.with_defined_groups(&set.groups);
    let policies = applicable(set, &subject, active_requests);
    let mut granted = grants::collect(&policies, catalog);
    let masks = masks::Masks::of(&policies, &near(granted.relations.keys(), catalog), catalog);
    views::refuse(&mut granted, &masks, catalog);
    let mut limits =
        policies.iter().fold(SessionLimits::default(), |limits, policy| limits.combined(&policy.session));
    if limits.read_only == Some(true) {
        granted.only_read();
        // Code that nobody looks at could say otherwise.
        limits.procedural = limits.procedural.map(|_| false);
    }
    for (name, access) in &mut granted.relations {
        if let Some(relation) = catalog.relation(name) {
            masks.write_into(relation, access);
        }
    }
    granted.refused.sort();
    granted.refused.dedup();
    EffectivePolicy {
        policies: policies.iter().map(|policy| policy.name.clone()).collect(),
        relations: granted.relations,
        functions: granted.functions,
        limits,
        refused: granted.refused,
        subject,
    }
}

/// What a mask of these relations can come from, in the order of the names: see [`concerned`]. Masks of other relations
/// change nothing for this subject.
fn near<'a>(granted: impl Iterator<Item = &'a RelationName>, catalog: &'a Catalog) -> Vec<&'a Relation> {
    concerned(granted, catalog).into_iter().filter_map(|name| catalog.relation(name)).collect()
}

/// The relations whose masks decide what shows of these: themselves, what views among them read (known here or not), and
/// the families of all of those, up and down.
pub(crate) fn concerned<'a>(
    names: impl Iterator<Item = &'a RelationName>,
    catalog: &'a Catalog,
) -> BTreeSet<&'a RelationName> {
    let mut children: BTreeMap<&RelationName, Vec<&RelationName>> = BTreeMap::new();
    for child in catalog.relations.values() {
        for parent in &child.parents {
            children.entry(parent).or_default().push(&child.name);
        }
    }
    let mut found = BTreeSet::new();
    let mut open: Vec<&RelationName> = names.collect();
    while let Some(name) = open.pop() {
        if !found.insert(name) {
            continue;
        }
        if let Some(relation) = catalog.relation(name) {
            open.extend(&relation.parents);
            open.extend(relation.reads.iter().map(|read| &read.relation));
            open.extend(children.get(name).into_iter().flatten());
        }
    }
    found
}

fn applicable<'a>(
    set: &'a PolicySet,
    subject: &Subject,
    active_requests: &BTreeSet<String>,
) -> Vec<&'a Policy> {
    set.policies
        .iter()
        .filter(|policy| policy.request.is_none() || active_requests.contains(&policy.name))
        .filter(|policy| policy.subjects.include(subject))
        .collect()
}

#[cfg(test)]
mod tests;
