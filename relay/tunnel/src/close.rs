//! Why connections end, as a code on the wire and as words for people.
//!
//! A peer's text is shown only after control characters are removed and it is cut to a fixed length.

use quinn::{ConnectionError, VarInt};

/// Longest reason sent or shown, in bytes.
pub const MAX_REASON_BYTES: usize = 300;

/// Why one side ends a connection on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    /// Nothing more to do.
    Done,
    /// The user's certificate ran out.
    CertificateExpired,
    /// The user's certificate was revoked.
    CertificateRevoked,
    /// The certificate is genuine but not for this.
    NotAllowed,
    /// This side is shutting down.
    ShuttingDown,
    /// The peer broke the protocol.
    Protocol,
    /// Too much is going on.
    Busy,
}

impl CloseCode {
    pub(crate) fn wire(self) -> VarInt {
        VarInt::from_u32(match self {
            Self::Done => 0,
            Self::CertificateExpired => 1,
            Self::CertificateRevoked => 2,
            Self::NotAllowed => 3,
            Self::ShuttingDown => 4,
            Self::Protocol => 5,
            Self::Busy => 6,
        })
    }
}

/// A reason cut to what is sent.
pub(crate) fn reason_bytes(reason: &str) -> &[u8] {
    let mut end = reason.len().min(MAX_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.as_bytes().get(..end).unwrap_or_default()
}

/// What a peer wrote, safe to print.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let cut = bytes.get(..bytes.len().min(MAX_REASON_BYTES)).unwrap_or_default();
    String::from_utf8_lossy(cut).chars().filter(|c| !c.is_control()).collect()
}

/// Why a connection ended, in words.
pub(crate) fn describe(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(close) if close.reason.is_empty() => {
            format!("the other side closed the connection (code {})", close.error_code)
        }
        ConnectionError::ApplicationClosed(close) => printable(&close.reason),
        ConnectionError::ConnectionClosed(close) => {
            let code = u64::from(close.error_code);
            match alert_of(code) {
                Some(alert) => format!("the other side refused us: {}", alert_words(alert)),
                None => format!("the other side ended the connection: {}", printable(&close.reason)),
            }
        }
        ConnectionError::TransportError(fault) => match alert_of(u64::from(fault.code)) {
            Some(alert) => format!("we refused the other side: {}", alert_words(alert)),
            None => format!("the connection failed: {}", printable(fault.reason.as_bytes())),
        },
        ConnectionError::TimedOut => "no answer".to_owned(),
        ConnectionError::Reset => "the other side no longer knows this connection".to_owned(),
        ConnectionError::LocallyClosed => "closed on this side".to_owned(),
        ConnectionError::VersionMismatch => "the other side speaks another QUIC version".to_owned(),
        ConnectionError::CidsExhausted => "too many connections on this side".to_owned(),
    }
}

/// TLS alerts travel as QUIC errors 0x100 to 0x1ff.
fn alert_of(code: u64) -> Option<u8> {
    code.checked_sub(0x100).and_then(|alert| u8::try_from(alert).ok())
}

pub(crate) fn alert_words(alert: u8) -> String {
    match alert {
        42 => "the certificate is not acceptable".to_owned(),
        43 => "the certificate is for another purpose".to_owned(),
        44 => "the certificate was revoked".to_owned(),
        45 => "the certificate has expired".to_owned(),
        46 => "the certificate names the wrong party".to_owned(),
        // 51: signed by another CA of the same name.
        48 | 51 => "the certificate is not from this organization".to_owned(),
        49 => "access denied".to_owned(),
        116 => "no certificate was shown".to_owned(),
        120 => "it does not speak `daam/1`".to_owned(),
        other => format!("TLS alert {other}"),
    }
}
