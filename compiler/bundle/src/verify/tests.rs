//! Acceptance by published vectors and by properties.

mod cases;
mod fixture;
mod vectors;

use super::*;
use crate::build::UnsignedBundle;
use crate::freshness::{Attested, Freshness, Standing, VerifiedFreshness, verify_freshness};
use crate::refused::RefusalKind;
use crate::trust::{SignedTrust, TrustChain};
use fixture::*;
use proptest::prelude::*;
use std::sync::LazyLock;

#[test]
fn a_bundle_travels_from_policies_to_policies() {
    let bytes = signed(input(5), &[KEY_A]);
    let bundle = verify(&bytes, &trust(), "shop", None, NOW).unwrap().into_bundle();
    assert_eq!(bundle.policies(), &policies("shop"));
    assert_eq!(bundle.bytes(), bytes);
    assert_eq!(bundle.statement().serial, 5);
    assert_eq!(bundle.signers().len(), 1);
    assert_eq!(bundle.head().time_floor, bundle.statement().issued_at);
}

#[test]
fn equal_input_gives_equal_bytes() {
    assert_eq!(signed(input(5), &[KEY_A]), signed(input(5), &[KEY_A]));
}

#[test]
fn signing_again_replaces_and_signing_with_another_key_adds() {
    let mut bundle = UnsignedBundle::from_bytes(&signed(input(5), &[KEY_A])).unwrap();
    bundle.sign(&key(KEY_A)).unwrap();
    assert_eq!(bundle.claimed_signers().count(), 1);
    bundle.sign(&key(KEY_B)).unwrap();
    assert_eq!(bundle.claimed_signers().count(), 2);
    let accepted = verify(&bundle.to_bytes(), &trust_of(&[KEY_A, KEY_B], 2), "shop", None, NOW);
    assert_eq!(accepted.unwrap().into_bundle().signers().len(), 2);
}

#[test]
fn a_signature_made_elsewhere_must_verify_before_it_is_attached() {
    let mut bundle = build(&policies("shop"), input(5)).unwrap();
    let signature = key(KEY_A).sign(&bundle.signing_input());
    assert!(bundle.attach(&key(KEY_B).public(), &signature).is_err());
    bundle.attach(&key(KEY_A).public(), &signature).unwrap();
    assert!(verify(&bundle.to_bytes(), &trust(), "shop", None, NOW).is_ok());
}

#[test]
fn what_no_reader_would_accept_is_not_built() {
    let refused = |change: &dyn Fn(&mut StatementInput)| {
        let mut input = input(5);
        change(&mut input);
        build(&policies("shop"), input).unwrap_err().to_string()
    };
    assert!(refused(&|input| input.requires = vec!["time-travel".into()]).contains("`time-travel`"));
    assert!(refused(&|input| input.source.uri = "x".repeat(5000)).contains("at most 4096"));
    let cases: [&dyn Fn(&mut StatementInput); 5] = [
        &|input| input.serial = 0,
        &|input| input.expires_at = input.not_before,
        &|input| input.min_agent = "latest".into(),
        &|input| input.lock_sha256 = "abc".into(),
        &|input| input.rollback_of = Some(5),
    ];
    for change in cases {
        assert_eq!(refused(change), "the statement is not acceptable");
    }
}

#[test]
fn the_stored_bundle_is_verified_again_at_start() {
    let bytes = signed(input(5), &[KEY_A]);
    let head = accept(&bytes, None);
    assert_eq!(reverify(&bytes, &trust(), "shop", &head, NOW).unwrap().bytes(), bytes);
    let newer = signed(input(6), &[KEY_A]);
    let refused = reverify(&newer, &trust(), "shop", &head, NOW).unwrap_err();
    assert_eq!((refused.reason(), refused.kind()), ("not-the-head", RefusalKind::Rollback));
    let revoked = reverify(&bytes, &trust_of(&[KEY_B], 1), "shop", &head, NOW).unwrap_err();
    assert_eq!(revoked.kind(), RefusalKind::Signature);
}

#[test]
fn the_proven_time_only_rises() {
    let first = accept(&signed(input(5), &[KEY_A]), None);
    let mut older = input(6);
    older.issued_at -= 500;
    let second = accept(&signed(older, &[KEY_A]), Some(&first));
    assert_eq!(second.time_floor, first.time_floor);
    assert_eq!(Head::from_json(&second.to_json()).unwrap(), second);
}

#[test]
fn a_damaged_head_is_refused() {
    let head = accept(&signed(input(5), &[KEY_A]), None);
    let text = head.to_json();
    for damaged in [
        text.replace("\"epoch\"", "\"epok\""),
        text.replace(&head.statement_sha256, "00"),
        text.replace(&head.time_floor.to_string(), "-1"),
        String::new(),
    ] {
        assert!(Head::from_json(&damaged).is_err(), "{damaged}");
    }
}

