//! The organization's certificate authority: ECDSA P-256, one level, names chosen by us alone.
//!
//! From a signing request only the public key is used, after the request's own signature proved possession.
//! Refuses: another organization's principals, users' certificates longer than [`MAX_USER_SECONDS`], keys
//! that are not P-256, and requests larger than [`MAX_CSR_BYTES`].

use crate::certificate::hex;
use crate::principal::{Principal, PrincipalError, check_org};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

/// Longest life of a user's certificate: 12 hours, plus 5 minutes to start a little in the past.
pub const MAX_USER_SECONDS: i64 = 12 * 3600 + 300;
/// Longest life of an agent's certificate: 366 days.
pub const MAX_AGENT_SECONDS: i64 = 366 * 86_400;
/// Life of the authority itself: ten years.
pub const AUTHORITY_SECONDS: i64 = 3_652 * 86_400;
/// Largest signing request read.
pub const MAX_CSR_BYTES: usize = 16 * 1024;

/// An uncompressed point of P-256.
const POINT_BYTES: usize = 65;

/// Signs certificates for one organization.
pub struct CertificateAuthority {
    org: String,
    cert_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate just issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate, PEM. It is signed by the CA directly, so this is the whole chain below the root.
    pub pem: String,
    /// The key it is for, an uncompressed point of P-256, base64.
    pub public_key: String,
    /// Its serial number, 32 lower-case hexadecimal digits.
    pub serial_hex: String,
    /// First second of validity, Unix time.
    pub not_before: i64,
    /// Last second of validity, Unix time.
    pub not_after: i64,
}

/// Why nothing was issued or loaded.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The principal cannot be written in a certificate.
    #[error("the principal was refused")]
    Principal(#[from] PrincipalError),
    /// The principal belongs to another organization.
    #[error("this authority signs for `{own}`, not for `{asked}`")]
    OtherOrganization {
        /// The authority's organization.
        own: String,
        /// The principal's.
        asked: String,
    },
    /// The validity asked for is not allowed.
    #[error("a validity of {asked} seconds was asked for; allowed are 1 to {allowed}")]
    Validity {
        /// Seconds asked for.
        asked: i64,
        /// Most seconds allowed.
        allowed: i64,
    },
    /// The signing request is not usable.
    #[error("the certificate signing request was refused: {0}")]
    Request(&'static str),
    /// The stored authority is not usable.
    #[error("the certificate authority cannot be used: {0}")]
    Stored(&'static str),
    /// The system gave no randomness.
    #[error("no randomness from the operating system")]
    Randomness,
    /// Key or certificate could not be made.
    #[error("the certificate could not be made")]
    Make(#[source] rcgen::Error),
}

impl CertificateAuthority {
    /// Makes a new authority for `org`, valid from `now` for ten years.
    pub fn generate(org: &str, now_unix: i64) -> Result<Self, AuthorityError> {
        check_org(org)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(AuthorityError::Make)?;
        let params = authority_params(org, now_unix)?;
        let cert_pem = params.self_signed(&key).map_err(AuthorityError::Make)?.pem();
        Ok(Self { org: org.to_owned(), cert_pem, issuer: Issuer::new(params, key) })
    }

    /// Loads an authority made by [`CertificateAuthority::generate`].
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(key_pem)
            .map_err(|_| AuthorityError::Stored("its key is not a readable private key"))?;
        let der = CertificateDer::from_pem_slice(cert_pem.as_bytes())
            .map_err(|_| AuthorityError::Stored("its certificate is not PEM"))?;
        let (_, certificate) = X509Certificate::from_der(&der)
            .map_err(|_| AuthorityError::Stored("its certificate is not readable"))?;
        if !certificate.is_ca() {
            return Err(AuthorityError::Stored("its certificate is not a CA certificate"));
        }
        if certificate.public_key().raw != key.subject_public_key_info() {
            return Err(AuthorityError::Stored("its key does not belong to its certificate"));
        }
        let org = organization_of(&certificate)?;
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(AuthorityError::Make)?;
        Ok(Self { org, cert_pem: cert_pem.to_owned(), issuer })
    }

    /// The word that another authority takes this one's place: a certificate of its key by this one's, PEM.
    /// Refused for another organization's.
    pub fn hand_over(&self, next: &Self, now_unix: i64) -> Result<String, AuthorityError> {
        if next.org != self.org {
            let asked = next.org.clone();
            return Err(AuthorityError::OtherOrganization { own: self.org.clone(), asked });
        }
        let params = authority_params(&self.org, now_unix)?;
        let handover = params.signed_by(next.issuer.key(), &self.issuer).map_err(AuthorityError::Make)?;
        Ok(handover.pem())
    }

    /// The organization it signs for.
    pub fn org(&self) -> &str {
        &self.org
    }

    /// Its certificate, PEM.
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// Its private key, PKCS#8 PEM.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// Issues a certificate for the key in `csr_pem`; every name in it comes from `principal`.
    pub fn issue(
        &self,
        csr_pem: &str,
        principal: &Principal,
        not_before_unix: i64,
        not_after_unix: i64,
    ) -> Result<Issued, AuthorityError> {
        if principal.org() != self.org {
            let asked = principal.org().to_owned();
            return Err(AuthorityError::OtherOrganization { own: self.org.clone(), asked });
        }
        let allowed = match principal {
            Principal::User(_) => MAX_USER_SECONDS,
            Principal::Agent(_) => MAX_AGENT_SECONDS,
        };
        let asked = not_after_unix.saturating_sub(not_before_unix);
        if asked < 1 || asked > allowed {
            return Err(AuthorityError::Validity { asked, allowed });
        }
        let public_key = public_key_of(csr_pem)?;
        let (serial, serial_hex) = random_serial()?;
        let mut params = params(not_before_unix, not_after_unix)?;
        params.serial_number = Some(serial);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        name(&mut params, principal)?;
        let certificate = params.signed_by(&public_key, &self.issuer).map_err(AuthorityError::Make)?;
        Ok(Issued {
            pem: certificate.pem(),
            public_key: STANDARD.encode(public_key.der_bytes()),
            serial_hex,
            not_before: not_before_unix,
            not_after: not_after_unix,
        })
    }
}

impl std::fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateAuthority").field("org", &self.org).finish_non_exhaustive()
    }
}

