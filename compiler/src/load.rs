//! Files → documents. `daam.yaml` first, since it says which files belong to the project.
//!
//! Reading a file depends on its text alone, so what a text gave before is used again as long as it stays the same,
//! and files that changed are read side by side.

use crate::file_source::{FileSource, is_yaml};
use crate::found::Found;
use crate::glob::Glob;
use crate::parallel;
use crate::rule;
use crate::syntax::decode::Decoder;
use crate::syntax::directory::WrittenDirectory;
use crate::syntax::group::WrittenGroup;
use crate::syntax::node::{Node, Value};
use crate::syntax::policy::WrittenPolicy;
use crate::syntax::project::WrittenProject;
use crate::syntax::scenario::WrittenTest;
use crate::syntax::scope::WrittenScope;
use crate::syntax::suppression::WrittenSuppression;
use crate::syntax::{ceiling, directory, group, policy, project, scenario, scope, suppression, yaml};
use daam_diagnostic::{Applicability, Diagnostic, Location, Sink, SourceId, SourceMap, Span, suggest};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The name of the project file.
pub const PROJECT_FILE: &str = "daam.yaml";

/// Where groups are; no project writes it down.
pub(crate) const GROUPS: &str = "groups/*.yaml";

/// Kinds of documents beside the project itself.
const KINDS: [&str; 6] = ["policy", "request-ceiling", "scope", "group", "directory", "test"];

/// All documents of a project, in the order of their paths.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    pub(crate) project: Arc<WrittenProject>,
    /// Policies that are new since the last time, and those that are no longer there.
    pub(crate) came: Vec<Arc<WrittenPolicy>>,
    pub(crate) went: Vec<Arc<WrittenPolicy>>,
    /// Files that were read now, and the paths of those that are no longer there.
    pub(crate) read: Vec<SourceId>,
    pub(crate) gone: Vec<String>,
    /// Request ceilings, each as the policy of a request for all of it.
    pub(crate) ceilings: Vec<Arc<WrittenPolicy>>,
    pub(crate) scopes: Vec<Arc<WrittenScope>>,
    pub(crate) groups: Vec<Arc<WrittenGroup>>,
    pub(crate) directories: Vec<Arc<WrittenDirectory>>,
    pub(crate) tests: Vec<Arc<WrittenTest>>,
}

/// The documents of one file and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Read {
    projects: Vec<Arc<WrittenProject>>,
    pub(crate) policies: Vec<Arc<WrittenPolicy>>,
    pub(crate) ceilings: Vec<Arc<WrittenPolicy>>,
    scopes: Vec<Arc<WrittenScope>>,
    groups: Vec<Arc<WrittenGroup>>,
    directories: Vec<Arc<WrittenDirectory>>,
    tests: Vec<Arc<WrittenTest>>,
    pub(crate) suppressions: Vec<Arc<WrittenSuppression>>,
    pub(crate) findings: Found,
}

/// What a file is to the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// `daam.yaml`.
    Project,
    /// Something `daam.yaml` names.
    Member,
    /// YAML that nothing names.
    Unnamed,
}

/// A file as it was when it was read last.
#[derive(Debug)]
pub(crate) struct Known {
    role: Role,
    text: Result<Arc<str>, String>,
    pub(crate) id: Option<SourceId>,
    pub(crate) read: Read,
}

/// Files that were read, and the texts findings point into.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) sources: SourceMap,
    known: BTreeMap<String, Known>,
    /// The project whose files these are.
    project: Arc<WrittenProject>,
    came: Vec<Arc<WrittenPolicy>>,
    went: Vec<Arc<WrittenPolicy>>,
    fresh: Vec<SourceId>,
    gone: Vec<String>,
    /// How many policies there are.
    pub(crate) held: usize,
    /// How many files were read, those that were read again included.
    pub(crate) read: usize,
}

impl Known {
    /// Whether it is `daam.yaml`.
    pub(crate) fn is_project(&self) -> bool {
        self.role == Role::Project
    }
}

impl Files {
    /// What `daam.yaml` says; an empty project where it says nothing that can be read.
    pub(crate) fn project(&mut self, source: &dyn FileSource) -> Arc<WrittenProject> {
        self.update(source, &[(PROJECT_FILE, Role::Project)]);
        let project = self.known.get(PROJECT_FILE).and_then(|known| known.read.projects.first());
        project.map(Arc::clone).unwrap_or_default()
    }

