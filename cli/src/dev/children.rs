//! The programs of the fabric as children of the sandbox.
//!
//! Each runs in its own process group, so that Ctrl-C reaches only us, and with a pipe from us on its standard
//! input: when we end, however we end, the pipe closes and it shuts down (`--exit-on-stdin-close`).

use crate::error::{CliError, Doing as _};
use crate::home::search_path;
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child as Process, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};

const POLL: Duration = Duration::from_millis(20);
const READY_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(20);
const TAIL: usize = 20;

/// A running child.
#[derive(Debug)]
pub struct Child {
    name: &'static str,
    process: Process,
    /// Apart from `process`, because waiting for a process closes the pipe it holds.
    pipe: Option<ChildStdin>,
    log: PathBuf,
    ready: PathBuf,
}

impl Child {
    /// Starts `daam-<name>` with these arguments; its output goes to `logs/<name>.log`.
    pub fn start(
        name: &'static str,
        state: &super::state::StateDir,
        arguments: &[OsString],
    ) -> Result<Self, CliError> {
        let program = find_program(&format!("daam-{name}"))?;
        let log = state.path("logs").join(format!("{name}.log"));
        let ready = state.path("ready").join(name);
        let output = File::create(&log).doing("make a log file")?;
        let errors = output.try_clone().doing("make a log file")?;
        let mut process = Command::new(&program)
            .args(arguments)
            .arg("--ready-file")
            .arg(&ready)
            .arg("--exit-on-stdin-close")
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .doing(format_args!("start `{}`", program.display()))?;
        let pipe = process.stdin.take();
        Ok(Self { name, process, pipe, log, ready })
    }

    /// Waits for what it announces.
    pub async fn ready<T: DeserializeOwned>(&mut self) -> Result<T, CliError> {
        let start = Instant::now();
        loop {
            if let Some(value) =
                fs::read(&self.ready).ok().and_then(|text| serde_json::from_slice(&text).ok())
            {
                return Ok(value);
            }
            if let Some(status) = self.process.try_wait().doing(format_args!("watch {}", self.name))? {
                return Err(self.failed(&format!("ended while starting ({status})")));
            }
            if start.elapsed() > READY_DEADLINE {
                return Err(self.failed("was not ready in time"));
            }
            sleep(POLL).await;
        }
    }

    /// Resolves when it ends by itself, which it should not.
    pub async fn ended(&mut self) -> CliError {
        match self.process.wait().await {
            Ok(status) => self.failed(&format!("ended ({status})")),
            Err(error) => self.failed("cannot be watched").because(error),
        }
    }

    /// Closes its pipe and waits; kills it if it does not go.
    pub async fn stop(mut self) {
        drop(self.pipe.take());
        if timeout(STOP_DEADLINE, self.process.wait()).await.is_err() {
            tracing::warn!(name = self.name, "did not stop in time and is killed");
            drop(self.process.kill().await);
        }
    }

    /// A failure of this child, with the end of its log.
    pub fn failed(&self, what: &str) -> CliError {
        CliError::usage(format!("the {} {what}", self.name)).detail(tail(&self.log))
    }
}

/// The last lines of a log.
pub fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(TAIL)).copied().collect::<Vec<_>>().join("\n")
}

/// A program of ours: beside this one, else on PATH.
fn find_program(name: &str) -> Result<PathBuf, CliError> {
    let own = std::env::current_exe().doing("find this program's own path")?;
    let beside = own.parent().map(|dir| dir.join(name)).filter(|path| path.is_file());
    beside
        .or_else(|| search_path().into_iter().map(|dir| dir.join(name)).find(|path| path.is_file()))
        .ok_or_else(|| {
            CliError::usage(format!("`{name}` was found neither beside `{}` nor on PATH", own.display()))
                .remedy(format!("install it, or build it with `cargo build -p {name}`"))
        })
}
