//! Which reply answers which request.
//!
//! A client may send ahead of the replies, so every request that was sent waits in a queue with a note of its
//! sender, and every reply belongs to the head of it. The rules are PostgreSQL's: an error in the extended protocol
//! makes the server ignore everything up to the next `Sync`; a simple query or `Sync` is over at `ReadyForQuery`.
//! A reply that no waiting request can have is an error: then nothing may be attributed to anybody any more.

use crate::backend::TransactionStatus;
use crate::cursor::DecodeError;
use std::collections::VecDeque;

/// A message that will be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Request {
    /// `Query`.
    Query,
    /// `Parse`.
    Parse,
    /// `Bind`.
    Bind,
    /// `Describe` of a statement.
    DescribeStatement,
    /// `Describe` of a portal.
    DescribePortal,
    /// `Execute`.
    Execute,
    /// `Close`.
    Close,
    /// `Sync`.
    Sync,
    /// `FunctionCall`.
    FunctionCall,
}

impl Request {
    /// Whether `ReadyForQuery` ends it.
    fn ends_ready(self) -> bool {
        matches!(self, Self::Query | Self::Sync | Self::FunctionCall)
    }

    fn runs(self) -> bool {
        matches!(self, Self::Query | Self::Execute)
    }

    fn describes(self) -> bool {
        matches!(self, Self::DescribeStatement | Self::DescribePortal)
    }
}

/// What registering a request says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It will be answered.
    Expected,
    /// The server ignores it: an earlier request of its batch failed. Do not send it.
    Ignored,
}

/// Whose reply it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<T> {
    /// The request's note; none for what the server says on its own.
    pub owner: Option<T>,
    /// Whether the request is over with it.
    pub finished: bool,
    /// Requests after it that the server will ignore now.
    pub skipped: Vec<T>,
}

/// Why the replies make no sense any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutOfStep {
    /// A reply nobody waits for.
    #[error("a reply of type `{}` answers no request", char::from(*.0))]
    Unexpected(u8),
    /// A malformed reply.
    #[error("a malformed reply")]
    Malformed(#[from] DecodeError),
}

/// Requests in flight, each with a note of type `T`.
#[derive(Debug)]
pub struct Pipeline<T> {
    queue: VecDeque<(Request, T)>,
    status: TransactionStatus,
    batch: Batch,
    copy_in: bool,
    /// Something ran since the last `ReadyForQuery` that may have changed the status.
    ran: bool,
}

/// The extended-protocol messages since the last `Sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Batch {
    None,
    Open,
    Skipping,
}

