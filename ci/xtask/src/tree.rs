//! The repository's Rust files, as every check sees them.

use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// One Rust file.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Relative to the repository.
    pub(crate) path: PathBuf,
    /// Its text.
    pub(crate) text: String,
}

impl SourceFile {
    /// Lines before the first inline test module: the part budgets are about.
    pub(crate) fn source_lines(&self) -> usize {
        let mut lines = 0;
        let mut rest = self.text.lines().peekable();
        while let Some(line) = rest.next() {
            if line.trim() == "#[cfg(test)]" && rest.peek().is_some_and(|next| next.trim_end().ends_with('{'))
            {
                break;
            }
            lines += 1;
        }
        lines
    }

    /// Whether it holds tests only: a `tests` folder, or a `tests.rs` beside what it tests.
    pub(crate) fn is_test(&self) -> bool {
        let named =
            |part: std::path::Component<'_>| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs";
        self.path.components().any(named)
    }
}

/// The repository's root.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(manifest.ancestors().nth(2).context("the xtask crate is not two folders below the root")?.to_owned())
}

/// Every `.rs` file outside build output and hidden folders.
pub(crate) fn rust_files(root: &Path) -> anyhow::Result<Vec<SourceFile>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                let text =
                    std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
                found.push(SourceFile { path: path.strip_prefix(root)?.to_owned(), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}