#[test]
fn refusals_say_what_would_be_accepted() {
    let bytes = signed(input(5), &[KEY_A]);
    let other = verify(&bytes, &trust(), "hr", None, NOW).unwrap_err();
    assert_eq!(other.to_string(), "the bundle is for the database `shop`; only `hr` is accepted here");
    let threshold = verify(&bytes, &trust_of(&[KEY_A, KEY_B], 2), "shop", None, NOW).unwrap_err();
    assert_eq!(threshold.to_string(), "1 trusted key(s) signed the bundle; 2 of 2 are needed");
}

/// Signing is slow without optimisation, so the properties share one bundle.
fn plain_verified() -> &'static VerifiedBundle {
    static BUNDLE: LazyLock<VerifiedBundle> = LazyLock::new(|| {
        verify(&signed(input(5), &[KEY_A]), &trust(), "shop", None, NOW).unwrap().into_bundle()
    });
    &BUNDLE
}

fn plain_bytes() -> &'static [u8] {
    plain_verified().bytes()
}

fn plain_trust() -> &'static TrustFile {
    static TRUST: LazyLock<TrustFile> = LazyLock::new(trust);
    &TRUST
}

/// A pinned trust file with one root key, and its signed successor.
fn plain_rotation() -> &'static (TrustChain, String) {
    static ROTATION: LazyLock<(TrustChain, String)> = LazyLock::new(|| {
        let first =
            trust_with(plain_trust(), |draft| drop(draft.roles.insert(Role::Root, role(&[KEY_A], 1))));
        let mut next = SignedTrust::new(first.with_epoch("shop", 2).unwrap());
        next.sign(&key(KEY_A)).unwrap();
        (TrustChain::of(first), next.to_json())
    });
    &ROTATION
}

fn plain_freshness() -> &'static (TrustFile, String) {
    static FRESHNESS: LazyLock<(TrustFile, String)> = LazyLock::new(|| {
        let trust =
            trust_with(plain_trust(), |draft| drop(draft.roles.insert(Role::Freshness, role(&[KEY_B], 1))));
        let said = Freshness::about("acme", "shop", plain_verified().head(), NOW, 3600);
        (trust, said.sign(&key(KEY_B)).unwrap())
    });
    &FRESHNESS
}

#[test]
fn what_an_agent_may_do_shrinks_step_by_step_and_never_grows_by_silence() {
    let (trust, envelope) = plain_freshness();
    let head = plain_verified().head();
    let end = plain_verified().statement().expires_at;
    let said = verify_freshness(envelope.as_bytes(), trust, "shop", Some(head), NOW).unwrap();
    let standing = |required, before, said: Option<&VerifiedFreshness>, now| {
        Standing::of(end, &Attested { required, before, said: said.cloned() }, now)
    };
    assert_eq!(standing(true, false, Some(&said), NOW), Standing::Fresh);
    assert_eq!(standing(true, true, Some(&said), NOW + 3600), Standing::Stale);
    assert_eq!(standing(true, true, None, NOW), Standing::Stale);
    assert_eq!(standing(true, false, None, NOW), Standing::Unknown);
    assert_eq!(standing(true, true, Some(&said), end), Standing::Expired);
    assert_eq!(standing(false, false, None, NOW), Standing::Fresh);
    assert_eq!(standing(false, false, None, end), Standing::Expired);
    let later = Head { serial: head.serial + 1, ..head.clone() };
    let behind = Freshness::about("acme", "shop", &later, NOW, 60).sign(&key(KEY_B)).unwrap();
    let behind = verify_freshness(behind.as_bytes(), trust, "shop", Some(head), NOW).unwrap();
    assert_eq!(standing(true, true, Some(&behind), NOW), Standing::Stale);
    let may = [Standing::Fresh, Standing::Stale, Standing::Unknown, Standing::Expired]
        .map(|standing| (standing.admits_sessions(), standing.starts_requests()));
    assert_eq!(may, [(true, true), (true, false), (false, false), (false, false)]);
}

#[test]
fn a_walk_stops_after_sixty_four_steps_and_goes_on_with_the_next_update() {
    let (chain, _) = plain_rotation();
    let mut held = chain.current().clone();
    let mut documents = Vec::new();
    for epoch in 2..=70 {
        held = held.with_epoch("shop", epoch).unwrap();
        let mut signed = SignedTrust::new(held.clone());
        signed.sign(&key(KEY_A)).unwrap();
        documents.push(signed.to_json());
    }
    let walk = chain.clone().walk(documents.iter().map(String::as_str), NOW);
    assert_eq!((walk.accepted.len(), walk.ended.unwrap().reason()), (64, "too-many"));
    let rest = walk.chain.walk(documents.iter().map(String::as_str), NOW);
    assert!(rest.ended.is_none());
    assert_eq!(rest.chain.current(), &held);
}

