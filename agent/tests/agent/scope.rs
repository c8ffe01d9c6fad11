//! The scope over a real catalogue.

use crate::world::World;
use daam_catalog::{RelationPattern, Scope};

fn scope(patterns: &[&str]) -> Scope {
    Scope::Patterns(patterns.iter().map(|text| RelationPattern::parse(text).unwrap()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_mentions_nothing_outside_the_scope() {
    let world = World::start().await;
    let scoped = world.full().await.within(&scope(&["public.orders"]));
    assert_eq!(scoped.len(), 1);
    let report = scoped.report().to_string();
    assert!(report.contains("orders_id_seq"), "the table's own sequence is part of it");
    for outside in ["users", "staff", "hr", "contacts", "twice", "leak", "people"] {
        assert!(!report.contains(outside), "{outside} is in {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_scope_leaves_nothing_and_a_star_leaves_all() {
    let world = World::start().await;
    let full = world.full().await;
    assert!(full.within(&scope(&[])).is_empty());
    assert_eq!(full.within(&scope(&["*.*"])).catalog(), full.within(&Scope::Absent).catalog());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_know_what_everyone_can_reach_outside_the_scope_and_the_report_does_not() {
    let world = World::start().await;
    world
        .superuser
        .batch_execute(
            "CREATE FUNCTION hr.closed() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'; \
             REVOKE EXECUTE ON FUNCTION hr.closed() FROM PUBLIC; CREATE TYPE hr.grade AS ENUM ('a', 'b'); \
             CREATE FUNCTION hr.peek(int, int) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT max(salary) FROM hr.staff'; \
             CREATE OPERATOR hr.#### (FUNCTION = hr.peek, LEFTARG = int, RIGHTARG = int)",
        )
        .await
        .unwrap();
    let full = world.full().await;
    let scoped = full.within(&scope(&["public.orders"]));
    let relations: Vec<String> = scoped.known().relations.keys().map(ToString::to_string).collect();
    let functions: Vec<String> = scoped.known().functions.keys().map(ToString::to_string).collect();
    // Every name, so that no temporary object takes the place of one.
    assert_eq!(relations.len(), full.unfiltered().relations.len(), "{relations:?}");
    let types: Vec<String> = scoped.known().types.keys().map(ToString::to_string).collect();
    assert!(types.contains(&"hr.grade".to_owned()), "{types:?}");
    // What runs with the caller's own rights, or nobody may call, needs no guard.
    assert_eq!(functions, ["hr.peek(integer, integer)", "public.leak()"]);
    assert_eq!(
        scoped.known().operators.iter().map(|operator| operator.name.as_str()).collect::<Vec<_>>(),
        ["####"]
    );
    let outside = scoped.known().relations.values().filter(|known| known.name.to_string() != "public.orders");
    assert!(outside.into_iter().all(|known| known.columns.is_empty()), "nothing but names is kept");
    let report = scoped.report().to_string();
    for hidden in ["leak", "notice", "hr", "grade", "####", "staff"] {
        assert!(!report.contains(hidden), "{hidden} in {report}");
    }
    assert_eq!((scoped.len(), scoped.catalog().relations.len()), (1, 1));
    let everything = full.within(&Scope::Absent);
    assert_eq!(everything.known(), everything.catalog());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_scope_is_reported_with_its_columns_types_and_comments() {
    let world = World::start().await;
    let report = world.full().await.within(&scope(&["public.users"])).report().to_string();
    for inside in
        ["users", "people", "email", "where to write", "character varying(40)", "mood", "shop_owner"]
    {
        assert!(report.contains(inside), "{inside} is not in {report}");
    }
}
