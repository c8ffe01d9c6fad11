//! Handing an address to the person's own browser.
//!
//! The address signs somebody in, and every user of a machine can read what programs are started with. So the browser is
//! given a page only this person can read, which goes on to the address.

use crate::error::CliError;
use crate::home::{Home, text_variable, write_private};
use reqwest::Url;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const PAGE: &str = "open.html";

/// Asks the desktop to open `url`; `false` if there is none to ask. The page goes to a program as one argument and
/// through no shell.
pub fn open(home: &Home, url: &Url) -> Result<bool, CliError> {
    let chosen = text_variable("BROWSER");
    let programs = chosen.as_deref().into_iter().chain(["xdg-open", "open"]);
    let has_desktop = cfg!(target_os = "macos")
        || chosen.is_some()
        || text_variable("DISPLAY").is_some()
        || text_variable("WAYLAND_DISPLAY").is_some();
    if !has_desktop {
        return Ok(false);
    }
    home.prepare()?;
    let file = page(home);
    write_private(&file, content(url))?;
    let Some(page) = std::path::absolute(&file).ok().and_then(|file| Url::from_file_path(file).ok()) else {
        return Ok(false);
    };
    Ok(programs.into_iter().any(|program| started(program, page.as_str())))
}

/// Removes the page again, once it was of use.
pub fn forget(home: &Home) {
    drop(std::fs::remove_file(page(home)));
}

fn page(home: &Home) -> PathBuf {
    home.file(PAGE)
}

/// An address as the library writes it has neither quotes nor angle brackets.
fn content(url: &Url) -> String {
    let address = url.as_str().replace('&', "&amp;").replace('"', "%22").replace('<', "%3C");
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"referrer\" content=\"no-referrer\">\
         <meta http-equiv=\"refresh\" content=\"0;url={address}\"><title>daam</title>\
         <p><a href=\"{address}\">Go on</a></p></html>\n"
    )
}

fn started(program: &str, page: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok()
}
