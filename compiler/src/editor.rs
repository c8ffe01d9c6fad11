//! What an editor asks about a project: findings, what a word means, what could stand here, where it comes from.
//!
//! Pure, like the rest of the compiler: texts come through [`FileSource`] (open buffers included) and places are
//! byte offsets; the protocol is somebody else's. A project that is broken at the moment still completes: names
//! come from the schema lock, and policies from the last state that had no errors. Nothing here decides anything
//! about access.

mod complete;
mod define;
mod grammar;
mod hover;
mod meaning;
mod place;

pub use complete::{Completion, CompletionKind};
pub use define::Target;
pub use hover::Hover;

use crate::compile::{Checked, CompiledDatabase, Options, Workspace};
use crate::file_source::FileSource;
use daam_catalog::Catalog;
use daam_diagnostic::Diagnostic;
use std::sync::Arc;

/// A project that is being edited.
#[derive(Debug, Default)]
pub struct Editor {
    workspace: Workspace,
    current: Option<Arc<Checked>>,
    /// The last state without errors: what policies say while a file is half written.
    sound: Option<Arc<Checked>>,
}

/// What is known about the database a document is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) catalog: Option<&'a Catalog>,
    pub(crate) compiled: Option<&'a CompiledDatabase>,
}

impl Editor {
    /// One that has seen nothing yet.
    pub fn new(options: Options) -> Self {
        Self { workspace: Workspace::new(options), ..Self::default() }
    }

    /// Checks the project as it is now.
    pub fn update(&mut self, source: &dyn FileSource) -> Arc<Checked> {
        let checked = Arc::new(self.workspace.check(source));
        if checked.has_meaning() {
            self.sound = Some(Arc::clone(&checked));
        }
        self.current = Some(Arc::clone(&checked));
        checked
    }

    /// What the word at that place means.
    pub fn hover(&self, source: &dyn FileSource, path: &str, offset: usize) -> Option<Hover> {
        let text = source.read(path).ok()?;
        let place = place::at(&text, offset)?;
        hover::hover(&place, &text, self.known(&place), offset)
    }

    /// What could stand at that place.
    pub fn complete(&self, source: &dyn FileSource, path: &str, offset: usize) -> Vec<Completion> {
        let Ok(text) = source.read(path) else { return Vec::new() };
        let Some((place, cursor)) = place::completing(&text, offset) else { return Vec::new() };
        let databases = self.sound.iter().flat_map(|sound| sound.databases.keys()).map(String::as_str);
        complete::complete(&place, &cursor, self.known(&place), databases)
    }

    /// Where the word at that place is declared.
    pub fn define(&self, source: &dyn FileSource, path: &str, offset: usize) -> Vec<Target> {
        let Ok(text) = source.read(path) else { return Vec::new() };
        let Some(place) = place::at(&text, offset) else { return Vec::new() };
        define::define(&place, self.known(&place), source)
    }

    /// The result of the last check.
    pub fn checked(&self) -> Option<&Checked> {
        self.current.as_deref()
    }

    /// The findings of the last check that touch that range of a file, with their fixes.
    pub fn findings(&self, path: &str, start: usize, end: usize) -> Vec<&Diagnostic> {
        let Some(checked) = &self.current else { return Vec::new() };
        let touches = |found: &&Diagnostic| {
            checked.sources.path(found.at.source) == path
                && found.at.span.start <= end
                && start <= found.at.span.end
        };
        checked.diagnostics.iter().filter(touches).collect()
    }

    /// The database of the document; a project with a single one needs no name.
    fn known(&self, place: &place::Place) -> Known<'_> {
        let compiled = self.sound.as_ref().and_then(|sound| match &place.database {
            Some(name) => sound.databases.get(name),
            None if sound.databases.len() == 1 => sound.databases.values().next(),
            None => None,
        });
        let name = place.database.as_deref().or(compiled.map(|known| known.policies.database.as_str()));
        let catalog = name.and_then(|name| self.workspace.catalog(name));
        Known { catalog: catalog.or(compiled.map(schema_of)), compiled }
    }
}

fn schema_of(known: &CompiledDatabase) -> &Catalog {
    &known.catalog
}
