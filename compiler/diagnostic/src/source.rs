//! The texts diagnostics point into.
//!
//! Offsets are bytes; people and editors get lines and columns, both counted from one, columns in Unicode code
//! points. An offset outside its text or inside a character is moved to the nearest boundary before it: a wrong
//! position must never make reporting fail.

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

#[derive(Debug, Clone)]
struct Source {
    path: String,
    text: String,
    line_starts: Vec<usize>,
}

/// All sources of one run.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

impl SourceMap {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a text in, under the path it is reported with.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) -> SourceId {
        let text = text.into();
        let line_starts =
            std::iter::once(0).chain(text.match_indices('\n').map(|(offset, _)| offset + 1)).collect();
        self.sources.push(Source { path: path.into(), text, line_starts });
        SourceId(self.sources.len() - 1)
    }

    /// The path of a source; empty for an id of another map.
    pub fn path(&self, id: SourceId) -> &str {
        self.sources.get(id.0).map_or("", |source| source.path.as_str())
    }

    /// The text of a source; empty for an id of another map.
    pub fn text(&self, id: SourceId) -> &str {
        self.sources.get(id.0).map_or("", |source| source.text.as_str())
    }

    /// Line and column of a byte offset.
    pub fn position(&self, id: SourceId, offset: usize) -> Position {
        let Some(source) = self.sources.get(id.0) else { return Position { line: 1, column: 1 } };
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
        self.sources.len()
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
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
