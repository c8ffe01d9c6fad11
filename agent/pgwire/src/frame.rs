//! Length-prefixed frames: exactly one message at a time.
//!
//! [`FrameBuffer`] collects bytes in whatever pieces the network delivers and gives back whole messages. A start-up
//! packet may be 10 kB, a message 64 MiB unless told otherwise. A length below the four bytes it counts, or above the
//! limit, is an error as soon as the header is there; nothing is ever allocated because a peer announced it.

use bytes::{Buf as _, Bytes, BytesMut};

/// The longest start-up packet, as in PostgreSQL.
pub const STARTUP_LIMIT: usize = 10_000;
/// The longest message unless [`FrameBuffer::limit_messages`] says otherwise.
pub const MESSAGE_LIMIT: usize = 64 * 1024 * 1024;

/// Why the byte stream cannot be cut into messages any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length that does not even count itself.
    #[error("invalid length of a message")]
    Invalid,
    /// Longer than this phase allows.
    #[error("a message of {length} bytes is longer than the {limit} allowed here")]
    TooLong {
        /// The announced length.
        length: usize,
        /// What would have been accepted.
        limit: usize,
    },
}

impl FrameError {
    /// The SQLSTATE to report it under.
    pub fn sqlstate(self) -> &'static str {
        match self {
            Self::Invalid => crate::sqlstate::PROTOCOL_VIOLATION,
            Self::TooLong { .. } => crate::sqlstate::PROGRAM_LIMIT_EXCEEDED,
        }
    }
}

/// One whole message with its type byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    raw: Bytes,
}

impl Frame {
    /// The type byte.
    pub fn tag(&self) -> u8 {
        self.raw.first().copied().unwrap_or(0)
    }

    /// What follows type and length.
    pub fn body(&self) -> &[u8] {
        self.raw.get(HEADER..).unwrap_or_default()
    }

    /// The message as it came, for forwarding.
    pub fn into_bytes(self) -> Bytes {
        self.raw
    }

    /// The message as it came.
    pub fn as_bytes(&self) -> &[u8] {
        &self.raw
    }
}

/// Type byte and length.
const HEADER: usize = 5;

/// Collects bytes and cuts messages off the front.
#[derive(Debug)]
pub struct FrameBuffer {
    buffer: BytesMut,
    limit: usize,
}

impl Default for FrameBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameBuffer {
    /// Empty, with the default limit.
    pub fn new() -> Self {
        Self { buffer: BytesMut::new(), limit: MESSAGE_LIMIT }
    }

    /// Starts with bytes that were read ahead elsewhere.
    pub fn with_bytes(bytes: &[u8]) -> Self {
        Self { buffer: BytesMut::from(bytes), limit: MESSAGE_LIMIT }
    }

    /// Sets the longest message accepted by [`FrameBuffer::take`].
    pub fn limit_messages(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Appends received bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The buffer itself, to read into.
    pub fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The type of the next message, as soon as its first byte is here.
    pub fn next_tag(&self) -> Option<u8> {
        self.buffer.first().copied()
    }

    /// The beginning of the next message's body, as far as it is here.
    pub fn next_body(&self) -> &[u8] {
        self.buffer.get(5..).unwrap_or_default()
    }

    /// How many bytes are waiting.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Takes whatever is waiting, whole messages or not.
    pub fn take_rest(&mut self) -> Bytes {
        self.buffer.split().freeze()
    }

    /// The next start-up packet without its length, if all of it is here. It has no type byte.
    pub fn take_startup(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(length) = announced(&self.buffer, 0) else { return Ok(None) };
        let length = checked(length, STARTUP_LIMIT)?;
        if self.buffer.len() < length {
            return Ok(None);
        }
        let mut packet = self.buffer.split_to(length).freeze();
        packet.advance(4);
        Ok(Some(packet))
    }

    /// The next message, if all of it is here.
    pub fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(length) = announced(&self.buffer, 1) else { return Ok(None) };
        let length = checked(length, self.limit)?.saturating_add(1);
        if self.buffer.len() < length {
            return Ok(None);
        }
        Ok(Some(Frame { raw: self.buffer.split_to(length).freeze() }))
    }

    /// What waits at the front of a server's stream: a whole message, or bytes of messages whose content does not
    /// matter (`bulk` says which types), which may begin and end anywhere.
    pub fn take_piece(
        &mut self,
        open: &mut usize,
        bulk: fn(u8) -> bool,
    ) -> Result<Option<Piece>, FrameError> {
        let mut end = (*open).min(self.buffer.len());
        *open -= end;
        while *open == 0 {
            if !self.buffer.get(end).copied().is_some_and(bulk) {
                break;
            }
            let Some(length) = announced(&self.buffer, end.saturating_add(1)) else { break };
            let length = checked(length, usize::MAX)?.saturating_add(1);
            let here = length.min(self.buffer.len().saturating_sub(end));
            *open = length.saturating_sub(here);
            end = end.saturating_add(here);
        }
        if end > 0 {
            return Ok(Some(Piece::Bulk(self.buffer.split_to(end).freeze())));
        }
        if self.buffer.first().copied().is_some_and(bulk) {
            return Ok(None);
        }
        Ok(self.take()?.map(Piece::Message))
    }
}

/// What [`FrameBuffer::take_piece`] cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A whole message.
    Message(Frame),
    /// Bytes of bulk messages, to be passed on or dropped as they are.
    Bulk(Bytes),
}

fn announced(buffer: &[u8], at: usize) -> Option<i32> {
    let bytes = buffer.get(at..)?.first_chunk::<4>()?;
    Some(i32::from_be_bytes(*bytes))
}

fn checked(length: i32, limit: usize) -> Result<usize, FrameError> {
    let length = usize::try_from(length).map_err(|_| FrameError::Invalid)?;
    if length < 4 {
        return Err(FrameError::Invalid);
    }
    if length > limit {
        return Err(FrameError::TooLong { length, limit });
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
