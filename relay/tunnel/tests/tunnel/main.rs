//! The tunnel over a real loopback: who gets in, who does not and what they are told.

mod certificates;
mod direct;
mod world;
