//! What `daam-agent introspect` prints. Local by design: the unfiltered database, for people with access to the
//! configuration file.

use crate::config::UpstreamSection;
use crate::introspect::FullCatalog;
use crate::shown;
use daam_catalog::RelationName;
use std::fmt::Write as _;

/// The relations as a `scope:` block. None at all is written `scope: []`, so that pasting it can never allow everything.
pub(super) fn scope_block(full: &FullCatalog) -> String {
    let mut lines = String::new();
    let mut unmatchable = String::new();
    for name in full.relation_names() {
        if is_matchable(name) {
            let _ = writeln!(lines, "  - {}", shown::yaml(&name.to_string()));
        } else {
            let _ = writeln!(unmatchable, "# no pattern can name {}", shown::word(&name.to_string()));
        }
    }
    if lines.is_empty() {
        format!("scope: []\n{unmatchable}")
    } else {
        format!("scope:\n{lines}{unmatchable}")
    }
}

/// Drift between scope and database.
pub(super) struct Diff {
    pub(super) text: String,
}

pub(super) fn diff(full: &FullCatalog, upstream: &UpstreamSection) -> Diff {
    let mut text = String::new();
    for name in full.relation_names().filter(|name| is_matchable(name) && !upstream.scope.admits(name)) {
        let _ = writeln!(text, "+ {}", shown::word(&name.to_string()));
    }
    for (pattern, written) in upstream.scope.patterns().iter().zip(&upstream.patterns) {
        if !full.relation_names().any(|name| pattern.matches(name)) {
            let _ = writeln!(text, "- {}", shown::word(written));
        }
    }
    Diff { text }
}

pub(super) fn json(full: &FullCatalog) -> String {
    pretty(&daam_catalog::snapshot::to_json(full.unfiltered()))
}

pub(super) fn lock(full: &FullCatalog, today: &str) -> String {
    let mut catalog = full.unfiltered().clone();
    catalog.captured = Some(today.to_owned());
    pretty(&serde_json::json!(daam_catalog::lock::to_files(&catalog)))
}

pub(super) fn pretty(value: &serde_json::Value) -> String {
    // A JSON value always prints.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// A name with a dot in it is out of reach of every pattern.
fn is_matchable(name: &RelationName) -> bool {
    !name.schema.as_str().contains('.') && !name.name.as_str().contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use daam_catalog::{Catalog, Identifier, Relation, RelationKind};
    use std::collections::BTreeSet;
    use std::path::Path;

    fn full(names: &[(&str, &str)]) -> FullCatalog {
        let relations = names.iter().map(|(schema, name)| {
            let name = RelationName::stored(*schema, *name).unwrap();
            (name.clone(), Relation::new(name, RelationKind::Table, Identifier::stored("o").unwrap()))
        });
        let catalog = Catalog { relations: relations.collect(), ..Catalog::default() };
        FullCatalog { catalog, owned_sequences: BTreeSet::new(), objects: daam_enforce::Objects::default() }
    }

    fn scope(text: &str) -> UpstreamSection {
        let text = format!("upstream:\n  dsn_file: x\n{text}");
        Config::parse(&text, Path::new("a.yaml")).unwrap().upstream
    }

    #[test]
    fn the_scope_block_is_sorted_and_reads_back_as_a_scope_that_covers_everything() {
        let names = [("public", "users"), ("analytics", "events"), ("public", "It's Odd"), ("public", "a.b")];
        let full = full(&names);
        let block = scope_block(&full);
        assert_eq!(
            block,
            "scope:\n  - analytics.events\n  - 'public.\"It''s Odd\"'\n  - public.users\n# no pattern can name public.\"a.b\"\n"
        );
        let indented = format!("  {}\n", block.trim_end().replace('\n', "\n  "));
        assert_eq!(diff(&full, &scope(&indented)).text, "");
    }

    #[test]
    fn a_name_cannot_write_a_line_of_the_scope_block() {
        let full =
            full(&[("public", "a\n  - '*.*'\n#"), ("public", "b.\n  - '*.*'\n#"), ("public", "\u{1b}[2J")]);
        let block = scope_block(&full);
        assert!(!block.lines().any(|line| line.trim_start().starts_with("- '*")), "{block}");
        assert!(!block.contains('\u{1b}'), "{block}");
        assert_eq!(block.lines().count(), 4, "{block}");
        let indented = format!("  {}\n", block.trim_end().replace('\n', "\n  "));
        let pasted = scope(&indented);
        assert!(!pasted.scope.admits(&RelationName::stored("public", "other").unwrap()));
        assert_eq!(diff(&full, &pasted).text, "");
        assert_eq!(diff(&full, &scope("  scope: []\n")).text.lines().count(), 1);
    }

    #[test]
    fn an_empty_database_gives_the_deny_all_scope() {
        assert_eq!(scope_block(&full(&[])), "scope: []\n");
    }

    #[test]
    fn drift_shows_what_is_uncovered_and_what_matches_nothing() {
        let full = full(&[("public", "users"), ("public", "refunds")]);
        let text = diff(&full, &scope("  scope: [public.users, analytics.deprecated_metrics]\n")).text;
        assert_eq!(text, "+ public.refunds\n- analytics.deprecated_metrics\n");
        assert_eq!(diff(&full, &scope("")).text, "");
        assert_eq!(diff(&full, &scope("  scope: []\n")).text, "+ public.refunds\n+ public.users\n");
    }
}
