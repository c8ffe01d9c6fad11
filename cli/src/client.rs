//! Running a PostgreSQL client program against a local endpoint.

use crate::error::{CliError, Doing as _, Exit};
use crate::home::{search_path, variable};
use crate::local::Address;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs a program with the endpoint's environment and passes its exit code on.
pub async fn run(address: &Address, program: &OsStr, arguments: &[OsString]) -> Result<Exit, CliError> {
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    for (name, value) in address.environment() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if variable("PGAPPNAME").is_none() {
        command.env("PGAPPNAME", "daam");
    }
    let shown = program.to_string_lossy();
    // A terminal sends an interrupt to the whole foreground group: it is the program's to handle, not ours.
    let mut interrupts = listen(SignalKind::interrupt())?;
    let mut terminations = listen(SignalKind::terminate())?;
    let mut child = command
        .spawn()
        .doing(format_args!("run `{shown}`"))
        .map_err(|error| error.remedy("is it installed and on PATH?"))?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.doing(format_args!("wait for `{shown}`"))?,
            _ = interrupts.recv() => {}
            _ = terminations.recv() => terminate(&child),
        }
    };
    Ok(passed(status))
}

/// Runs `psql`.
pub async fn psql(address: &Address, arguments: &[OsString]) -> Result<Exit, CliError> {
    let program = find_psql().ok_or_else(|| {
        CliError::usage("`psql` was not found on PATH or in /usr/lib/postgresql/*/bin")
            .remedy("install the package `postgresql-client`, or use `daam connect` with another client")
    })?;
    run(address, program.as_os_str(), arguments).await
}

/// Where `psql` is.
pub fn find_psql() -> Option<PathBuf> {
    let on_path = search_path().into_iter().map(|dir| dir.join("psql")).find(|path| path.is_file());
    on_path.or_else(|| {
        let found = daam_postgres::find_binaries(None).ok()?.dir.join("psql");
        found.is_file().then_some(found)
    })
}

/// A process ended by a signal counts as 128 plus its number, as in a shell.
fn passed(status: ExitStatus) -> Exit {
    let code = status.code().or_else(|| status.signal().map(|signal| signal.saturating_add(128)));
    Exit::Passed(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

fn listen(kind: SignalKind) -> Result<Signal, CliError> {
    signal(kind).doing("watch for signals")
}

fn terminate(child: &tokio::process::Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_passed_on_and_signals_become_shell_codes() {
        assert_eq!(passed(ExitStatus::from_raw(3 << 8)), Exit::Passed(3));
        assert_eq!(passed(ExitStatus::from_raw(15)), Exit::Passed(143));
    }
}
