//! Within a ceiling or not, and that nothing comes out that is above it.

use super::*;
use crate::policy::{RequestTerms, Subjects};
use crate::subject::Subject;
use daam_catalog::{ColumnRef, DataType, RelationKind};
use proptest::prelude::*;
use std::time::Duration;

fn name(text: &str) -> RelationName {
    let (schema, name) = text.split_once('.').unwrap();
    RelationName::stored(schema, name).unwrap()
}

fn identifier(text: &str) -> Identifier {
    Identifier::stored(text).unwrap()
}

fn catalog() -> Catalog {
    let columns = [
        ("id", TypeClass::Integer),
        ("region", TypeClass::Text),
        ("ssn", TypeClass::Text),
        ("note", TypeClass::Text),
        ("total", TypeClass::Numeric),
    ];
    let columns: Vec<Column> = columns
        .iter()
        .map(|(name, class)| Column::new(identifier(name), DataType { sql: "text".into(), class: *class }))
        .collect();
    let table = |text: &str| Relation {
        columns: columns.clone(),
        ..Relation::new(name(text), RelationKind::Table, identifier("owner"))
    };
    let view = Relation {
        columns: vec![Column::new(identifier("a"), DataType { sql: "text".into(), class: TypeClass::Text })],
        reads: [ColumnRef { relation: name("public.people"), column: identifier("ssn") }].into(),
        ..Relation::new(name("public.list"), RelationKind::View, identifier("owner"))
    };
    let relations = [table("public.people"), table("public.orders"), table("hr.staff"), view];
    Catalog {
        relations: relations.into_iter().map(|relation| (relation.name.clone(), relation)).collect(),
        ..Catalog::default()
    }
}

fn grant(on: &str, verbs: &[Verb]) -> Grant {
    Grant {
        on: vec![RelationPattern::parse(on).unwrap()],
        allow: verbs.iter().copied().collect(),
        ..Grant::default()
    }
}

fn rule(on: &str, with: Mask) -> MaskRule {
    MaskRule { on: vec![ColumnPattern::parse(on).unwrap()], with, origin: Origin::default() }
}

/// Everything in public may be read, redacted where it is an ssn; the status of eu orders may be changed.
fn ceiling() -> Ceiling {
    let update = Grant {
        columns: BTreeMap::from([(Verb::Update, BTreeSet::from([identifier("note")]))]),
        rows: Some("region = 'eu'".into()),
        ..grant("public.orders", &[Verb::Update])
    };
    Ceiling {
        name: "ad-hoc".into(),
        description: String::new(),
        who: Subjects { everyone: true, ..Subjects::default() },
        grants: vec![grant("public.*", &[Verb::Select]), update],
        masks: vec![rule("*.*.ssn", Mask::Ssn)],
        terms: RequestTerms {
            approvers: BTreeSet::from(["dba".into()]),
            count: 1,
            max_duration: Duration::from_secs(60),
            reason_required: true,
        },
        origin: Origin::default(),
    }
}

fn asked(on: &str, verbs: &[Verb]) -> AskedRelation {
    AskedRelation {
        name: name(on),
        verbs: verbs.iter().copied().collect(),
        columns: BTreeMap::new(),
        masks: BTreeMap::new(),
        rows: Vec::new(),
    }
}

fn within(asked: AskedRelation) -> Result<Policy, Excess> {
    ceiling().within("r1", &[asked], &catalog(), &PolicySet::default())
}

fn effect(policies: Vec<Policy>) -> crate::EffectivePolicy {
    let active = policies.iter().map(|policy| policy.name.clone()).collect();
    let set = PolicySet { policies, ..PolicySet::default() };
    crate::effective(&set, &catalog(), &Subject::new("u1", "ann@acme.test"), &active)
}

#[test]
fn what_is_within_comes_with_the_ceilings_masks_and_rows() {
    let policy = within(asked("public.people", &[Verb::Select])).unwrap();
    let found = effect(vec![policy]);
    let access = &found.relations[&name("public.people")];
    assert_eq!(access.verbs[&Verb::Select].len(), 5);
    assert_eq!(access.masks[&identifier("ssn")].mask().preset(), "ssn");
    assert_eq!(found.relations.len(), 1, "nothing else of the ceiling is held");
    let update = AskedRelation {
        rows: vec![AskedRows { column: identifier("id"), any_of: ["7".into(), "8".into()].into() }],
        ..asked("public.orders", &[Verb::Update])
    };
    let found = effect(vec![within(update).unwrap()]);
    let access = &found.relations[&name("public.orders")];
    assert_eq!(access.verbs[&Verb::Update], BTreeSet::from([identifier("note")]));
    let rows = &access.rows[&Verb::Update].any[0].text;
    assert_eq!(rows, "(region = 'eu') AND (\"id\" IN (7, 8))");
}

