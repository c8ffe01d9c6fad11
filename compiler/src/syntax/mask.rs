//! Mask presets as written: a name, or a mapping with one preset and its parameters.

use super::decode::{Decoder, Spanned, list};
use super::node::{Entry, Node, Value};
use crate::rule;
use daam_diagnostic::{Applicability, Location, suggest};
use daam_model::{EffectiveMask, JsonMask, Mask, TruncateUnit};

/// Presets without parameters.
const SIMPLE: [(&str, Mask); 9] = [
    ("null", Mask::Null),
    ("redact", Mask::Redact),
    ("hash", Mask::Hash),
    ("credit_card", Mask::CreditCard),
    ("ssn", Mask::Ssn),
    ("phone", Mask::Phone),
    ("name", Mask::Name),
    ("email", Mask::Email),
    ("domain", Mask::Domain),
];

/// Presets with parameters and how they are written.
const SHAPED: [(&str, &str); 7] = [
    ("constant", "{ constant: value }"),
    ("truncate", "{ truncate: year }"),
    ("bucket", "{ bucket: 1000 }"),
    ("round", "{ round: 10 }"),
    ("network", "{ network: 24 }"),
    ("partial", "{ partial: { prefix: 2, suffix: 2 } }"),
    ("json", "{ json: { paths: [contact.email], with: redact } }"),
];

/// The names of all presets.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SIMPLE.iter().map(|(name, _)| *name).chain(SHAPED.iter().map(|(name, _)| *name))
}

pub(crate) fn mask(decoder: &mut Decoder<'_>, node: &Node) -> Option<Spanned<Mask>> {
    let at = decoder.at(node.span);
    let value = match &node.value {
        // The preset is called `null`, and YAML reads that word as nothing.
        Value::Null if !node.span.is_empty() => Some(Mask::Null),
        Value::Scalar { text, .. } => named(decoder, text, at),
        Value::Mapping(entries) => {
            if let [entry] = entries.as_slice() {
                shaped(decoder, entry)
            } else {
                let message = "a preset with parameters is a mapping with one key";
                decoder.sink.push(rule::UNKNOWN_PRESET.at(at, message));
                None
            }
        }
        _ => {
            decoder.wrong(node, "a mask has to be a preset");
            None
        }
    };
    value.map(|value| Spanned { value, at })
}

fn named(decoder: &mut Decoder<'_>, text: &str, at: Location) -> Option<Mask> {
    if let Some((_, mask)) = SIMPLE.iter().find(|(name, _)| *name == text) {
        return Some(mask.clone());
    }
    if let Some((_, shape)) = SHAPED.iter().find(|(name, _)| *name == text) {
        decoder.sink.push(
            rule::UNKNOWN_PRESET
                .at(at, format!("the preset `{text}` needs parameters"))
                .help(format!("write `{shape}`")),
        );
        return None;
    }
    unknown(decoder, text, at);
    None
}

/// That there is no such preset.
pub(crate) fn unknown(decoder: &mut Decoder<'_>, text: &str, at: Location) {
    let names: Vec<&str> = names().collect();
    let mut diagnostic = rule::UNKNOWN_PRESET
        .at(at, format!("`{text}` is not a mask preset"))
        .help(format!("the presets are {}", list(&names)));
    if let Some(near) = suggest::nearest(text, names.iter().copied()) {
        diagnostic = diagnostic.help(format!("did you mean `{near}`?")).replace(Applicability::Unsafe, near);
    }
    decoder.sink.push(diagnostic);
}

