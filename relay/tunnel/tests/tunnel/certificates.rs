//! The negative matrix: every certificate that must not get anyone in.

use crate::world::{
    DEADLINE, Papers, ada, agent, authority, echo, echoes, listener, listener_with, now, papers, plan,
};
use daam_identity::{AgentPrincipal, CertificateAuthority, Principal};
use daam_tunnel::{DialError, DialPlan, PathPreference, TcpSettings, dial};
use rcgen::{CertificateParams, KeyPair};
use std::sync::Arc;

/// What is said over UDP and, word for word, over TCP.
async fn refusal(plan: DialPlan) -> String {
    let over_tcp = said(DialPlan {
        agent: plan.agent.clone(),
        ca_pem: plan.ca_pem.clone(),
        cert_pem: plan.cert_pem.clone(),
        key_pem: plan.key_pem.clone(),
        direct: plan.direct.clone(),
        relays: Vec::new(),
        prefer: PathPreference::DirectTcp,
        tcp: TcpSettings::default(),
    })
    .await;
    let over_udp = said(DialPlan { prefer: PathPreference::DirectUdp, ..plan }).await;
    assert_eq!(over_tcp, over_udp);
    over_udp
}

async fn said(plan: DialPlan) -> String {
    match dial(plan).await {
        Err(DialError::AllFailed(failures)) => failures.into_iter().map(|f| f.reason).collect(),
        Err(other) => other.to_string(),
        Ok(_) => panic!("this certificate must not connect"),
    }
}

async fn against_agent(named: AgentPrincipal, asked: AgentPrincipal) -> String {
    let ca = authority();
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let agents = papers(&ca, &Principal::Agent(named.clone()), 3600);
    let listener = daam_tunnel::listen(daam_tunnel::ListenConfig {
        reset_secret: "of this agent alone".to_owned().into(),
        tcp: TcpSettings::default(),
        bind: "127.0.0.1:0".parse().unwrap(),
        cert_pem: agents.cert_pem,
        key_pem: agents.key_pem,
        ca_pem: ca.cert_pem().to_owned(),
        org: named.org,
        database: named.database,
    })
    .await
    .unwrap();
    refusal(DialPlan { agent: asked, ..plan(&ca, &own, &listener) }).await
}

#[tokio::test]
async fn an_agent_for_another_database_is_refused() {
    let other = AgentPrincipal { database: "payroll".into(), ..agent() };
    let said = against_agent(agent(), other).await;
    assert_eq!(said, "it showed a certificate for database `shop`, but `payroll` was asked for");
}

#[tokio::test]
async fn another_agent_is_refused() {
    let other = AgentPrincipal { agent_id: "shop-2".into(), ..agent() };
    let said = against_agent(agent(), other).await;
    assert_eq!(said, "it showed a certificate for agent `shop-1`, but `shop-2` was asked for");
}

#[tokio::test]
async fn another_organizations_agent_with_the_same_names_is_refused() {
    let (ours, theirs) = (authority(), authority());
    let own = papers(&ours, &Principal::User(ada()), 3600);
    let listener = listener(&theirs).await;
    let said = refusal(plan(&ours, &own, &listener)).await;
    assert_eq!(said, "its certificate is not from the organization's CA");
}

#[tokio::test]
async fn an_expired_agent_is_refused() {
    let ca = authority();
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let listener = listener_with(papers(&ca, &Principal::Agent(agent()), -5), ca.cert_pem()).await;
    assert_eq!(refusal(plan(&ca, &own, &listener)).await, "its certificate has expired");
}

#[tokio::test]
async fn a_user_of_another_ca_is_refused() {
    let (ours, theirs) = (authority(), authority());
    let listener = Arc::new(listener(&ours).await);
    echo(Arc::clone(&listener));
    let own = papers(&theirs, &Principal::User(ada()), 3600);
    let said = refusal(plan(&ours, &own, &listener)).await;
    assert!(said.contains("not from this organization"), "{said}");
}

#[tokio::test]
async fn an_expired_user_is_told_before_anything_is_sent() {
    let ca = authority();
    let listener = listener(&ca).await;
    let own = papers(&ca, &Principal::User(ada()), -5);
    assert!(matches!(dial(plan(&ca, &own, &listener)).await, Err(DialError::CertificateExpired(_))));
}

#[tokio::test]
async fn an_agents_certificate_does_not_make_a_user() {
    let ca = authority();
    let listener = listener(&ca).await;
    let own = papers(&ca, &Principal::Agent(agent()), 3600);
    assert!(matches!(dial(plan(&ca, &own, &listener)).await, Err(DialError::NotAUser)));
}

#[tokio::test]
async fn a_user_of_another_organization_is_refused_before_anything_is_sent() {
    let ours = authority();
    let theirs = CertificateAuthority::generate("rival", now()).unwrap();
    let listener = listener(&ours).await;
    let eve = daam_identity::UserPrincipal { org: "rival".into(), ..ada() };
    let own = papers(&theirs, &Principal::User(eve), 3600);
    let refused = dial(plan(&ours, &own, &listener)).await;
    assert!(matches!(refused, Err(DialError::OtherOrganization { .. })));
}

#[tokio::test]
async fn a_users_certificate_does_not_make_an_agent() {
    let ca = authority();
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let refused = daam_tunnel::listen(daam_tunnel::ListenConfig {
        reset_secret: "of this agent alone".to_owned().into(),
        tcp: TcpSettings::default(),
        bind: "127.0.0.1:0".parse().unwrap(),
        cert_pem: own.cert_pem,
        key_pem: own.key_pem,
        ca_pem: ca.cert_pem().to_owned(),
        org: "acme".into(),
        database: "shop".into(),
    })
    .await;
    assert!(matches!(refused, Err(daam_tunnel::ListenError::WrongPrincipal { .. })));
}

