//! daam-tunnel: one end-to-end session between CLI and agent, whatever path carries it.
