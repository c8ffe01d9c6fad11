//! What a word means, as Markdown: columns with type and masks, tables with who reads them, keys with their page.

use super::Known;
use super::complete::{covered, policies};
use super::grammar::Shapes;
use super::meaning::{self, Meaning};
use super::place::{Place, Step, in_word};
use crate::preset::{self, written};
use daam_catalog::pattern::{ColumnPattern, RelationPattern};
use daam_catalog::{Catalog, Column, Relation};
use daam_diagnostic::Span;
use daam_model::EffectiveMask;
use std::fmt::Write as _;

/// How many objects of a pattern are listed.
const LISTED: usize = 12;

/// An explanation of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hover {
    /// The text, Markdown.
    pub markdown: String,
    /// What it explains.
    pub span: Span,
}

pub(super) fn hover(place: &Place, text: &str, known: Known<'_>, offset: usize) -> Option<Hover> {
    let mut span = place.word;
    let markdown = match (meaning::of(place), known.catalog) {
        (Meaning::Relations, Some(catalog)) => relations(&place.text, catalog),
        (Meaning::Columns, Some(catalog)) => columns(&place.text, catalog, known),
        (Meaning::ColumnsHere, Some(catalog)) => column_here(&place.text, place, catalog, known),
        (Meaning::Filter, Some(catalog)) => {
            span = word(text, offset)?;
            in_filter(text.get(span.start..span.end)?, place, catalog, known)
        }
        (Meaning::Group, _) => group(&place.text, known),
        (Meaning::Preset, _) => preset::about(&place.text).map(str::to_owned),
        _ => None,
    };
    let markdown = markdown.or_else(|| grammar(place))?;
    Some(Hover { markdown, span })
}

/// What the grammar says about a key, or about the place of a value.
fn grammar(place: &Place) -> Option<String> {
    let mut steps = place.steps.clone();
    if place.is_key {
        steps.push(Step::Key(place.text.clone()));
        if let Some(about) = preset::about(&place.text).filter(|_| place.steps.ends_with(&with())) {
            return Some(about.to_owned());
        }
    }
    Shapes::at(&place.kind, &steps)?.description()
}

fn with() -> [Step; 1] {
    [Step::Key("with".to_owned())]
}

fn relations(text: &str, catalog: &Catalog) -> Option<String> {
    let pattern = RelationPattern::parse(text).ok()?;
    let found: Vec<&Relation> =
        catalog.relations.values().filter(|relation| pattern.matches(&relation.name)).collect();
    if let [only] = found.as_slice() {
        let mut out = format!("**{}** — {}\n\n", only.name, only.kind.noun());
        if let Some(comment) = &only.comment {
            let _ = writeln!(out, "{comment}\n");
        }
        out.push_str("| column | type |\n|---|---|\n");
        for column in &only.columns {
            let _ = writeln!(out, "| `{}` | {} |", column.name, column.data_type.sql);
        }
        return Some(out);
    }
    let names = found.iter().map(|relation| format!("`{}` — {}", relation.name, relation.kind.noun()));
    Some(listing(&format!("`{text}` covers {} relations", found.len()), names))
}

fn columns(text: &str, catalog: &Catalog, known: Known<'_>) -> Option<String> {
    let pattern = ColumnPattern::parse(text).ok()?;
    let found: Vec<(&Relation, &Column)> = catalog
        .relations
        .values()
        .filter(|relation| pattern.relation().matches(&relation.name))
        .flat_map(|relation| relation.columns.iter().map(move |column| (relation, column)))
        .filter(|(relation, column)| pattern.matches(&relation.name, &column.name))
        .collect();
    if let [(relation, column)] = found.as_slice() {
        return Some(described(relation, column, known));
    }
    let names = found
        .iter()
        .map(|(relation, column)| format!("`{}.{}` {}", relation.name, column.name, column.data_type.sql));
    Some(listing(&format!("`{text}` covers {} columns", found.len()), names))
}

