//! One byte form per policy set, and nothing else is read.

use super::*;
use daam_catalog::Identifier;
use daam_catalog::pattern::{ColumnPattern, RelationPattern};
use daam_model::{
    AttributeType, Ceiling, EffectiveMask, Grant, JsonMask, Mask, MaskRule, Origin, Policy, RequestTerms,
    SessionLimits, Subjects, TruncateUnit, Verb,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

fn texts() -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set("[a-z@.]{1,6}", 0..3)
}

fn text_mask() -> impl Strategy<Value = Mask> {
    prop_oneof![
        Just(Mask::Null),
        Just(Mask::Redact),
        "[^\\x00]{0,5}".prop_map(Mask::Constant),
        Just(Mask::Hash),
        Just(Mask::CreditCard),
        Just(Mask::Ssn),
        Just(Mask::Phone),
        Just(Mask::Name),
        Just(Mask::Email),
        Just(Mask::Domain),
        (any::<u32>(), any::<u32>()).prop_map(|(prefix, suffix)| Mask::Partial { prefix, suffix }),
    ]
}

fn mask() -> impl Strategy<Value = Mask> {
    let paths = prop::collection::btree_set(prop::collection::vec("\\PC{0,4}", 1..3), 1..3);
    prop_oneof![
        text_mask(),
        prop::sample::select(TruncateUnit::ALL.to_vec()).prop_map(Mask::Truncate),
        (1_u64..1 << 53).prop_map(Mask::Bucket),
        (1_u64..1 << 53).prop_map(Mask::Round),
        (0_u8..=128).prop_map(Mask::Network),
        (paths, text_mask()).prop_map(|(paths, with)| {
            Mask::Json(JsonMask { paths, with: Box::new(EffectiveMask::new(with)) })
        }),
    ]
}

fn relation_pattern() -> impl Strategy<Value = RelationPattern> {
    prop::sample::select(vec!["public.users", "*.*", "a*.\"Odd \"\"name\"", "hr.x_*"])
        .prop_map(|text| RelationPattern::parse(text).unwrap())
}

fn column_pattern() -> impl Strategy<Value = ColumnPattern> {
    prop::sample::select(vec!["public.users.email", "*.*.*", "a.b.\"C\""])
        .prop_map(|text| ColumnPattern::parse(text).unwrap())
}

fn origin() -> impl Strategy<Value = Origin> {
    ("\\PC{0,6}", any::<u32>()).prop_map(|(file, line)| Origin { file, line })
}

fn verbs() -> impl Strategy<Value = BTreeSet<Verb>> {
    prop::collection::btree_set(prop::sample::select(Verb::ALL.to_vec()), 0..4)
}

fn grant() -> impl Strategy<Value = Grant> {
    let names =
        prop::collection::btree_set("[a-zA-Z é]{1,5}".prop_map(|t| Identifier::stored(t).unwrap()), 0..3);
    let columns = prop::collection::btree_map(prop::sample::select(Verb::ALL.to_vec()), names, 0..3);
    let filter = || prop::option::of("[a-z'=]{1,8}");
    let patterns = || prop::collection::vec(relation_pattern(), 0..3);
    (patterns(), verbs(), columns, filter(), filter(), patterns(), origin()).prop_map(
        |(on, allow, columns, rows, restrict, functions, origin)| Grant {
            on,
            allow,
            columns,
            rows,
            restrict,
            functions,
            origin,
        },
    )
}

fn duration() -> impl Strategy<Value = Duration> {
    (1_u64..1 << 40).prop_map(Duration::from_millis)
}

