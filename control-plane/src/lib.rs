//! daam-control-plane: the daam control plane.
