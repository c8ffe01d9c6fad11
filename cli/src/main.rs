//! The daam command.

use std::process::ExitCode;

fn main() -> ExitCode {
    daam::main()
}
