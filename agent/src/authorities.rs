//! The certificate authorities that are believed: the pinned ones and, on disk, what followed from them.
//!
//! The configuration pins where to start. After that only an authority that is believed leads to another one
//! ([`daam_identity::authorities`]), and what is followed is stored before it counts. At start it is followed again from the
//! pin, so a file edited on disk is worth nothing; and because one that is dropped would bring a retired authority back,
//! what does not hold refuses the start. A later pin, put there by hand, starts over from itself.

use crate::kept_file;
use daam_api::link::Authority;
use daam_identity::{Authorities, FollowError, Successor};
use std::io;
use std::path::PathBuf;

const FILE: &str = "authorities.json";

/// Why the authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityStoreError {
    /// The pin.
    #[error("the pinned identity CA (`trust.identity_ca`) cannot be used")]
    Pin(#[source] FollowError),
    /// Disk.
    #[error("could not read or write what followed from the pinned identity CA")]
    Disk(#[source] io::Error),
    /// Not what this module writes.
    #[error(
        "the stored identity CAs are damaged; restore `{FILE}` in the state directory, or pin the present CA in the configuration and remove it"
    )]
    Damaged,
    /// They do not follow from the pin.
    #[error(
        "the stored identity CAs do not follow from the pinned one; restore `{FILE}`, or pin the present CA in the configuration and remove it"
    )]
    Stored(#[source] FollowError),
    /// What is offered does not follow.
    #[error("the identity CAs offered do not follow from the one that is believed")]
    Offered(#[source] FollowError),
    /// The next start would not come to the same.
    #[error(
        "the identity CAs offered do not follow from the pinned one (`trust.identity_ca`), by which the next start begins; offered must be the whole history from it on"
    )]
    NotFromPin(#[source] Option<FollowError>),
}

/// Those of one agent.
#[derive(Debug)]
pub struct AuthorityStore {
    dir: PathBuf,
    pinned: Authorities,
    believed: Authorities,
    issuing: Option<String>,
    /// What is believed could not be written down.
    unwritten: bool,
}

impl AuthorityStore {
    /// Follows what is stored from the pin.
    pub fn open(dir: PathBuf, pinned_pem: &str) -> Result<Self, AuthorityStoreError> {
        let pinned = Authorities::pinned(pinned_pem).map_err(AuthorityStoreError::Pin)?;
        let Some(bytes) = kept_file::read(&dir, FILE).map_err(AuthorityStoreError::Disk)? else {
            let believed = pinned.clone();
            return Ok(Self { dir, pinned, believed, issuing: None, unwritten: false });
        };
        let stored: Vec<Authority> =
            serde_json::from_slice(&bytes).map_err(|_| AuthorityStoreError::Damaged)?;
        let believed = pinned.follow(stored.iter().map(successor)).map_err(AuthorityStoreError::Stored)?;
        Ok(Self { dir, pinned, believed, issuing: issuing(&stored), unwritten: false })
    }

    /// Those believed.
    pub fn believed(&self) -> &Authorities {
        &self.believed
    }

    /// Whether a certificate is of an authority that is not the one new certificates come from.
    pub fn is_outdated(&self, certificate_pem: &str) -> bool {
        let by_it = |issuing: &str| daam_identity::authorities::is_signed_by(certificate_pem, issuing);
        self.issuing.as_deref().is_some_and(|issuing| !by_it(issuing))
    }

    /// Follows what is offered; whether anything is new. What takes authorities away and adds none counts even if it cannot be
    /// written down, which is an error all the same: it has to be offered again.
    pub fn follow(&mut self, mut offered: Vec<Authority>) -> Result<bool, AuthorityStoreError> {
        let believed =
            self.believed.follow(offered.iter().map(successor)).map_err(AuthorityStoreError::Offered)?;
        // As it was followed and not as it came: the pin at the next start is an earlier one, from which what was passed over
        // here would count.
        let known = believed.fingerprints();
        for authority in &mut offered {
            let own =
                Authorities::pinned(&authority.certificate_pem).map_err(AuthorityStoreError::Offered)?;
            authority.in_force = own.fingerprints().iter().all(|own| known.contains(own));
        }
        self.follows_from_the_pin(&offered, &believed)?;
        let issuing = issuing(&offered);
        let changed = believed != self.believed || issuing != self.issuing;
        if !changed && !self.unwritten {
            return Ok(false);
        }
        let bytes = serde_json::to_vec(&offered).map_err(|error| AuthorityStoreError::Disk(error.into()))?;
        let written = kept_file::replace(&self.dir, FILE, &bytes);
        let held = self.believed.fingerprints();
        if written.is_ok() || known.iter().all(|known| held.contains(known)) {
            (self.believed, self.issuing) = (believed, issuing);
            self.unwritten = written.is_err();
        }
        written.map(|()| changed).map_err(AuthorityStoreError::Disk)
    }

    /// Whether everything that is offered counts already, on disk or not.
    pub fn is_followed(&self, offered: &[Authority]) -> bool {
        self.believed.follow(offered.iter().map(successor)).is_ok_and(|followed| followed == self.believed)
    }

    /// A history that begins later than the pin would do now, and be nothing to follow at the next start.
    fn follows_from_the_pin(
        &self,
        offered: &[Authority],
        believed: &Authorities,
    ) -> Result<(), AuthorityStoreError> {
        match self.pinned.follow(offered.iter().map(successor)) {
            Ok(followed) if followed == *believed => Ok(()),
            followed => Err(AuthorityStoreError::NotFromPin(followed.err())),
        }
    }
}

