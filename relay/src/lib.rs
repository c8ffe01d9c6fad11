//! daam-relay: forwards packets it cannot read.
