//! Filters (RFC 7644, 3.4.2.2), and the paths of PATCH, which are made of the same pieces.

use crate::error::{Kind, ScimError, shown};
use crate::lexer::{Token, tokens};
use crate::schema::{Attribute, Schema, find};
use serde_json::{Number, Value};
use std::vec::IntoIter;

/// How deep parentheses may be.
const DEEPEST: u32 = 32;
/// The most comparisons.
const WIDEST: u32 = 256;

/// An attribute, perhaps one of its sub-attributes; both exist.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The attribute.
    pub attribute: &'static Attribute,
    /// The sub-attribute.
    pub sub: Option<&'static Attribute>,
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        let sub = |place: &Self| place.sub.map(|sub| sub.name);
        self.attribute.name == other.attribute.name && sub(self) == sub(other)
    }
}

/// How to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `eq`
    Equal,
    /// `ne`
    NotEqual,
    /// `co`
    Contains,
    /// `sw`
    StartsWith,
    /// `ew`
    EndsWith,
    /// `gt`
    Greater,
    /// `ge`
    GreaterOrEqual,
    /// `lt`
    Less,
    /// `le`
    LessOrEqual,
}

/// What to find.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Either.
    Or(Box<Filter>, Box<Filter>),
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// The contrary.
    Not(Box<Filter>),
    /// It has a value.
    Present(Place),
    /// It compares.
    Compare(Place, Comparison, Value),
    /// One of its values fits; places in there are sub-attributes.
    Some(&'static Attribute, Box<Filter>),
}

impl PartialEq for Attribute {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Where a PATCH operation works.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The attribute.
    pub attribute: &'static Attribute,
    /// Which of its values; all, if absent.
    pub values: Option<Filter>,
    /// A sub-attribute.
    pub sub: Option<&'static Attribute>,
}

