//! What the server remembers: one project, its open buffers, and what it has told the editor so far.

use super::place::Unit;
use super::texts::{Texts, project_of};
use super::words::Frame;
use daam_compiler::editor::Editor;
use daam_compiler::{Checked, Day, FileFindings, FileSource, Options, format};
use daam_diagnostic::{SourceId, Span};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use tower_lsp_server::ls_types::{
    CodeAction, CompletionItem, Diagnostic, Hover, HoverContents, Location, MarkupContent, MarkupKind,
    Position, Range, TextEdit, Uri,
};

/// The server's memory; empty until a file of a project is seen.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) unit: Unit,
    project: Option<Project>,
}

#[derive(Debug)]
struct Project {
    texts: Texts,
    editor: Editor,
    told: BTreeMap<SourceId, Told>,
}

/// What the editor was told of a file, and in which text.
#[derive(Debug)]
struct Told {
    path: String,
    found: Arc<FileFindings>,
    text: Option<Arc<str>>,
}

/// Something the editor said, to be taken in its turn.
#[derive(Debug)]
pub(super) enum Change {
    /// A buffer's text is what counts.
    Edited(Uri, String),
    /// A buffer was closed.
    Closed(Uri),
    /// A file was saved, made or removed.
    OnDisk(Uri),
    /// Anything on disk may have changed.
    Everything,
}

/// Findings to show for a file; none clears them.
pub(super) type Announcement = (Uri, Vec<Diagnostic>);

impl State {
    /// Takes the project a file or directory belongs to, unless there is one already.
    pub(super) fn enter(&mut self, place: &Path) {
        if self.project.is_some() {
            return;
        }
        let Some(root) = project_of(place) else { return };
        match Texts::open(&root) {
            Ok(texts) => {
                let editor = Editor::new(Options { today: Day::of_unix(crate::policy::now_unix()) });
                self.project = Some(Project { texts, editor, told: BTreeMap::new() });
            }
            Err(error) => tracing::warn!(%error, root = %root.display(), "the project cannot be read"),
        }
    }

    /// Takes a change.
    pub(super) fn take(&mut self, change: Change) {
        match change {
            Change::Edited(uri, text) => {
                if let Some((project, path)) = self.of(&uri) {
                    project.texts.edit(&path, text);
                }
            }
            Change::Closed(uri) => {
                if let Some((project, path)) = self.of(&uri) {
                    project.texts.close(&path);
                }
            }
            Change::OnDisk(uri) => {
                if let Some((project, path)) = self.of(&uri) {
                    project.texts.reload_below(&path);
                }
            }
            Change::Everything => {
                if let Some(project) = &mut self.project
                    && let Err(error) = project.texts.reload()
                {
                    tracing::warn!(%error, "the project cannot be read again");
                }
            }
        }
    }

    /// Checks the project as it is now.
    pub(super) fn check(&mut self) {
        if let Some(project) = &mut self.project {
            project.editor.update(&project.texts);
        }
    }

    /// Files whose findings are other than those told last, at most so many, what is open first. They count as told.
    pub(super) fn news(&mut self, limit: usize) -> Vec<Announcement> {
        let unit = self.unit;
        let Some(project) = &mut self.project else { return Vec::new() };
        let Some(checked) = project.editor.checked() else { return Vec::new() };
        let frame = Frame { root: project.texts.root(), unit };
        let mut announced = gone(&mut project.told, checked, frame, limit);
        let is_told = |file: &Arc<FileFindings>| {
            let told = project.told.get(&file.source);
            told.is_some_and(|told| {
                Arc::ptr_eq(&told.found, file)
                    && same(told.text.as_ref(), checked.sources.shared(file.source).as_ref())
            })
        };
        let mut new: Vec<&Arc<FileFindings>> =
            checked.diagnostics.files().iter().filter(|file| !is_told(file)).collect();
        new.sort_by_key(|file| !project.texts.is_open(checked.sources.path(file.source)));
        new.truncate(limit.saturating_sub(announced.len()));
        for file in new {
            let path = checked.sources.path(file.source).to_owned();
            let found = file.found.iter().map(|found| frame.diagnostic(found, &checked.sources)).collect();
            announced.extend(frame.uri(&path).map(|uri| (uri, found)));
            let text = checked.sources.shared(file.source);
            project.told.insert(file.source, Told { path, found: Arc::clone(file), text });
        }
        announced
    }

