//! When to stop: SIGTERM, SIGINT, or the end of standard input if asked for.

use std::io::{self, Read as _};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
    stdin: Option<oneshot::Receiver<()>>,
}

impl Stop {
    pub(super) fn install(watch_stdin: bool) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            stdin: if watch_stdin { Some(stdin_end()?) } else { None },
        })
    }

    /// Returns when the agent should stop. Safe to cancel.
    pub(super) async fn requested(&mut self) {
        let stdin = async {
            match &mut self.stdin {
                Some(end) => {
                    // An error means the thread is gone, which is an end as well.
                    let _ended = end.await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = stdin => {}
        }
    }
}

/// A plain thread, because a blocked read of the runtime's own standard input would hold up the exit.
fn stdin_end() -> io::Result<oneshot::Receiver<()>> {
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut buffer = [0_u8; 256];
        let mut stdin = io::stdin().lock();
        loop {
            match stdin.read(&mut buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        ended.send(()).unwrap_or_default();
    })?;
    Ok(end)
}
