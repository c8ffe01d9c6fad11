//! What is accepted.

use super::*;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = envelopes();
    cases.extend(schemes());
    cases.extend(firsts());
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

fn schemes() -> Vec<Case> {
    let p256 = p256_key();
    let names = ["accept-sshsig", "accept-sshsig-hardware-key", "accept-sshsig-ecdsa"];
    let descriptions = [
        "an SSH signature by an Ed25519 key",
        "an SSH signature by an Ed25519 key in a touched hardware token",
        "an SSH signature by a P-256 key",
    ];
    let mut cases = vec![
        case(
            "accept-p256",
            "an ECDSA signature with the lower s",
            with_signature(&p256.sign(&plain_input())),
            "new",
        )
        .with_trust(&trust_keys(vec![trusted_key(p256.public(), "key service")], 1)),
        case(
            "accept-mixed-schemes",
            "a machine's Ed25519 key and a person's SSH key, both needed",
            mixed(),
            "new",
        )
        .with_trust(&trust_keys(
            vec![
                trusted_key(key(KEY_A).public(), "ci"),
                trusted_key(ssh_samples::public(KEY_B), "ana's laptop"),
            ],
            2,
        )),
    ];
    let samples = ssh_samples::samples(&plain_input());
    for ((name, description), (public, signature)) in names.into_iter().zip(descriptions).zip(samples) {
        let trust = trust_keys(vec![trusted_key(public, "ana's laptop")], 1);
        cases.push(case(name, description, with_signature(&signature), "new").with_trust(&trust));
    }
    cases
}

fn mixed() -> Vec<u8> {
    let mut bundle = UnsignedBundle::from_bytes(&signed(input(5), &[KEY_A])).unwrap();
    let signature = ssh_samples::sign(KEY_B, &bundle.signing_input());
    bundle.attach(&ssh_samples::public(KEY_B), &signature).unwrap();
    bundle.to_bytes()
}

fn firsts() -> Vec<Case> {
    vec![
        Case {
            minimum: Some(Minimum { epoch: 1, serial: 5 }),
            ..case(
                "accept-at-minimum",
                "a first bundle at the lowest serial that counts",
                changed(|_| {}),
                "new",
            )
        },
        case(
            "accept-dirty-unprotected",
            "built from uncommitted files for a database that is not protected",
            changed(|input| input.source.dirty = true),
            "new",
        ),
        case(
            "accept-held-under-expired-trust",
            "the bundle held stays when the trust file ends",
            changed(|_| {}),
            "same",
        )
        .with_head(head(5))
        .with_trust(&expired_trust()),
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
