//! daam-agent: the daam agent.

fn main() {}
