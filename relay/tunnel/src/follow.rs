//! The listening side of moving paths: answer probes, open our NAT towards a client, tell where we are.
//!
//! Nothing here changes where packets go: QUIC follows the client, and checks its new address itself.

use crate::notice::Notice;
use crate::own_addresses::own_addresses;
use crate::path::probe::{ProbeKey, ProbeKind, probe_tag};
use crate::path::punch::{Allowances, Puncher, clients, is_here};
use crate::roam::read_notices;
use crate::socket::{PathSocket, Probes, Route};
use quinn::{Connection, RecvStream, SendStream};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

const WAITING_NOTICES: usize = 8;
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The keys of the connections that are open.
#[derive(Debug, Default)]
pub(crate) struct Keys(Mutex<BTreeMap<u64, ProbeKey>>);

impl Keys {
    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, ProbeKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers every genuine question, on the way it came.
pub(crate) async fn answer_probes(socket: Arc<PathSocket>, keys: Arc<Keys>, mut probes: Probes) {
    while let Some((route, packet)) = probes.recv().await {
        let answer = probe_tag(&packet).and_then(|tag| {
            let keys = keys.all();
            let key = keys.get(&tag)?;
            let probe = key.open(&packet)?;
            (probe.kind() == ProbeKind::Ping).then(|| key.seal(ProbeKind::Pong, probe.transaction()))
        });
        if let Some(answer) = answer {
            socket.send_probe(route, &answer);
        }
    }
}

/// What every connection's follower shares.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    pub(crate) socket: Arc<PathSocket>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) local: SocketAddr,
    /// How many addresses may be probed for whom.
    pub(crate) allowances: Arc<Mutex<Allowances>>,
    pub(crate) started: Instant,
    /// Where relays see us.
    pub(crate) observed: watch::Receiver<BTreeSet<SocketAddr>>,
}

/// Serves one client's control stream until its connection ends.
pub(crate) async fn follow(
    followed: Followed,
    connection: Connection,
    (mut control, incoming): (SendStream, RecvStream),
    (key, person): (ProbeKey, String),
) {
    let Followed { socket, keys, local, allowances, started, mut observed } = followed;
    let (notices, mut told) = mpsc::channel(WAITING_NOTICES);
    let _reading = AbortOnDropHandle::new(tokio::spawn(read_notices(connection.clone(), incoming, notices)));
    keys.all().insert(key.tag(), key.clone());
    socket.listen_for(key.tag());
    let mut puncher = Puncher::default();
    let mut theirs: Vec<SocketAddr> = Vec::new();
    let mut announced: Vec<SocketAddr> = Vec::new();
    let mut transaction = 0;
    let mut network = socket.network.changes();
    loop {
        let seen: Vec<SocketAddr> = observed.borrow_and_update().iter().copied().collect();
        let near = is_here(local) || seen.iter().copied().any(is_here);
        theirs.retain(|addr| clients(*addr, near));
        let ours = own_addresses(local, seen, theirs.iter().copied());
        if ours != announced {
            announced.clone_from(&ours);
            if control.write_all(&Notice::Candidates(ours).encode()).await.is_err() {
                break;
            }
        }
        let due = puncher.due().map_or(started.elapsed() + LOOK_AGAIN, |due| due);
        tokio::select! {
            _ = connection.closed() => break,
            Some(notice) = told.recv() => match notice {
                Notice::Candidates(addresses) => {
                    theirs = addresses;
                    theirs.retain(|addr| clients(*addr, near));
                    let now = started.elapsed();
                    let mut allowances = allowances.lock().unwrap_or_else(PoisonError::into_inner);
                    puncher.learn(&theirs, now, || allowances.take(&person, now));
                }
                // Something that has to be acknowledged makes QUIC send again what was lost before, at once.
                Notice::Moved => announced.clear(),
            },
            Ok(()) = observed.changed() => {}
            Ok(()) = network.changed() => {}
            () = tokio::time::sleep_until(started + due) => {
                for addr in puncher.poll(started.elapsed()) {
                    transaction += 1;
                    socket.send_probe(Route::Direct(addr), &key.seal(ProbeKind::Ping, transaction));
                }
            }
        }
    }
    keys.all().remove(&key.tag());
    socket.stop_listening_for(key.tag());
}
