//! daam-agent: the daam agent.
