//! A trust file of any content: refused, or one whose thresholds can be met, and that reads back as it was written.
//! Nothing follows a pinned one that its root keys did not sign.

use super::signer::{NOW, sealed, signer};
use daam_bundle::{Role, SignedTrust, TrustChain, TrustDocument, TrustFile};

pub(crate) fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(trust) = TrustFile::parse(text) {
        sound(&trust);
    }
    if let Ok(signed) = SignedTrust::parse(text) {
        sound(signed.trust());
        assert_eq!(SignedTrust::parse(&signed.to_json()).ok().as_ref(), Some(&signed));
    }
    if let Ok(document) = TrustDocument::parse(text) {
        sound(document.trust());
    }
    let pinned = || TrustChain::of(signer().trust.clone());
    let walk = pinned().walk([text], NOW);
    assert_eq!(walk.chain.current(), &signer().trust, "nobody signed a successor");
    // Signed by the keys held, whatever it says: the next version of the same organization, or nothing.
    let signed = sealed("application/vnd.daam.trust.v1+json", bytes);
    let followed = pinned().walk([signed.as_str()], NOW).chain;
    let next = followed.current();
    sound(next);
    assert!(next == &signer().trust || (next.version(), next.org()) == (2, "acme"));
}

fn sound(trust: &TrustFile) {
    assert!(trust.threshold() >= 1 && trust.threshold() <= trust.keys().len());
    for role in Role::ALL.into_iter().filter_map(|role| trust.role(role)) {
        assert!(role.threshold >= 1 && role.threshold <= role.keys.len(), "a threshold nobody can meet");
    }
    assert_eq!(TrustFile::parse(&trust.to_json()).ok().as_ref(), Some(trust));
}
