//! Byte edits of a statement and the way back for error positions.

/// One replacement: bytes `start..end` of the original become `text`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edit {
    /// First byte replaced.
    pub start: usize,
    /// One past the last byte replaced.
    pub end: usize,
    /// What stands there instead.
    pub text: String,
}

/// The replacements made in one text, in order, not overlapping.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EditMap {
    edits: Vec<Edit>,
}

impl EditMap {
    /// Sorts and de-duplicates; `None` if two different edits overlap.
    pub fn new(mut edits: Vec<Edit>) -> Option<Self> {
        edits.sort();
        edits.dedup();
        let apart = |pair: &[Edit]| match pair {
            [left, right] => left.end <= right.start && (left.start, left.end) != (right.start, right.end),
            _ => true,
        };
        edits.windows(2).all(apart).then_some(Self { edits })
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// The text with the edits made; `None` if one does not fall on character boundaries.
    pub fn apply(&self, original: &str) -> Option<String> {
        let mut result = String::with_capacity(original.len() + 64);
        let mut done = 0;
        for edit in &self.edits {
            result.push_str(original.get(done..edit.start)?);
            result.push_str(&edit.text);
            done = edit.end;
        }
        result.push_str(original.get(done..)?);
        Some(result)
    }

    /// Where a position the server reports (1-based, in characters of the rewritten text) is in the original
    /// (the same kind of position). Inside a replacement it is where the replacement begins.
    pub fn original_position(&self, chars: usize, rewritten: &str, original: &str) -> usize {
        let target =
            rewritten.char_indices().nth(chars.saturating_sub(1)).map_or(rewritten.len(), |(byte, _)| byte);
        let mut original_at = 0;
        let mut rewritten_at = 0;
        for edit in &self.edits {
            let begin = rewritten_at + (edit.start - original_at);
            if target < begin {
                break;
            }
            if target < begin + edit.text.len() {
                return chars_before(original, edit.start) + 1;
            }
            original_at = edit.end;
            rewritten_at = begin + edit.text.len();
        }
        chars_before(original, original_at + (target - rewritten_at)) + 1
    }
}

fn chars_before(text: &str, byte: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < byte).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(start: usize, end: usize, text: &str) -> Edit {
        Edit { start, end, text: text.to_owned() }
    }

    #[test]
    fn positions_go_back_through_edits_and_multibyte_text() {
        let original = "SELECT 'é', nope FROM users WHERE x";
        let at = original.find("users").unwrap();
        let map = EditMap::new(vec![edit(at, at + 5, "pg_temp.\"public.users\" AS \"users\"")]).unwrap();
        let rewritten = map.apply(original).unwrap();
        let chars = |text: &str, word: &str| text.split(word).next().unwrap().chars().count() + 1;
        for word in ["nope", "FROM", "WHERE"] {
            let position = map.original_position(chars(&rewritten, word), &rewritten, original);
            assert_eq!(position, chars(original, word), "{word}");
        }
        let inside = map.original_position(chars(&rewritten, "public"), &rewritten, original);
        assert_eq!(inside, chars(original, "users"));
    }

    #[test]
    fn equal_edits_merge_and_overlapping_ones_are_refused() {
        assert!(EditMap::new(vec![edit(1, 2, "a"), edit(1, 2, "a")]).is_some());
        assert!(EditMap::new(vec![edit(1, 3, "a"), edit(2, 4, "b")]).is_none());
        assert!(EditMap::new(vec![edit(1, 3, "a"), edit(1, 3, "b")]).is_none());
    }
}
