//! Views that would show what is hidden.

use super::*;
use crate::mask::Mask;

fn reasons(e: &EffectivePolicy, relation: &str) -> Vec<String> {
    let of = |refused: &&RefusedGrant| refused.relation == name(relation);
    e.refused.iter().filter(of).map(|refused| refused.reason.to_string()).collect()
}

#[test]
fn a_view_over_visible_columns_is_granted() {
    let e = resolve(&set([policy("a").grant(grant("public.customer_list", &[Verb::Select]))]), &shop());
    assert!(e.relations.contains_key(&name("public.customer_list")));
    assert!(e.refused.is_empty());
}

#[test]
fn a_view_that_reads_a_masked_column_is_refused_whole() {
    let a = policy("a").grant(grant("public.*", &[Verb::Select])).mask("*.customers.email", Mask::Email);
    let e = resolve(&set([a]), &shop());
    assert!(!e.relations.contains_key(&name("public.customer_list")));
    assert!(e.relations.contains_key(&name("public.customers")));
    let reasons = reasons(&e, "public.customer_list");
    assert!(reasons[0].contains("`public.customers.email`"), "{reasons:?}");
    assert_eq!(e.refused[0].origin, origin("a", 10));
}

#[test]
fn a_view_over_an_inherited_mask_is_refused_too() {
    let a =
        policy("a").grant(grant("public.order_report", &[Verb::Select])).mask("*.orders.total", Mask::Null);
    let e = resolve(&set([a]), &shop());
    assert!(e.relations.is_empty());
    assert_eq!(reasons(&e, "public.order_report").len(), 1);
}

#[test]
fn a_mask_counts_even_for_columns_outside_the_catalogue() {
    let a = policy("a").grant(grant("public.outside", &[Verb::Select])).mask("*.*.ssn", Mask::Redact);
    let e = resolve(&set([a]), &shop());
    assert!(!e.relations.contains_key(&name("public.outside")));
}

#[test]
fn a_view_over_filtered_rows_is_refused() {
    let a = policy("a")
        .grant(grant("public.customers", &[Verb::Select]).rows("region = 'eu'"))
        .grant(grant("public.customer_list", &[Verb::Select]));
    let e = resolve(&set([a]), &shop());
    assert!(!e.relations.contains_key(&name("public.customer_list")));
    assert!(reasons(&e, "public.customer_list")[0].contains("`public.customers`"));
}

#[test]
fn a_restriction_closes_a_view_even_where_its_own_grant_gives_no_column() {
    let restricted = grant("public.customers", &[Verb::Select]).columns(Verb::Select, &[]);
    let a = policy("a").grant(restricted.restrict("region = 'eu'"));
    let b = policy("b").grant(grant("public.customer_list", &[Verb::Select]));
    let e = resolve(&set([a, b]), &shop());
    assert!(e.relations.is_empty(), "{:?}", e.relations.keys());
    assert!(reasons(&e, "public.customer_list")[0].contains("`public.customers`"));
}

#[test]
fn a_view_over_a_partition_of_filtered_rows_is_refused() {
    let a = policy("a")
        .grant(grant("public.orders", &[Verb::Select]).rows("id = 1"))
        .grant(grant("public.order_report", &[Verb::Select]));
    let e = resolve(&set([a]), &shop());
    assert!(!e.relations.contains_key(&name("public.order_report")));
}

#[test]
fn a_filter_on_writes_concerns_only_views_that_write() {
    let customers = grant("public.customers", &[Verb::Select]);
    let updates = grant("public.customers", &[Verb::Update]).rows("region = 'eu'");
    let base = policy("a").grant(customers).grant(updates);
    let reading = base.clone().grant(grant("public.customer_list", &[Verb::Select]));
    assert!(resolve(&set([reading]), &shop()).relations.contains_key(&name("public.customer_list")));
    let writing = base.grant(grant("public.customer_list", &[Verb::Select, Verb::Update]));
    assert!(!resolve(&set([writing]), &shop()).relations.contains_key(&name("public.customer_list")));
}

#[test]
fn a_view_that_calls_a_function_with_rights_of_its_own_needs_that_function_too() {
    let mut catalog = shop();
    let function = catalog.functions.keys().next().unwrap().clone();
    let view = catalog.relations.get_mut(&name("public.order_report")).unwrap();
    view.calls.insert(function.clone());
    let alone = policy("a").grant(grant("public.order_report", &[Verb::Select]));
    let e = resolve(&set([alone]), &catalog);
    assert!(e.relations.is_empty());
    assert_eq!(e.refused[0].reason, RefusedReason::CallsFunction(function));
    let both =
        policy("a").grant(grant("public.order_report", &[Verb::Select])).functions(&["public.order_total"]);
    assert!(resolve(&set([both]), &catalog).relations.contains_key(&name("public.order_report")));
}

#[test]
fn a_view_that_only_counts_filtered_rows_would_count_the_hidden_ones() {
    let mut catalog = shop();
    let view = catalog.relations.get_mut(&name("public.order_report")).unwrap();
    view.reads.clear();
    view.scans.insert(name("public.orders"));
    let grants = || policy("a").grant(grant("public.order_report", &[Verb::Select]));
    let filtered = grants().grant(grant("public.orders", &[Verb::Select]).rows("id > 5"));
    let e = resolve(&set([filtered]), &catalog);
    assert!(!e.relations.contains_key(&name("public.order_report")));
    let whole = grants().grant(grant("public.orders", &[Verb::Select]));
    assert!(resolve(&set([whole]), &catalog).relations.contains_key(&name("public.order_report")));
}
