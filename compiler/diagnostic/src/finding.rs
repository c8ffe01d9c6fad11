//! A finding with a name that survives: baselines, comparisons of two commits and report services go by it.
//!
//! The name is a hash of code, path, logical subject and the texts of the user the finding is about. Line numbers
//! and our own wording do not go in, so neither an edit above nor a better sentence makes an old finding new.
//! Findings that agree in all of it are numbered in their order; within a run no name occurs twice.

use crate::diagnostic::Diagnostic;
use crate::source::SourceMap;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A finding and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was found.
    pub diagnostic: Diagnostic,
    /// 64 hexadecimal digits, unique within a run.
    pub fingerprint: String,
}

/// Names all findings of a run. Give it all of them, before any selection: the number of a repetition depends on it.
pub fn identify(diagnostics: Vec<Diagnostic>, sources: &SourceMap) -> Vec<Finding> {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut findings = Vec::with_capacity(diagnostics.len());
    for diagnostic in diagnostics {
        let first = named(&diagnostic, sources, 0);
        let count = seen.entry(first.clone()).or_insert(0);
        let fingerprint = if *count == 0 { first } else { named(&diagnostic, sources, *count) };
        *count += 1;
        findings.push(Finding { diagnostic, fingerprint });
    }
    findings
}

fn named(diagnostic: &Diagnostic, sources: &SourceMap, ordinal: u64) -> String {
    let mut hash = Sha256::new();
    // Each part is preceded by its length: no two lists of parts run together to the same bytes.
    let mut put = |part: &str| {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    };
    put(&diagnostic.code.to_string());
    put(sources.path(diagnostic.at.source));
    put(&diagnostic.subject);
    if diagnostic.arguments.is_empty() {
        quoted(&diagnostic.message).for_each(&mut put);
    } else {
        diagnostic.arguments.iter().for_each(|argument| put(argument));
    }
    if ordinal > 0 {
        put(&ordinal.to_string());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// The texts in backticks: by the rule of our messages, those of the user.
fn quoted(message: &str) -> impl Iterator<Item = &str> {
    message.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::{RuleCode, Severity};
    use crate::span::{Location, Span};
    use std::collections::BTreeSet;

    fn names(text: &str, messages: &[&str]) -> Vec<String> {
        let mut sources = SourceMap::new();
        let id = sources.add("a.yaml", text);
        let at = Location::new(id, Span::at(text.len()));
        let make = |message: &&str| {
            Diagnostic::new(RuleCode::new(203, "unknown-column"), Severity::Error, at, *message)
        };
        let found = identify(messages.iter().map(make).collect(), &sources);
        found.into_iter().map(|finding| finding.fingerprint).collect()
    }

    #[test]
    fn neither_lines_above_nor_our_wording_change_a_name() {
        assert_eq!(names("x", &["no column `a`"]), names("# more\n\nx", &["`a` is not a column"]));
        assert_ne!(names("x", &["no column `a`"]), names("x", &["no column `b`"]));
    }

    #[test]
    fn equal_findings_have_names_of_their_own() {
        let found = names("x", &["no column `a`", "no column `a`", "no column `a`"]);
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 3);
        assert_eq!(found.first(), names("x", &["no column `a`"]).first());
    }

    #[test]
    fn arguments_stand_in_for_the_message_and_the_subject_counts() {
        let mut sources = SourceMap::new();
        let at = Location::new(sources.add("a.yaml", "x"), Span::at(0));
        let base = Diagnostic::new(RuleCode::new(1, "x"), Severity::Info, at, "12 of `5`");
        let name = |found: Diagnostic| identify(vec![found], &sources).remove(0).fingerprint;
        let with = |message: &str| Diagnostic { message: message.to_owned(), ..base.clone() }.argument("t");
        assert_eq!(name(with("12 of `5`")), name(with("13 of `6`")));
        assert_ne!(name(base.clone()), name(base.clone().about("policy:a")));
    }
}
