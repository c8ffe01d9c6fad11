//! The link to the control plane: one WebSocket, kept up with growing pauses.
//!
//! Everything that comes is judged by the keeper; nothing that comes can widen the scope, and there is no message that
//! asks for it. A message of an unknown kind is passed over: a newer control plane may know more. Without the link the
//! agent goes on enforcing what it holds.

use crate::access::Unreadable;
use crate::audit::upload::{Held, HeldSender};
use crate::cause;
use crate::keeper::Keeper;
use crate::papers::Papers;
use crate::relays;
use crate::secret::Secret;
use crate::session_id::SessionId;
use crate::sessions::Registry;
use crate::upkeep::Upkeep;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daam_api::link::{FromAgent, RelayOffer, ToAgent, VERSION};
use daam_tunnel::Listener;
use daam_wire::{Counted, Duplex, Event, Most};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, client_async_tls_with_config};
use tokio_util::task::AbortOnDropHandle;

const HEARTBEAT: Duration = Duration::from_secs(15);
/// Our own pings are answered by pongs. What waits is the introduction, and answers to what the control plane said at once.
const MOST: Most = Most { waiting: 64, silence: Duration::from_secs(60), stall: Duration::from_secs(60) };
/// Heartbeats from one list of sessions to the next.
const SESSIONS_EVERY: u32 = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The largest message; a bundle is at most a few MiB.
const MAX_MESSAGE: usize = 64 << 20;

type Socket = Duplex<MaybeTlsStream<Counted<TcpStream>>>;

/// Why one connection ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The URL or token cannot be used.
    #[error("the control plane's URL or the link token cannot be used")]
    Request,
    /// No answer.
    #[error("the control plane did not answer in time")]
    Timeout,
    /// Transport.
    #[error("the link broke")]
    Socket(#[source] Box<tungstenite::Error>),
    /// Closed by the other side.
    #[error("the control plane closed the link: {reason}")]
    Closed {
        /// What it said.
        reason: String,
        /// Whether it said that it goes away itself, or nothing.
        leaves: bool,
    },
}

impl LinkError {
    /// Whether the other side refused the link, rather than going away or being lost.
    fn is_unwanted(&self) -> bool {
        matches!(self, Self::Closed { leaves: false, .. })
    }
}

impl From<tungstenite::Error> for LinkError {
    fn from(error: tungstenite::Error) -> Self {
        Self::Socket(Box::new(error))
    }
}

/// The agent's end of the link.
#[derive(Debug)]
pub struct Link {
    /// `http(s)://…` of the control plane.
    pub url: String,
    /// The bearer token.
    pub token: Secret,
    /// Addresses to tell clients.
    pub addresses: Vec<String>,
    /// The desired state.
    pub keeper: Arc<Keeper>,
    /// Introspection.
    pub upkeep: Arc<Upkeep>,
    /// The tunnel.
    pub listener: Arc<Listener>,
    /// What is presented there, and who is believed.
    pub papers: Arc<Papers>,
    /// The relays to join, which [`relays::join`] does.
    pub relays: watch::Sender<Vec<RelayOffer>>,
    /// Live sessions.
    pub sessions: Arc<Registry>,
    /// Whether the link is up.
    pub connected: Arc<AtomicBool>,
    /// Where goes what the control plane holds of the audit.
    pub held: HeldSender,
}

