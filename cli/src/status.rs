//! `daam status`: which way each open session goes, how fast, and why no better one.
//!
//! Every `daam connect`, `psql` and `run` answers on a private socket of its own in the daam directory; `daam status`
//! asks them all. A socket whose process is gone is removed. Nothing that identifies data or people is told.

use crate::error::{CliError, Doing as _};
use crate::home::{Home, private_dir};
use crate::link::Link;
use crate::output;
use clap::Args;
use daam_tunnel::path::report::{Condition, PathNote};
use daam_tunnel::{PathKey, Tunnel};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::task::AbortOnDropHandle;

const ANSWER: Duration = Duration::from_secs(2);

/// Options of `daam status`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam status
  daam status --json

Columns of a way: kind, address, round trip, and how it stands. The ways above the one in use are better ones that do
not work now.")]
pub struct StatusArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One session as told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    pid: u32,
    command: String,
    database: String,
    /// `None` while there is no connection.
    path: Option<String>,
    round_trip_us: Option<u64>,
    ways: Vec<Way>,
}

/// One way as told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Way {
    kind: String,
    address: String,
    round_trip_us: Option<u64>,
    state: String,
    in_use: bool,
}

/// Prints every session.
pub async fn run(args: StatusArgs) -> Result<(), CliError> {
    let sessions = all(&folder(&Home::find()?)).await;
    if args.json {
        output::line(serde_json::to_string_pretty(&sessions).doing("write JSON")?);
        return Ok(());
    }
    if sessions.is_empty() {
        output::progress("no session is open; `daam connect DATABASE` opens one");
    }
    for session in sessions {
        output::lines(&text(&session));
    }
    Ok(())
}

/// Answers for this process until dropped. Without the socket everything else works.
pub fn serve(home: &Home, command: &'static str, link: &Arc<Link>) -> Option<Shown> {
    let folder = folder(home);
    let place = folder.join(format!("{}.sock", std::process::id()));
    home.prepare().and_then(|()| private_dir(&folder)).ok()?;
    drop(std::fs::remove_file(&place));
    let listener = match UnixListener::bind(&place) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(%error, "this session will not be in `daam status`");
            return None;
        }
    };
    let link = Arc::clone(link);
    let answering = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let told = serde_json::to_vec(&session(command, &link)).unwrap_or_default();
            drop(tokio::time::timeout(ANSWER, stream.write_all(&told)).await);
        }
    });
    Some(Shown { place, _answering: AbortOnDropHandle::new(answering) })
}

/// The socket, removed with this.
#[derive(Debug)]
pub struct Shown {
    place: PathBuf,
    _answering: AbortOnDropHandle<()>,
}

impl Drop for Shown {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.place));
    }
}

fn folder(home: &Home) -> PathBuf {
    home.file("sessions")
}

async fn all(folder: &Path) -> Vec<Session> {
    let mut sessions = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let place = entry.path();
        match UnixStream::connect(&place).await {
            Ok(mut stream) => {
                let mut told = Vec::new();
                let read = tokio::time::timeout(ANSWER, stream.read_to_end(&mut told)).await;
                if let (Ok(Ok(_)), Ok(session)) = (read, serde_json::from_slice(&told)) {
                    sessions.push(session);
                }
            }
            // Nobody is there any more.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                drop(std::fs::remove_file(&place));
            }
            Err(_) => {}
        }
    }
    sessions.sort_by_key(|session: &Session| session.pid);
    sessions
}

fn session(command: &str, link: &Link) -> Session {
    let tunnel = link.current();
    Session {
        pid: std::process::id(),
        command: command.to_owned(),
        database: link.database().to_owned(),
        path: tunnel.as_ref().map(|tunnel| tunnel.path().to_string()),
        round_trip_us: tunnel.as_ref().map(|tunnel| micros(tunnel.round_trip())),
        ways: tunnel.map(|tunnel| ways(&tunnel)).unwrap_or_default(),
    }
}

fn ways(tunnel: &Tunnel) -> Vec<Way> {
    let relays = tunnel.relays();
    tunnel.paths().borrow().iter().map(|note| way(note, relays)).collect()
}

fn way(note: &PathNote, relays: &[SocketAddr]) -> Way {
    let address = match note.key {
        PathKey::Direct(addr) | PathKey::DirectTcp(addr) => Some(addr),
        PathKey::Relay(n) | PathKey::RelayTcp(n) => relays.get(n).copied(),
    };
    Way {
        kind: note.kind().to_string(),
        address: address.map_or_else(|| "?".to_owned(), |addr| addr.to_string()),
        round_trip_us: note.rtt.map(micros),
        state: note.condition.to_string(),
        in_use: note.condition == Condition::InUse,
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn text(session: &Session) -> String {
    let Session { pid, command, database, path, round_trip_us, ways } = session;
    let path = path.as_deref().unwrap_or("not connected");
    let first = format!("{database}  {path}  {}  (daam {command}, process {pid})\n", shown(*round_trip_us));
    let width = ways.iter().map(|way| way.address.len()).max().unwrap_or_default();
    let line = |way: &Way| {
        let mark = if way.in_use { '*' } else { ' ' };
        let Way { kind, address, round_trip_us, state, .. } = way;
        let rtt = shown(*round_trip_us);
        format!("  {mark} {kind:10}  {address:width$}  {rtt:>9}  {state}\n")
    };
    std::iter::once(first).chain(ways.iter().map(line)).collect()
}

fn shown(micros: Option<u64>) -> String {
    micros.map_or_else(|| "-".to_owned(), |micros| format!("{}.{} ms", micros / 1000, micros % 1000 / 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_told_with_the_reason_why_no_better_way_is_used() {
        let session = Session {
            pid: 7,
            command: "psql".to_owned(),
            database: "shop".to_owned(),
            path: Some("relay".to_owned()),
            round_trip_us: Some(12_345),
            ways: vec![
                Way {
                    kind: "direct".to_owned(),
                    address: "192.0.2.1:6432".to_owned(),
                    round_trip_us: None,
                    state: Condition::NeverAnswered { tried: Duration::from_secs(9) }.to_string(),
                    in_use: false,
                },
                Way {
                    kind: "relay".to_owned(),
                    address: "192.0.2.9:443".to_owned(),
                    round_trip_us: Some(12_000),
                    state: Condition::InUse.to_string(),
                    in_use: true,
                },
            ],
        };
        assert_eq!(
            text(&session),
            "shop  relay  12.3 ms  (daam psql, process 7)\n    direct      192.0.2.1:6432          -  no answer in 9 s\n  * relay       192.0.2.9:443     12.0 ms  in use\n"
        );
    }

    #[tokio::test]
    async fn the_socket_of_a_process_that_is_gone_is_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let place = scratch.path().join("1.sock");
        drop(UnixListener::bind(&place).unwrap());
        assert_eq!(all(scratch.path()).await, []);
        assert!(!place.exists());
    }
}
