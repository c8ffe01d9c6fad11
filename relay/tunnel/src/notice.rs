//! What the two ends tell each other on the control stream: where they may be reached, and that the path changed.
//!
//! A notice is a kind, a length and a body. Unknown kinds, wrong lengths and too many addresses are refused, which
//! ends the connection: both ends are ours.

use crate::path::punch::MAX_CANDIDATES;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt};

const CANDIDATES: u8 = 1;
const MOVED: u8 = 2;
const ADDRESS_BYTES: usize = 18;
const MAX_BODY: usize = MAX_CANDIDATES * ADDRESS_BYTES;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Addresses the sender may be reached at.
    Candidates(Vec<SocketAddr>),
    /// The path changed; that this arrives over the new one is the point.
    Moved,
}

/// Why there is no next notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoNotice {
    /// The stream or its connection ended.
    Ended,
    /// What came is not one.
    Unknown,
}

impl Notice {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (kind, body) = match self {
            Self::Candidates(addresses) => {
                (CANDIDATES, addresses.iter().take(MAX_CANDIDATES).flat_map(address_bytes).collect())
            }
            Self::Moved => (MOVED, Vec::new()),
        };
        let [high, low] = u16::try_from(body.len()).unwrap_or_default().to_be_bytes();
        [vec![kind, high, low], body].concat()
    }

    /// The next one. Not safe to cancel.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Self, NoNotice> {
        let mut head = [0; 3];
        stream.read_exact(&mut head).await.map_err(|_| NoNotice::Ended)?;
        let [kind, high, low] = head;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > MAX_BODY {
            return Err(NoNotice::Unknown);
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.map_err(|_| NoNotice::Ended)?;
        match kind {
            CANDIDATES if length.is_multiple_of(ADDRESS_BYTES) => {
                Ok(Self::Candidates(body.chunks(ADDRESS_BYTES).filter_map(read_address).collect()))
            }
            MOVED if length == 0 => Ok(Self::Moved),
            _ => Err(NoNotice::Unknown),
        }
    }
}

fn address_bytes(addr: &SocketAddr) -> Vec<u8> {
    let ip = match addr.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    [&ip.octets()[..], &addr.port().to_be_bytes()].concat()
}

fn read_address(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_first_chunk::<16>()?;
    let ip = IpAddr::V6(Ipv6Addr::from(*ip)).to_canonical();
    Some(SocketAddr::new(ip, u16::from_be_bytes(port.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn notices_are_read_back_and_anything_else_is_not() {
        let addresses = vec!["192.0.2.1:5".parse().unwrap(), "[2001:db8::1]:6".parse().unwrap()];
        for notice in [Notice::Candidates(addresses), Notice::Candidates(Vec::new()), Notice::Moved] {
            let bytes = notice.encode();
            assert_eq!(Notice::read(&mut bytes.as_slice()).await, Ok(notice));
            assert_eq!(Notice::read(&mut &bytes[..bytes.len() - 1]).await, Err(NoNotice::Ended));
        }
        for wrong in [&[0, 0, 0][..], &[1, 0, 1, 9], &[1, 255, 255, 0], &[2, 0, 1, 0], &[3, 0, 0]] {
            assert_eq!(Notice::read(&mut &wrong[..]).await, Err(NoNotice::Unknown), "{wrong:?}");
        }
        let many = vec!["192.0.2.1:5".parse().unwrap(); 100];
        let Ok(Notice::Candidates(kept)) =
            Notice::read(&mut Notice::Candidates(many).encode().as_slice()).await
        else {
            panic!("the rest is left out");
        };
        assert_eq!(kept.len(), MAX_CANDIDATES);
    }
}
