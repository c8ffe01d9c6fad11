//! What combining policies promises, by example and as laws.

mod fixture;
mod laws;
mod masks;
mod rows;
mod views;

use super::*;
use crate::policy::RequestTerms;
use daam_catalog::Relation;
use fixture::*;
use std::time::Duration;

#[test]
fn nothing_is_granted_without_a_policy() {
    let e = resolve(&set([]), &shop());
    assert_eq!((e.relations.len(), e.functions.len(), e.policies.len()), (0, 0, 0));
}

#[test]
fn grants_add_up_per_verb_and_column() {
    let narrow = policy("a").grant(grant("public.customers", &[Verb::Select]).columns(Verb::Select, &["id"]));
    let other = policy("b").grant(
        grant("public.customers", &[Verb::Select, Verb::Update, Verb::Delete])
            .columns(Verb::Select, &["email"])
            .columns(Verb::Update, &["phone"]),
    );
    let e = resolve(&set([narrow, other]), &shop());
    let access = e.relations.get(&name("public.customers")).unwrap();
    assert_eq!(access.verbs[&Verb::Select], columns(&["email", "id"]));
    assert_eq!(access.verbs[&Verb::Update], columns(&["phone"]));
    assert_eq!(access.verbs[&Verb::Delete], columns(&[]));
    assert!(!access.verbs.contains_key(&Verb::Insert));
    assert_eq!(access.verb_origins[&Verb::Select].len(), 2);
    assert_eq!(access.verb_origins[&Verb::Delete].len(), 1);
}

#[test]
fn a_policy_applies_to_its_groups_its_users_and_everyone_only() {
    let policies = [
        policy("everyone").grant(grant("public.orders", &[Verb::Select])),
        policy("by-group").for_groups(&["support"]),
        policy("by-user").for_users(&["sam@acme.test"]),
        policy("other-group").for_groups(&["dba"]),
        policy("other-user").for_users(&["ann@acme.test"]),
        policy("nobody").for_users(&[]),
    ];
    let mut subject = Subject::new("1", "SAM@acme.test").in_groups(["support"]);
    subject.email = "SAM@acme.test".into();
    let e = effective(&set(policies), &shop(), &subject, &BTreeSet::new());
    let names: Vec<&str> = e.policies.iter().map(String::as_str).collect();
    assert_eq!(names, ["by-group", "by-user", "everyone"]);
}

#[test]
fn groups_of_the_set_replace_the_directory() {
    let mut set = set([policy("dba-only").for_groups(&["dba"]).grant(grant("*.*", &[Verb::Select]))]);
    set.groups.insert("dba".into(), BTreeSet::from(["ann@acme.test".into()]));
    let claims_dba = Subject::new("1", "sam@acme.test").in_groups(["dba"]);
    let e = effective(&set, &shop(), &claims_dba, &BTreeSet::new());
    assert!(e.relations.is_empty());
    assert!(!e.subject.groups.contains("dba"));
    let ann = Subject::new("2", "ann@acme.test");
    assert!(!effective(&set, &shop(), &ann, &BTreeSet::new()).relations.is_empty());
}

#[test]
fn a_requestable_policy_needs_an_active_request_and_someone_who_may_ask() {
    let mut oncall = policy("oncall").for_groups(&["eng"]).grant(grant("public.orders", &[Verb::Update]));
    oncall.request = Some(RequestTerms {
        approvers: BTreeSet::from(["dba".into()]),
        count: 1,
        max_duration: Duration::from_secs(60),
        reason_required: true,
    });
    let set = set([oncall]);
    let engineer = Subject::new("1", "e@acme.test").in_groups(["eng"]);
    let other = Subject::new("2", "o@acme.test");
    let active = BTreeSet::from(["oncall".to_owned()]);
    assert!(effective(&set, &shop(), &engineer, &BTreeSet::new()).policies.is_empty());
    assert!(effective(&set, &shop(), &other, &active).policies.is_empty());
    assert_eq!(effective(&set, &shop(), &engineer, &active).policies.len(), 1);
}

#[test]
fn generated_columns_cannot_be_written() {
    let e =
        resolve(&set([policy("a").grant(grant("public.customers", &[Verb::Insert, Verb::Update]))]), &shop());
    let access = &e.relations[&name("public.customers")];
    assert!(!access.verbs[&Verb::Insert].contains(&identifier("email_lower")));
    assert!(!access.verbs[&Verb::Update].contains(&identifier("email_lower")));
    assert!(access.verbs[&Verb::Insert].contains(&identifier("email")));
}

