//! One attempt to reach the agent: the steps of each way, and how far it came.

use crate::close::{CloseCode, describe};
use crate::direct_tcp::{self, Carrier};
use crate::path::doors::TcpFault;
use crate::race::Candidate;
use crate::relay_access::AccessState;
use crate::relay_link::LinkState;
use crate::socket::{PathSocket, Route, Via};
use crate::stream::{HEADER_BYTES, StreamKind};
use crate::tls::{Credentials, Verdict};
use crate::wire::BindRefusal;
use daam_identity::AgentPrincipal;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long an agent may be unknown to its relay before we believe it: both may just have started.
const AGENT_GRACE: Duration = Duration::from_secs(3);

/// A connection the agent accepted, and the way it went.
pub(crate) struct Established {
    pub(crate) connection: Connection,
    pub(crate) control: (SendStream, RecvStream),
    pub(crate) peer: SocketAddr,
    pub(crate) route: Route,
    /// The TCP connection below it, if there is one.
    pub(crate) carrier: Option<Carrier>,
}

/// What became of an attempt.
pub(crate) enum Outcome {
    Bound(Candidate),
    Connected(Candidate, Box<Established>),
    Failed(Candidate, &'static str, String),
    /// Nothing was tried, so there is nothing to tell.
    Skipped(Candidate),
}

/// Whom to reach, as whom, with which socket.
#[derive(Clone)]
pub(crate) struct Dialler {
    pub(crate) socket: Arc<PathSocket>,
    pub(crate) endpoint: Endpoint,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) agent: AgentPrincipal,
}

impl Dialler {
    /// Shakes hands over a way the socket knows.
    pub(crate) async fn over(
        self,
        candidate: Candidate,
        (peer, route): (SocketAddr, Route),
        mut carrier: Option<Carrier>,
    ) -> Outcome {
        self.socket.routes().point(peer, route);
        let verdict = Verdict::default();
        let connecting = self
            .credentials
            .client(self.agent.clone(), verdict.clone())
            .map(|config| self.endpoint.connect_with(config, peer, &self.agent.server_name()));
        let connecting = match connecting {
            Ok(Ok(connecting)) => connecting,
            Ok(Err(error)) => return Outcome::Failed(candidate, "start", error.to_string()),
            Err(error) => return Outcome::Failed(candidate, "start", error.to_string()),
        };
        let hung_up = async {
            match &mut carrier {
                Some(carrier) => carrier.ended().await,
                None => std::future::pending().await,
            }
        };
        let result = tokio::select! {
            // What the agent said about us is worth more than that it hung up then.
            biased;
            established = establish(connecting) => established.map_err(|(step, reason)| (step, verdict.get().unwrap_or(reason))),
            ended = hung_up => Err(("TCP", ended.words)),
        };
        match result {
            Ok((connection, control)) => {
                let established = Established { connection, control, peer, route, carrier };
                Outcome::Connected(candidate, Box::new(established))
            }
            Err((step, reason)) => Outcome::Failed(candidate, step, reason),
        }
    }

    /// Connects to the agent over TCP, then shakes hands over that.
    pub(crate) async fn over_tcp(self, candidate: Candidate, addr: SocketAddr, peer: SocketAddr) -> Outcome {
        match direct_tcp::connect(addr, &self.agent, &self.credentials).await {
            Ok(stream) => {
                let ends = direct_tcp::ends(stream.get_ref().0);
                let carrier = Carrier::start(&self.socket, stream, ends);
                let way = (peer, carrier.route());
                self.over(candidate, way, Some(carrier)).await
            }
            Err(error) => {
                let step = if error.fault == TcpFault::NotThePeer { "handshake" } else { "TCP" };
                Outcome::Failed(candidate, step, error.words)
            }
        }
    }
}

/// Waits for the binding. A refusal is final, except that an agent may need a moment to arrive at its relay.
pub(crate) async fn wait_bound(candidate: Candidate, mut state: watch::Receiver<AccessState>) -> Outcome {
    let started = Instant::now();
    loop {
        let now = state.borrow_and_update().clone();
        let refused = |link: &Option<(Via, LinkState)>| match link {
            Some((_, LinkState::Refused(BindRefusal::NoAgent))) if started.elapsed() < AGENT_GRACE => None,
            Some((_, LinkState::Refused(why))) => Some(why.to_string()),
            _ => None,
        };
        let link = if matches!(candidate, Candidate::RelayTcp(_)) { &now.tcp } else { &now.udp };
        if link.as_ref().is_some_and(|(_, state)| state.session().is_some()) {
            return Outcome::Bound(candidate);
        }
        if let Some(why) = refused(link) {
            return Outcome::Failed(candidate, "relay ticket", why);
        }
        if now.tcp.is_none() && refused(&now.udp).is_some() {
            return Outcome::Skipped(candidate);
        }
        let patience = started + AGENT_GRACE;
        tokio::select! {
            changed = state.changed() => if changed.is_err() {
                return Outcome::Skipped(candidate);
            },
            // A refusal that may pass is looked at again.
            () = tokio::time::sleep_until(patience), if Instant::now() < patience => {}
        }
    }
}

/// The TLS handshake, then the agent's word that it accepted us: until then our certificate may be refused.
pub(crate) async fn establish(
    connecting: quinn::Connecting,
) -> Result<(Connection, (SendStream, RecvStream)), (&'static str, String)> {
    let connection = connecting.await.map_err(|error| ("handshake", describe(&error)))?;
    let admission = |error: &quinn::ConnectionError| ("admission", describe(error));
    let (send, mut recv) = connection.accept_bi().await.map_err(|error| admission(&error))?;
    let mut header = [0; HEADER_BYTES];
    if let Err(error) = recv.read_exact(&mut header).await {
        let lost = connection.close_reason();
        return Err(lost.map_or(("admission", error.to_string()), |error| admission(&error)));
    }
    if StreamKind::read(&header) == Some(StreamKind::Control) {
        return Ok((connection, (send, recv)));
    }
    connection.close(CloseCode::Protocol.wire(), b"unknown control stream");
    Err(("admission", "the agent speaks another version".to_owned()))
}
