//! Names and patterns as written → objects of the catalogue.
//!
//! Whatever is named has to exist, has to be inside the scope, and is never a system object. Wildcards may cover
//! objects outside the scope as long as they also cover one inside: the agent serves the intersection.

use crate::rule::{self, Rule};
use crate::syntax::decode::Spanned;
use crate::syntax::scalar;
use crate::tables::{ColumnId, RelationId, Tables};
use daam_catalog::pattern::{ColumnPattern, PatternError, RelationPattern, Scope, is_system_schema};
use daam_catalog::{Catalog, Column, Function, Identifier, NameError, NameIndex, Relation};
use daam_diagnostic::{Applicability, Diagnostic, Location, Sink, suggest};
use std::collections::BTreeSet;

/// The names of a catalogue and a scope, as patterns are looked up in them: made once, however many policies there are
/// and however often they are checked.
#[derive(Debug)]
pub(crate) struct Lookup {
    relations: NameIndex,
    functions: NameIndex,
    /// Which relations are inside the scope, by their places.
    inside: Vec<bool>,
}

impl Lookup {
    pub(crate) fn new(catalog: &Catalog, scope: &Scope) -> Self {
        let relations = NameIndex::relations(catalog);
        let inside = match scope {
            Scope::Absent => catalog.relations.keys().map(|name| scope.admits(name)).collect(),
            Scope::Patterns(patterns) => {
                let mut inside = vec![false; catalog.relations.len()];
                for place in patterns.iter().flat_map(|pattern| relations.places(pattern)) {
                    if let Some(inside) = inside.get_mut(place) {
                        *inside = true;
                    }
                }
                inside
            }
        };
        Self { relations, functions: NameIndex::functions(catalog), inside }
    }

    /// How many names patterns were tried on.
    pub(crate) fn tried(&self) -> usize {
        self.relations.tried() + self.functions.tried()
    }
}

/// Where names are looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) scope: &'a Scope,
    pub(crate) tables: &'a Tables<'a>,
    pub(crate) lookup: &'a Lookup,
}

/// A pattern that says something, and what it covers.
#[derive(Debug)]
pub(crate) struct Resolved<P, T> {
    pub(crate) pattern: P,
    pub(crate) at: Location,
    pub(crate) covers: Vec<T>,
}

impl Resolved<RelationPattern, RelationId> {
    /// The relations it covers.
    pub(crate) fn relations<'t>(&self, tables: &'t Tables<'t>) -> impl Iterator<Item = &'t Relation> {
        self.covers.iter().filter_map(|id| tables.relation(*id))
    }
}

impl Resolved<ColumnPattern, ColumnId> {
    /// The columns it covers.
    pub(crate) fn columns<'t>(
        &self,
        tables: &'t Tables<'t>,
    ) -> impl Iterator<Item = (&'t Relation, &'t Column)> {
        self.covers.iter().filter_map(|id| tables.column(*id))
    }
}

impl<'a> Reach<'a> {
    /// Whether the scope admits a relation of the catalogue.
    pub(crate) fn is_inside(&self, relation: RelationId) -> bool {
        self.lookup.inside.get(relation.place()).copied().unwrap_or(false)
    }

    /// Relations a pattern covers; nothing if it was refused.
    pub(crate) fn relations(
        &self,
        text: &Spanned<String>,
        sink: &mut Sink,
    ) -> Option<Resolved<RelationPattern, RelationId>> {
        let pattern = parsed(RelationPattern::parse(&text.value), text, sink)?;
        let (inside, outside) = self.split(&pattern);
        if inside.is_empty() {
            sink.push(self.nothing(&pattern, text, &outside));
            return None;
        }
        let covers = inside.into_iter().map(|(id, _)| id).collect();
        Some(Resolved { pattern, at: text.at, covers })
    }

    /// Columns a pattern covers; nothing if it was refused.
    pub(crate) fn columns(
        &self,
        text: &Spanned<String>,
        sink: &mut Sink,
    ) -> Option<Resolved<ColumnPattern, ColumnId>> {
        let pattern = parsed(ColumnPattern::parse(&text.value), text, sink)?;
        let (inside, outside) = self.split(pattern.relation());
        if inside.is_empty() {
            sink.push(self.nothing(pattern.relation(), text, &outside));
            return None;
        }
        let covers: Vec<ColumnId> = inside
            .iter()
            .flat_map(|(id, relation)| relation.columns.iter().enumerate().map(move |one| (*id, one)))
            .filter(|(_, (_, column))| pattern.matches_column(&column.name))
            .map(|(id, (position, _))| id.column(position))
            .collect();
        if covers.is_empty() {
            sink.push(match pattern.literal_column() {
                Some(written) => {
                    let inside: Vec<&Relation> = inside.into_iter().map(|(_, relation)| relation).collect();
                    unknown_column_in(text, written, &inside)
                }
                None => {
                    rule::PATTERN_MATCHES_NOTHING.at(text.at, format!("`{}` covers no column", text.value))
                }
            });
            return None;
        }
        Some(Resolved { pattern, at: text.at, covers })
    }

