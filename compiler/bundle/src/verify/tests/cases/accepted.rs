//! What is accepted.

use super::*;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = envelopes();
    cases.extend(successions());
    cases
}

fn envelopes() -> Vec<Case> {
    let url_safe = with_envelope(|envelope| {
        for pointer in ["/payload", "/signatures/0/sig"] {
            let value = envelope.pointer_mut(pointer).unwrap();
            *value = json!(URL_SAFE.encode(STANDARD.decode(value.as_str().unwrap()).unwrap()));
        }
    });
    let stranger = with_envelope(|envelope| {
        let signature = json!({ "keyid": "ff", "sig": STANDARD.encode([1_u8; 64]) });
        envelope["signatures"].as_array_mut().unwrap().insert(0, signature);
    });
    vec![
        case("accept-ed25519", "one signature by the one trusted key", changed(|_| {}), "new"),
        case("accept-url-safe-base64", "the URL-safe alphabet, padded", url_safe, "new"),
        case(
            "accept-two-of-three",
            "two of three trusted keys, both needed",
            signed(input(5), &[KEY_A, KEY_C]),
            "new",
        )
        .with_trust(&trust_of(&[KEY_A, KEY_B, KEY_C], 2)),
        case(
            "accept-extra-envelope-member",
            "a member of the envelope this version does not know",
            with_envelope(|envelope| envelope["note"] = json!("x")),
            "new",
        ),
        case(
            "accept-unknown-extra-signature",
            "a signature by nobody known beside a good one",
            stranger,
            "new",
        ),
        case(
            "accept-wrong-keyid-hint",
            "the key id in the envelope is only a hint",
            with_envelope(|envelope| envelope["signatures"][0]["keyid"] = json!("00")),
            "new",
        ),
        case(
            "accept-no-keyid-hint",
            "the key id in the envelope is optional",
            with_envelope(|envelope| {
                envelope["signatures"][0].as_object_mut().unwrap().remove("keyid");
            }),
            "new",
        ),
    ]
}

fn successions() -> Vec<Case> {
    vec![
        case("accept-next-serial", "the serial after the one held", changed(|input| input.serial = 6), "new")
            .with_head(head(5)),
        case("accept-same-again", "the statement already held", changed(|_| {}), "same").with_head(head(5)),
        case(
            "accept-rollback-forward",
            "old content under a higher serial",
            changed(|input| {
                input.serial = 9;
                input.rollback_of = Some(4);
            }),
            "new",
        )
        .with_head(head(8)),
        case(
            "accept-new-epoch",
            "the trust file raised the epoch, serials start again",
            changed(|input| {
                input.epoch = 2;
                input.serial = 1;
                input.trust_version = 2;
            }),
            "new",
        )
        .with_trust(&trust().with_epoch("shop", 2).unwrap())
        .with_head(head(800)),
        case(
            "accept-clock-skew",
            "valid from four minutes ahead",
            changed(|input| input.not_before = NOW + 240),
            "new",
        ),
        case(
            "accept-older-trust-version",
            "made under an earlier trust file whose key is still trusted",
            changed(|_| {}),
            "new",
        )
        .with_trust(&trust().with_epoch("other", 2).unwrap()),
    ]
}
