//! The compiler from outside: Markdown specifications, determinism, hostile input, schemas, examples.

#[cfg(test)]
mod catalogue;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod determinism;
#[cfg(test)]
mod diff;
#[cfg(test)]
mod editor;
#[cfg(test)]
mod effects;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod format;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod gains;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod large;
#[cfg(test)]
mod repair;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod schema_diff;
#[cfg(test)]
mod schemas;
#[cfg(test)]
mod sensitive;
#[cfg(test)]
mod spec;
#[cfg(test)]
mod workspace;
