//! `lint:` and `waivers:` of `daam.yaml`.

use super::decode::{Decoder, Fields, Spanned};
use super::node::{Entry, Node, Value};
use crate::day::Day;
use crate::rule::{self, Rule};
use daam_catalog::Identifier;
use daam_catalog::pattern::{ColumnPattern, RelationPattern};
use daam_diagnostic::{Applicability, Location, Severity, suggest};

/// `lint:` as written.
#[derive(Debug, Default, Clone)]
pub(crate) struct WrittenLint {
    pub(crate) levels: Vec<WrittenLevel>,
}

/// One entry of `lint.levels`.
#[derive(Debug, Clone)]
pub(crate) struct WrittenLevel {
    pub(crate) rule: &'static Rule,
    /// Nothing is `off`.
    pub(crate) level: Option<Severity>,
    pub(crate) at: Location,
}

/// One entry of `waivers:`.
#[derive(Debug, Clone)]
pub(crate) struct WrittenWaiver {
    pub(crate) at: Location,
    pub(crate) rule: Spanned<&'static Rule>,
    /// The subject of findings it is about, without its kind: `public.customers.email`.
    pub(crate) on: Option<Spanned<String>>,
    pub(crate) policy: Option<Spanned<String>>,
    pub(crate) database: Option<Spanned<String>>,
    pub(crate) owner: String,
    pub(crate) reason: String,
    pub(crate) until: Spanned<Day>,
}

const LEVELS: [(&str, Option<Severity>); 4] = [
    ("off", None),
    ("info", Some(Severity::Info)),
    ("warning", Some(Severity::Warning)),
    ("error", Some(Severity::Error)),
];

pub(crate) fn lint(decoder: &mut Decoder<'_>, node: &Node) -> WrittenLint {
    let Some(fields) = decoder.mapping(node, "`lint`", &["levels"]) else { return WrittenLint::default() };
    let levels = fields.get("levels").and_then(|node| decoder.entries(node, "`levels`")).unwrap_or_default();
    let mut out: Vec<WrittenLevel> = Vec::new();
    for entry in levels {
        let Some(level) = level(decoder, entry) else { continue };
        if let Some(earlier) = out.iter().find(|earlier| earlier.rule == level.rule) {
            let message = format!("the level of `{}` is set twice", level.rule.code.slug);
            decoder.sink.push(rule::CONFLICTING_KEYS.at(level.at, message).label(earlier.at, "first here"));
            continue;
        }
        out.push(level);
    }
    WrittenLint { levels: out }
}

