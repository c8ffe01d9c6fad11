//! Byte offsets and the lines and characters editors count in.
//!
//! Editors count UTF-16 units unless both sides agree on bytes. A place outside the text is its nearest end: an
//! editor may be one keystroke ahead.

use tower_lsp_server::ls_types::{Position, Range};

/// What an editor counts as one character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Unit {
    /// UTF-16 code units, the protocol's default.
    #[default]
    Utf16,
    /// Bytes of UTF-8.
    Byte,
}

impl Unit {
    fn width(self, c: char) -> usize {
        match self {
            Self::Utf16 => c.len_utf16(),
            Self::Byte => c.len_utf8(),
        }
    }

    /// The byte offset of a place.
    pub(super) fn offset(self, text: &str, at: Position) -> usize {
        let mut start = 0;
        for _ in 0..at.line {
            let rest = text.get(start..).unwrap_or("");
            match rest.find('\n') {
                Some(end) => start += end + 1,
                None => return text.len(),
            }
        }
        let line = text.get(start..).unwrap_or("").split('\n').next().unwrap_or("");
        let (mut units, mut bytes) = (0, 0);
        let wanted = usize::try_from(at.character).unwrap_or(usize::MAX);
        for c in line.chars() {
            if units >= wanted {
                break;
            }
            units += self.width(c);
            bytes += c.len_utf8();
        }
        start + bytes
    }

    /// The place of a byte offset.
    pub(super) fn position(self, text: &str, offset: usize) -> Position {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let head = text.get(..offset).unwrap_or("");
        let line = head.matches('\n').count();
        let start = head.rfind('\n').map_or(0, |at| at + 1);
        let character: usize = head.get(start..).unwrap_or("").chars().map(|c| self.width(c)).sum();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Position { line: number(line), character: number(character) }
    }

    /// The places of a range of bytes.
    pub(super) fn range(self, text: &str, span: daam_diagnostic::Span) -> Range {
        Range { start: self.position(text, span.start), end: self.position(text, span.end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_character_beyond_the_first_plane_counts_two_units_or_four_bytes() {
        let text = "a\n😀b: 1\n";
        let after = text.find('b').unwrap();
        assert_eq!(Unit::Utf16.position(text, after), Position { line: 1, character: 2 });
        assert_eq!(Unit::Byte.position(text, after), Position { line: 1, character: 4 });
        assert_eq!(Unit::Utf16.offset(text, Position { line: 1, character: 2 }), after);
    }

    #[test]
    fn a_place_outside_the_text_is_its_nearest_end() {
        assert_eq!(Unit::Utf16.offset("ab\nc", Position { line: 0, character: 99 }), 2);
        assert_eq!(Unit::Utf16.offset("ab\nc", Position { line: 9, character: 0 }), 4);
    }

    proptest! {
        #[test]
        fn every_boundary_is_a_place_and_back(text in "[a-zé😀\n]{0,40}") {
            for (offset, _) in text.char_indices() {
                for unit in [Unit::Utf16, Unit::Byte] {
                    prop_assert_eq!(unit.offset(&text, unit.position(&text, offset)), offset);
                }
            }
        }
    }
}
