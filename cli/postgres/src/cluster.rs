//! One cluster: its directory, its process, its end.

use crate::account::Account;
use crate::binaries::{Binaries, find_binaries};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How often a starting server is asked whether it is ready, and how many times before giving up.
const READY_POLL: Duration = Duration::from_millis(25);
const READY_POLLS: u32 = 1200;

/// Runs the server until the pipe on standard input closes, then stops it at once.
const KEEPER: &str = r#""$@" </dev/null & server=$!; trap 'kill -INT $server 2>/dev/null' INT TERM; read -r _; kill -INT $server 2>/dev/null; wait $server"#;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No server programs anywhere.
    #[error(
        "no PostgreSQL server programs found on PATH or in /usr/lib/postgresql/*/bin; install `postgresql` or name a directory with --postgres-bin"
    )]
    NoBinaries,
    /// The named directory has none.
    #[error("`{0}` does not contain `postgres` and `initdb`")]
    NotHere(PathBuf),
    /// Root, and no user to drop to.
    #[error(
        "PostgreSQL refuses to run as root, and neither user `postgres` nor `nobody` exists to run it as"
    )]
    NoAccount,
    /// A file or process operation failed.
    #[error("could not {doing}")]
    Io {
        /// What we were doing.
        doing: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// `initdb` failed.
    #[error("initdb failed: {0}")]
    Initdb(String),
    /// The server did not come up.
    #[error("the server did not start: {0}")]
    NotStarted(String),
}

impl PostgresError {
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}

/// A running private server. Dropping it stops the server and removes its directory (if it made it).
#[derive(Debug)]
pub struct Cluster {
    keeper: Child,
    dir: PathBuf,
    remove: bool,
    port: u16,
    password: String,
    binaries: Binaries,
}

impl Cluster {
    /// Makes a cluster under `dir` (created; must not exist yet) and starts it on a free loopback port.
    /// The superuser is `postgres`, with a random password. Durability is off: the data is throw-away.
    pub fn create(dir: &Path, binaries: &Binaries) -> Result<Self, PostgresError> {
        Self::make(dir, binaries, false)
    }

    /// A cluster in a fresh temporary directory that disappears with the value.
    pub fn temporary(binaries: &Binaries) -> Result<Self, PostgresError> {
        let mut random = [0_u8; 8];
        fill(&mut random)?;
        let dir = std::env::temp_dir().join(format!("daam-pg-{}", hex(&random)));
        Self::make(&dir, binaries, true)
    }

    /// [`Cluster::temporary`] with the binaries [`find_binaries`] finds.
    pub fn for_test() -> Result<Self, PostgresError> {
        Self::temporary(&find_binaries(None)?)
    }

    fn make(dir: &Path, binaries: &Binaries, remove: bool) -> Result<Self, PostgresError> {
        let account = Account::unprivileged()?;
        DirBuilder::new()
            .mode(0o700)
            .create(dir)
            .map_err(PostgresError::io("create the cluster directory"))?;
        Account::own(account, dir)?;
        let built = build(dir, binaries, account);
        if built.is_err() && remove {
            let _ = std::fs::remove_dir_all(dir);
        }
        let (password, port, keeper) = built?;
        let mut cluster =
            Self { keeper, dir: dir.to_owned(), remove, port, password, binaries: binaries.clone() };
        cluster.wait_until_ready()?;
        Ok(cluster)
    }

    /// Stops the server as an administrator does who does not wait for its clients.
    pub fn stop(&mut self) -> Result<(), PostgresError> {
        drop(self.keeper.stdin.take());
        self.keeper.wait().map_err(PostgresError::io("wait for the server"))?;
        Ok(())
    }

    /// Starts a stopped server again, where it was.
    pub fn resume(&mut self) -> Result<(), PostgresError> {
        let account = Account::unprivileged()?;
        self.keeper = start(&self.dir, &self.binaries, account, self.port)?;
        self.wait_until_ready()
    }

