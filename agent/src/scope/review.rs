//! Policies against the scope: what refuses a bundle, what is dropped from it, what is left of it.
//!
//! A mask or row filter that names an object outside refuses the whole bundle: dropping only the mask would leave
//! the granted column open. A grant that names one loses that target. A pattern with a wildcard reaches only what is in
//! scope, because the catalogue it is resolved against holds nothing else. A filter that cannot be read refuses too.

use super::violation::{Site, Violation};
use daam_catalog::pattern::is_system_schema;
use daam_catalog::{RelationName, RelationPattern, Scope};
use daam_model::{Grant, MaskRule, PolicySet};
use daam_sql::Filter;
use std::collections::BTreeSet;

/// The outcome of a review.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Review {
    /// Why the bundle must be refused; empty = it may be loaded.
    pub refused: BTreeSet<Violation>,
    /// Grant targets that will not be granted.
    pub dropped: BTreeSet<Violation>,
    /// Policies with a row filter that cannot be read, so nobody knows what it names.
    pub unreadable: BTreeSet<String>,
}

/// Checks every policy.
pub fn review(set: &PolicySet, scope: &Scope) -> Review {
    let mut review = Review::default();
    if !scope.is_active() {
        return review;
    }
    for policy in &set.policies {
        review.clauses(&policy.name, &policy.grants, &policy.masks, scope);
    }
    for ceiling in &set.ceilings {
        review.clauses(&ceiling.name, &ceiling.grants, &ceiling.masks, scope);
    }
    review
}

impl Review {
    /// Whether the bundle must be refused.
    pub fn refuses(&self) -> bool {
        !self.refused.is_empty() || !self.unreadable.is_empty()
    }

    fn clauses(&mut self, policy: &str, grants: &[Grant], masks: &[MaskRule], scope: &Scope) {
        for rule in masks {
            let literal = rule.on.iter().filter_map(|pattern| pattern.relation().literal());
            self.refuse(policy, outside(literal, scope));
        }
        for grant in grants {
            self.drop_targets(policy, outside(targets(grant), scope));
            for text in grant.rows.iter().chain(&grant.restrict) {
                match names(text) {
                    Some(names) => self.refuse(policy, outside(names, scope)),
                    None => {
                        self.unreadable.insert(policy.to_owned());
                    }
                }
            }
        }
    }

    fn refuse(&mut self, policy: &str, names: impl Iterator<Item = RelationName>) {
        self.refused.extend(names.map(|name| violation(policy, &name, Site::PolicyLoad)));
    }

    fn drop_targets(&mut self, policy: &str, names: impl Iterator<Item = RelationName>) {
        self.dropped.extend(names.map(|name| violation(policy, &name, Site::Grant)));
    }
}

fn violation(policy: &str, name: &RelationName, site: Site) -> Violation {
    Violation {
        policy: policy.to_owned(),
        schema: name.schema.as_str().to_owned(),
        table: name.name.as_str().to_owned(),
        site,
    }
}

fn targets(grant: &Grant) -> impl Iterator<Item = RelationName> {
    grant.on.iter().chain(&grant.functions).filter_map(RelationPattern::literal)
}

/// The relations and functions of user schemas that a filter names; none if it cannot be read.
fn names(filter: &str) -> Option<Vec<RelationName>> {
    let filter = Filter::parse(filter).ok()?;
    let relations = filter.relations().into_iter().map(|used| Some(used.name));
    let called = filter.functions().into_iter();
    let functions = called
        .filter(|used| !is_system_schema(used.schema.as_str()))
        .map(|used| RelationName::stored(used.schema.as_str(), used.name.as_str()).ok());
    relations.chain(functions).collect()
}

fn outside(
    names: impl IntoIterator<Item = RelationName>,
    scope: &Scope,
) -> impl Iterator<Item = RelationName> {
    names.into_iter().filter(|name| !scope.admits(name))
}