/// Where names are looked up.
#[derive(Clone, Copy)]
enum Names {
    Of(&'static Schema),
    Subs(&'static Attribute),
}

struct Parser {
    tokens: std::iter::Peekable<IntoIter<Token>>,
    comparisons: u32,
}

/// Reads a filter over resources of a schema.
pub fn parse(text: &str, schema: &'static Schema) -> Result<Filter, ScimError> {
    let mut parser = Parser::of(text).ok_or_else(|| wrong(text))?;
    let filter = parser.or(Names::Of(schema), 0)?;
    if parser.tokens.next().is_some() {
        return Err(wrong(text));
    }
    Ok(filter)
}

/// Reads a path; `None` if it names another schema's attribute, which is not kept here.
pub fn parse_path(text: &str, schema: &'static Schema) -> Result<Option<Target>, ScimError> {
    let bad = || {
        let known = "an attribute, `attribute.sub`, `attribute[filter]` or `attribute[filter].sub`";
        ScimError::new(Kind::InvalidPath, format!("`{}` is not a path here; a path is {known}", shown(text)))
    };
    let mut parser = Parser::of(text).ok_or_else(bad)?;
    let Some(Token::Word(name)) = parser.tokens.next() else { return Err(bad()) };
    let Some(name) = plain(&name, schema) else { return Ok(None) };
    let (first, second) = name.split_once('.').map_or((name, None), |(first, second)| (first, Some(second)));
    let attribute = schema.find(first).ok_or_else(bad)?;
    let mut target = Target { attribute, values: None, sub: None };
    let mut sub = second.map(str::to_owned);
    if parser.tokens.next_if_eq(&Token::OpenValue).is_some() {
        if sub.is_some() || attribute.subs().is_empty() || !attribute.multi {
            return Err(bad());
        }
        target.values = Some(parser.or(Names::Subs(attribute), 1).map_err(|_| bad())?);
        if parser.tokens.next() != Some(Token::CloseValue) {
            return Err(bad());
        }
        sub = match parser.tokens.next() {
            None => None,
            Some(Token::Word(word)) => Some(word.strip_prefix('.').ok_or_else(bad)?.to_owned()),
            Some(_) => return Err(bad()),
        };
    }
    if let Some(sub) = sub {
        target.sub = Some(find(attribute.subs(), &sub).ok_or_else(bad)?);
    }
    if parser.tokens.next().is_some() {
        return Err(bad());
    }
    Ok(Some(target))
}

/// What everything that is found has, so that it can be looked up. What leaves fewer comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lookup<'a> {
    /// This id.
    Id(&'a str),
    /// This, in any case, of what no two of them share.
    Unique(&'a str),
    /// What the client calls it.
    ExternalId(&'a str),
    /// This address among its addresses, in any case.
    Email(&'a str),
    /// This member among its members, by id.
    Member(&'a str),
    /// Access, or none.
    Active(bool),
}

impl Filter {
    /// By what all that is found in resources of a schema can be looked up, if the filter says so. What is looked up may be
    /// more than what is found.
    pub fn lookup(&self, schema: &Schema) -> Option<Lookup<'_>> {
        match self {
            Self::Compare(place, Comparison::Equal, wanted) => place.lookup(schema, wanted),
            Self::And(left, right) => {
                let both = [left.lookup(schema), right.lookup(schema)];
                both.into_iter().flatten().min()
            }
            // One of its values fits all of it, so the resource has such a value.
            Self::Some(_, inner) => inner.lookup(schema),
            Self::Or(..) | Self::Not(_) | Self::Present(_) | Self::Compare(..) => None,
        }
    }
}

impl Place {
    fn lookup<'a>(&self, schema: &Schema, wanted: &'a Value) -> Option<Lookup<'a>> {
        match (self.attribute.name, self.sub.map(|sub| sub.name), wanted) {
            ("id", None, Value::String(id)) => Some(Lookup::Id(id)),
            ("externalId", None, Value::String(id)) => Some(Lookup::ExternalId(id)),
            ("emails", None | Some("value"), Value::String(email)) => Some(Lookup::Email(email)),
            ("members", None | Some("value"), Value::String(id)) => Some(Lookup::Member(id)),
            ("active", None, Value::Bool(active)) => Some(Lookup::Active(*active)),
            ("active", None, Value::String(text)) => {
                text.to_ascii_lowercase().parse().ok().map(Lookup::Active)
            }
            (name, None, Value::String(text)) if name == schema.unique => Some(Lookup::Unique(text)),
            _ => None,
        }
    }
}

impl Parser {
    fn of(text: &str) -> Option<Self> {
        tokens(text).map(|tokens| Self { tokens: tokens.into_iter().peekable(), comparisons: 0 })
    }

    fn or(&mut self, names: Names, depth: u32) -> Result<Filter, ScimError> {
        let mut left = self.and(names, depth)?;
        while self.word_is("or") {
            left = Filter::Or(Box::new(left), Box::new(self.and(names, depth)?));
        }
        Ok(left)
    }

    fn and(&mut self, names: Names, depth: u32) -> Result<Filter, ScimError> {
        let mut left = self.one(names, depth)?;
        while self.word_is("and") {
            left = Filter::And(Box::new(left), Box::new(self.one(names, depth)?));
        }
        Ok(left)
    }

    fn one(&mut self, names: Names, depth: u32) -> Result<Filter, ScimError> {
        if depth >= DEEPEST {
            return Err(too_large());
        }
        match self.tokens.next() {
            Some(Token::Open) => self.closed(names, depth),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("not") => {
                if self.tokens.next() != Some(Token::Open) {
                    return Err(wrong("not"));
                }
                Ok(Filter::Not(Box::new(self.closed(names, depth)?)))
            }
            Some(Token::Word(name)) => self.about(&name, names, depth),
            _ => Err(wrong("")),
        }
    }

    fn closed(&mut self, names: Names, depth: u32) -> Result<Filter, ScimError> {
        let inner = self.or(names, depth.saturating_add(1))?;
        match self.tokens.next() {
            Some(Token::Close) => Ok(inner),
            _ => Err(wrong("(")),
        }
    }

    fn about(&mut self, name: &str, names: Names, depth: u32) -> Result<Filter, ScimError> {
        self.comparisons = self.comparisons.saturating_add(1);
        if self.comparisons > WIDEST {
            return Err(too_large());
        }
        let place = names.place(name)?;
        if self.tokens.next_if_eq(&Token::OpenValue).is_none() {
            return self.compared(place);
        }
        let Place { attribute, sub: None } = place else { return Err(wrong(name)) };
        if attribute.subs().is_empty() {
            return Err(wrong(name));
        }
        let inner = self.or(Names::Subs(attribute), depth.saturating_add(1))?;
        if self.tokens.next() != Some(Token::CloseValue) {
            return Err(wrong(name));
        }
        // `emails[type eq "work"].value eq "x"` is not in the grammar, and is sent.
        let dotted = |token: &Token| matches!(token, Token::Word(word) if word.starts_with('.'));
        let Some(Token::Word(word)) = self.tokens.next_if(dotted) else {
            return Ok(Filter::Some(attribute, Box::new(inner)));
        };
        let place = Names::Subs(attribute).place(word.trim_start_matches('.'))?;
        let compared = self.compared(place)?;
        Ok(Filter::Some(attribute, Box::new(Filter::And(Box::new(inner), Box::new(compared)))))
    }

    fn compared(&mut self, place: Place) -> Result<Filter, ScimError> {
        let Some(Token::Word(operator)) = self.tokens.next() else { return Err(wrong(place.attribute.name)) };
        let comparison = match operator.to_ascii_lowercase().as_str() {
            "pr" => return Ok(Filter::Present(place)),
            "eq" => Comparison::Equal,
            "ne" => Comparison::NotEqual,
            "co" => Comparison::Contains,
            "sw" => Comparison::StartsWith,
            "ew" => Comparison::EndsWith,
            "gt" => Comparison::Greater,
            "ge" => Comparison::GreaterOrEqual,
            "lt" => Comparison::Less,
            "le" => Comparison::LessOrEqual,
            _ => return Err(wrong(&operator)),
        };
        let value = match self.tokens.next() {
            Some(Token::Text(text)) => Value::String(text),
            Some(Token::Word(word)) => literal(&word).ok_or_else(|| wrong(&word))?,
            _ => return Err(wrong(&operator)),
        };
        let ordered = matches!(value, Value::String(_) | Value::Number(_));
        if !ordered && !matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
            return Err(wrong(&operator));
        }
        Ok(Filter::Compare(place, comparison, value))
    }

    fn word_is(&mut self, wanted: &str) -> bool {
        let is = |token: &Token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(wanted));
        self.tokens.next_if(is).is_some()
    }
}

impl Names {
    fn place(self, name: &str) -> Result<Place, ScimError> {
        let unknown = || {
            let detail = format!("`{}` is not an attribute that can be filtered by", shown(name));
            ScimError::new(Kind::InvalidFilter, detail)
        };
        match self {
            Self::Subs(attribute) => {
                let sub = find(attribute.subs(), name).ok_or_else(unknown)?;
                Ok(Place { attribute, sub: Some(sub) })
            }
            Self::Of(schema) => {
                let name = plain(name, schema).ok_or_else(unknown)?;
                let (first, second) =
                    name.split_once('.').map_or((name, None), |(first, second)| (first, Some(second)));
                let attribute = schema.find(first).ok_or_else(unknown)?;
                let sub = second.map(|name| find(attribute.subs(), name).ok_or_else(unknown)).transpose()?;
                Ok(Place { attribute, sub })
            }
        }
    }
}

/// Without the schema's URN before it; `None` with another one's.
fn plain<'a>(name: &'a str, schema: &Schema) -> Option<&'a str> {
    let Some((urn, rest)) = name.rsplit_once(':') else { return Some(name) };
    urn.eq_ignore_ascii_case(schema.id).then_some(rest)
}

fn literal(word: &str) -> Option<Value> {
    match word.to_ascii_lowercase().as_str() {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        "null" => Some(Value::Null),
        _ => serde_json::from_str::<Number>(word).ok().map(Value::Number),
    }
}

fn wrong(near: &str) -> ScimError {
    let detail = format!(
        "the filter is not understood near `{}`; comparisons are like `userName eq \"ana\"`, joined by `and`, `or`, `not (…)`",
        shown(near)
    );
    ScimError::new(Kind::InvalidFilter, detail)
}

fn too_large() -> ScimError {
    let detail = format!("the filter is too large; at most {WIDEST} comparisons, {DEEPEST} deep");
    ScimError::new(Kind::InvalidFilter, detail)
}

#[cfg(test)]
mod tests;