impl<T: Clone> Default for Pipeline<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Clone> Pipeline<T> {
    /// After login: nothing in flight, no transaction.
    pub fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            status: TransactionStatus::Idle,
            batch: Batch::None,
            copy_in: false,
            ran: false,
        }
    }

    /// Registers a request in the order of sending.
    pub fn sent(&mut self, request: Request, note: T) -> Sent {
        match (request, self.batch) {
            (Request::Sync, _) => self.batch = Batch::None,
            (_, Batch::Skipping) => return Sent::Ignored,
            (Request::Query | Request::FunctionCall, _) => self.batch = Batch::None,
            (_, _) => self.batch = Batch::Open,
        }
        self.ran |= request == Request::Execute;
        self.queue.push_back((request, note));
        Sent::Expected
    }

    /// Registers the end of COPY data (`CopyDone` or `CopyFail`).
    pub fn copy_ended(&mut self) {
        self.copy_in = false;
    }

    /// The request the next reply belongs to.
    pub fn current(&self) -> Option<&T> {
        self.queue.front().map(|(_, note)| note)
    }

    /// Requests without their last reply.
    pub fn in_flight(&self) -> usize {
        self.queue.len()
    }

    /// The notes of all requests in flight, oldest first.
    pub fn notes(&self) -> impl Iterator<Item = &T> {
        self.queue.iter().map(|(_, note)| note)
    }

    /// The status in the last `ReadyForQuery`.
    pub fn status(&self) -> TransactionStatus {
        self.status
    }

    /// Whether the server waits for COPY data.
    pub fn copy_in(&self) -> bool {
        self.copy_in
    }

    /// Whether the server ignores everything up to the next `Sync`.
    pub fn skipping(&self) -> bool {
        self.batch == Batch::Skipping
    }

    /// Whether requests were sent that no `Sync` has ended yet.
    pub fn batch_open(&self) -> bool {
        self.batch != Batch::None
    }

    /// Whether the transaction has failed, so that only its end is accepted: for certain, all being answered.
    pub fn in_failed_transaction(&self) -> bool {
        self.queue.is_empty() && !self.ran && self.status == TransactionStatus::Failed
    }

    /// Whether the server may ignore what it is sent, because something without an answer fails: a `Sync` that is nobody's
    /// would end that too early.
    pub fn may_skip(&self) -> bool {
        let mut unended = self.queue.iter().rev().take_while(|(request, _)| *request != Request::Sync);
        self.skipping() || unended.any(|(request, _)| !request.ends_ready())
    }

    /// Whether the server has said `ReadyForQuery` to everything.
    pub fn is_settled(&self) -> bool {
        self.queue.is_empty() && !self.batch_open()
    }

    /// Attributes a reply that is more than bulk data.
    pub fn reply(&mut self, tag: u8, body: &[u8]) -> Result<Reply<T>, OutOfStep> {
        let Some((request, note)) = self.queue.front().cloned() else {
            return match tag {
                b'N' | b'S' | b'A' | b'E' => Ok(Reply { owner: None, finished: false, skipped: Vec::new() }),
                _ => Err(OutOfStep::Unexpected(tag)),
            };
        };
        let mut skipped = Vec::new();
        let finished = match tag {
            b'N' | b'S' | b'A' => false,
            b'E' => {
                self.copy_in = false;
                self.failed(request, &mut skipped)
            }
            b'Z' if request.ends_ready() => {
                self.status = TransactionStatus::parse(body)?;
                self.copy_in = false;
                self.ran = self.queue.iter().any(|(request, _)| *request == Request::Execute);
                true
            }
            b'G' if request.runs() => {
                self.copy_in = true;
                false
            }
            b'C' if request.runs() => {
                self.copy_in = false;
                request == Request::Execute
            }
            _ => ends(tag, request).ok_or(OutOfStep::Unexpected(tag))?,
        };
        if finished {
            self.queue.pop_front();
            skipped_away(&mut self.queue, skipped.len());
        }
        Ok(Reply { owner: Some(note), finished, skipped })
    }

    /// An error for `request`: whether it is over, and what goes with it.
    fn failed(&mut self, request: Request, skipped: &mut Vec<T>) -> bool {
        if request.ends_ready() {
            return false;
        }
        let after = self.queue.iter().skip(1);
        let waiting = after.take_while(|(request, _)| *request != Request::Sync);
        skipped.extend(waiting.map(|(_, note)| note.clone()));
        if self.queue.len() == skipped.len().saturating_add(1) {
            self.batch = Batch::Skipping;
        }
        true
    }
}

fn skipped_away<T>(queue: &mut VecDeque<T>, count: usize) {
    queue.drain(..count.min(queue.len()));
}

/// Whether the reply is the request's last; `None` if it cannot be a reply to it.
fn ends(tag: u8, request: Request) -> Option<bool> {
    match (tag, request) {
        (b'1', Request::Parse)
        | (b'2', Request::Bind)
        | (b'3', Request::Close)
        | (b's' | b'I', Request::Execute) => Some(true),
        (b'n' | b'T', request) if request.describes() => Some(true),
        (b't', Request::DescribeStatement)
        | (b'T' | b'I', Request::Query)
        | (b'V', Request::FunctionCall) => Some(false),
        (b'H' | b'c' | b'D' | b'd', request) if request.runs() => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
