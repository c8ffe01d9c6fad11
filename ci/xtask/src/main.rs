//! Checks a machine makes on this repository: `cargo xtask tidy`.
//!
//! Everything here reads the tree and `cargo metadata`; nothing is written.

mod tidy;
mod tree;

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    let task = std::env::args().nth(1);
    let mut out = std::io::stdout().lock();
    if task.as_deref() != Some("tidy") {
        writeln!(out, "usage: cargo xtask tidy")?;
        return Ok(ExitCode::from(2));
    }
    let findings = tidy::run()?;
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    if findings.is_empty() {
        writeln!(out, "tidy: nothing to complain about")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "tidy: {} finding(s)", findings.len())?;
    Ok(ExitCode::FAILURE)
}
