//! A row filter against the relations it applies to.
//!
//! The expression itself is judged by the filter language of `daam_sql`; here its names are looked up and its
//! places carried back to where the text stands in the YAML file.

use super::Database;
use super::filter_type::types;
use super::{filter_index, filter_null};
use crate::resolve::unknown_column;
use crate::rule::{self, Rule};
use crate::syntax::decode::Spanned;
use crate::syntax::project::built_in;
use daam_catalog::{Identifier, Relation, RelationName};
use daam_diagnostic::Sink;
use daam_diagnostic::{Location, SourceMap, Span, suggest};
use daam_sql::{Filter, Refusal};
use std::collections::BTreeSet;

/// A filter that may be used.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) canonical: String,
    /// The columns of its table it compares, and where.
    pub(crate) compared: Vec<(Identifier, Location)>,
    /// Whether it asks for anything about the subject.
    pub(crate) about_subject: bool,
}

/// What the filter says, unless it was refused.
pub(crate) fn filter(
    text: &Spanned<String>,
    relations: &[&Relation],
    database: &Database<'_>,
    sink: &mut Sink,
) -> Option<Read> {
    let place = |offset: usize| place(database.sources, text, offset);
    let filter = match database.filters.read(&text.value) {
        Ok(filter) => filter,
        Err(error) => {
            let rule = rule_of(error.refusal);
            sink.push(rule.at(place(error.offset), error.message).maybe_help(error.help));
            return None;
        }
    };
    let before = sink.len();
    for relation in relations {
        for used in filter.columns() {
            let other = used.qualifier.as_ref().filter(|table| **table != relation.name.name);
            if let Some(table) = other {
                let message = format!("`{table}` is not the filtered table, which is `{}`", relation.name);
                sink.push(rule::FILTER_UNKNOWN_COLUMN.at(place(used.offset), message));
            } else if relation.column(&used.name).is_none() {
                sink.push(unknown_column_in_filter(place(used.offset), used.name.as_str(), relation));
            }
        }
    }
    for used in filter.attributes() {
        attribute(&used.name, place(used.offset), database, sink);
    }
    for used in filter.relations() {
        foreign(&used.name, &used.columns, place(used.offset), database, sink);
    }
    for used in filter.functions() {
        function(&used, place(used.offset), database, sink);
    }
    constant(&filter, text, sink);
    types(&filter, text, relations, database, sink);
    filter_null::nulls(&filter, text, relations, database, sink);
    filter_index::unindexed(&filter, text, relations, database, sink);
    (!sink.errors_since(before)).then(|| Read {
        canonical: filter.canonical(),
        compared: filter.columns().into_iter().map(|used| (used.name, place(used.offset))).collect(),
        about_subject: !filter.attributes().is_empty(),
    })
}

fn unknown_column_in_filter(at: Location, name: &str, relation: &Relation) -> daam_diagnostic::Diagnostic {
    let mut diagnostic = unknown_column(at, name, &[relation]);
    diagnostic.code = rule::FILTER_UNKNOWN_COLUMN.code;
    diagnostic
}

fn attribute(name: &str, at: Location, database: &Database<'_>, sink: &mut Sink) {
    if built_in().any(|known| known == name) || database.attributes.contains_key(name) {
        return;
    }
    let known: BTreeSet<&str> = built_in().chain(database.attributes.keys().map(String::as_str)).collect();
    sink.push(
        rule::UNKNOWN_ATTRIBUTE
            .at(at, format!("`subject.{name}` is not declared"))
            .help("declare it in `daam.yaml` under `attributes:` with its type")
            .maybe_help(suggest::nearest(name, known).map(|near| format!("did you mean `subject.{near}`?"))),
    );
}

fn foreign(
    name: &RelationName,
    columns: &BTreeSet<Identifier>,
    at: Location,
    database: &Database<'_>,
    sink: &mut Sink,
) {
    let Some(catalog) = database.catalog else { return };
    if !database.scope.admits(name) {
        let message = format!("the filter reads `{name}`, which is outside the scope of this database");
        sink.push(rule::FILTER_FOREIGN_RELATION.at(at, message));
        return;
    }
    let Some(relation) = catalog.relation(name) else {
        let names: BTreeSet<String> = catalog.relations.keys().map(ToString::to_string).collect();
        let message = format!("the filter reads `{name}`, which is not in the schema lock");
        let help = suggest::did_you_mean(&name.to_string(), names.iter().map(String::as_str));
        sink.push(rule::FILTER_FOREIGN_RELATION.at(at, message).maybe_help(help));
        return;
    };
    for column in columns.iter().filter(|column| relation.column(column).is_none()) {
        sink.push(unknown_column_in_filter(at, column.as_str(), relation));
    }
}

