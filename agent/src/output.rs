//! The one place that writes to standard output and standard error for people.

use crate::shown;
use std::io::{self, Write as _};

/// Writes to standard output, without what a terminal would take for an order. A reader that has gone away is not our failure.
pub fn print(text: &str) {
    forgive(io::stdout().lock().write_all(shown::page(text).as_bytes()));
}

/// Writes to standard output what is a record byte for byte.
pub fn print_exactly(text: &str) {
    forgive(io::stdout().lock().write_all(text.as_bytes()));
}

/// Writes a line to standard error.
pub fn complain(text: &str) {
    forgive(writeln!(io::stderr().lock(), "{}", shown::page(text)));
}

fn forgive(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::trace!(%error, "output went nowhere");
    }
}
