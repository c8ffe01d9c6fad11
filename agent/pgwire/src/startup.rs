//! The first packet of a connection: TLS and GSS requests, cancel requests, and the session's parameters.
//!
//! Refused: protocol versions other than 3, cancel keys longer than 256 bytes, parameters without their NUL or their
//! value, a packet without its closing NUL, and names or values that are not UTF-8.

use crate::cursor::{Cursor, DecodeError};
use crate::frontend::put_bytes;
use bytes::{BufMut as _, Bytes, BytesMut};

const PROTOCOL_3: u32 = 3;
const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
/// The newest minor version we speak.
pub const NEWEST_MINOR: u32 = 2;
/// The longest secret in a cancel request.
const LONGEST_SECRET: usize = 256;

/// The answer to a TLS or GSS request that declines it.
pub const DECLINE: &[u8] = b"N";

/// What a client may open a connection with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Startup {
    /// It would like TLS.
    Ssl,
    /// It would like GSS encryption.
    GssEnc,
    /// It wants a statement of another connection cancelled.
    Cancel(CancelKey),
    /// It wants a session.
    Session(StartupParameters),
}

/// What names a session in a cancel request.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CancelKey {
    /// The process number told in `BackendKeyData`.
    pub pid: i32,
    /// The secret told with it: 4 bytes in protocol 3.0, up to 256 since 3.2.
    pub secret: Bytes,
}

impl std::fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelKey").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// The parameters of a session, in the order they came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StartupParameters {
    /// The minor version asked for (0 or 2 in practice).
    pub minor: u32,
    /// Names and values.
    pub parameters: Vec<(String, String)>,
}

impl StartupParameters {
    /// The value of the last parameter of that name, as PostgreSQL reads it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The user asked for.
    pub fn user(&self) -> Option<&str> {
        self.get("user")
    }

    /// The database asked for: the user's name if none is given.
    pub fn database(&self) -> Option<&str> {
        self.get("database").filter(|name| !name.is_empty()).or_else(|| self.user())
    }

    /// The protocol options (`_pq_.…`) that were asked for; we know none.
    pub fn protocol_options(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("_pq_."))
    }

    /// Whether the answer must begin with `NegotiateProtocolVersion`.
    pub fn needs_negotiation(&self) -> bool {
        self.minor > NEWEST_MINOR || self.protocol_options().next().is_some()
    }

    /// The `-c name=value` and `--name=value` settings in `options`.
    pub fn option_settings(&self) -> Result<Vec<(String, String)>, OptionError> {
        self.get("options").map_or(Ok(Vec::new()), parse_options)
    }
}

/// Why a start-up packet was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    /// Not version 3.
    #[error("unsupported protocol version {major}.{minor}: this server speaks 3.0 to 3.2")]
    Version {
        /// Major version asked for.
        major: u32,
        /// Minor version asked for.
        minor: u32,
    },
    /// A malformed packet.
    #[error("invalid start-up packet")]
    Malformed(#[source] DecodeError),
}

impl From<DecodeError> for StartupError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

/// Why the `options` parameter was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// A switch other than `-c` and `--name=value`.
    #[error("the start-up option `{0}` is not supported; use `-c name=value`")]
    Unknown(String),
    /// A setting without a value.
    #[error("the start-up option `{0}` has no value")]
    NoValue(String),
}

/// Reads a start-up packet (without its length).
pub fn parse_startup(packet: &[u8]) -> Result<Startup, StartupError> {
    let mut cursor = Cursor::new(packet);
    match cursor.u32()? {
        SSL => cursor.finish().map(|()| Startup::Ssl).map_err(Into::into),
        GSS => cursor.finish().map(|()| Startup::GssEnc).map_err(Into::into),
        CANCEL => Ok(Startup::Cancel(parse_cancel(cursor)?)),
        version if version >> 16 == PROTOCOL_3 => {
            Ok(Startup::Session(parse_parameters(version & 0xffff, cursor)?))
        }
        version => Err(StartupError::Version { major: version >> 16, minor: version & 0xffff }),
    }
}

fn parse_cancel(mut cursor: Cursor<'_>) -> Result<CancelKey, DecodeError> {
    let pid = cursor.i32()?;
    let secret = cursor.rest();
    if secret.len() < 4 {
        return Err(DecodeError::Short);
    }
    if secret.len() > LONGEST_SECRET {
        return Err(DecodeError::Trailing);
    }
    Ok(CancelKey { pid, secret: Bytes::copy_from_slice(secret) })
}

fn parse_parameters(minor: u32, mut cursor: Cursor<'_>) -> Result<StartupParameters, DecodeError> {
    let mut parameters = Vec::new();
    loop {
        let name = cursor.text()?;
        if name.is_empty() {
            break;
        }
        parameters.push((name.to_owned(), cursor.text()?.to_owned()));
    }
    cursor.finish()?;
    Ok(StartupParameters { minor, parameters })
}

/// Splits `options` as the server does: white space separates, a backslash keeps the next character.
fn parse_options(text: &str) -> Result<Vec<(String, String)>, OptionError> {
    let words = split_words(text);
    let mut words = words.into_iter();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = if word == "-c" {
            words.next().ok_or_else(|| OptionError::NoValue(word.clone()))?
        } else if let Some(rest) = word.strip_prefix("-c").or_else(|| word.strip_prefix("--")) {
            rest.to_owned()
        } else {
            return Err(OptionError::Unknown(word));
        };
        let (name, value) = setting.split_once('=').ok_or_else(|| OptionError::NoValue(setting.clone()))?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c.is_ascii_whitespace() || c == '\u{b}' {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match c {
            '\\' => word.extend(chars.next()),
            _ => word.push(c),
        }
    }
    words.extend(word);
    words
}

/// A TLS request.
pub fn encode_ssl_request() -> Bytes {
    packet(|body| body.put_u32(SSL))
}

/// A cancel request.
pub fn encode_cancel(key: &CancelKey) -> Bytes {
    packet(|body| {
        body.put_u32(CANCEL);
        body.put_i32(key.pid);
        body.put_slice(&key.secret);
    })
}

/// A request for a session. Text after a NUL in a name or value is dropped.
pub fn encode_session(parameters: &StartupParameters) -> Bytes {
    packet(|body| {
        body.put_u32((PROTOCOL_3 << 16) | (parameters.minor & 0xffff));
        for (name, value) in &parameters.parameters {
            put_bytes(body, name.as_bytes());
            put_bytes(body, value.as_bytes());
        }
        body.put_u8(0);
    })
}

fn packet(fill: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut body = BytesMut::new();
    fill(&mut body);
    let mut packet = BytesMut::with_capacity(body.len().saturating_add(4));
    packet.put_u32(u32::try_from(body.len().saturating_add(4)).unwrap_or(u32::MAX));
    packet.put_slice(&body);
    packet.freeze()
}

#[cfg(test)]
mod tests;
