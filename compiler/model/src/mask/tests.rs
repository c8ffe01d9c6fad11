//! The laws of the mask lattice.

use super::*;
use proptest::prelude::*;

const CLASSES: [TypeClass; 19] = [
    TypeClass::Text,
    TypeClass::Uuid,
    TypeClass::Integer,
    TypeClass::Numeric,
    TypeClass::Float,
    TypeClass::Boolean,
    TypeClass::Date,
    TypeClass::Timestamp,
    TypeClass::TimestampTz,
    TypeClass::Time,
    TypeClass::Inet,
    TypeClass::Cidr,
    TypeClass::Json,
    TypeClass::Jsonb,
    TypeClass::Bytea,
    TypeClass::Array,
    TypeClass::Enum,
    TypeClass::Domain,
    TypeClass::Other,
];

fn text_preset() -> impl Strategy<Value = Mask> {
    prop_oneof![
        Just(Mask::Null),
        Just(Mask::Redact),
        "[0-9a-c]{0,2}".prop_map(Mask::Constant),
        Just(Mask::Hash),
        Just(Mask::CreditCard),
        Just(Mask::Ssn),
        Just(Mask::Phone),
        Just(Mask::Name),
        Just(Mask::Email),
        Just(Mask::Domain),
        (0_u32..4, 0_u32..4).prop_map(|(prefix, suffix)| Mask::Partial { prefix, suffix }),
    ]
}

fn json_preset() -> impl Strategy<Value = Mask> {
    let paths = prop::collection::btree_set(prop::collection::vec("[ab]", 1..3), 1..4);
    (paths, text_preset())
        .prop_map(|(paths, with)| Mask::Json(JsonMask { paths, with: Box::new(EffectiveMask::new(with)) }))
}

/// Every preset, so that conflicts and nested masks are met often.
pub(crate) fn any_mask() -> impl Strategy<Value = Mask> {
    prop_oneof![
        text_preset(),
        json_preset(),
        prop::sample::select(TruncateUnit::ALL.to_vec()).prop_map(Mask::Truncate),
        (1_u64..50).prop_map(Mask::Bucket),
        (1_u64..50).prop_map(Mask::Round),
        (0_u8..=128).prop_map(Mask::Network),
    ]
}

/// Any element of the lattice: what some rules join to.
fn any_effective() -> impl Strategy<Value = EffectiveMask> {
    prop::collection::vec(any_mask(), 1..4)
        .prop_map(|masks| masks.into_iter().map(EffectiveMask::new).reduce(|a, b| a.join(&b)).unwrap())
}

