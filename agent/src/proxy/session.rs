//! One task per session: waits for the next event and lets the [`Core`] deal with it.
//!
//! Reading stops on one side while the other is slow to take what was read, so memory stays bounded and a client that
//! sends without reading only blocks itself.

use super::SessionEnd;
use super::core::{Core, End, HIGH_WATER};
use super::limits::{Due, Left};
use crate::admin::SessionGrant;
use crate::audit::Happened;
use crate::context::{ProxyContext, SessionEvent, SessionEventKind};
use crate::quiesce::{Held, Seat};
use crate::session_id::SessionId;
use crate::sessions::{Registration, SessionCommand};
use crate::state::PolicyState;
use crate::upstream::Duplex;
use daam_audit::Event as AuditEvent;
use daam_identity::UserPrincipal;
use daam_pgwire::startup::CancelKey;
use daam_pgwire::{frontend, sqlstate};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long the last words to a client may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// How much is read at once.
const READ: usize = 32 * 1024;

/// Everything that can happen to a session.
#[derive(Debug)]
enum Event {
    Command(SessionCommand),
    Policy,
    Held,
    Deadline,
    ClientRead(io::Result<usize>),
    ClientWritten(io::Result<()>),
    UpstreamRead(io::Result<usize>),
    UpstreamWritten(io::Result<()>),
    /// The audit may take something.
    AuditRoom,
    /// The developer's computer is away, or back.
    Presence,
}

/// Both directions of one stream.
pub(super) struct Line<S> {
    read: ReadHalf<S>,
    write: WriteHalf<S>,
    /// Bytes were written since the last flush.
    unflushed: bool,
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite> Line<S> {
    pub(super) fn new(stream: S) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self { read, write, unflushed: false }
    }
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Line<S> {
    /// Writes everything.
    pub(super) async fn send(&mut self, bytes: &mut bytes::BytesMut) -> io::Result<()> {
        self.write.write_all_buf(bytes).await?;
        self.unflushed = false;
        self.write.flush().await
    }

    pub(super) async fn receive(&mut self, buffer: &mut bytes::BytesMut) -> io::Result<usize> {
        buffer.reserve(READ);
        self.read.read_buf(buffer).await
    }
}

/// A session with its streams and everything it must give back.
pub(super) struct Session<C> {
    pub(super) id: SessionId,
    pub(super) user: UserPrincipal,
    pub(super) here: watch::Receiver<bool>,
    pub(super) ctx: Arc<ProxyContext>,
    pub(super) state: watch::Receiver<Arc<PolicyState>>,
    pub(super) held: watch::Receiver<Arc<Held>>,
    pub(super) seat: Seat,
    pub(super) grant: SessionGrant,
    pub(super) key: CancelKey,
    pub(super) registration: Registration,
    pub(super) client: Line<C>,
    pub(super) upstream: Line<Box<dyn Duplex>>,
    pub(super) core: Core,
    pub(super) cancels: JoinSet<()>,
}

impl<C: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Session<C> {
    /// Runs until the session is over, and gives everything back.
    pub(super) async fn run(mut self) -> SessionEnd {
        self.announce(SessionEventKind::Started);
        let end = loop {
            if let Err(end) = self.step().await {
                break end;
            }
        };
        self.finish(end).await
    }

    /// A full queue of events must not hold a session up.
    fn announce(&self, kind: SessionEventKind) {
        let event = SessionEvent { session: self.id.clone(), user: self.user.clone(), kind };
        if self.ctx.events.try_send(event).is_err() {
            tracing::warn!(session = %self.id, "a session event was dropped");
        }
    }

    async fn step(&mut self) -> Result<(), End> {
        // First of all: nothing that is here already, of a client or of the database, goes on under an older policy.
        if self.state.has_changed().unwrap_or(false) {
            self.policy_changed().await?;
        }
        self.core.tell_news();
        self.core.hold(Arc::clone(&self.held.borrow_and_update()));
        self.report()?;
        self.pump()?;
        self.check_presence()?;
        self.report()?;
        if std::mem::take(&mut self.core.rest.drifted) {
            self.ctx.drift.notify_one();
        }
        if let Some(generation) = self.core.settle_hold() {
            self.seat.settled(generation);
        }
        if self.core.is_ready_for_maintenance() {
            return self.maintain().await;
        }
        let event = self.next().await;
        self.handle(event).await
    }

