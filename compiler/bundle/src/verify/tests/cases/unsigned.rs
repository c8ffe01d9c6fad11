//! Signatures and trust files that do not hold.

use super::*;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = signatures();
    cases.extend(confusions());
    cases.extend(trust_files());
    cases.extend(other_schemes());
    cases
}

/// ECDSA and SSH signatures in every form but the one that is accepted.
fn other_schemes() -> Vec<Case> {
    let p256 = p256_key();
    let trust_p256 = trust_keys(vec![trusted_key(p256.public(), "key service")], 1);
    let trust_ssh = trust_keys(vec![trusted_key(ssh_samples::public(KEY_A), "ana's laptop")], 1);
    let signature = p256::ecdsa::Signature::from_slice(&p256.sign(&plain_input())).unwrap();
    let (r, s) = signature.split_scalars();
    let high = p256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
    let ssh = |namespace: &[u8], hash: &[u8]| ssh_samples::sign_as(KEY_A, namespace, hash, &plain_input());
    let refused = "refused:signature:threshold";
    let ecdsa = |name, description, bytes: Vec<u8>| {
        case(name, description, with_signature(&bytes), refused).with_trust(&trust_p256)
    };
    let sshsig = |name, description, bytes: Vec<u8>| {
        case(name, description, with_signature(&bytes), refused).with_trust(&trust_ssh)
    };
    vec![
        ecdsa("reject-p256-high-s", "the twin of a good ECDSA signature with the higher s", high.to_vec()),
        ecdsa("reject-p256-der", "an ECDSA signature in DER", signature.to_der().as_bytes().to_vec()),
        ecdsa(
            "reject-p256-as-ed25519",
            "an Ed25519 signature where the trust file lists an ECDSA key",
            key(KEY_A).sign(&plain_input()),
        ),
        sshsig("reject-sshsig-namespace", "an SSH signature made for Git", ssh(b"git", b"sha512")),
        sshsig("reject-sshsig-hash", "an SSH signature over a SHA-256 hash", ssh(b"daam", b"sha256")),
        sshsig(
            "reject-sshsig-bare",
            "a plain Ed25519 signature where the trust file lists an SSH key",
            key(KEY_A).sign(&plain_input()),
        ),
        sshsig(
            "reject-sshsig-other-key",
            "an SSH signature that brings another key",
            ssh_samples::sign(KEY_B, &plain_input()),
        ),
        case(
            "reject-one-key-two-schemes-of-two",
            "one person's key as Ed25519 in the file and as an SSH signature counts once",
            with_signature(&ssh("daam".as_bytes(), b"sha512")),
            refused,
        )
        .with_trust(&trust_of(&[KEY_A, KEY_B], 2)),
        case(
            "reject-database-threshold",
            "one signature where this database asks for two",
            changed(|_| {}),
            refused,
        )
        .with_trust(&trust_with(&trust_of(&[KEY_A, KEY_B], 1), |draft| {
            draft.databases.entry("shop".into()).or_default().threshold = Some(2);
        })),
    ]
}

fn signatures() -> Vec<Case> {
    let two = trust_of(&[KEY_A, KEY_B], 2);
    let twice = with_envelope(|envelope| {
        let mut again = envelope["signatures"][0].clone();
        again["keyid"] = json!(key(KEY_B).public().keyid());
        envelope["signatures"].as_array_mut().unwrap().push(again);
    });
    let crowd = with_envelope(|envelope| {
        let one = envelope["signatures"][0].clone();
        envelope["signatures"] = json!(vec![one; 17]);
    });
    vec![
        case(
            "reject-no-signatures",
            "an empty list of signatures",
            with_envelope(|envelope| envelope["signatures"] = json!([])),
            "refused:signature:not-signed",
        ),
        case(
            "reject-one-of-two",
            "one signature where two are needed",
            changed(|_| {}),
            "refused:signature:threshold",
        )
        .with_trust(&two),
        case(
            "reject-same-signature-twice",
            "the same signature under two key ids counts once",
            twice,
            "refused:signature:threshold",
        )
        .with_trust(&two),
        case(
            "reject-stranger",
            "a key nobody trusts",
            signed(input(5), &[STRANGER]),
            "refused:signature:threshold",
        ),
        case(
            "reject-key-only-in-bundle",
            "a key that only the bundle itself presents",
            only_in_bundle(),
            "refused:signature:threshold",
        ),
        case(
            "reject-too-many-signatures",
            "seventeen signatures",
            crowd,
            "refused:malformed:too-many-signatures",
        ),
        case(
            "reject-high-s",
            "the malleable twin of a good signature",
            high_s(),
            "refused:signature:threshold",
        ),
    ]
}

/// A bundle that brings the key it is signed with.
fn only_in_bundle() -> Vec<u8> {
    let bytes = signed(input(5), &[STRANGER]);
    let parts = file::split(&bytes).unwrap();
    let mut envelope: Value = serde_json::from_slice(parts.envelope).unwrap();
    envelope["signatures"][0]["public"] = json!(key(STRANGER).public().to_base64());
    file::join(envelope.to_string().as_bytes(), parts.content).unwrap()
}

