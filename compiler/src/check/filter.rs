//! A row filter against the relations it applies to.
//!
//! The expression itself is judged by the filter language of `daam_sql`; here its names are looked up and its
//! places carried back to where the text stands in the YAML file.

use super::Database;
use super::filter_type::{self, Fault};
use crate::resolve::unknown_column;
use crate::rule::{self, Rule};
use crate::syntax::decode::Spanned;
use crate::syntax::project::BUILT_IN;
use daam_catalog::{Relation, RelationName};
use daam_diagnostic::Sink;
use daam_diagnostic::{Location, SourceMap, Span, suggest};
use daam_sql::Filter;
use std::collections::BTreeSet;

/// The canonical text, unless the filter was refused.
pub(crate) fn filter(
    text: &Spanned<String>,
    relations: &[&Relation],
    database: &Database<'_>,
    sink: &mut Sink,
) -> Option<String> {
    let place = |offset: usize| place(database.sources, text, offset);
    let filter = match Filter::parse(&text.value) {
        Ok(filter) => filter,
        Err(error) => {
            let rule = rule_of(&error.message, &text.value);
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
    types(text, relations, database, sink);
    (!sink.errors_since(before)).then(|| filter.canonical())
}

fn unknown_column_in_filter(at: Location, name: &str, relation: &Relation) -> daam_diagnostic::Diagnostic {
    let mut diagnostic = unknown_column(at, name, &[relation]);
    diagnostic.code = rule::FILTER_UNKNOWN_COLUMN.code;
    diagnostic
}

fn attribute(name: &str, at: Location, database: &Database<'_>, sink: &mut Sink) {
    if BUILT_IN.contains(&name) || database.attributes.contains_key(name) {
        return;
    }
    let known: BTreeSet<&str> =
        BUILT_IN.into_iter().chain(database.attributes.keys().map(String::as_str)).collect();
    sink.push(
        rule::UNKNOWN_ATTRIBUTE
            .at(at, format!("`subject.{name}` is not declared"))
            .help("declare it in `daam.yaml` under `attributes:` with its type")
            .maybe_help(suggest::nearest(name, known).map(|near| format!("did you mean `subject.{near}`?"))),
    );
}

fn foreign(
    name: &RelationName,
    columns: &BTreeSet<daam_catalog::Identifier>,
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
    }
}

fn constant(filter: &Filter, text: &Spanned<String>, sink: &mut Sink) {
    let says = match filter.canonical().to_ascii_lowercase().trim_matches(['(', ')']) {
        "true" => "every row: leave the filter out",
        "false" | "null" => "no row: leave the grant out",
        _ => return,
    };
    sink.push(rule::FILTER_CONSTANT.at(text.at, format!("the filter is constant and reaches {says}")));
}

/// Conditions that are none, and comparisons PostgreSQL has no operator for; once per place, whatever relation
/// shows it.
fn types(text: &Spanned<String>, relations: &[&Relation], database: &Database<'_>, sink: &mut Sink) {
    let tree = filter_type::tree(&text.value);
    let mut told = BTreeSet::new();
    for relation in relations {
        for mistake in filter_type::mistakes(&tree, relation, database.attributes) {
            if !told.insert(mistake.offset) {
                continue;
            }
            let at = place(database.sources, text, mistake.offset);
            sink.push(match mistake.fault {
                Fault::NotBoolean(kind) => rule::FILTER_NOT_BOOLEAN
                    .at(at, format!("this is {kind} on `{}`, not a condition", relation.name))
                    .help("compare it with something, e.g. `region = subject.region`"),
                Fault::Mismatch(left, right) => rule::FILTER_TYPE_MISMATCH
                    .at(at, format!("{left} is compared with {right} on `{}`", relation.name))
                    .help("PostgreSQL has no such operator; cast one side, e.g. `tenant_id = subject.tenant::uuid`"),
            });
        }
    }
}

/// Which rule a refusal of the filter language belongs to.
fn rule_of(message: &str, text: &str) -> &'static Rule {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["comment", "one boolean expression"]) || breaks_out(text) {
        &rule::FILTER_BREAKOUT
    } else if VOLATILE.iter().any(|name| says(&[&format!("`{name}`")])) {
        &rule::FILTER_VOLATILE
    } else if says(&["function"]) {
        &rule::FILTER_UNSAFE_FUNCTION
    } else {
        &rule::FILTER_SYNTAX
    }
}

/// Functions of PostgreSQL people reach for whose answer changes within a statement.
const VOLATILE: [&str; 9] = [
    "random",
    "random_normal",
    "clock_timestamp",
    "timeofday",
    "nextval",
    "setval",
    "currval",
    "gen_random_uuid",
    "txid_current",
];

/// Whether the text closes a parenthesis it did not open, or ends an expression and begins another.
fn breaks_out(text: &str) -> bool {
    let mut depth = 0_i64;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, ';') => return true,
            _ => {}
        }
        if depth < 0 {
            return true;
        }
    }
    false
}

/// The word at an offset of the filter's text, where it stands in the file; the whole scalar where escapes or
/// folding make the two texts differ.
fn place(sources: &SourceMap, text: &Spanned<String>, offset: usize) -> Location {
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
    let word =
        rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '"'))).unwrap_or(rest.len());
    let width = if word == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { word };
    if width == 0 {
        return text.at;
    }
    Location::new(text.at.source, Span::new(start + offset, start + offset + width))
}
