//! daam-store: the only SQL of the control plane.
