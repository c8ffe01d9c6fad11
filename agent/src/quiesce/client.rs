//! The command's side: ask the running agent for the hold, run the migration under it.

use super::SOCKET;
use super::wire::{Answer, Ask, Over};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// Why the command did not run.
#[derive(Debug, thiserror::Error)]
pub enum QuiesceError {
    /// No agent answers.
    #[error(
        "no agent answers at `{path}`; `quiesce` needs the agent to run, with this configuration and as this user"
    )]
    NoAgent {
        /// The socket.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The agent did not hold the tables.
    #[error("the command was not run: {0}")]
    Refused(String),
    /// The conversation broke before the tables were held.
    #[error("the command was not run: the agent went away")]
    Lost(#[source] io::Error),
    /// The command cannot be started.
    #[error("could not run `{command}`")]
    Command {
        /// As written.
        command: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// How a hold ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Sessions use the tables again, and know them as they are.
    Released,
    /// It has not: the agent cannot read the schema, for this reason.
    StillHeld(String),
    /// The agent went away while the command ran.
    Lost,
}

/// What became of the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiesced {
    /// Its exit status; 128 and the signal's number if one ended it.
    pub status: u8,
    /// What became of the hold.
    pub hold: Ended,
}

/// Holds the tables, runs the command, lets go.
pub async fn quiesce(state_dir: &Path, ask: &Ask, command: &[OsString]) -> Result<Quiesced, QuiesceError> {
    let path = state_dir.join(SOCKET);
    let stream = UnixStream::connect(&path).await.map_err(|source| QuiesceError::NoAgent { path, source })?;
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(&line(ask).map_err(QuiesceError::Lost)?).await.map_err(QuiesceError::Lost)?;
    let answer = lines.next_line().await.map_err(QuiesceError::Lost)?;
    match answer.as_deref().map(serde_json::from_str::<Answer>) {
        Some(Ok(Answer::Held { tables })) => {
            tracing::info!(tables = tables.join(", "), "held");
        }
        Some(Ok(Answer::Refused { reason })) => return Err(QuiesceError::Refused(reason)),
        Some(Ok(Answer::Released | Answer::StillHeld { .. }) | Err(_)) | None => {
            return Err(QuiesceError::Lost(io::ErrorKind::UnexpectedEof.into()));
        }
    }
    let status = run(command).await?;
    let said = async {
        write.write_all(&line(&Over::Done)?).await?;
        let answer = lines.next_line().await?;
        io::Result::Ok(match answer.as_deref().map(serde_json::from_str) {
            Some(Ok(Answer::Released)) => Ended::Released,
            Some(Ok(Answer::StillHeld { reason })) => Ended::StillHeld(reason),
            _ => Ended::Lost,
        })
    };
    let hold = said.await.unwrap_or(Ended::Lost);
    Ok(Quiesced { status: code(status), hold })
}

async fn run(command: &[OsString]) -> Result<ExitStatus, QuiesceError> {
    let name = command.first().cloned().unwrap_or_default();
    let failed = |source| QuiesceError::Command { command: name.display().to_string(), source };
    // Ctrl-C reaches the command as well; the hold lasts until that has ended.
    let _interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut child = Command::new(&name).args(command.iter().skip(1)).spawn().map_err(failed)?;
    child.wait().await.map_err(failed)
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| signal.saturating_add(128)));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

fn line(message: &impl serde::Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message).map_err(io::Error::other)?;
    line.push(b'\n');
    Ok(line)
}