fn function(used: &daam_sql::filter::FunctionUse, at: Location, database: &Database<'_>, sink: &mut Sink) {
    let Some(catalog) = database.catalog else { return };
    let named: Vec<_> = catalog
        .functions
        .iter()
        .filter(|(name, _)| name.schema == used.schema && name.name == used.name)
        .map(|(_, function)| function)
        .collect();
    let written = format!("{}.{}", used.schema, used.name);
    if named.is_empty() {
        let message = format!("there is no function `{written}` in the schema lock");
        sink.push(rule::FILTER_UNSAFE_FUNCTION.at(at, message));
    } else if named.iter().any(|function| function.security_definer || function.returns_set) {
        let message = format!("`{written}` runs with its owner's rights or returns a set");
        sink.push(rule::FILTER_UNSAFE_FUNCTION.at(at, message));
    } else if named.iter().any(|function| function.volatility == daam_catalog::Volatility::Volatile) {
        let message = format!("`{written}` is volatile; only immutable and stable functions can filter");
        sink.push(rule::FILTER_VOLATILE.at(at, message));
    } else if named.iter().any(|function| function.is_steerable()) {
        let message = format!(
            "`{written}` looks for names where its caller says: a temporary table can stand for the one that is meant"
        );
        let help = "ALTER FUNCTION … SET search_path = pg_catalog, pg_temp; and qualify what it names, or write its body \
                    with BEGIN ATOMIC";
        sink.push(rule::FILTER_FUNCTION_SEARCH_PATH.at(at, message).help(help));
    }
}

fn constant(filter: &Filter, text: &Spanned<String>, sink: &mut Sink) {
    let parts = filter.conjuncts();
    let is = |text: &str, word: &str| text.trim_matches(['(', ')']).eq_ignore_ascii_case(word);
    let open = |part: &String| alternatives(part).iter().any(|one| is(one, "true"));
    let shut = |part: &String| is(part, "false") || is(part, "null");
    let says = if parts.iter().any(shut) {
        "no row: leave the grant out"
    } else if parts.iter().all(open) {
        "every row: leave the filter out"
    } else {
        return;
    };
    sink.push(rule::FILTER_CONSTANT.at(text.at, format!("the filter is constant and reaches {says}")));
}

/// What stands between the outermost `OR`s of a canonical text.
fn alternatives(text: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut begin) = (0_usize, false, 0);
    let mut found = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            '\'' | '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            ' ' if !quoted && depth == 0 && text.get(at..).is_some_and(|rest| rest.starts_with(" OR ")) => {
                found.extend(text.get(begin..at));
                begin = at + " OR ".len();
            }
            _ => {}
        }
    }
    found.extend(text.get(begin..));
    found.into_iter().map(str::trim).collect()
}

/// Which rule a refusal of the filter language belongs to.
fn rule_of(refusal: Refusal) -> &'static Rule {
    match refusal {
        Refusal::Syntax => &rule::FILTER_SYNTAX,
        Refusal::Breakout => &rule::FILTER_BREAKOUT,
        Refusal::Function => &rule::FILTER_UNSAFE_FUNCTION,
        Refusal::Volatile => &rule::FILTER_VOLATILE,
    }
}

/// The word at an offset of the filter's text, where it stands in the file; the whole scalar where escapes or
/// folding make the two texts differ.
pub(super) fn place(sources: &SourceMap, text: &Spanned<String>, offset: usize) -> Location {
    let raw = sources.slice(text.at);
    let quoted = raw.get(1..raw.len().saturating_sub(1)).unwrap_or("");
    let start = if raw.starts_with(text.value.as_str()) {
        text.at.span.start
    } else if quoted == text.value {
        text.at.span.start + 1
    } else {
        return text.at;
    };
    let rest = text.value.get(offset..).unwrap_or("");
    let quoted = rest.strip_prefix('\'').and_then(|inner| inner.find('\'')).map(|end| end + 2);
    let word = match quoted {
        Some(width) => width,
        None => {
            rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '"'))).unwrap_or(rest.len())
        }
    };
    let width = if word == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { word };
    if width == 0 {
        return text.at;
    }
    Location::new(text.at.source, Span::new(start + offset, start + offset + width))
}