    /// The documents of the project as it is now.
    pub(crate) fn load(&mut self, source: &dyn FileSource) -> Documents {
        let project = self.project(source);
        let membership = Membership::of(&project);
        let same = Arc::ptr_eq(&project, &self.project);
        match source.kept() {
            Some(kept) if same => self.refresh(kept, &membership),
            _ => self.reload(source, &membership),
        }
        self.project = Arc::clone(&project);
        let mut documents = Documents {
            project,
            came: std::mem::take(&mut self.came),
            went: std::mem::take(&mut self.went),
            read: std::mem::take(&mut self.fresh),
            gone: std::mem::take(&mut self.gone),
            ..Documents::default()
        };
        for known in self.known.values() {
            documents.ceilings.extend(known.read.ceilings.iter().cloned());
            documents.scopes.extend(known.read.scopes.iter().cloned());
            documents.groups.extend(known.read.groups.iter().cloned());
            documents.directories.extend(known.read.directories.iter().cloned());
            documents.tests.extend(known.read.tests.iter().cloned());
        }
        documents
    }

    /// The file of a path.
    pub(crate) fn get(&self, path: &str) -> Option<&Known> {
        self.known.get(path)
    }

    /// Where `daam.yaml` is.
    pub(crate) fn project_file(&self) -> Option<SourceId> {
        self.known.get(PROJECT_FILE)?.id
    }

    /// The files in the order of their paths.
    pub(crate) fn known(&self) -> impl Iterator<Item = &Known> {
        self.known.values()
    }

    /// All policies in the order of their paths.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &Arc<WrittenPolicy>> {
        self.known().flat_map(|known| &known.read.policies)
    }

    /// Looks at every file.
    fn reload(&mut self, source: &dyn FileSource, membership: &Membership) {
        let paths: BTreeSet<String> = source.paths().into_iter().collect();
        let rest = paths.iter().map(String::as_str).filter(|path| *path != PROJECT_FILE);
        let named: Vec<(&str, Role)> = rest.filter_map(|path| Some((path, membership.role(path)?))).collect();
        let now: BTreeSet<&str> = named.iter().map(|(path, _)| *path).collect();
        let gone = self.known.keys().filter(|path| *path != PROJECT_FILE && !now.contains(path.as_str()));
        let gone: Vec<String> = gone.cloned().collect();
        self.forget(&gone);
        self.update(source, &named);
    }

    /// Looks at the files whose text is another one, where the project is the one it was.
    fn refresh(&mut self, kept: &BTreeMap<String, Arc<str>>, membership: &Membership) {
        let mut known = self.known.iter().peekable();
        let mut gone = Vec::new();
        let mut named = Vec::new();
        for (path, text) in kept.iter().filter(|(path, _)| *path != PROJECT_FILE) {
            while let Some((old, _)) = known.next_if(|(old, _)| *old < path) {
                gone.push(old.clone());
            }
            match known.next_if(|(old, _)| *old == path) {
                Some((_, old)) if old.text.as_ref().is_ok_and(|old| Arc::ptr_eq(old, text)) => {}
                Some((_, old)) => named.push((path.as_str(), old.role)),
                None => named.extend(membership.role(path).map(|role| (path.as_str(), role))),
            }
        }
        gone.extend(known.map(|(path, _)| path.clone()));
        gone.retain(|path| path != PROJECT_FILE);
        self.forget(&gone);
        let texts = named.iter().filter_map(|(path, _)| kept.get(*path)).map(|text| Ok(Arc::clone(text)));
        let texts = texts.collect();
        self.take(&named, texts);
    }

    /// Files that are no longer there.
    fn forget(&mut self, gone: &[String]) {
        for (path, known) in gone.iter().filter_map(|path| self.known.remove_entry(path)) {
            self.held -= known.read.policies.len();
            self.went.extend(known.read.policies);
            self.gone.push(path);
            if let Some(id) = known.id {
                self.sources.remove(id);
            }
        }
    }

    /// Reads those of the files again that are not what they were.
    fn update(&mut self, source: &dyn FileSource, files: &[(&str, Role)]) {
        let paths: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
        let texts = source.read_all(&paths);
        self.take(files, texts.into_iter().map(|text| text.map_err(|error| error.to_string())).collect());
    }

    fn take(&mut self, files: &[(&str, Role)], texts: Vec<Result<Arc<str>, String>>) {
        let mut changed: Vec<Changed<'_>> = Vec::new();
        for ((path, role), text) in files.iter().zip(texts) {
            let known = self.known.get(*path);
            if known.is_some_and(|known| known.role == *role && same(&known.text, &text)) {
                continue;
            }
            let id = self.place(path, *role, known.and_then(|known| known.id), &text);
            changed.push((path, *role, id, text));
        }
        let read = parallel::map(&changed, parallel::threads(), |(path, role, id, text)| match (id, text) {
            (None, _) => Read::default(),
            (Some(id), Ok(text)) => read(path, *role, *id, text),
            (Some(id), Err(error)) => Read {
                findings: vec![rule::INVALID_YAML.at(Location::new(*id, Span::at(0)), error.clone())].into(),
                ..Read::default()
            },
        });
        for ((path, role, id, text), read) in changed.into_iter().zip(read) {
            self.read += 1;
            self.held += read.policies.len();
            self.came.extend(read.policies.iter().cloned());
            self.fresh.extend(id);
            if id.is_none() {
                self.gone.push(path.to_owned());
            }
            if let Some(old) = self.known.insert(path.to_owned(), Known { role, text, id, read }) {
                self.held -= old.read.policies.len();
                self.went.extend(old.read.policies);
            }
        }
    }

    /// Where findings of the file point to; nothing if it has none by its nature.
    fn place(
        &mut self,
        path: &str,
        role: Role,
        id: Option<SourceId>,
        text: &Result<Arc<str>, String>,
    ) -> Option<SourceId> {
        let shown = text.as_ref().map_or_else(|_| Arc::from(""), Arc::clone);
        if role == Role::Unnamed && declared(&shown).is_none() {
            if let Some(id) = id {
                self.sources.remove(id);
            }
            return None;
        }
        match id {
            Some(id) => {
                self.sources.replace(id, shown);
                Some(id)
            }
            None => Some(self.sources.add(path, shown)),
        }
    }
}

