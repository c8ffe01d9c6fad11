//! A program in a network namespace: either end of a session, or a relay.

use crate::network::sh;
use crate::program::wait_for;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// A program in a namespace, ended with this.
pub(crate) struct Peer {
    pub(crate) child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().unwrap();
    }
}

impl Peer {
    pub(crate) fn start(namespace: &str, role: &str, file: &Path) -> Self {
        let programs = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/peer");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(programs).arg(role).arg(file);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        let mut peer = Self { child, lines };
        wait_for(role, || {
            assert!(peer.child.try_wait().unwrap().is_none(), "`{role}` ended");
            (!peer.lines.lock().unwrap().is_empty()).then_some(())
        });
        peer
    }

    /// The way it said last.
    pub(crate) fn path(&self) -> String {
        let lines = self.lines.lock().unwrap();
        lines.last().unwrap().split(' ').next().unwrap().to_owned()
    }

    /// How long after its start it first went this way.
    pub(crate) fn millis(&self, path: &str) -> u64 {
        let lines = self.lines.lock().unwrap();
        let first = lines.iter().find(|line| line.split(' ').next() == Some(path)).unwrap();
        first.split(' ').nth(2).unwrap().parse().unwrap()
    }

    /// Until another way would carry the session, if there is one.
    pub(crate) async fn stands_by(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let ready = || self.lines.lock().unwrap().last().unwrap().split(' ').nth(3) != Some("0");
        while !ready() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        sh(&format!("kill -{name} {}", self.child.id()));
    }

    /// As when a lid is closed.
    pub(crate) fn sleep(&self) {
        self.signal("STOP");
    }

    pub(crate) fn wake(&self) {
        self.signal("CONT");
    }

    pub(crate) fn said(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The relay it said last.
    pub(crate) fn relay(&self) -> Option<usize> {
        let lines = self.lines.lock().unwrap();
        lines.last().unwrap().split(' ').nth(1).unwrap().parse().ok()
    }

    pub(crate) async fn reaches(&self, path: &str, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.path() != path {
            assert!(Instant::now() < deadline, "`{path}` was not reached: {:?}", self.lines.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
