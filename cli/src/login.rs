//! `daam login`: proves a token to the control plane, makes a key on this device, stores both privately.

use crate::control_plane::ControlPlane;
use crate::credentials::{IdentityStore, Login};
use crate::error::{CliError, Doing as _};
use crate::home::{Home, read_if_present, text_variable};
use crate::output;
use clap::Args;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

/// Options of `daam login`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam login --control-plane https://daam.example.com
  daam login --control-plane https://daam.example.com --token-file ~/token
  DAAM_TOKEN=… daam login --control-plane https://daam.example.com")]
pub struct LoginArgs {
    /// Address of the control plane.
    #[arg(long, value_name = "URL", env = "DAAM_CONTROL_PLANE")]
    control_plane: String,
    /// File that holds the token; otherwise DAAM_TOKEN, otherwise you are asked.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Signs in.
pub async fn run(args: LoginArgs) -> Result<(), CliError> {
    let home = Home::find()?;
    let token = token(&args)?;
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
    let identity = IdentityStore::of_login(&home).renew(&plane, &login.device).await?;
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

fn token(args: &LoginArgs) -> Result<String, CliError> {
    if let Some(path) = &args.token_file {
        return std::fs::read_to_string(path)
            .doing(format_args!("read the token file `{}`", path.display()))
            .and_then(not_empty);
    }
    if let Some(token) = text_variable("DAAM_TOKEN") {
        return not_empty(token);
    }
    if !io::stdin().is_terminal() {
        return Err(CliError::usage("no token given")
            .remedy("pass --token-file FILE, or set DAAM_TOKEN, or run this in a terminal"));
    }
    output::prompt("token: ");
    not_empty(read_hidden()?)
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