/// A file that is not what it was: its path and role, where its findings point to, and its text.
type Changed<'a> = (&'a str, Role, Option<SourceId>, Result<Arc<str>, String>);

/// Whether two texts are equal, without looking at them if they are one.
fn same(a: &Result<Arc<str>, String>, b: &Result<Arc<str>, String>) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => Arc::ptr_eq(a, b) || a == b,
        (Err(a), Err(b)) => a == b,
        _ => false,
    }
}

/// Which files belong to a project: `daam.yaml`, what it names, and `groups/*.yaml`.
struct Membership {
    scopes: Vec<String>,
    globs: Vec<Glob>,
}

impl Membership {
    fn of(project: &WrittenProject) -> Self {
        let databases = || project.databases.values();
        let scopes = databases().filter_map(|database| database.scope.as_ref());
        let globs = databases().flat_map(|database| database.policies.iter().chain(&database.tests));
        let groups = std::iter::once(Glob::new(GROUPS));
        Self {
            scopes: scopes.map(|scope| scope.value.trim_start_matches("./").to_owned()).collect(),
            globs: globs.map(|glob| Glob::new(&glob.value)).chain(groups).collect(),
        }
    }

    fn role(&self, path: &str) -> Option<Role> {
        let segments: Vec<&str> = path.split('/').collect();
        let named = self.scopes.iter().any(|scope| scope == path)
            || self.globs.iter().any(|glob| glob.matches(&segments));
        if named {
            return Some(Role::Member);
        }
        is_yaml(path).then_some(Role::Unnamed)
    }
}

/// One file, whatever is in it.
fn read(path: &str, role: Role, id: SourceId, text: &str) -> Read {
    let mut sink = Sink::new();
    let mut read = Read::default();
    match role {
        Role::Unnamed => sink.extend(not_used(path, id, text)),
        Role::Project => {
            for node in read.documents(id, text, &mut sink) {
                read.take_project(id, &node, &mut sink);
            }
        }
        Role::Member => {
            for node in read.documents(id, text, &mut sink) {
                read.take(id, &node, &mut sink);
            }
        }
    }
    read.findings = sink.into();
    read
}

/// Where a text says that it is one of our documents.
fn declared(text: &str) -> Option<Span> {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if declares(line) {
            return Some(Span::new(offset, offset + line.trim_end().len()));
        }
        offset += line.len();
    }
    None
}

