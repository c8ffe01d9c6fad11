//! daam-diagnostic: where something is and what is wrong with it.
