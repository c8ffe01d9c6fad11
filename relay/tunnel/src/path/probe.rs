//! Probes: small packets that prove who is at the other end of a path.
//!
//! Both ends derive the key from the TLS session they share, so nobody else — no relay, nobody who forwards or
//! replays packets — can answer one. A probe names its direction: a reflected question is no answer. What
//! [`ProbeKey::open`] returns can be made in no other way. Refused: other lengths, other versions, wrong codes.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Length of every probe.
pub const PROBE_BYTES: usize = 36;
/// What both ends ask the TLS session for.
pub const KEY_LABEL: &[u8] = b"daam-path-probe-v1";
/// Length of the keying material.
pub const KEY_BYTES: usize = 72;

const PROBE: u8 = 0x0d;
const VERSION: u8 = 1;
const CODE_BYTES: usize = 16;
const SIGNED_BYTES: usize = PROBE_BYTES - CODE_BYTES;

/// Which end of the connection we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that dialled and decides the path.
    Dialling,
    /// The one that follows.
    Listening,
}

/// A question or its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeKind {
    /// "Are you there?"
    Ping,
    /// "I am."
    Pong,
}

/// A probe whose code was right: only the peer can have made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthenticProbe {
    kind: ProbeKind,
    transaction: u64,
}

impl AuthenticProbe {
    /// Question or answer.
    pub fn kind(&self) -> ProbeKind {
        self.kind
    }

    /// The number the question chose.
    pub fn transaction(&self) -> u64 {
        self.transaction
    }
}

/// The key of one connection's probes.
#[derive(Clone)]
pub struct ProbeKey {
    side: Side,
    tag: u64,
    secret: Zeroizing<[u8; 64]>,
}

impl std::fmt::Debug for ProbeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProbeKey").field("side", &self.side).finish_non_exhaustive()
    }
}

impl ProbeKey {
    /// From what the TLS session exported.
    pub fn new(side: Side, material: &[u8; KEY_BYTES]) -> Self {
        let mut secret = Zeroizing::new([0; 64]);
        let mut tag = [0; 8];
        let (first, rest) = material.split_at(tag.len());
        for (to, from) in tag.iter_mut().chain(secret.iter_mut()).zip(first.iter().chain(rest)) {
            *to = *from;
        }
        Self { side, tag: u64::from_be_bytes(tag), secret }
    }

    /// Names the connection in its probes.
    pub fn tag(&self) -> u64 {
        self.tag
    }

    /// A probe from us.
    pub fn seal(&self, kind: ProbeKind, transaction: u64) -> [u8; PROBE_BYTES] {
        let mut packet = [0; PROBE_BYTES];
        let head = [PROBE, VERSION, kind_byte(kind), side_byte(self.side)];
        let signed = head.into_iter().chain(self.tag.to_be_bytes()).chain(transaction.to_be_bytes());
        for (byte, value) in packet.iter_mut().zip(signed) {
            *byte = value;
        }
        let code = self.mac(packet.get(..SIGNED_BYTES).unwrap_or_default()).finalize().into_bytes();
        for (byte, value) in packet.iter_mut().skip(SIGNED_BYTES).zip(code) {
            *byte = value;
        }
        packet
    }

    /// Reads a probe from the peer; `None` unless every byte is as the peer alone could write it.
    pub fn open(&self, packet: &[u8]) -> Option<AuthenticProbe> {
        if probe_tag(packet)? != self.tag {
            return None;
        }
        let (signed, code) = packet.split_at_checked(SIGNED_BYTES)?;
        let [_, _, kind, side, _, _, _, _, _, _, _, _, transaction @ ..] = signed else { return None };
        let theirs = match self.side {
            Side::Dialling => Side::Listening,
            Side::Listening => Side::Dialling,
        };
        if *side != side_byte(theirs) {
            return None;
        }
        let kind = match kind {
            1 => ProbeKind::Ping,
            2 => ProbeKind::Pong,
            _ => return None,
        };
        self.mac(signed).verify_truncated_left(code).ok()?;
        Some(AuthenticProbe { kind, transaction: u64::from_be_bytes(transaction.try_into().ok()?) })
    }

    fn mac(&self, signed: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as Mac>::new((&*self.secret).into());
        mac.update(signed);
        mac
    }
}

/// Which connection a probe names, not yet proven.
pub fn probe_tag(packet: &[u8]) -> Option<u64> {
    match packet {
        [PROBE, VERSION, _, _, tag @ ..] if packet.len() == PROBE_BYTES => {
            Some(u64::from_be_bytes(*tag.first_chunk()?))
        }
        _ => None,
    }
}

fn kind_byte(kind: ProbeKind) -> u8 {
    match kind {
        ProbeKind::Ping => 1,
        ProbeKind::Pong => 2,
    }
}

fn side_byte(side: Side) -> u8 {
    match side {
        Side::Dialling => 1,
        Side::Listening => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair() -> (ProbeKey, ProbeKey) {
        let material = [7; KEY_BYTES];
        (ProbeKey::new(Side::Dialling, &material), ProbeKey::new(Side::Listening, &material))
    }

    #[test]
    fn a_probe_is_read_by_the_other_end_only() {
        let (client, agent) = pair();
        let ping = client.seal(ProbeKind::Ping, 99);
        let read = agent.open(&ping).unwrap();
        assert_eq!((read.kind(), read.transaction()), (ProbeKind::Ping, 99));
        // A mirror is not a peer, and neither is another connection.
        assert_eq!(client.open(&ping), None);
        let mut material = [7; KEY_BYTES];
        material[71] = 8;
        assert_eq!(ProbeKey::new(Side::Listening, &material).open(&ping), None);
    }

    proptest! {
        #[test]
        fn any_change_of_any_byte_is_noticed(at in 0..PROBE_BYTES, change in 1u8..) {
            let (client, agent) = pair();
            let mut packet = client.seal(ProbeKind::Pong, 5);
            packet[at] ^= change;
            prop_assert_eq!(agent.open(&packet), None);
        }

        #[test]
        fn arbitrary_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let (_, agent) = pair();
            prop_assert_eq!(agent.open(&bytes), None);
        }
    }
}
