//! `daam request`, `daam requests`, `daam approve` and `daam deny`: access that is not held by default, asked for with a
//! reason, decided by somebody else, and over by itself.

use crate::control_plane::{ControlPlane, Show};
use crate::credentials::Login;
use crate::error::{CliError, Doing as _};
use crate::home::Home;
use crate::output;
use clap::{Args, Subcommand};
use daam_api::link::{AccessAsked, AskedRelation, AskedRows};
use daam_api::v1::{AccessRequest, NewAccessRequest, Requestable};
use serde::Serialize;
use std::time::Duration;

mod text;
mod wait;

use text::{Listed, card, option, table};

const MOST_LISTED: u32 = 200;

/// `daam request …`.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  daam request options shop
  daam request policy shop oncall-orders --for 1h --reason 'INC-4711: orders stuck' --wait
  daam request tables shop --on public.orders:select --for 30m --reason 'checking an export'
  daam request extend ID --for 30m --reason 'not done yet'
  daam request end ID

Whatever is approved reaches sessions that are open already, and leaves them when its time is over.")]
pub enum RequestCommand {
    /// List what you can ask for.
    Options(OptionsArgs),
    /// Ask for a policy that is held on request.
    Policy(PolicyArgs),
    /// Ask for tables that no policy of yours names, within a ceiling.
    Tables(TablesArgs),
    /// Show a request, what it would give and what was said about it.
    Show(ShowArgs),
    /// Ask for more time with what you hold.
    Extend(ExtendArgs),
    /// Withdraw a request, or end early what is held.
    End(EndArgs),
}

/// Options of `daam request options`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam request options shop
  daam request options shop --json | jq -r '.[].name'")]
