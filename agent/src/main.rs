//! The `daam-agent` program: logging, then the command line.

use daam_diagnostic::log;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    if let Err(error) = log::start(std::env::var_os("DAAM_LOG"), "info") {
        daam_agent::output::complain(&format!("error: {error}"));
        return ExitCode::FAILURE;
    }
    daam_agent::cli::main().await
}