/// Whether a line says `kind:` and one of ours, quoted or not, in braces or not.
fn declares(line: &str) -> bool {
    let quotes = ['"', '\''];
    let line = line.trim_start_matches('\u{FEFF}').trim_start_matches("---");
    let begin = |c: char| c.is_whitespace() || c == '{' || quotes.contains(&c);
    let indented = line.starts_with(char::is_whitespace) && !line.trim_start().starts_with('{');
    let Some(rest) = line.trim_start_matches(begin).strip_prefix("kind").filter(|_| !indented) else {
        return false;
    };
    let Some(rest) = rest.trim_start_matches(quotes).trim_start().strip_prefix(':') else { return false };
    let word = rest.trim_start().trim_start_matches(quotes);
    let end = word.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(word.len());
    word.get(..end).is_some_and(|word| KINDS.contains(&word))
}

/// A document that nothing reads would otherwise look like one that is in force.
fn not_used(path: &str, id: SourceId, text: &str) -> Option<Diagnostic> {
    let at = Location::new(id, declared(text)?);
    let message = format!("`{path}` has no effect: nothing in `{PROJECT_FILE}` names it");
    Some(rule::FILE_NOT_USED.at(at, message).help("rename the file, or add a glob that covers it"))
}

impl Read {
    /// The documents of a text that have a content; its comments are taken note of.
    fn documents(&mut self, id: SourceId, text: &str, sink: &mut Sink) -> Vec<Node> {
        let parsed = yaml::parse(id, text, sink);
        self.suppressions
            .extend(suppression::read(id, text, &parsed.comments, sink).into_iter().map(Arc::new));
        parsed.documents.into_iter().filter(|node| !matches!(node.value, Value::Null)).collect()
    }

    fn take_project(&mut self, id: SourceId, node: &Node, sink: &mut Sink) {
        let mut decoder = Decoder { source: id, sink };
        match kind(&mut decoder, node, &["project"]) {
            Some("project") if self.projects.is_empty() => {
                self.projects.push(Arc::new(project::read(&mut decoder, node)));
            }
            Some(_) => {
                let at = decoder.at(node.span);
                decoder
                    .sink
                    .push(rule::CONFLICTING_KEYS.at(at, "a project has one `kind: project` document"));
            }
            None => {}
        }
    }

    fn take(&mut self, id: SourceId, node: &Node, sink: &mut Sink) {
        let mut decoder = Decoder { source: id, sink };
        match kind(&mut decoder, node, &KINDS) {
            Some("policy") => self.policies.extend(policy::read(&mut decoder, node).map(Arc::new)),
            Some("request-ceiling") => {
                self.ceilings.extend(ceiling::read(&mut decoder, node).map(Arc::new));
            }
            Some("scope") => self.scopes.extend(scope::read(&mut decoder, node).map(Arc::new)),
            Some("group") => self.groups.extend(group::read(&mut decoder, node).map(Arc::new)),
            Some("directory") => {
                self.directories.extend(directory::read(&mut decoder, node).map(Arc::new));
            }
            Some("test") => self.tests.extend(scenario::read(&mut decoder, node).map(Arc::new)),
            _ => {}
        }
    }
}

/// The kind of a document, if it is one of those expected here.
fn kind<'k>(decoder: &mut Decoder<'_>, node: &Node, expected: &[&'k str]) -> Option<&'k str> {
    let entries = decoder.raw_entries(node, "a document")?;
    let Some(written) = node.peek("kind") else {
        let span = entries.first().map_or(node.span, |entry| entry.key_span);
        let at = decoder.at(span);
        decoder.sink.push(
            rule::MISSING_KEY
                .at(at, "a document needs the key `kind`")
                .help(format!("here: {}", crate::syntax::decode::list(expected))),
        );
        return None;
    };
    let text = decoder.text(written, "the kind")?;
    let found = expected.iter().find(|kind| **kind == text.value).copied();
    if found.is_none() {
        let mut diagnostic = rule::UNSUPPORTED_VERSION
            .at(text.at, format!("`{}` is not a kind of document that belongs here", text.value))
            .help(format!("here: {}", crate::syntax::decode::list(expected)));
        if let Some(near) = suggest::nearest(&text.value, expected.iter().copied()) {
            diagnostic =
                diagnostic.help(format!("did you mean `{near}`?")).replace(Applicability::Unsafe, near);
        }
        decoder.sink.push(diagnostic);
    }
    found
}
