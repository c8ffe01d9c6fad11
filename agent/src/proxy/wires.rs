//! Bytes on their way between a session's two streams.

use bytes::BytesMut;
use daam_pgwire::{Frame, FrameBuffer, FrameError};

/// Bytes on their way.
#[derive(Debug, Default)]
pub(super) struct Wires {
    pub(super) inbox: FrameBuffer,
    pub(super) to_client: BytesMut,
    pub(super) from_upstream: FrameBuffer,
    pub(super) to_upstream: BytesMut,
    /// How much of the last bulk message has not arrived yet.
    pub(super) bulk_open: usize,
    /// The client has the beginning of that message, and must get the rest.
    pub(super) passing: bool,
    /// A message of the client's that was looked at and must be looked at again.
    pub(super) put_back: Option<Frame>,
    /// It waits for an answer of the database.
    pub(super) waiting: bool,
    /// The database was told to answer everything it was sent.
    pub(super) flushed: bool,
}

impl Wires {
    /// The client's next message.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        match self.put_back.take() {
            Some(frame) => Ok(Some(frame)),
            None => self.inbox.take(),
        }
    }

    /// Whether anything of the client's is left to do.
    pub(super) fn has_input(&self) -> bool {
        self.put_back.is_some() || !self.inbox.is_empty()
    }

    /// Its type.
    pub(super) fn next_tag(&self) -> Option<u8> {
        self.put_back.as_ref().map(Frame::tag).or(self.inbox.next_tag())
    }

    /// The beginning of its body.
    pub(super) fn next_body(&self) -> &[u8] {
        self.put_back.as_ref().map_or_else(|| self.inbox.next_body(), Frame::body)
    }
}
