//! `daam console`: from a sign-in on this machine into the console, without signing in again.

use crate::credentials::Login;
use crate::error::CliError;
use crate::home::Home;
use crate::{browser, output};
use clap::Args;

/// Options of `daam console`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam console
  daam console --print")]
pub struct ConsoleArgs {
    /// Print the address instead of opening it; it works once, within five minutes.
    #[arg(long)]
    print: bool,
}

/// Opens it.
pub async fn run(args: &ConsoleArgs) -> Result<(), CliError> {
    let home = Home::find()?;
    let plane = Login::load(&home)?.control_plane()?;
    let link = plane.own_address(&plane.console_link().await?.link)?;
    if args.print || !browser::open(&home, &link)? {
        output::line(link);
        return Ok(());
    }
    output::progress("the console was opened in your browser");
    Ok(())
}
