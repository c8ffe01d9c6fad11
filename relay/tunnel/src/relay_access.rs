//! One relay, reached over UDP if it answers there, else at its second UDP port and over TCP: what is worse is started
//! when the better does not come up.

use crate::binding::Pace;
use crate::path::RelayTarget;
use crate::path::punch::believable;
use crate::relay_link::{Carrier, LinkState, RelayLink};
use crate::relay_tcp::TcpSettings;
use crate::socket::{PathSocket, Via};
use crate::wire::BindRefusal;
use daam_identity::ticket::{HeldTicket, TicketError};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// UDP has so long before TCP is tried beside it.
const HEAD_START: Duration = Duration::from_millis(400);
/// TCP is kept for so long after UDP came back.
const KEPT: Duration = Duration::from_secs(60);

/// Which of the two to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    UdpFirst,
    TcpOnly,
}

/// How it stands, with the way each goes; `None` is not tried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct AccessState {
    pub(crate) udp: Option<(Via, LinkState)>,
    pub(crate) tcp: Option<(Via, LinkState)>,
}

impl AccessState {
    /// The addresses this relay sees our UDP socket at.
    pub(crate) fn observed(&self) -> Option<SocketAddr> {
        match self.udp {
            Some((
                Via::Udp(relay),
                LinkState::Bound { observed, .. } | LinkState::Leaving { observed, .. },
            )) if believable(observed, relay) => Some(observed),
            _ => None,
        }
    }
}

/// Bindings kept alive until this is dropped.
#[derive(Debug)]
pub(crate) struct RelayAccess {
    addr: SocketAddr,
    state: watch::Receiver<AccessState>,
    tickets: watch::Sender<String>,
    _task: AbortOnDropHandle<()>,
}

impl RelayAccess {
    pub(crate) fn start(
        socket: &Arc<PathSocket>,
        target: RelayTarget,
        pace: Pace,
        (means, settings): (Means, TcpSettings),
    ) -> Result<Self, TicketError> {
        HeldTicket::parse(&target.ticket)?;
        let (report, state) = watch::channel(AccessState::default());
        let (tickets, renewed) = watch::channel(target.ticket.clone());
        let addr = target.addr;
        let socket = Arc::clone(socket);
        let mut keeper = Keeper { socket, target, pace, settings, udp: None, second: None, tcp: None };
        match means {
            Means::UdpFirst => keeper.udp = Some(keeper.link(Carrier::Udp(addr))?),
            Means::TcpOnly => keeper.tcp = Some(keeper.link(Carrier::Tcp(keeper.settings.clone()))?),
        }
        let task = AbortOnDropHandle::new(tokio::spawn(keeper.run(report, renewed)));
        Ok(Self { addr, state, tickets, _task: task })
    }

    /// Which relay.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Changes as the relay answers.
    pub(crate) fn state(&self) -> watch::Receiver<AccessState> {
        self.state.clone()
    }

    /// Uses a newer ticket from now on.
    pub(crate) fn renew(&self, ticket: &str) -> Result<(), TicketError> {
        HeldTicket::parse(ticket)?;
        self.tickets.send_replace(ticket.to_owned());
        Ok(())
    }
}

struct Keeper {
    socket: Arc<PathSocket>,
    target: RelayTarget,
    pace: Pace,
    settings: TcpSettings,
    udp: Option<RelayLink>,
    /// At the relay's second UDP port.
    second: Option<RelayLink>,
    tcp: Option<RelayLink>,
}

impl Keeper {
    fn link(&self, carrier: Carrier) -> Result<RelayLink, TicketError> {
        RelayLink::start(&self.socket, &self.target, self.pace, carrier)
    }

    async fn run(mut self, report: watch::Sender<AccessState>, mut renewed: watch::Receiver<String>) {
        let mut changed = Instant::now();
        let mut was_bound = false;
        loop {
            let mut udp = self.udp.as_ref().map(|link| (link.via(), link.state()));
            let mut second = self.second.as_ref().map(|link| (link.via(), link.state()));
            let mut tcp = self.tcp.as_ref().map(|link| (link.via(), link.state()));
            let seen = |link: &mut Option<(Via, watch::Receiver<LinkState>)>| {
                link.as_mut().map(|(via, state)| (*via, state.borrow_and_update().clone()))
            };
            let first = seen(&mut udp);
            let is_bound =
                |link: &Option<(Via, LinkState)>| matches!(link, Some((_, state)) if state.is_bound());
            let first_bound = is_bound(&first);
            let best = seen(&mut second).filter(|(_, state)| !first_bound && state.session().is_some());
            let state = AccessState { udp: best.or(first), tcp: seen(&mut tcp) };
            let bound = is_bound(&state.udp);
            // What a relay refuses over UDP it refuses over TCP.
            let refused =
                matches!(&state.udp, Some((_, LinkState::Refused(why))) if *why != BindRefusal::Busy);
            if report.send_if_modified(|known| std::mem::replace(known, state.clone()) != state)
                && bound != was_bound
            {
                (was_bound, changed) = (bound, Instant::now());
            }
            let action = match (&self.udp, &self.tcp) {
                (Some(_), None) if !bound && !refused => Some(changed + HEAD_START),
                (Some(_), Some(_)) if bound => Some(changed + KEPT),
                (Some(_), None) if first_bound && self.second.is_some() => Some(changed + KEPT),
                _ => None,
            };
            tokio::select! {
                () = moved(&mut udp) => {}
                () = moved(&mut second) => {}
                () = moved(&mut tcp) => {}
                renewal = renewed.changed() => {
                    if renewal.is_err() {
                        return;
                    }
                    let ticket = renewed.borrow_and_update().clone();
                    self.renew(ticket);
                }
                () = at(action) => match (bound, first_bound) {
                    (false, _) => self.start_worse(),
                    (true, true) => (self.second, self.tcp) = (None, None),
                    (true, false) => self.tcp = None,
                },
            }
        }
    }

    fn start_worse(&mut self) {
        self.tcp = self.link(Carrier::Tcp(self.settings.clone())).ok();
        if let (Some(at), None) = (self.target.second, &self.second) {
            self.second = self.link(Carrier::Udp(at)).ok();
        }
    }

    fn renew(&mut self, ticket: String) {
        if let Ok(held) = HeldTicket::parse(&ticket) {
            self.target.ticket = ticket;
            for link in self.udp.iter().chain(&self.second).chain(&self.tcp) {
                link.renew(held.clone());
            }
        }
    }
}

async fn moved(link: &mut Option<(Via, watch::Receiver<LinkState>)>) {
    match link {
        // An ended task never says anything again.
        Some((_, state)) if state.has_changed().is_ok() => state.changed().await.unwrap_or_default(),
        _ => std::future::pending().await,
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}
