//! Who this device is: the sign-in (a token) and the short-lived certificate made from it.
//!
//! The private key is made here and never leaves the device. A certificate that is about to expire is replaced
//! silently while the token is valid. There is no database credential among these files, and none anywhere else
//! on this machine.

use crate::control_plane::ControlPlane;
use crate::error::{CliError, Doing as _};
use crate::home::{Home, read_if_present, write_private};
use daam_api::link::Authority;
use daam_api::v1;
use daam_identity::{Authorities, Successor};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// A certificate is replaced this long before it ends.
const MARGIN: Duration = Duration::minutes(2);

/// A sign-in at a control plane.
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    /// Address of the control plane.
    pub control_plane: String,
    /// Organization slug.
    pub org: String,
    /// E-mail.
    pub email: String,
    /// This device's id, made here.
    pub device: String,
    /// The API token.
    pub token: String,
}

impl fmt::Debug for Login {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("email", &self.email).finish_non_exhaustive()
    }
}

impl Login {
    /// The stored sign-in.
    pub fn load(home: &Home) -> Result<Self, CliError> {
        let sign_in = || {
            CliError::usage("you are not signed in")
                .remedy("run `daam login --control-plane https://…` first")
        };
        let path = home.file("login.json");
        let text = read_if_present(&path)?.ok_or_else(sign_in)?;
        serde_json::from_str(&text).doing(format_args!("understand `{}`", path.display()))
    }

    /// Stores it, replacing another.
    pub fn store(&self, home: &Home) -> Result<(), CliError> {
        home.prepare()?;
        let text = serde_json::to_string_pretty(self).doing("write the sign-in")?;
        write_private(&home.file("login.json"), text)
    }

    /// The control plane, with the stored token.
    pub fn control_plane(&self) -> Result<ControlPlane, CliError> {
        ControlPlane::new(&self.control_plane, &self.token)
    }
}

/// A key made here and the certificate for it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// Private key, PEM.
    pub key_pem: String,
    /// Certificate, PEM.
    pub certificate_pem: String,
    /// The organization's CA, PEM; both while one takes the place of another.
    pub ca_pem: String,
    /// RFC 3339.
    pub not_after: String,
    /// How that followed from an earlier one, as it came with the certificate.
    #[serde(skip)]
    pub authorities: Vec<Authority>,
}

impl fmt::Debug for Identity {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

impl Identity {
    /// Makes a key and asks for a certificate.
    pub async fn request(plane: &ControlPlane, device: &str) -> Result<Self, CliError> {
        let (key_pem, csr_pem) = daam_identity::make_csr().doing("make a key")?;
        let request = v1::CertificateRequest { csr_pem, device: device.to_owned() };
        let issued = plane.certificate(&request).await?;
        Ok(Self {
            key_pem: key_pem.to_string(),
            certificate_pem: issued.certificate_pem,
            ca_pem: issued.ca_pem,
            not_after: issued.not_after,
            authorities: issued.authorities,
        })
    }

    /// The CAs an agent may be of by what is offered with it: those held, and what follows from them.
    pub fn believing(&self, offered: &[Authority]) -> Result<String, CliError> {
        if offered.is_empty() {
            return Ok(self.ca_pem.clone());
        }
        followed(&self.ca_pem, offered).map(|authorities| authorities.to_pem())
    }

    /// Whether one of these CAs signed the certificate.
    pub fn is_of(&self, ca_pem: &str) -> bool {
        Authorities::pinned(ca_pem).is_ok_and(|authorities| authorities.signed(&self.certificate_pem))
    }

    /// Whether it will still be accepted for a while.
    pub fn is_fresh(&self, now: OffsetDateTime) -> bool {
        OffsetDateTime::parse(&self.not_after, &Rfc3339).is_ok_and(|end| now + MARGIN < end)
    }
}

/// Where the certificate is kept between uses.
#[derive(Debug)]
pub enum IdentityStore {
    /// In a private file.
    File(PathBuf),
    /// Only in this process.
    Memory(Option<Identity>),
}

impl IdentityStore {
    /// The store of the stored sign-in.
    pub fn of_login(home: &Home) -> Self {
        Self::File(home.file("certificate.json"))
    }

    /// A certificate that is fresh now, made anew if need be.
    pub async fn fresh(&mut self, plane: &ControlPlane, device: &str) -> Result<Identity, CliError> {
        let stored = match self {
            Self::File(path) => read_identity(path)?,
            Self::Memory(identity) => identity.clone(),
        };
        if let Some(identity) = stored.filter(|identity| identity.is_fresh(OffsetDateTime::now_utc())) {
            return Ok(identity);
        }
        self.renew(plane, device).await
    }

    /// A new certificate, whatever is stored.
    pub async fn renew(&mut self, plane: &ControlPlane, device: &str) -> Result<Identity, CliError> {
        let identity = Identity::request(plane, device).await?;
        self.keep(&identity)?;
        Ok(identity)
    }

    /// Refuses a certificate of another authority than the one of the sign-in: the connections it made would trust whoever
    /// that one names.
    pub fn check(&self, identity: &Identity) -> Result<(), CliError> {
        let held = match self {
            Self::File(path) => read_identity(path)?,
            Self::Memory(identity) => identity.clone(),
        };
        let Some(held) = held.filter(|held| held.ca_pem != identity.ca_pem) else { return Ok(()) };
        let followed = followed(&held.ca_pem, &identity.authorities)?;
        if Authorities::pinned(&identity.ca_pem).is_ok_and(|named| named == followed) {
            return Ok(());
        }
        Err(another("it names others than its own history leads to"))
    }

