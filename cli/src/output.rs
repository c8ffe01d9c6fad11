//! The only place that prints.
//!
//! Answers go to standard output, progress and problems to standard error. A reader that went away (a closed pipe)
//! is not an error of ours. An answer that could not be written for another reason, to a full disk for one, is no
//! answer: the program then ends with 2, whatever it had to say.
//!
//! Much of what is printed comes from elsewhere: a control plane, a database's names, files. What a terminal would take
//! for an order, and what turns the direction of writing, is shown as its code, in the form that JSON reads, too.

use crate::error::CliError;
use crate::home::variable;
use daam_diagnostic::shown;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

static LOST: AtomicBool = AtomicBool::new(false);

/// One line of the answer, on standard output.
pub fn line(text: impl AsRef<str>) {
    text_out(&format!("{}\n", shown::page(text.as_ref())));
}

/// Several lines of the answer, on standard output.
pub fn lines(text: &str) {
    text_out(&shown::page(text));
}

/// Text of the answer exactly as it is, on standard output: a file's content, or with our own colours.
pub fn text_out(text: &str) {
    bytes_out(text.as_bytes());
}

/// Bytes of the answer, on standard output.
pub fn bytes_out(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    if written.is_err_and(|error| error.kind() != ErrorKind::BrokenPipe) {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// Whether a part of the answer could not be written although somebody waits for it.
pub fn was_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// One line about progress, on standard error.
pub fn progress(text: impl AsRef<str>) {
    text_err(&format!("{}\n", text.as_ref()));
}

/// Text on standard error.
pub fn text_err(text: &str) {
    let mut out = io::stderr().lock();
    drop(out.write_all(shown::page(text).as_bytes()).and_then(|()| out.flush()));
}

/// A question on standard error, without a line end.
pub fn prompt(text: &str) {
    text_err(text);
}

/// A failure: one sentence, its causes, and what to do about it.
pub fn failure(error: &CliError) {
    text_err(&error.report());
}

/// Whether standard output may have colours: a person reads it, and has not asked for none.
pub fn has_colours() -> bool {
    let dumb = variable("TERM").is_some_and(|term| term == "dumb");
    is_terminal() && variable("NO_COLOR").is_none() && !dumb
}

/// Whether a person reads standard output.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether a person reads standard error.
pub fn errors_to_terminal() -> bool {
    io::stderr().is_terminal()
}