fn column_here(name: &str, place: &Place, catalog: &Catalog, known: Known<'_>) -> Option<String> {
    let shown: Vec<String> = covered(place, catalog)
        .into_iter()
        .filter_map(|relation| {
            let column = relation.columns.iter().find(|column| column.name.as_str() == name)?;
            Some(described(relation, column, known))
        })
        .take(LISTED)
        .collect();
    (!shown.is_empty()).then(|| shown.join("\n---\n"))
}

fn in_filter(word: &str, place: &Place, catalog: &Catalog, known: Known<'_>) -> Option<String> {
    let Some(name) = word.strip_prefix("subject.") else {
        let name = word.rsplit('.').next().unwrap_or(word).to_ascii_lowercase();
        return column_here(&name, place, catalog, known);
    };
    let kind = match name {
        "email" | "id" => "text",
        "groups" => "text[]",
        other => known.compiled?.policies.attributes.get(other)?.as_str(),
    };
    Some(format!(
        "**{word}** — {kind}, an attribute of the person who connects\n\nWho lacks it reaches no row through this filter."
    ))
}

/// A column with its type, its comment, and every mask any policy puts on it.
fn described(relation: &Relation, column: &Column, known: Known<'_>) -> String {
    let null = if column.not_null { ", not null" } else { "" };
    let mut out = format!("**{}.{}** — {}{null}\n", relation.name, column.name, column.data_type.sql);
    if let Some(comment) = &column.comment {
        let _ = writeln!(out, "\n{comment}");
    }
    let mut strictest: Option<EffectiveMask> = None;
    let mut rules = String::new();
    for policy in policies(known) {
        for rule in &policy.masks {
            if rule.on.iter().any(|pattern| pattern.matches(&relation.name, &column.name)) {
                let mask = EffectiveMask::new(rule.with.clone()).fitted(column.data_type.class);
                let _ = writeln!(
                    rules,
                    "* `{}` for whom `{}` applies to ({})",
                    written(mask.mask()),
                    policy.name,
                    rule.origin
                );
                strictest = Some(strictest.map_or_else(|| mask.clone(), |other| other.join(&mask)));
            }
        }
    }
    match strictest {
        None => out.push_str("\nNo policy masks it.\n"),
        Some(mask) => {
            let _ = write!(out, "\nMasked:\n\n{rules}");
            if rules.lines().count() > 1 {
                let _ = writeln!(out, "\nWho all of them apply to sees `{}`.", written(mask.mask()));
            }
        }
    }
    out
}

fn group(name: &str, known: Known<'_>) -> Option<String> {
    let compiled = known.compiled?;
    let mut out = format!("**{name}** — group");
    if let Some(members) = compiled.policies.groups.get(name) {
        let _ = write!(out, " with {} members decided in this repository", members.len());
    }
    out.push_str("\n\n");
    for policy in policies(known) {
        if policy.subjects.groups.contains(name) {
            let verb = if policy.request.is_some() { "may ask for" } else { "holds" };
            let _ = writeln!(out, "* {verb} `{}` ({})", policy.name, policy.origin);
        }
        if policy.request.iter().any(|terms| terms.approvers.contains(name)) {
            let _ = writeln!(out, "* approves `{}` ({})", policy.name, policy.origin);
        }
    }
    Some(out)
}

fn listing(head: &str, names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(LISTED);
    let mut out = format!("{head}\n\n");
    for name in names.take(LISTED) {
        let _ = writeln!(out, "* {name}");
    }
    if more > 0 {
        let _ = writeln!(out, "* … and {more} more");
    }
    out
}

/// The name around an offset.
fn word(text: &str, offset: usize) -> Option<Span> {
    let (head, tail) = (text.get(..offset)?, text.get(offset..)?);
    let before: usize = head.chars().rev().take_while(|c| in_word(*c)).map(char::len_utf8).sum();
    let after: usize = tail.chars().take_while(|c| in_word(*c)).map(char::len_utf8).sum();
    (before + after > 0).then(|| Span::new(offset - before, offset + after))
}