fn session() -> impl Strategy<Value = SessionLimits> {
    let time = || prop::option::of(duration());
    let flag = || prop::option::of(any::<bool>());
    (time(), time(), time(), flag(), flag()).prop_map(
        |(max_duration, idle_timeout, statement_timeout, read_only, procedural)| SessionLimits {
            max_duration,
            idle_timeout,
            statement_timeout,
            read_only,
            procedural,
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    let subjects = (any::<bool>(), texts(), texts()).prop_map(|(everyone, groups, users)| Subjects {
        everyone,
        groups,
        users,
    });
    let rule = (prop::collection::vec(column_pattern(), 0..3), mask(), origin())
        .prop_map(|(on, with, origin)| MaskRule { on, with, origin });
    let request = (prop::collection::btree_set("[a-z]{1,4}", 1..3), 1_u32..5, duration(), any::<bool>())
        .prop_map(|(approvers, count, max_duration, reason_required)| RequestTerms {
            approvers,
            count,
            max_duration,
            reason_required,
        });
    let lists = (prop::collection::vec(grant(), 0..3), prop::collection::vec(rule, 0..3));
    ("\\PC{0,9}", subjects, lists, session(), prop::option::of(request), origin()).prop_map(
        |(description, subjects, (grants, masks), session, request, origin)| Policy {
            name: String::new(),
            description,
            subjects,
            grants,
            masks,
            session,
            request,
            origin,
        },
    )
}

fn ceiling() -> impl Strategy<Value = Ceiling> {
    let terms = RequestTerms {
        approvers: BTreeSet::from(["dba".into()]),
        count: 2,
        max_duration: Duration::from_secs(3600),
        reason_required: true,
    };
    policy().prop_map(move |policy| Ceiling {
        name: String::new(),
        description: policy.description,
        who: policy.subjects,
        grants: policy
            .grants
            .into_iter()
            .map(|grant| Grant { restrict: None, functions: Vec::new(), ..grant })
            .collect(),
        masks: policy.masks,
        terms: policy.request.unwrap_or_else(|| terms.clone()),
        origin: policy.origin,
    })
}

/// Any policy set the compiler could write.
pub(crate) fn any_set() -> impl Strategy<Value = PolicySet> {
    let kind = prop::sample::select(vec![
        AttributeType::Text,
        AttributeType::Uuid,
        AttributeType::Integer,
        AttributeType::Boolean,
    ]);
    let attributes = prop::collection::btree_map("[a-z]{1,5}", kind, 0..3);
    let groups = prop::collection::btree_map("[a-z]{1,5}", texts(), 0..3);
    let policies = prop::collection::btree_map("[a-z-]{1,6}", policy(), 0..4);
    let ceilings = prop::collection::btree_map("[A-Z]{1,3}", ceiling(), 0..3);
    (attributes, groups, policies, ceilings).prop_map(|(attributes, groups, policies, ceilings)| PolicySet {
        database: "shop".into(),
        attributes,
        groups,
        policies: policies.into_iter().map(|(name, policy)| Policy { name, ..policy }).collect(),
        ceilings: ceilings.into_iter().map(|(name, ceiling)| Ceiling { name, ..ceiling }).collect(),
    })
}

proptest! {
    #[test]
    fn policies_survive_their_byte_form(set in any_set()) {
        let bytes = encode_content(&set);
        prop_assert_eq!(decode_content(&bytes).unwrap(), set);
    }

    #[test]
    fn the_order_in_which_policies_were_found_is_irrelevant(set in any_set()) {
        let mut turned = set.clone();
        turned.policies.reverse();
        turned.ceilings.reverse();
        prop_assert_eq!(encode_content(&turned), encode_content(&set));
        prop_assert_eq!(fingerprint(&turned), fingerprint(&set));
    }

    #[test]
    fn another_byte_is_another_policy_set_or_none(set in any_set(), at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let mut bytes = encode_content(&set);
        let index = at.index(bytes.len());
        bytes[index] ^= flip;
        if let Ok(other) = decode_content(&bytes) {
            prop_assert_ne!(other, set);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode_content(&bytes).is_err());
    }
}

fn minimal() -> PolicySet {
    PolicySet {
        database: "shop".into(),
        groups: BTreeMap::from([("dba".into(), BTreeSet::from(["ann@acme.test".into()]))]),
        policies: vec![Policy {
            name: "a".into(),
            description: String::new(),
            subjects: Subjects::default(),
            grants: vec![Grant { on: vec![RelationPattern::parse("public.t").unwrap()], ..Grant::default() }],
            masks: vec![MaskRule {
                on: vec![ColumnPattern::parse("public.t.c").unwrap()],
                with: Mask::Bucket(10),
                origin: Origin::default(),
            }],
            session: SessionLimits::default(),
            request: None,
            origin: Origin::default(),
        }],
        ..PolicySet::default()
    }
}

/// The minimal content with one piece of text replaced.
fn replaced(from: &str, to: &str) -> Result<PolicySet, ContentError> {
    let text = String::from_utf8(encode_content(&minimal())).unwrap();
    assert!(text.contains(from), "`{from}` not in {text}");
    decode_content(text.replacen(from, to, 1).as_bytes())
}

#[test]
fn a_fingerprint_follows_what_is_said_not_how() {
    let mut said = minimal();
    let grant =
        |pattern: &str| Grant { on: vec![RelationPattern::parse(pattern).unwrap()], ..Grant::default() };
    said.policies[0].grants.push(grant("hr.*"));
    let mut moved = said.clone();
    moved.policies[0].description = "rewritten".into();
    moved.policies[0].grants.reverse();
    moved.policies[0].grants[0].origin = Origin { file: "elsewhere.yaml".into(), line: 9 };
    moved.policies[0].masks[0].origin = Origin { file: "elsewhere.yaml".into(), line: 12 };
    assert_ne!(encode_content(&moved), encode_content(&said));
    assert_eq!(fingerprint(&moved), fingerprint(&said));
    moved.policies[0].masks[0].with = Mask::Bucket(11);
    assert_ne!(fingerprint(&moved), fingerprint(&said));
}

#[test]
fn other_spellings_of_the_same_policies_are_refused() {
    for (from, to) in [
        ("{\"version\":1,", "{\"version\":1, "),
        ("{\"version\":1,\"database\":\"shop\",", "{\"database\":\"shop\",\"version\":1,"),
        ("\"shop\"", "\"sho\\u0070\""),
        ("public.t\"", "PUBLIC.t\""),
        ("[\"ann@acme.test\"]", "[\"ann@acme.test\",\"ann@acme.test\"]"),
        (
            "\"attributes\":[]",
            "\"attributes\":[{\"name\":\"a\",\"type\":\"text\"},{\"name\":\"a\",\"type\":\"uuid\"}]",
        ),
    ] {
        assert!(matches!(replaced(from, to), Err(ContentError::NotCanonical)), "{to}");
    }
}

#[test]
fn unknown_and_repeated_fields_are_refused() {
    for (from, to) in [
        ("\"version\":1,", "\"version\":1,\"extra\":0,"),
        ("\"version\":1,", "\"version\":1,\"version\":1,"),
        ("\"everyone\":false", "\"everyone\":false,\"everyone\":true"),
        ("\"rows\":null", "\"rows\":null,\"where\":\"true\""),
        ("{\"bucket\":10}", "{\"bucket\":10,\"round\":10}"),
        ("{\"bucket\":10}", "\"unknown\""),
        ("\"line\":0", "\"line\":0.0"),
    ] {
        assert!(matches!(replaced(from, to), Err(ContentError::Shape(_))), "{to}");
    }
}

#[test]
fn values_are_checked_again() {
    assert!(matches!(replaced("\"version\":1", "\"version\":2"), Err(ContentError::Version(2))));
    assert!(matches!(replaced("public.t\"", "pg_catalog.t\""), Err(ContentError::Pattern { .. })));
    assert!(matches!(replaced("public.t.c", "public.c"), Err(ContentError::Pattern { .. })));
    for (from, to) in [
        ("\"database\":\"shop\"", "\"database\":\"\""),
        ("ann@acme.test", "Ann@acme.test"),
        ("\"bucket\":10", "\"bucket\":0"),
        ("\"bucket\":10", "\"bucket\":9007199254740992"),
        ("{\"bucket\":10}", "{\"network\":129}"),
        ("{\"bucket\":10}", "{\"json\":{\"paths\":[],\"with\":\"null\"}}"),
        (
            "{\"bucket\":10}",
            "{\"json\":{\"paths\":[[\"a\"]],\"with\":{\"json\":{\"paths\":[[\"a\"]],\"with\":\"null\"}}}}",
        ),
        ("\"rows\":null", "\"rows\":\" \""),
        ("\"idle_timeout_ms\":null", "\"idle_timeout_ms\":0"),
        (
            "\"request\":null",
            "\"request\":{\"approvers\":[\"dba\"],\"count\":0,\"max_duration_ms\":1,\"reason_required\":true}",
        ),
    ] {
        assert!(matches!(replaced(from, to), Err(ContentError::Value { .. })), "{to}");
    }
}

fn with_ceiling() -> PolicySet {
    let mut set = minimal();
    let whole = set.policies[0].clone();
    set.ceilings.push(Ceiling {
        name: "ad-hoc".into(),
        description: String::new(),
        who: Subjects { everyone: true, ..Subjects::default() },
        grants: whole.grants,
        masks: whole.masks,
        terms: RequestTerms {
            approvers: BTreeSet::from(["dba".into()]),
            count: 1,
            max_duration: Duration::from_secs(3600),
            reason_required: true,
        },
        origin: Origin::default(),
    });
    set
}

#[test]
fn without_a_ceiling_the_bytes_are_those_older_readers_know() {
    let text = String::from_utf8(encode_content(&minimal())).unwrap();
    assert!(!text.contains("ceilings"), "{text}");
    assert!(features(&minimal()).is_empty());
    // Written out although empty is another spelling.
    assert!(matches!(replaced("}]}\n", "}],\"ceilings\":[]}\n"), Err(ContentError::NotCanonical)));
}

#[test]
fn a_ceiling_is_a_feature_a_reader_has_to_have() {
    assert_eq!(features(&with_ceiling()), ["request-ceiling"]);
    assert_ne!(fingerprint(&with_ceiling()), fingerprint(&minimal()));
    let mut moved = with_ceiling();
    moved.ceilings[0].description = "rewritten".into();
    moved.ceilings[0].origin = Origin { file: "elsewhere.yaml".into(), line: 3 };
    assert_eq!(fingerprint(&moved), fingerprint(&with_ceiling()));
    moved.ceilings[0].terms.count = 2;
    assert_ne!(fingerprint(&moved), fingerprint(&with_ceiling()));
}

#[test]
fn a_ceiling_is_checked_as_strictly_as_a_policy() {
    let mut called = with_ceiling();
    called.ceilings[0].grants[0].functions = vec![RelationPattern::parse("public.f").unwrap()];
    let mut restricting = with_ceiling();
    restricting.ceilings[0].grants[0].restrict = Some("true".into());
    let mut undecided = with_ceiling();
    undecided.ceilings[0].terms.approvers.clear();
    for set in [called, restricting, undecided] {
        assert!(matches!(decode_content(&encode_content(&set)), Err(ContentError::Value { .. })));
    }
    let mut named_alike = with_ceiling();
    named_alike.ceilings[0].name = "a".into();
    let found = decode_content(&encode_content(&named_alike));
    assert!(matches!(found, Err(ContentError::Duplicate(name)) if name == "a"));
}

#[test]
fn two_policies_of_one_name_are_refused() {
    let mut set = minimal();
    set.policies.push(set.policies[0].clone());
    assert!(
        matches!(decode_content(&encode_content(&set)), Err(ContentError::Duplicate(name)) if name == "a")
    );
}