fn any_class() -> impl Strategy<Value = TypeClass> {
    prop::sample::select(CLASSES.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn joining_is_commutative(a in any_effective(), b in any_effective()) {
        prop_assert_eq!(a.join(&b), b.join(&a));
    }

    #[test]
    fn joining_is_associative(a in any_effective(), b in any_effective(), c in any_effective()) {
        prop_assert_eq!(a.join(&b).join(&c), a.join(&b.join(&c)));
    }

    #[test]
    fn joining_is_idempotent(a in any_effective()) {
        prop_assert_eq!(a.join(&a), a);
    }

    #[test]
    fn a_join_is_never_weaker_than_an_input(a in any_effective(), b in any_effective()) {
        let joined = a.join(&b);
        prop_assert!(joined.covers(&a) && joined.covers(&b));
        prop_assert!(joined.rank() >= a.rank().max(b.rank()));
    }

    #[test]
    fn strictness_is_an_order(a in any_effective(), b in any_effective(), c in any_effective()) {
        prop_assert!(a.covers(&a));
        prop_assert!(!(a.covers(&b) && b.covers(&a)) || a == b);
        prop_assert!(!(a.covers(&b) && b.covers(&c)) || a.covers(&c));
    }

    #[test]
    fn what_is_applied_always_fits(a in any_effective(), class in any_class()) {
        prop_assert!(a.fit(class).fits(class));
        prop_assert!(a.derived(class).fit(class).fits(class));
    }

    #[test]
    fn a_further_rule_never_makes_a_column_show_more(
        rules in prop::collection::vec(any_mask(), 1..4), more in any_mask(), class in any_class()
    ) {
        let contribution = |mask: &Mask| EffectiveMask::new(mask.clone()).fitted(class);
        let before = rules.iter().map(contribution).reduce(|a, b| a.join(&b)).unwrap();
        let after = before.join(&contribution(&more));
        prop_assert!(shows_no_more(&after.fit(class), &before.fit(class)), "{:?} then {:?}", before, after);
    }

    #[test]
    fn a_fitted_rule_is_at_least_as_strict_as_written(mask in any_mask(), class in any_class()) {
        let written = EffectiveMask::new(mask);
        prop_assert!(written.fitted(class).covers(&written));
    }
}

/// The published table, independently of the join: a constant and NULL show nothing, otherwise rank decides.
fn shows_no_more(after: &Mask, before: &Mask) -> bool {
    let nothing = |mask: &Mask| matches!(mask, Mask::Null | Mask::Redact | Mask::Constant(_));
    nothing(after)
        || (!nothing(before)
            && match (after, before) {
                (Mask::Truncate(a), Mask::Truncate(b)) => a >= b,
                (Mask::Bucket(a), Mask::Bucket(b)) | (Mask::Round(a), Mask::Round(b)) => a >= b,
                (Mask::Network(a), Mask::Network(b)) => a <= b,
                (Mask::Partial { prefix: p, suffix: s }, Mask::Partial { prefix: q, suffix: t }) => {
                    p <= q && s <= t
                }
                (Mask::Json(a), Mask::Json(b)) => {
                    a.paths.is_superset(&b.paths) && a.with.rank() >= b.with.rank()
                }
                _ => after.rank() >= before.rank(),
            })
}

#[test]
fn ranks_follow_the_published_table() {
    let table = [
        (Mask::Null, 100),
        (Mask::Redact, 90),
        (Mask::Constant("x".into()), 85),
        (Mask::Hash, 70),
        (Mask::CreditCard, 60),
        (Mask::Ssn, 59),
        (Mask::Phone, 58),
        (Mask::Name, 57),
        (Mask::Email, 56),
        (Mask::Domain, 55),
        (Mask::Truncate(TruncateUnit::Year), 50),
        (Mask::Bucket(10), 50),
        (Mask::Round(10), 50),
        (Mask::Network(24), 50),
        (json(&["a"], Mask::Null), 45),
        (Mask::Partial { prefix: 1, suffix: 1 }, 40),
    ];
    for (mask, rank) in table {
        assert_eq!(mask.rank(), rank, "{mask}");
        assert_eq!(EffectiveMask::new(mask.clone()).rank(), rank, "{mask}");
    }
}

#[test]
fn different_presets_of_one_rank_conflict_and_stay_below_every_higher_rank() {
    let conflict = of(Mask::Bucket(10)).join(&of(Mask::Round(10)));
    assert!(conflict.is_conflict());
    assert_eq!((conflict.rank(), conflict.mask()), (50, &Mask::Redact));
    assert_eq!(conflict.join(&of(Mask::Bucket(99))), conflict);
    assert_eq!(conflict.join(&of(Mask::Hash)), of(Mask::Hash));
    assert_eq!(conflict.fit(TypeClass::Integer), Mask::Null);
    assert!(!of(Mask::Redact).is_conflict());
}

#[test]
fn equal_presets_keep_the_parameters_that_show_less() {
    let cases = [
        (
            Mask::Truncate(TruncateUnit::Day),
            Mask::Truncate(TruncateUnit::Year),
            Mask::Truncate(TruncateUnit::Year),
        ),
        (Mask::Bucket(10), Mask::Bucket(100), Mask::Bucket(100)),
        (Mask::Network(24), Mask::Network(16), Mask::Network(16)),
        (
            Mask::Partial { prefix: 1, suffix: 4 },
            Mask::Partial { prefix: 3, suffix: 2 },
            Mask::Partial { prefix: 1, suffix: 2 },
        ),
        (json(&["a"], Mask::Email), json(&["b"], Mask::Hash), json(&["a", "b"], Mask::Hash)),
    ];
    for (a, b, expected) in cases {
        assert_eq!(of(a).join(&of(b)), of(expected));
    }
    let constants = of(Mask::Constant("a".into())).join(&of(Mask::Constant("b".into())));
    assert!(constants.is_conflict());
}

#[test]
fn presets_fit_the_types_of_the_published_table() {
    for class in CLASSES {
        let text = class == TypeClass::Text;
        assert_eq!(Mask::Email.fits(class), text);
        assert_eq!(Mask::Redact.fits(class), text);
        assert_eq!(Mask::Hash.fits(class), text || class == TypeClass::Uuid);
        assert!(Mask::Null.fits(class));
        if !text {
            assert_eq!(of(Mask::Redact).fit(class), Mask::Null);
        }
        if !matches!(class, TypeClass::Json | TypeClass::Jsonb) {
            assert_eq!(of(json(&["a"], Mask::Null)).fit(class), Mask::Null);
        }
    }
    assert!(Mask::Truncate(TruncateUnit::Hour).fits(TypeClass::TimestampTz));
    assert!(Mask::Bucket(10).fits(TypeClass::Numeric));
    assert!(Mask::Network(24).fits(TypeClass::Inet));
}

#[test]
fn a_preset_that_would_show_the_whole_value_does_not_fit() {
    assert!(!Mask::Truncate(TruncateUnit::Day).fits(TypeClass::Date));
    assert!(Mask::Truncate(TruncateUnit::Month).fits(TypeClass::Date));
    assert!(!Mask::Bucket(1).fits(TypeClass::Integer));
    assert!(Mask::Bucket(1).fits(TypeClass::Numeric));
    assert!(!Mask::Round(0).fits(TypeClass::Numeric));
    assert!(!Mask::Network(128).fits(TypeClass::Inet));
    assert!(!json(&[], Mask::Null).fits(TypeClass::Jsonb));
}

#[test]
fn a_rule_that_does_not_fit_hides_even_next_to_a_stronger_one_that_does() {
    let class = TypeClass::Numeric;
    let partial = of(Mask::Partial { prefix: 1, suffix: 1 }).fitted(class);
    let bucket = of(Mask::Bucket(10)).fitted(class);
    assert_eq!(partial.join(&bucket).fit(class), Mask::Null);
}

#[test]
fn constants_fit_only_where_they_are_surely_values() {
    let constant = |text: &str| Mask::Constant(text.into());
    let fitting = [
        ("anything", TypeClass::Text),
        ("-7", TypeClass::Integer),
        ("3.14", TypeClass::Numeric),
        ("true", TypeClass::Boolean),
        ("0000000a-0000-0000-0000-000000000000", TypeClass::Uuid),
        ("1970-01-01", TypeClass::Date),
        ("1970-01-01 00:00:00", TypeClass::TimestampTz),
        ("{}", TypeClass::Jsonb),
        ("\"hidden\"", TypeClass::Json),
    ];
    for (text, class) in fitting {
        assert!(constant(text).fits(class), "{text}");
    }
    let others = [
        ("x", TypeClass::Integer),
        ("1e5", TypeClass::Numeric),
        ("yes", TypeClass::Boolean),
        ("1970-13-01", TypeClass::Date),
        ("today", TypeClass::Timestamp),
        ("{\"a\":", TypeClass::Jsonb),
        ("007", TypeClass::Json),
        ("happy", TypeClass::Enum),
    ];
    for (text, class) in others {
        assert_eq!(of(constant(text)).fit(class), Mask::Null, "{text}");
    }
}

#[test]
fn a_derived_column_inherits_what_fits_and_is_otherwise_hidden() {
    assert_eq!(of(Mask::Email).derived(TypeClass::Text).mask(), &Mask::Email);
    assert_eq!(of(Mask::Email).derived(TypeClass::Integer).fit(TypeClass::Integer), Mask::Null);
    // Cents computed from euros, bucketed by the same number, would show the euros.
    assert_eq!(of(Mask::Bucket(100)).derived(TypeClass::Numeric).fit(TypeClass::Numeric), Mask::Null);
    assert_eq!(of(Mask::Network(24)).derived(TypeClass::Text).fit(TypeClass::Text), Mask::Redact);
}

#[test]
fn masks_read_as_policies_write_them() {
    assert_eq!(Mask::CreditCard.to_string(), "credit_card");
    assert_eq!(Mask::Truncate(TruncateUnit::Year).to_string(), "{truncate: year}");
    assert_eq!(json(&["a", "b"], Mask::Email).to_string(), "{json: {paths: [a, b], with: email}}");
}

fn of(mask: Mask) -> EffectiveMask {
    EffectiveMask::new(mask)
}

fn json(paths: &[&str], with: Mask) -> Mask {
    let paths = paths.iter().map(|path| vec![(*path).to_owned()]).collect();
    Mask::Json(JsonMask { paths, with: Box::new(of(with)) })
}
