//! What a plan says, without a server.

use crate::shop;
use daam_enforce::{Access, SessionPlan};
use daam_model::{EffectiveMask, EffectivePolicy, Mask, Verb};
use std::collections::BTreeMap;

fn planned(change: impl FnOnce(&mut EffectivePolicy)) -> SessionPlan {
    let catalog = shop::catalog(150_000);
    let mut policy = shop::policy(&catalog);
    change(&mut policy);
    daam_enforce::plan(&policy, &catalog).unwrap()
}

#[test]
fn unprotected_tables_are_granted_and_protected_ones_are_not() {
    let plan = planned(|_| {});
    let p = plan.permission_role().to_owned();
    let v = plan.view_owner().unwrap().to_owned();
    assert_eq!(
        plan.permission_grants(),
        [
            format!("GRANT DELETE ON TABLE \"public\".\"notes\" TO \"{p}\""),
            format!("GRANT INSERT ON TABLE \"public\".\"notes\" TO \"{p}\""),
            format!("GRANT SELECT ON TABLE \"public\".\"notes\" TO \"{p}\""),
            format!("GRANT UPDATE ON TABLE \"public\".\"notes\" TO \"{p}\""),
            format!("GRANT USAGE ON SCHEMA \"public\" TO \"{p}\""),
            format!("GRANT USAGE ON SEQUENCE \"public\".\"orders_id_seq\" TO \"{p}\""),
        ]
    );
    let owner = plan.view_owner_grants();
    assert!(owner.contains(&format!("GRANT SELECT ON TABLE \"public\".\"teams\" TO \"{v}\"")), "{owner:?}");
    assert!(!owner.iter().any(|grant| grant.contains("notes") || grant.contains("salaries")), "{owner:?}");
}

#[test]
fn people_with_the_same_grants_share_roles_whatever_their_attributes_are() {
    let one = planned(|_| {});
    let other = planned(|policy| {
        policy.subject.attributes = BTreeMap::new();
        policy.subject.email = "eve@acme.test".to_owned();
    });
    assert!(one.same_roles(&other));
    assert!(!one.same_views(&other));
    assert_eq!(other.notices().len(), 2);
}

#[test]
fn columns_narrow_grants_and_a_public_grant_does_not_widen_them() {
    let narrowed = |name: &'static str| {
        planned(move |policy| {
            let catalog = shop::catalog(150_000);
            let mut access = shop::all(&catalog.relations[&shop::relation_name(name)], &[Verb::Select]);
            access.verbs.get_mut(&Verb::Select).unwrap().remove(&shop::id(catalog_last(name)));
            policy.relations.insert(shop::relation_name(name), access);
        })
    };
    let notes = narrowed("public.notes");
    assert!(notes.permission_grants()[0].starts_with("GRANT SELECT (\"id\") ON TABLE \"public\".\"notes\""));
    assert!(matches!(notes.access(&shop::relation_name("public.notes")), Access::Direct(_)));
    // Everyone may read salaries: only a view narrows it.
    let salaries = narrowed("public.salaries");
    assert!(matches!(salaries.access(&shop::relation_name("public.salaries")), Access::Protected(_)));
}

fn catalog_last(name: &str) -> &'static str {
    if name == "public.notes" { "body" } else { "amount" }
}

#[test]
fn a_read_only_session_can_write_nothing() {
    let plan = planned(|policy| policy.limits.read_only = Some(true));
    let writes = |grant: &String| ["INSERT", "UPDATE", "DELETE"].iter().any(|word| grant.contains(word));
    assert!(!plan.permission_grants().iter().any(writes));
    assert!(!plan.view_owner_grants().iter().any(writes));
}

#[test]
fn tightening_is_told_from_widening() {
    let users = shop::relation_name("public.users");
    let notes = shop::relation_name("public.notes");
    let email = shop::id("email");
    let base = planned(|_| {});
    let stricter = planned(|policy| {
        let access = policy.relations.get_mut(&users).unwrap();
        access.masks.insert(email.clone(), EffectiveMask::new(Mask::Redact));
    });
    let unmasked = planned(|policy| policy.relations.get_mut(&users).unwrap().masks.clear());
    let fewer = planned(|policy| drop(policy.relations.remove(&notes)));
    let elsewhere = planned(|policy| {
        let rows = &mut policy.relations.get_mut(&shop::relation_name("public.tickets")).unwrap().rows;
        rows.insert(Verb::Select, shop::filter("public.tickets", "region = 'us'"));
    });
    let unfiltered = planned(|policy| {
        policy.relations.get_mut(&shop::relation_name("public.tickets")).unwrap().rows.clear();
    });
    for (from, to, tightens) in [
        (&base, &base, false),
        (&base, &stricter, true),
        (&stricter, &base, false),
        (&base, &unmasked, false),
        (&unmasked, &base, true),
        (&base, &fewer, true),
        (&fewer, &base, false),
        (&base, &elsewhere, true),
        (&base, &unfiltered, false),
        (&unfiltered, &base, true),
    ] {
        assert_eq!(from.tightens_to(to), tightens, "{:?}", from.permission_role());
    }
}

#[test]
fn a_filter_that_does_not_read_back_is_an_error_that_names_its_place() {
    let catalog = shop::catalog(150_000);
    let mut policy = shop::policy(&catalog);
    let name = shop::relation_name("public.tickets");
    let rows = &mut policy.relations.get_mut(&name).unwrap().rows;
    rows.insert(Verb::Select, shop::filter("public.tickets", "true) or (true"));
    let error = daam_enforce::plan(&policy, &catalog).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the row filter of `public.tickets` (from policies/support.yaml:3) is not valid"
    );
}

#[test]
fn long_names_still_make_names_postgresql_keeps() {
    let catalog = shop::catalog(150_000);
    let mut policy = shop::policy(&catalog);
    let long = format!("public.{}", "x".repeat(63));
    let column = "y".repeat(63);
    let table = shop::table(&long, &[("id", "integer"), (&column, "text")]);
    let mut access = shop::all(&table, &[Verb::Select, Verb::Update]);
    access.masks.insert(shop::id(&column), EffectiveMask::new(Mask::Redact));
    policy.relations = BTreeMap::from([(table.name.clone(), access)]);
    let mut catalog = catalog;
    catalog.relations.insert(table.name.clone(), table);
    let plan = daam_enforce::plan(&policy, &catalog).unwrap();
    let text = plan.install(&daam_enforce::HashKey::new([1; 32])).join("\n");
    for name in text.split("pg_temp\".\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(name.len() <= 63, "{name}");
    }
    assert!(text.contains("\"daam:"), "{text}");
}
