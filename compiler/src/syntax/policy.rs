//! `kind: policy`: subjects, grants and masks as written.

use super::decode::{Decoder, Fields, Spanned};
use super::group::email;
use super::mask::mask;
use super::node::{Node, Value};
use super::session::{WrittenRequest, request, session};
use crate::rule;
use daam_diagnostic::{Applicability, Location, suggest};
use daam_model::{Mask, SessionLimits, Verb};

/// A policy document.
#[derive(Debug)]
pub(crate) struct WrittenPolicy {
    pub(crate) at: Location,
    pub(crate) name: Spanned<String>,
    pub(crate) database: Spanned<String>,
    pub(crate) description: String,
    pub(crate) subjects: Option<WrittenSubjects>,
    pub(crate) grants: Vec<WrittenGrant>,
    pub(crate) masks: Vec<WrittenMask>,
    pub(crate) session: SessionLimits,
    pub(crate) request: Option<WrittenRequest>,
    /// Nothing was written that could have an effect.
    pub(crate) blank: bool,
}

/// `subjects:` or `who:`.
#[derive(Debug)]
pub(crate) struct WrittenSubjects {
    pub(crate) at: Location,
    pub(crate) everyone: bool,
    pub(crate) groups: Vec<Spanned<String>>,
    pub(crate) users: Vec<Spanned<String>>,
    /// Nobody was written, as opposed to nobody being readable.
    pub(crate) nobody: bool,
}

/// One entry of `grants:`.
#[derive(Debug)]
pub(crate) struct WrittenGrant {
    pub(crate) at: Location,
    pub(crate) on: Vec<Spanned<String>>,
    pub(crate) allow: Vec<Spanned<Verb>>,
    /// An empty list was written, as opposed to one without a readable verb.
    pub(crate) allows_nothing: bool,
    pub(crate) columns: Vec<WrittenColumns>,
    pub(crate) rows: Option<Spanned<String>>,
    pub(crate) restrict: Option<Spanned<String>>,
    pub(crate) functions: Vec<Spanned<String>>,
}

/// One verb of `columns:`.
#[derive(Debug)]
pub(crate) struct WrittenColumns {
    pub(crate) verb: Spanned<Verb>,
    pub(crate) columns: Vec<Spanned<String>>,
    /// An empty list was written, as opposed to one without a readable name.
    pub(crate) columns_empty: bool,
}

/// One entry of `masks:`.
#[derive(Debug)]
pub(crate) struct WrittenMask {
    pub(crate) at: Location,
    pub(crate) on: Vec<Spanned<String>>,
    pub(crate) with: Spanned<Mask>,
}

const POLICY: [&str; 9] =
    ["kind", "name", "database", "description", "subjects", "request", "grants", "masks", "session"];

const GRANT: [&str; 6] = ["on", "allow", "columns", "rows", "restrict", "functions"];

pub(crate) fn read(decoder: &mut Decoder<'_>, node: &Node) -> Option<WrittenPolicy> {
    let fields = decoder.mapping(node, "a policy", &POLICY)?;
    let at = decoder.at(fields.head());
    let (name, database, description) = head(decoder, &fields, "a policy");
    let subjects = fields.get("subjects").and_then(|node| subjects(decoder, node, "`subjects`"));
    let request = fields.get("request").and_then(|node| request(decoder, node));
    whom(decoder, &fields);
    let blank =
        ["grants", "masks"].iter().all(|key| is_blank(fields.get(key))) && fields.get("session").is_none();
    let grants = grants(decoder, &fields, &GRANT);
    let masks = masks(decoder, &fields);
    let session = fields.get("session").map(|node| session(decoder, node)).unwrap_or_default();
    let (name, database) = (name?, database?);
    Some(WrittenPolicy { at, name, database, description, subjects, grants, masks, session, request, blank })
}

/// Name, database and description.
pub(super) fn head(
    decoder: &mut Decoder<'_>,
    fields: &Fields<'_>,
    what: &str,
) -> (Option<Spanned<String>>, Option<Spanned<String>>, String) {
    let name = decoder.required(fields, what, "name");
    let name =
        name.and_then(|node| decoder.text(node, "the name")).and_then(|text| check_name(decoder, text));
    let database = decoder.required(fields, what, "database");
    let database = database.and_then(|node| decoder.text(node, "the database"));
    let description = fields.get("description").and_then(|node| decoder.text(node, "a description"));
    (name, database, description.map(|text| text.value).unwrap_or_default())
}

