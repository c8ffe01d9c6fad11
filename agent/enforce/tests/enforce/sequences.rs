//! Sequences: read where all they tell is known anyway, and nowhere else.

use crate::shop;
use daam_enforce::{Refusal, RewriteContext, Rewritten, SessionPlan, rewrite};
use daam_model::{EffectiveMask, Mask, Verb};

/// `orders` with the sequence of its key, granted in this way.
fn granted(verb: Verb, change: impl FnOnce(&mut daam_model::RelationAccess)) -> SessionPlan {
    let catalog = shop::catalog(150_000);
    let name = shop::relation_name("public.orders");
    let mut access = shop::all(&catalog.relations[&name], &[verb]);
    change(&mut access);
    let mut policy = shop::policy(&catalog);
    policy.relations = [(name, access)].into();
    daam_enforce::plan(&policy, &catalog).unwrap()
}

fn read(plan: &SessionPlan, sql: &str) -> Result<Rewritten, Refusal> {
    let catalog = shop::catalog(150_000);
    rewrite(sql, &RewriteContext { plan, catalog: &catalog, search_path: &[shop::id("public")] })
}

#[test]
fn a_sequence_behind_a_column_that_is_read_as_it_is_may_be_read() {
    let plan = granted(Verb::Select, |_| {});
    let grants = plan.permission_grants();
    let grant =
        format!("GRANT SELECT ON SEQUENCE \"public\".\"orders_id_seq\" TO \"{}\"", plan.permission_role());
    assert!(grants.contains(&grant), "{grants:?}");
    for sql in
        ["SELECT last_value, is_called FROM public.orders_id_seq", "SELECT last_value FROM orders_id_seq s"]
    {
        assert_eq!(read(&plan, sql).unwrap().sql, sql);
    }
    assert!(read(&plan, "UPDATE public.orders_id_seq SET last_value = 1").is_err());
    assert!(read(&plan, "SELECT * FROM other.orders_id_seq").is_err());
}

#[test]
fn a_sequence_that_would_count_rows_nobody_shows_stays_closed() {
    let filtered = granted(Verb::Select, |access| {
        access.rows.insert(Verb::Select, shop::filter("public.orders", "region = 'eu'"));
    });
    let masked = granted(Verb::Select, |access| {
        access.masks.insert(shop::id("id"), EffectiveMask::new(Mask::Bucket(10)));
    });
    let narrowed = granted(Verb::Select, |access| {
        access.verbs.get_mut(&Verb::Select).unwrap().remove(&shop::id("id"));
    });
    let written = granted(Verb::Insert, |_| {});
    for plan in [filtered, masked, narrowed, written] {
        let grants = plan.permission_grants();
        assert!(!grants.iter().any(|grant| grant.contains("SELECT ON SEQUENCE")), "{grants:?}");
        assert!(read(&plan, "SELECT last_value FROM public.orders_id_seq").is_err());
    }
}

#[test]
fn a_text_that_is_no_sql_is_refused_with_the_place_where_it_stops_being_any() {
    let plan = granted(Verb::Select, |_| {});
    let refusal = read(&plan, "SELECT 'grüße' FROM FROM orders").unwrap_err();
    assert_eq!((refusal.sqlstate, refusal.position), ("42601", Some(21)));
}
