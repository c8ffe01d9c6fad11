//! Clients that skip our own checks, and agents in bad hands: what each side refuses by itself.

use crate::simulated::ms;
use crate::world::{DEADLINE, ada, agent, authority, listener, now, papers};
use daam_identity::{CertificateAuthority, Principal};
use daam_tunnel::path::select::{Action, Paths};
use daam_tunnel::{Listener, PathKey, PathPreference};
use quinn::crypto::rustls::QuicClientConfig;
use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::sync::Arc;
use std::time::Duration;

/// Believes anyone: the agent has to protect itself.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

struct Shown<'a> {
    identity: Option<(&'a str, &'a str)>,
    alpn: &'a [u8],
}

/// Connects with whatever is given, opens a stream, and returns why the agent ended the connection.
async fn ended(listener: &Listener, shown: Shown<'_>) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone));
    let mut tls = match shown.identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    tls.alpn_protocols = vec![shown.alpn.to_vec()];
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let connecting = endpoint.connect_with(config, listener.local_addr(), "x.example").unwrap();
    let end = async {
        match connecting.await {
            Err(error) => error.to_string(),
            Ok(connection) => connection.closed().await.to_string(),
        }
    };
    tokio::select! {
        end = tokio::time::timeout(DEADLINE, end) => end.unwrap(),
        _ = listener.accept() => panic!("this client must not be let in"),
    }
}

#[tokio::test]
async fn nobody_gets_in_without_a_certificate() {
    let listener = listener(&authority()).await;
    let said = ended(&listener, Shown { identity: None, alpn: b"daam/1" }).await;
    assert!(said.contains("no certificates"), "{said}");
}

#[tokio::test]
async fn another_protocol_is_refused() {
    let ca = authority();
    let listener = listener(&ca).await;
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let shown = Shown { identity: Some((&own.cert_pem, &own.key_pem)), alpn: b"h3" };
    let said = ended(&listener, shown).await;
    assert!(said.contains("120") || said.contains("protocol"), "{said}");
}

#[tokio::test]
async fn an_expired_user_is_refused() {
    let ca = authority();
    let listener = listener(&ca).await;
    let own = papers(&ca, &Principal::User(ada()), -5);
    let shown = Shown { identity: Some((&own.cert_pem, &own.key_pem)), alpn: b"daam/1" };
    let said = ended(&listener, shown).await;
    assert!(said.to_lowercase().contains("expired"), "{said}");
}

#[tokio::test]
async fn an_agents_certificate_is_refused_as_a_users() {
    let ca = authority();
    let listener = listener(&ca).await;
    let own = papers(&ca, &Principal::Agent(agent()), 3600);
    let shown = Shown { identity: Some((&own.cert_pem, &own.key_pem)), alpn: b"daam/1" };
    let said = ended(&listener, shown).await;
    assert!(said.contains("does not allow"), "{said}");
}

/// A certificate the real CA's key signed, but with names of our choosing.
fn forged(ca: &CertificateAuthority, names: Vec<SanType>) -> (String, String) {
    let issuer = Issuer::from_ca_cert_pem(ca.cert_pem(), KeyPair::from_pem(&ca.key_pem()).unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.not_before = time::OffsetDateTime::from_unix_timestamp(now() - 60).unwrap();
    params.not_after = time::OffsetDateTime::from_unix_timestamp(now() + 60).unwrap();
    params.subject_alt_names = names;
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn email() -> SanType {
    SanType::Rfc822Name("ada@acme.example".try_into().unwrap())
}

#[tokio::test]
async fn the_right_ca_with_the_wrong_names_is_refused() {
    let ca = authority();
    let listener = listener(&ca).await;
    let ours = "daam://acme/user/u-ada?device=laptop";
    let cases = [
        (vec![uri("daam://rival/user/u-ada?device=laptop"), email()], "for organization `rival`"),
        (vec![email()], "there is no URI"),
        (vec![uri(ours)], "needs an e-mail"),
        (vec![uri(ours), uri("daam://acme/user/root?device=x"), email()], "two of one kind"),
        (vec![uri(ours), email(), SanType::DnsName("x.example".try_into().unwrap())], "DNS name"),
        (vec![uri("daam://acme/user/%75-ada?device=laptop"), email()], "not the canonical spelling"),
    ];
    for (names, expected) in cases {
        let (cert, key) = forged(&ca, names);
        let said = ended(&listener, Shown { identity: Some((&cert, &key)), alpn: b"daam/1" }).await;
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[tokio::test]
async fn a_certificate_of_a_home_made_ca_is_refused() {
    let ca = authority();
    let listener = listener(&ca).await;
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let own_ca = CertifiedIssuer::self_signed(params, key).unwrap();
    let leaf_key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::default();
    leaf.subject_alt_names = vec![uri("daam://acme/user/u-ada?device=laptop"), email()];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&leaf_key, &own_ca).unwrap();
    let (cert, key) = (leaf.pem(), leaf_key.serialize_pem());
    let said = ended(&listener, Shown { identity: Some((&cert, &key)), alpn: b"daam/1" }).await;
    assert!(said.contains("UnknownIssuer"), "{said}");
}

/// An agent in bad hands names new addresses all the time.
#[test]
fn a_peer_cannot_make_us_scan_its_choice_of_addresses() {
    let mut paths = Paths::new(PathPreference::Auto, PathKey::Relay(0), Duration::ZERO);
    let mut probed = std::collections::BTreeSet::new();
    for now in 0..60_000_u64 {
        let port = u16::try_from(1024 + now).unwrap_or(1024);
        paths.offer(PathKey::Direct(std::net::SocketAddr::from(([10, 0, 0, 1], port))), ms(now));
        for action in paths.poll(ms(now)) {
            if let Action::Probe { to: PathKey::Direct(addr), .. } = action {
                probed.insert(addr);
            }
        }
    }
    assert!(probed.len() <= 32 + 60 / 3, "{} addresses in a minute", probed.len());
}
