//! Types, operators and casts that a database adds to PostgreSQL's own.
//!
//! Type names are texts as `format_type` prints them with an empty search path: `text`, `public.mood`,
//! `public."Odd"[]`. What is known here is what an expression's type depends on; a domain's checks and a range's
//! functions are not.

use crate::name::{FunctionName, Identifier, RelationName};
use serde::{Deserialize, Serialize};

/// A type somebody created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserType {
    /// What it is made of.
    pub kind: UserTypeKind,
    /// PostgreSQL's category of it, e.g. `S` for strings: candidates for a call are chosen by it.
    pub category: char,
    /// Whether it is the preferred type of its category.
    pub preferred: bool,
    /// The extension it belongs to.
    pub extension: Option<Identifier>,
}

impl UserType {
    /// A type of the category PostgreSQL gives its kind when nobody says otherwise.
    pub fn new(kind: UserTypeKind) -> Self {
        let category = kind.usual_category();
        Self { kind, category, preferred: false, extension: None }
    }
}

/// The kinds of user types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserTypeKind {
    /// `CREATE TYPE … AS ENUM`.
    Enum {
        /// Its labels in their order.
        labels: Vec<String>,
    },
    /// `CREATE DOMAIN`.
    Domain {
        /// The type below it, with its modifier.
        base: String,
        /// Whether NULL is refused.
        not_null: bool,
    },
    /// `CREATE TYPE … AS (…)`.
    Composite {
        /// Its fields in their order.
        fields: Vec<(Identifier, String)>,
    },
    /// `CREATE TYPE … AS RANGE`.
    Range {
        /// The type of its bounds.
        subtype: String,
    },
    /// A type of its own, such as `citext`.
    Base,
}

impl UserTypeKind {
    /// The category CREATE TYPE chooses; a domain has its base type's, which only the server knows.
    pub(crate) fn usual_category(&self) -> char {
        match self {
            Self::Enum { .. } => 'E',
            Self::Composite { .. } => 'C',
            Self::Range { .. } => 'R',
            Self::Domain { .. } | Self::Base => 'U',
        }
    }
}

/// An operator somebody created.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UserOperator {
    /// The schema it lives in.
    pub schema: Identifier,
    /// Its symbol.
    pub name: Identifier,
    /// The type on its left; none for a prefix operator.
    pub left: Option<String>,
    /// The type on its right.
    pub right: String,
    /// The type of its result.
    pub result: String,
    /// The function behind it, which may be PostgreSQL's own.
    pub function: FunctionName,
}

/// A cast somebody created.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UserCast {
    /// The type of the value.
    pub from: String,
    /// The type it becomes.
    pub to: String,
    /// Where PostgreSQL applies it unasked.
    pub context: CastContext,
    /// The function behind it; none where the bytes or the text are taken over.
    pub function: Option<FunctionName>,
}

/// Where a cast applies unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CastContext {
    /// Anywhere.
    Implicit,
    /// When a value is stored.
    Assignment,
    /// Nowhere.
    Explicit,
}

/// The user types a type text is made of, without array brackets and modifiers: at most one name, none for
/// PostgreSQL's own types. A modifier stands in parentheses, which an unquoted name cannot contain.
pub fn named_type(sql: &str) -> Option<RelationName> {
    let (schema, rest) = read_identifier(sql)?;
    let (name, rest) = read_identifier(rest.strip_prefix('.')?)?;
    let tail = rest.trim_start();
    let ends = tail.is_empty() || tail.starts_with('(') || tail.starts_with('[');
    ends.then(|| RelationName::stored(schema, name).ok()).flatten()
}

/// One identifier as PostgreSQL prints it, and what follows it.
fn read_identifier(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find(['.', '(', '[', ' ']).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end)?;
        return (!name.is_empty()).then(|| (name.to_owned(), rest));
    };
    let mut name = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_behind_arrays_modifiers_and_quotes_is_found() {
        let named =
            |text| named_type(text).map(|name| (name.schema.to_string(), name.name.as_str().to_owned()));
        let mood = Some(("public".to_owned(), "mood".to_owned()));
        assert_eq!(named("public.mood"), mood);
        assert_eq!(named("public.mood[]"), mood);
        assert_eq!(named("public.geometry(Point,4326)").unwrap().1, "geometry");
        assert_eq!(named("public.\"a \"\"b.\"\"\"[]").unwrap().1, "a \"b.\"");
        for builtin in
            ["text", "character varying(40)", "timestamp with time zone", "numeric(10,2)[]", "\"char\"", ""]
        {
            assert_eq!(named(builtin), None, "{builtin}");
        }
    }
}
