//! The daam command.

use std::process::ExitCode;

/// Checking a large project makes and drops millions of small texts on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    daam::main()
}
