//! Sessions that come over TCP, each with a TLS connection of its own: what they cost the relay while nothing is said.

use super::{PER_TICKET, RELAY, TicketSigner, ticket};
use anyhow::{Context, bail};
use daam_identity::ticket::{HeldTicket, TicketRole};
use daam_tunnel::relay_tcp::{PATH, PROTOCOL, frames};
use daam_tunnel::wire::{Answer, Bind, FromRelay, Proof, challenge_bytes};
use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// How many shake hands at once.
const AT_ONCE: usize = 32;

pub(crate) type Session = WebSocketStream<TlsStream<TcpStream>>;

/// So many sessions, bound; they last until they are dropped.
pub(crate) async fn sessions(
    count: u64,
    relay: SocketAddr,
    certificate: &[u8],
    signer: &TicketSigner,
) -> anyhow::Result<Vec<Session>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.to_vec().into())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let mut tickets = Vec::new();
    for _ in 0..count.div_ceil(u64::from(PER_TICKET)) {
        tickets.push(Arc::new(ticket(signer, TicketRole::Client)?));
    }
    let opening = (0..count).map(|n| {
        let place = usize::try_from(n / u64::from(PER_TICKET)).unwrap_or_default();
        let held = tickets.get(place).map(Arc::clone);
        one(relay, connector.clone(), held, n)
    });
    stream::iter(opening).buffer_unordered(AT_ONCE).try_collect().await
}

async fn one(
    relay: SocketAddr,
    connector: TlsConnector,
    ticket: Option<Arc<HeldTicket>>,
    instance: u64,
) -> anyhow::Result<Session> {
    let ticket = ticket.context("no ticket")?;
    let plain = TcpStream::connect(relay).await?;
    let secret = connector.connect(ServerName::try_from("relay.test")?, plain).await?;
    let mut request = format!("wss://{RELAY}{PATH}").into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(PROTOCOL));
    let (mut session, _) =
        tokio_tungstenite::client_async_with_config(request, secret, Some(frames())).await?;
    let mut bind = Bind { instance, wanted: 0, ticket: ticket.presented().to_owned(), proof: None };
    let Answer::Challenge { cookie, .. } = ask(&mut session, &bind).await? else { bail!("no challenge") };
    bind.proof = Some(Proof { cookie, signature: ticket.prove(&challenge_bytes(&cookie, instance)) });
    match ask(&mut session, &bind).await? {
        Answer::Bound { .. } => Ok(session),
        other => bail!("not bound: {other:?}"),
    }
}

async fn ask(session: &mut Session, bind: &Bind) -> anyhow::Result<Answer> {
    session.send(Message::Binary(bind.encode().into())).await?;
    loop {
        let message = session.next().await.context("the relay hung up")??;
        if let Message::Binary(packet) = message
            && let Some(FromRelay::Answer(answer)) = FromRelay::read(&packet)
        {
            return Ok(answer);
        }
    }
}
