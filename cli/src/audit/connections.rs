//! `daam audit connections`: who was connected where and when.

use crate::credentials::Login;
use crate::error::{CliError, Doing as _};
use crate::home::Home;
use crate::output;
use clap::Args;

/// Options of `daam audit connections`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam audit connections --database shop --open
  daam audit connections --user sam@acme.test --since 2027-01-15 --until 2027-01-16 --json

Days and times are UTC. Without --json the columns are: began, ended, who, database, agent, statements, why it ended.")]
pub struct ConnectionsArgs {
    /// A member's address or id.
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// A database.
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// An agent's name or id.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Words of the reason it ended for, as one phrase.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only those that go on.
    #[arg(long, conflicts_with = "ended")]
    open: bool,
    /// Only those that ended.
    #[arg(long)]
    ended: bool,
    /// Open at the beginning of this day or later.
    #[arg(long, value_name = "DAY", value_parser = day)]
    since: Option<i64>,
    /// Open before the beginning of this day.
    #[arg(long, value_name = "DAY", value_parser = day)]
    until: Option<i64>,
    /// Most of them.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The first second of a day.
fn day(text: &str) -> Result<i64, String> {
    let format = time::format_description::well_known::Iso8601::DATE;
    let date = time::Date::parse(text, &format).map_err(|_| "allowed is a day as 2027-01-31".to_owned())?;
    Ok(date.midnight().assume_utc().unix_timestamp())
}

/// Obeys.
pub(super) async fn run(args: ConnectionsArgs) -> Result<(), CliError> {
    let state = match (args.open, args.ended) {
        (true, _) => Some("open"),
        (_, true) => Some("ended"),
        _ => None,
    };
    let texts =
        [("user", args.user), ("database", args.database), ("agent", args.agent), ("reason", args.reason)];
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(texts.into_iter().filter_map(|(name, text)| Some((name, text?))));
    query.extend(state.map(|state| ("state", state.to_owned())));
    query.extend(args.since.map(|since| ("since", since.to_string())));
    query.extend(args.until.map(|until| ("until", until.saturating_sub(1).to_string())));
    let found = Login::load(&Home::find()?)?.control_plane()?.connections(&query).await?;
    if args.json {
        output::line(serde_json::to_string_pretty(&found).doing("write JSON")?);
        return Ok(());
    }
    for one in found {
        // What ended a session may be in its developer's words; a connection is one line.
        let plain = |text: String| text.replace(['\n', '\t'], " ");
        let ended = one.ended_at.unwrap_or_else(|| "open".to_owned());
        let who = plain(one.email.unwrap_or(one.user_id));
        let why = plain(one.reason.unwrap_or_default());
        let (database, agent) = (plain(one.database), plain(one.agent));
        let line =
            format!("{}  {ended:<20}  {who}  {database}  {agent}  {}  {why}", one.started_at, one.statements);
        output::line(line.trim_end());
    }
    Ok(())
}