/// `grants:`, whose entries have these keys.
pub(super) fn grants(decoder: &mut Decoder<'_>, fields: &Fields<'_>, keys: &[&str]) -> Vec<WrittenGrant> {
    let nodes = items(decoder, fields, "grants");
    nodes.iter().filter_map(|node| grant(decoder, node, keys)).collect()
}

/// `masks:`.
pub(super) fn masks(decoder: &mut Decoder<'_>, fields: &Fields<'_>) -> Vec<WrittenMask> {
    let nodes = items(decoder, fields, "masks");
    nodes.iter().filter_map(|node| mask_rule(decoder, node)).collect()
}

pub(super) fn is_blank(node: Option<&Node>) -> bool {
    node.is_none_or(|node| matches!(&node.value, Value::List(items) if items.is_empty()))
}

fn items<'n>(decoder: &mut Decoder<'_>, fields: &Fields<'n>, key: &str) -> &'n [Node] {
    let node = fields.get(key);
    node.and_then(|node| decoder.list(node, &format!("`{key}`"))).unwrap_or_default()
}

fn check_name(decoder: &mut Decoder<'_>, name: Spanned<String>) -> Option<Spanned<String>> {
    let fits = name.value.len() <= 63
        && name.value.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if fits {
        return Some(name);
    }
    decoder.sink.push(
        rule::WRONG_NODE_TYPE
            .at(name.at, format!("`{}` cannot be the name of a policy", name.value))
            .help("use letters, digits, `-`, `_` and `.`, at most 63 of them"),
    );
    None
}

/// Somebody has to be meant, in one of two ways.
fn whom(decoder: &mut Decoder<'_>, fields: &Fields<'_>) {
    match (fields.key_span("subjects"), fields.key_span("request")) {
        (None, None) => {
            let at = decoder.at(fields.head());
            decoder.sink.push(
                rule::MISSING_KEY
                    .at(at, "a policy needs the key `subjects`, or `request` if it is asked for")
                    .help("`subjects: { groups: […] }`, `subjects: { users: […] }` or `subjects: { everyone: true }`"),
            );
        }
        (Some(subjects), Some(request)) => {
            let (at, other) = (decoder.at(request), decoder.at(subjects));
            decoder.sink.push(
                rule::CONFLICTING_KEYS
                    .at(at, "a policy is either held (`subjects`) or asked for (`request`)")
                    .label(other, "held by these")
                    .help("make two policies of it; who may ask is said by `request: { who: … }`"),
            );
        }
        _ => {}
    }
}

pub(crate) fn subjects(decoder: &mut Decoder<'_>, node: &Node, what: &str) -> Option<WrittenSubjects> {
    let fields = decoder.mapping(node, what, &["everyone", "groups", "users"])?;
    let before = decoder.sink.len();
    let everyone = fields.get("everyone").and_then(|node| decoder.boolean(node, "`everyone`"));
    let groups = fields.get("groups").map(|node| decoder.names(node, "`groups`")).unwrap_or_default();
    let users = fields.get("users").map(|node| decoder.texts(node, "`users`")).unwrap_or_default();
    let users: Vec<_> = users.iter().filter_map(|user| email(decoder, user)).collect();
    let at = decoder.at(fields.head());
    let given = ["everyone", "groups", "users"].iter().any(|key| fields.get(key).is_some());
    if !given {
        let message = format!("{what} needs `everyone`, `groups` or `users`");
        decoder.sink.push(rule::MISSING_KEY.at(at, message));
    }
    let everyone = everyone.unwrap_or(false);
    let beside = ["groups", "users"].into_iter().find_map(|key| fields.key_span(key).map(|span| (key, span)));
    if let Some((key, span)) = beside.filter(|_| everyone) {
        let (at, other) = (decoder.at(span), fields.key_span("everyone").unwrap_or(span));
        let other = decoder.at(other);
        decoder.sink.push(
            rule::CONFLICTING_KEYS
                .at(at, format!("`{key}` narrows nothing: everyone is meant already"))
                .label(other, "everyone")
                .help(format!("leave out `everyone` if only these are meant, or else `{key}`")),
        );
    }
    let nobody = !everyone && groups.is_empty() && users.is_empty() && decoder.sink.len() == before;
    Some(WrittenSubjects { at, everyone, groups, users, nobody })
}

