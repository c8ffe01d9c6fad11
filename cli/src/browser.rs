//! Handing an address to the person's own browser.

use crate::home::text_variable;
use std::process::{Command, Stdio};

/// Asks the desktop to open `url`; `false` if there is none to ask. The address goes to a program as one argument and
/// through no shell.
pub fn open(url: &str) -> bool {
    let chosen = text_variable("BROWSER");
    let programs = chosen.as_deref().into_iter().chain(["xdg-open", "open"]);
    let has_desktop = cfg!(target_os = "macos")
        || chosen.is_some()
        || text_variable("DISPLAY").is_some()
        || text_variable("WAYLAND_DISPLAY").is_some();
    has_desktop && programs.into_iter().any(|program| started(program, url))
}

fn started(program: &str, url: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok()
}
