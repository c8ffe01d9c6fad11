//! The packets between a peer and a relay, beside the QUIC packets they carry.
//!
//! Every first byte is below 0x40, which no QUIC packet of ours has. All numbers are big-endian. Readers
//! refuse unknown versions, wrong lengths and trailing bytes; a relay never answers with more than it got.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The version in every packet.
pub const VERSION: u8 = 1;
/// Length of the header in front of a forwarded QUIC packet.
pub const DATA_HEADER_BYTES: usize = 8;
/// Length of a cookie.
pub const COOKIE_BYTES: usize = 24;
/// Every BIND is padded to this, so that no answer is larger than its question.
pub const MIN_BIND_BYTES: usize = 128;
/// Largest packet of ours that is not DATA.
pub const MAX_CONTROL_BYTES: usize = 1200;

const BIND: u8 = 0x01;
const DATA: u8 = 0x02;
const ANSWER: u8 = 0x03;
const KEEP_ALIVE: u8 = 0x04;
const ALIVE: u8 = 0x05;

/// First bytes from here up are QUIC.
pub fn is_quic(packet: &[u8]) -> bool {
    packet.first().is_some_and(|byte| *byte >= 0x40)
}

/// The header of a forwarded packet, the same in both directions.
pub fn data_header(session: u32) -> [u8; DATA_HEADER_BYTES] {
    let [a, b, c, d] = session.to_be_bytes();
    [DATA, VERSION, 0, 0, a, b, c, d]
}

/// The session of a forwarded packet; its payload starts after [`DATA_HEADER_BYTES`].
pub fn data_session(packet: &[u8]) -> Option<u32> {
    match packet {
        [DATA, VERSION, 0, 0, a, b, c, d, _, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

/// "Forward for me", with the ticket that allows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Chosen once by the peer; answers repeat it.
    pub instance: u64,
    /// The session the peer had before, 0 if none.
    pub wanted: u32,
    /// The ticket as presented.
    pub ticket: String,
    /// The relay's cookie and the holder's proof over it; absent in the first packet.
    pub proof: Option<Proof>,
}

/// Answers a challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The cookie, unchanged.
    pub cookie: [u8; COOKIE_BYTES],
    /// The holder's signature over [`challenge_bytes`].
    pub signature: [u8; 64],
}

/// What the holder signs: the cookie and the instance.
pub fn challenge_bytes(cookie: &[u8; COOKIE_BYTES], instance: u64) -> Vec<u8> {
    let mut out = cookie.to_vec();
    out.extend_from_slice(&instance.to_be_bytes());
    out
}

/// Why a relay refused to bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindRefusal {
    /// The ticket is no ticket of this control plane.
    Ticket,
    /// The ticket expired.
    Expired,
    /// The holder's proof is wrong.
    Proof,
    /// The agent is not bound here.
    NoAgent,
    /// The relay is full or the peer asks too often.
    Busy,
    /// The relay is being shut down.
    Leaving,
}

impl std::fmt::Display for BindRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ticket => "the relay does not accept our ticket",
            Self::Expired => "our relay ticket has expired",
            Self::Proof => "the relay does not believe that the ticket is ours",
            Self::NoAgent => "the agent is not connected to this relay",
            Self::Busy => "the relay is too busy",
            Self::Leaving => "the relay is being shut down",
        })
    }
}

/// What a relay says about a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Prove that you receive at your address and hold the ticket.
    Challenge {
        /// From the request.
        instance: u64,
        /// To be repeated.
        cookie: [u8; COOKIE_BYTES],
    },
    /// Bound.
    Bound {
        /// From the request.
        instance: u64,
        /// The session or, for agents, the binding's number.
        session: u32,
        /// The address the relay sees.
        observed: SocketAddr,
    },
    /// Not bound.
    Refused {
        /// From the request.
        instance: u64,
        /// Why.
        why: BindRefusal,
    },
    /// The relay does not know this session at this address; bind again.
    Unknown {
        /// The session.
        session: u32,
    },
    /// The relay goes away soon; use another.
    Leaving {
        /// The session or binding.
        session: u32,
    },
}

/// Any packet a relay receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToRelay {
    /// See [`Bind`].
    Bind(Bind),
    /// Still here.
    KeepAlive {
        /// The session or binding.
        session: u32,
    },
}

