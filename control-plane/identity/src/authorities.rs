//! The authorities an organization's certificates may come from, while one takes the place of another.
//!
//! Whoever pins an authority believes another one only by a *handover*: a certificate of the new one's key, signed by the
//! key of one that is believed. So whoever tells of a new authority has the old one's key, and could have named anybody by
//! that already; what is new is only that the old one can go. A handover is proof and nothing else: whoever checks a certificate
//! takes none that stands between it and an authority.
//! Refused: an authority of another organization, one nobody believed vouches for, a history that leaves out a believed
//! one, and to be left with none.

use crate::authority::organization_of;
use crate::certificate::hex;
use crate::word::is_signed_by_point;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::OID_SIG_ECDSA_WITH_SHA256;
use x509_parser::prelude::FromDer;

/// Most authorities of a history.
pub const MOST: usize = 64;

/// One authority as a history names it, the earliest first.
#[derive(Debug, Clone, Copy)]
pub struct Successor<'a> {
    /// Its certificate, PEM.
    pub certificate_pem: &'a str,
    /// A certificate of its key by the one before it, PEM; none for the first.
    pub handover_pem: Option<&'a str>,
    /// Whether its certificates count.
    pub in_force: bool,
}

/// Why a history was not followed. Nothing of it counts then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// Something in it cannot be read.
    #[error("a certificate of an authority is not one: {0}")]
    Unreadable(&'static str),
    /// Another organization's.
    #[error("an authority is of organization `{0}`")]
    Organization(String),
    /// Nobody believed vouches for it.
    #[error("no authority that is believed vouches for `{0}`")]
    Unvouched(String),
    /// Nothing of it is believed.
    #[error("none of its authorities is believed here")]
    Unknown,
    /// A believed one is not in it.
    #[error("it leaves out `{0}`, which is believed here")]
    LeftOut(String),
    /// Nothing would be left.
    #[error("it leaves no authority in force")]
    NothingLeft,
    /// Too long.
    #[error("it has more than {MOST} authorities")]
    TooLong,
}

/// One authority's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Authority {
    org: String,
    der: Vec<u8>,
    pem: String,
    /// An uncompressed point of P-256.
    point: Vec<u8>,
}

/// Those that are believed; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities {
    org: String,
    believed: Vec<Authority>,
}

impl Authorities {
    /// Those of a PEM text, as somebody who is trusted put them there.
    pub fn pinned(pem: &str) -> Result<Self, FollowError> {
        let mut believed: Vec<Authority> = Vec::new();
        for der in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let der = der.map_err(|_| FollowError::Unreadable("it is not PEM"))?;
            believed.push(Authority::read(&der)?);
        }
        let org = believed.first().ok_or(FollowError::Unknown)?.org.clone();
        match believed.iter().find(|authority| authority.org != org) {
            Some(other) => Err(FollowError::Organization(other.org.clone())),
            None => Ok(Self { org, believed }),
        }
    }

    /// Whose they are.
    pub fn org(&self) -> &str {
        &self.org
    }

    /// As one PEM text.
    pub fn to_pem(&self) -> String {
        self.believed.iter().map(|authority| authority.pem.as_str()).collect()
    }

    /// What each is known by.
    pub fn fingerprints(&self) -> Vec<String> {
        self.believed.iter().map(Authority::fingerprint).collect()
    }

    /// Those a history leads to from these. What is earlier in it than the first that is believed is somebody else's past.
    pub fn follow<'a>(&self, history: impl IntoIterator<Item = Successor<'a>>) -> Result<Self, FollowError> {
        let mut known: Vec<(Authority, bool)> = Vec::new();
        for (place, next) in history.into_iter().enumerate() {
            if place >= MOST {
                return Err(FollowError::TooLong);
            }
            let authority = Authority::read_pem(next.certificate_pem)?;
            if authority.org != self.org {
                return Err(FollowError::Organization(authority.org));
            }
            let pinned = self.believed.iter().any(|believed| believed.der == authority.der);
            let vouched = match (known.last(), next.handover_pem) {
                (Some((before, _)), Some(handover)) => before.vouches_for(&authority, handover)?,
                _ => false,
            };
            match pinned || vouched {
                true => known.push((authority, next.in_force)),
                false if known.is_empty() => {}
                false => return Err(FollowError::Unvouched(authority.fingerprint())),
            }
        }
        if known.is_empty() {
            return Err(FollowError::Unknown);
        }
        let is_in_it = |believed: &&Authority| known.iter().any(|(known, _)| known.der == believed.der);
        if let Some(left_out) = self.believed.iter().find(|believed| !is_in_it(believed)) {
            return Err(FollowError::LeftOut(left_out.fingerprint()));
        }
        let believed: Vec<Authority> =
            known.into_iter().filter(|(_, in_force)| *in_force).map(|(authority, _)| authority).collect();
        if believed.is_empty() {
            return Err(FollowError::NothingLeft);
        }
        Ok(Self { org: self.org.clone(), believed })
    }

    /// Whether a certificate is signed by one of these.
    pub fn signed(&self, certificate_pem: &str) -> bool {
        self.believed.iter().any(|authority| authority.signed_pem(certificate_pem))
    }
}