#[test]
fn a_minimum_is_two_numbers() {
    assert_eq!(Minimum::parse("2.17"), Some(Minimum { epoch: 2, serial: 17 }));
    for text in ["", "2", "2.", ".17", "+2.17", "2.17.1", "2.9007199254740992", "a.b"] {
        assert_eq!(Minimum::parse(text), None, "{text}");
    }
}

fn refused_or_unchanged(changed: &[u8], original: &VerifiedBundle) -> bool {
    match verify(changed, plain_trust(), "shop", None, NOW) {
        Err(_) => true,
        // Key id hints and unknown members of the envelope are not signed and change nothing.
        Ok(verified) => {
            let bundle = verified.into_bundle();
            bundle.policies() == original.policies()
                && bundle.statement() == original.statement()
                && bundle.head() == original.head()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_flipped_byte_is_refused_or_changes_nothing(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let bytes = plain_bytes();
        let original = plain_verified();
        let mut changed = bytes.to_vec();
        changed[at.index(bytes.len())] ^= flip;
        prop_assert!(refused_or_unchanged(&changed, original));
    }

    #[test]
    fn a_flipped_byte_outside_the_key_id_is_refused(at in any::<prop::sample::Index>(), flip in 0_u8..8) {
        let bytes = plain_bytes();
        let hint = find(bytes, b"\"keyid\"");
        let hint_end = find(bytes, b"\"sig\"");
        let index = at.index(bytes.len());
        prop_assume!(!(hint..hint_end).contains(&index));
        let mut changed = bytes.to_vec();
        changed[index] ^= 1 << flip;
        prop_assert!(verify(&changed, plain_trust(), "shop", None, NOW).is_err());
    }

    #[test]
    fn a_shortened_or_lengthened_bundle_is_refused(at in any::<prop::sample::Index>(), more in any::<u8>()) {
        let bytes = plain_bytes();
        prop_assert!(verify(&bytes[..at.index(bytes.len())], plain_trust(), "shop", None, NOW).is_err());
        let longer = [bytes, &[more]].concat();
        prop_assert!(verify(&longer, plain_trust(), "shop", None, NOW).is_err());
    }

    #[test]
    fn a_flipped_bit_of_a_trust_file_is_followed_only_if_it_says_the_same(at in any::<prop::sample::Index>(), flip in 0_u8..8) {
        let (chain, next) = plain_rotation();
        let mut changed = next.clone().into_bytes();
        let index = at.index(changed.len());
        changed[index] ^= 1 << flip;
        let text = String::from_utf8_lossy(&changed);
        let walk = chain.clone().walk([text.as_ref()], NOW);
        // Key id hints and the white space of the envelope are not signed and change nothing.
        let honest = chain.clone().walk([next.as_str()], NOW).chain;
        prop_assert!(walk.chain == *chain || walk.chain == honest);
        prop_assert_eq!(walk.accepted.len(), usize::from(walk.chain == honest));
    }

    #[test]
    fn a_flipped_bit_of_a_freshness_statement_is_refused_or_changes_nothing(at in any::<prop::sample::Index>(), flip in 0_u8..8) {
        let (trust, envelope) = plain_freshness();
        let head = plain_verified().head();
        let honest = verify_freshness(envelope.as_bytes(), trust, "shop", Some(head), NOW).unwrap();
        let mut changed = envelope.clone().into_bytes();
        let index = at.index(changed.len());
        changed[index] ^= 1 << flip;
        if let Ok(said) = verify_freshness(&changed, trust, "shop", Some(head), NOW) {
            prop_assert_eq!(said, honest);
        }
    }

    #[test]
    fn a_flipped_bit_of_a_pinned_trust_file_is_refused_or_leaves_the_keys_alone(at in any::<prop::sample::Index>(), flip in 0_u8..8) {
        let trust = plain_trust();
        let mut changed = trust.to_json().into_bytes();
        let index = at.index(changed.len());
        changed[index] ^= 1 << flip;
        if let Ok(read) = TrustFile::parse(&String::from_utf8_lossy(&changed)) {
            let publics = |trust: &TrustFile| trust.keys().iter().map(|key| key.public.keyid()).collect::<Vec<_>>();
            prop_assert_eq!(publics(&read), publics(trust));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(verify(&bytes, plain_trust(), "shop", None, NOW).is_err());
        prop_assert!(UnsignedBundle::from_bytes(&bytes).is_err());
        let framed = file::join(&bytes, &bytes).unwrap();
        prop_assert!(verify(&framed, plain_trust(), "shop", None, NOW).is_err());
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(TrustFile::parse(&text).is_err());
        prop_assert!(TrustChain::pin(&text).is_err());
        prop_assert!(plain_rotation().0.clone().walk([text.as_ref()], NOW).accepted.is_empty());
        prop_assert!(verify_freshness(&bytes, plain_trust(), "shop", None, NOW).is_err());
        prop_assert!(Head::from_json(&text).is_err());
        prop_assert!(Statement::parse(&bytes).is_err());
    }
}
