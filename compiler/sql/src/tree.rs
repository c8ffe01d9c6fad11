//! The parse tree of a text, complete by construction.
//!
//! Every node knows its kind (`SelectStmt`, `RangeVar`, …) and holds its fields by name, whatever they are; a walk
//! over [`Node::each_child`] therefore visits everything. Refused: text the parser refuses, text nested deeper
//! than there is room for, and anything the table of messages does not know.
//!
//! A tree costs stack to read, to climb and to let go, a level at a time. Whoever is prepared for a deep one works inside
//! [`with_depth`](crate::with_depth); everybody else gets 100 levels, which any thread can climb.

use crate::depth;
use crate::grammar::GRAMMAR;
use crate::room;
use crate::token;
use prost::Message as _;

/// Why there is no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The parser refuses the text; its own words.
    #[error("{0}")]
    Syntax(String),
    /// A NUL character.
    #[error("the text contains a NUL character")]
    Nul,
    /// Deeper than there is room for.
    #[error(
        "the statement is nested too deeply; split it, or use `concat`, `any(array[...])` or a join instead"
    )]
    TooDeep,
    /// More words than are read.
    #[error(
        "the statement is too long: it has more than {MOST_TOKENS} words and signs; send the values as parameters, with COPY, or in several statements"
    )]
    TooLong,
    /// The parser produced something we have no description of.
    #[error("the statement contains a construct that is not known here (`{0}`)")]
    Unknown(String),
}

impl ParseError {
    /// The SQLSTATE a client that sent `text` should see.
    pub fn sqlstate(&self, text: &str) -> &'static str {
        match self {
            // One message for two faults: the scanner's in `E'…'` is not one of syntax, the parser's in `U&'…'` is.
            Self::Syntax(message) if message == "invalid Unicode escape" && token::scan(text).is_err() => {
                "22025"
            }
            Self::Syntax(_) => "42601",
            Self::Nul => "22021",
            Self::TooDeep => "54001",
            Self::TooLong => "54000",
            Self::Unknown(_) => "0A000",
        }
    }
}

/// Tokens of a text that are read: its tree takes about a kilobyte for each.
const MOST_TOKENS: usize = 250_000;

/// A node of the tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    kind: &'static str,
    fields: Vec<(&'static str, Value)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Node(Node),
    Number(i64),
    Text(String),
}

/// The statements of a text, each a `RawStmt`.
///
/// Runs on a thread of its own, so that neither a deep statement nor a fault in the parser takes the process down.
pub fn parse(text: &str) -> Result<Vec<Node>, ParseError> {
    if !depth::fits(text) {
        return Err(ParseError::TooDeep);
    }
    // A token takes a byte at least.
    if text.len() > MOST_TOKENS && token::scan(text).is_ok_and(|tokens| tokens.iter().count() > MOST_TOKENS) {
        return Err(ParseError::TooLong);
    }
    room::with_room_for(text, |levels| parse_here(text, levels))
        .unwrap_or_else(|| Err(ParseError::Unknown("the parser failed".to_owned())))
}

fn parse_here(text: &str, levels: usize) -> Result<Vec<Node>, ParseError> {
    let parsed = pg_query::parse(text, 0).map_err(refusal)?;
    let bytes = parsed.protobuf.encode_to_vec();
    let root = decode("ParseResult", &bytes, levels)?;
    Ok(root.into_children("stmts"))
}

/// How many levels the tree of a text has, if it has one.
#[cfg(test)]
pub(crate) fn levels(text: &str) -> Option<usize> {
    crate::with_depth(text, || {
        // Found by halving: a limit one lower refuses it.
        let (mut refused, mut read) = (0, depth::MOST);
        parse_here(text, read).ok()?;
        while refused + 1 < read {
            let middle = usize::midpoint(refused, read);
            match parse_here(text, middle) {
                Ok(_) => read = middle,
                Err(_) => refused = middle,
            }
        }
        Some(read)
    })
    .flatten()
}

fn refusal(error: pg_query::Error) -> ParseError {
    match error {
        pg_query::Error::Parse(message) if message.contains("stack depth limit") => ParseError::TooDeep,
        pg_query::Error::Parse(message) if message.contains("memory exhausted") => ParseError::TooDeep,
        pg_query::Error::Parse(message) if message.contains("nested too deeply") => ParseError::TooDeep,
        pg_query::Error::Parse(message) => ParseError::Syntax(message),
        pg_query::Error::Conversion(_) => ParseError::Nul,
        other => ParseError::Unknown(other.to_string()),
    }
}

