//! Computers that sleep, and agents that are started anew.

use crate::world::{DEADLINE, ada, agent, authority, echo, listener, listener_at, papers, plan};
use daam_identity::Principal;
use daam_tunnel::presence::AWAY;
use daam_tunnel::{Incoming, dial};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A computer: one thread, which can be made to stand still.
fn computer() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn echo_one(incoming: Incoming) {
    let mut stream = incoming.accept_stream().await.unwrap();
    let mut buffer = [0; 5];
    while stream.read_exact(&mut buffer).await.is_ok() {
        stream.write_all(&buffer).await.unwrap();
        stream.flush().await.unwrap();
    }
}

#[test]
fn who_sleeps_for_a_minute_is_away_meanwhile_and_the_session_goes_on_afterwards() {
    let office = tokio::runtime::Runtime::new().unwrap();
    let ca = authority();
    let listener = office.block_on(listener(&ca));
    listener.set_away(Duration::from_secs(600));
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let plan = plan(&ca, &own, &listener);
    let (slept, sleeps) = mpsc::channel();
    let (met, meets) = mpsc::channel();
    let watching = office.spawn(async move {
        let incoming = listener.accept().await.unwrap();
        let mut here = incoming.presence();
        let echoing = tokio::spawn(echo_one(incoming));
        let patience = AWAY + DEADLINE;
        tokio::time::timeout(patience, here.wait_for(|here| !here)).await.unwrap().unwrap();
        slept.send(()).unwrap();
        tokio::time::timeout(patience, here.wait_for(|here| *here)).await.unwrap().unwrap();
        met.send(()).unwrap();
        echoing.await.unwrap();
    });
    computer().block_on(async {
        let tunnel = dial(plan).await.unwrap();
        let mut stream = tunnel.open_stream().await.unwrap();
        let mut back = [0; 5];
        for (text, asleep) in [(b"first", true), (b"after", false)] {
            stream.write_all(text).await.unwrap();
            stream.flush().await.unwrap();
            tokio::time::timeout(DEADLINE, stream.read_exact(&mut back)).await.unwrap().unwrap();
            assert_eq!(&back, text);
            if asleep {
                // Nothing of this computer runs.
                sleeps.recv().unwrap();
            }
        }
        let met = tokio::task::spawn_blocking(move || meets.recv_timeout(DEADLINE));
        met.await.unwrap().unwrap();
        tunnel.shutdown("done").await;
    });
    office.block_on(watching).unwrap();
}

#[test]
fn who_is_away_for_longer_than_the_agent_waits_is_told_so() {
    let office = tokio::runtime::Runtime::new().unwrap();
    let ca = authority();
    let listener = Arc::new(office.block_on(listener(&ca)));
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let plan = plan(&ca, &own, &listener);
    let (ended, ends) = mpsc::channel();
    let watching = office.spawn(async move {
        let incoming = listener.accept().await.unwrap();
        let why = tokio::time::timeout(AWAY + DEADLINE, incoming.closed()).await.unwrap();
        ended.send(why).unwrap();
        // It goes on listening, so that the client can be told.
        listener.accept().await
    });
    computer().block_on(async {
        let tunnel = dial(plan).await.unwrap();
        assert_eq!(ends.recv().unwrap(), "closed on this side");
        let why = tokio::time::timeout(DEADLINE, tunnel.closed()).await.unwrap();
        let known = ["away for 1 minutes", "no longer knows this connection"];
        assert!(known.iter().any(|words| why.contains(words)), "{why}");
    });
    watching.abort();
}

#[test]
fn an_agent_that_was_killed_and_started_anew_says_at_once_that_sessions_are_no_more() {
    let before = tokio::runtime::Runtime::new().unwrap();
    let ca = authority();
    let own = || papers(&ca, &Principal::Agent(agent()), 3600);
    let first = own();
    let second = crate::world::Papers {
        cert_pem: first.cert_pem.clone(),
        key_pem: first.key_pem.clone(),
        issued: own().issued,
    };
    let listener = Arc::new(before.block_on(listener_at("127.0.0.1:0", first, ca.cert_pem())));
    let at = listener.local_addr().to_string();
    let developer = papers(&ca, &Principal::User(ada()), 3600);
    let plan = plan(&ca, &developer, &listener);
    before.spawn(async move {
        let _incoming = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
    });
    computer().block_on(async {
        let tunnel = dial(plan).await.unwrap();
        // Nothing is sent any more, as after `kill -9`.
        before.shutdown_background();
        let after = tokio::task::spawn_blocking(|| tokio::runtime::Runtime::new().unwrap()).await.unwrap();
        let ca_pem = ca.cert_pem().to_owned();
        let again = after.spawn(async move {
            let listener = Arc::new(listener_at(&at, second, &ca_pem).await);
            echo(Arc::clone(&listener));
            listener
        });
        let _listener = again.await.unwrap();
        // Somebody uses the session.
        let mut stream = tunnel.open_stream().await.unwrap();
        stream.write_all(b"hello").await.unwrap_or_default();
        let why = tokio::time::timeout(DEADLINE, tunnel.closed()).await.unwrap();
        assert_eq!(why, "the other side no longer knows this connection");
        after.shutdown_background();
    });
}
