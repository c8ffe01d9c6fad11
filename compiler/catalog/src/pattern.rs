//! Patterns that name relations and columns: the one matcher of policies and of the customer's scope.
//!
//! A pattern is `schema.table` or `schema.table.column`. `*` stands for any run of characters inside one
//! segment and never crosses a dot. Unquoted segments compare case-folded on both sides; a `"quoted"` segment
//! matches exactly. System schemas match nothing, not even `*.*`; a stored name that contains a dot is
//! unmatchable. Refused outright: negation, regular expressions, a wrong number of segments.

use crate::index::Beginning;
use crate::name::{Identifier, RelationName};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// `!public.secrets`.
    #[error("`{0}` is a negation; patterns only allow, leave the relation out of the list instead")]
    Negation(String),
    /// `/users/`, `^users$`, `users|orders`, `[ab]`.
    #[error("`{text}` contains `{found}`; regular expressions are not supported, use `*` inside a segment")]
    RegularExpression {
        /// The pattern as written.
        text: String,
        /// The character that gave it away.
        found: char,
    },
    /// `users`, `a.b.c` where two segments are expected, and so on.
    #[error("`{text}` has {found} segment(s), {expected} expected: `{shape}`")]
    Segments {
        /// The pattern as written.
        text: String,
        /// Segments found.
        found: usize,
        /// Segments expected.
        expected: usize,
        /// What it should look like.
        shape: &'static str,
    },
    /// `.users`, `public.`.
    #[error("`{0}` has an empty segment")]
    EmptySegment(String),
    /// An opening quote without its end, or text after a closing quote.
    #[error("`{0}` has a misplaced double quote")]
    Quote(String),
    /// White space or a control character outside quotes.
    #[error("`{0}` contains white space or a control character")]
    Space(String),
    /// A schema PostgreSQL keeps for itself.
    #[error("`{0}` names a system schema, which no pattern can reach")]
    SystemSchema(String),
}

/// Whether a schema belongs to PostgreSQL itself and is outside every pattern.
pub fn is_system_schema(schema: &str) -> bool {
    schema.eq_ignore_ascii_case("information_schema")
        || schema.get(..3).is_some_and(|head| head.eq_ignore_ascii_case("pg_"))
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Segment {
    /// Folded text with `*` wildcards.
    Glob(String),
    /// A quoted segment.
    Exact(String),
}

impl Segment {
    fn matches(&self, stored: &str) -> bool {
        if stored.contains('.') {
            return false;
        }
        match self {
            Self::Exact(text) => text == stored,
            Self::Glob(text) if stored.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                glob(text, &stored.to_ascii_lowercase())
            }
            Self::Glob(text) => glob(text, stored),
        }
    }

    /// What every name this matches begins with.
    fn beginning(&self) -> Beginning {
        match self {
            Self::Exact(text) => Beginning { text: text.to_ascii_lowercase(), whole: true },
            Self::Glob(text) => match text.split_once('*') {
                Some((before, _)) => Beginning { text: before.to_owned(), whole: false },
                None => Beginning { text: text.clone(), whole: true },
            },
        }
    }

    /// Whether everything the other one matches is matched here too, whatever names there will be.
    fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(other)) => one == other,
            (Self::Exact(_), Self::Glob(_)) => false,
            // Stars of the other pattern are characters like any other to a star of this one, and match nothing else.
            (Self::Glob(one), Self::Glob(other)) => glob(one, other),
            (Self::Glob(one), Self::Exact(other)) => glob(one, &other.to_ascii_lowercase()),
        }
    }

    fn literal(&self) -> Option<&str> {
        match self {
            Self::Exact(text) => Some(text),
            Self::Glob(text) => (!text.contains('*')).then_some(text),
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Glob(text) => f.write_str(text),
            Self::Exact(text) => write!(f, "\"{}\"", text.replace('"', "\"\"")),
        }
    }
}

