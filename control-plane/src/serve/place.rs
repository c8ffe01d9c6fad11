//! What a connection takes up: bytes nobody asked it for, and a place that it gives up to others while it has nothing
//! under way.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

/// How much may still be read of a connection: without end, unless somebody says otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Meter(Arc<AtomicU64>);

impl Default for Meter {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }
}

impl Meter {
    /// From now on so many bytes.
    pub(crate) fn allow(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// As many as come.
    pub(crate) fn lift(&self) {
        self.allow(u64::MAX);
    }

    fn took(&self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| match left {
            u64::MAX => Some(left),
            left => left.checked_sub(bytes),
        });
        taken.is_ok()
    }
}

/// A connection that is read by a meter.
#[derive(Debug)]
pub(super) struct Metered<I> {
    pub(super) io: I,
    pub(super) meter: Meter,
}

impl<I: AsyncRead + Unpin> AsyncRead for Metered<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        let read = buf.filled().len().saturating_sub(before);
        if matches!(polled, Poll::Ready(Ok(()))) && !self.meter.took(read) {
            return Poll::Ready(Err(io::Error::other(
                "more was sent than is read of somebody who has not said who they are",
            )));
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Metered<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// The connections without a request under way, by when they last had one.
#[derive(Debug, Clone, Default)]
pub(super) struct Idle(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    by_age: BTreeMap<u64, CancellationToken>,
}

impl Idle {
    /// The one that has waited longest gives way to others. Whoever sends half a head, or nothing, is among them.
    pub(super) fn oldest_gives_way(&self) {
        let oldest = self.0.lock().unwrap_or_else(PoisonError::into_inner).by_age.pop_first();
        if let Some((_, connection)) = oldest {
            connection.cancel();
        }
    }

    pub(super) fn enter(&self) -> Place {
        let place = Place { idle: self.clone(), give_way: CancellationToken::new(), at: Mutex::new(None) };
        place.waits();
        place
    }
}

/// One connection among them.
#[derive(Debug)]
pub(super) struct Place {
    idle: Idle,
    give_way: CancellationToken,
    at: Mutex<Option<u64>>,
}

impl Place {
    /// Cancelled when it has to go.
    pub(super) fn give_way(&self) -> &CancellationToken {
        &self.give_way
    }

    fn waits(&self) {
        let mut waiting = self.idle.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = waiting.next;
        waiting.next = at.saturating_add(1);
        waiting.by_age.insert(at, self.give_way.clone());
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    fn leave(&self) {
        let mut waiting = self.idle.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = self.at.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waiting.by_age.remove(&at);
        }
    }

    /// A request is under way as long as this lives.
    pub(super) fn works(self: &Arc<Self>) -> Working {
        self.leave();
        Working(Arc::clone(self))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Working(Arc<Place>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.waits();
    }
}