    /// Functions a pattern covers; nothing if it was refused.
    pub(crate) fn functions(
        &self,
        text: &Spanned<String>,
        sink: &mut Sink,
    ) -> Option<Resolved<RelationPattern, &'a Function>> {
        let pattern = parsed(RelationPattern::parse(&text.value), text, sink)?;
        let places = self.lookup.functions.places(&pattern);
        let mut covers: Vec<&Function> =
            places.into_iter().filter_map(|place| self.tables.function(place)).collect();
        covers.retain(|function| function.is_meant_by(&pattern));
        if covers.is_empty() {
            let names = self.catalog.functions.keys().map(|name| format!("{}.{}", name.schema, name.name));
            let names: BTreeSet<String> = names.collect();
            sink.push(match pattern.literal() {
                Some(_) => {
                    let message = format!("there is no function `{}` in the schema lock", text.value);
                    with_suggestion(rule::UNKNOWN_TABLE.at(text.at, message), &text.value, &names)
                }
                None => {
                    rule::PATTERN_MATCHES_NOTHING.at(text.at, format!("`{}` covers no function", text.value))
                }
            });
            return None;
        }
        Some(Resolved { pattern, at: text.at, covers })
    }

    /// What a pattern covers inside the scope, and outside of it.
    fn split(&self, pattern: &RelationPattern) -> (Vec<(RelationId, &'a Relation)>, Vec<&'a Relation>) {
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        for place in self.lookup.relations.places(pattern) {
            let id = RelationId::at(place);
            let Some(relation) = self.tables.relation(id) else { continue };
            if self.is_inside(id) {
                inside.push((id, relation));
            } else {
                outside.push(relation);
            }
        }
        (inside, outside)
    }

    /// Says why a pattern covers nothing: outside the scope, no such schema, no such table, or just nothing.
    fn nothing(
        &self,
        pattern: &RelationPattern,
        text: &Spanned<String>,
        outside: &[&Relation],
    ) -> Diagnostic {
        let written = &text.value;
        let meant = outside.first().map(|relation| relation.name.clone()).or_else(|| pattern.literal());
        if let Some(name) = meant.filter(|name| !self.scope.admits(name)) {
            return rule::OUT_OF_SCOPE_REFERENCE
                .at(text.at, format!("`{name}` is outside the scope of this database"))
                .help("the scope file lists what the agent serves; add it there in a change of its own");
        }
        let schemas: BTreeSet<String> =
            self.inside().map(|relation| relation.name.schema.to_string()).collect();
        if let Some(schema) = pattern.literal_schema()
            && !self.catalog.relations.keys().any(|name| name.schema.as_str().eq_ignore_ascii_case(schema))
        {
            let message = format!("there is no schema `{schema}` in the schema lock");
            let diagnostic = rule::UNKNOWN_SCHEMA.at(text.at, message);
            return match suggest::nearest(schema, schemas.iter().map(String::as_str)) {
                Some(near) => diagnostic
                    .help(format!("did you mean `{near}`?"))
                    .replace(Applicability::Unsafe, replaced_schema(written, near)),
                None => diagnostic,
            };
        }
        if let Some(name) = pattern.literal() {
            let names: BTreeSet<String> = self.inside().map(|relation| relation.name.to_string()).collect();
            let message = format!("there is no relation `{name}` in the schema lock");
            return with_suggestion(rule::UNKNOWN_TABLE.at(text.at, message), &name.to_string(), &names);
        }
        rule::PATTERN_MATCHES_NOTHING
            .at(text.at, format!("`{written}` covers no relation"))
            .help("correct the pattern, or pull the schema lock again if the table is new")
    }

    fn inside(&self) -> impl Iterator<Item = &'a Relation> {
        let inside = &self.lookup.inside;
        self.tables.iter().zip(inside).filter(|(_, inside)| **inside).map(|(relation, _)| relation)
    }
}

/// The patterns of a scope file, without a catalogue.
pub(crate) fn scope_patterns(patterns: &[Spanned<String>], sink: &mut Sink) -> Scope {
    Scope::Patterns(
        patterns.iter().filter_map(|text| parsed(RelationPattern::parse(&text.value), text, sink)).collect(),
    )
}

/// A column as written: folded unless quoted.
pub(crate) fn column_name(text: &Spanned<String>, sink: &mut Sink) -> Option<Identifier> {
    let written = text.value.as_str();
    let inner = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let read = match inner {
        Some(inner) => Identifier::stored(inner.replace("\"\"", "\"")),
        None => Identifier::folded(written),
    };
    match read {
        Ok(name) => {
            folded(text, sink);
            Some(name)
        }
        Err(error) => {
            let rule = if matches!(error, NameError::TooLong(_)) {
                &rule::IDENTIFIER_TOO_LONG
            } else {
                &rule::INVALID_PATTERN
            };
            sink.push(rule.at(text.at, error.to_string()));
            None
        }
    }
}