impl Link {
    /// Keeps the link up for ever; cancel by dropping.
    pub async fn run(self, mut outbox: mpsc::Receiver<FromAgent>) {
        let joining = relays::join(self.relays.subscribe(), Arc::clone(&self.listener));
        let _joining = AbortOnDropHandle::new(tokio::spawn(joining));
        let mut pause = FIRST_PAUSE;
        loop {
            let ended = match self.connect().await {
                Ok(socket) => {
                    tracing::info!("linked to the control plane");
                    self.connected.store(true, Ordering::Relaxed);
                    let mut taken = false;
                    let ended = self.serve(socket, &mut outbox, &mut taken).await;
                    if is_welcome(taken, &ended) {
                        pause = FIRST_PAUSE;
                    }
                    ended
                }
                Err(error) => Err(error),
            };
            self.connected.store(false, Ordering::Relaxed);
            self.held.send_replace(None);
            if let Err(error) = ended {
                tracing::warn!(error = cause::chain(&error), retry_in = ?pause, "no link to the control plane; enforcing what is stored");
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn connect(&self) -> Result<Socket, LinkError> {
        let url = self.url.replacen("http", "ws", 1);
        let mut request =
            format!("{url}/v1/agent/link").into_client_request().map_err(|_| LinkError::Request)?;
        let mut token = HeaderValue::from_str(&format!("Bearer {}", self.token.expose()))
            .map_err(|_| LinkError::Request)?;
        token.set_sensitive(true);
        request.headers_mut().insert("authorization", token);
        let config = WebSocketConfig::default()
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let connecting = async {
            let io = Counted::new(connected(&request).await?);
            let counts = io.counts();
            let (socket, _) = client_async_tls_with_config(request, io, Some(config), None).await?;
            Ok::<_, LinkError>(Duplex::new(socket, counts, MOST))
        };
        tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| LinkError::Timeout)?
    }

    async fn serve(
        &self,
        mut socket: Socket,
        outbox: &mut mpsc::Receiver<FromAgent>,
        taken: &mut bool,
    ) -> Result<(), LinkError> {
        self.introduction().iter().for_each(|message| say(&mut socket, message));
        let mut beat = tokio::time::interval(HEARTBEAT);
        // A control plane that never asked does not know what that is.
        let (mut beats, mut lists) = (0_u32, false);
        loop {
            tokio::select! {
                event = socket.next() => match event.ok_or_else(|| closed(None))?? {
                    Event::Received(Message::Text(text)) => {
                        // It says nothing before it has taken our hello.
                        *taken = true;
                        for answer in self.take(&text).await {
                            lists |= matches!(answer, FromAgent::OpenSessions { .. });
                            say(&mut socket, &answer);
                        }
                    }
                    Event::Received(Message::Close(frame)) => return Err(closed(frame)),
                    Event::Received(_) | Event::Sent => {}
                },
                message = outbox.recv(), if socket.is_idle() => match message {
                    Some(message) => say(&mut socket, &message),
                    None => return Ok(()),
                },
                _ = beat.tick() => {
                    if socket.is_lost() {
                        return Err(LinkError::Timeout);
                    }
                    if socket.is_idle() {
                        say(&mut socket, &FromAgent::Heartbeat {});
                        beats = beats.wrapping_add(1);
                        if lists && beats % SESSIONS_EVERY == 0 {
                            say(&mut socket, &self.open_sessions());
                        }
                    }
                    socket.ping();
                }
            }
        }
    }

    /// What the control plane is told first.
    fn introduction(&self) -> Vec<FromAgent> {
        let state = self.keeper.current();
        let serial = state.bundle.as_ref().map_or(0, |bundle| bundle.serial);
        let version = state.directory.version();
        let mut messages = vec![
            FromAgent::Hello {
                version: VERSION,
                agent_version: env!("CARGO_PKG_VERSION").to_owned(),
                addresses: self.addresses.clone(),
                bundle_serial: serial,
                directory_version: version,
                directory_digest: (version > 0).then(|| state.directory.digest()),
            },
            self.keeper.schema_report(),
        ];
        if serial > 0 {
            messages.push(self.keeper.bundle_status(serial));
        }
        if version > 0 {
            messages.push(FromAgent::DirectoryStatus { version });
        }
        messages.extend(self.keeper.access_status());
        messages
    }

    /// Events of sessions get lost; this says what is there whatever was lost.
    fn open_sessions(&self) -> FromAgent {
        let session_ids = self.sessions.list().into_iter().map(|session| session.id.to_string()).collect();
        FromAgent::OpenSessions { session_ids }
    }

    /// Does what a message asks and answers what is to be sent back.
    async fn take(&self, text: &str) -> Vec<FromAgent> {
        let message = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(error) => {
                self.not_understood(text, &error);
                return Vec::new();
            }
        };
        match message {
            ToAgent::TrustUpdate { documents } => self.keeper.offer_trust(&documents, unix_now()),
            ToAgent::Freshness { envelope } => {
                self.keeper.offer_freshness(&envelope, unix_now());
                Vec::new()
            }
            ToAgent::PolicyUpdate { serial, bundle } => vec![self.policy_update(serial, &bundle)],
            ToAgent::SchemaRequest {} => {
                if let Err(error) = self.upkeep.refresh().await {
                    tracing::warn!(
                        error = cause::chain(&error),
                        "introspection failed; reporting the last result"
                    );
                }
                vec![self.keeper.schema_report()]
            }
            ToAgent::SessionsRequest {} => vec![self.open_sessions()],
            ToAgent::DirectoryUpdate { version, users } => {
                directory(self.keeper.set_directory(version, users))
            }
            ToAgent::DirectoryDelta { from, version, users, digest } => {
                changed(self.keeper.change_directory((from, version), users, &digest))
            }
            ToAgent::DirectoryReplaced { held, version, users } => {
                directory(self.keeper.replace_directory(held, version, users))
            }
            message @ (ToAgent::AccessUpdate { .. } | ToAgent::AccessReplaced { .. }) => self.access(message),
            ToAgent::CaUpdate { version, authorities } => vec![self.papers.offer(version, authorities)],
            ToAgent::IdentityRevoked { serials } => {
                self.listener.set_revoked(self.keeper.revoke(serials));
                Vec::new()
            }
            ToAgent::RelayUpdate { relays } => {
                self.relays.send_replace(relays::used(relays));
                Vec::new()
            }
            ToAgent::AuditHeld { chain, through, hash } => {
                let hash = daam_audit::Hash::parse(&hash);
                self.held.send_replace(Some(Held { chain, through, hash }));
                Vec::new()
            }
            ToAgent::SessionTerminate { session_id, reason } => {
                let known = SessionId::parse(&session_id)
                    .is_some_and(|session| self.sessions.terminate(&session, &reason));
                tracing::info!(session = session_id, known, reason, "the control plane ended a session");
                Vec::new()
            }
        }
    }

    /// The answer goes out with the other news: it changes again when a time comes.
    fn access(&self, message: ToAgent) -> Vec<FromAgent> {
        match message {
            ToAgent::AccessUpdate { version, grants } => self.keeper.set_access(version, grants),
            ToAgent::AccessReplaced { held, version, grants } => {
                self.keeper.replace_access(held, version, grants);
            }
            _ => {}
        }
        Vec::new()
    }

    fn not_understood(&self, text: &str, error: &serde_json::Error) {
        match Unreadable::of(text, error) {
            Some(list) => self.keeper.void_access(list),
            None => {
                tracing::warn!(%error, "a message of the control plane was not understood and passed over");
            }
        }
    }

    fn policy_update(&self, serial: u64, bundle: &str) -> FromAgent {
        match STANDARD.decode(bundle) {
            Ok(bytes) => match self.keeper.offer_bundle(&bytes, unix_now()) {
                // A refusal names the offer, not the bundle that stays in force.
                FromAgent::BundleStatus { state, reason, .. } if state == "refused" => {
                    FromAgent::BundleStatus { serial, state, reason }
                }
                status => status,
            },
            Err(_) => FromAgent::BundleStatus {
                serial,
                state: "refused".to_owned(),
                reason: Some("the offer is not base64".to_owned()),
            },
        }
    }
}

/// The directory that a change made; one that could not be made is asked for whole.
fn changed(version: Option<u64>) -> Vec<FromAgent> {
    version.map_or_else(|| vec![FromAgent::DirectoryRequest {}], directory)
}

/// The directory in force.
fn directory(version: u64) -> Vec<FromAgent> {
    vec![FromAgent::DirectoryStatus { version }]
}

/// Whether a link may be tried again at once: it was taken, and nobody refused it however well it began.
fn is_welcome(taken: bool, ended: &Result<(), LinkError>) -> bool {
    taken && !ended.as_ref().is_err_and(LinkError::is_unwanted)
}

/// What a close frame says, fit for a log.
fn closed(frame: Option<CloseFrame>) -> LinkError {
    let leaves = frame
        .as_ref()
        .is_none_or(|frame| matches!(frame.code, CloseCode::Normal | CloseCode::Away | CloseCode::Restart));
    let said = frame.map(|frame| format!("{} {}", u16::from(frame.code), frame.reason)).unwrap_or_default();
    let printable: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
    let reason = if printable.is_empty() { "no reason given".to_owned() } else { printable };
    LinkError::Closed { reason, leaves }
}

/// Our own messages are plain data; one that cannot be written as JSON is left out rather than breaking the link.
fn say(socket: &mut Socket, message: &FromAgent) {
    match serde_json::to_string(message) {
        Ok(text) => socket.say(text.into()),
        Err(error) => tracing::error!(%error, "a message could not be written"),
    }
}

async fn connected(request: &Request) -> Result<TcpStream, LinkError> {
    let uri = request.uri();
    let host = uri.host().ok_or(LinkError::Request)?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("wss") { 443 } else { 80 });
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port)).await.map_err(tungstenite::Error::Io)?;
    stream.set_nodelay(true).map_err(tungstenite::Error::Io)?;
    Ok(stream)
}

/// Between half and the whole of a pause, so that a thousand agents do not come back in one instant.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let mut random = [0_u8; 1];
    let fraction = if getrandom::fill(&mut random).is_ok() { u32::from(random[0]) } else { 255 };
    pause / 2 + pause / 510 * fraction
}

/// Seconds since 1970; a clock before that counts as 0, which no bundle accepts.
pub(crate) fn unix_now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_is_refused_is_tried_again_ever_more_slowly() {
        let by = |code: u16| Err(closed(Some(CloseFrame { code: code.into(), reason: "x".into() })));
        for refused in [1011, 4001, 4002, 4003, 4004, 1008] {
            assert!(!is_welcome(true, &by(refused)), "{refused}");
        }
        for (taken, ended) in
            [(true, by(1001)), (true, Err(closed(None))), (true, Err(LinkError::Timeout)), (true, Ok(()))]
        {
            assert!(is_welcome(taken, &ended), "{ended:?}");
        }
        assert!(!is_welcome(false, &by(1001)), "before our hello was taken");
    }
}
