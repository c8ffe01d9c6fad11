//! `daam lsp`: the compiler in an editor, over standard input and output.
//!
//! A thin driver: [`daam_compiler::editor`] answers, this module moves texts and places between it and the Language
//! Server Protocol. Nothing is written to disk, no network is used, and no key is read. Files outside a project (no
//! `daam.yaml` above them) are passed over.

mod place;
mod server;
mod state;
mod texts;
mod words;

use crate::error::CliError;
use clap::Args;
use std::process::ExitCode;
use tower_lsp_server::{LspService, Server};

/// Options of `daam lsp`.
#[derive(Debug, Args)]
#[command(after_help = "Editors start it themselves. Examples:
  daam lsp                                            # what to give an editor as its command
  nvim: vim.lsp.start({ name = 'daam', cmd = { 'daam', 'lsp' }, root_dir = vim.fs.root(0, 'daam.yaml') })
  helix: [language-server.daam] command = \"daam\", args = [\"lsp\"]

Findings appear as you type, with their quick fixes; hovering shows column types and masks; tables, columns, groups
and presets complete; \"go to definition\" opens the schema lock, the group or the policy.")]
pub struct LspArgs {
    /// What editors commonly add; standard input and output are used anyway.
    #[arg(long)]
    stdio: bool,
}

/// Serves one editor until it says goodbye.
pub async fn run(args: &LspArgs) -> Result<ExitCode, CliError> {
    tracing::debug!(stdio = args.stdio, "the language server speaks on standard input and output");
    let (service, socket) = LspService::new(server::Daam::new);
    Server::new(tokio::io::stdin(), tokio::io::stdout(), socket).serve(service).await;
    Ok(ExitCode::SUCCESS)
}
