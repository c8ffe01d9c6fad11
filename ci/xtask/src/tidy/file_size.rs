//! Files stay short enough to be read whole.

use super::Finding;
use crate::tree::SourceFile;

/// Source lines a file may have, its inline tests apart.
const HARD_LIMIT: usize = 500;

pub(super) fn check(file: &SourceFile) -> Option<Finding> {
    let lines = file.source_lines();
    let generated = file.text.contains("// @generated");
    (lines > HARD_LIMIT && !generated).then(|| {
        Finding::new(
            "file-size",
            &file.path,
            format!("{lines} source lines, at most {HARD_LIMIT}; look for the missing noun"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_tests_do_not_count_and_long_files_are_found() {
        let long = "x\n".repeat(HARD_LIMIT + 1);
        assert!(check(&SourceFile { path: "a.rs".into(), text: long.clone() }).is_some());
        let tested = format!("fine\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert!(check(&SourceFile { path: "a.rs".into(), text: tested }).is_none());
    }
}
