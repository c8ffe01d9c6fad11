//! Drives one [`Binding`] over UDP or over a TCP connection: moves packets and time, nothing else.

use crate::binding::{Binding, Output, Pace};
use crate::direct_tcp::{Ends, uprooted};
use crate::network::{Changed, Uplinks};
use crate::path::RelayTarget;
use crate::relay_tcp::{self, TcpSettings};
use crate::socket::{Frames, PathSocket, Via};
use crate::wire::BindRefusal;
use daam_identity::ticket::{HeldTicket, TicketError};
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::task::AbortOnDropHandle;

/// Control packets waiting for the task; more are dropped and asked for again.
const WAITING_PACKETS: usize = 16;
/// What QUIC may have handed over and TCP has not taken: short, so that a new path finds no old queue.
const WAITING_FRAMES: usize = 8;
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// A connection on which nothing comes for so long is given up; keep-alives are answered.
const TCP_SILENCE: Duration = Duration::from_secs(12);
/// The same once the relay left keep-alives unanswered: lost packets hold up a connection for less.
const TCP_DOUBTED: Duration = Duration::from_secs(3);

/// How it stands with a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LinkState {
    Asking,
    Bound {
        session: u32,
        observed: SocketAddr,
    },
    Leaving {
        session: u32,
        observed: SocketAddr,
    },
    Refused(BindRefusal),
    /// No TCP connection, in words.
    Unreachable(Arc<str>),
}

impl LinkState {
    /// The session packets may travel in.
    pub(crate) fn session(&self) -> Option<u32> {
        match self {
            Self::Bound { session, .. } | Self::Leaving { session, .. } => Some(*session),
            _ => None,
        }
    }

    pub(crate) fn is_bound(&self) -> bool {
        matches!(self, Self::Bound { .. })
    }
}

/// A binding kept alive until this is dropped.
#[derive(Debug)]
pub(crate) struct RelayLink {
    via: Via,
    state: watch::Receiver<LinkState>,
    tickets: watch::Sender<Option<HeldTicket>>,
    socket: Arc<PathSocket>,
    _task: AbortOnDropHandle<()>,
}

/// What a link talks over.
pub(crate) enum Carrier {
    Udp(SocketAddr),
    Tcp(TcpSettings),
}

impl RelayLink {
    pub(crate) fn start(
        socket: &Arc<PathSocket>,
        target: &RelayTarget,
        pace: Pace,
        carrier: Carrier,
    ) -> Result<Self, TicketError> {
        let ticket = HeldTicket::parse(&target.ticket)?;
        let mut instance = [0; 8];
        getrandom::fill(&mut instance).map_err(|_| TicketError::Randomness)?;
        let (control, packets) = mpsc::channel(WAITING_PACKETS);
        let (report, state) = watch::channel(LinkState::Asking);
        let (tickets, renewed) = watch::channel(None);
        let (frames, outgoing): (Frames, _) = mpsc::channel(WAITING_FRAMES);
        let via = match carrier {
            Carrier::Udp(at) => socket.routes().add_udp(at, control),
            Carrier::Tcp(_) => socket.routes().add_tcp(control, frames),
        };
        let started = Instant::now();
        let driver = Driver {
            binding: Binding::new(ticket, pace, u64::from_be_bytes(instance), started.elapsed()),
            started,
            via,
            socket: Arc::clone(socket),
            report,
            packets,
            renewed,
        };
        let target = target.clone();
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            match carrier {
                Carrier::Udp(at) => driver.over_udp(at).await,
                Carrier::Tcp(settings) => Box::pin(driver.over_tcp(&target, &settings, outgoing)).await,
            }
        }));
        Ok(Self { via, state, tickets, socket: Arc::clone(socket), _task: task })
    }

    pub(crate) fn via(&self) -> Via {
        self.via
    }

    /// Changes as the relay answers.
    pub(crate) fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    /// Uses a newer ticket from now on.
    pub(crate) fn renew(&self, ticket: HeldTicket) {
        self.tickets.send_replace(Some(ticket));
    }
}

impl Drop for RelayLink {
    fn drop(&mut self) {
        self.socket.routes().remove(self.via);
    }
}

struct Driver {
    binding: Binding,
    started: Instant,
    via: Via,
    socket: Arc<PathSocket>,
    report: watch::Sender<LinkState>,
    packets: mpsc::Receiver<Vec<u8>>,
    renewed: watch::Receiver<Option<HeldTicket>>,
}

impl Driver {
    async fn over_udp(mut self, at: SocketAddr) {
        let mut uplink = Uplinks::towards(self.socket.network.changes(), at);
        loop {
            let outputs = tokio::select! {
                outputs = self.next() => outputs,
                what = uplink.changed() => Some(match what {
                    Changed::Moved => self.binding.move_on(self.started.elapsed()),
                    // The relay may carry us as before, even where it would not let us in again.
                    Changed::Woke => self.binding.look(self.started.elapsed()),
                }),
            };
            let Some(outputs) = outputs else { return };
            for output in outputs {
                if let Some(packet) = self.carry_out(output) {
                    self.socket.send_control(self.via, &packet);
                }
            }
        }
    }