/// That none of the relations has the column.
pub(crate) fn unknown_column(at: Location, written: &str, relations: &[&Relation]) -> Diagnostic {
    let names = column_names(relations);
    if is_dotted(written, &names) {
        return rule::UNKNOWN_COLUMN
            .at(at, format!("no pattern can name the column `{written}`: its name has a dot"))
            .help("leave it out of what is granted: `columns: { select: […] }`");
    }
    let place = match relations {
        [one] => format!("`{}` has no column `{written}`", one.name),
        _ => format!("none of the {} relations has a column `{written}`", relations.len()),
    };
    let diagnostic = rule::UNKNOWN_COLUMN.at(at, place);
    match suggest::did_you_mean(written, names.iter().copied()) {
        Some(help) => diagnostic.help(help),
        None if names.len() <= 20 => {
            let names: Vec<&str> = names.into_iter().collect();
            diagnostic.help(format!("its columns are {}", crate::syntax::decode::list(&names)))
        }
        None => diagnostic,
    }
}

/// Whether it is there, out of reach of patterns.
fn is_dotted(written: &str, names: &BTreeSet<&str>) -> bool {
    written.contains('.') && names.contains(written)
}

/// The same for a column, or the last segment of a pattern, that makes up a text; it can be replaced.
pub(crate) fn unknown_column_in(
    text: &Spanned<String>,
    written: &str,
    relations: &[&Relation],
) -> Diagnostic {
    let diagnostic = unknown_column(text.at, written, relations);
    let names = column_names(relations);
    if is_dotted(written, &names) {
        return diagnostic;
    }
    match suggest::nearest(written, names) {
        Some(near) => {
            let head = text.value.rsplit_once('.').map_or(String::new(), |(head, _)| format!("{head}."));
            diagnostic.replace(Applicability::Unsafe, scalar::quoted(&format!("{head}{}", segment(near))))
        }
        None => diagnostic,
    }
}

fn column_names<'a>(relations: &[&'a Relation]) -> BTreeSet<&'a str> {
    relations.iter().flat_map(|relation| relation.columns.iter().map(|column| column.name.as_str())).collect()
}

/// A stored name as a segment of a pattern, quoted if folding would change it.
fn segment(name: &str) -> String {
    if name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// As [`suggest::did_you_mean`], with a change to the nearest of these `schema.name`s.
fn with_suggestion(diagnostic: Diagnostic, written: &str, names: &BTreeSet<String>) -> Diagnostic {
    match suggest::nearest(written, names.iter().map(String::as_str)) {
        Some(near) => diagnostic
            .help(format!("did you mean `{near}`?"))
            .replace(Applicability::Unsafe, scalar::quoted(near)),
        None => diagnostic,
    }
}

fn replaced_schema(written: &str, schema: &str) -> String {
    scalar::quoted(&match written.split_once('.') {
        Some((_, rest)) => format!("{schema}.{rest}"),
        None => schema.to_owned(),
    })
}

fn parsed<P>(result: Result<P, PatternError>, text: &Spanned<String>, sink: &mut Sink) -> Option<P> {
    match result {
        Ok(pattern) => {
            // A quoted system schema parses as any other name would; it matches nothing either way.
            if text.value.split('.').next().is_some_and(|schema| is_system_schema(schema.trim_matches('"'))) {
                sink.push(rule::SYSTEM_OBJECT.at(text.at, format!("`{}` names a system schema", text.value)));
                return None;
            }
            folded(text, sink);
            Some(pattern)
        }
        Err(error) => {
            sink.push(rule_of(&error).at(text.at, error.to_string()));
            None
        }
    }
}

/// Capitals outside quotes, which mean nothing.
fn folded(text: &Spanned<String>, sink: &mut Sink) {
    let mut quoted = false;
    let lower: String = text
        .value
        .chars()
        .map(|c| {
            quoted ^= c == '"';
            if quoted { c } else { c.to_ascii_lowercase() }
        })
        .collect();
    if lower != text.value {
        sink.push(
            rule::UNQUOTED_IDENTIFIER
                .at(text.at, format!("`{}` is read as `{lower}`: names fold to lower case", text.value))
                .help("write it in lower case, or in double quotes to mean exactly these capitals")
                .replace(Applicability::Safe, scalar::quoted(&lower)),
        );
    }
}

fn rule_of(error: &PatternError) -> &'static Rule {
    match error {
        PatternError::SystemSchema(_) => &rule::SYSTEM_OBJECT,
        PatternError::Negation(_) | PatternError::RegularExpression { .. } => &rule::REGEX_OR_NEGATION,
        PatternError::Segments { .. }
        | PatternError::EmptySegment(_)
        | PatternError::Quote(_)
        | PatternError::Space(_) => &rule::INVALID_PATTERN,
    }
}
