//! Every file opens with what it is for.

use super::Finding;
use crate::tree::SourceFile;

pub(super) fn check(file: &SourceFile) -> Option<Finding> {
    let documented =
        file.text.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| line.starts_with("//!"));
    (!documented).then(|| Finding::new("module-docs", &file.path, "the file does not open with `//!`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_module_docs_is_found() {
        let file = |text: &str| SourceFile { path: "a.rs".into(), text: text.to_owned() };
        assert!(check(&file("use std::fmt;\n")).is_some());
        assert!(check(&file("//! What it is for.\n")).is_none());
    }
}