impl Node {
    /// The kind, as PostgreSQL's sources call it.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether it is of that kind.
    pub fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }

    /// The first child in that field.
    pub fn child(&self, field: &str) -> Option<&Self> {
        self.each_child().find(|(name, _)| *name == field).map(|(_, node)| node)
    }

    /// The children in that field, in order. A missing list element is a node of kind `Node`.
    pub fn children<'a>(&'a self, field: &'a str) -> impl Iterator<Item = &'a Self> {
        self.each_child().filter(move |(name, _)| *name == field).map(|(_, node)| node)
    }

    /// Every child with the field it stands in.
    pub fn each_child(&self) -> impl Iterator<Item = (&'static str, &Self)> {
        self.fields.iter().filter_map(|(name, value)| match value {
            Value::Node(node) => Some((*name, node)),
            Value::Number(_) | Value::Text(_) => None,
        })
    }

    /// The names of the fields that hold anything but their default.
    pub fn field_names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|(name, _)| *name)
    }

    /// Whether any child stands in that field.
    pub fn has(&self, field: &str) -> bool {
        self.child(field).is_some()
    }

    /// The text in that field; empty when there is none.
    pub fn text(&self, field: &str) -> &str {
        self.fields
            .iter()
            .find_map(|(name, value)| match value {
                Value::Text(text) if *name == field => Some(text.as_str()),
                _ => None,
            })
            .unwrap_or("")
    }

    /// The number in that field; zero when there is none.
    pub fn number(&self, field: &str) -> i64 {
        self.fields
            .iter()
            .find_map(|(name, value)| match value {
                Value::Number(number) if *name == field => Some(*number),
                _ => None,
            })
            .unwrap_or(0)
    }

    /// Whether the flag in that field is set.
    pub fn flag(&self, field: &str) -> bool {
        self.number(field) != 0
    }

    /// The name of the enum value in that field; empty for a value that has no name.
    pub fn choice(&self, field: &str) -> &'static str {
        GRAMMAR
            .kind_of(self.kind, field)
            .and_then(|kind| GRAMMAR.enum_value(kind, self.number(field)))
            .unwrap_or("")
    }

    /// The byte offset the parser notes, if it does. Absent (−1) and 0 are told apart.
    pub fn location(&self) -> Option<usize> {
        usize::try_from(self.number("location")).ok()
    }

    /// The texts of `String` children of that field; `None` if any child is something else.
    pub fn strings(&self, field: &str) -> Option<Vec<&str>> {
        let children = self.each_child().filter(|(name, _)| *name == field);
        children.map(|(_, node)| node.is("String").then(|| node.text("sval"))).collect()
    }

    fn into_children(self, field: &str) -> Vec<Self> {
        self.fields
            .into_iter()
            .filter_map(|(name, value)| match value {
                Value::Node(node) if name == field => Some(node),
                _ => None,
            })
            .collect()
    }
}

/// Reads one message of at most so many levels.
fn decode(kind: &'static str, mut bytes: &[u8], levels: usize) -> Result<Node, ParseError> {
    let inside = levels.checked_sub(1).ok_or(ParseError::TooDeep)?;
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let number = u32::try_from(key >> 3).map_err(|_| unknown(kind, "field"))?;
        let field = GRAMMAR.field(kind, number).ok_or_else(|| unknown(kind, &number.to_string()))?;
        let value = match key & 7 {
            0 => scalar(field.kind, varint(&mut bytes)?).ok_or_else(|| unknown(kind, field.name))?,
            2 => nested(field.kind, block(&mut bytes)?, inside)
                .unwrap_or_else(|| Err(unknown(kind, field.name)))?,
            _ => return Err(unknown(kind, field.name)),
        };
        fields.push((field.name, value));
    }
    if kind == "Node" {
        // A wrapper around exactly one node; without content it stands for a missing list element.
        if let Some((_, Value::Node(inner))) = fields.pop() {
            return Ok(inner);
        }
        return Ok(Node { kind, fields: Vec::new() });
    }
    Ok(Node { kind, fields })
}

fn scalar(kind: &str, raw: u64) -> Option<Value> {
    let known = ["int32", "uint32", "int64", "uint64", "bool"].contains(&kind) || GRAMMAR.is_enum(kind);
    known.then(|| Value::Number(raw.cast_signed()))
}

fn nested(kind: &str, bytes: &[u8], levels: usize) -> Option<Result<Value, ParseError>> {
    if kind == "string" {
        return String::from_utf8(bytes.to_vec()).ok().map(|text| Ok(Value::Text(text)));
    }
    GRAMMAR.message(kind).map(|message| decode(message, bytes, levels).map(Value::Node))
}

fn varint(bytes: &mut &[u8]) -> Result<u64, ParseError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or_else(|| unknown("wire", "end"))?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(unknown("wire", "number"))
}

fn block<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], ParseError> {
    let length = usize::try_from(varint(bytes)?).map_err(|_| unknown("wire", "length"))?;
    let (block, rest) = bytes.split_at_checked(length).ok_or_else(|| unknown("wire", "length"))?;
    *bytes = rest;
    Ok(block)
}

