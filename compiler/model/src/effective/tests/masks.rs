//! Masks and what inherits them.

use super::*;
use crate::mask::{JsonMask, Mask, TruncateUnit};
use daam_catalog::{RelationKind, TypeClass};

fn mask(e: &EffectivePolicy, relation: &str, column: &str) -> Option<Mask> {
    e.relations[&name(relation)].masks.get(&identifier(column)).map(|mask| mask.mask().clone())
}

#[test]
fn masks_of_every_applicable_policy_are_joined() {
    let a =
        policy("a").grant(grant("public.customers", &[Verb::Select])).mask("public.*.email", Mask::Domain);
    let b = policy("b").mask("*.*.email", Mask::Hash);
    let other = policy("c").for_groups(&["dba"]).mask("*.*.*", Mask::Null);
    let e = resolve(&set([a, b, other]), &shop());
    assert_eq!(mask(&e, "public.customers", "email"), Some(Mask::Hash));
    assert_eq!(mask(&e, "public.customers", "phone"), None);
    let origins = &e.relations[&name("public.customers")].mask_origins[&identifier("email")];
    assert_eq!(origins.len(), 2);
}

#[test]
fn a_mask_holds_for_columns_that_are_not_granted() {
    let grant = grant("public.customers", &[Verb::Select]).columns(Verb::Select, &["id"]);
    let e = resolve(&set([policy("a").grant(grant).mask("*.*.email", Mask::Email)]), &shop());
    assert_eq!(mask(&e, "public.customers", "email"), Some(Mask::Email));
}

#[test]
fn generated_columns_inherit_through_each_other() {
    let a = policy("a").grant(grant("*.customers", &[Verb::Select])).mask("*.customers.email", Mask::Email);
    let e = resolve(&set([a]), &shop());
    assert_eq!(mask(&e, "public.customers", "email_lower"), Some(Mask::Email));
    assert_eq!(mask(&e, "public.customers", "email_length"), Some(Mask::Null));
    let origins = &e.relations[&name("public.customers")].mask_origins[&identifier("email_length")];
    assert_eq!(origins, &BTreeSet::from([origin("a", 100)]));
}

#[test]
fn partitions_inherit_from_their_parents() {
    let a =
        policy("a").grant(grant("public.orders_*", &[Verb::Select])).mask("*.orders.total", Mask::Bucket(10));
    let e = resolve(&set([a]), &shop());
    for child in ["public.orders_1", "public.orders_2", "public.orders_1a"] {
        assert_eq!(mask(&e, child, "total"), Some(Mask::Bucket(10)));
    }
}

#[test]
fn a_parent_shows_its_partitions_masked_but_their_siblings_stay_clear() {
    let a = policy("a").grant(grant("public.orders*", &[Verb::Select])).mask("*.orders_1a.total", Mask::Null);
    let e = resolve(&set([a]), &shop());
    for masked in ["public.orders", "public.orders_1", "public.orders_1a"] {
        assert_eq!(mask(&e, masked, "total"), Some(Mask::Null), "{masked}");
    }
    assert_eq!(mask(&e, "public.orders_2", "total"), None);
}

#[test]
fn a_preset_that_does_not_fit_hides_the_column() {
    let a = policy("a").grant(grant("public.orders", &[Verb::Select])).mask("*.*.total", Mask::Email);
    let b = policy("b").mask("*.*.customer", Mask::Truncate(TruncateUnit::Year));
    let e = resolve(&set([a, b]), &shop());
    assert_eq!(mask(&e, "public.orders", "total"), Some(Mask::Null));
    assert_eq!(mask(&e, "public.orders", "customer"), Some(Mask::Null));
}

#[test]
fn parents_that_name_each_other_do_not_hang_the_resolution() {
    let mut a = relation("public.a", RelationKind::Table, vec![column("x", TypeClass::Text)]);
    let mut b = relation("public.b", RelationKind::Table, vec![column("x", TypeClass::Text)]);
    a.parents = vec![name("public.b"), name("public.a"), name("public.gone")];
    b.parents = vec![name("public.a")];
    let set =
        set([policy("a").grant(grant("*.*", &[Verb::Select]).rows("x = 'a'")).mask("*.a.x", Mask::Hash)]);
    let e = resolve(&set, &catalog(vec![a, b]));
    assert_eq!(mask(&e, "public.b", "x"), Some(Mask::Hash));
}

#[test]
fn a_column_computed_from_several_masked_ones_is_as_hidden_as_the_most_hidden() {
    use TypeClass::{Array, Domain, Jsonb, Text};
    let people = vec![
        column("first", Text),
        column("last", Text),
        column("card", Text),
        column("form", Jsonb),
        generated("shown", Text, &["first", "last"]),
        generated("initials", Domain, &["shown"]),
        generated("parts", Array, &["shown"]),
        generated("reversed", Text, &["card"]),
        generated("copy", Jsonb, &["form"]),
    ];
    let catalog = catalog(vec![relation("public.people", RelationKind::Table, people)]);
    let json = JsonMask {
        paths: BTreeSet::from([vec!["a".to_owned()]]),
        with: Box::new(EffectiveMask::new(Mask::Redact)),
    };
    let a = policy("a")
        .grant(grant("public.people", &[Verb::Select]))
        .mask("*.people.first", Mask::Name)
        .mask("*.people.last", Mask::Hash)
        .mask("*.people.card", Mask::CreditCard)
        .mask("*.people.form", Mask::Json(json));
    let e = resolve(&set([a]), &catalog);
    let found = |column: &str| mask(&e, "public.people", column);
    assert_eq!(found("shown"), Some(Mask::Hash));
    // What the preset cannot be made for is not shown at all.
    for column in ["initials", "parts"] {
        assert!(matches!(found(column), Some(Mask::Hash | Mask::Redact | Mask::Null)), "{column}");
    }
    // The last digits of a reversed number are its first ones; the paths of a copy are not those of the original.
    assert_eq!(found("reversed"), Some(Mask::Redact));
    assert!(matches!(found("copy"), Some(Mask::Redact | Mask::Null)), "{:?}", found("copy"));
}

#[test]
fn a_child_of_two_parents_has_the_masks_of_both() {
    let columns = || vec![column("id", TypeClass::Integer), column("email", TypeClass::Text)];
    let parent = |name: &str| relation(name, RelationKind::Table, columns());
    let mut child = relation("public.child", RelationKind::Table, columns());
    child.parents = vec![name("public.one"), name("public.two")];
    child.columns.push(generated("lower", TypeClass::Text, &["email"]));
    let catalog = catalog(vec![parent("public.one"), parent("public.two"), child]);
    let a = policy("a")
        .grant(grant("public.*", &[Verb::Select]))
        .mask("public.one.email", Mask::Email)
        .mask("public.two.email", Mask::Hash);
    let e = resolve(&set([a]), &catalog);
    for column in ["email", "lower"] {
        assert_eq!(mask(&e, "public.child", column), Some(Mask::Hash), "{column}");
    }
}
