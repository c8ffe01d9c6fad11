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