fn confusions() -> Vec<Case> {
    let (envelope, content) = plain();
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let resigned = |message: &[u8]| {
        with_envelope(|envelope| {
            envelope["signatures"][0]["sig"] = json!(STANDARD.encode(key(KEY_A).sign(message)));
        })
    };
    let trust_type = "application/vnd.daam.trust.v1+json";
    let media_type = Payload::Policy.media_type();
    let truncated = [format!("DSSEv1 {} {media_type} 9 ", media_type.len()).as_bytes(), &payload].concat();
    let reencoded = with_envelope(|envelope| {
        let value: Value = serde_json::from_slice(&payload).unwrap();
        envelope["payload"] = json!(STANDARD.encode(serde_json::to_string_pretty(&value).unwrap()));
    });
    assert!(!content.is_empty());
    vec![
        case(
            "reject-type-of-another-role",
            "signed as a trust file, presented as a statement",
            resigned(&pae(trust_type, &payload)),
            "refused:signature:threshold",
        ),
        case(
            "reject-payload-type",
            "another payload type",
            with_envelope(|envelope| envelope["payloadType"] = json!(trust_type)),
            "refused:malformed:payload-type",
        ),
        case(
            "reject-payload-reencoded",
            "the same statement, written differently after signing",
            reencoded,
            "refused:signature:threshold",
        ),
        case(
            "reject-pae-length",
            "a signature over an encoding with the wrong length",
            resigned(&truncated),
            "refused:signature:threshold",
        ),
        case(
            "reject-bare-payload-signed",
            "a signature over the payload without its encoding",
            resigned(&payload),
            "refused:signature:threshold",
        ),
    ]
}

fn trust_files() -> Vec<Case> {
    let text = |change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_str(&trust().to_json()).unwrap();
        change(&mut value);
        value.to_string()
    };
    let with = |name, description, change: &dyn Fn(&mut Value)| Case {
        trust: text(change),
        ..case(name, description, changed(|_| {}), "refused:trust")
    };
    let keys = "/roles/policy/keys";
    let weak = STANDARD.encode([&[1_u8][..], &[0; 31]].concat());
    let twin_scheme = json!({
        "keyid": ssh_samples::public(KEY_A).keyid(),
        "scheme": "sshsig",
        "public": ssh_samples::public(KEY_A).to_base64(),
        "comment": "the same key once more",
    });
    vec![
        with("reject-same-key-under-two-schemes", "one key listed as itself and as an SSH key", &|trust| {
            trust.pointer_mut(keys).unwrap().as_array_mut().unwrap().push(twin_scheme.clone());
        }),
        with("reject-unknown-role", "a role nobody knows", &|trust| {
            trust["roles"]["audit"] = trust["roles"]["policy"].clone();
        }),
        with("reject-no-policy-role", "no policy keys at all", &|trust| {
            trust["roles"] = json!({});
        }),
        with("reject-threshold-zero", "a threshold of zero", &|trust| {
            trust["roles"]["policy"]["threshold"] = json!(0);
        }),
        with("reject-threshold-unreachable", "a threshold above the number of keys", &|trust| {
            trust["roles"]["policy"]["threshold"] = json!(2);
        }),
        with("reject-same-key-under-two-ids", "one key listed under two ids", &|trust| {
            let mut twin = trust.pointer(keys).unwrap()[0].clone();
            twin["keyid"] = json!("0".repeat(64));
            trust.pointer_mut(keys).unwrap().as_array_mut().unwrap().push(twin);
        }),
        with("reject-same-key-twice", "one key listed twice", &|trust| {
            let twin = trust.pointer(keys).unwrap()[0].clone();
            trust.pointer_mut(keys).unwrap().as_array_mut().unwrap().push(twin);
        }),
        with("reject-weak-key", "a trusted key of small order", &|trust| {
            trust.pointer_mut(keys).unwrap()[0]["public"] = json!(weak);
        }),
        with("reject-scheme-confusion", "a public key declared as a shared secret", &|trust| {
            trust.pointer_mut(keys).unwrap()[0]["scheme"] = json!("hs256");
        }),
        with("reject-wrong-keyid-in-trust", "an id that does not follow from its key", &|trust| {
            trust.pointer_mut(keys).unwrap()[0]["keyid"] = json!("0".repeat(64));
        }),
        with("reject-unknown-trust-field", "a field of the trust file nobody knows", &|trust| {
            trust["skip_verification"] = json!(true);
        }),
    ]
}

/// `S + L` instead of `S`: the same signature to a lax verifier.
fn high_s() -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    with_envelope(|envelope| {
        let value = &mut envelope["signatures"][0]["sig"];
        let mut signature = STANDARD.decode(value.as_str().unwrap()).unwrap();
        let mut carry = 0_u16;
        for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            [*byte, _] = sum.to_le_bytes();
            carry = sum >> 8;
        }
        *value = json!(STANDARD.encode(signature));
    })
}
