//! What other implementations would see of this crate: the published vectors, judged through the public surface.

mod vectors;
