//! The laws of the mask lattice.
