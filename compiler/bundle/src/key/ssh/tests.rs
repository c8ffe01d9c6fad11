//! SSH signatures made here, of every kind; `ssh-keygen` itself judges the same bytes in the command's tests.

use super::*;
use crate::{PublicKey, SigningKey};
use p256::ecdsa::signature::Signer as _;

fn strings(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        put(&mut out, part);
    }
    out
}

fn wire(seed: u8) -> Vec<u8> {
    strings(&[ED25519.as_bytes(), &SigningKey::from_seed(&[seed; 32]).public().encoded()[12..]])
}

pub(crate) fn public(seed: u8) -> PublicKey {
    PublicKey::from_ssh_wire(&wire(seed)).unwrap()
}

/// A signature as `ssh-keygen -Y sign -n NAMESPACE` makes it, without armour.
pub(crate) fn sign_as(seed: u8, namespace: &[u8], hash: &[u8], message: &[u8]) -> Vec<u8> {
    let digest =
        if hash == HASH { Sha512::digest(message).to_vec() } else { Sha256::digest(message).to_vec() };
    let signed = [MAGIC, &strings(&[namespace, b"", hash, &digest])].concat();
    let inner = strings(&[ED25519.as_bytes(), &SigningKey::from_seed(&[seed; 32]).sign(&signed)]);
    write(&Parts { key: &wire(seed), namespace, reserved: b"", hash, signature: &inner })
}

pub(crate) fn sign(seed: u8, message: &[u8]) -> Vec<u8> {
    sign_as(seed, NAMESPACE, HASH, message)
}

/// A hardware key's: it signs its application, flags and counter too.
fn hardware(flags: u8, message: &[u8]) -> (PublicKey, Vec<u8>) {
    let key = SigningKey::from_seed(&[11; 32]);
    let wire = strings(&[SK_ED25519.as_bytes(), &key.public().encoded()[12..], b"ssh:"]);
    let tail = [&[flags], 9_u32.to_be_bytes().as_slice()].concat();
    let signed =
        [Sha256::digest(b"ssh:").as_slice(), &tail, Sha256::digest(signing_input(message)).as_slice()]
            .concat();
    let inner = [strings(&[SK_ED25519.as_bytes(), &key.sign(&signed)]), tail].concat();
    let public = SshKey::decode(&wire).unwrap();
    (PublicKey::from_ssh_wire(&wire).unwrap(), public.envelope(&inner))
}

fn ecdsa_wire() -> (p256::ecdsa::SigningKey, Vec<u8>) {
    let key = p256::ecdsa::SigningKey::from_slice(&[13; 32]).unwrap();
    let point = key.verifying_key().to_sec1_point(false);
    let wire = strings(&[P256.as_bytes(), b"nistp256", point.as_bytes()]);
    (key, wire)
}

fn ecdsa_with(negate: bool, message: &[u8]) -> (PublicKey, Vec<u8>) {
    let (key, wire) = ecdsa_wire();
    let signature: p256::ecdsa::Signature = key.sign(&signing_input(message));
    let (r, s) = signature.normalize_s().split_scalars();
    let s = if negate { -*s } else { *s };
    let twin = p256::ecdsa::Signature::from_scalars(*r, s).unwrap().to_vec();
    let blob = strings(&[&mpint(&twin[..32]), &mpint(&twin[32..])]);
    let inner = strings(&[P256.as_bytes(), &blob]);
    let public = SshKey::decode(&wire).unwrap();
    (PublicKey::from_ssh_wire(&wire).unwrap(), public.envelope(&inner))
}

/// One key and its signature of every kind a trust file may list beside plain Ed25519.
pub(crate) fn samples(message: &[u8]) -> Vec<(PublicKey, Vec<u8>)> {
    let p256 = SigningKey::p256_from_seed(&[12; 32]);
    vec![
        (public(7), sign(7, message)),
        hardware(1, message),
        ecdsa_with(false, message),
        (p256.public(), p256.sign(message)),
    ]
}

#[test]
fn every_kind_of_key_verifies_its_own_signature_and_no_other() {
    let samples = samples(b"m");
    for (at, (public, _)) in samples.iter().enumerate() {
        for (of, (_, signature)) in samples.iter().enumerate() {
            assert_eq!(public.verifies(b"m", signature), at == of, "{at} {of}");
            assert!(!public.verifies(b"n", signature));
        }
    }
}

#[test]
fn another_purpose_or_hash_is_refused() {
    assert!(public(7).verifies(b"m", &sign(7, b"m")));
    assert!(!public(7).verifies(b"m", &sign_as(7, b"git", HASH, b"m")));
    assert!(!public(7).verifies(b"m", &sign_as(7, NAMESPACE, b"sha256", b"m")));
}

#[test]
fn the_embedded_key_must_be_the_one_of_the_record() {
    let inner = SshKey::decode(&wire(7)).unwrap();
    let parts = sign(7, b"m");
    let inner_signature = Parts::read(&parts).unwrap().signature.to_vec();
    assert_eq!(inner.envelope(&inner_signature), parts);
    let other = SshKey::decode(&wire(8)).unwrap();
    assert!(!public(7).verifies(b"m", &other.envelope(&inner_signature)));
    assert!(!public(8).verifies(b"m", &other.envelope(&inner_signature)));
}

#[test]
fn a_hardware_key_must_have_been_touched() {
    let (key, signature) = hardware(1, b"m");
    assert!(key.verifies(b"m", &signature));
    let (key, signature) = hardware(0, b"m");
    assert!(!key.verifies(b"m", &signature));
}

#[test]
fn the_higher_twin_is_refused_until_the_signer_normalises_it() {
    let (key, high) = ecdsa_with(true, b"m");
    assert!(!key.verifies(b"m", &high));
    let lower = key.normalise(&high).unwrap();
    assert!(key.verifies(b"m", &lower));
    assert_eq!(key.normalise(&lower).unwrap(), lower);
}

#[test]
fn armour_is_undone() {
    let body = STANDARD.encode(sign(7, b"m"));
    let (first, rest) = body.split_at(70);
    let armoured = format!("-----BEGIN SSH SIGNATURE-----\n{first}\n{rest}\n-----END SSH SIGNATURE-----\n");
    assert_eq!(public(7).normalise(armoured.as_bytes()).unwrap(), sign(7, b"m"));
    assert_eq!(public(7).normalise(b"-----BEGIN SSH SIGNATURE-----"), None);
}
