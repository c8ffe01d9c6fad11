//! Row filters and what partitions take over.

use super::*;

fn texts(clauses: &[FilterClause]) -> Vec<&str> {
    clauses.iter().map(|clause| clause.text.as_str()).collect()
}

fn filter<'e>(e: &'e EffectivePolicy, relation: &str, verb: Verb) -> Option<&'e RowFilter> {
    e.relations[&name(relation)].rows.get(&verb)
}

#[test]
fn a_row_is_reached_if_any_policy_reaches_it() {
    let a = policy("a").grant(grant("public.customers", &[Verb::Select, Verb::Update]).rows("region = 'eu'"));
    let b = policy("b").grant(grant("public.customers", &[Verb::Select]).rows("region = 'us'"));
    let e = resolve(&set([a, b]), &shop());
    let select = filter(&e, "public.customers", Verb::Select).unwrap();
    assert_eq!(texts(&select.any), ["region = 'eu'", "region = 'us'"]);
    let update = filter(&e, "public.customers", Verb::Update).unwrap();
    assert_eq!(texts(&update.any), ["region = 'eu'"]);
}

#[test]
fn one_unfiltered_grant_of_a_verb_reaches_every_row() {
    let a = policy("a").grant(grant("public.customers", &[Verb::Select, Verb::Update]).rows("region = 'eu'"));
    let b = policy("b").grant(grant("public.customers", &[Verb::Select]));
    let e = resolve(&set([a, b]), &shop());
    assert_eq!(filter(&e, "public.customers", Verb::Select), None);
    assert!(filter(&e, "public.customers", Verb::Update).is_some());
}

#[test]
fn restrictions_hold_over_every_policy() {
    let a = policy("a").grant(grant("public.customers", &[Verb::Select]));
    let b = policy("b").grant(grant("public.*", &[Verb::Select]).rows("id > 0").restrict("region = 'eu'"));
    let e = resolve(&set([a, b]), &shop());
    let select = filter(&e, "public.customers", Verb::Select).unwrap();
    assert!(select.any.is_empty());
    assert_eq!(texts(&select.all), ["region = 'eu'"]);
}

#[test]
fn a_restriction_holds_even_where_its_own_grant_covers_no_column() {
    let a = policy("a").grant(grant("public.customers", &[Verb::Select]));
    let b = policy("b")
        .grant(grant("public.customers", &[Verb::Select]).columns(Verb::Select, &["gone"]).restrict("false"));
    let e = resolve(&set([a, b]), &shop());
    assert_eq!(texts(&filter(&e, "public.customers", Verb::Select).unwrap().all), ["false"]);
}

#[test]
fn a_grant_of_no_column_opens_no_rows() {
    let a = policy("a").grant(grant("public.customers", &[Verb::Select]).rows("id = 1"));
    let b = policy("b").grant(grant("public.customers", &[Verb::Select]).columns(Verb::Select, &["gone"]));
    let e = resolve(&set([a, b]), &shop());
    assert_eq!(texts(&filter(&e, "public.customers", Verb::Select).unwrap().any), ["id = 1"]);
}

#[test]
fn a_partition_granted_directly_reaches_no_more_than_its_parents_do() {
    let parent = policy("a")
        .grant(grant("public.orders", &[Verb::Select]).rows("id = 1"))
        .grant(grant("public.orders", &[Verb::Select]).rows("id = 2").restrict("total > 0"));
    let child = policy("b").grant(grant("public.orders_1a", &[Verb::Select, Verb::Delete]).rows("id < 9"));
    let e = resolve(&set([parent, child]), &shop());
    let select = filter(&e, "public.orders_1a", Verb::Select).unwrap();
    assert_eq!(texts(&select.any), ["id < 9"]);
    let mut all = texts(&select.all);
    all.sort_unstable();
    assert_eq!(all, ["(id = 1) OR (id = 2)", "total > 0"]);
    assert!(select.all.iter().all(|clause| clause.relation == name("public.orders")));
    // The parent does not filter `delete`, so nothing is taken over.
    assert!(filter(&e, "public.orders_1a", Verb::Delete).unwrap().all.is_empty());
}

#[test]
fn an_unfiltered_partition_still_keeps_its_parents_filter() {
    let a = policy("a").grant(grant("public.orders", &[Verb::Select]).rows("id = 1"));
    let b = policy("b").grant(grant("public.orders_2", &[Verb::Select]));
    let e = resolve(&set([a, b]), &shop());
    let select = filter(&e, "public.orders_2", Verb::Select).unwrap();
    assert!(select.any.is_empty());
    assert_eq!(texts(&select.all), ["id = 1"]);
}

#[test]
fn alternatives_of_a_parent_stay_apart_in_an_unfiltered_partition() {
    let a = policy("a")
        .grant(grant("public.orders", &[Verb::Select]).rows("id = 1"))
        .grant(grant("public.orders", &[Verb::Select]).rows("customer = subject.email"));
    let b = policy("b").grant(grant("public.orders_2", &[Verb::Select]));
    let e = resolve(&set([a, b]), &shop());
    let select = filter(&e, "public.orders_2", Verb::Select).unwrap();
    assert_eq!(texts(&select.any), ["customer = subject.email", "id = 1"]);
    assert!(select.all.is_empty());
}

#[test]
fn a_restriction_on_a_parent_holds_in_its_partitions_even_if_the_parent_is_not_granted() {
    let none = grant("public.orders", &[Verb::Select]).columns(Verb::Select, &["gone"]);
    let a = policy("a").grant(none.restrict("total > 0"));
    let b = policy("b").grant(grant("public.orders_1a", &[Verb::Select]));
    let e = resolve(&set([a, b]), &shop());
    assert!(!e.relations.contains_key(&name("public.orders")));
    assert_eq!(texts(&filter(&e, "public.orders_1a", Verb::Select).unwrap().all), ["total > 0"]);
}

#[test]
fn a_restriction_on_a_partition_takes_the_verb_from_a_parent_that_is_not_restricted() {
    let open = policy("a").grant(grant("public.orders", &[Verb::Select, Verb::Delete]));
    let child = policy("b").grant(grant("public.orders_1", &[Verb::Select]).restrict("total < 10"));
    let e = resolve(&set([open.clone(), child.clone()]), &shop());
    let orders = &e.relations[&name("public.orders")];
    assert!(!orders.verbs.contains_key(&Verb::Select) && orders.verbs.contains_key(&Verb::Delete));
    let reason = RefusedReason::ChildRestricted(Verb::Select, name("public.orders_1"));
    assert!(e.refused.iter().any(|refused| refused.reason == reason));
    assert!(e.relations[&name("public.orders_1")].verbs.contains_key(&Verb::Select));
    let parent = policy("c").grant(grant("public.orders", &[Verb::Select]).restrict("total < 10"));
    let e = resolve(&set([open, child, parent]), &shop());
    assert!(e.relations[&name("public.orders")].verbs.contains_key(&Verb::Select));
    assert!(e.refused.is_empty());
}

#[test]
fn a_view_stays_refused_when_its_parent_table_is_taken_away_by_a_restricted_partition() {
    let open = policy("a")
        .grant(grant("public.orders", &[Verb::Select]).rows("id = 1"))
        .grant(grant("public.order_report", &[Verb::Select]));
    let none = grant("public.orders_1", &[Verb::Select]).columns(Verb::Select, &["gone"]);
    let child = policy("b").grant(none.restrict("false"));
    let e = resolve(&set([open, child]), &shop());
    assert!(!e.relations.contains_key(&name("public.order_report")), "{:?}", e.relations.keys());
}