#[tokio::test]
async fn a_self_signed_certificate_names_nobody() {
    let ca = authority();
    let listener = listener(&ca).await;
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["x.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let mut own = papers(&ca, &Principal::User(ada()), 3600);
    own = Papers { cert_pem: certificate.pem(), key_pem: key.serialize_pem().into(), ..own };
    assert!(matches!(dial(plan(&ca, &own, &listener)).await, Err(DialError::Credentials(_))));
}

/// Valid from in an hour.
fn tomorrow(ca: &CertificateAuthority, principal: &Principal) -> Papers {
    let (key_pem, csr_pem) = daam_identity::make_csr().unwrap();
    let issued = ca.issue(&csr_pem, principal, now() + 3600, now() + 7200).unwrap();
    Papers { cert_pem: issued.pem.clone(), key_pem, issued }
}

#[tokio::test]
async fn an_agent_whose_certificate_is_not_valid_yet_is_refused_with_a_word_about_clocks() {
    let ca = authority();
    let agents = tomorrow(&ca, &Principal::Agent(agent()));
    let listener = listener_with(agents, ca.cert_pem()).await;
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let said = refusal(plan(&ca, &own, &listener)).await;
    assert!(said.contains("not valid yet") && said.contains("clock"), "{said}");
}

#[tokio::test]
async fn a_user_whose_certificate_is_not_valid_yet_is_refused_by_the_agent() {
    let ca = authority();
    let listener = listener(&ca).await;
    let own = tomorrow(&ca, &Principal::User(ada()));
    let said = refusal(plan(&ca, &own, &listener)).await;
    assert!(said.contains("certificate"), "{said}");
}

/// Waits until the clock has passed `at`, in Unix seconds.
async fn past(at: i64) {
    while now() <= at {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_session_outlives_its_first_certificate_when_it_was_renewed_and_no_longer_than_the_second() {
    let ca = authority();
    let listener = Arc::new(listener(&ca).await);
    echo(Arc::clone(&listener));
    let (first, second) = (papers(&ca, &Principal::User(ada()), 3), papers(&ca, &Principal::User(ada()), 8));
    let tunnel = dial(plan(&ca, &first, &listener)).await.unwrap();
    let stream = tunnel.open_stream().await.unwrap();
    tunnel.renew(&second.cert_pem, &second.key_pem, ca.cert_pem()).await.unwrap();
    past(first.issued.not_after + 1).await;
    // What was open stays open, and more can be opened.
    echoes(&tunnel, b"after the first certificate").await;
    let (mut read, mut write) = tokio::io::split(stream);
    tokio::io::AsyncWriteExt::write_all(&mut write, b"x").await.unwrap();
    let mut back = [0];
    tokio::io::AsyncReadExt::read_exact(&mut read, &mut back).await.unwrap();
    let said = tokio::time::timeout(DEADLINE, tunnel.closed()).await.unwrap();
    assert!(said.contains("sign-in has ended") && now() >= second.issued.not_after, "{said}");
}

#[tokio::test]
async fn a_session_is_renewed_by_nobody_else_and_not_by_a_revoked_certificate() {
    let ca = authority();
    let listener = Arc::new(listener(&ca).await);
    echo(Arc::clone(&listener));
    let first = papers(&ca, &Principal::User(ada()), 60);
    let tunnel = dial(plan(&ca, &first, &listener)).await.unwrap();
    let renewed = async |own: &Papers| {
        tunnel.renew(&own.cert_pem, &own.key_pem, ca.cert_pem()).await.map_err(|error| error.to_string())
    };
    let other = daam_identity::UserPrincipal { device: "phone".into(), ..ada() };
    let said = renewed(&papers(&ca, &Principal::User(other), 3600)).await.unwrap_err();
    assert!(said.contains("somebody else's"), "{said}");
    let said = renewed(&papers(&ca, &Principal::User(ada()), 30)).await.unwrap_err();
    assert!(said.contains("does not last longer"), "{said}");
    let revoked = papers(&ca, &Principal::User(ada()), 3600);
    listener.set_revoked([revoked.issued.serial_hex.clone()].into());
    let said = renewed(&revoked).await.unwrap_err();
    assert!(said.contains("revoked"), "{said}");
    // None of that harmed the session, and a good certificate is still taken.
    echoes(&tunnel, b"still here").await;
    let second = papers(&ca, &Principal::User(ada()), 3600);
    renewed(&second).await.unwrap();
    // From now on it stands and falls with the second.
    listener.set_revoked([first.issued.serial_hex.clone()].into());
    echoes(&tunnel, b"the first one is history").await;
    listener.set_revoked([second.issued.serial_hex.clone()].into());
    let said = tokio::time::timeout(DEADLINE, tunnel.closed()).await.unwrap();
    assert!(said.contains("revoked"), "{said}");
}

/// A certificate that another authority issued, with the word of `ca` that this one takes its place.
fn by_successor(ca: &CertificateAuthority, principal: &Principal) -> Papers {
    let successor = authority();
    let own = papers(&successor, principal, 3600);
    let word = ca.hand_over(&successor, now()).unwrap();
    Papers { cert_pem: own.cert_pem.clone() + &word, ..own }
}

#[tokio::test]
async fn the_word_for_a_successor_is_no_certificate_to_sign_others_by() {
    let ca = authority();
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let agents = by_successor(&ca, &Principal::Agent(agent()));
    let shown = listener_with(agents, ca.cert_pem()).await;
    assert_eq!(refusal(plan(&ca, &own, &shown)).await, "its certificate is not from the organization's CA");
    let listener = listener(&ca).await;
    let users = by_successor(&ca, &Principal::User(ada()));
    refusal(plan(&ca, &users, &listener)).await;
}
