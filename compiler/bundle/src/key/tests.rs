//! Keys and signatures of every scheme, in the forms people have them, and damaged.

use super::*;
use crate::SigningKey;
use proptest::prelude::*;

const MESSAGE: &[u8] = b"DSSEv1 1 t 2 {}";

fn seeded(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

#[test]
fn small_order_points_are_refused() {
    let mut one = [0_u8; 32];
    one[0] = 1;
    assert_eq!(PublicKey::from_bytes(&one), Err(KeyError::Weak));
    assert_eq!(PublicKey::from_bytes(&[0; 32]), Err(KeyError::Weak));
    let wire = [b"\0\0\0\x0bssh-ed25519\0\0\0\x20".as_slice(), &one].concat();
    assert_eq!(PublicKey::from_ssh_wire(&wire), Err(KeyError::Weak));
}

#[test]
fn raw_and_spki_forms_give_the_same_key_and_id() {
    let key = seeded(7).public();
    let raw = STANDARD.encode(&key.encoded()[12..]);
    assert_eq!(PublicKey::from_record(Scheme::Ed25519, &raw).unwrap().keyid(), key.keyid());
    assert_eq!(PublicKey::from_text(&key.to_base64()).unwrap(), key);
    assert_eq!(key.keyid().len(), 64);
}

#[test]
fn one_scheme_does_not_read_the_key_of_another() {
    let keys = [seeded(7).public(), SigningKey::p256_from_seed(&[7; 32]).public(), ssh::tests::public(7)];
    for key in &keys {
        for scheme in [Scheme::Ed25519, Scheme::EcdsaP256Sha256, Scheme::Sshsig] {
            let read = PublicKey::from_record(scheme, &key.to_base64());
            assert_eq!(read.is_ok(), scheme == key.scheme(), "{scheme:?} {key:?}");
        }
    }
}

#[test]
fn one_point_is_one_key_whatever_the_scheme() {
    let (plain, ssh) = (seeded(7).public(), ssh::tests::public(7));
    assert_eq!(plain.material(), ssh.material());
    assert_ne!(plain.keyid(), ssh.keyid());
}

#[test]
fn other_encodings_are_refused() {
    for text in ["", "AAAA", "not base64", "ssh-ed25519 AAAA", "-----BEGIN PUBLIC KEY-----"] {
        assert_eq!(PublicKey::from_text(text), Err(KeyError::Encoding), "{text}");
    }
    let rsa = STANDARD.encode(b"\0\0\0\x07ssh-rsa");
    assert_eq!(PublicKey::from_text(&format!("ssh-rsa {rsa}")), Err(KeyError::SshKind("ssh-rsa".into())));
    // The line says one kind, the key another.
    let body = ssh::tests::public(7).to_base64();
    assert!(PublicKey::from_text(&format!("ssh-ed25519 {body} ana@laptop")).is_ok());
    assert_eq!(PublicKey::from_text(&format!("ecdsa-sha2-nistp256 {body}")), Err(KeyError::Encoding));
}

#[test]
fn ecdsa_takes_the_lower_twin_in_one_form_only() {
    let key = SigningKey::p256_from_seed(&[7; 32]);
    let low = key.sign(MESSAGE);
    let public = key.public();
    assert!(public.verifies(MESSAGE, &low));
    let signature = p256::ecdsa::Signature::from_slice(&low).unwrap();
    let (r, s) = signature.split_scalars();
    let high = p256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
    assert!(!public.verifies(MESSAGE, &high.to_vec()));
    let der = high.to_der().as_bytes().to_vec();
    assert!(!public.verifies(MESSAGE, &der));
    for written in [high.to_vec(), der] {
        assert_eq!(public.normalise(&written).unwrap(), low);
    }
    assert_eq!(public.normalise(b"none"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_flipped_bit_of_any_signature_is_refused(at in any::<prop::sample::Index>(), bit in 0_u8..8, kind in 0_usize..4) {
        let (public, mut signature) = ssh::tests::samples(MESSAGE).swap_remove(kind);
        prop_assert!(public.verifies(MESSAGE, &signature));
        let index = at.index(signature.len());
        signature[index] ^= 1 << bit;
        prop_assert!(!public.verifies(MESSAGE, &signature));
    }

    #[test]
    fn arbitrary_bytes_are_neither_keys_nor_signatures(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(PublicKey::from_ssh_wire(&bytes).is_err());
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(PublicKey::from_text(&text).is_err());
        let framed = [b"SSHSIG\0\0\0\x01".as_slice(), &bytes].concat();
        for (public, _) in ssh::tests::samples(MESSAGE) {
            prop_assert!(!public.verifies(MESSAGE, &bytes));
            prop_assert!(!public.verifies(MESSAGE, &framed));
        }
        prop_assert_eq!(ssh::normalise(&bytes), None);
    }
}
