//! What has to hold for any bytes whatever: the bodies of the fuzz targets.
//!
//! A module of its own, so that an ordinary test runs them too, over the seeds and over every input that once broke
//! one (`compiler/fuzz/kept`), without instrumentation and without a second build.

mod bundle;
mod filter;
mod lock;
mod policy;
mod project;
mod signer;
mod trust;

/// Panics if the property does not hold for these bytes.
pub type Property = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Property); 6] = [
    ("bundle", bundle::holds),
    ("filter", filter::holds),
    ("lock", lock::holds),
    ("policy", policy::holds),
    ("project", project::holds),
    ("trust", trust::holds),
];

/// The target of that name; naming another one is a mistake of whoever runs it.
pub fn target(name: &str) -> Property {
    let found = TARGETS.iter().find(|(target, _)| *target == name);
    found.unwrap_or_else(|| panic!("there is no target `{name}`")).1
}
