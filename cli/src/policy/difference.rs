//! Two texts as a patch that `patch` and `git apply` read.

use similar::TextDiff;

/// The lines that differ, with three lines around them.
pub fn difference(path: &str, before: &str, after: &str) -> String {
    let path = path.trim_start_matches("./");
    let (old, new) = (format!("a/{path}"), format!("b/{path}"));
    TextDiff::from_lines(before, after).unified_diff().header(&old, &new).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_far_apart_are_pieces_of_their_own() {
        let before = (0..30).map(|line| line.to_string()).collect::<Vec<_>>().join("\n");
        let after = before.replace("\n3\n", "\nthree\n").replace("\n27\n", "\n27a\n");
        let text = difference("./p/a.yaml", &before, &after);
        assert!(text.starts_with("--- a/p/a.yaml\n+++ b/p/a.yaml\n@@ -1,7 +1,7 @@\n"), "{text}");
        assert_eq!(text.matches("@@ -").count(), 2, "{text}");
        assert!(text.contains("-3\n+three\n") && text.contains("-27\n+27a\n"), "{text}");
    }
}
