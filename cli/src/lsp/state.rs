//! What the server remembers: one project, its open buffers, and what it has told the editor so far.

use super::place::Unit;
use super::texts::{Texts, project_of};
use super::words::Frame;
use daam_compiler::editor::Editor;
use daam_compiler::{Checked, Day, FileSource, Options, format};
use daam_diagnostic::Span;
use std::collections::BTreeMap;
use std::path::Path;
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
    told: BTreeMap<String, Vec<Diagnostic>>,
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

    /// A buffer's text is what counts.
    pub(super) fn edit(&mut self, uri: &Uri, text: String) {
        if let Some((project, path)) = self.of(uri) {
            project.texts.edit(&path, text);
        }
    }

    /// A buffer was closed.
    pub(super) fn close(&mut self, uri: &Uri) {
        if let Some((project, path)) = self.of(uri) {
            project.texts.close(&path);
        }
    }

    /// Files on disk changed.
    pub(super) fn reload(&mut self) {
        if let Some(project) = &mut self.project
            && let Err(error) = project.texts.reload()
        {
            tracing::warn!(%error, "the project cannot be read again");
        }
    }

    /// Checks, and says for which files the findings are other than those told last.
    pub(super) fn check(&mut self) -> Vec<Announcement> {
        let unit = self.unit;
        let Some(project) = &mut self.project else { return Vec::new() };
        let checked = project.editor.update(&project.texts);
        let frame = Frame { root: project.texts.root(), unit };
        let now = by_file(&checked, frame);
        let gone = project.told.keys().filter(|path| !now.contains_key(*path)).map(|path| (path, Vec::new()));
        let news = now.iter().filter(|(path, found)| project.told.get(*path) != Some(found));
        let news = news.map(|(path, found)| (path, found.clone()));
        let announced =
            gone.chain(news).filter_map(|(path, found)| Some((frame.uri(path)?, found))).collect();
        project.told = now;
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

fn by_file(checked: &Checked, frame: Frame<'_>) -> BTreeMap<String, Vec<Diagnostic>> {
    let mut files: BTreeMap<String, Vec<Diagnostic>> = BTreeMap::new();
    for found in &checked.diagnostics {
        let path = checked.sources.path(found.at.source).to_owned();
        files.entry(path).or_default().push(frame.diagnostic(found, &checked.sources));
    }
    files
}