    async fn over_tcp(
        mut self,
        target: &RelayTarget,
        settings: &TcpSettings,
        mut outgoing: mpsc::Receiver<Vec<Vec<u8>>>,
    ) {
        let mut wait = FIRST_WAIT;
        let mut uplink = Uplinks::towards(self.socket.network.changes(), target.addr);
        loop {
            let connected = tokio::select! {
                connected = Box::pin(relay_tcp::connect(target, settings)) => connected,
                _ = uplink.changed() => continue,
            };
            match connected {
                Ok((stream, ends)) => {
                    self.binding.restart(self.started.elapsed());
                    self.carry(stream, ends, &mut outgoing).await;
                    if self.report.borrow().session().is_some() {
                        wait = FIRST_WAIT;
                    }
                    tracing::warn!(relay = target.host, "the connection to the relay ended");
                    self.report.send_replace(LinkState::Asking);
                }
                Err(error) => {
                    let words = error.in_words();
                    tracing::debug!(relay = target.host, words, "no connection to the relay");
                    self.report.send_replace(LinkState::Unreachable(words.into()));
                }
            }
            let until = Instant::now() + wait;
            wait = (wait * 2).min(LONGEST_WAIT);
            // What was meant for the old connection is lost, as networks lose packets.
            let emptied =
                async { while let Ok(Some(_)) = tokio::time::timeout_at(until, outgoing.recv()).await {} };
            tokio::select! {
                () = emptied => {}
                _ = uplink.changed() => wait = FIRST_WAIT,
            }
            if self.report.is_closed() {
                return;
            }
        }
    }

    /// Until the connection ends.
    async fn carry(
        &mut self,
        stream: relay_tcp::Stream,
        ends: Ends,
        outgoing: &mut mpsc::Receiver<Vec<Vec<u8>>>,
    ) {
        let (mut sink, mut stream) = stream.split();
        let mut heard = Instant::now();
        let socket = Arc::clone(&self.socket);
        let mut uprooted = pin!(uprooted(&socket, ends));
        let mut lost: Option<Instant> = None;
        loop {
            let given_up = lost.map_or(heard + TCP_SILENCE, |lost| lost.max(heard) + TCP_DOUBTED);
            let outputs = tokio::select! {
                outputs = self.next() => outputs.unwrap_or_default(),
                message = stream.next() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(Message::Binary(packet))) => self.socket.deliver(self.via, &packet).await,
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        _ => return,
                    }
                    continue;
                }
                Some(batch) = outgoing.recv() => {
                    for frame in batch {
                        if sink.feed(Message::Binary(frame.into())).await.is_err() {
                            return;
                        }
                    }
                    if sink.flush().await.is_err() {
                        return;
                    }
                    continue;
                }
                () = &mut uprooted => return,
                () = tokio::time::sleep_until(given_up) => return,
            };
            for output in outputs {
                match output {
                    Output::Lost => lost = Some(Instant::now()),
                    Output::Bound { .. } => lost = None,
                    _ => {}
                }
                if let Some(packet) = self.carry_out(output)
                    && sink.send(Message::Binary(packet.into())).await.is_err()
                {
                    return;
                }
            }
        }
    }

    /// What the binding wants next; `None` when nobody wants the binding any more. Safe to cancel.
    async fn next(&mut self) -> Option<Vec<Output>> {
        let due = self.started + self.binding.due();
        tokio::select! {
            packet = self.packets.recv() => {
                packet.map(|packet| self.binding.handle(&packet, self.started.elapsed()))
            }
            changed = self.renewed.changed() => {
                changed.ok()?;
                if let Some(ticket) = self.renewed.borrow_and_update().clone() {
                    self.binding.renew(ticket, self.started.elapsed());
                }
                Some(Vec::new())
            }
            () = tokio::time::sleep_until(due) => Some(self.binding.tick(self.started.elapsed())),
        }
    }

    /// Reports, or returns what is to be sent.
    fn carry_out(&self, output: Output) -> Option<Vec<u8>> {
        let state = match output {
            Output::Send(packet) => return Some(packet),
            Output::Bound { session, observed } => LinkState::Bound { session, observed },
            Output::Leaving => match *self.report.borrow() {
                LinkState::Bound { session, observed } => LinkState::Leaving { session, observed },
                _ => return None,
            },
            Output::Lost => LinkState::Asking,
            Output::Refused(why) => LinkState::Refused(why),
        };
        tracing::info!(relay = ?self.via, ?state, "relay");
        self.report.send_replace(state);
        None
    }
}