    /// Moves what is there until nothing moves.
    fn pump(&mut self) -> Result<(), End> {
        loop {
            let from_upstream = self.core.take_upstream()?;
            self.core.settle_interruption();
            let from_client = !self.core.is_ready_for_maintenance() && self.core.take_client()?;
            for _ in 0..self.core.counted() {
                self.registration.count_statement();
            }
            if !from_upstream && !from_client {
                return Ok(());
            }
        }
    }

    /// Hands the audit what there is to report; without an audit the session cannot go on.
    fn report(&mut self) -> Result<(), End> {
        let audit = &self.ctx.audit;
        if self.core.wires.has_input() {
            audit.check().map_err(super::login::unaudited)?;
        }
        audit.offer(self.core.trail.pending()).map_err(super::login::unaudited)
    }

    async fn next(&mut self) -> Event {
        let deadline = self.deadline();
        let Self { core, client, upstream, state, held, here, registration, ctx, .. } = self;
        let reports = core.trail.has_pending();
        let hears_client = core.wires.inbox.len() < HIGH_WATER || core.may_take();
        let hears_upstream = core.wires.to_client.len() < HIGH_WATER;
        let wires = &mut core.wires;
        let Line { read: client_read, write: client_write, unflushed: client_unflushed } = client;
        let Line { read: upstream_read, write: upstream_write, unflushed: upstream_unflushed } = upstream;
        tokio::select! {
            biased;
            command = registration.command() => Event::Command(command),
            () = changed(state) => Event::Policy,
            () = changed(held) => Event::Held,
            () = changed(here) => Event::Presence,
            () = until(deadline) => Event::Deadline,
            () = ctx.audit.room(), if reports => Event::AuditRoom,
            written = write(upstream_write, &mut wires.to_upstream, upstream_unflushed),
                if !wires.to_upstream.is_empty() || *upstream_unflushed => Event::UpstreamWritten(written),
            written = write(client_write, &mut wires.to_client, client_unflushed),
                if !wires.to_client.is_empty() || *client_unflushed => Event::ClientWritten(written),
            read = receive(upstream_read, wires.from_upstream.buffer_mut()), if hears_upstream => Event::UpstreamRead(read),
            read = receive(client_read, wires.inbox.buffer_mut()), if hears_client => Event::ClientRead(read),
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Command(SessionCommand::Terminate { reason }) => {
                Err(End::fatal(sqlstate::ADMIN_SHUTDOWN, &reason))
            }
            Event::Command(SessionCommand::Cancel) => {
                self.cancel();
                Ok(())
            }
            Event::Policy => self.policy_changed().await,
            Event::Deadline => self.deadline_passed(),
            Event::ClientRead(Ok(0) | Err(_)) | Event::ClientWritten(Err(_)) => Err(End::ClientLost),
            Event::UpstreamRead(Ok(0) | Err(_)) | Event::UpstreamWritten(Err(_)) => {
                Err(End::fatal(sqlstate::ADMIN_SHUTDOWN, "the connection to the database was lost"))
            }
            // The next step takes note of what is held.
            Event::Held
            | Event::Presence
            | Event::AuditRoom
            | Event::ClientRead(Ok(_))
            | Event::UpstreamRead(Ok(_))
            | Event::ClientWritten(Ok(()))
            | Event::UpstreamWritten(Ok(())) => Ok(()),
        }
    }

    /// Who is away may come back to an idle session, and holds no transaction open meanwhile, not even one that was asked
    /// for before and could begin only now.
    fn check_presence(&mut self) -> Result<(), End> {
        if *self.here.borrow_and_update() || self.core.is_at_rest() {
            return Ok(());
        }
        let words = "your computer was away for 45 seconds in the middle of a transaction or statement, which was rolled \
            back; idle sessions are kept for longer";
        Err(End::fatal(sqlstate::ADMIN_SHUTDOWN, words))
    }

    fn deadline(&self) -> Option<Instant> {
        let due = self.due().map(|(at, _)| at);
        due.into_iter().chain(self.core.quiet.deadline()).min()
    }

    fn due(&self) -> Option<(Instant, Due)> {
        let left = if self.core.pipeline.batch_open() {
            Left::Batch
        } else if self.core.is_at_rest() && !self.core.views.is_empty() {
            Left::Views
        } else {
            Left::Nothing
        };
        self.core.rest.clocks.next(self.core.policy.plan.limits(), left)
    }

