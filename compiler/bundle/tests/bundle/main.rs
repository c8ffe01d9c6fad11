//! What other implementations would see of this crate: the published vectors, judged through the public surface.

#[cfg(test)]
mod vectors;
