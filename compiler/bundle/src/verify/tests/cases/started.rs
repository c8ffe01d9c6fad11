//! What an agent does with its stored bytes when it starts: `active`, or refused like any other bundle.

use super::*;

pub(super) fn cases() -> Vec<Value> {
    let good = signed(input(5), &[KEY_A]);
    let tampered = one_byte_off(&good);
    let rotated = rotated();
    vec![
        vector(
            ["start-accept", "the stored bundle is the one that was accepted", "active"],
            &good,
            &trust(),
            NOW,
        ),
        vector(
            [
                "start-accept-under-expired-trust",
                "the stored bundle stays when the trust file has ended",
                "active",
            ],
            &good,
            &expired_trust(),
            NOW,
        ),
        vector(
            ["start-reject-tampered", "a stored byte was changed", "refused:malformed:content-digest"],
            &tampered,
            &trust(),
            NOW,
        ),
        vector(
            [
                "start-reject-not-the-head",
                "another authentic bundle lies where the accepted one was",
                "refused:rollback:not-the-head",
            ],
            &signed(input(6), &[KEY_A]),
            &trust(),
            NOW,
        ),
        vector(
            [
                "start-reject-revoked-signer",
                "the trust file dropped the key that signed; agents go on only for a time of grace",
                "refused:signature:threshold",
            ],
            &good,
            &rotated,
            NOW,
        ),
        vector(
            ["start-reject-epoch-raised", "the trust file raised the epoch", "refused:rollback:epoch"],
            &good,
            &trust().with_epoch("shop", 2).unwrap(),
            NOW,
        ),
        vector(
            ["start-reject-expired", "the stored bundle has expired", "refused:expired:expired"],
            &good,
            &trust(),
            NOW + 86_400,
        ),
    ]
}

fn vector([name, description, expect]: [&str; 3], stored: &[u8], trust: &TrustFile, now: i64) -> Value {
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

fn one_byte_off(bytes: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    let last = changed.len() - 3;
    changed[last] ^= 1;
    changed
}

/// A trust file that trusts another policy key.
fn rotated() -> TrustFile {
    trust_with(&trust(), |draft| {
        draft.version = 2;
        draft.roles.insert(Role::Policy, role(&[KEY_B], 1));
    })
}
