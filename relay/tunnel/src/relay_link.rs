//! Drives one [`Binding`] over the shared socket: moves packets and time, nothing else.

use crate::binding::{Binding, Output, Pace};
use crate::path::RelayTarget;
use crate::socket::PathSocket;
use crate::wire::BindRefusal;
use daam_identity::ticket::{HeldTicket, TicketError};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// Control packets waiting for the task; more are dropped and asked for again.
const WAITING_PACKETS: usize = 16;

/// How it stands with a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkState {
    Asking,
    Bound { session: u32, observed: SocketAddr },
    Refused(BindRefusal),
}

/// A binding kept alive until this is dropped.
#[derive(Debug)]
pub(crate) struct RelayLink {
    relay: SocketAddr,
    state: watch::Receiver<LinkState>,
    tickets: watch::Sender<Option<HeldTicket>>,
    socket: Arc<PathSocket>,
    _task: AbortOnDropHandle<()>,
}

impl RelayLink {
    pub(crate) fn start(
        socket: &Arc<PathSocket>,
        target: &RelayTarget,
        pace: Pace,
    ) -> Result<Self, TicketError> {
        let ticket = HeldTicket::parse(&target.ticket)?;
        let mut instance = [0; 8];
        getrandom::fill(&mut instance).map_err(|_| TicketError::Randomness)?;
        let (control, packets) = mpsc::channel(WAITING_PACKETS);
        socket.add_relay(target.addr, control);
        let (report, state) = watch::channel(LinkState::Asking);
        let (tickets, renewed) = watch::channel(None);
        let started = Instant::now();
        let driver = Driver {
            binding: Binding::new(ticket, pace, u64::from_be_bytes(instance), started.elapsed()),
            started,
            relay: target.addr,
            socket: Arc::clone(socket),
            report,
        };
        let task = AbortOnDropHandle::new(tokio::spawn(driver.run(packets, renewed)));
        Ok(Self { relay: target.addr, state, tickets, socket: Arc::clone(socket), _task: task })
    }

    pub(crate) fn relay(&self) -> SocketAddr {
        self.relay
    }

    /// Changes as the relay answers.
    pub(crate) fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    /// Uses a newer ticket from now on.
    pub(crate) fn renew(&self, ticket: &str) -> Result<(), TicketError> {
        self.tickets.send_replace(Some(HeldTicket::parse(ticket)?));
        Ok(())
    }
}

impl Drop for RelayLink {
    fn drop(&mut self) {
        self.socket.remove_relay(self.relay);
    }
}

struct Driver {
    binding: Binding,
    started: Instant,
    relay: SocketAddr,
    socket: Arc<PathSocket>,
    report: watch::Sender<LinkState>,
}

impl Driver {
    async fn run(
        mut self,
        mut packets: mpsc::Receiver<Vec<u8>>,
        mut renewed: watch::Receiver<Option<HeldTicket>>,
    ) {
        loop {
            let outputs = tokio::select! {
                packet = packets.recv() => match packet {
                    Some(packet) => self.binding.handle(&packet, self.started.elapsed()),
                    None => return,
                },
                changed = renewed.changed() => {
                    let ticket = renewed.borrow_and_update().clone();
                    match (changed, ticket) {
                        (Ok(()), Some(ticket)) => self.binding.renew(ticket, self.started.elapsed()),
                        (Ok(()), None) => {}
                        (Err(_), _) => return,
                    }
                    Vec::new()
                }
                () = tokio::time::sleep_until(self.started + self.binding.due()) => {
                    self.binding.tick(self.started.elapsed())
                }
            };
            for output in outputs {
                self.carry_out(output);
            }
        }
    }

    fn carry_out(&self, output: Output) {
        match output {
            Output::Send(packet) => self.socket.send_control(self.relay, &packet),
            Output::Bound { session, observed } => {
                tracing::info!(relay = %self.relay, %observed, "relay bound");
                self.report.send_replace(LinkState::Bound { session, observed });
            }
            Output::Lost => {
                tracing::warn!(relay = %self.relay, "relay lost");
                self.report.send_replace(LinkState::Asking);
            }
            Output::Refused(why) => {
                tracing::warn!(relay = %self.relay, %why, "relay refused");
                self.report.send_replace(LinkState::Refused(why));
            }
        }
    }
}
