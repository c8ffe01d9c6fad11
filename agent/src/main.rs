//! The `daam-agent` program: logging, then the command line.

use daam_diagnostic::log::Lines;
use std::env::VarError;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let Some(filter) = filter() else {
        daam_agent::output::complain(
            "error: `DAAM_LOG` is not a log filter such as `info` or `daam_agent=debug`",
        );
        return ExitCode::FAILURE;
    };
    // Standard output belongs to the commands' results.
    let errors = || Lines(std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(errors).with_ansi(false).init();
    daam_agent::cli::main().await
}

/// What to log; none for a setting that cannot be read.
fn filter() -> Option<EnvFilter> {
    match std::env::var("DAAM_LOG") {
        Err(VarError::NotPresent) => Some(EnvFilter::new("info")),
        Err(VarError::NotUnicode(_)) => None,
        Ok(text) => EnvFilter::try_new(text).ok(),
    }
}
