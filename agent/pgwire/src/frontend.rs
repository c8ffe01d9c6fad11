//! What a client sends once its session stands.
//!
//! Every message is read from exactly its own frame; what is left over, missing or unterminated is an error. Names and
//! SQL text stay bytes until someone needs text, so nothing is altered on the way.

use crate::cursor::{Cursor, DecodeError};
use crate::frame::Frame;
use bytes::{BufMut as _, Bytes, BytesMut};

/// A client's message, borrowing from its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// A simple query: one or more statements.
    Query(&'a [u8]),
    /// Prepare a statement.
    Parse(Parse<'a>),
    /// Make a portal from a prepared statement.
    Bind(Bind<'a>),
    /// Describe a statement or portal.
    Describe(Target<'a>),
    /// Run a portal.
    Execute(Execute<'a>),
    /// Forget a statement or portal.
    Close(Target<'a>),
    /// End of a batch.
    Sync,
    /// Send what you have.
    Flush,
    /// Call a function by its OID.
    FunctionCall {
        /// Which function.
        function: u32,
    },
    /// A piece of COPY data.
    CopyData,
    /// The end of COPY data.
    CopyDone,
    /// COPY given up, with the client's reason.
    CopyFail(&'a [u8]),
    /// A password or SASL message; meaning depends on the exchange.
    Password(&'a [u8]),
    /// Goodbye.
    Terminate,
}

/// A `Parse` message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parse<'a> {
    /// The statement's name; empty is the unnamed one.
    pub name: &'a [u8],
    /// The SQL text.
    pub sql: &'a [u8],
    /// Parameter type OIDs as they came: a count and the OIDs.
    pub types: &'a [u8],
}

/// A `Bind` message, as far as anyone here looks into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind<'a> {
    /// The portal's name.
    pub portal: &'a [u8],
    /// The statement's name.
    pub statement: &'a [u8],
    /// How many parameter values it has.
    pub parameters: usize,
}

/// An `Execute` message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execute<'a> {
    /// The portal's name.
    pub portal: &'a [u8],
    /// Most rows to return; 0 is all.
    pub rows: i32,
}

/// What `Describe` and `Close` point at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// A prepared statement.
    Statement(&'a [u8]),
    /// A portal.
    Portal(&'a [u8]),
}

/// Reads one message.
pub fn parse(frame: &Frame) -> Result<Message<'_>, DecodeError> {
    let mut cursor = Cursor::new(frame.body());
    let message = match frame.tag() {
        b'Q' => Message::Query(cursor.string()?),
        b'P' => Message::Parse(parse_parse(&mut cursor)?),
        b'B' => Message::Bind(parse_bind(&mut cursor)?),
        b'D' => Message::Describe(parse_target(&mut cursor)?),
        b'E' => Message::Execute(Execute { portal: cursor.string()?, rows: cursor.i32()? }),
        b'C' => Message::Close(parse_target(&mut cursor)?),
        b'S' => Message::Sync,
        b'H' => Message::Flush,
        b'F' => parse_function_call(&mut cursor)?,
        b'd' => {
            cursor.rest();
            Message::CopyData
        }
        b'c' => Message::CopyDone,
        b'f' => Message::CopyFail(cursor.string()?),
        b'p' => Message::Password(cursor.rest()),
        b'X' => Message::Terminate,
        _ => return Err(DecodeError::UnknownType),
    };
    cursor.finish()?;
    Ok(message)
}

fn parse_parse<'a>(cursor: &mut Cursor<'a>) -> Result<Parse<'a>, DecodeError> {
    let name = cursor.string()?;
    let sql = cursor.string()?;
    let types = cursor.rest();
    let mut list = Cursor::new(types);
    let count = list.count()?;
    list.bytes(count.saturating_mul(4))?;
    list.finish()?;
    Ok(Parse { name, sql, types })
}

fn parse_bind<'a>(cursor: &mut Cursor<'a>) -> Result<Bind<'a>, DecodeError> {
    let portal = cursor.string()?;
    let statement = cursor.string()?;
    let formats = cursor.count()?;
    cursor.bytes(formats.saturating_mul(2))?;
    let parameters = cursor.count()?;
    for _ in 0..parameters {
        cursor.value()?;
    }
    let formats = cursor.count()?;
    cursor.bytes(formats.saturating_mul(2))?;
    Ok(Bind { portal, statement, parameters })
}