/// Greedy wildcard match in linear time and space: the pieces between stars, in order.
fn glob(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

fn segments(text: &str) -> Result<Vec<Segment>, PatternError> {
    let owned = || text.to_owned();
    if text.starts_with('!') || text.starts_with('-') {
        return Err(PatternError::Negation(owned()));
    }
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        if chars.peek() == Some(&'"') {
            chars.next();
            let mut exact = String::new();
            loop {
                match chars.next() {
                    None => return Err(PatternError::Quote(owned())),
                    Some('"') if chars.peek() == Some(&'"') => {
                        chars.next();
                        exact.push('"');
                    }
                    Some('"') => break,
                    Some(c) => exact.push(c),
                }
            }
            if exact.is_empty() {
                return Err(PatternError::EmptySegment(owned()));
            }
            out.push(Segment::Exact(exact));
        } else {
            let mut glob = String::new();
            while let Some(c) = chars.next_if(|c| *c != '.') {
                match c {
                    '"' => return Err(PatternError::Quote(owned())),
                    c if c.is_whitespace() || c.is_control() => return Err(PatternError::Space(owned())),
                    '^' | '|' | '[' | ']' | '(' | ')' | '\\' | '/' | '?' | '+' | '{' | '}' => {
                        return Err(PatternError::RegularExpression { text: owned(), found: c });
                    }
                    c => glob.push(c.to_ascii_lowercase()),
                }
            }
            if glob.is_empty() {
                return Err(PatternError::EmptySegment(owned()));
            }
            out.push(Segment::Glob(glob));
        }
        match chars.next() {
            None => return Ok(out),
            Some('.') => {}
            Some(_) => return Err(PatternError::Quote(owned())),
        }
    }
}

fn refuse_system(text: &str, schema: &Segment) -> Result<(), PatternError> {
    match schema.literal() {
        Some(name) if is_system_schema(name) => Err(PatternError::SystemSchema(text.to_owned())),
        _ => Ok(()),
    }
}

/// `schema.table`, also used for functions (`schema.function`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelationPattern {
    schema: Segment,
    name: Segment,
}

impl RelationPattern {
    /// Reads a pattern as written in YAML.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let parts: Result<[Segment; 2], _> = segments(text)?.try_into();
        let [schema, name] = parts.map_err(|parts: Vec<Segment>| PatternError::Segments {
            text: text.to_owned(),
            found: parts.len(),
            expected: 2,
            shape: "schema.table",
        })?;
        refuse_system(text, &schema)?;
        Ok(Self { schema, name })
    }

    /// The pattern of one relation; one with a dot in its name stays unmatchable.
    pub fn exactly(relation: &RelationName) -> Self {
        let segment = |name: &Identifier| Segment::Exact(name.as_str().to_owned());
        Self { schema: segment(&relation.schema), name: segment(&relation.name) }
    }

    /// Whether the pattern covers that relation.
    pub fn matches(&self, relation: &RelationName) -> bool {
        self.matches_parts(&relation.schema, &relation.name)
    }

    /// Whether the pattern covers a schema-qualified name of any kind.
    pub fn matches_parts(&self, schema: &Identifier, name: &Identifier) -> bool {
        !is_system_schema(schema.as_str())
            && self.schema.matches(schema.as_str())
            && self.name.matches(name.as_str())
    }

    /// Whether every relation the other pattern can cover is covered by this one too.
    pub fn contains(&self, other: &Self) -> bool {
        self.schema.contains(&other.schema) && self.name.contains(&other.name)
    }

    /// What every schema and every name this pattern covers begin with.
    pub(crate) fn beginnings(&self) -> (Beginning, Beginning) {
        (self.schema.beginning(), self.name.beginning())
    }

    /// The one name this pattern spells out, if it has no wildcard.
    pub fn literal(&self) -> Option<RelationName> {
        RelationName::stored(self.schema.literal()?, self.name.literal()?).ok()
    }

    /// The schema this pattern spells out, if that segment has no wildcard.
    pub fn literal_schema(&self) -> Option<&str> {
        self.schema.literal()
    }
}

impl TryFrom<String> for RelationPattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::parse(&text)
    }
}

