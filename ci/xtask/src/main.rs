//! xtask: checks a machine makes on this repository.

fn main() {}