/// What an authority is known by, and for how long it may issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityFacts {
    /// SHA-256 of its certificate, hexadecimal.
    pub fingerprint: String,
    /// First second of validity, Unix time.
    pub not_before: i64,
    /// Last second of validity, Unix time.
    pub not_after: i64,
}

/// What the certificate of an authority says of it. Reading is not believing.
pub fn facts_of_authority(certificate_pem: &str) -> Result<AuthorityFacts, FollowError> {
    let authority = Authority::read_pem(certificate_pem)?;
    let der = CertificateDer::from(authority.der.as_slice());
    let certificate = read(&der)?;
    let validity = certificate.validity();
    Ok(AuthorityFacts {
        fingerprint: authority.fingerprint(),
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
    })
}

/// Whether the authority with this certificate signed that certificate.
pub fn is_signed_by(certificate_pem: &str, authority_pem: &str) -> bool {
    Authority::read_pem(authority_pem).is_ok_and(|authority| authority.signed_pem(certificate_pem))
}

impl Authority {
    fn read_pem(pem: &str) -> Result<Self, FollowError> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| FollowError::Unreadable("it is not PEM"))?;
        Self::read(&der)
    }

    fn read(der: &CertificateDer<'_>) -> Result<Self, FollowError> {
        let certificate = read(der)?;
        let depth = certificate
            .basic_constraints()
            .ok()
            .flatten()
            .map(|constraints| (constraints.value.ca, constraints.value.path_len_constraint));
        if depth != Some((true, Some(0))) {
            return Err(FollowError::Unreadable("it is not that of an authority with nothing below it"));
        }
        let org = organization_of(&certificate)
            .map_err(|_| FollowError::Unreadable("it does not name exactly one organization"))?;
        let point = certificate.public_key().subject_public_key.data.to_vec();
        Ok(Self { org, der: der.to_vec(), pem: pem_of(der), point })
    }

    fn fingerprint(&self) -> String {
        hex(&Sha256::digest(&self.der))
    }

    fn signed_pem(&self, certificate_pem: &str) -> bool {
        CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .is_ok_and(|der| read(&der).is_ok_and(|certificate| self.signed(&certificate)))
    }

    fn signed(&self, certificate: &X509Certificate<'_>) -> bool {
        certificate.signature_algorithm.algorithm == OID_SIG_ECDSA_WITH_SHA256
            && is_signed_by_point(
                &self.point,
                certificate.tbs_certificate.as_ref(),
                &certificate.signature_value.data,
            )
    }

    fn vouches_for(&self, next: &Self, handover_pem: &str) -> Result<bool, FollowError> {
        let der = CertificateDer::from_pem_slice(handover_pem.as_bytes())
            .map_err(|_| FollowError::Unreadable("the handover is not PEM"))?;
        let handover = Self::read(&der)?;
        let certificate = read(&der)?;
        Ok(handover.org == next.org && handover.point == next.point && self.signed(&certificate))
    }
}

fn read<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, FollowError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(FollowError::Unreadable("it is not DER")),
    }
}