fn successor(authority: &Authority) -> Successor<'_> {
    Successor {
        certificate_pem: &authority.certificate_pem,
        handover_pem: authority.handover_pem.as_deref(),
        in_force: authority.in_force,
    }
}

fn issuing(all: &[Authority]) -> Option<String> {
    let mut issuing = all.iter().filter(|authority| authority.issues && authority.in_force);
    issuing.next_back().map(|authority| authority.certificate_pem.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use daam_identity::CertificateAuthority;

    fn made() -> CertificateAuthority {
        CertificateAuthority::generate("acme", 1_790_000_000).unwrap()
    }

    fn told(ca: &CertificateAuthority, by: Option<&CertificateAuthority>, in_force: bool) -> Authority {
        Authority {
            certificate_pem: ca.cert_pem().to_owned(),
            handover_pem: by.map(|by| by.hand_over(ca, 1_790_000_000).unwrap()),
            in_force,
            issues: in_force,
        }
    }

    #[test]
    fn what_was_followed_counts_after_a_restart_and_what_was_retired_does_not_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (made(), made());
        let open = || AuthorityStore::open(dir.path().to_owned(), old.cert_pem());
        let mut store = open().unwrap();
        assert!(store.follow(vec![told(&old, None, true), told(&new, Some(&old), true)]).unwrap());
        assert_eq!(store.believed().fingerprints().len(), 2);
        assert!(store.follow(vec![told(&old, None, false), told(&new, Some(&old), true)]).unwrap());
        let last = store.believed().clone();
        assert_eq!(last, Authorities::pinned(new.cert_pem()).unwrap());
        assert_eq!(*open().unwrap().believed(), last);
        // The old one is said to count again: it does not, now or at the next start.
        let again = vec![told(&old, None, true), told(&new, Some(&old), true)];
        assert!(!store.follow(again).unwrap());
        assert_eq!((store.believed(), open().unwrap().believed()), (&last, &last));
    }

    #[test]
    fn a_file_that_does_not_follow_from_the_pin_refuses_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new, stranger) = (made(), made(), made());
        let open = |pin: &CertificateAuthority| AuthorityStore::open(dir.path().to_owned(), pin.cert_pem());
        let mut store = open(&old).unwrap();
        let unvouched = store.follow(vec![told(&old, None, true), told(&stranger, None, true)]).unwrap_err();
        assert!(matches!(unvouched, AuthorityStoreError::Offered(FollowError::Unvouched(_))));
        assert!(store.follow(vec![told(&old, None, false), told(&new, Some(&old), true)]).unwrap());
        assert!(open(&new).is_ok(), "pinned by hand");
        assert!(matches!(open(&stranger), Err(AuthorityStoreError::Stored(_))));
        let forged = serde_json::to_vec(&[told(&old, None, true), told(&stranger, Some(&stranger), true)]);
        kept_file::replace(dir.path(), FILE, &forged.unwrap()).unwrap();
        assert!(matches!(open(&old), Err(AuthorityStoreError::Stored(_))));
        kept_file::replace(dir.path(), FILE, b"[").unwrap();
        assert!(matches!(open(&old), Err(AuthorityStoreError::Damaged)));
        assert!(AuthorityStore::open(dir.path().to_owned(), "nothing").is_err());
    }

    #[test]
    fn a_history_that_the_next_start_could_not_follow_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (made(), made());
        let open = || AuthorityStore::open(dir.path().to_owned(), old.cert_pem());
        let mut store = open().unwrap();
        assert!(store.follow(vec![told(&old, None, true), told(&new, Some(&old), true)]).unwrap());
        assert!(store.follow(vec![told(&old, None, false), told(&new, Some(&old), true)]).unwrap());
        let before = store.believed().clone();
        // All of it is believed, and nothing of it leads there from the pin.
        for cut in [Authority { issues: false, ..told(&new, None, true) }, told(&new, None, true)] {
            let refused = store.follow(vec![cut]);
            assert!(matches!(refused, Err(AuthorityStoreError::NotFromPin(_))), "{refused:?}");
        }
        assert_eq!((store.believed(), open().unwrap().believed()), (&before, &before));
    }

    #[test]
    fn what_was_retired_does_not_count_even_if_that_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (made(), made());
        let open = || AuthorityStore::open(dir.path().to_owned(), old.cert_pem());
        let mut store = open().unwrap();
        // A directory in the way of the new file stands for a full disk, whoever runs this.
        let full = dir.path().join(format!(".{FILE}.new"));
        let block = || std::fs::create_dir(&full).unwrap();
        let both = || vec![told(&old, None, true), told(&new, Some(&old), true)];
        let one = || vec![told(&old, None, false), told(&new, Some(&old), true)];
        block();
        assert!(matches!(store.follow(both()), Err(AuthorityStoreError::Disk(_))));
        assert_eq!(store.believed().fingerprints().len(), 1, "what is added counts once it is on disk");
        std::fs::remove_dir(&full).unwrap();
        assert!(store.follow(both()).unwrap());
        block();
        for _ in 0..2 {
            assert!(matches!(store.follow(one()), Err(AuthorityStoreError::Disk(_))));
            assert_eq!(*store.believed(), Authorities::pinned(new.cert_pem()).unwrap());
        }
        std::fs::remove_dir(&full).unwrap();
        assert!(!store.follow(one()).unwrap(), "nothing is new, but it is written now");
        assert_eq!(open().unwrap().believed(), store.believed());
    }
}