#[test]
fn what_is_above_is_refused_whole_with_what_would_be_accepted() {
    let with_columns = |verb, column: &str, on, verbs: &[Verb]| AskedRelation {
        columns: BTreeMap::from([(verb, BTreeSet::from([identifier(column)]))]),
        ..asked(on, verbs)
    };
    let with_mask = |column: &str, mask: Mask, verbs: &[Verb]| AskedRelation {
        masks: BTreeMap::from([(identifier(column), mask)]),
        ..asked("public.orders", verbs)
    };
    let with_rows = |column: &str, value: &str| AskedRelation {
        rows: vec![AskedRows { column: identifier(column), any_of: [value.into()].into() }],
        ..asked("public.people", &[Verb::Select])
    };
    let select = [Verb::Select];
    for (asked, expected) in [
        (asked("hr.staff", &select), "`select` on `hr.staff` is above the ceiling"),
        (asked("hr.nothing", &select), "there is no relation `hr.nothing`"),
        (asked("public.people", &[]), "name at least one verb"),
        (asked("public.people", &[Verb::Delete]), "`delete` on `public.people` is above"),
        (asked("public.people", &[Verb::Select, Verb::Update]), "`update` on `public.people` is above"),
        (with_columns(Verb::Update, "total", "public.orders", &[Verb::Update]), "column `total`"),
        (with_columns(Verb::Select, "nowhere", "public.people", &select), "no such column"),
        (with_columns(Verb::Update, "note", "public.orders", &select), "narrows `update`"),
        (
            with_mask("ssn", Mask::Partial { prefix: 3, suffix: 3 }, &select),
            "shows more than the ceiling's `ssn`",
        ),
        (with_mask("note", Mask::Null, &[Verb::Update]), "not asked for reading"),
        (with_rows("ssn", "123"), "would tell what a mask hides"),
        (with_rows("total", "1"), "1 to 1000 values"),
        (with_rows("id", "1 OR true"), "1 to 1000 values"),
        (with_rows("region", "a\\"), "1 to 1000 values"),
        (with_rows("nowhere", "1"), "no such column"),
    ] {
        let refused = within(asked.clone()).unwrap_err().to_string();
        assert!(refused.contains(expected), "{asked:?}: {refused}");
    }
    let nothing = ceiling().within("r1", &[], &catalog(), &PolicySet::default());
    assert_eq!(nothing.unwrap_err(), Excess::Nothing);
    let twice = [asked("public.people", &select), asked("public.people", &select)];
    assert!(matches!(
        ceiling().within("r1", &twice, &catalog(), &PolicySet::default()),
        Err(Excess::Twice(_))
    ));
}

#[test]
fn a_stricter_mask_is_kept_and_a_quote_stays_inside_its_literal() {
    let strict = AskedRelation {
        masks: BTreeMap::from([(identifier("ssn"), Mask::Null), (identifier("note"), Mask::Redact)]),
        rows: vec![AskedRows { column: identifier("region"), any_of: ["') OR (true".into()].into() }],
        ..asked("public.people", &[Verb::Select])
    };
    let policy = within(strict).unwrap();
    assert_eq!(policy.grants[0].rows.as_deref(), Some("\"region\" IN (''') OR (true')"));
    let access = effect(vec![policy]).relations.remove(&name("public.people")).unwrap();
    assert_eq!(access.masks[&identifier("ssn")].mask(), &Mask::Null);
    assert_eq!(access.masks[&identifier("note")].mask(), &Mask::Redact);
}

#[test]
fn a_view_over_what_the_ceiling_masks_shows_nothing() {
    let policy = within(asked("public.list", &[Verb::Select])).unwrap();
    let found = effect(vec![policy]);
    assert!(found.relations.is_empty(), "{found:?}");
}

#[test]
fn what_is_held_elsewhere_is_not_masked_by_a_request() {
    let standing = Policy {
        name: "standing".into(),
        request: None,
        grants: vec![grant("public.people", &[Verb::Select])],
        masks: Vec::new(),
        ..ceiling().whole()
    };
    let request = within(asked("public.orders", &[Verb::Select])).unwrap();
    let found = effect(vec![standing, request]);
    assert!(found.relations[&name("public.people")].masks.is_empty());
    assert!(!found.relations[&name("public.orders")].masks.is_empty());
}

proptest! {
    #[test]
    fn nothing_comes_out_that_the_whole_ceiling_does_not_give(
        on in prop::sample::select(vec!["public.people", "public.orders", "hr.staff", "public.list"]),
        verbs in prop::collection::btree_set(prop::sample::select(Verb::ALL.to_vec()), 0..4),
        narrowed in prop::collection::btree_set(prop::sample::select(vec!["id", "note", "ssn", "total"]), 0..3),
    ) {
        let columns = narrowed.iter().map(|column| identifier(column)).collect::<BTreeSet<_>>();
        let narrowing = verbs.iter().copied().filter(|verb| verb.has_columns() && !columns.is_empty());
        let asked = AskedRelation {
            columns: narrowing.map(|verb| (verb, columns.clone())).collect(),
            verbs: verbs.clone(),
            ..asked(on, &[])
        };
        if let Ok(policy) = within(asked) {
            let (part, whole) = (effect(vec![policy]), effect(vec![ceiling().whole()]));
            for (relation, access) in &part.relations {
                let most = &whole.relations[relation];
                for (verb, columns) in &access.verbs {
                    prop_assert!(columns.is_subset(&most.verbs[verb]), "{relation} {verb:?}");
                    prop_assert_eq!(access.rows.get(verb), most.rows.get(verb));
                }
                for (column, mask) in &most.masks {
                    let held = access.verbs.get(&Verb::Select).is_some_and(|columns| columns.contains(column));
                    prop_assert!(!held || access.masks.get(column).is_some_and(|own| own.covers(mask)));
                }
            }
        }
    }
}