fn pem_of(der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for (place, character) in body.chars().enumerate() {
        if place > 0 && place % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str("\n-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::{CertificateAuthority, make_csr};
    use crate::principal::{AgentPrincipal, Principal};

    const NOW: i64 = 1_790_000_000;

    fn authority(org: &str) -> CertificateAuthority {
        CertificateAuthority::generate(org, NOW).unwrap()
    }

    /// Each handed over to by the one before; the last two in force.
    fn history<'a>(
        all: &'a [CertificateAuthority],
        handovers: &'a [String],
        in_force: &'a [bool],
    ) -> Vec<Successor<'a>> {
        let handover = |place: usize| place.checked_sub(1).map(|before| handovers[before].as_str());
        let each = all.iter().enumerate();
        each.map(|(place, authority)| Successor {
            certificate_pem: authority.cert_pem(),
            handover_pem: handover(place),
            in_force: in_force[place],
        })
        .collect()
    }

    fn handovers(all: &[CertificateAuthority]) -> Vec<String> {
        all.windows(2).map(|pair| pair[0].hand_over(&pair[1], NOW).unwrap()).collect()
    }

    #[test]
    fn a_successor_is_believed_by_the_word_of_the_one_before_however_late_one_comes() {
        let all = [authority("acme"), authority("acme"), authority("acme")];
        let words = handovers(&all);
        let first = Authorities::pinned(all[0].cert_pem()).unwrap();
        let both = first.follow(history(&all[..2], &words, &[true, true])).unwrap();
        assert_eq!(both.fingerprints().len(), 2);
        assert_eq!(both.follow(history(&all[..2], &words, &[true, true])).unwrap(), both, "said again");
        let second = both.follow(history(&all[..2], &words, &[false, true])).unwrap();
        assert_eq!(second, Authorities::pinned(all[1].cert_pem()).unwrap());
        // Whoever slept through two changes, and whoever pinned a later one.
        let last = Authorities::pinned(all[2].cert_pem()).unwrap();
        for pinned in [&first, &both, &second, &last] {
            assert_eq!(pinned.follow(history(&all, &words, &[false, false, true])).unwrap(), last);
        }
        // The one that went does not come back by itself.
        let back = second.follow(history(&all[..2], &words, &[true, true])).unwrap();
        assert_eq!(back, second);
        assert_eq!(Authorities::pinned(&both.to_pem()).unwrap(), both);
    }

    #[test]
    fn an_authority_that_nobody_believed_vouches_for_is_refused_and_nothing_changes() {
        let all = [authority("acme"), authority("acme")];
        let (stranger, other) = (authority("acme"), authority("evil"));
        let first = Authorities::pinned(all[0].cert_pem()).unwrap();
        let words = handovers(&all);
        let offered = |certificate_pem, handover_pem| {
            let ours = Successor { certificate_pem: all[0].cert_pem(), handover_pem: None, in_force: true };
            first.follow([ours, Successor { certificate_pem, handover_pem, in_force: true }])
        };
        let self_made = stranger.hand_over(&stranger, NOW).unwrap();
        let foreign = all[0].hand_over(&other, NOW);
        assert!(foreign.is_err(), "no authority hands over to another organization's");
        for handover in [None, Some(self_made.as_str()), Some(words[0].as_str()), Some(stranger.cert_pem())] {
            assert!(
                matches!(offered(stranger.cert_pem(), handover), Err(FollowError::Unvouched(_))),
                "{handover:?}"
            );
        }
        assert!(offered(all[1].cert_pem(), Some(words[0].as_str())).is_ok());
        assert!(matches!(offered(other.cert_pem(), None), Err(FollowError::Organization(_))));
        assert!(matches!(offered("no PEM", None), Err(FollowError::Unreadable(_))));
        // What an authority signed for somebody is no word for an authority.
        let agent = AgentPrincipal { org: "acme".into(), agent_id: "a".into(), database: "d".into() };
        let (_, csr) = make_csr().unwrap();
        let issued = all[0].issue(&csr, &Principal::Agent(agent), NOW, NOW + 60).unwrap().pem;
        assert!(matches!(offered(stranger.cert_pem(), Some(&issued)), Err(FollowError::Unreadable(_))));
        let alone = |certificate_pem, in_force| {
            first.follow([Successor { certificate_pem, handover_pem: None, in_force }])
        };
        assert_eq!(alone(stranger.cert_pem(), true), Err(FollowError::Unknown));
        assert_eq!(alone(all[0].cert_pem(), false), Err(FollowError::NothingLeft));
        assert_eq!(first.follow([]), Err(FollowError::Unknown));
        let both = first.follow(history(&all, &words, &[true, true])).unwrap();
        let without = both.follow(history(&all[..1], &[], &[true]));
        assert!(matches!(without, Err(FollowError::LeftOut(_))));
        assert!(both.signed(&issued) && is_signed_by(&issued, all[0].cert_pem()));
        assert!(!is_signed_by(&issued, all[1].cert_pem()) && !is_signed_by("x", all[0].cert_pem()));
    }
}
