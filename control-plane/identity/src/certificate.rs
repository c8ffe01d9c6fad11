//! Reads the certificates we issue: who, until when, which serial.
//!
//! Reading is not trusting: the chain to the organization's CA is checked by the TLS verifier. This module
//! refuses a certificate whose names are not exactly those [`crate::CertificateAuthority`] would have written.

use crate::principal::{Principal, PrincipalError};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::fmt::Write as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// What a leaf certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// For whom it speaks.
    pub principal: Principal,
    /// Serial number, lower-case hexadecimal, 32 digits for ours.
    pub serial_hex: String,
    /// First second of validity, Unix time.
    pub not_before: i64,
    /// Last second of validity, Unix time.
    pub not_after: i64,
}

/// The principal of a certificate in DER form.
pub fn principal_of(cert_der: &[u8]) -> Result<Principal, PrincipalError> {
    facts_of(cert_der).map(|facts| facts.principal)
}

/// Everything a certificate in DER form says.
pub fn facts_of(cert_der: &[u8]) -> Result<CertificateFacts, PrincipalError> {
    let (rest, certificate) =
        X509Certificate::from_der(cert_der).map_err(|_| PrincipalError::NotACertificate)?;
    if !rest.is_empty() {
        return Err(PrincipalError::NotACertificate);
    }
    if certificate.is_ca() {
        return Err(PrincipalError::IsAuthority);
    }
    let principal = principal_in(&certificate)?;
    check_usage(&certificate, &principal)?;
    Ok(CertificateFacts {
        principal,
        serial_hex: hex(certificate.raw_serial()),
        not_before: certificate.validity().not_before.timestamp(),
        not_after: certificate.validity().not_after.timestamp(),
    })
}

/// Everything the first certificate of a PEM text says.
pub fn facts_of_pem(pem: &str) -> Result<CertificateFacts, PrincipalError> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| PrincipalError::NotACertificate)?;
    facts_of(&der)
}

/// The last second of any certificate's validity, DER, Unix time; of an authority's, too.
pub fn last_second_of(cert_der: &[u8]) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(cert_der).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

/// The same of the first certificate of a PEM text.
pub fn last_second_of_pem(pem: &str) -> Option<i64> {
    last_second_of(&CertificateDer::from_pem_slice(pem.as_bytes()).ok()?)
}

fn principal_in(certificate: &X509Certificate<'_>) -> Result<Principal, PrincipalError> {
    let names = match certificate.subject_alternative_name() {
        Ok(Some(names)) => names,
        Ok(None) => return Err(PrincipalError::Names("there are none")),
        Err(_) => return Err(PrincipalError::Names("they are not readable")),
    };
    let (mut uri, mut email, mut dns) = (None, None, None);
    for name in &names.value.general_names {
        let slot = match name {
            GeneralName::URI(text) => (&mut uri, *text),
            GeneralName::RFC822Name(text) => (&mut email, *text),
            GeneralName::DNSName(text) => (&mut dns, *text),
            _ => return Err(PrincipalError::Names("there is one of another kind")),
        };
        if slot.0.replace(slot.1).is_some() {
            return Err(PrincipalError::Names("there are two of one kind"));
        }
    }
    let uri = uri.ok_or(PrincipalError::Names("there is no URI"))?;
    let principal = Principal::from_uri(uri, email)?;
    let expected_dns = match &principal {
        Principal::User(_) => None,
        Principal::Agent(agent) => Some(agent.server_name()),
    };
    if dns != expected_dns.as_deref() {
        return Err(PrincipalError::Names("the DNS name is not the principal's"));
    }
    Ok(principal)
}

/// A user's certificate may only dial, an agent's only answer.
fn check_usage(certificate: &X509Certificate<'_>, principal: &Principal) -> Result<(), PrincipalError> {
    let usage = match certificate.extended_key_usage() {
        Ok(Some(usage)) => usage.value,
        _ => return Err(PrincipalError::Names("its permitted use is not stated")),
    };
    let (dials, answers) = match principal {
        Principal::User(_) => (true, false),
        Principal::Agent(_) => (false, true),
    };
    if usage.any || usage.client_auth != dials || usage.server_auth != answers {
        return Err(PrincipalError::Names("its permitted use is not the principal's"));
    }
    Ok(())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(facts_of(&bytes).is_err());
        }

        #[test]
        fn a_damaged_certificate_never_panics(at in 0usize..2000, with in any::<u8>()) {
            let mut der = crate::authority::tests::user_certificate_der();
            let index = at % der.len();
            der[index] = with;
            // Flipping a byte of the names may still read as another principal; the signature is TLS's to check.
            prop_assert!(facts_of(&der).map_or(32, |facts| facts.serial_hex.len()) <= 64);
        }
    }
}
