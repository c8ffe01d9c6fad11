//! `kind: test`: expectations about who sees what.

use super::decode::{Decoder, Fields, Spanned};
use super::group::email;
use super::mask;
use super::node::{Entry, Node, Value};
use crate::rule;
use daam_diagnostic::Location;
use daam_model::Verb;

/// A test document.
#[derive(Debug)]
pub(crate) struct WrittenTest {
    pub(crate) database: Spanned<String>,
    pub(crate) cases: Vec<WrittenCase>,
}

/// One case.
#[derive(Debug)]
pub(crate) struct WrittenCase {
    pub(crate) name: Spanned<String>,
    pub(crate) subject: Option<WrittenSubject>,
    pub(crate) requests: Vec<Spanned<String>>,
    pub(crate) expect: Vec<WrittenExpectation>,
    pub(crate) who_can: Option<WrittenWhoCan>,
    /// What it also asks of real rows, which needs a database.
    pub(crate) live: Option<WrittenLive>,
}

/// `sql:` and `returns:`.
#[derive(Debug)]
pub(crate) struct WrittenLive {
    pub(crate) sql: String,
    /// Values as PostgreSQL prints them; absent is NULL.
    pub(crate) returns: Vec<Vec<Option<String>>>,
}

/// `as:`.
#[derive(Debug)]
pub(crate) struct WrittenSubject {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) groups: Vec<Spanned<String>>,
    pub(crate) attributes: Vec<(Spanned<String>, String)>,
}

/// One relation of `expect:`.
#[derive(Debug)]
pub(crate) struct WrittenExpectation {
    pub(crate) relation: Spanned<String>,
    pub(crate) verbs: Vec<(Spanned<Verb>, Access)>,
    pub(crate) rows: Option<Spanned<String>>,
    pub(crate) columns: Vec<(Spanned<String>, Spanned<Sight>)>,
    /// The policies that decide, exactly.
    pub(crate) reason: Option<(Location, Vec<Spanned<String>>)>,
}

/// What is expected of a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Allow,
    Deny,
    /// Not held, but to be had by asking.
    Request,
}

/// What is expected of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Readable and not masked.
    Clear,
    /// Not readable.
    Deny,
    /// Readable through that preset.
    Mask(String),
}

/// `who_can:`.
#[derive(Debug)]
pub(crate) struct WrittenWhoCan {
    pub(crate) at: Location,
    pub(crate) verb: Spanned<Verb>,
    pub(crate) target: Spanned<String>,
    pub(crate) unmasked: bool,
    pub(crate) exactly: Vec<Spanned<String>>,
}

const CASE: [&str; 7] = ["name", "as", "requests", "expect", "who_can", "sql", "returns"];

pub(crate) fn read(decoder: &mut Decoder<'_>, node: &Node) -> Option<WrittenTest> {
    let fields = decoder.mapping(node, "a test", &["kind", "database", "description", "cases"])?;
    if let Some(node) = fields.get("description") {
        decoder.text(node, "a description");
    }
    let database = decoder.required(&fields, "a test", "database");
    let cases = decoder.required(&fields, "a test", "cases");
    let cases = cases.and_then(|node| decoder.list(node, "`cases`")).unwrap_or_default();
    let cases = cases.iter().filter_map(|node| case(decoder, node)).collect();
    let database = decoder.text(database?, "the database")?;
    Some(WrittenTest { database, cases })
}

fn case(decoder: &mut Decoder<'_>, node: &Node) -> Option<WrittenCase> {
    let fields = decoder.mapping(node, "a case", &CASE)?;
    let name = decoder.required(&fields, "a case", "name");
    let name = name.and_then(|node| decoder.text(node, "the name"));
    let who_can = fields.get("who_can").and_then(|node| who_can(decoder, node));
    let subject = fields.get("as").and_then(|node| subject(decoder, node));
    let requests = fields.get("requests").map(|node| decoder.texts(node, "`requests`")).unwrap_or_default();
    let expect = fields.get("expect").and_then(|node| decoder.entries(node, "`expect`")).unwrap_or_default();
    let expect = expect.iter().filter_map(|entry| expectation(decoder, entry)).collect();
    let live = live(decoder, &fields);
    whole(decoder, &fields);
    Some(WrittenCase { name: name?, subject, requests, expect, who_can, live })
}

