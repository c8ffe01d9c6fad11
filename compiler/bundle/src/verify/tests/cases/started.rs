//! What an agent does with its stored bytes when it starts: `active`, or refused like any other bundle.

use super::*;

pub(super) fn cases() -> Vec<Value> {
    let good = signed(input(5), &[KEY_A]);
    let mut tampered = good.clone();
    let last = tampered.len() - 3;
    tampered[last] ^= 1;
    let rotated = trust_with(&trust(), |draft| {
        draft.version = 2;
        draft.roles.insert(Role::Policy, role(&[KEY_B], 1));
    });
    vec![
        vector(
            "start-accept",
            "the stored bundle is the one that was accepted",
            &good,
            &trust(),
            NOW,
            "active",
        ),
        vector(
            "start-accept-under-expired-trust",
            "the stored bundle stays when the trust file has ended",
            &good,
            &expired_trust(),
            NOW,
            "active",
        ),
        vector(
            "start-reject-tampered",
            "a stored byte was changed",
            &tampered,
            &trust(),
            NOW,
            "refused:malformed:content-digest",
        ),
        vector(
            "start-reject-not-the-head",
            "another authentic bundle lies where the accepted one was",
            &signed(input(6), &[KEY_A]),
            &trust(),
            NOW,
            "refused:rollback:not-the-head",
        ),
        vector(
            "start-reject-revoked-signer",
            "the trust file dropped the key that signed; agents go on only for a time of grace",
            &good,
            &rotated,
            NOW,
            "refused:signature:threshold",
        ),
        vector(
            "start-reject-epoch-raised",
            "the trust file raised the epoch",
            &good,
            &trust().with_epoch("shop", 2).unwrap(),
            NOW,
            "refused:rollback:epoch",
        ),
        vector(
            "start-reject-expired",
            "the stored bundle has expired",
            &good,
            &trust(),
            NOW + 86_400,
            "refused:expired:expired",
        ),
    ]
}

fn vector(name: &str, description: &str, stored: &[u8], trust: &TrustFile, now: i64, expect: &str) -> Value {
    json!({
        "kind": "start",
        "name": name,
        "description": description,
        "trust": json_of(&trust.to_json()),
        "database": "shop",
        "head": json_of(&head(5).to_json()),
        "now": now,
        "stored": STANDARD.encode(stored),
        "expect": expect,
    })
}