fn grant(decoder: &mut Decoder<'_>, node: &Node, keys: &[&str]) -> Option<WrittenGrant> {
    let fields = decoder.mapping(node, "a grant", keys)?;
    let at = decoder.at(fields.head());
    let on = fields.get("on").map(|node| decoder.one_or_many(node, "`on`")).unwrap_or_default();
    let functions = fields.get("functions").map(|node| decoder.one_or_many(node, "`functions`"));
    match (fields.get("on"), fields.get("allow"), &functions) {
        (None, None, None) => decoder.missing(&fields, "a grant", "on"),
        (None, Some(_), _) => decoder.missing(&fields, "a grant with `allow`", "on"),
        (Some(_), None, _) => decoder.missing(&fields, "a grant with `on`", "allow"),
        _ => {}
    }
    let allow = fields.get("allow").and_then(|node| decoder.list(node, "`allow`"));
    let allows_nothing = allow.is_some_and(<[Node]>::is_empty);
    let allow = allow.unwrap_or_default().iter().filter_map(|node| verb(decoder, node)).collect();
    let columns = fields.get("columns").map(|node| columns(decoder, node)).unwrap_or_default();
    let mut filter = |key: &str| fields.get(key).and_then(|node| decoder.text(node, "a row filter"));
    let (rows, restrict) = (filter("rows"), filter("restrict"));
    let functions = functions.unwrap_or_default();
    Some(WrittenGrant { at, on, allow, allows_nothing, columns, rows, restrict, functions })
}

fn verb(decoder: &mut Decoder<'_>, node: &Node) -> Option<Spanned<Verb>> {
    let text = decoder.text(node, "a verb")?;
    known_verb(decoder, &text.value, text.at)
}

fn known_verb(decoder: &mut Decoder<'_>, text: &str, at: Location) -> Option<Spanned<Verb>> {
    if let Some(value) = Verb::ALL.into_iter().find(|verb| verb.as_str() == text) {
        return Some(Spanned { value, at });
    }
    let words = Verb::ALL.map(Verb::as_str);
    let mut diagnostic = rule::UNKNOWN_VERB
        .at(at, format!("`{text}` is not a verb"))
        .help(format!("the verbs are {}", super::decode::list(&words)));
    if let Some(near) = suggest::nearest(text, words) {
        diagnostic = diagnostic.help(format!("did you mean `{near}`?")).replace(Applicability::Unsafe, near);
    }
    decoder.sink.push(diagnostic);
    None
}

fn columns(decoder: &mut Decoder<'_>, node: &Node) -> Vec<WrittenColumns> {
    let mut out = Vec::new();
    for entry in decoder.entries(node, "`columns`").unwrap_or_default() {
        let at = decoder.at(entry.key_span);
        let verb = known_verb(decoder, &entry.key, at).filter(|verb| narrows(decoder, verb));
        let columns = decoder.texts(&entry.value, "a list of columns");
        let columns_empty = matches!(&entry.value.value, Value::List(items) if items.is_empty());
        if let Some(verb) = verb {
            out.push(WrittenColumns { verb, columns, columns_empty });
        }
    }
    out
}

/// Whether a verb can be narrowed to columns. One that cannot would be allowed on whole rows, which is more than what
/// is written.
fn narrows(decoder: &mut Decoder<'_>, verb: &Spanned<Verb>) -> bool {
    let has_columns = verb.value.has_columns();
    if !has_columns {
        let message = format!("`{}` always concerns whole rows", verb.value.as_str());
        let help = "its keys are `select`, `insert` and `update`";
        decoder.sink.push(rule::CONFLICTING_KEYS.at(verb.at, message).help(help));
    }
    has_columns
}

fn mask_rule(decoder: &mut Decoder<'_>, node: &Node) -> Option<WrittenMask> {
    let fields = decoder.mapping(node, "a mask", &["on", "with"])?;
    let at = decoder.at(fields.head());
    let on = decoder.required(&fields, "a mask", "on");
    let on = on.map(|node| decoder.one_or_many(node, "`on`")).unwrap_or_default();
    let with = decoder.required(&fields, "a mask", "with")?;
    Some(WrittenMask { at, on, with: mask(decoder, with)? })
}