/// A case that leaves out whom it is about, or what is expected, would pass whatever the policies say.
fn whole(decoder: &mut Decoder<'_>, fields: &Fields<'_>) {
    let has = |key: &str| fields.get(key).is_some();
    if !has("as") {
        match ["expect", "sql", "requests"].into_iter().find(|key| has(key)) {
            Some(key) => decoder.missing(fields, &format!("a case with `{key}`"), "as"),
            None if !has("who_can") => decoder.missing(fields, "a case", "as"),
            None => {}
        }
    }
    if !["expect", "who_can", "sql"].into_iter().any(has) {
        decoder.missing(fields, "a case", "expect");
    }
    if has("returns") && !has("sql") {
        decoder.missing(fields, "a case with `returns`", "sql");
    }
    if let Some(node) = fields.get("expect").filter(|node| is_empty(node)) {
        nothing(decoder, node, "`expect`");
    }
}

fn is_empty(node: &Node) -> bool {
    matches!(&node.value, Value::Mapping(entries) if entries.is_empty())
}

fn nothing(decoder: &mut Decoder<'_>, node: &Node, what: &str) {
    let at = decoder.at(node.span);
    let message = format!("{what} expects nothing, so the case would pass whatever the policies say");
    let help = "say what has to be so: `schema.table: { select: allow }`";
    decoder.sink.push(rule::WRONG_NODE_TYPE.at(at, message).help(help));
}

/// Cases on real rows are only read here: they run against a server.
fn live(decoder: &mut Decoder<'_>, fields: &Fields<'_>) -> Option<WrittenLive> {
    let sql = fields.get("sql").and_then(|node| decoder.text(node, "`sql`"));
    if fields.get("sql").is_some() {
        decoder.required(fields, "a case with `sql`", "returns");
    }
    let mut returns = Vec::new();
    if let Some(node) = fields.get("returns") {
        for row in decoder.list(node, "`returns`").unwrap_or_default() {
            let values = decoder.list(row, "a row").unwrap_or_default();
            returns.push(values.iter().map(|value| printed(decoder, value)).collect());
        }
    }
    sql.map(|sql| WrittenLive { sql: sql.value, returns })
}

/// A value as PostgreSQL would print it.
fn printed(decoder: &mut Decoder<'_>, node: &Node) -> Option<String> {
    match &node.value {
        Value::Null => None,
        Value::Scalar { text, plain: true } if text == "true" => Some("t".to_owned()),
        Value::Scalar { text, plain: true } if text == "false" => Some("f".to_owned()),
        Value::Scalar { text, .. } => Some(text.clone()),
        _ => {
            decoder.wrong(node, "a value of a row has to be a single value");
            None
        }
    }
}

fn subject(decoder: &mut Decoder<'_>, node: &Node) -> Option<WrittenSubject> {
    let mut found = WrittenSubject {
        id: String::new(),
        email: String::new(),
        groups: Vec::new(),
        attributes: Vec::new(),
    };
    for entry in decoder.entries(node, "`as`")? {
        match entry.key.as_str() {
            "email" => {
                let text = decoder.text(&entry.value, "an e-mail address");
                let address = text.and_then(|text| email(decoder, &text));
                found.email = address.map(|address| address.value).unwrap_or_default();
            }
            "id" => found.id = decoder.text(&entry.value, "an id").map(|text| text.value).unwrap_or_default(),
            "groups" => found.groups = decoder.names(&entry.value, "`groups`"),
            _ => found.attributes.extend(attribute(decoder, entry)),
        }
    }
    Some(found)
}