#[test]
fn a_narrowing_to_columns_that_do_not_exist_grants_nothing() {
    let grant = grant("public.customers", &[Verb::Select]).columns(Verb::Select, &["gone"]);
    assert!(resolve(&set([policy("a").grant(grant)]), &shop()).relations.is_empty());
}

#[test]
fn verbs_that_do_not_suit_the_kind_are_refused_and_recorded() {
    let e = resolve(&set([policy("a").grant(grant("public.order_report", &Verb::ALL))]), &shop());
    let access = &e.relations[&name("public.order_report")];
    assert_eq!(access.verbs.keys().copied().collect::<Vec<_>>(), [Verb::Select]);
    let refused: Vec<Verb> = e
        .refused
        .iter()
        .filter_map(|refused| match refused.reason {
            RefusedReason::VerbUnsuited(verb) => Some(verb),
            RefusedReason::ReadsMasked(_)
            | RefusedReason::ReadsFiltered(_)
            | RefusedReason::CallsFunction(_)
            | RefusedReason::ReadOnly(_)
            | RefusedReason::Rules(_)
            | RefusedReason::ChildRestricted(..) => None,
        })
        .collect();
    assert_eq!(refused, [Verb::Insert, Verb::Update, Verb::Delete, Verb::Truncate]);
}

#[test]
fn functions_are_granted_with_all_their_overloads() {
    let e = resolve(&set([policy("a").functions(&["public.order_total"])]), &shop());
    assert_eq!(e.functions.len(), 2);
    let e = resolve(&set([policy("a").functions(&["public.other"])]), &shop());
    assert!(e.functions.is_empty());
}

#[test]
fn a_grant_that_spells_a_name_out_folds_it_and_reaches_no_name_with_a_dot() {
    let kind = || vec![column("id", daam_catalog::TypeClass::Integer)];
    let table = |text: &str| Relation {
        name: RelationName::stored("public", text).unwrap(),
        ..relation("public.x", daam_catalog::RelationKind::Table, kind())
    };
    let catalog = catalog(vec![table("Users"), table("users"), table("a.b")]);
    let grants = policy("a").grant(grant("public.users", &[Verb::Select]));
    let dotted = policy("b").grant(grant("public.\"a.b\"", &[Verb::Select]));
    let e = resolve(&set([grants, dotted]), &catalog);
    let held: Vec<&str> = e.relations.keys().map(|name| name.name.as_str()).collect();
    assert_eq!(held, ["Users", "users"]);
}

#[test]
fn where_one_policy_says_that_sessions_only_read_no_policy_gives_a_verb_that_writes() {
    let writes = policy("writes")
        .grant(grant("public.orders", &[Verb::Select, Verb::Update]))
        .grant(grant("public.customers", &[Verb::Delete]));
    let mut reads = policy("reads");
    reads.session.read_only = Some(true);
    let e = resolve(&set([writes, reads]), &shop());
    let held: Vec<Verb> = e.relations[&name("public.orders")].verbs.keys().copied().collect();
    assert_eq!(held, [Verb::Select]);
    assert!(!e.relations.contains_key(&name("public.customers")));
    let reasons: Vec<&RefusedReason> = e.refused.iter().map(|refused| &refused.reason).collect();
    assert_eq!(reasons, [&RefusedReason::ReadOnly(Verb::Delete), &RefusedReason::ReadOnly(Verb::Update)]);
}

#[test]
fn the_shortest_limit_wins_and_flags_add_up() {
    let limits = |seconds: Option<u64>, read_only, procedural| SessionLimits {
        max_duration: seconds.map(Duration::from_secs),
        read_only,
        procedural,
        ..SessionLimits::default()
    };
    let a = limits(Some(10), Some(false), None);
    let b = limits(Some(5), Some(true), Some(true));
    let none = limits(None, None, Some(false));
    assert_eq!(a.combined(&b), limits(Some(5), Some(true), Some(true)));
    assert_eq!(b.combined(&a), a.combined(&b));
    assert_eq!(a.combined(&none), limits(Some(10), Some(false), Some(false)));
}
