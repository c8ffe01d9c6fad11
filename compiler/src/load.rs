//! Files → documents. `daam.yaml` first, since it says which files belong to the project.

use crate::compile::belongs;
use crate::file_source::FileSource;
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
use daam_diagnostic::{Applicability, Location, Sink, SourceId, SourceMap, Span, suggest};
use std::collections::{BTreeMap, BTreeSet};

/// The name of the project file.
pub const PROJECT_FILE: &str = "daam.yaml";

/// Kinds of documents beside the project itself.
const KINDS: [&str; 6] = ["policy", "request-ceiling", "scope", "group", "directory", "test"];

/// All documents of a project, in the order of their paths.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    pub(crate) project: WrittenProject,
    pub(crate) policies: Vec<WrittenPolicy>,
    /// Request ceilings, each as the policy of a request for all of it.
    pub(crate) ceilings: Vec<WrittenPolicy>,
    pub(crate) scopes: Vec<WrittenScope>,
    pub(crate) groups: Vec<WrittenGroup>,
    pub(crate) directories: Vec<WrittenDirectory>,
    pub(crate) tests: Vec<WrittenTest>,
    pub(crate) suppressions: Vec<WrittenSuppression>,
    paths: BTreeMap<SourceId, String>,
}

impl Documents {
    /// The file a place is in.
    pub(crate) fn path_of(&self, at: Location) -> &str {
        self.paths.get(&at.source).map_or("", String::as_str)
    }
}

pub(crate) fn load(source: &dyn FileSource, sources: &mut SourceMap, sink: &mut Sink) -> Documents {
    let mut documents = Documents::default();
    let paths: BTreeSet<String> = source.paths().into_iter().collect();
    let mut seen_project = false;
    for (id, node) in documents_of(PROJECT_FILE, source, sources, &mut documents.suppressions, sink) {
        let mut decoder = Decoder { source: id, sink: &mut *sink };
        match kind(&mut decoder, &node, &["project"]) {
            Some("project") if !seen_project => {
                documents.project = project::read(&mut decoder, &node);
                seen_project = true;
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
    let files = paths.iter().filter(|path| *path != PROJECT_FILE && belongs(&documents.project, path));
    let files: Vec<&String> = files.collect();
    for path in files {
        for (id, node) in documents_of(path, source, sources, &mut documents.suppressions, sink) {
            documents.paths.insert(id, path.clone());
            documents.take(id, &node, sink);
        }
    }
    let rest = paths.iter().filter(|path| *path != PROJECT_FILE && !belongs(&documents.project, path));
    for path in rest {
        not_used(path, source, sources, sink);
    }
    documents
}

/// A document that nothing reads would otherwise look like one that is in force.
fn not_used(path: &str, source: &dyn FileSource, sources: &mut SourceMap, sink: &mut Sink) {
    if ![".yaml", ".yml"].iter().any(|extension| path.ends_with(extension)) {
        return;
    }
    let Ok(text) = source.read(path) else { return };
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let kind = line.strip_prefix("kind:").map(str::trim);
        if kind.is_some_and(|kind| KINDS.contains(&kind)) {
            let id = sources.add(path, text.clone());
            let at = Location::new(id, Span::new(offset, offset + line.trim_end().len()));
            let message = format!("`{path}` has no effect: nothing in `{PROJECT_FILE}` names it");
            sink.push(
                rule::FILE_NOT_USED.at(at, message).help("rename the file, or add a glob that covers it"),
            );
            return;
        }
        offset += line.len();
    }
}

impl Documents {
    fn take(&mut self, id: SourceId, node: &Node, sink: &mut Sink) {
        let mut decoder = Decoder { source: id, sink };
        match kind(&mut decoder, node, &KINDS) {
            Some("policy") => self.policies.extend(policy::read(&mut decoder, node)),
            Some("request-ceiling") => self.ceilings.extend(ceiling::read(&mut decoder, node)),
            Some("scope") => self.scopes.extend(scope::read(&mut decoder, node)),
            Some("group") => self.groups.extend(group::read(&mut decoder, node)),
            Some("directory") => self.directories.extend(directory::read(&mut decoder, node)),
            Some("test") => self.tests.extend(scenario::read(&mut decoder, node)),
            _ => {}
        }
    }
}

fn documents_of(
    path: &str,
    source: &dyn FileSource,
    sources: &mut SourceMap,
    suppressions: &mut Vec<WrittenSuppression>,
    sink: &mut Sink,
) -> Vec<(SourceId, Node)> {
    let text = match source.read(path) {
        Ok(text) => text,
        Err(error) => {
            let id = sources.add(path, "");
            sink.push(rule::INVALID_YAML.at(Location::new(id, Span::at(0)), error.to_string()));
            return Vec::new();
        }
    };
    let id = sources.add(path, text.clone());
    let parsed = yaml::parse(id, &text, sink);
    suppressions.extend(suppression::read(id, &text, &parsed.comments, sink));
    let documents = parsed.documents.into_iter();
    documents.filter(|node| !matches!(node.value, Value::Null)).map(|node| (id, node)).collect()
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