    /// Makes a copy that follows this server, in a temporary directory; it is not running.
    /// [`Cluster::fail_over`] goes on with it.
    pub fn standby(&self) -> Result<Standby, PostgresError> {
        let account = Account::unprivileged()?;
        let mut random = [0_u8; 8];
        fill(&mut random)?;
        let dir = std::env::temp_dir().join(format!("daam-pg-{}", hex(&random)));
        DirBuilder::new()
            .mode(0o700)
            .create(&dir)
            .map_err(PostgresError::io("create the cluster directory"))?;
        Account::own(account, &dir)?;
        let standby = Standby { dir };
        let mut command = Command::new(self.binaries.dir.join("pg_basebackup"));
        command
            .current_dir(&standby.dir)
            .args(["--checkpoint=fast", "--write-recovery-conf", "--no-sync", "-D"])
            .arg(standby.dir.join("data"))
            .arg("-d")
            .arg(self.superuser_dsn("postgres"))
            .stdin(Stdio::null());
        Account::apply(account, &mut command);
        let output = command.output().map_err(PostgresError::io("run pg_basebackup"))?;
        if output.status.success() {
            return Ok(standby);
        }
        Err(PostgresError::Initdb(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }

    /// Goes on with the data of a standby instead of its own, promoted, where it was.
    pub fn fail_over(&mut self, standby: &Standby) -> Result<(), PostgresError> {
        self.stop()?;
        let own = self.dir.join("data");
        std::fs::rename(&own, self.dir.join("lost")).map_err(PostgresError::io("move the data away"))?;
        std::fs::rename(standby.dir.join("data"), &own).map_err(PostgresError::io("move the data"))?;
        // Without the signal it would not be promoted but be the primary at once, on the same timeline.
        let conf = own.join("postgresql.auto.conf");
        let text = std::fs::read_to_string(&conf).unwrap_or_default();
        let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("primary_conninfo")).collect();
        std::fs::write(&conf, kept.join("\n") + "\n").map_err(PostgresError::io("write the settings"))?;
        let account = Account::unprivileged()?;
        self.keeper = start(&self.dir, &self.binaries, account, self.port)?;
        self.wait_for(&["ready", "standby"])?;
        let mut command = Command::new(self.binaries.dir.join("pg_ctl"));
        command.current_dir(&self.dir).args(["promote", "-w", "-D"]).arg(&own).stdin(Stdio::null());
        Account::apply(account, &mut command);
        let output = command.output().map_err(PostgresError::io("run pg_ctl"))?;
        if output.status.success() {
            return self.wait_until_ready();
        }
        Err(PostgresError::NotStarted(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The superuser's password.
    pub fn superuser_password(&self) -> &str {
        &self.password
    }

    /// The directory of the Unix socket (and of everything else).
    pub fn directory(&self) -> &Path {
        &self.dir
    }

    /// A connection URL for the superuser.
    pub fn superuser_dsn(&self, database: &str) -> String {
        self.dsn("postgres", &self.password, database)
    }

    /// A connection URL for another role.
    pub fn dsn(&self, role: &str, password: &str, database: &str) -> String {
        format!("postgresql://{role}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    fn wait_until_ready(&mut self) -> Result<(), PostgresError> {
        self.wait_for(&["ready"])
    }

    fn wait_for(&mut self, wanted: &[&str]) -> Result<(), PostgresError> {
        for _ in 0..READY_POLLS {
            let status = std::fs::read_to_string(self.dir.join("data/postmaster.pid")).unwrap_or_default();
            if status.lines().nth(7).is_some_and(|line| wanted.contains(&line.trim())) {
                return Ok(());
            }
            if self.keeper.try_wait().map_err(PostgresError::io("watch the server"))?.is_some() {
                break;
            }
            std::thread::sleep(READY_POLL);
        }
        let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(5).collect();
        Err(PostgresError::NotStarted(tail.into_iter().rev().collect::<Vec<_>>().join("; ")))
    }
}

/// A copy of a server that follows it, not running.
#[derive(Debug)]
pub struct Standby {
    dir: PathBuf,
}

impl Drop for Standby {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        if self.remove {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

fn build(
    dir: &Path,
    binaries: &Binaries,
    account: Option<Account>,
) -> Result<(String, u16, Child), PostgresError> {
    let mut random = [0_u8; 16];
    fill(&mut random)?;
    let password = hex(&random);
    let secret = dir.join("password");
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&secret)
        .map_err(PostgresError::io("write the superuser's password"))?;
    file.write_all(password.as_bytes()).map_err(PostgresError::io("write the superuser's password"))?;
    Account::own(account, &secret)?;
    initdb(dir, binaries, account, &secret)?;
    std::fs::remove_file(&secret).map_err(PostgresError::io("remove the password file"))?;
    let port = free_port()?;
    Ok((password, port, start(dir, binaries, account, port)?))
}

fn initdb(
    dir: &Path,
    binaries: &Binaries,
    account: Option<Account>,
    secret: &Path,
) -> Result<(), PostgresError> {
    let mut command = Command::new(binaries.dir.join("initdb"));
    command
        .current_dir(dir)
        .env_remove("LC_ALL")
        .args([
            "--username=postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ])
        .arg(format!("--pwfile={}", secret.display()))
        .arg(dir.join("data"))
        .stdin(Stdio::null());
    Account::apply(account, &mut command);
    let output = command.output().map_err(PostgresError::io("run initdb"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(PostgresError::Initdb(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

fn start(
    dir: &Path,
    binaries: &Binaries,
    account: Option<Account>,
    port: u16,
) -> Result<Child, PostgresError> {
    let log = File::create(dir.join("log")).map_err(PostgresError::io("create the server's log"))?;
    let errors = log.try_clone().map_err(PostgresError::io("create the server's log"))?;
    let mut command = Command::new("sh");
    command
        .current_dir(dir)
        .args(["-c", KEEPER, "sh"])
        .arg(binaries.dir.join("postgres"))
        .arg("-D")
        .arg(dir.join("data"))
        .arg("-k")
        .arg(dir)
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .args(["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"])
        .args(["-c", "max_connections=300", "-c", "log_min_messages=warning"])
        .stdin(Stdio::piped())
        .stdout(log)
        .stderr(errors);
    Account::apply(account, &mut command);
    command.spawn().map_err(PostgresError::io("start the server"))
}

fn free_port() -> Result<u16, PostgresError> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(PostgresError::io("find a free port"))?;
    Ok(listener.local_addr().map_err(PostgresError::io("find a free port"))?.port())
}

fn fill(bytes: &mut [u8]) -> Result<(), PostgresError> {
    getrandom::fill(bytes)
        .map_err(|error| PostgresError::Io { doing: "get random bytes", source: io::Error::other(error) })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_server_starts_and_leaves_nothing_behind() {
        let cluster = Cluster::for_test().unwrap();
        let dir = cluster.directory().to_owned();
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, cluster.port())).is_ok());
        let port = cluster.port();
        drop(cluster);
        assert!(!dir.exists());
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    }

    #[test]
    fn a_directory_without_programs_is_named_in_the_refusal() {
        let error = find_binaries(Some(Path::new("/nonexistent"))).unwrap_err();
        assert!(error.to_string().contains("/nonexistent"));
    }
}
