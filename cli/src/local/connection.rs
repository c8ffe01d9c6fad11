//! One client: greeted, joined to a stream of the tunnel, told why when the tunnel breaks.

use crate::link::Link;
use crate::local::boundary::Boundary;
use crate::local::greeting::{Greeting, greet};
use bytes::Bytes;
use daam_pgwire::report::Report;
use daam_pgwire::scram::Verifier;
use daam_pgwire::sqlstate;
use daam_tunnel::{Tunnel, TunnelStream};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// How long a client may take to say what it wants (PostgreSQL's `authentication_timeout`).
const GREETING_TIMEOUT: Duration = Duration::from_secs(60);
/// After a stream ended: how long to wait for the tunnel to say that it ended too, and why.
const REASON_WAIT: Duration = Duration::from_millis(250);
/// After the client left: how long the agent may take to end the session.
const LEAVE: Duration = Duration::from_secs(5);
const PIECE: usize = 64 * 1024;

/// Serves one local client until either side is done.
pub async fn serve<C>(mut client: C, link: Arc<Link>, password: Option<Arc<Verifier>>)
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
{
    let greeting = match timeout(GREETING_TIMEOUT, greet(&mut client, password.as_deref())).await {
        Err(_) => return,
        Ok(Err(error)) => return tell(&mut client, error.report()).await,
        Ok(Ok(greeting)) => greeting,
    };
    let (first, joined) = match greeting {
        Greeting::Session(first) => (first, open(&link).await),
        Greeting::Cancel(packet) => return cancel(&link, packet).await,
    };
    match joined {
        Err(report) => tell(&mut client, Some(report)).await,
        Ok((tunnel, stream)) => {
            let lost = join(&mut client, stream, &first).await;
            if lost == Ended::BetweenMessages
                && let Ok(reason) = timeout(REASON_WAIT, tunnel.closed()).await
            {
                let text = format!("the tunnel to the agent of `{}` ended: {reason}", link.database());
                tell(&mut client, Some(Report::fatal(sqlstate::CONNECTION_FAILURE, &text))).await;
            }
        }
    }
}

/// How a joined connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The client left, or cannot be written to.
    ByClient,
    /// The agent's stream ended after it had said why.
    Explained,
    /// The agent's stream ended and the client could be told something.
    BetweenMessages,
    /// The agent's stream ended in the middle of a message.
    InsideMessage,
}

/// Copies both ways until one side ends.
pub async fn join<C, A>(client: &mut C, agent: A, first: &[u8]) -> Ended
where
    C: AsyncRead + AsyncWrite + Unpin,
    A: AsyncRead + AsyncWrite + Unpin,
{
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_agent, mut to_agent) = tokio::io::split(agent);
    let upwards = async {
        if to_agent.write_all(first).await.is_ok() && to_agent.flush().await.is_ok() {
            match tokio::io::copy(&mut from_client, &mut to_agent).await {
                Ok(_) => {
                    drop(to_agent.shutdown().await);
                    return;
                }
                Err(error) => tracing::debug!(%error, "sending to the agent ended"),
            }
        }
        // The other direction finds out that the stream is gone, after whatever the agent still said.
        std::future::pending::<()>().await;
    };
    let downwards = async {
        let mut boundary = Boundary::new();
        let mut piece = vec![0_u8; PIECE];
        loop {
            let count = from_agent.read(&mut piece).await.unwrap_or(0);
            let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            boundary.feed(bytes);
            if to_client.write_all(bytes).await.is_err() || to_client.flush().await.is_err() {
                return Ended::ByClient;
            }
        }
        match (boundary.ends_with_error(), boundary.is_between_messages()) {
            (true, _) => Ended::Explained,
            (false, true) => Ended::BetweenMessages,
            (false, false) => Ended::InsideMessage,
        }
    };
    tokio::pin!(downwards);
    tokio::select! {
        biased;
        ended = &mut downwards => return ended,
        () = upwards => {}
    }
    // The agent takes leave in its own time: a stream torn away would look to it like a lost client.
    drop(timeout(LEAVE, downwards).await);
    Ended::ByClient
}

async fn open(link: &Link) -> Result<(Arc<Tunnel>, TunnelStream), Report> {
    let unreachable = |text: &str| Report::fatal(sqlstate::CANNOT_CONNECT, text);
    let tunnel = link.tunnel().await.map_err(|error| unreachable(&error.sentence()))?;
    match tunnel.open_stream().await {
        Ok(stream) => Ok((tunnel, stream)),
        Err(error) => Err(unreachable(&format!("could not open a session in the tunnel: {error}"))),
    }
}

/// A cancel request has no answer: the agent closes when it has acted, and only then may we.
async fn cancel(link: &Link, packet: Bytes) {
    let Ok((_tunnel, mut stream)) = open(link).await else { return };
    if stream.write_all(&packet).await.is_ok() && stream.flush().await.is_ok() {
        let mut rest = [0_u8; 1];
        drop(timeout(GREETING_TIMEOUT, stream.read(&mut rest)).await);
    }
}

async fn tell<C: AsyncWrite + Unpin>(client: &mut C, report: Option<Report>) {
    if let Some(report) = report
        && client.write_all(&report.to_error()).await.is_ok()
    {
        drop(client.shutdown().await);
    }
}
