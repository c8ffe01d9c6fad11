//! A bundle of any content is never accepted; nor is one that was signed and then changed, and what a trusted key
//! signed by mistake is judged without a panic.
//!
//! The bytes are taken for four things: a file, the content of one, a signed statement or freshness statement, and a
//! change of a bundle that was accepted before (where, how much goes, what comes).

use super::signer::{DATABASE, NOW, sealed, signer};
use daam_bundle::{UnsignedBundle, decode_content, encode_content, fingerprint, verify, verify_freshness};

pub(crate) fn holds(bytes: &[u8]) {
    let signer = signer();
    file(bytes);
    if let Ok(set) = decode_content(bytes) {
        assert_eq!(encode_content(&set), bytes, "content has two forms");
        fingerprint(&set);
    }
    statement(bytes);
    let envelope = sealed("application/vnd.daam.freshness.v1+json", bytes);
    if let Ok(said) = verify_freshness(envelope.as_bytes(), &signer.trust, DATABASE, None, NOW) {
        assert!(said.statement().expires_at > NOW, "a freshness statement that has ended counts");
    }
    changed(bytes);
}

fn file(bytes: &[u8]) {
    judged(bytes);
    let Ok(bundle) = UnsignedBundle::from_bytes(bytes) else { return };
    let _ = bundle.policies();
    let again =
        UnsignedBundle::from_bytes(&bundle.to_bytes()).expect("what was read can be written and read");
    assert_eq!(again, bundle);
}

/// Nothing but the genuine bundle is accepted.
fn judged(bytes: &[u8]) {
    let signer = signer();
    let Ok(found) = verify(bytes, &signer.trust, DATABASE, None, NOW) else { return };
    let found = found.into_bundle();
    assert_eq!(found.statement(), signer.genuine.statement(), "a statement nobody signed is accepted");
    assert_eq!(
        Some(found.policies()),
        signer.genuine.policies().ok().as_ref(),
        "policies nobody signed are accepted"
    );
}

/// Signed by the trusted key, whatever it says: only what is for this database, from now, and for this content.
fn statement(payload: &[u8]) {
    let signer = signer();
    let envelope = sealed("application/vnd.daam.policy-statement.v1+json", payload);
    let mut bundle = b"DAAMBNDL1\n".to_vec();
    bundle.extend(u32::try_from(envelope.len()).unwrap_or(u32::MAX).to_be_bytes());
    bundle.extend(envelope.as_bytes());
    bundle.extend(content());
    let Ok(found) = verify(&bundle, &signer.trust, DATABASE, None, NOW) else { return };
    let found = found.into_bundle();
    let statement = found.statement();
    assert_eq!((statement.org.as_str(), statement.database.as_str(), statement.epoch), ("acme", DATABASE, 1));
    assert!(
        statement.expires_at > NOW && statement.not_before <= NOW + 300 && statement.issued_at <= NOW + 300
    );
    assert_eq!(Some(found.policies()), signer.genuine.policies().ok().as_ref());
}

/// The genuine bundle with some of its bytes replaced.
fn changed(script: &[u8]) {
    let [high, low, cut, new @ ..] = script else { return };
    let mut bytes = signer().genuine.to_bytes();
    let start = usize::from(u16::from_be_bytes([*high, *low])) % bytes.len();
    let end = (start + usize::from(*cut)).min(bytes.len());
    bytes.splice(start..end, new.iter().copied());
    judged(&bytes);
}

fn content() -> Vec<u8> {
    signer().genuine.policies().map(|set| encode_content(&set)).unwrap_or_default()
}