/// Any control packet a peer receives from a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromRelay {
    /// See [`Answer`].
    Answer(Answer),
    /// The answer to a keep-alive.
    Alive {
        /// The session or binding.
        session: u32,
    },
}

impl Bind {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![BIND, VERSION, u8::from(self.proof.is_some()), 0];
        out.extend_from_slice(&self.instance.to_be_bytes());
        out.extend_from_slice(&self.wanted.to_be_bytes());
        out.extend_from_slice(&u16::try_from(self.ticket.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(self.ticket.as_bytes());
        if let Some(proof) = &self.proof {
            out.extend_from_slice(&proof.cookie);
            out.extend_from_slice(&proof.signature);
        }
        while out.len() < MIN_BIND_BYTES {
            out.push(0);
        }
        out
    }
}

impl ToRelay {
    /// Reads a control packet; `None` for anything else, DATA included.
    pub fn read(packet: &[u8]) -> Option<Self> {
        if packet.len() > MAX_CONTROL_BYTES {
            return None;
        }
        let mut rest = Reader(packet);
        let kind = rest.byte()?;
        if rest.byte()? != VERSION {
            return None;
        }
        match kind {
            BIND if packet.len() >= MIN_BIND_BYTES => read_bind(rest),
            KEEP_ALIVE => {
                rest.array::<2>()?;
                let session = rest.u32()?;
                rest.end()?;
                Some(Self::KeepAlive { session })
            }
            _ => None,
        }
    }
}

fn read_bind(mut rest: Reader<'_>) -> Option<ToRelay> {
    let [has_proof, reserved] = rest.array::<2>()?;
    if has_proof > 1 || reserved != 0 {
        return None;
    }
    let (instance, wanted) = (rest.u64()?, rest.u32()?);
    let length = usize::from(u16::from_be_bytes(rest.array::<2>()?));
    let ticket = std::str::from_utf8(rest.take(length)?).ok()?.to_owned();
    let proof =
        if has_proof == 1 { Some(Proof { cookie: rest.array()?, signature: rest.array()? }) } else { None };
    // Only padding may follow.
    if rest.0.iter().any(|byte| *byte != 0) {
        return None;
    }
    Some(ToRelay::Bind(Bind { instance, wanted, ticket, proof }))
}

/// "Still here", from a peer.
pub fn keep_alive(session: u32) -> [u8; 8] {
    let [a, b, c, d] = session.to_be_bytes();
    [KEEP_ALIVE, VERSION, 0, 0, a, b, c, d]
}

/// The relay's answer to [`keep_alive`].
pub fn alive(session: u32) -> [u8; 8] {
    let [a, b, c, d] = session.to_be_bytes();
    [ALIVE, VERSION, 0, 0, a, b, c, d]
}

impl Answer {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let head = |kind: u8, detail: u8| vec![ANSWER, VERSION, kind, detail];
        match self {
            Self::Challenge { instance, cookie } => {
                let mut out = head(1, 0);
                out.extend_from_slice(&instance.to_be_bytes());
                out.extend_from_slice(cookie);
                out
            }
            Self::Bound { instance, session, observed } => {
                let mut out = head(2, 0);
                out.extend_from_slice(&instance.to_be_bytes());
                out.extend_from_slice(&session.to_be_bytes());
                let ip = match observed.ip() {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                out.extend_from_slice(&ip.octets());
                out.extend_from_slice(&observed.port().to_be_bytes());
                out
            }
            Self::Refused { instance, why } => {
                let detail = match why {
                    BindRefusal::Ticket => 1,
                    BindRefusal::Expired => 2,
                    BindRefusal::Proof => 3,
                    BindRefusal::NoAgent => 4,
                    BindRefusal::Busy => 5,
                    BindRefusal::Leaving => 6,
                };
                let mut out = head(3, detail);
                out.extend_from_slice(&instance.to_be_bytes());
                out
            }
            Self::Unknown { session } => {
                let mut out = head(4, 0);
                out.extend_from_slice(&session.to_be_bytes());
                out
            }
            Self::Leaving { session } => {
                let mut out = head(5, 0);
                out.extend_from_slice(&session.to_be_bytes());
                out
            }
        }
    }
}

impl FromRelay {
    /// Reads a control packet; `None` for anything else, DATA included.
    pub fn read(packet: &[u8]) -> Option<Self> {
        let mut rest = Reader(packet);
        let kind = rest.byte()?;
        if rest.byte()? != VERSION {
            return None;
        }
        let [sub, detail] = rest.array::<2>()?;
        let read = match (kind, sub, detail) {
            (ALIVE, 0, 0) => Self::Alive { session: rest.u32()? },
            (ANSWER, 1, 0) => {
                Self::Answer(Answer::Challenge { instance: rest.u64()?, cookie: rest.array()? })
            }
            (ANSWER, 2, 0) => {
                let (instance, session) = (rest.u64()?, rest.u32()?);
                let ip = IpAddr::V6(Ipv6Addr::from(rest.array::<16>()?)).to_canonical();
                let observed = SocketAddr::new(ip, u16::from_be_bytes(rest.array()?));
                Self::Answer(Answer::Bound { instance, session, observed })
            }
            (ANSWER, 3, detail) => {
                let why = match detail {
                    1 => BindRefusal::Ticket,
                    2 => BindRefusal::Expired,
                    3 => BindRefusal::Proof,
                    4 => BindRefusal::NoAgent,
                    5 => BindRefusal::Busy,
                    6 => BindRefusal::Leaving,
                    _ => return None,
                };
                Self::Answer(Answer::Refused { instance: rest.u64()?, why })
            }
            (ANSWER, 4, 0) => Self::Answer(Answer::Unknown { session: rest.u32()? }),
            (ANSWER, 5, 0) => Self::Answer(Answer::Leaving { session: rest.u32()? }),
            _ => return None,
        };
        rest.end()?;
        Some(read)
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answers() -> Vec<Answer> {
        let mut all = vec![
            Answer::Challenge { instance: 7, cookie: [3; COOKIE_BYTES] },
            Answer::Bound { instance: 7, session: 9, observed: "192.0.2.1:4433".parse().unwrap() },
            Answer::Bound { instance: 7, session: 9, observed: "[2001:db8::1]:4433".parse().unwrap() },
            Answer::Unknown { session: 5 },
            Answer::Leaving { session: 5 },
        ];
        for why in [
            BindRefusal::Ticket,
            BindRefusal::Expired,
            BindRefusal::Proof,
            BindRefusal::NoAgent,
            BindRefusal::Busy,
            BindRefusal::Leaving,
        ] {
            all.push(Answer::Refused { instance: 1, why });
        }
        all
    }

    #[test]
    fn answers_are_read_back_and_never_larger_than_a_request() {
        for answer in answers() {
            let bytes = answer.encode();
            assert!(bytes.len() < MIN_BIND_BYTES);
            assert!(!is_quic(&bytes));
            assert_eq!(FromRelay::read(&bytes), Some(FromRelay::Answer(answer)));
            assert_eq!(FromRelay::read(&[&bytes[..], &[0]].concat()), None);
        }
    }

    #[test]
    fn data_is_read_back() {
        let packet = [&data_header(77)[..], b"x"].concat();
        assert_eq!(data_session(&packet), Some(77));
        assert_eq!(data_session(&packet[..8]), None);
        assert_eq!(ToRelay::read(&packet), None);
    }

    proptest! {
        #[test]
        fn a_bind_is_read_back(instance: u64, wanted: u32, ticket in "[a-zA-Z0-9._-]{0,900}", proven: bool) {
            let proof = proven.then_some(Proof { cookie: [1; COOKIE_BYTES], signature: [2; 64] });
            let bind = Bind { instance, wanted, ticket, proof };
            prop_assert_eq!(ToRelay::read(&bind.encode()), Some(ToRelay::Bind(bind)));
        }

        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..1300), kind in 0u8..7) {
            if let [first, second, ..] = bytes.as_mut_slice() {
                *first = kind;
                *second = VERSION;
            }
            if let Some(ToRelay::Bind(bind)) = ToRelay::read(&bytes) {
                prop_assert!(bind.encode().len() <= bytes.len().max(MIN_BIND_BYTES));
            }
            if let Some(FromRelay::Answer(answer)) = FromRelay::read(&bytes) {
                prop_assert_eq!(answer.encode().len(), bytes.len());
            }
            prop_assert!(data_session(&bytes).is_none() || bytes.len() > DATA_HEADER_BYTES);
        }
    }
}
