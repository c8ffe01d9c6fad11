//! A file is named for an idea; drawers for odds and ends are refused.

use super::Finding;
use crate::tree::SourceFile;

const BANNED: [&str; 9] = ["utils", "util", "common", "helpers", "helper", "misc", "types", "prelude", "mod"];

pub(super) fn check(file: &SourceFile) -> Option<Finding> {
    let stem = file.path.file_stem()?.to_str()?;
    BANNED.contains(&stem).then(|| {
        Finding::new(
            "file-names",
            &file.path,
            format!("`{stem}` names no idea; a function without a home is a missing noun"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawer_is_found_and_a_noun_is_not() {
        let file = |path: &str| SourceFile { path: path.into(), text: String::new() };
        assert!(check(&file("cli/src/utils.rs")).is_some());
        assert!(check(&file("cli/src/quote.rs")).is_none());
    }
}
