//! Where a name was declared: a table in the schema lock, a group in its file, a database in `daam.yaml`.

use super::Known;
use super::complete::{covered, policies};
use super::meaning::{self, Meaning};
use super::place::{Place, Step};
use crate::file_source::{FileSource, is_yaml};
use crate::load::PROJECT_FILE;
use daam_catalog::RelationName;
use daam_catalog::pattern::{ColumnPattern, RelationPattern};
use daam_diagnostic::Span;

/// The most places of one answer: a pattern may cover a whole schema.
const MOST: usize = 50;

/// A place in a file of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The file.
    pub path: String,
    /// The place in it.
    pub span: Span,
}

pub(super) fn define(place: &Place, known: Known<'_>, source: &dyn FileSource) -> Vec<Target> {
    match meaning::of(place) {
        Meaning::Relations => {
            let pattern = RelationPattern::parse(&place.text);
            pattern.map_or_else(|_| Vec::new(), |pattern| relations(&pattern, None, known, source))
        }
        Meaning::Columns => ColumnPattern::parse(&place.text).map_or_else(
            |_| Vec::new(),
            |pattern| relations(pattern.relation(), pattern.literal_column(), known, source),
        ),
        Meaning::ColumnsHere => {
            let Some(catalog) = known.catalog else { return Vec::new() };
            let here = covered(place, catalog);
            here.iter()
                .filter_map(|relation| in_lock(&relation.name, Some(&place.text), source))
                .take(MOST)
                .collect()
        }
        Meaning::Group => named("group", &place.text, source),
        Meaning::Policy => policy(&place.text, known, source),
        Meaning::Database => key(PROJECT_FILE, &place.text, source).into_iter().collect(),
        _ => file(place, source).into_iter().collect(),
    }
}

fn relations(
    pattern: &RelationPattern,
    column: Option<&str>,
    known: Known<'_>,
    source: &dyn FileSource,
) -> Vec<Target> {
    let Some(catalog) = known.catalog else { return Vec::new() };
    let matching = catalog.relations.keys().filter(|name| pattern.matches(name));
    matching.filter_map(|name| in_lock(name, column, source)).take(MOST).collect()
}

/// The line of the schema lock that names a relation, or one of its columns. Each file of the lock holds one
/// schema, its relations in a list, each with its own `name` before its columns.
fn in_lock(name: &RelationName, column: Option<&str>, source: &dyn FileSource) -> Option<Target> {
    let ending = format!("/{}.json", name.schema);
    let path = source.paths().into_iter().find(|path| path.ends_with(&ending))?;
    let text = source.read(&path).ok()?;
    let quoted = |name: &str| format!("\"name\": {}", serde_json::Value::from(name));
    // The schema of a relation stands right before its name; a column has none.
    let schema = format!("\"schema\": {},", serde_json::Value::from(name.schema.as_str()));
    let mut from = 0;
    let start = loop {
        let found = from + text.get(from..)?.find(&schema)?;
        let rest = text.get(found + schema.len()..)?;
        if rest.trim_start().starts_with(&quoted(name.name.as_str())) {
            break found + schema.len() + (rest.len() - rest.trim_start().len());
        }
        from = found + schema.len();
    };
    let word = column.map_or_else(|| quoted(name.name.as_str()), quoted);
    let at = start + text.get(start..)?.find(&word)?;
    Some(Target { path, span: Span::new(at, at + word.len()) })
}

/// The document of that kind and name.
fn named(kind: &str, name: &str, source: &dyn FileSource) -> Vec<Target> {
    let declared = |path: String| {
        let text = source.read(&path).ok()?;
        if !text.contains(&format!("kind: {kind}")) {
            return None;
        }
        let (start, line) =
            lines(&text).find(|(_, line)| line.strip_prefix("name:").map(unquoted) == Some(name))?;
        Some(Target { path, span: Span::new(start, start + line.len()) })
    };
    source.paths().into_iter().filter(|path| is_yaml(path)).filter_map(declared).collect()
}

fn policy(name: &str, known: Known<'_>, source: &dyn FileSource) -> Vec<Target> {
    let Some(policy) = policies(known).iter().find(|policy| policy.name == name) else { return Vec::new() };
    let Ok(text) = source.read(&policy.origin.file) else { return Vec::new() };
    let line = usize::try_from(policy.origin.line).unwrap_or(1).saturating_sub(1);
    let found = lines(&text).nth(line);
    let path = policy.origin.file.clone();
    found
        .map(|(start, line)| Target { path, span: Span::new(start, start + line.len()) })
        .into_iter()
        .collect()
}

fn key(path: &str, key: &str, source: &dyn FileSource) -> Option<Target> {
    let text = source.read(path).ok()?;
    let (start, line) = lines(&text)
        .find(|(_, line)| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))?;
    let indent = line.len() - line.trim_start().len();
    Some(Target { path: path.to_owned(), span: Span::new(start + indent, start + indent + key.len()) })
}

/// `scope: scope/shop.yaml` and `lock: schema/shop` in the project file lead to what they name.
fn file(place: &Place, source: &dyn FileSource) -> Option<Target> {
    let is_path = matches!(place.steps.last(), Some(Step::Key(key)) if key == "scope" || key == "lock");
    if place.kind != "project" || place.is_key || !is_path {
        return None;
    }
    let written = place.text.trim_start_matches("./").trim_end_matches('/');
    let lock = format!("{written}/{}", daam_catalog::lock::LOCK_FILE);
    let path = source.paths().into_iter().find(|path| *path == written || *path == lock)?;
    Some(Target { path, span: Span::at(0) })
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut offset = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = offset;
        offset += line.len();
        (start, line.trim_end())
    })
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['"', '\''])
}
