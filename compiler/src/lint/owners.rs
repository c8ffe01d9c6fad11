//! Which policy and which database a place in the project belongs to.

use daam_diagnostic::{Location, SourceId};
use std::collections::BTreeMap;

/// A policy, or a whole database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) policy: Option<&'a str>,
    pub(crate) database: &'a str,
}

/// Where the documents of policies, and the databases of `daam.yaml`, begin.
#[derive(Debug, Default)]
pub(crate) struct Owners<'a> {
    begins: BTreeMap<(SourceId, usize), Owner<'a>>,
}

impl<'a> Owners<'a> {
    /// Adds one that begins there and ends where the next one of the file begins.
    pub(crate) fn add(&mut self, at: Location, owner: Owner<'a>) {
        self.begins.insert((at.source, at.span.start), owner);
    }

    /// The one a place belongs to.
    pub(crate) fn of(&self, at: Location) -> Option<Owner<'a>> {
        let (_, owner) = self.begins.range((at.source, 0)..=(at.source, at.span.start)).next_back()?;
        Some(*owner)
    }
}
