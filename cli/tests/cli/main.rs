//! The command from outside, one binary: what it says, what it refuses, and its local endpoint.

mod command;
mod endpoint;
mod help;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod lsp;
#[cfg(test)]
mod pipeline;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod policy_check;
#[cfg(test)]
mod policy_effects;
#[cfg(test)]
mod policy_meaning;
#[cfg(test)]
mod policy_rules;
#[cfg(test)]
mod rebuild;
#[cfg(test)]
mod refusal;
#[cfg(test)]
mod schema_live;
#[cfg(test)]
mod trust;