impl From<RelationPattern> for String {
    fn from(pattern: RelationPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for RelationPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// `schema.table.column`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ColumnPattern {
    relation: RelationPattern,
    column: Segment,
}

impl ColumnPattern {
    /// Reads a pattern as written in YAML.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let parts: Result<[Segment; 3], _> = segments(text)?.try_into();
        let [schema, name, column] = parts.map_err(|parts: Vec<Segment>| PatternError::Segments {
            text: text.to_owned(),
            found: parts.len(),
            expected: 3,
            shape: "schema.table.column",
        })?;
        refuse_system(text, &schema)?;
        Ok(Self { relation: RelationPattern { schema, name }, column })
    }

    /// The pattern of one column.
    pub fn exactly(relation: &RelationName, column: &Identifier) -> Self {
        Self {
            relation: RelationPattern::exactly(relation),
            column: Segment::Exact(column.as_str().to_owned()),
        }
    }

    /// The same columns of one relation alone.
    #[must_use]
    pub fn only_on(&self, relation: &RelationName) -> Self {
        Self { relation: RelationPattern::exactly(relation), column: self.column.clone() }
    }

    /// Whether the pattern covers that column.
    pub fn matches(&self, relation: &RelationName, column: &Identifier) -> bool {
        self.relation.matches(relation) && self.column.matches(column.as_str())
    }

    /// Whether every column the other pattern can cover is covered by this one too.
    pub fn contains(&self, other: &Self) -> bool {
        self.relation.contains(&other.relation) && self.column.contains(&other.column)
    }

    /// Whether the pattern covers a column of that name, on a relation its relation part is known to cover.
    pub fn matches_column(&self, column: &Identifier) -> bool {
        self.column.matches(column.as_str())
    }

    /// The relation part.
    pub fn relation(&self) -> &RelationPattern {
        &self.relation
    }

    /// The column this pattern spells out, if that segment has no wildcard.
    pub fn literal_column(&self) -> Option<&str> {
        self.column.literal()
    }
}

impl TryFrom<String> for ColumnPattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::parse(&text)
    }
}

impl From<ColumnPattern> for String {
    fn from(pattern: ColumnPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for ColumnPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.relation, self.column)
    }
}

/// The customer's allowlist: `upstream.scope` of the agent, or `kind: scope` in the project.
///
/// Absent means everything (no scope was chosen); an empty list means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Scope {
    /// The field is absent: every user object.
    #[default]
    Absent,
    /// The field is present: what matches at least one pattern, so nothing for `[]`.
    Patterns(Vec<RelationPattern>),
}

impl Scope {
    /// Whether that relation is inside.
    pub fn admits(&self, relation: &RelationName) -> bool {
        match self {
            Self::Absent => !is_system_schema(relation.schema.as_str()),
            Self::Patterns(patterns) => patterns.iter().any(|pattern| pattern.matches(relation)),
        }
    }

    /// Whether scope was declared (an empty list is a declaration).
    pub fn is_active(&self) -> bool {
        matches!(self, Self::Patterns(_))
    }

