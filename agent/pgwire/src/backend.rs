//! What a server sends: the messages we build, and the few we read.
//!
//! Result rows and COPY data are never decoded: [`is_bulk`] names the types that pass as they are.

use crate::cursor::{Cursor, DecodeError};
use crate::frontend::{message, put_bytes};
use crate::startup::CancelKey;
use bytes::{BufMut as _, Bytes};

/// Where the session's transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionStatus {
    /// No transaction is open.
    Idle,
    /// A transaction is open.
    Open,
    /// A transaction is open and has failed.
    Failed,
}

impl TransactionStatus {
    /// The byte in `ReadyForQuery`.
    pub fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::Open => b'T',
            Self::Failed => b'E',
        }
    }

    /// Reads the body of `ReadyForQuery`.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        match body {
            [b'I'] => Ok(Self::Idle),
            [b'T'] => Ok(Self::Open),
            [b'E'] => Ok(Self::Failed),
            [] => Err(DecodeError::Short),
            [_] => Err(DecodeError::UnknownValue),
            _ => Err(DecodeError::Trailing),
        }
    }
}

/// Messages whose content nobody here needs: data rows and COPY data.
pub fn is_bulk(tag: u8) -> bool {
    matches!(tag, b'D' | b'd')
}

/// `AuthenticationOk`.
pub fn authentication_ok() -> Bytes {
    message(b'R', |body| body.put_i32(0))
}

/// `AuthenticationSASL` with the mechanisms on offer.
pub fn authentication_sasl(mechanisms: &[&str]) -> Bytes {
    message(b'R', |body| {
        body.put_i32(10);
        for mechanism in mechanisms {
            put_bytes(body, mechanism.as_bytes());
        }
        body.put_u8(0);
    })
}

/// `AuthenticationSASLContinue`.
pub fn authentication_sasl_continue(data: &[u8]) -> Bytes {
    message(b'R', |body| {
        body.put_i32(11);
        body.put_slice(data);
    })
}

/// `AuthenticationSASLFinal`.
pub fn authentication_sasl_final(data: &[u8]) -> Bytes {
    message(b'R', |body| {
        body.put_i32(12);
        body.put_slice(data);
    })
}

/// What an authentication message asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// Logged in.
    Ok,
    /// A SASL exchange with one of these mechanisms.
    Sasl(Vec<&'a str>),
    /// The server's next SASL message.
    SaslContinue(&'a [u8]),
    /// The server's last SASL message.
    SaslFinal(&'a [u8]),
    /// Anything else, by its number: clear text (3), MD5 (5), GSS (7) …
    Other(i32),
}

/// Reads the body of an authentication message.
pub fn parse_authentication(body: &[u8]) -> Result<Authentication<'_>, DecodeError> {
    let mut cursor = Cursor::new(body);
    let kind = cursor.i32()?;
    let read = match kind {
        0 => Authentication::Ok,
        10 => {
            let mut mechanisms = Vec::new();
            loop {
                let name = cursor.text()?;
                if name.is_empty() {
                    break;
                }
                mechanisms.push(name);
            }
            Authentication::Sasl(mechanisms)
        }
        11 => Authentication::SaslContinue(cursor.rest()),
        12 => Authentication::SaslFinal(cursor.rest()),
        other => {
            cursor.rest();
            Authentication::Other(other)
        }
    };
    cursor.finish()?;
    Ok(read)
}

/// `ParameterStatus`.
pub fn parameter_status(name: &str, value: &str) -> Bytes {
    message(b'S', |body| {
        put_bytes(body, name.as_bytes());
        put_bytes(body, value.as_bytes());
    })
}

/// Reads the body of `ParameterStatus`: name and value.
pub fn parse_parameter_status(body: &[u8]) -> Result<(&str, &str), DecodeError> {
    let mut cursor = Cursor::new(body);
    let pair = (cursor.text()?, cursor.text()?);
    cursor.finish()?;
    Ok(pair)
}

/// `BackendKeyData`.
pub fn backend_key_data(key: &CancelKey) -> Bytes {
    message(b'K', |body| {
        body.put_i32(key.pid);
        body.put_slice(&key.secret);
    })
}

/// Reads the body of `BackendKeyData`.
pub fn parse_backend_key_data(body: &[u8]) -> Result<CancelKey, DecodeError> {
    let mut cursor = Cursor::new(body);
    let pid = cursor.i32()?;
    let secret = cursor.rest();
    if secret.len() < 4 {
        return Err(DecodeError::Short);
    }
    Ok(CancelKey { pid, secret: Bytes::copy_from_slice(secret) })
}

/// `NegotiateProtocolVersion`: the newest minor version we speak and the options we do not know.
pub fn negotiate_protocol_version<'a>(minor: u32, unknown: impl Iterator<Item = &'a str>) -> Bytes {
    message(b'v', |body| {
        let unknown: Vec<&str> = unknown.collect();
        body.put_u32((3 << 16) | minor);
        body.put_u32(u32::try_from(unknown.len()).unwrap_or(u32::MAX));
        for name in unknown {
            put_bytes(body, name.as_bytes());
        }
    })
}

/// `ReadyForQuery`.
pub fn ready_for_query(status: TransactionStatus) -> Bytes {
    message(b'Z', |body| body.put_u8(status.byte()))
}

/// `CommandComplete`.
pub fn command_complete(tag: &str) -> Bytes {
    message(b'C', |body| put_bytes(body, tag.as_bytes()))
}

/// Reads the body of `CommandComplete`.
pub fn parse_command_complete(body: &[u8]) -> Result<&[u8], DecodeError> {
    let mut cursor = Cursor::new(body);
    let tag = cursor.string()?;
    cursor.finish()?;
    Ok(tag)
}

/// The values of a `DataRow`, null as `None`.
pub fn parse_data_row(body: &[u8]) -> Result<Vec<Option<&[u8]>>, DecodeError> {
    let mut cursor = Cursor::new(body);
    let count = cursor.count()?;
    let values = (0..count).map(|_| cursor.value()).collect::<Result<_, _>>()?;
    cursor.finish()?;
    Ok(values)
}

#[cfg(test)]
mod tests;
