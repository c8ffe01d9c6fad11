//! A running sandbox: `daam dev up` as a child process, stopped when the value goes away.

use anyhow::{Context as _, bail};
use serde::Deserialize;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a sandbox may take to come up, on a busy two-core machine with unoptimised binaries.
const START_DEADLINE: Duration = Duration::from_secs(120);

/// What `--ready-file` holds.
#[derive(Debug, Clone, Deserialize)]
pub struct Ready {
    /// Control plane URL or address.
    pub control_plane: String,
    /// `host:port` or URL of the agent's health endpoint.
    pub agent_health: String,
    /// `host:port` of the relay.
    pub relay: String,
    /// Superuser connection string of the private PostgreSQL.
    pub upstream: String,
    /// The state directory.
    pub state: PathBuf,
}

/// What to start.
#[derive(Debug, Default)]
pub struct FabricOptions {
    /// The policy project; copied, so that a test may edit it.
    pub project: PathBuf,
    /// Seed files, in order.
    pub seeds: Vec<PathBuf>,
}

/// A running sandbox.
#[derive(Debug)]
pub struct Fabric {
    child: Child,
    dir: tempfile::TempDir,
    ready: Ready,
}

impl Fabric {
    /// Starts control plane, relay, agent and PostgreSQL with a copy of the project, and waits until ready.
    pub fn start(options: &FabricOptions) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("daam-e2e-").tempdir()?;
        let project = dir.path().join("project");
        copy(&options.project, &project)?;
        let mut command = daam(dir.path())?;
        command.args(["dev", "up", "--project"]).arg(&project);
        command
            .arg("--state")
            .arg(dir.path().join("state"))
            .arg("--ready-file")
            .arg(dir.path().join("ready"));
        for seed in &options.seeds {
            command.arg("--seed").arg(seed);
        }
        command.env("DAAM_LOG", daam_suite_log::LEVELS);
        let log = File::create(dir.path().join("up.log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut child = command.spawn().context("start `daam dev up`")?;
        let ready = wait_for(START_DEADLINE, || {
            if let Some(status) = child.try_wait()? {
                bail!("`daam dev up` ended with {status}:\n{}", logs(dir.path()));
            }
            Ok(std::fs::read(dir.path().join("ready"))
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok()))
        });
        let ready = match ready {
            Ok(ready) => ready,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error.context(logs(dir.path())));
            }
        };
        Ok(Self { child, dir, ready })
    }

    /// What the sandbox announced.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The test's copy of the project.
    pub fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    /// A scratch directory of this fabric.
    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// A `daam` command that talks to this sandbox.
    pub fn daam(&self, args: &[&str]) -> anyhow::Result<Command> {
        let mut command = daam(self.dir.path())?;
        command.args(args);
        Ok(command)
    }

    /// Runs `daam dev publish` on the (edited) project.
    pub fn publish(&self) -> anyhow::Result<()> {
        let mut command = self.daam(&["dev", "publish"])?;
        let output = command.arg("--state").arg(&self.ready.state).output()?;
        if !output.status.success() {
            bail!("`daam dev publish` failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Asks the upstream as superuser, past the fabric; unaligned tuples-only output.
    pub fn upstream(&self, sql: &str) -> anyhow::Result<String> {
        let output = Command::new("psql")
            .args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .arg(&self.ready.upstream)
            .output()?;
        if !output.status.success() {
            bail!("psql: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// The process id of `daam dev up`.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything the sandbox logged so far.
    pub fn logs(&self) -> String {
        logs(self.dir.path())
    }

    /// Sends the signal Ctrl-C sends and waits for the end.
    pub fn interrupt(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        signal(self.child.id(), "INT")?;
        wait_for(Duration::from_secs(30), || Ok(self.child.try_wait()?))
    }
}

impl Drop for Fabric {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) && self.interrupt().is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        for log in log_files(self.dir.path()) {
            daam_suite_log::add("fabric", &log);
        }
    }
}

/// Sends a signal by name.
fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status()?;
    if !status.success() {
        bail!("kill -{name} {pid} failed");
    }
    Ok(())
}

/// Polls until `probe` answers or the deadline passes.
pub fn wait_for<T>(
    deadline: Duration,
    mut probe: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = probe()? {
            return Ok(value);
        }
        if start.elapsed() > deadline {
            bail!("nothing happened within {deadline:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The `daam` binary beside this test's own, with its home inside the test's directory.
fn daam(home: &Path) -> anyhow::Result<Command> {
    let own = std::env::current_exe()?;
    let folder = own.ancestors().nth(2).context("the test binary is not in a target directory")?;
    let program = folder.join("daam");
    if !program.is_file() {
        bail!("`{}` is missing; build the workspace first (`cargo build --workspace`)", program.display());
    }
    let mut command = Command::new(program);
    command.env("DAAM_HOME", home.join("home")).env_remove("DAAM_TOKEN");
    Ok(command)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn log_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = vec![dir.join("up.log")];
    if let Ok(entries) = std::fs::read_dir(dir.join("state/logs")) {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files
}

fn logs(dir: &Path) -> String {
    let tail = |file: PathBuf| {
        let content = std::fs::read_to_string(&file).unwrap_or_default();
        let lines: Vec<&str> = content.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n");
        format!("--- {}\n{tail}\n", file.display())
    };
    log_files(dir).into_iter().map(tail).collect()
}