    /// The declared patterns; empty for both *absent* and *deny all*.
    pub fn patterns(&self) -> &[RelationPattern] {
        match self {
            Self::Absent => &[],
            Self::Patterns(patterns) => patterns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn relation(schema: &str, name: &str) -> RelationName {
        RelationName::stored(schema, name).unwrap()
    }

    fn matches(pattern: &str, schema: &str, name: &str) -> bool {
        RelationPattern::parse(pattern).unwrap().matches(&relation(schema, name))
    }

    #[test]
    fn the_pattern_table_of_the_specification_holds() {
        assert!(matches("public.users", "public", "users"));
        assert!(!matches("public.users", "public", "users2"));
        assert!(matches("public.*", "public", "anything"));
        assert!(matches("*.users", "hr", "users"));
        assert!(matches("analytics.events_*", "analytics", "events_clicks"));
        assert!(!matches("analytics.events_*", "analytics", "event"));
        assert!(matches("*.*", "a", "b"));
        assert!(matches("*.a*b*c", "x", "aXbbYc"));
        assert!(!matches("*.a*b*c", "x", "acb"));
    }

    #[test]
    fn case_is_folded_on_both_sides_unless_quoted() {
        assert!(matches("PUBLIC.Users", "public", "users"));
        assert!(matches("public.users", "public", "Users"));
        assert!(matches("public.\"Users\"", "public", "Users"));
        assert!(!matches("public.\"Users\"", "public", "users"));
    }

    #[test]
    fn system_schemas_and_dotted_names_are_out_of_reach() {
        for schema in ["pg_catalog", "information_schema", "pg_toast", "pg_temp_3"] {
            assert!(!matches("*.*", schema, "x"));
        }
        assert!(!matches("*.*", "public", "weird.name"));
        assert!(!matches("public.\"weird.name\"", "public", "weird.name"));
        assert!(matches!(RelationPattern::parse("pg_catalog.*"), Err(PatternError::SystemSchema(_))));
    }

    #[test]
    fn negation_regular_expressions_and_wrong_shapes_are_refused() {
        assert!(matches!(RelationPattern::parse("!public.x"), Err(PatternError::Negation(_))));
        assert!(matches!(RelationPattern::parse("public.^x$"), Err(PatternError::RegularExpression { .. })));
        assert!(matches!(RelationPattern::parse("users"), Err(PatternError::Segments { .. })));
        assert!(matches!(RelationPattern::parse("a.b.c"), Err(PatternError::Segments { .. })));
        assert!(matches!(RelationPattern::parse("a..c"), Err(PatternError::EmptySegment(_))));
        assert!(matches!(RelationPattern::parse("a.\"b"), Err(PatternError::Quote(_))));
        assert!(matches!(RelationPattern::parse(""), Err(PatternError::EmptySegment(_))));
    }

    #[test]
    fn an_absent_scope_admits_all_and_an_empty_one_nothing() {
        let users = relation("public", "users");
        assert!(Scope::Absent.admits(&users));
        assert!(!Scope::Patterns(vec![]).admits(&users));
        assert!(Scope::Patterns(vec![]).is_active());
    }

    proptest! {
        #[test]
        fn a_pattern_never_matches_across_the_dot(a in "[a-z*]{1,6}", b in "[a-z*]{1,6}", s in "[a-z.]{1,8}", n in "[a-z.]{1,8}") {
            let pattern = RelationPattern::parse(&format!("{a}.{b}"));
            if let (Ok(pattern), Ok(name)) = (pattern, RelationName::stored(s.clone(), n.clone()))
                && pattern.matches(&name)
            {
                prop_assert!(!s.contains('.') && !n.contains('.'));
            }
        }

        #[test]
        fn adding_a_pattern_never_removes_an_object(list in prop::collection::vec("[a-c*]{1,3}\\.[a-c*]{1,3}", 0..4), more in "[a-c*]{1,3}\\.[a-c*]{1,3}", s in "[a-c]{1,3}", n in "[a-c]{1,3}") {
            let parse = |list: &[String]| list.iter().filter_map(|p| RelationPattern::parse(p).ok()).collect::<Vec<_>>();
            let small = Scope::Patterns(parse(&list));
            let mut longer = list.clone();
            longer.push(more);
            let large = Scope::Patterns(parse(&longer));
            let name = relation(&s, &n);
            prop_assert!(!small.admits(&name) || large.admits(&name));
        }

        #[test]
        fn a_pattern_that_contains_another_covers_what_it_covers(a in "[ab*]{1,4}\\.[ab*]{1,4}", b in "[ab*]{1,4}\\.[ab*]{1,4}", s in "[ab]{1,5}", n in "[ab]{1,5}") {
            let (wide, narrow) = (RelationPattern::parse(&a).unwrap(), RelationPattern::parse(&b).unwrap());
            let name = relation(&s, &n);
            prop_assert!(!wide.contains(&narrow) || !narrow.matches(&name) || wide.matches(&name));
            prop_assert!(wide.contains(&wide));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,40}") {
            let _ = RelationPattern::parse(&text);
            let _ = ColumnPattern::parse(&text);
        }
    }
}
