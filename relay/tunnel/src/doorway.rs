//! The dialling side's TCP connections straight to the agent: makes and ends those that `path::doors` asks for.

use crate::direct_tcp::{Carrier, connect, ends};
use crate::path::doors::TcpFault;
use crate::socket::{PathSocket, Route};
use crate::tls::Credentials;
use daam_identity::AgentPrincipal;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

const WAITING_NEWS: usize = 16;

/// What became of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DoorNews {
    Opened(SocketAddr, Route),
    /// The way it was, if it was one.
    Shut(SocketAddr, Option<Route>, TcpFault),
}

/// See the module. Dropping it ends every connection.
#[derive(Debug)]
pub(crate) struct Doorway {
    agent: AgentPrincipal,
    /// The certificate may be renewed while the session runs.
    credentials: watch::Receiver<Arc<Credentials>>,
    socket: Arc<PathSocket>,
    news: mpsc::Sender<DoorNews>,
    held: BTreeMap<SocketAddr, AbortOnDropHandle<()>>,
}

impl Doorway {
    /// With the connection the session began over, if it did.
    pub(crate) fn new(
        agent: AgentPrincipal,
        credentials: watch::Receiver<Arc<Credentials>>,
        socket: &Arc<PathSocket>,
        first: Option<(SocketAddr, Carrier)>,
    ) -> (Self, mpsc::Receiver<DoorNews>) {
        let (news, told) = mpsc::channel(WAITING_NEWS);
        let mut doorway =
            Self { agent, credentials, socket: Arc::clone(socket), news, held: BTreeMap::new() };
        if let Some((addr, carrier)) = first {
            let task = tokio::spawn(hold(addr, carrier, doorway.news.clone()));
            doorway.held.insert(addr, AbortOnDropHandle::new(task));
        }
        (doorway, told)
    }

    pub(crate) fn open(&mut self, addr: SocketAddr) {
        let (socket, agent, news) = (Arc::clone(&self.socket), self.agent.clone(), self.news.clone());
        let credentials = Arc::clone(&self.credentials.borrow());
        let task = tokio::spawn(async move {
            match connect(addr, &agent, &credentials).await {
                Ok(stream) => {
                    let ends = ends(stream.get_ref().0);
                    hold(addr, Carrier::start(&socket, stream, ends), news).await;
                }
                Err(error) => {
                    tracing::debug!(%addr, words = error.words, "no TCP connection to the agent");
                    tell(&news, DoorNews::Shut(addr, None, error.fault)).await;
                }
            }
        });
        self.held.insert(addr, AbortOnDropHandle::new(task));
    }

    pub(crate) fn shut(&mut self, addr: SocketAddr) {
        self.held.remove(&addr);
    }
}

async fn hold(addr: SocketAddr, mut carrier: Carrier, news: mpsc::Sender<DoorNews>) {
    let route = carrier.route();
    tell(&news, DoorNews::Opened(addr, route)).await;
    let ended = carrier.ended().await;
    tracing::debug!(%addr, words = ended.words, "the TCP connection to the agent ended");
    tell(&news, DoorNews::Shut(addr, Some(route), ended.fault)).await;
}

/// Nobody listens any more when the session has ended, which ends this, too.
async fn tell(news: &mpsc::Sender<DoorNews>, what: DoorNews) {
    news.send(what).await.unwrap_or_default();
}
