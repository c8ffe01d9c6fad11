//! Streams over the direct path, and how connections end.

use crate::world::{DEADLINE, ada, agent, authority, echo, echoes, listener, listener_at, papers, plan};
use daam_identity::Principal;
use daam_tunnel::{CloseCode, DialError, DialPlan, PathKind, PathPreference, dial};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

#[tokio::test]
async fn many_streams_carry_their_own_bytes() {
    let ca = authority();
    let listener = Arc::new(listener(&ca).await);
    echo(Arc::clone(&listener));
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let tunnel = dial(plan(&ca, &own, &listener)).await.unwrap();
    assert_eq!(tunnel.path(), PathKind::Direct);
    let large = vec![7_u8; 3_000_000];
    tokio::join!(echoes(&tunnel, b"one"), echoes(&tunnel, &large), echoes(&tunnel, b"three"));
    tunnel.shutdown("done").await;
}

#[tokio::test]
async fn both_address_families_work() {
    let ca = authority();
    for bind in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
        let own = papers(&ca, &Principal::Agent(agent()), 3600);
        let listener = Arc::new(listener_at(bind, own, ca.cert_pem()).await);
        echo(Arc::clone(&listener));
        let own = papers(&ca, &Principal::User(ada()), 3600);
        let port = listener.local_addr().port();
        let host = if bind == "127.0.0.1:0" { "127.0.0.1" } else { "::1" };
        let direct = vec![SocketAddr::new(host.parse().unwrap(), port)];
        let tunnel = dial(DialPlan { direct, ..plan(&ca, &own, &listener) }).await.unwrap();
        echoes(&tunnel, b"hello").await;
    }
}

#[tokio::test]
async fn a_user_who_skips_the_first_address_reaches_the_second() {
    let ca = authority();
    let listener = Arc::new(listener(&ca).await);
    echo(Arc::clone(&listener));
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let dead = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let direct = vec![dead.local_addr().unwrap(), listener.local_addr()];
    let tunnel = dial(DialPlan { direct, ..plan(&ca, &own, &listener) }).await.unwrap();
    echoes(&tunnel, b"hello").await;
}

#[tokio::test]
async fn the_agent_learns_who_it_is_and_the_user_why_it_ended() {
    let ca = authority();
    let listener = listener(&ca).await;
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let dialling = plan(&ca, &own, &listener);
    let (tunnel, incoming) = tokio::join!(dial(dialling), listener.accept());
    let (tunnel, incoming) = (tunnel.unwrap(), incoming.unwrap());
    assert_eq!(incoming.user, ada());
    assert_eq!(incoming.path, PathKind::Direct);
    assert_eq!(incoming.cert_serial, own.issued.serial_hex);
    assert_eq!(incoming.not_after, own.issued.not_after);
    incoming.close(CloseCode::NotAllowed, "your access to `shop` was removed");
    assert_eq!(tunnel.closed().await, "your access to `shop` was removed");
    assert!(tunnel.open_stream().await.is_err());
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_and_its_live_connections_closed() {
    let ca = authority();
    let listener = Arc::new(listener(&ca).await);
    echo(Arc::clone(&listener));
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let tunnel = dial(plan(&ca, &own, &listener)).await.unwrap();
    listener.set_revoked(BTreeSet::from([own.issued.serial_hex.clone()]));
    let reason = tokio::time::timeout(DEADLINE, tunnel.closed()).await.unwrap();
    assert_eq!(reason, "your certificate was revoked");
    let refused = dial(plan(&ca, &own, &listener)).await.unwrap_err().to_string();
    assert!(refused.contains("your certificate was revoked"), "{refused}");
    let fresh = papers(&ca, &Principal::User(ada()), 3600);
    assert!(dial(plan(&ca, &fresh, &listener)).await.is_ok());
}

#[tokio::test]
async fn a_connection_ends_when_its_certificate_does() {
    let ca = authority();
    let listener = Arc::new(listener(&ca).await);
    echo(Arc::clone(&listener));
    let own = papers(&ca, &Principal::User(ada()), 4);
    let tunnel = dial(plan(&ca, &own, &listener)).await.unwrap();
    echoes(&tunnel, b"still fine").await;
    let reason = tokio::time::timeout(DEADLINE, tunnel.closed()).await.unwrap();
    assert_eq!(reason, "your sign-in has ended: your certificate has expired; log in again");
}

#[tokio::test]
async fn a_closing_agent_says_so() {
    let ca = authority();
    let listener = Arc::new(listener(&ca).await);
    echo(Arc::clone(&listener));
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let tunnel = dial(plan(&ca, &own, &listener)).await.unwrap();
    let (reason, ()) = tokio::join!(tunnel.closed(), listener.close("the agent is shutting down"));
    assert_eq!(reason, "the agent is shutting down");
}

#[tokio::test]
async fn having_no_path_is_said_at_once() {
    let ca = authority();
    let listener = listener(&ca).await;
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let mut nowhere = plan(&ca, &own, &listener);
    nowhere.prefer = PathPreference::Relay;
    assert!(matches!(dial(nowhere).await, Err(DialError::NoPath(_))));
}

#[tokio::test]
async fn one_person_cannot_take_every_place() {
    let ca = authority();
    let listener = Arc::new(listener(&ca).await);
    echo(Arc::clone(&listener));
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(dial(plan(&ca, &own, &listener)).await.unwrap());
    }
    let refused = dial(plan(&ca, &own, &listener)).await.unwrap_err().to_string();
    assert!(refused.contains("you hold 64 connections"), "{refused}");
    let bo = daam_identity::UserPrincipal { user_id: "u-bo".into(), ..ada() };
    let his = papers(&ca, &Principal::User(bo), 3600);
    echoes(&dial(plan(&ca, &his, &listener)).await.unwrap(), b"hello").await;
    held.pop().unwrap().shutdown("done").await;
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while dial(plan(&ca, &own, &listener)).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline);
    }
}