fn attribute(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<(Spanned<String>, String)> {
    let name = Spanned { value: entry.key.clone(), at: decoder.at(entry.key_span) };
    if let Value::Scalar { text, .. } = &entry.value.value {
        return Some((name, text.clone()));
    }
    decoder.wrong(&entry.value, "the value of an attribute has to be a single value");
    None
}

fn expectation(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<WrittenExpectation> {
    let relation = Spanned { value: entry.key.clone(), at: decoder.at(entry.key_span) };
    let keys: Vec<&str> =
        Verb::ALL.map(Verb::as_str).into_iter().chain(["rows", "columns", "reason"]).collect();
    let fields = decoder.mapping(&entry.value, "an expectation", &keys)?;
    if is_empty(&entry.value) {
        nothing(decoder, &entry.value, &format!("`{}`", entry.key));
    }
    if let Some(node) = fields.get("columns").filter(|node| is_empty(node)) {
        nothing(decoder, node, "`columns`");
    }
    let mut verbs = Vec::new();
    for verb in Verb::ALL {
        let Some(node) = fields.get(verb.as_str()) else { continue };
        let at = fields.key_span(verb.as_str()).map_or(relation.at, |span| decoder.at(span));
        if let Some(access) = access(decoder, node) {
            verbs.push((Spanned { value: verb, at }, access));
        }
    }
    let rows = fields.get("rows").and_then(|node| decoder.text(node, "a row filter"));
    let mut columns = Vec::new();
    let written = fields.get("columns").and_then(|node| decoder.entries(node, "`columns`"));
    for entry in written.unwrap_or_default() {
        let column = Spanned { value: entry.key.clone(), at: decoder.at(entry.key_span) };
        columns.extend(sight(decoder, &entry.value).map(|sight| (column, sight)));
    }
    let reason =
        fields.get("reason").map(|node| (decoder.at(node.span), decoder.one_or_many(node, "`reason`")));
    Some(WrittenExpectation { relation, verbs, rows, columns, reason })
}

fn access(decoder: &mut Decoder<'_>, node: &Node) -> Option<Access> {
    let text = decoder.text(node, "what is expected of a verb")?;
    match text.value.as_str() {
        "allow" => Some(Access::Allow),
        "deny" => Some(Access::Deny),
        "request" => Some(Access::Request),
        other => {
            let message = format!("`{other}` is not an expectation");
            let help = "write `allow`, `deny`, or `request` for what is to be had by asking only";
            decoder.sink.push(rule::WRONG_NODE_TYPE.at(text.at, message).help(help));
            None
        }
    }
}

fn sight(decoder: &mut Decoder<'_>, node: &Node) -> Option<Spanned<Sight>> {
    let text = decoder.text(node, "what is expected of a column")?;
    let value = match text.value.as_str() {
        "clear" => Sight::Clear,
        "deny" => Sight::Deny,
        other => {
            let Some(preset) = other.strip_prefix("mask:") else {
                let message = format!("`{other}` is not an expectation");
                let help = "write `clear`, `deny` or `\"mask:<preset>\"`";
                decoder.sink.push(rule::WRONG_NODE_TYPE.at(text.at, message).help(help));
                return None;
            };
            if !mask::names().any(|name| name == preset) {
                mask::unknown(decoder, preset, text.at);
                return None;
            }
            Sight::Mask(preset.to_owned())
        }
    };
    Some(Spanned { value, at: text.at })
}

fn who_can(decoder: &mut Decoder<'_>, node: &Node) -> Option<WrittenWhoCan> {
    let keys: Vec<&str> = Verb::ALL.map(Verb::as_str).into_iter().chain(["unmasked", "exactly"]).collect();
    let fields = decoder.mapping(node, "`who_can`", &keys)?;
    let at = decoder.at(fields.head());
    let mut verbs = Verb::ALL.into_iter().filter(|verb| fields.get(verb.as_str()).is_some());
    let (verb, second) = (verbs.next(), verbs.next());
    if let Some(second) = second.and_then(|verb| fields.key_span(verb.as_str())) {
        let at = decoder.at(second);
        decoder.sink.push(
            rule::CONFLICTING_KEYS
                .at(at, "`who_can` asks about one verb")
                .help("write a case for each verb: `exactly` lists the people of one"),
        );
    }
    let unmasked = fields.get("unmasked").and_then(|node| decoder.boolean(node, "`unmasked`"));
    let exactly = decoder.required(&fields, "`who_can`", "exactly");
    let exactly = exactly.map(|node| decoder.texts(node, "`exactly`")).unwrap_or_default();
    let Some(verb) = verb else {
        decoder.missing(&fields, "`who_can`", "select");
        return None;
    };
    let target = fields.get(verb.as_str()).and_then(|node| decoder.text(node, "a table or a column"))?;
    let verb = Spanned { value: verb, at };
    Some(WrittenWhoCan { at, verb, target, unmasked: unmasked.unwrap_or(false), exactly })
}
