//! The tokens of a text, as PostgreSQL's scanner splits it.
//!
//! Used to find where a written name ends: the tree notes only where it begins.

use crate::tree::ParseError;
use pg_query::protobuf::{KeywordKind, Token as Kind};

/// One token: byte range and kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    kind: Option<Kind>,
}

impl Token {
    /// Whether it is a comment.
    pub fn is_comment(self) -> bool {
        matches!(self.kind, Some(Kind::SqlComment | Kind::CComment))
    }

    /// The text of the token.
    pub fn text(self, source: &str) -> &str {
        source.get(self.start..self.end).unwrap_or("")
    }

    /// Whether it is this keyword or sign, case-insensitively. Quoted names and strings never are.
    pub fn is(self, source: &str, word: &str) -> bool {
        self.text(source).eq_ignore_ascii_case(word)
    }

    /// Whether a `U&"…"` name, which an `UESCAPE '…'` may follow.
    pub fn is_unicode_name(self) -> bool {
        self.kind == Some(Kind::Uident)
    }

    /// Whether it is a value: a string, a number, bits.
    pub fn is_literal(self) -> bool {
        matches!(
            self.kind,
            Some(Kind::Sconst | Kind::Usconst | Kind::Bconst | Kind::Xconst | Kind::Iconst | Kind::Fconst)
        )
    }

    /// Whether it can only be a name: not a keyword, not a sign.
    pub fn is_name(self) -> bool {
        matches!(self.kind, Some(Kind::Ident | Kind::Uident))
    }

    /// The name as the catalogue holds it; none for `U&"…"`, which is not decoded.
    pub fn stored_name(self, source: &str) -> Option<String> {
        let text = self.text(source);
        match (self.kind, text.strip_prefix('"')) {
            (Some(Kind::Ident), Some(quoted)) => Some(quoted.strip_suffix('"')?.replace("\"\"", "\"")),
            (Some(Kind::Ident), None) => Some(text.to_ascii_lowercase()),
            _ => None,
        }
    }
}

/// The tokens of a text without comments, in order.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    list: Vec<Token>,
}

/// Splits a text.
pub fn scan(text: &str) -> Result<Tokens, ParseError> {
    let result = pg_query::scan(text).map_err(|error| ParseError::Syntax(error.to_string()))?;
    let list = result
        .tokens
        .iter()
        .filter_map(|token| {
            let start = usize::try_from(token.start).ok()?;
            let end = usize::try_from(token.end).ok()?;
            Some(Token { start, end, kind: Kind::try_from(token.token).ok() })
        })
        .collect();
    Ok(Tokens { list })
}

/// Whether a stored name reads back unchanged when it is written without quotes, wherever a name may stand.
pub fn is_bare_name(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let scanned = pg_query::scan(name).map(|result| result.tokens).unwrap_or_default();
    let [token] = scanned.as_slice() else { return false };
    let free = [KeywordKind::NoKeyword, KeywordKind::UnreservedKeyword];
    plain && KeywordKind::try_from(token.keyword_kind).is_ok_and(|kind| free.contains(&kind))
}

impl Tokens {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether the text contains a comment.
    pub fn has_comment(&self) -> bool {
        self.list.iter().any(|token| token.is_comment())
    }

    /// The index of the token that starts at a byte offset.
    pub fn at(&self, offset: usize) -> Option<usize> {
        self.list.binary_search_by_key(&offset, |token| token.start).ok()
    }

    /// Every token, comments included.
    pub fn iter(&self) -> impl Iterator<Item = Token> {
        self.list.iter().copied()
    }

    /// The token at an index.
    pub fn get(&self, index: usize) -> Option<Token> {
        self.list.get(index).copied()
    }

    /// The next token after an index that is not a comment.
    pub fn next(&self, index: usize) -> Option<usize> {
        (index.checked_add(1)?..self.list.len())
            .find(|at| self.get(*at).is_some_and(|token| !token.is_comment()))
    }

    /// The previous token before an index that is not a comment.
    pub fn previous(&self, index: usize) -> Option<usize> {
        (0..index).rev().find(|at| self.get(*at).is_some_and(|token| !token.is_comment()))
    }

    /// The index of the last token of a dotted name of `parts` parts that starts at index `first`, with an
    /// `UESCAPE` clause where one follows.
    pub fn end_of_name(&self, source: &str, first: usize, parts: usize) -> Option<usize> {
        let mut last = self.end_of_part(source, first);
        for _ in 1..parts {
            let dot = self.next(last)?;
            if !self.get(dot)?.is(source, ".") {
                return None;
            }
            last = self.end_of_part(source, self.next(dot)?);
        }
        Some(last)
    }

    fn end_of_part(&self, source: &str, index: usize) -> usize {
        let escape = || {
            let clause = self.next(index)?;
            let unicode = self.get(index)?.is_unicode_name();
            (unicode && self.get(clause)?.is(source, "uescape")).then(|| self.next(clause)).flatten()
        };
        escape().unwrap_or(index)
    }
}
