//! Chains of trust files: `followed:N` says that version N is in force at the end, and why the walk stopped if it
//! did not reach the last document.

use super::*;
use crate::trust::SignedTrust;

pub(super) fn cases() -> Vec<Value> {
    let mut cases = followed();
    cases.extend(unsigned());
    cases.extend(otherwise_pinned());
    cases.extend(refused());
    cases
}

/// Version 1: root keys A and B, both needed; policy key A.
fn first() -> TrustFile {
    trust_with(&trust(), |draft| {
        draft.roles.insert(Role::Root, role(&[KEY_A, KEY_B], 2));
    })
}

/// The next version with changes, signed by these.
fn next(held: &TrustFile, signers: &[u8], change: impl FnOnce(&mut TrustDraft)) -> (TrustFile, String) {
    let mut draft = held.successor();
    change(&mut draft);
    let mut signed = SignedTrust::new(TrustFile::check(draft).unwrap());
    for seed in signers {
        signed.sign(&key(*seed)).unwrap();
    }
    (signed.trust().clone(), signed.to_json())
}

fn vector(name: &str, description: &str, documents: &[&str], expect: &str) -> Value {
    json!({
        "kind": "trust",
        "name": name,
        "description": description,
        "pinned": json_of(&first().to_json()),
        "documents": documents.iter().map(|text| STANDARD.encode(text)).collect::<Vec<_>>(),
        "now": NOW,
        "expect": expect,
    })
}

fn to_b_and_c(draft: &mut TrustDraft) {
    draft.roles.insert(Role::Root, role(&[KEY_B, KEY_C], 2));
}

fn followed() -> Vec<Value> {
    let (two, replaced) = next(&first(), &[KEY_A, KEY_B, KEY_C], to_b_and_c);
    let (_, third) =
        next(&two, &[KEY_B, KEY_C], |draft| drop(draft.roles.insert(Role::Policy, role(&[KEY_C], 1))));
    let (expired, expired_text) = next(&first(), &[KEY_A, KEY_B], |draft| draft.expires_at = Some(NOW - 1));
    let (_, renewed) = next(&expired, &[KEY_A, KEY_B], |draft| draft.expires_at = Some(NOW + 1));
    let (_, bumped) =
        next(&first(), &[KEY_A, KEY_B], |draft| draft.databases.entry("shop".into()).or_default().epoch = 2);
    vec![
        vector("trust-accept-none", "the pinned file, with no successor", &[], "followed:1"),
        vector(
            "trust-accept-replaced-root-key",
            "one root key replaced: the old two and the new two signed",
            &[&replaced],
            "followed:2",
        ),
        vector(
            "trust-accept-two-steps",
            "two versions, one after the other",
            &[&replaced, &third],
            "followed:3",
        ),
        vector(
            "trust-accept-known-again",
            "a version that is already held is passed over",
            &[&replaced, &replaced, &third],
            "followed:3",
        ),
        vector(
            "trust-accept-expired-between",
            "a version in the middle has expired",
            &[&expired_text, &renewed],
            "followed:3",
        ),
        vector("trust-accept-epoch", "the epoch of a database rises", &[&bumped], "followed:2"),
        vector(
            "trust-reject-expired-last",
            "the last version has expired: it is in force, nothing new is accepted under it",
            &[&expired_text],
            "followed:2:expired",
        ),
    ]
}

fn unsigned() -> Vec<Value> {
    let (two, _) = next(&first(), &[], to_b_and_c);
    let (_, three) = next(&two, &[KEY_B, KEY_C], |_| {});
    let (_, only_old) = next(&first(), &[KEY_A, KEY_B], to_b_and_c);
    let (_, only_new) = next(&first(), &[KEY_B, KEY_C], to_b_and_c);
    let (_, unsigned) = next(&first(), &[], |_| {});
    let (_, one_of_two) = next(&first(), &[KEY_A], |_| {});
    vec![
        vector("trust-reject-skip", "version 3 without version 2", &[&three], "followed:1:version"),
        vector(
            "trust-reject-only-old",
            "signed by the old root keys only",
            &[&only_old],
            "followed:1:new-threshold",
        ),
        vector(
            "trust-reject-only-new",
            "signed by the new root keys only",
            &[&only_new],
            "followed:1:old-threshold",
        ),
        vector("trust-reject-unsigned", "signed by nobody", &[&unsigned], "followed:1:old-threshold"),
        vector(
            "trust-reject-one-of-two",
            "signed by one root key of two",
            &[&one_of_two],
            "followed:1:old-threshold",
        ),
    ]
}

/// Chains from other pinned files.
fn otherwise_pinned() -> Vec<Value> {
    let (_, by_all) = next(&first(), &[KEY_A, KEY_B, KEY_C], to_b_and_c);
    let raised =
        trust_with(&first(), |draft| draft.databases.entry("shop".into()).or_default().minimum_serial = 9);
    let (_, lowered) = next(&raised, &[KEY_A, KEY_B], |draft| draft.databases.clear());
    let mut lower_minimum = vector(
        "trust-reject-lower-minimum",
        "the minimum serial of a database falls",
        &[&lowered],
        "followed:1:backwards",
    );
    lower_minimum["pinned"] = json_of(&raised.to_json());
    let mut no_root = vector(
        "trust-reject-pinned-without-root",
        "a pinned file without root keys has no successor",
        &[&by_all],
        "followed:1:no-root",
    );
    no_root["pinned"] = json_of(&trust().to_json());
    vec![lower_minimum, no_root]
}

fn refused() -> Vec<Value> {
    let (two, by_all) = next(&first(), &[KEY_A, KEY_B, KEY_C], to_b_and_c);
    let (_, only_old) = next(&first(), &[KEY_A, KEY_B], to_b_and_c);
    let (_, unsigned) = next(&first(), &[], |_| {});
    let (_, foreign) = next(&first(), &[KEY_A, KEY_B], |draft| draft.org = "evil".into());
    let (_, rootless) = next(&first(), &[KEY_A, KEY_B], |draft| drop(draft.roles.remove(&Role::Root)));
    let as_statement = by_all.replace("vnd.daam.trust.v1", "vnd.daam.policy-statement.v1");
    let reencoded = {
        let mut envelope = json_of(&by_all);
        let compact = serde_json::to_string(&json_of(&two.to_json())).unwrap();
        envelope["payload"] = json!(STANDARD.encode(compact));
        envelope.to_string()
    };
    vec![
        vector(
            "trust-reject-other-organization",
            "another organization's",
            &[&foreign],
            "followed:1:organization",
        ),
        vector(
            "trust-reject-without-root",
            "a successor that nobody could follow",
            &[&rootless],
            "followed:1:no-root",
        ),
        vector("trust-reject-type", "presented as a policy statement", &[&as_statement], "followed:1:trust"),
        vector(
            "trust-reject-reencoded",
            "the same trust file, written differently after signing",
            &[&reencoded],
            "followed:1:old-threshold",
        ),
        vector(
            "trust-reject-second-step",
            "the first step holds, the second does not",
            &[&by_all, &only_old, &unsigned.replace('x', "y")],
            "followed:2:trust",
        ),
    ]
}