fn parse_target<'a>(cursor: &mut Cursor<'a>) -> Result<Target<'a>, DecodeError> {
    let kind = cursor.u8()?;
    let name = cursor.string()?;
    match kind {
        b'S' => Ok(Target::Statement(name)),
        b'P' => Ok(Target::Portal(name)),
        _ => Err(DecodeError::UnknownValue),
    }
}

fn parse_function_call<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>, DecodeError> {
    let function = cursor.u32()?;
    let formats = cursor.count()?;
    cursor.bytes(formats.saturating_mul(2))?;
    let arguments = cursor.count()?;
    for _ in 0..arguments {
        cursor.value()?;
    }
    cursor.i16()?;
    Ok(Message::FunctionCall { function })
}

/// A simple query.
pub fn query(sql: &str) -> Bytes {
    message(b'Q', |body| put_bytes(body, sql.as_bytes()))
}

/// A `Parse` message; `types` as in [`Parse::types`], empty for none.
pub fn parse_statement(name: &[u8], sql: &str, types: &[u8]) -> Bytes {
    message(b'P', |body| {
        put_bytes(body, name);
        put_bytes(body, sql.as_bytes());
        if types.is_empty() {
            body.put_u16(0);
        } else {
            body.put_slice(types);
        }
    })
}

/// A `Bind` message without parameters, text results.
pub fn bind(portal: &[u8], statement: &[u8]) -> Bytes {
    message(b'B', |body| {
        put_bytes(body, portal);
        put_bytes(body, statement);
        body.put_u16(0);
        body.put_u16(0);
        body.put_u16(0);
    })
}

/// An `Execute` message for all rows.
pub fn execute(portal: &[u8]) -> Bytes {
    message(b'E', |body| {
        put_bytes(body, portal);
        body.put_i32(0);
    })
}

/// A `Close` message.
pub fn close(target: Target<'_>) -> Bytes {
    message(b'C', |body| {
        let (kind, name) = match target {
            Target::Statement(name) => (b'S', name),
            Target::Portal(name) => (b'P', name),
        };
        body.put_u8(kind);
        put_bytes(body, name);
    })
}

/// A `Sync` message.
pub fn sync() -> Bytes {
    message(b'S', |_| {})
}

/// A `Flush` message.
pub fn flush() -> Bytes {
    message(b'H', |_| {})
}

/// A `Terminate` message.
pub fn terminate() -> Bytes {
    message(b'X', |_| {})
}

/// A `CopyFail` message.
pub fn copy_fail(reason: &str) -> Bytes {
    message(b'f', |body| put_bytes(body, reason.as_bytes()))
}

/// `SASLInitialResponse`.
pub fn sasl_initial(mechanism: &str, data: &[u8]) -> Bytes {
    message(b'p', |body| {
        put_bytes(body, mechanism.as_bytes());
        body.put_i32(i32::try_from(data.len()).unwrap_or(i32::MAX));
        body.put_slice(data);
    })
}

/// `SASLResponse`.
pub fn sasl_response(data: &[u8]) -> Bytes {
    message(b'p', |body| body.put_slice(data))
}

/// Reads the body of a `SASLInitialResponse`: mechanism and data.
pub fn parse_sasl_initial(body: &[u8]) -> Result<(&str, &[u8]), DecodeError> {
    let mut cursor = Cursor::new(body);
    let mechanism = cursor.text()?;
    let data = cursor.value()?.unwrap_or_default();
    cursor.finish()?;
    Ok((mechanism, data))
}

/// A message of that type; a body beyond what a length can say is cut, which no caller reaches.
pub(crate) fn message(tag: u8, fill: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut buffer = BytesMut::with_capacity(64);
    buffer.put_u8(tag);
    buffer.put_u32(0);
    fill(&mut buffer);
    let length = u32::try_from(buffer.len().saturating_sub(1)).unwrap_or(u32::MAX).to_be_bytes();
    if let Some(place) = buffer.get_mut(1..5) {
        place.copy_from_slice(&length);
    }
    buffer.freeze()
}

/// Writes a NUL-terminated string, ending it at a NUL inside it.
pub(crate) fn put_bytes(buffer: &mut BytesMut, bytes: &[u8]) {
    buffer.put_slice(bytes.split(|byte| *byte == 0).next().unwrap_or_default());
    buffer.put_u8(0);
}

#[cfg(test)]
mod tests;
