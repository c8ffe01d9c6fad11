//! The `daam-agent` program: logging, then the command line.

use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("DAAM_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // Standard output belongs to the commands' results.
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    daam_agent::cli::main().await
}