/// What an accepted bundle means under a scope that has become narrower since: targets outside go, and a filter that
/// reads something outside (or cannot be read) becomes `false`. Never wider than before.
pub fn narrow(set: &PolicySet, scope: &Scope) -> PolicySet {
    let mut set = set.clone();
    if !scope.is_active() {
        return set;
    }
    let reads_outside =
        |text: &String| names(text).is_none_or(|names| outside(names, scope).next().is_some());
    let inside = |pattern: &RelationPattern| pattern.literal().is_none_or(|name| scope.admits(&name));
    let of_policies = set.policies.iter_mut().flat_map(|policy| &mut policy.grants);
    let of_ceilings = set.ceilings.iter_mut().flat_map(|ceiling| &mut ceiling.grants);
    for grant in of_policies.chain(of_ceilings) {
        grant.on.retain(inside);
        grant.functions.retain(inside);
        if grant.restrict.as_ref().is_some_and(reads_outside) {
            grant.restrict = Some("false".to_owned());
        }
        if grant.rows.as_ref().is_some_and(reads_outside) {
            grant.rows = Some("false".to_owned());
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;
    use daam_catalog::ColumnPattern;
    use daam_model::{Ceiling, Mask, Origin, Policy, RequestTerms, Verb};

    fn scope(patterns: &[&str]) -> Scope {
        Scope::Patterns(patterns.iter().map(|text| RelationPattern::parse(text).unwrap()).collect())
    }

    fn grant(on: &str) -> Grant {
        Grant {
            on: vec![RelationPattern::parse(on).unwrap()],
            allow: BTreeSet::from([Verb::Select]),
            ..Grant::default()
        }
    }

    fn set(grants: Vec<Grant>, masks: &[&str]) -> PolicySet {
        let masks = masks.iter().map(|on| MaskRule {
            on: vec![ColumnPattern::parse(on).unwrap()],
            with: Mask::Null,
            origin: Origin::default(),
        });
        let policy = Policy {
            name: "support".into(),
            description: String::new(),
            subjects: daam_model::Subjects::default(),
            grants,
            masks: masks.collect(),
            session: daam_model::SessionLimits::default(),
            request: None,
            origin: Origin::default(),
        };
        PolicySet { policies: vec![policy], ..PolicySet::default() }
    }

    fn ceiling(grants: Vec<Grant>, masks: &[&str]) -> PolicySet {
        let Policy { name, description, subjects, grants, masks, origin, .. } =
            set(grants, masks).policies.remove(0);
        let terms = RequestTerms {
            approvers: BTreeSet::from(["dba".into()]),
            count: 1,
            max_duration: std::time::Duration::from_secs(60),
            reason_required: true,
        };
        let ceiling = Ceiling { name, description, who: subjects, grants, masks, terms, origin };
        PolicySet { ceilings: vec![ceiling], ..PolicySet::default() }
    }

    #[test]
    fn what_may_be_asked_for_is_held_to_the_scope_like_what_is_granted() {
        let open = scope(&["public.*"]);
        assert!(review(&ceiling(Vec::new(), &["hr.people.ssn"]), &open).refuses());
        let found = review(&ceiling(vec![grant("hr.people")], &[]), &open);
        assert!(!found.refuses() && found.dropped.len() == 1, "{found:?}");
        let narrowed = narrow(&ceiling(vec![grant("hr.people"), grant("public.users")], &[]), &open);
        let left: Vec<usize> = narrowed.ceilings[0].grants.iter().map(|grant| grant.on.len()).collect();
        assert_eq!(left, [0, 1]);
    }

    #[test]
    fn a_mask_on_a_relation_outside_refuses_the_bundle() {
        let review = review(&set(vec![], &["hr.staff.salary"]), &scope(&["public.*"]));
        let refused: Vec<_> =
            review.refused.iter().map(|v| (v.schema.as_str(), v.table.as_str(), v.site)).collect();
        assert_eq!(refused, [("hr", "staff", Site::PolicyLoad)]);
    }

    #[test]
    fn a_wildcard_mask_is_not_a_reference() {
        assert_eq!(
            review(&set(vec![], &["*.*.email", "hr.*.salary"]), &scope(&["public.*"])),
            Review::default()
        );
    }

    #[test]
    fn a_grant_outside_is_dropped_and_reported() {
        let set = set(vec![grant("hr.staff"), grant("public.users"), grant("*.*")], &[]);
        let scope = scope(&["public.*"]);
        let review = review(&set, &scope);
        assert!(review.refused.is_empty());
        assert_eq!(review.dropped.len(), 1);
        let narrowed = narrow(&set, &scope);
        let left: Vec<String> =
            narrowed.policies[0].grants.iter().flat_map(|g| &g.on).map(ToString::to_string).collect();
        assert_eq!(left, ["public.users", "*.*"]);
    }

    #[test]
    fn a_filter_that_names_something_outside_refuses_the_bundle_and_becomes_false_once_accepted() {
        let scope = scope(&["public.*"]);
        for (filter, object) in [
            ("id IN (SELECT s.id FROM hr.staff s)", "staff"),
            ("hr.may_see(id)", "may_see"),
            ("id > 0 OR EXISTS (SELECT 1 FROM public.orders o WHERE o.id = hr.chief(o.id))", "chief"),
        ] {
            for restrictive in [false, true] {
                let mut grant = grant("public.users");
                let clause = if restrictive { &mut grant.restrict } else { &mut grant.rows };
                *clause = Some(filter.to_owned());
                let set = set(vec![grant], &[]);
                let review = review(&set, &scope);
                let refused: Vec<_> = review.refused.iter().map(|v| (v.table.as_str(), v.site)).collect();
                assert_eq!(refused, [(object, Site::PolicyLoad)], "{filter}");
                let narrowed = narrow(&set, &scope);
                let [grant] = narrowed.policies[0].grants.as_slice() else { panic!("{narrowed:?}") };
                assert_eq!(grant.rows.as_deref().or(grant.restrict.as_deref()), Some("false"));
            }
        }
    }

    #[test]
    fn a_filter_within_the_scope_and_on_the_server_itself_is_left_alone() {
        let mut grant = grant("public.users");
        grant.rows = Some("lower(email) = subject.email AND id IN (SELECT o.id FROM public.orders o)".into());
        let set = set(vec![grant], &[]);
        let scope = scope(&["public.*"]);
        assert_eq!(review(&set, &scope), Review::default());
        assert_eq!(narrow(&set, &scope), set);
    }

    #[test]
    fn without_a_declared_scope_nothing_is_reviewed() {
        let set = set(vec![grant("hr.staff")], &["hr.staff.salary"]);
        assert_eq!(review(&set, &Scope::Absent), Review::default());
        assert_eq!(narrow(&set, &Scope::Absent), set);
    }
}