fn shaped(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<Mask> {
    let node = &entry.value;
    match entry.key.as_str() {
        "constant" => constant(decoder, node),
        "truncate" => truncate(decoder, node),
        "bucket" => at_least_one(decoder, node, "the size of a bucket").map(Mask::Bucket),
        "round" => at_least_one(decoder, node, "the multiple to round to").map(Mask::Round),
        "network" => network(decoder, node),
        "partial" => partial(decoder, node),
        "json" => json(decoder, node),
        name => {
            let at = decoder.at(entry.key_span);
            if SIMPLE.iter().any(|(simple, _)| *simple == name) {
                let message = format!("the preset `{name}` takes no parameters");
                decoder.sink.push(rule::UNKNOWN_PRESET.at(at, message).help(format!("write `{name}`")));
            } else {
                unknown(decoder, name, at);
            }
            None
        }
    }
}

fn constant(decoder: &mut Decoder<'_>, node: &Node) -> Option<Mask> {
    if let Value::Scalar { text, .. } = &node.value {
        return Some(Mask::Constant(text.clone()));
    }
    decoder.wrong(node, "a constant has to be a single value");
    None
}

fn truncate(decoder: &mut Decoder<'_>, node: &Node) -> Option<Mask> {
    let text = decoder.text(node, "the unit to truncate to")?;
    let unit = TruncateUnit::ALL.into_iter().find(|unit| unit.as_str() == text.value);
    if unit.is_none() {
        let units = TruncateUnit::ALL.map(TruncateUnit::as_str);
        let message = format!("`{}` is not a unit to truncate to", text.value);
        decoder
            .sink
            .push(rule::UNKNOWN_PRESET.at(text.at, message).help(format!("the units are {}", list(&units))));
    }
    unit.map(Mask::Truncate)
}

fn at_least_one(decoder: &mut Decoder<'_>, node: &Node, what: &str) -> Option<u64> {
    let number = decoder.number(node, what)?;
    if number.value == 0 {
        decoder.sink.push(rule::UNKNOWN_PRESET.at(number.at, format!("{what} is at least 1")));
        return None;
    }
    Some(number.value)
}

fn network(decoder: &mut Decoder<'_>, node: &Node) -> Option<Mask> {
    let number = decoder.number(node, "the length of the network prefix")?;
    match u8::try_from(number.value) {
        Ok(bits) if bits <= 128 => Some(Mask::Network(bits)),
        _ => {
            decoder.sink.push(rule::UNKNOWN_PRESET.at(number.at, "a network prefix has at most 128 bits"));
            None
        }
    }
}

fn partial(decoder: &mut Decoder<'_>, node: &Node) -> Option<Mask> {
    let fields = decoder.mapping(node, "`partial`", &["prefix", "suffix"])?;
    let mut length = |key: &str| -> Option<u32> {
        let Some(node) = fields.get(key) else { return Some(0) };
        let number = decoder.number(node, &format!("`{key}`"))?;
        let length = u32::try_from(number.value).ok();
        if length.is_none() {
            decoder.sink.push(rule::UNKNOWN_PRESET.at(number.at, format!("`{key}` is too large")));
        }
        length
    };
    let (prefix, suffix) = (length("prefix"), length("suffix"));
    Some(Mask::Partial { prefix: prefix?, suffix: suffix? })
}

fn json(decoder: &mut Decoder<'_>, node: &Node) -> Option<Mask> {
    let fields = decoder.mapping(node, "`json`", &["paths", "with"])?;
    let paths = decoder.required(&fields, "`json`", "paths");
    let with = decoder.required(&fields, "`json`", "with").and_then(|node| mask(decoder, node));
    let mut found = std::collections::BTreeSet::new();
    for item in paths.and_then(|node| decoder.list(node, "`paths`")).unwrap_or_default() {
        found.extend(path(decoder, item));
    }
    let with = with?;
    if paths.is_some() && found.is_empty() {
        let message = "`json` masks nothing without paths";
        decoder.sink.push(rule::UNKNOWN_PRESET.at(with.at, message));
        return None;
    }
    Some(Mask::Json(JsonMask { paths: found, with: Box::new(EffectiveMask::new(with.value)) }))
}

/// `contact.email`, or a list of keys where a key contains a dot.
fn path(decoder: &mut Decoder<'_>, node: &Node) -> Option<Vec<String>> {
    let keys: Vec<String> = if matches!(node.value, Value::List(_)) {
        decoder.texts(node, "a key of the path").into_iter().map(|key| key.value).collect()
    } else {
        let text = decoder.text(node, "a path")?;
        text.value.split('.').map(str::to_owned).collect()
    };
    if keys.is_empty() || keys.iter().any(String::is_empty) {
        decoder.wrong(node, "a path has to be keys joined by dots");
        return None;
    }
    Some(keys)
}
