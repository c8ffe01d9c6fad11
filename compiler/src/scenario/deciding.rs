//! Which clauses decide what a case expects.

use super::coverage::ClauseKind;
use crate::compile::CompiledDatabase;
use crate::effects::around;
use daam_catalog::{Catalog, Identifier, RelationName};
use daam_model::effective::effective;
use daam_model::{EffectivePolicy, Origin, PolicySet, RelationAccess, RowFilter, Subject, Verb};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// A clause by its kind and place.
pub(super) type Key = (ClauseKind, Origin);

/// What one subject holds, over the part of the schema a case is about.
pub(super) struct Held<'a> {
    database: &'a CompiledDatabase,
    catalog: Catalog,
    subject: Subject,
    requests: &'a BTreeSet<String>,
    pub(super) effective: EffectivePolicy,
}

impl<'a> Held<'a> {
    pub(super) fn of(
        database: &'a CompiledDatabase,
        subject: &Subject,
        requests: &'a BTreeSet<String>,
        relations: impl IntoIterator<Item = &'a RelationName>,
    ) -> Self {
        let subject = subject.with_declared_attributes(&database.policies.attributes);
        let catalog = around(&database.catalog, relations);
        let set = with_ceilings(&database.policies, requests);
        let effective = effective(&set, &catalog, &subject, requests);
        Self { database, catalog, subject, requests, effective }
    }

    /// Access to a relation the agent serves.
    pub(super) fn access(&self, relation: &RelationName) -> Option<&RelationAccess> {
        let served = self.database.scope.admits(relation);
        self.effective.relations.get(relation).filter(|_| served)
    }

    /// The clauses of requests by which the subject could have the verb on the relation.
    pub(super) fn on_request(&self, relation: &RelationName, verb: Verb) -> BTreeSet<Key> {
        let set = &self.database.policies;
        let asked = set.policies.iter().filter(|policy| policy.request.is_some());
        let asked = asked.map(|policy| (&policy.name, &policy.origin));
        let ad_hoc = set.ceilings.iter().map(|ceiling| (&ceiling.name, &ceiling.origin));
        let mut found = BTreeSet::new();
        for (name, origin) in asked.chain(ad_hoc).filter(|(name, _)| !self.requests.contains(*name)) {
            let requests: BTreeSet<String> = self.requests.iter().cloned().chain([name.clone()]).collect();
            let set = with_ceilings(set, &requests);
            let held = effective(&set, &self.catalog, &self.subject, &requests);
            let access = held.relations.get(relation).filter(|_| self.database.scope.admits(relation));
            if let Some(origins) = access.and_then(|access| access.verb_origins.get(&verb)) {
                found.insert((ClauseKind::Request, origin.clone()));
                found.extend(origins.iter().map(|origin| (ClauseKind::Grant, origin.clone())));
            }
        }
        found
    }
}

/// The set with the ceilings of active requests, each as the policy of a request for all of it.
fn with_ceilings<'s>(set: &'s PolicySet, requests: &BTreeSet<String>) -> Cow<'s, PolicySet> {
    let active = set.ceilings.iter().filter(|ceiling| requests.contains(&ceiling.name));
    let more: Vec<_> = active.map(daam_model::Ceiling::whole).collect();
    if more.is_empty() {
        return Cow::Borrowed(set);
    }
    let mut set = set.clone();
    set.policies.extend(more);
    Cow::Owned(set)
}

pub(super) fn granting(access: &RelationAccess, verb: Verb) -> impl Iterator<Item = Key> {
    let origins = access.verb_origins.get(&verb).into_iter().flatten();
    origins.map(|origin| (ClauseKind::Grant, origin.clone()))
}

pub(super) fn masking(access: &RelationAccess, column: &Identifier) -> impl Iterator<Item = Key> {
    let origins = access.mask_origins.get(column).into_iter().flatten();
    origins.map(|origin| (ClauseKind::Mask, origin.clone()))
}

pub(super) fn filtering(filter: &RowFilter) -> impl Iterator<Item = Key> {
    let any = filter.any.iter().map(|clause| (ClauseKind::Rows, clause.origin.clone()));
    // A parent's permissive filter is among the restrictive ones of its partitions.
    let all = filter.all.iter().flat_map(|clause| {
        [ClauseKind::Restrict, ClauseKind::Rows].map(|kind| (kind, clause.origin.clone()))
    });
    any.chain(all)
}

/// The policies and ceilings by the places of their clauses.
pub(super) fn policies_by_place(set: &PolicySet) -> BTreeMap<&Origin, &str> {
    let policies =
        set.policies.iter().map(|policy| (&policy.name, &policy.origin, &policy.grants, &policy.masks));
    let ceilings =
        set.ceilings.iter().map(|ceiling| (&ceiling.name, &ceiling.origin, &ceiling.grants, &ceiling.masks));
    let mut found = BTreeMap::new();
    for (name, origin, grants, masks) in policies.chain(ceilings) {
        let clauses = grants.iter().map(|grant| &grant.origin).chain(masks.iter().map(|rule| &rule.origin));
        for place in clauses.chain([origin]) {
            found.insert(place, name.as_str());
        }
    }
    found
}
