//! One bidirectional stream and the header it starts with.
//!
//! The header is 28 bytes: version, kind, two reserved bytes, then a session id and an offset reserved for
//! resuming later; both are zero today. Any other version, kind or reserved value is refused.

use quinn::{RecvStream, SendStream, VarInt};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Length of `StreamHeader` on the wire.
pub(crate) const HEADER_BYTES: usize = 28;
const VERSION: u8 = 1;

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamKind {
    /// The agent's word that it accepted the connection, and later its notices.
    Control,
    /// One PostgreSQL connection.
    Postgres,
    /// A newer certificate for another connection.
    Renewal,
}

impl StreamKind {
    pub(crate) fn header(self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        let [version, kind, ..] = &mut header;
        *version = VERSION;
        *kind = match self {
            Self::Control => 0,
            Self::Postgres => 1,
            Self::Renewal => 2,
        };
        header
    }

    /// `None` for a header this version does not know.
    pub(crate) fn read(header: &[u8; HEADER_BYTES]) -> Option<Self> {
        let [version, kind, reserved @ ..] = header;
        if *version != VERSION || reserved.iter().any(|byte| *byte != 0) {
            return None;
        }
        match kind {
            0 => Some(Self::Control),
            1 => Some(Self::Postgres),
            2 => Some(Self::Renewal),
            _ => None,
        }
    }
}

/// A byte stream to the peer. Dropping it ends both directions.
#[derive(Debug)]
pub struct TunnelStream {
    send: SendStream,
    recv: RecvStream,
}

impl TunnelStream {
    pub(crate) fn new(send: SendStream, recv: RecvStream) -> Self {
        Self { send, recv }
    }

    /// Tells the peer at once that nothing more is wanted or coming, as a TCP reset would.
    pub fn abort(mut self) {
        let code = VarInt::from_u32(1);
        // Both fail only if that direction has already ended, which is what is wanted.
        self.send.reset(code).unwrap_or_default();
        self.recv.stop(code).unwrap_or_default();
    }
}

impl AsyncRead for TunnelStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        AsyncRead::poll_read(Pin::new(&mut self.recv), cx, buf)
    }
}

impl AsyncWrite for TunnelStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut self.send), cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.send), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(&mut self.send), cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_is_read_back() {
        for kind in [StreamKind::Control, StreamKind::Postgres] {
            assert_eq!(StreamKind::read(&kind.header()), Some(kind));
        }
    }

    proptest! {
        #[test]
        fn any_other_header_is_refused(bytes in proptest::array::uniform28(any::<u8>())) {
            let known = [StreamKind::Control.header(), StreamKind::Postgres.header()];
            prop_assert_eq!(StreamKind::read(&bytes).is_some(), known.contains(&bytes));
        }
    }
}
