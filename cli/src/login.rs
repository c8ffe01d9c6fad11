//! `daam login`: signs in by way of a browser, here or anywhere, or with a token; makes a key on this device, and stores
//! both privately. What a browser's sign-in gives ends with that sign-in, after twelve hours at most; until then
//! certificates are renewed in silence.

use crate::control_plane::ControlPlane;
use crate::credentials::{IdentityStore, Login};
use crate::error::{CliError, Doing as _};
use crate::home::{Home, read_if_present, text_variable};
use crate::output;
use clap::Args;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

mod hand_off;
mod workload;

/// Codes live no longer.
const LONGEST: Duration = Duration::from_secs(600);

/// Options of `daam login`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam login --control-plane https://daam.example.com
  daam login --control-plane https://daam.example.com --device-code    (on a machine without a browser)
  daam login --control-plane https://daam.example.com --token-file ~/token
  daam login --control-plane https://daam.example.com --workload ID    (in a pipeline, without a secret)
  DAAM_TOKEN=… daam login --control-plane https://daam.example.com")]
pub struct LoginArgs {
    /// Address of the control plane.
    #[arg(long, value_name = "URL", env = "DAAM_CONTROL_PLANE")]
    control_plane: String,
    /// File that holds an API token; otherwise DAAM_TOKEN, otherwise a browser.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Show a code to enter in a browser on any machine.
    #[arg(long, conflicts_with = "token_file")]
    device_code: bool,
    /// Sign in as a job of a pipeline that the organization trusts under this id, with the token of the job's runner: GitHub
    /// Actions' own, DAAM_WORKLOAD_TOKEN, or --workload-token-file.
    #[arg(long, value_name = "ID", conflicts_with_all = ["token_file", "device_code", "ask_token"])]
    workload: Option<String>,
    /// File that holds the token of the job's runner.
    #[arg(long, value_name = "FILE", requires = "workload")]
    workload_token_file: Option<PathBuf>,
    /// Whom GitHub Actions' token is for, if that is not the address it is exchanged at.
    #[arg(long, value_name = "TEXT", requires = "workload")]
    audience: Option<String>,
    /// Ask for the token here.
    #[arg(long, conflicts_with_all = ["token_file", "device_code"])]
    ask_token: bool,
}

/// Signs in.
pub async fn run(args: LoginArgs) -> Result<(), CliError> {
    let home = Home::find()?;
    let token = match (&args.workload, given(&args)?) {
        (Some(id), _) => {
            let plane = ControlPlane::new(&args.control_plane, "")?;
            let file = args.workload_token_file.as_deref();
            workload::sign_in(&plane, (id, file, args.audience.as_deref())).await?
        }
        (None, Some(token)) => token,
        (None, None) => by_browser(&home, &args).await?,
    };
    let plane = ControlPlane::new(&args.control_plane, &token)?;
    let who = plane.whoami().await?;
    let device = device(&home, plane.url())?;
    let login = Login {
        control_plane: plane.url().to_owned(),
        org: who.org,
        email: who.email,
        device,
        token: token.trim().to_owned(),
    };
    home.prepare()?;
    let mut identities = IdentityStore::of_login(&home);
    identities.forget()?;
    let identity = identities.renew(&plane, &login.device).await?;
    login.store(&home)?;
    output::line(format!(
        "signed in to {} as {} (organization {}, certificate until {})",
        login.control_plane, login.email, login.org, identity.not_after
    ));
    Ok(())
}

/// The same device keeps its id when it signs in again.
fn device(home: &Home, url: &str) -> Result<String, CliError> {
    let earlier = read_if_present(&home.file("login.json"))?
        .and_then(|text| serde_json::from_str::<Login>(&text).ok())
        .filter(|login| login.control_plane == url);
    Ok(earlier.map_or_else(new_device, |login| login.device))
}

/// A fresh device id.
pub fn new_device() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A token that is there already.
fn given(args: &LoginArgs) -> Result<Option<String>, CliError> {
    if args.device_code || args.workload.is_some() {
        return Ok(None);
    }
    if let Some(path) = &args.token_file {
        return std::fs::read_to_string(path)
            .doing(format_args!("read the token file `{}`", path.display()))
            .and_then(not_empty)
            .map(Some);
    }
    if let Some(token) = text_variable("DAAM_TOKEN") {
        return not_empty(token).map(Some);
    }
    if !args.ask_token {
        return Ok(None);
    }
    if !io::stdin().is_terminal() {
        return Err(CliError::usage("no token given").remedy("pass --token-file FILE, or set DAAM_TOKEN"));
    }
    output::prompt("token: ");
    not_empty(read_hidden()?).map(Some)
}

/// The machine's name, for the person who approves.
fn machine() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let plain: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    if plain.trim().is_empty() { "this machine".to_owned() } else { plain }
}

/// The token of a sign-in somebody approves in a browser: this machine's, if it has one.
async fn by_browser(home: &Home, args: &LoginArgs) -> Result<String, CliError> {
    let plane = ControlPlane::new(&args.control_plane, "")?;
    if !args.device_code
        && let Some(token) = hand_off::sign_in(home, &plane, &machine()).await?
    {
        return Ok(token);
    }
    let asked = plane.device_sign_in(&machine()).await?;
    let address = plane.own_address(&asked.verification_uri_complete)?;
    output::progress(format!("open {address} and compare the code {}", asked.user_code));
    let every = Duration::from_secs(asked.interval.clamp(1, 30));
    let give_up = Instant::now() + LONGEST;
    while Instant::now() < give_up {
        tokio::time::sleep(every).await;
        if let Some(signed_in) = plane.fetch_sign_in(&asked.device_code, None).await? {
            return Ok(signed_in.token);
        }
    }
    Err(CliError::usage("nobody approved the sign-in in time").remedy("run `daam login` again"))
}

fn not_empty(token: String) -> Result<String, CliError> {
    if token.trim().is_empty() {
        return Err(CliError::usage("the token is empty").remedy("make one in the control plane"));
    }
    Ok(token)
}

/// Reads a line without showing it.
fn read_hidden() -> Result<String, CliError> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = io::stdin();
    let shown = tcgetattr(&stdin).doing("prepare the terminal")?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden).doing("prepare the terminal")?;
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    tcsetattr(&stdin, OptionalActions::Flush, &shown).doing("restore the terminal")?;
    output::text_err("\n");
    read.doing("read the token").map(|_| line)
}
