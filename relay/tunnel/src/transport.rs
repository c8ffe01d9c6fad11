//! The QUIC settings, each with its reason.

use crate::socket::PathSocket;
use quinn::congestion::BbrConfig;
use quinn::{Endpoint, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};
use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid};
use ring::hmac::{self, HMAC_SHA256};
use std::sync::Arc;
use std::time::Duration;

/// The one application protocol; anything else is refused during the handshake.
pub(crate) const ALPN: &[u8] = b"daam/1";
/// Streams (PostgreSQL connections) one client may have open at once.
pub(crate) const MAX_STREAMS: u32 = 256;
/// Socket buffers asked for; the system may give less.
pub(crate) const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// At most 1,024 gaps of two minimum-size packets: a larger window can kill the connection on a lossy path.
const STREAM_WINDOW: u32 = 2_400_000;
const CONNECTION_WINDOW: u32 = 16_000_000;
/// Certificates last no longer; `presence` decides much sooner that nobody is there.
const IDLE_TIMEOUT_MS: u32 = 12 * 3_600_000;
/// NAT mappings live about 30 s.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// quinn's default of 333 ms makes the first retransmission come after a whole second.
const INITIAL_RTT: Duration = Duration::from_millis(100);
/// 1440 + 8 relay header + 8 UDP + 40 IPv6 = 1496.
const MTU_CAP: u16 = 1440;

pub(crate) fn transport(peer_streams: u32) -> Arc<TransportConfig> {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(MTU_CAP);
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(peer_streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(u64::from(CONNECTION_WINDOW))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MS))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(INITIAL_RTT)
        .initial_mtu(1200)
        .mtu_discovery_config(Some(mtu))
        .datagram_receive_buffer_size(None)
        .congestion_controller_factory(Arc::new(BbrConfig::default()));
    Arc::new(config)
}

/// What says that a connection is no more: an agent that was started anew with its old key can say so of connections it
/// knows nothing of any more, and nobody else can.
pub(crate) struct ResetKey {
    tokens: hmac::Key,
    ids: hmac::Key,
}

impl ResetKey {
    pub(crate) fn new(secret: &str) -> Self {
        let key = hmac::Key::new(HMAC_SHA256, secret.as_bytes());
        let derived = |purpose: &[u8]| hmac::Key::new(HMAC_SHA256, hmac::sign(&key, purpose).as_ref());
        Self { tokens: derived(b"daam stateless reset v1"), ids: derived(b"daam connection ids v1") }
    }

    fn config(self) -> EndpointConfig {
        let mut config = EndpointConfig::new(Arc::new(self.tokens));
        config.cid_generator(move || Box::new(Ids(self.ids.clone())));
        config
    }
}

/// Connection ids that are recognized after a restart. Never one twice under the same key, or an id that is not in use
/// any more would tell the token of one that is; and nobody else makes one: a strange packet is not answered.
struct Ids(hmac::Key);

impl Ids {
    const NONCE: usize = 12;
    const LENGTH: usize = 20;

    fn tag(&self, nonce: &[u8]) -> hmac::Tag {
        hmac::sign(&self.0, nonce)
    }
}

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut nonce = [0; Self::NONCE];
        if getrandom::fill(&mut nonce).is_err() {
            // Without randomness there is no TLS either; the id is good for nothing but its length.
            tracing::error!("the system gives no random bytes");
        }
        let tag = self.tag(&nonce);
        let bytes: Vec<u8> = nonce.iter().chain(tag.as_ref()).copied().take(Self::LENGTH).collect();
        ConnectionId::new(&bytes)
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        let (nonce, tag) = id.split_at_checked(Self::NONCE).ok_or(InvalidCid)?;
        let right = self.tag(nonce);
        let right = right.as_ref().get(..Self::LENGTH - Self::NONCE).ok_or(InvalidCid)?;
        if right == tag { Ok(()) } else { Err(InvalidCid) }
    }

    fn cid_len(&self) -> usize {
        Self::LENGTH
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// A QUIC endpoint on our socket. Must be called inside a tokio runtime.
pub(crate) fn endpoint(
    socket: Arc<PathSocket>,
    server: Option<(quinn::ServerConfig, ResetKey)>,
) -> std::io::Result<Endpoint> {
    let (server, reset) = server.unzip();
    let mut config = reset.map_or_else(EndpointConfig::default, ResetKey::config);
    // The first byte tells QUIC (>= 0x40) from our relay packets, so the fixed bit must stay fixed.
    config.grease_quic_bit(false);
    Endpoint::new_with_abstract_socket(config, server, socket, Arc::new(quinn::TokioRuntime))
}
