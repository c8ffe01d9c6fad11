//! `daam databases`: what can be connected to.

use crate::credentials::Login;
use crate::error::{CliError, Doing as _};
use crate::home::Home;
use crate::output;
use clap::Args;

/// Options of `daam databases`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam databases
  daam databases --json | jq -r '.[].name'")]
pub struct DatabasesArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Lists them.
pub async fn run(args: DatabasesArgs) -> Result<(), CliError> {
    let databases = Login::load(&Home::find()?)?.control_plane()?.databases().await?;
    if args.json {
        output::line(serde_json::to_string_pretty(&databases).doing("write JSON")?);
        return Ok(());
    }
    if databases.is_empty() {
        output::progress("no database is registered yet");
        return Ok(());
    }
    let width = databases.iter().map(|db| db.name.chars().count()).max().unwrap_or_default();
    for db in databases {
        let agents = if db.agents_online == 0 {
            "offline".to_owned()
        } else {
            format!("{} agent(s)", db.agents_online)
        };
        let policy = match db.bundle_serial {
            0 => "no policy published".to_owned(),
            serial => format!("policy {serial}"),
        };
        output::line(format!("{:width$}  {agents:12}  {policy}", db.name));
    }
    Ok(())
}