/// Makes a P-256 key and a request for it: `(key_pem, csr_pem)`. The request carries no names.
pub fn make_csr() -> Result<(Zeroizing<String>, String), AuthorityError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(AuthorityError::Make)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(AuthorityError::Make)?;
    let csr_pem = request.pem().map_err(AuthorityError::Make)?;
    Ok((Zeroizing::new(key.serialize_pem()), csr_pem))
}

fn authority_params(org: &str, now_unix: i64) -> Result<CertificateParams, AuthorityError> {
    let mut params = params(now_unix.saturating_sub(300), now_unix.saturating_add(AUTHORITY_SECONDS))?;
    params.serial_number = Some(random_serial()?.0);
    params.distinguished_name.push(DnType::OrganizationName, org);
    params.distinguished_name.push(DnType::CommonName, format!("daam CA of {org}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn name(params: &mut CertificateParams, principal: &Principal) -> Result<(), AuthorityError> {
    let uri = ia5(principal.uri()?)?;
    params.subject_alt_names.push(SanType::URI(uri));
    let usage = match principal {
        Principal::User(user) => {
            params.subject_alt_names.push(SanType::Rfc822Name(ia5(user.email.clone())?));
            ExtendedKeyUsagePurpose::ClientAuth
        }
        Principal::Agent(agent) => {
            params.subject_alt_names.push(SanType::DnsName(ia5(agent.server_name())?));
            ExtendedKeyUsagePurpose::ServerAuth
        }
    };
    params.extended_key_usages = vec![usage];
    // The subject is for people reading logs; nothing of ours ever decides by it.
    params.distinguished_name.push(DnType::OrganizationName, principal.org());
    Ok(())
}

fn ia5(text: String) -> Result<rcgen::string::Ia5String, AuthorityError> {
    rcgen::string::Ia5String::try_from(text).map_err(AuthorityError::Make)
}

fn params(not_before: i64, not_after: i64) -> Result<CertificateParams, AuthorityError> {
    let moment = |unix| {
        OffsetDateTime::from_unix_timestamp(unix)
            .map_err(|_| AuthorityError::Validity { asked: not_after, allowed: AUTHORITY_SECONDS })
    };
    let mut params = CertificateParams::default();
    params.not_before = moment(not_before)?;
    params.not_after = moment(not_after)?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params)
}

/// 128 random bits; the top bit is cleared so that the number is positive and its hexadecimal form fixed.
fn random_serial() -> Result<(SerialNumber, String), AuthorityError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|_| AuthorityError::Randomness)?;
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x3f) | 0x40;
    }
    Ok((SerialNumber::from_slice(&bytes), hex(&bytes)))
}