    pub(super) fn hover(&mut self, uri: &Uri, at: Position) -> Option<Hover> {
        let unit = self.unit;
        let (project, path) = self.of(uri)?;
        let text = project.texts.read(&path).ok()?;
        let hover = project.editor.hover(&project.texts, &path, unit.offset(&text, at))?;
        let value = MarkupContent { kind: MarkupKind::Markdown, value: hover.markdown };
        Some(Hover { contents: HoverContents::Markup(value), range: Some(unit.range(&text, hover.span)) })
    }

    pub(super) fn complete(&mut self, uri: &Uri, at: Position) -> Vec<CompletionItem> {
        let unit = self.unit;
        let Some((project, path)) = self.of(uri) else { return Vec::new() };
        let Ok(text) = project.texts.read(&path) else { return Vec::new() };
        let found = project.editor.complete(&project.texts, &path, unit.offset(&text, at));
        let frame = Frame { root: project.texts.root(), unit };
        found.into_iter().map(|proposal| frame.completion(proposal, &text)).collect()
    }

    pub(super) fn define(&mut self, uri: &Uri, at: Position) -> Vec<Location> {
        let unit = self.unit;
        let Some((project, path)) = self.of(uri) else { return Vec::new() };
        let Ok(text) = project.texts.read(&path) else { return Vec::new() };
        let found = project.editor.define(&project.texts, &path, unit.offset(&text, at));
        let frame = Frame { root: project.texts.root(), unit };
        let place = |target: daam_compiler::editor::Target| {
            let text = project.texts.read(&target.path).ok()?;
            Some(Location { uri: frame.uri(&target.path)?, range: unit.range(&text, target.span) })
        };
        found.into_iter().filter_map(place).collect()
    }

    pub(super) fn repairs(&mut self, uri: &Uri, range: Range) -> Vec<CodeAction> {
        let unit = self.unit;
        let Some((project, path)) = self.of(uri) else { return Vec::new() };
        let Ok(text) = project.texts.read(&path) else { return Vec::new() };
        let (start, end) = (unit.offset(&text, range.start), unit.offset(&text, range.end));
        let Some(checked) = project.editor.checked() else { return Vec::new() };
        let frame = Frame { root: project.texts.root(), unit };
        let found = project.editor.findings(&path, start, end);
        found.into_iter().flat_map(|finding| frame.repairs(finding, &checked.sources)).collect()
    }

    /// The whole file in its one form; nothing if it has it, or cannot be read as YAML.
    pub(super) fn format(&mut self, uri: &Uri) -> Option<Vec<TextEdit>> {
        let unit = self.unit;
        let (project, path) = self.of(uri)?;
        let text = project.texts.read(&path).ok()?;
        let formatted = format::format(&text).ok().filter(|formatted| *formatted != text)?;
        let range = unit.range(&text, Span::new(0, text.len()));
        Some(vec![TextEdit { range, new_text: formatted }])
    }

    fn of(&mut self, uri: &Uri) -> Option<(&mut Project, String)> {
        let file = uri.to_file_path()?.into_owned();
        self.enter(&file);
        let project = self.project.as_mut()?;
        let path = project.texts.relative(&file)?;
        Some((project, path))
    }
}

/// Files that had findings and have none.
fn gone(
    told: &mut BTreeMap<SourceId, Told>,
    checked: &Checked,
    frame: Frame<'_>,
    limit: usize,
) -> Vec<Announcement> {
    let files = checked.diagnostics.files();
    let still = files.iter().filter(|file| told.contains_key(&file.source)).count();
    if still == told.len() {
        return Vec::new();
    }
    let now: HashSet<SourceId> = files.iter().map(|file| file.source).collect();
    let gone: Vec<SourceId> =
        told.keys().filter(|source| !now.contains(source)).take(limit).copied().collect();
    let gone = gone.iter().filter_map(|source| told.remove(source));
    gone.filter_map(|told| Some((frame.uri(&told.path)?, Vec::new()))).collect()
}

/// Whether two texts are one.
fn same(a: Option<&Arc<str>>, b: Option<&Arc<str>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}
