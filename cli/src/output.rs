//! The only place that prints.
//!
//! Answers go to standard output, progress and problems to standard error. A reader that went away (a closed pipe)
//! is not an error of ours, so failed writes are dropped.

use crate::error::CliError;
use std::io::{self, IsTerminal as _, Write as _};

/// One line of the answer, on standard output.
pub fn line(text: impl AsRef<str>) {
    text_out(&format!("{}\n", text.as_ref()));
}

/// Text of the answer exactly as it is, on standard output.
pub fn text_out(text: &str) {
    let mut out = io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Bytes of the answer, on standard output.
pub fn bytes_out(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    drop(out.write_all(bytes).and_then(|()| out.flush()));
}

/// One line about progress, on standard error.
pub fn progress(text: impl AsRef<str>) {
    text_err(&format!("{}\n", text.as_ref()));
}

/// Text exactly as it is, on standard error.
pub fn text_err(text: &str) {
    let mut out = io::stderr().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// A question on standard error, without a line end.
pub fn prompt(text: &str) {
    text_err(text);
}

/// A failure: one sentence, its causes, and what to do about it.
pub fn failure(error: &CliError) {
    text_err(&error.report());
}

/// Whether a person reads standard output.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether a person reads standard error.
pub fn errors_to_terminal() -> bool {
    io::stderr().is_terminal()
}
