//! A developer at a terminal: `daam dev run --as … -- sh` holds a local endpoint open.

use crate::fabric::{Fabric, wait_for};
use crate::wire::{Connection, WireError};
use anyhow::{Context as _, bail};
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Who connects, and how.
#[derive(Debug, Default, Clone)]
pub struct PersonOptions {
    /// E-mail.
    pub email: String,
    /// Groups, comma-separated; empty keeps those the directory has.
    pub groups: String,
    /// `key=value` attributes.
    pub attributes: Vec<String>,
    /// Go through the relay.
    pub relay: bool,
}

/// An open local endpoint of one person.
#[derive(Debug)]
pub struct Person {
    child: Child,
    host: PathBuf,
    port: String,
    database: String,
    user: String,
}

impl Person {
    /// Opens an endpoint as that person and waits until it is announced to the child command.
    pub fn open(fabric: &Fabric, options: &PersonOptions) -> anyhow::Result<Self> {
        let announced =
            tempfile::Builder::new().prefix("endpoint-").tempfile_in(fabric.scratch())?.into_temp_path();
        let mut command = fabric.daam(&["dev", "run", "--as", &options.email])?;
        command.arg("--state").arg(&fabric.ready().state);
        if !options.groups.is_empty() {
            command.args(["--groups", &options.groups]);
        }
        for attribute in &options.attributes {
            command.args(["--attr", attribute]);
        }
        if options.relay {
            command.arg("--relay");
        }
        let script =
            r#"printf '%s\n%s\n%s\n%s\n.\n' "$PGHOST" "$PGPORT" "$PGDATABASE" "$PGUSER" > "$0"; read -r _"#;
        command.args(["--", "sh", "-c", script]).arg(&*announced);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let text = wait_for(Duration::from_secs(60), || {
            if let Some(status) = child.try_wait()? {
                let mut message = String::new();
                child.stderr.take().context("no standard error")?.read_to_string(&mut message)?;
                bail!("`daam dev run` ended with {status}: {message}");
            }
            let text = std::fs::read_to_string(&announced).unwrap_or_default();
            Ok(text.ends_with(".\n").then_some(text))
        });
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error.context(fabric.logs()));
            }
        };
        let mut lines = text.lines().map(str::to_owned);
        let mut next = || lines.next().context("the endpoint announced too little");
        Ok(Self { host: next()?.into(), port: next()?, database: next()?, user: next()?, child })
    }

    /// The endpoint's Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.host.join(format!(".s.PGSQL.{}", self.port))
    }

    /// The directory of the socket (`PGHOST`).
    pub fn host(&self) -> &std::path::Path {
        &self.host
    }

    /// `PGPORT`.
    pub fn port(&self) -> &str {
        &self.port
    }

    /// The database name.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Ends the person's program as a crash would: nobody is told.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// A new session with extra start-up parameters.
    pub fn connect_with(&self, parameters: &[(String, String)]) -> Result<Connection, WireError> {
        Connection::open(&self.socket(), &self.user, &self.database, parameters)
    }

    /// A new session.
    pub fn connect(&self) -> anyhow::Result<Connection> {
        Ok(self.connect_with(&[])?)
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let ended = wait_for(Duration::from_secs(10), || Ok(self.child.try_wait()?));
        if ended.is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
