//! Checks a machine makes on this repository: `cargo xtask tidy` of the tree, `cargo xtask logs` of what the tests logged.
//!
//! `tidy` reads the tree and `cargo metadata`; nothing is written. `logs --forget` removes the logs of earlier tests.

mod logs;
mod tidy;
mod tree;

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut out = std::io::stdout().lock();
    let (task, findings) = match arguments.as_slice() {
        ["tidy"] => ("tidy", tidy::run()?.iter().map(ToString::to_string).collect()),
        ["logs"] => {
            let (findings, read) = logs::run()?;
            writeln!(out, "{read}")?;
            ("logs", findings)
        }
        ["logs", "--forget"] => {
            logs::forget()?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {
            writeln!(out, "usage: cargo xtask tidy | logs [--forget]")?;
            return Ok(ExitCode::from(2));
        }
    };
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    if findings.is_empty() {
        writeln!(out, "{task}: nothing to complain about")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{task}: {} finding(s)", findings.len())?;
    Ok(ExitCode::FAILURE)
}