fn level(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<WrittenLevel> {
    let at = decoder.at(entry.key_span);
    let rule = known(decoder, &entry.key, at);
    let written = decoder.at(entry.value.span);
    // `off` may stand without quotes here: nothing else than a level can be meant.
    let Value::Scalar { text, .. } = &entry.value.value else {
        decoder.wrong(&entry.value, "a level has to be `off`, `info`, `warning` or `error`");
        return None;
    };
    let Some((_, level)) = LEVELS.iter().find(|(name, _)| *name == text) else {
        let words = LEVELS.map(|(name, _)| name);
        decoder.sink.push(
            rule::WRONG_NODE_TYPE
                .at(written, format!("`{text}` is not a level"))
                .help(format!("the levels are {}", super::decode::list(&words))),
        );
        return None;
    };
    Some(WrittenLevel { rule: rule?, level: *level, at })
}

/// The rule of a code or name; a wrong one is reported.
pub(crate) fn known(decoder: &mut Decoder<'_>, text: &str, at: Location) -> Option<&'static Rule> {
    let found = rule::find(text);
    if found.is_none() {
        decoder.sink.push(unknown(text, at));
    }
    found
}

/// That there is no such rule.
pub(crate) fn unknown(text: &str, at: Location) -> daam_diagnostic::Diagnostic {
    let diagnostic = rule::UNKNOWN_RULE.at(at, format!("there is no rule `{text}`"));
    match suggest::nearest(text, rule::all().map(|rule| rule.code.slug)) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")).replace(Applicability::Unsafe, near),
        None => diagnostic.help("`daam policy rule` lists them"),
    }
}

const WAIVER: [&str; 7] = ["rule", "on", "policy", "database", "owner", "reason", "until"];

pub(crate) fn waivers(decoder: &mut Decoder<'_>, node: &Node) -> Vec<WrittenWaiver> {
    let items = decoder.list(node, "`waivers`").unwrap_or_default();
    items.iter().filter_map(|item| waiver(decoder, item)).collect()
}

fn waiver(decoder: &mut Decoder<'_>, node: &Node) -> Option<WrittenWaiver> {
    let fields = decoder.mapping(node, "a waiver", &WAIVER)?;
    let mut text = |key: &str| required_text(decoder, &fields, key);
    let (name, owner, reason) = (text("rule"), text("owner"), text("reason"));
    let rule =
        name.and_then(|name| Some(Spanned { value: known(decoder, &name.value, name.at)?, at: name.at }));
    let until = decoder.required(&fields, "a waiver", "until").and_then(|node| day(decoder, node));
    let mut optional =
        |key: &str| fields.get(key).and_then(|node| decoder.text(node, &format!("`{key}` of a waiver")));
    let (on, policy, database) = (optional("on"), optional("policy"), optional("database"));
    let on_given = on.is_some();
    let on = on.and_then(|on| object(decoder, &on));
    if fields.get("on").is_none() && fields.get("policy").is_none() {
        let at = decoder.at(fields.head());
        let message = "a waiver needs the key `on` or `policy`: what it is for";
        decoder.sink.push(rule::MISSING_KEY.at(at, message));
        return None;
    }
    if on_given && on.is_none() {
        return None;
    }
    Some(WrittenWaiver {
        at: decoder.at(fields.head()),
        rule: rule?,
        on,
        policy,
        database,
        owner: owner?.value,
        reason: reason?.value,
        until: until?,
    })
}

fn required_text(decoder: &mut Decoder<'_>, fields: &Fields<'_>, key: &str) -> Option<Spanned<String>> {
    let node = decoder.required(fields, "a waiver", key)?;
    decoder.text(node, &format!("`{key}` of a waiver"))
}

/// One object by its whole name: a waiver that covered a pattern would cover what nobody has looked at.
fn object(decoder: &mut Decoder<'_>, text: &Spanned<String>) -> Option<Spanned<String>> {
    let column = ColumnPattern::parse(&text.value).ok().and_then(|pattern| {
        let column = Identifier::stored(pattern.literal_column()?).ok()?;
        Some(format!("{}.{column}", pattern.relation().literal()?))
    });
    let relation = || {
        let pattern = RelationPattern::parse(&text.value).ok()?;
        Some(pattern.literal()?.to_string())
    };
    let Some(value) = column.or_else(relation) else {
        decoder.sink.push(
            rule::WRONG_NODE_TYPE
                .at(text.at, format!("`{}` does not name one object", text.value))
                .help("write `schema.table.column` or `schema.table`, without `*`"),
        );
        return None;
    };
    Some(Spanned { value, at: text.at })
}

/// A calendar day, with or without quotes: every reader of YAML 1.2 takes it for a text.
fn day(decoder: &mut Decoder<'_>, node: &Node) -> Option<Spanned<Day>> {
    let Value::Scalar { text, .. } = &node.value else {
        decoder.wrong(node, "`until` has to be a day such as `2027-03-31`");
        return None;
    };
    let at = decoder.at(node.span);
    if let Some(value) = Day::parse(text) {
        return Some(Spanned { value, at });
    }
    decoder.sink.push(
        rule::WRONG_NODE_TYPE.at(at, format!("`{text}` is not a day")).help("write it like `2027-03-31`"),
    );
    None
}
