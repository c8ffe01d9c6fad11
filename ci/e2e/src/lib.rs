//! daam-e2e: the whole fabric, driven as its users drive it.
