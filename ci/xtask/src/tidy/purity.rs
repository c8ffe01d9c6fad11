//! The deciding crates do no IO: no files, sockets, environment, clocks or runtime.

use super::Finding;
use crate::tree::SourceFile;
use std::path::Path;

/// Folders of the pure crates.
const PURE: [&str; 14] = [
    "compiler/diagnostic/src",
    "compiler/catalog/src",
    "compiler/sql/src",
    "compiler/model/src",
    "compiler/bundle/src",
    "compiler/src",
    "agent/pgwire/src",
    "agent/audit/src",
    "agent/enforce/src",
    "control-plane/identity/src",
    "control-plane/ledger/src",
    "control-plane/saml/src",
    "control-plane/scim/src",
    "control-plane/api/src",
];

const FORBIDDEN: [&str; 8] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "SystemTime::now",
    "Instant::now",
    "OffsetDateTime::now",
    "tokio::",
];

pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    if file.is_test() || !PURE.iter().any(|folder| file.path.starts_with(Path::new(folder))) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in (1_usize..).zip(file.text.lines().take(file.source_lines())) {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for word in FORBIDDEN {
            if line.contains(word) {
                findings.push(Finding::new(
                    "purity",
                    &file.path,
                    format!("line {number}: `{word}` in a crate that does no IO"),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_is_found_in_a_pure_crate_only() {
        let text = "//! x\nuse std::fs;\n".to_owned();
        assert_eq!(
            check(&SourceFile { path: "compiler/model/src/a.rs".into(), text: text.clone() }).len(),
            1
        );
        assert!(check(&SourceFile { path: "cli/src/a.rs".into(), text }).is_empty());
    }
}
