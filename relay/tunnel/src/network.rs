//! When this computer's own addresses change, or it slept: known at once, long before silence tells.
//!
//! Only a hint to ask again everywhere: nothing is trusted more because of it. Where the system tells nothing, silence
//! decides as ever.

use futures_util::StreamExt;
use if_watch::tokio::IfWatcher;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// How often is looked whether time went by unnoticed.
const LOOK: Duration = Duration::from_secs(1);
/// Routes follow addresses within this time, and are looked for this often.
const ROUTES: Duration = Duration::from_secs(3);
const SOON: Duration = Duration::from_millis(50);
/// A clock that is late by so much was not merely busy.
const SLEPT: Duration = Duration::from_secs(4);

/// How often what happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Changes {
    /// An address came or went.
    pub(crate) addresses: u64,
    /// The computer, or this process, had been asleep.
    pub(crate) wakes: u64,
}

/// Watches until dropped.
#[derive(Debug)]
pub(crate) struct Network {
    changes: watch::Receiver<Changes>,
    _task: AbortOnDropHandle<()>,
}

impl Network {
    pub(crate) fn watch() -> Self {
        let (said, changes) = watch::channel(Changes::default());
        Self { changes, _task: AbortOnDropHandle::new(tokio::spawn(watching(said))) }
    }

    /// Changes from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<Changes> {
        let mut changes = self.changes.clone();
        changes.mark_unchanged();
        changes
    }
}

async fn watching(said: watch::Sender<Changes>) {
    let watcher = IfWatcher::new();
    if let Err(error) = &watcher {
        tracing::debug!(%error, "the system does not tell when addresses change");
    }
    let mut watcher = watcher.ok();
    let mut clocks = Clocks::now();
    let mut next = Instant::now() + LOOK;
    loop {
        let event = async {
            match &mut watcher {
                Some(watcher) => watcher.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = event => {
                if let Some(Ok(event)) = event {
                    tracing::trace!(?event, "an address of this computer");
                } else {
                    // Something was missed; the next look begins anew.
                    watcher = None;
                }
                said.send_modify(|changes| changes.addresses = changes.addresses.wrapping_add(1));
            },
            () = tokio::time::sleep_until(next) => {
                next = Instant::now() + LOOK;
                watcher = watcher.or_else(|| IfWatcher::new().ok());
                let now = Clocks::now();
                if clocks.slept_until(&now) {
                    tracing::info!("this computer was asleep");
                    said.send_modify(|changes| changes.wakes = changes.wakes.wrapping_add(1));
                }
                clocks = now;
            }
        }
    }
}

/// One of them stands still while the computer sleeps, on some systems; on others both go on, and a nap is long.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    awake: Instant,
    wall: SystemTime,
}

impl Clocks {
    fn now() -> Self {
        Self { awake: Instant::now(), wall: SystemTime::now() }
    }

    fn slept_until(&self, now: &Self) -> bool {
        let awake = now.awake.saturating_duration_since(self.awake);
        // A clock that was set back says nothing.
        let wall = now.wall.duration_since(self.wall).unwrap_or_default();
        awake.max(wall) > LOOK + SLEPT
    }
}

/// Whether a connection from this address of ours can go on: the address is still there.
pub(crate) fn is_ours(ip: IpAddr) -> bool {
    let gone = |error: std::io::Error| error.kind() == std::io::ErrorKind::AddrNotAvailable;
    !UdpSocket::bind(SocketAddr::new(ip, 0)).is_err_and(gone)
}

/// The address a packet to `peer` would leave from. Nothing is sent.
pub(crate) fn local_ip(peer: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr =
        if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip().to_canonical()).filter(|ip| !ip.is_unspecified())
}

/// What happened to how packets leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed {
    /// From another address than before.
    Moved,
    /// Perhaps as before, but we slept.
    Woke,
}

/// Addresses whose way out is looked at; a peer may name more over time.
const MOST_PEERS: usize = 64;

/// How packets to some addresses leave this computer.
#[derive(Debug)]
pub(crate) struct Uplinks {
    from: BTreeMap<SocketAddr, Option<IpAddr>>,
    wakes: u64,
    ever: bool,
    /// Routes come a moment after addresses, and nobody tells.
    look_until: Instant,
    next_look: Instant,
    changes: watch::Receiver<Changes>,
}

impl Uplinks {
    pub(crate) fn new(mut changes: watch::Receiver<Changes>) -> Self {
        let wakes = changes.borrow_and_update().wakes;
        let now = Instant::now();
        Self { from: BTreeMap::new(), wakes, ever: false, look_until: now, next_look: now, changes }
    }

    /// To this one alone.
    pub(crate) fn towards(changes: watch::Receiver<Changes>, peer: SocketAddr) -> Self {
        let mut uplinks = Self::new(changes);
        uplinks.note(peer);
        uplinks
    }

    /// Packets go there, too.
    pub(crate) fn note(&mut self, peer: SocketAddr) {
        if self.from.len() < MOST_PEERS {
            self.from.entry(peer).or_insert_with(|| local_ip(peer));
        }
    }

    /// Whether packets to any of them can leave at all, which they could before: where an HTTP proxy is the only way,
    /// they never can.
    pub(crate) fn any(&mut self) -> bool {
        let any = self.from.values().any(Option::is_some);
        self.ever |= any;
        any || !self.ever
    }

    /// Resolves when packets to one of them leave from another address than before, or after sleep. Safe to cancel.
    pub(crate) async fn changed(&mut self) -> Changed {
        loop {
            let looks = Instant::now() < self.look_until;
            tokio::select! {
                changed = self.changes.changed() => match changed {
                    Ok(()) => self.look_until = Instant::now() + ROUTES,
                    Err(_) => return std::future::pending().await,
                },
                () = tokio::time::sleep_until(self.next_look), if looks => {}
            }
            self.next_look = Instant::now() + SOON;
            let wakes = self.changes.borrow_and_update().wakes;
            let woke = std::mem::replace(&mut self.wakes, wakes) != wakes;
            let mut moved = false;
            for (peer, from) in &mut self.from {
                let now = local_ip(*peer);
                moved |= std::mem::replace(from, now) != now;
            }
            if moved {
                return Changed::Moved;
            }
            if woke {
                return Changed::Woke;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_went_on_without_us_means_sleep_and_a_busy_second_does_not() {
        let start = Clocks::now();
        let after = |awake: u64, wall: u64| Clocks {
            awake: start.awake + Duration::from_millis(awake),
            wall: start.wall + Duration::from_millis(wall),
        };
        assert!(start.slept_until(&after(1_000, 60_000)), "stood still while asleep");
        assert!(start.slept_until(&after(60_000, 60_000)), "went on while asleep");
        assert!(!start.slept_until(&after(3_000, 3_000)), "only busy");
        let back = Clocks { wall: start.wall - Duration::from_secs(3600), ..after(1_000, 0) };
        assert!(!start.slept_until(&back), "somebody set the clock back");
    }

    #[test]
    fn an_address_of_nobody_here_is_gone() {
        assert!(is_ours("127.0.0.1".parse().unwrap()));
        assert!(!is_ours("192.0.2.1".parse().unwrap()));
    }
}
