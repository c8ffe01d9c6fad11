//! The texts diagnostics point into.
//!
//! Offsets are bytes; people and editors get lines and columns, both counted from one, columns in Unicode code
//! points. An offset outside its text or inside a character is moved to the nearest boundary before it: a wrong
//! position must never make reporting fail.

use std::sync::Arc;

/// Names a source of a [`SourceMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(usize);

/// A place as people count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// From one.
    pub line: usize,
    /// From one, in Unicode code points.
    pub column: usize,
}

#[derive(Debug)]
struct Source {
    path: String,
    text: Arc<str>,
    line_starts: Vec<usize>,
}

impl Source {
    fn new(path: String, text: Arc<str>) -> Arc<Self> {
        let line_starts =
            std::iter::once(0).chain(text.match_indices('\n').map(|(offset, _)| offset + 1)).collect();
        Arc::new(Self { path, text, line_starts })
    }
}

/// All sources of one run.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    /// Taken out ones leave their place empty, so that ids stay what they are.
    sources: Vec<Option<Arc<Source>>>,
}

impl SourceMap {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a text in, under the path it is reported with.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<Arc<str>>) -> SourceId {
        self.sources.push(Some(Source::new(path.into(), text.into())));
        SourceId(self.sources.len() - 1)
    }

    /// Gives a source another text.
    pub fn replace(&mut self, id: SourceId, text: impl Into<Arc<str>>) {
        if let Some(Some(source)) = self.sources.get_mut(id.0) {
            *source = Source::new(source.path.clone(), text.into());
        }
    }

    /// Takes a source out; its id is never given to another one.
    pub fn remove(&mut self, id: SourceId) {
        if let Some(source) = self.sources.get_mut(id.0) {
            *source = None;
        }
    }

    fn get(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(id.0).and_then(Option::as_deref)
    }

    /// The path of a source; empty for an id of another map.
    pub fn path(&self, id: SourceId) -> &str {
        self.get(id).map_or("", |source| source.path.as_str())
    }

    /// The text of a source; empty for an id of another map.
    pub fn text(&self, id: SourceId) -> &str {
        self.get(id).map_or("", |source| &source.text)
    }

    /// The source of that path.
    pub fn find(&self, path: &str) -> Option<SourceId> {
        let is = |source: &Option<Arc<Source>>| source.as_ref().is_some_and(|source| source.path == path);
        self.sources.iter().position(is).map(SourceId)
    }

    /// The text of a source, shared; nothing for an id of another map.
    pub fn shared(&self, id: SourceId) -> Option<Arc<str>> {
        self.get(id).map(|source| Arc::clone(&source.text))
    }

    /// Line and column of a byte offset.
    pub fn position(&self, id: SourceId, offset: usize) -> Position {
        let Some(source) = self.get(id) else { return Position { line: 1, column: 1 } };
        let offset = floor(&source.text, offset);
        let line = source.line_starts.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|index| source.line_starts.get(index)).copied().unwrap_or(0);
        let column = source.text.get(start..offset).map_or(0, |text| text.chars().count());
        Position { line: line.max(1), column: column + 1 }
    }

    /// The text of a range; empty where the range does not exist.
    pub fn slice(&self, location: crate::span::Location) -> &str {
        self.text(location.source).get(location.span.start..location.span.end).unwrap_or("")
    }

    /// How many sources there are.
    pub fn len(&self) -> usize {
        self.sources.iter().flatten().count()
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_code_points_from_one() {
        let mut map = SourceMap::new();
        let id = map.add("a.yaml", "é: 1\nname: x\n");
        assert_eq!(map.position(id, 0), Position { line: 1, column: 1 });
        assert_eq!(map.position(id, 2), Position { line: 1, column: 2 });
        assert_eq!(map.position(id, 6), Position { line: 2, column: 1 });
        assert_eq!(map.position(id, 12), Position { line: 2, column: 7 });
    }

    #[test]
    fn an_offset_outside_or_inside_a_character_is_still_a_position() {
        let mut map = SourceMap::new();
        let id = map.add("a.yaml", "é");
        assert_eq!(map.position(id, 1), Position { line: 1, column: 1 });
        assert_eq!(map.position(id, 99), Position { line: 1, column: 2 });
    }
}
