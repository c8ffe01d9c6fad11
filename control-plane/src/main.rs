//! daam-control-plane: the daam control plane.

fn main() {}