fn unknown(kind: &str, field: &str) -> ParseError {
    ParseError::Unknown(format!("{kind}.{field}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relations(node: &Node, found: &mut Vec<String>) {
        if node.is("RangeVar") {
            found.push(node.text("relname").to_owned());
        }
        for (_, child) in node.each_child() {
            relations(child, found);
        }
    }

    fn names(sql: &str) -> Vec<String> {
        let mut found = Vec::new();
        for statement in parse(sql).unwrap() {
            relations(&statement, &mut found);
        }
        found
    }

    #[test]
    fn every_relation_is_seen_wherever_it_stands() {
        for sql in [
            "INSERT INTO a VALUES (1) RETURNING (SELECT x FROM users)",
            "DECLARE c CURSOR FOR SELECT * FROM users",
            "EXECUTE p((SELECT 1 FROM users))",
            "CREATE TEMP TABLE t (LIKE users)",
            "SELECT 1 LIMIT (SELECT count(*) FROM users)",
            "SELECT sum(x) FILTER (WHERE EXISTS (SELECT 1 FROM users)) FROM a",
            "SELECT 1 FROM a WINDOW w AS (ORDER BY (SELECT 1 FROM users))",
            "EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT * FROM users",
            "SELECT * FROM JSON_TABLE((SELECT meta FROM users), '$' COLUMNS (x text PATH '$.a')) j",
            "MERGE INTO a USING users u ON true WHEN MATCHED THEN DELETE",
            "VALUES ((SELECT 1 FROM users))",
            "COPY (SELECT * FROM users) TO STDOUT",
        ] {
            assert!(names(sql).contains(&"users".to_owned()), "{sql}");
        }
    }

    #[test]
    fn negative_numbers_absent_fields_and_enums_read_as_written() {
        let statements = parse("SELECT -1, x FROM t LIMIT 1").unwrap();
        let select = statements[0].child("stmt").unwrap();
        assert_eq!(select.kind(), "SelectStmt");
        assert_eq!(select.choice("op"), "SETOP_NONE");
        assert!(!select.has("where_clause"));
    }

    #[test]
    fn too_deep_a_statement_is_refused_not_crashed_on() {
        for depth in [200, 3000, 50_000] {
            for (open, close) in [("1 || ", ""), ("not ", ""), ("(select ", ")"), ("f(", ")"), ("1 + (", ")")]
            {
                let sql = format!("SELECT {}1{}", open.repeat(depth), close.repeat(depth));
                assert_eq!(parse(&sql).unwrap_err(), ParseError::TooDeep, "{depth} {open}");
            }
        }
    }

    #[test]
    fn whoever_is_prepared_for_depth_reads_a_thousand_links_and_no_hundred_thousand() {
        let count = |sql: &str| {
            crate::with_depth(sql, || {
                let statements = parse(sql)?;
                let (mut open, mut seen) = (statements.iter().collect::<Vec<_>>(), 0);
                while let Some(node) = open.pop() {
                    seen += 1;
                    open.extend(node.each_child().map(|(_, child)| child));
                }
                Ok(seen)
            })
            .unwrap()
        };
        for (open, close) in
            [(" || 'x'", ""), (" + 1", ""), (" OR a", ""), (" UNION ALL SELECT 1", ""), ("::text", "")]
        {
            for times in [1_000, 100_000] {
                let sql = format!("SELECT 1{}{}", open.repeat(times), close.repeat(times));
                let read = count(&sql);
                match times {
                    1_000 => assert!(read.clone().unwrap() > 1_000, "{open}: {read:?}"),
                    _ if open == " OR a" => assert!(read.is_ok()),
                    _ => assert_eq!(read, Err(ParseError::TooDeep), "{open}"),
                }
            }
        }
        for open in ["NOT ", "- ", "f(", "(SELECT ", "1 IN(", "a[", "CASE WHEN ", "ARRAY["] {
            for times in [1_000, 100_000] {
                let close = match open {
                    "NOT " | "- " => "",
                    "a[" | "ARRAY[" => "]",
                    "CASE WHEN " => " THEN 1 END",
                    _ => ")",
                };
                let sql = format!("SELECT {}1{}", open.repeat(times), close.repeat(times));
                let read = count(&sql);
                assert!(times == 1_000 || read == Err(ParseError::TooDeep), "{open}: {read:?}");
            }
        }
    }

    #[test]
    fn refusals_carry_a_sqlstate() {
        for (text, code) in [
            ("SELEC 1", "42601"),
            ("SELECT E'\\u061'", "22025"),
            ("SELECT U&'\\061'", "42601"),
            ("SELECT '\0'", "22021"),
        ] {
            assert_eq!(parse(text).unwrap_err().sqlstate(text), code, "{text}");
        }
    }
}
