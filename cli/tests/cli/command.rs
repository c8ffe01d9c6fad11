//! Running the built command with a home of its own.

use anyhow::Context as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a run of the command gave.
#[derive(Debug)]
#[must_use]
pub(crate) struct Outcome {
    /// Exit code.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

/// Runs `daam` with these arguments; standard input is empty.
pub(crate) fn daam(home: &Path, arguments: &[&str]) -> anyhow::Result<Outcome> {
    let output = Command::new(env!("CARGO_BIN_EXE_daam"))
        .args(arguments)
        .env("DAAM_HOME", home)
        .env_remove("DAAM_TOKEN")
        .env_remove("DAAM_CONTROL_PLANE")
        .stdin(Stdio::null())
        .current_dir(home)
        .output()
        .context("run daam")?;
    Ok(Outcome {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}