pub struct OptionsArgs {
    /// The database.
    database: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How, whatever is asked for.
#[derive(Debug, Args)]
struct Terms {
    /// For how long, such as `90m` or `2h`.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    duration: Duration,
    /// When it is to begin, such as `2027-01-31T08:00:00Z`; otherwise once it is approved.
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Why, for whoever decides.
    #[arg(long, default_value = "")]
    reason: String,
    /// Wait until it is in force, or will not be.
    #[arg(long)]
    wait: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Options of `daam request policy`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam request policy shop oncall-orders --for 1h --reason 'INC-4711: orders stuck'
  daam request policy shop oncall-orders --for 1h --reason 'migration' --start 2027-01-31T08:00:00Z
  daam request policy shop oncall-orders --for 1h --reason 'INC-4711' --wait && daam psql shop")]
pub struct PolicyArgs {
    /// The database.
    database: String,
    /// The policy.
    policy: String,
    #[command(flatten)]
    terms: Terms,
}

/// Options of `daam request tables`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam request tables shop --on public.orders:select --for 30m --reason 'checking an export'
  daam request tables shop --on 'public.orders:select,update(status)' --for 1h --reason INC-4711 \\
      --where public.orders.region=eu,us
  daam request tables shop --on public.customers --mask public.customers.email=redact --for 10m --reason test

You hold it with the masks and rows of the ceiling at least. `daam request options` lists ceilings.")]
pub struct TablesArgs {
    /// The database.
    database: String,
    /// A table and what to do with it: `schema.table:verb,verb(column,column)`; `select` if no verb is named.
    #[arg(long = "on", value_name = "TABLE", required = true, value_parser = AskedRelation::parse)]
    on: Vec<AskedRelation>,
    /// Mask a column at least so: `schema.table.column=preset`.
    #[arg(long = "mask", value_name = "COLUMN=PRESET")]
    masks: Vec<String>,
    /// Only rows with one of these values: `schema.table.column=value,value`.
    #[arg(long = "where", value_name = "COLUMN=VALUES")]
    rows: Vec<String>,
    /// The ceiling; may be left out if there is one only.
    #[arg(long)]
    ceiling: Option<String>,
    #[command(flatten)]
    terms: Terms,
}

/// Options of `daam request show`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam request show 0198c0de-0000-7000-8000-000000000000
  daam request show ID --json | jq -r .state")]
pub struct ShowArgs {
    /// The request.
    id: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Options of `daam request extend`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam request extend ID --for 30m --reason 'not done yet' --wait

It is decided like the request itself; from the beginning to the end it is never more than the bundle allows.")]
pub struct ExtendArgs {
    /// The request.
    id: String,
    /// How much more time.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    duration: Duration,
    /// Why.
    #[arg(long, default_value = "")]
    reason: String,
    /// Wait until it is decided.
    #[arg(long)]
    wait: bool,
}

/// Options of `daam request end`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam request end ID
  daam request end ID --reason 'done sooner'")]
pub struct EndArgs {
    /// The request.
    id: String,
    /// Why.
    #[arg(long, default_value = "")]
    reason: String,
}

/// Options of `daam requests`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam requests
  daam requests --waiting
  daam requests --all --json | jq -r '.[] | select(.state == \"active\") | .requester'")]
pub struct RequestsArgs {
    /// Only those that wait for your word.
    #[arg(long)]
    waiting: bool,
    /// Everybody's; for admins, auditors and approvers.
    #[arg(long, conflicts_with = "waiting")]
    all: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Options of `daam approve`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam requests --waiting
  daam approve ID
  daam approve ID --reason 'pairing with them'")]
pub struct ApproveArgs {
    /// The request.
    id: String,
    /// Why.
    #[arg(long, default_value = "")]
    reason: String,
}

/// Options of `daam deny`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam deny ID --reason 'use the read replica'")]
pub struct DenyArgs {
    /// The request.
    id: String,
    /// Why; whoever asked reads it.
    #[arg(long)]
    reason: String,
}

/// Obeys `daam request …`.
pub async fn run(command: RequestCommand) -> Result<(), CliError> {
    let plane = Login::load(&Home::find()?)?.control_plane()?;
    match command {
        RequestCommand::Options(args) => options(&plane, &args).await,
        RequestCommand::Policy(args) => {
            let what = AccessAsked::Policy { policy_id: args.policy };
            ask(&plane, args.database, what, args.terms).await
        }
        RequestCommand::Tables(args) => tables(&plane, args).await,
        RequestCommand::Show(args) => {
            let request = plane.access_request(&args.id).await;
            if args.json { json(&request?) } else { told(request) }
        }
        RequestCommand::Extend(args) => {
            let asked = plane.extend(&args.id, args.duration.as_secs(), &args.reason).await;
            if args.wait { wait::until_extended(&plane, asked?).await } else { told(asked) }
        }
        RequestCommand::End(args) => told(plane.end_request(&args.id, &args.reason).await),
    }
}

/// Obeys `daam requests`.
pub async fn list(args: &RequestsArgs) -> Result<(), CliError> {
    let plane = Login::load(&Home::find()?)?.control_plane()?;
    let waiting = plane.requests(Show::Waiting, MOST_LISTED).await?;
    if args.waiting {
        if args.json {
            return json(&waiting);
        }
        listed(&waiting, Listed::Others, "nothing waits for you");
        return Ok(());
    }
    let (show, kind) = if args.all { (Show::All, Listed::Others) } else { (Show::Mine, Listed::Own) };
    let requests = plane.requests(show, MOST_LISTED).await?;
    if args.json {
        return json(&requests);
    }
    listed(
        &requests,
        kind,
        "there are no requests; `daam request options DATABASE` lists what you can ask for",
    );
    if !args.all && !waiting.is_empty() {
        output::progress(format!("{} wait(s) for your word; see `daam requests --waiting`", waiting.len()));
    }
    Ok(())
}

/// Obeys `daam approve`.
pub async fn approve(args: &ApproveArgs) -> Result<(), CliError> {
    let plane = Login::load(&Home::find()?)?.control_plane()?;
    told(plane.approve(&args.id, &args.reason).await)
}

/// Obeys `daam deny`.
pub async fn deny(args: &DenyArgs) -> Result<(), CliError> {
    let plane = Login::load(&Home::find()?)?.control_plane()?;
    told(plane.deny(&args.id, &args.reason).await)
}

async fn options(plane: &ControlPlane, args: &OptionsArgs) -> Result<(), CliError> {
    let options = plane.requestable(&args.database).await?;
    if args.json {
        return json(&options);
    }
    if options.is_empty() {
        output::progress(format!("there is nothing that you can ask for on `{}`", args.database));
    }
    for one in &options {
        output::text_out(&option(one));
    }
    Ok(())
}

async fn tables(plane: &ControlPlane, args: TablesArgs) -> Result<(), CliError> {
    let ceiling_id = match args.ceiling {
        Some(name) => name,
        None => only_ceiling(&args.database, plane.requestable(&args.database).await?)?,
    };
    let mut relations = args.on;
    for text in &args.masks {
        let (relation, column, preset) = of_column(&mut relations, text)?;
        // A preset's name, or its JSON form when it takes parameters.
        let mask = serde_json::from_str(&preset).unwrap_or(serde_json::Value::String(preset));
        relation.masks.insert(column, mask);
    }
    for text in &args.rows {
        let (relation, column, values) = of_column(&mut relations, text)?;
        let any_of = values.split(',').map(str::to_owned).collect();
        relation.rows.push(AskedRows { column, any_of });
    }
    ask(plane, args.database, AccessAsked::AdHoc { ceiling_id, relations }, args.terms).await
}

fn only_ceiling(database: &str, options: Vec<Requestable>) -> Result<String, CliError> {
    let mut ceilings =
        options.into_iter().filter(|option| option.kind == "ceiling").map(|option| option.name);
    match (ceilings.next(), ceilings.next()) {
        (Some(name), None) => Ok(name),
        (None, _) => {
            Err(CliError::denied(format!("you cannot ask for tables of `{database}`; no ceiling is for you"))
                .remedy(format!("`daam request options {database}` lists what you can ask for")))
        }
        (Some(one), Some(other)) => {
            Err(CliError::usage(format!("there are several ceilings, such as `{one}` and `{other}`"))
                .remedy("say which one with `--ceiling NAME`"))
        }
    }
}

/// The relation, the column and the rest of `schema.table.column=rest`.
fn of_column<'a>(
    relations: &'a mut [AskedRelation],
    text: &str,
) -> Result<(&'a mut AskedRelation, String, String), CliError> {
    let wrong = || {
        CliError::usage(format!("`{text}` does not name a column of a table that is asked for"))
            .remedy("write `schema.table.column=…`, of a table named with `--on`")
    };
    let (place, rest) = text.split_once('=').ok_or_else(wrong)?;
    let (relation, column) = place.rsplit_once('.').ok_or_else(wrong)?;
    let named = AskedRelation::parse(relation).map_err(|_| wrong())?;
    let found =
        relations.iter_mut().find(|asked| (&asked.schema, &asked.name) == (&named.schema, &named.name));
    Ok((found.ok_or_else(wrong)?, column.trim_matches('"').to_owned(), rest.to_owned()))
}

async fn ask(
    plane: &ControlPlane,
    database: String,
    what: AccessAsked,
    terms: Terms,
) -> Result<(), CliError> {
    let request = NewAccessRequest {
        database,
        what,
        seconds: terms.duration.as_secs(),
        starts_at: terms.start,
        reason: terms.reason,
    };
    let asked = plane.ask(&request).await?;
    if !terms.wait {
        return if terms.json { json(&asked) } else { told(Ok(asked)) };
    }
    let held = wait::until_held(plane, asked).await?;
    if terms.json { json(&held) } else { Ok(()) }
}

fn listed(requests: &[AccessRequest], kind: Listed, nothing: &str) {
    if requests.is_empty() {
        output::progress(nothing);
    } else {
        output::text_out(&table(requests, kind));
    }
}

fn told(answer: Result<AccessRequest, CliError>) -> Result<(), CliError> {
    answer.map(|request| output::text_out(&card(&request)))
}

fn json(value: &(impl Serialize + ?Sized)) -> Result<(), CliError> {
    output::line(serde_json::to_string_pretty(value).doing("write JSON")?);
    Ok(())
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; allowed is a duration such as `90m` or `2h`"))
        .and_then(|duration| {
            if duration.as_secs() > 0 { Ok(duration) } else { Err("allowed is at least a second".to_owned()) }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_and_rows_are_of_tables_that_are_asked_for() {
        let mut relations = vec![AskedRelation::parse("public.orders").unwrap()];
        let (relation, column, rest) = of_column(&mut relations, "Public.Orders.region=eu,us").unwrap();
        assert_eq!((relation.name.as_str(), column.as_str(), rest.as_str()), ("orders", "region", "eu,us"));
        for bad in ["region=eu", "public.orders.region", "public.customers.region=eu"] {
            assert!(of_column(&mut relations, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_ceiling_is_named_unless_there_is_one() {
        let ceiling = |name: &str| Requestable {
            kind: "ceiling".to_owned(),
            name: name.to_owned(),
            description: String::new(),
            gives: Vec::new(),
            max_seconds: 60,
            reason_required: false,
            approvals: 1,
            approvers: std::collections::BTreeSet::new(),
        };
        assert_eq!(only_ceiling("shop", vec![ceiling("a")]).unwrap(), "a");
        assert!(only_ceiling("shop", vec![]).is_err());
        assert!(only_ceiling("shop", vec![ceiling("a"), ceiling("b")]).is_err());
    }
}