    fn deadline_passed(&mut self) -> Result<(), End> {
        match self.due().filter(|(at, _)| *at <= Instant::now()) {
            Some((_, Due::End(report))) => Err(End::Fatal(report)),
            Some((_, Due::CancelStatement)) => {
                self.core.rest.clocks.cancelled();
                self.cancel();
                Ok(())
            }
            Some((_, Due::Release)) => {
                self.core.release();
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Cancels what the session runs upstream, beside everything else.
    fn cancel(&mut self) {
        while self.cancels.try_join_next().is_some() {}
        if self.core.quiet.is_waiting() {
            return self.core.quiet.give_up(Instant::now());
        }
        if self.core.pipeline.in_flight() == 0 {
            return;
        }
        let (admin, upstream, key) = (self.ctx.admin.clone(), self.ctx.upstream.clone(), self.key.clone());
        self.cancels.spawn(async move {
            if admin.cancel(key.pid).await.is_err()
                && let Err(error) = upstream.cancel(&key).await
            {
                tracing::warn!(%error, "a statement could not be cancelled");
            }
        });
    }

    /// Passes on the rest of the message the client has the beginning of; whether that is done.
    async fn complete_message(&mut self) -> bool {
        let wires = &mut self.core.wires;
        if !wires.passing {
            return true;
        }
        if wires.bulk_open > HIGH_WATER {
            return false;
        }
        while wires.bulk_open > 0 {
            if wires.from_upstream.is_empty() {
                let read = self.upstream.receive(wires.from_upstream.buffer_mut()).await;
                if !matches!(read, Ok(1..)) {
                    return false;
                }
            }
            let here = wires.bulk_open.min(wires.from_upstream.len());
            let rest = wires.from_upstream.buffer_mut().split_to(here);
            wires.bulk_open = wires.bulk_open.saturating_sub(here);
            wires.to_client.extend_from_slice(&rest);
        }
        true
    }

    async fn record_end(&mut self, reason: &str, statements: u64) {
        self.core.trail.ended(super::core::now());
        let mut last = std::mem::take(self.core.trail.pending());
        let (session, who) = (self.id.to_string(), super::login::who(&self.user));
        last.push_back(Happened::because(AuditEvent::SessionEnded { session, who, statements }, reason));
        self.ctx.audit.deliver(last).await;
    }

    async fn finish(mut self, end: End) -> SessionEnd {
        if let End::Fatal(report) = &end {
            let whole = tokio::time::timeout(FAREWELL, self.complete_message()).await;
            // Without its end, the report would be a part of the message that is cut.
            if whole.unwrap_or(false) {
                self.core.tell_client(&report.to_error());
            }
        }
        if !matches!(end, End::ClientLost) {
            let last = async {
                let _ = self.client.send(&mut self.core.wires.to_client).await;
                let _ = self.client.write.shutdown().await;
            };
            let _ = tokio::time::timeout(FAREWELL, last).await;
        }
        let statements = self.registration.statements();
        let reason = end.reason();
        self.record_end(&reason, statements).await;
        self.announce(SessionEventKind::Ended { reason: reason.clone(), statements });
        if self.core.pipeline.is_settled() {
            self.core.wires.to_upstream.extend_from_slice(&frontend::terminate());
            let goodbye = self.upstream.send(&mut self.core.wires.to_upstream);
            let _ = tokio::time::timeout(FAREWELL, goodbye).await;
        }
        let Self { id, ctx, grant, registration, upstream, client, .. } = self;
        drop((registration, upstream, client));
        if let Err(error) = ctx.admin.close(grant).await {
            tracing::warn!(session = %id, %error, "the roles of a session were left to the sweep");
        }
        SessionEnd { reason, statements }
    }
}

async fn receive(
    read: &mut (impl tokio::io::AsyncRead + Unpin),
    buffer: &mut bytes::BytesMut,
) -> io::Result<usize> {
    buffer.reserve(READ);
    read.read_buf(buffer).await
}

/// One write, or the flush after the last.
async fn write(
    write: &mut (impl tokio::io::AsyncWrite + Unpin),
    buffer: &mut bytes::BytesMut,
    unflushed: &mut bool,
) -> io::Result<()> {
    if buffer.is_empty() {
        write.flush().await?;
        *unflushed = false;
        return Ok(());
    }
    if write.write_buf(buffer).await? == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    *unflushed = true;
    Ok(())
}

async fn changed<T>(watched: &mut watch::Receiver<T>) {
    if watched.changed().await.is_err() {
        // Nobody changes it any more; whoever stops the agent ends its sessions.
        std::future::pending::<()>().await;
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