fn public_key_of(csr_pem: &str) -> Result<rcgen::PublicKey, AuthorityError> {
    if csr_pem.len() > MAX_CSR_BYTES {
        return Err(AuthorityError::Request("it is larger than 16 KiB"));
    }
    let request = CertificateSigningRequestParams::from_pem(csr_pem)
        .map_err(|_| AuthorityError::Request("it is not a readable, self-signed PKCS#10 request"))?;
    // What the request says about the algorithm is of its signature; the key itself is an uncompressed point of the curve,
    // and the signature that was verified with it says that it is one.
    let key = request.public_key.der_bytes();
    if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256
        || key.len() != POINT_BYTES
        || key.first() != Some(&0x04)
    {
        return Err(AuthorityError::Request("its key is not ECDSA P-256"));
    }
    Ok(request.public_key)
}

pub(crate) fn organization_of(certificate: &X509Certificate<'_>) -> Result<String, AuthorityError> {
    let mut names = certificate.subject().iter_organization();
    match (names.next(), names.next()) {
        (Some(name), None) => {
            let org =
                name.as_str().map_err(|_| AuthorityError::Stored("its organization is not readable"))?;
            check_org(org)?;
            Ok(org.to_owned())
        }
        _ => Err(AuthorityError::Stored("its certificate does not name exactly one organization")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::certificate::facts_of_pem;
    use crate::principal::{AgentPrincipal, UserPrincipal};

    const NOW: i64 = 1_790_000_000;

    fn user(org: &str) -> Principal {
        Principal::User(UserPrincipal {
            org: org.into(),
            user_id: "u-1".into(),
            email: "ada@acme.example".into(),
            device: "laptop".into(),
            databases: crate::principal::Databases::Any,
        })
    }

    fn agent() -> Principal {
        Principal::Agent(AgentPrincipal {
            org: "acme".into(),
            agent_id: "shop-1".into(),
            database: "shop".into(),
        })
    }

    pub(crate) fn user_certificate_der() -> Vec<u8> {
        let authority = CertificateAuthority::generate("acme", NOW).unwrap();
        let (_, csr) = make_csr().unwrap();
        let issued = authority.issue(&csr, &user("acme"), NOW, NOW + 60).unwrap();
        CertificateDer::from_pem_slice(issued.pem.as_bytes()).unwrap().to_vec()
    }

    #[test]
    fn what_was_asked_for_is_what_the_certificate_says() {
        let authority = CertificateAuthority::generate("acme", NOW).unwrap();
        for principal in [user("acme"), agent()] {
            let (_, csr) = make_csr().unwrap();
            let issued = authority.issue(&csr, &principal, NOW - 60, NOW + 3600).unwrap();
            let facts = facts_of_pem(&issued.pem).unwrap();
            assert_eq!(facts.principal, principal);
            assert_eq!(facts.serial_hex, issued.serial_hex);
            assert_eq!(facts.serial_hex.len(), 32);
            assert_eq!((facts.not_before, facts.not_after), (NOW - 60, NOW + 3600));
        }
    }

    #[test]
    fn names_in_the_request_are_ignored() {
        let authority = CertificateAuthority::generate("acme", NOW).unwrap();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut wish = CertificateParams::new(vec!["admin.example".to_owned()]).unwrap();
        wish.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        wish.distinguished_name.push(DnType::OrganizationName, "evil");
        let csr = wish.serialize_request(&key).unwrap().pem().unwrap();
        let issued = authority.issue(&csr, &user("acme"), NOW, NOW + 60).unwrap();
        assert_eq!(facts_of_pem(&issued.pem).unwrap().principal, user("acme"));
    }

    #[test]
    fn another_organizations_user_is_refused() {
        let authority = CertificateAuthority::generate("acme", NOW).unwrap();
        let (_, csr) = make_csr().unwrap();
        let refused = authority.issue(&csr, &user("other"), NOW, NOW + 60);
        assert!(matches!(refused, Err(AuthorityError::OtherOrganization { .. })));
    }

    #[test]
    fn a_user_certificate_lives_at_most_twelve_hours() {
        let authority = CertificateAuthority::generate("acme", NOW).unwrap();
        let (_, csr) = make_csr().unwrap();
        assert!(authority.issue(&csr, &user("acme"), NOW - 300, NOW + 12 * 3600).is_ok());
        for (from, to) in [(NOW, NOW + 13 * 3600), (NOW, NOW), (NOW, NOW - 1), (i64::MIN, i64::MAX)] {
            assert!(matches!(
                authority.issue(&csr, &user("acme"), from, to),
                Err(AuthorityError::Validity { .. })
            ));
        }
    }

    /// A key on P-384, and a signature with SHA-256.
    const P384: &str = "-----BEGIN CERTIFICATE REQUEST-----\n\
MIH4MH8CAQAwADB2MBAGByqGSM49AgEGBSuBBAAiA2IABFW6tTtkjETJqspxIT8o\n\
U10JfudlxCqPw+pdvVt/VFDGeN32U96YsHP1cQzd8xAN65b8YrnJ2KChrF5kwYa+\n\
cbaSdUNPmwF7JiECAJAvYNuPCtsaNAP5FL1F4izGpnD8hKAAMAoGCCqGSM49BAMC\n\
A2kAMGYCMQDLfUvVFjJ1QOiqWm/KXJQWBCg12UK1p0KeA2vwQRJSoP45Z1IoU4se\n\
qOBLtsMCyPACMQD9I/i2M3FYE4T1z8pE2vWYWcNJ2Jbp19rmUdXMns0m7A3rCHI/\n\
xvgNgYW4WXISsvY=\n\
-----END CERTIFICATE REQUEST-----";

    #[test]
    fn a_key_on_another_curve_is_refused_whatever_it_is_signed_with() {
        let authority = CertificateAuthority::generate("acme", NOW).unwrap();
        let refused = authority.issue(P384, &user("acme"), NOW, NOW + 60);
        assert!(matches!(refused, Err(AuthorityError::Request(_))), "{refused:?}");
    }

    #[test]
    fn a_request_for_another_kind_of_key_is_refused() {
        let authority = CertificateAuthority::generate("acme", NOW).unwrap();
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let csr = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        let refused = authority.issue(&csr, &user("acme"), NOW, NOW + 60);
        assert!(matches!(refused, Err(AuthorityError::Request(_))));
        assert!(authority.issue("no PEM at all", &user("acme"), NOW, NOW + 60).is_err());
    }

    #[test]
    fn an_authority_survives_storage_and_a_foreign_key_is_noticed() {
        let authority = CertificateAuthority::generate("acme", NOW).unwrap();
        let other = CertificateAuthority::generate("acme", NOW).unwrap();
        let loaded = CertificateAuthority::from_pem(authority.cert_pem(), &authority.key_pem()).unwrap();
        assert_eq!(loaded.org(), "acme");
        let (_, csr) = make_csr().unwrap();
        let issued = loaded.issue(&csr, &agent(), NOW, NOW + 60).unwrap();
        assert_eq!(facts_of_pem(&issued.pem).unwrap().principal, agent());
        assert!(CertificateAuthority::from_pem(authority.cert_pem(), &other.key_pem()).is_err());
        assert!(CertificateAuthority::from_pem(&issued.pem, &authority.key_pem()).is_err());
    }

    #[test]
    fn the_authority_itself_is_no_principal() {
        let authority = CertificateAuthority::generate("acme", NOW).unwrap();
        assert_eq!(facts_of_pem(authority.cert_pem()), Err(PrincipalError::IsAuthority));
    }
}