    /// Whoever signs in again begins anew.
    pub fn forget(&mut self) -> Result<(), CliError> {
        match self {
            Self::File(path) => match std::fs::remove_file(&*path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(error).doing(format_args!("remove `{}`", path.display()))
                }
                _ => Ok(()),
            },
            Self::Memory(slot) => {
                *slot = None;
                Ok(())
            }
        }
    }

    /// Keeps a new certificate in the place of the old one, of the same authority.
    pub fn keep(&mut self, identity: &Identity) -> Result<(), CliError> {
        self.check(identity)?;
        match self {
            Self::File(path) => {
                let text = serde_json::to_string_pretty(identity).doing("write the certificate")?;
                write_private(path, text)
            }
            Self::Memory(slot) => {
                *slot = Some(identity.clone());
                Ok(())
            }
        }
    }
}

/// What the CAs held lead to.
fn followed(held_pem: &str, offered: &[Authority]) -> Result<Authorities, CliError> {
    let held = Authorities::pinned(held_pem).map_err(|error| another(&error.to_string()))?;
    held.follow(offered.iter().map(successor)).map_err(|error| another(&error.to_string()))
}

fn successor(authority: &Authority) -> Successor<'_> {
    Successor {
        certificate_pem: &authority.certificate_pem,
        handover_pem: authority.handover_pem.as_deref(),
        in_force: authority.in_force,
    }
}

fn another(why: &str) -> CliError {
    CliError::usage(format!("the control plane names another identity CA than when you signed in: {why}"))
        .remedy("ask an admin whether the organization has a new one; then run `daam login` again")
}

/// A file that cannot be understood counts as absent: it is only a cache.
fn read_identity(path: &Path) -> Result<Option<Identity>, CliError> {
    Ok(read_if_present(path)?.and_then(|text| serde_json::from_str(&text).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(not_after: &str) -> Identity {
        Identity {
            key_pem: "secret".to_owned(),
            certificate_pem: String::new(),
            ca_pem: String::new(),
            authorities: Vec::new(),
            not_after: not_after.to_owned(),
        }
    }

    #[test]
    fn a_certificate_of_another_authority_takes_a_new_sign_in() {
        let dir = tempfile::tempdir().unwrap();
        let of =
            |authority: &str| Identity { ca_pem: authority.to_owned(), ..identity("2026-01-01T09:00:00Z") };
        for mut store in [IdentityStore::File(dir.path().join("c.json")), IdentityStore::Memory(None)] {
            store.keep(&of("ours")).unwrap();
            store.keep(&of("ours")).unwrap();
            let refused = store.keep(&of("another")).unwrap_err().to_string();
            assert!(refused.contains("another identity CA"), "{refused}");
            assert!(store.check(&of("ours")).is_ok(), "what was held stays");
            store.forget().unwrap();
            store.forget().unwrap();
            store.keep(&of("another")).unwrap();
        }
    }

    #[test]
    fn an_authority_that_the_one_held_hands_over_to_takes_no_sign_in() {
        let [old, new, stranger] =
            [(); 3].map(|()| daam_identity::CertificateAuthority::generate("acme", 1_790_000_000).unwrap());
        let history = |by: Option<&daam_identity::CertificateAuthority>, old_counts: bool| {
            let told = |ca: &daam_identity::CertificateAuthority, handover_pem, in_force| Authority {
                certificate_pem: ca.cert_pem().to_owned(),
                handover_pem,
                in_force,
                issues: false,
            };
            let handover = by.map(|by| by.hand_over(&new, 1_790_000_000).unwrap());
            vec![told(&old, None, old_counts), told(&new, handover, true)]
        };
        let of = |ca_pem: String, authorities| Identity {
            ca_pem,
            authorities,
            ..identity("2026-01-01T09:00:00Z")
        };
        let both = format!("{}{}", old.cert_pem(), new.cert_pem());
        let mut store = IdentityStore::Memory(Some(of(old.cert_pem().to_owned(), Vec::new())));
        for unvouched in [history(None, true), history(Some(&stranger), true), Vec::new()] {
            let refused = store.keep(&of(both.clone(), unvouched)).unwrap_err().to_string();
            assert!(refused.contains("another identity CA"), "{refused}");
        }
        let slipped_in = of(format!("{both}{}", stranger.cert_pem()), history(Some(&old), true));
        assert!(store.keep(&slipped_in).is_err(), "more than what the history leads to");
        let held = of(old.cert_pem().to_owned(), Vec::new());
        assert_eq!(held.believing(&history(Some(&old), false)).unwrap(), new.cert_pem());
        assert!(held.believing(&history(Some(&stranger), true)).is_err());
        store.keep(&of(both, history(Some(&old), true))).unwrap();
        store.keep(&of(new.cert_pem().to_owned(), history(Some(&old), false))).unwrap();
        assert!(store.keep(&of(old.cert_pem().to_owned(), Vec::new())).is_err(), "it does not come back");
    }

    #[test]
    fn a_certificate_is_replaced_shortly_before_it_ends() {
        let now = OffsetDateTime::parse("2026-01-01T10:00:00Z", &Rfc3339).unwrap();
        assert!(identity("2026-01-01T10:05:00Z").is_fresh(now));
        assert!(!identity("2026-01-01T10:01:00Z").is_fresh(now));
        assert!(!identity("2026-01-01T09:00:00Z").is_fresh(now));
        assert!(!identity("soon").is_fresh(now));
    }

    #[test]
    fn signed_out_says_how_to_sign_in() {
        let scratch = tempfile::tempdir().unwrap();
        let error = Login::load(&Home::at(scratch.path())).unwrap_err();
        assert!(error.report().contains("daam login"));
        assert!(!format!("{:?}", identity("")).contains("secret"));
    }
}
