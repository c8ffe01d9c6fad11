//! What has to hold for any bytes whatever: the bodies of the agent's fuzz targets.
//!
//! A module of its own, so that an ordinary test runs them too, over the seeds and over every input that once broke
//! one (`agent/fuzz/kept`), without instrumentation and without a second build.

mod audit;
mod backend;
mod frames;
mod frontend;
mod pipeline;
mod rewrite;
mod startup;

/// Panics if the property does not hold for these bytes.
pub type Property = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Property); 7] = [
    ("audit", audit::holds),
    ("backend", backend::holds),
    ("frames", frames::holds),
    ("frontend", frontend::holds),
    ("pipeline", pipeline::holds),
    ("rewrite", rewrite::holds),
    ("startup", startup::holds),
];

/// The target of that name; naming another one is a mistake of whoever runs it.
pub fn target(name: &str) -> Property {
    let found = TARGETS.iter().find(|(target, _)| *target == name);
    found.unwrap_or_else(|| panic!("there is no target `{name}`")).1
}
