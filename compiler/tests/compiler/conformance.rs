//! The JSON Schemas and the readers accept the same documents.
//!
//! Documents are generated from the schemas, then changed in one place: an unknown key, a key left out, another kind of
//! value, a value outside its range or list. A schema never refuses what the reader accepts, or an editor would
//! underline what is right; what only the reader refuses is what no schema can say, and listed here. The keys of every
//! mapping are compared in both directions with those the reader names when it meets an unknown one.

use daam_compiler::schema::schemas;
use daam_compiler::{Checked, MemoryFiles, check};
use daam_diagnostic::Severity;
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const UNKNOWN: &str = "zzzqqq";

/// Every kind of document with its schema.
fn kinds() -> BTreeMap<String, (Value, Validator)> {
    let named = |(name, schema): (&str, Value)| {
        let validator = jsonschema::validator_for(&schema).unwrap();
        (name.trim_end_matches(".schema.json").to_owned(), (schema, validator))
    };
    schemas().into_iter().map(named).collect()
}

/// A source of choices that always makes the same ones.
struct Choices(u64);

impl Choices {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }
}

/// How many of the keys that may be left out are written.
#[derive(Clone, Copy, PartialEq)]
enum Fill {
    All,
    Some,
    None,
}

struct Generator<'s> {
    root: &'s Value,
    choices: Choices,
    fill: Fill,
}

impl Generator<'_> {
    /// A value the schema allows, as far as one can tell from one place.
    fn value(&mut self, schema: &Value, key: &str) -> Value {
        if let Some(target) = schema["$ref"].as_str() {
            let target = self.root.pointer(target.trim_start_matches('#')).unwrap();
            return self.value(target, key);
        }
        if let Some(options) = schema["enum"].as_array() {
            let choice = self.choices.below(options.len());
            return options[choice].clone();
        }
        if let Some(only) = schema.get("const") {
            return only.clone();
        }
        let options = schema["anyOf"].as_array().or(schema["oneOf"].as_array());
        if let Some(options) =
            options.filter(|options| options.iter().any(|option| option.get("required").is_none()))
        {
            let choice = self.choices.below(options.len());
            return self.value(&options[choice], key);
        }
        if let Some(options) = options.filter(|_| schema.get("properties").is_none()) {
            let choice = self.choices.below(options.len());
            return self.value(&options[choice], key);
        }
        match schema["type"].as_str() {
            Some("object") => self.object(schema, key),
            Some("array") => {
                let count = 1 + self.choices.below(2);
                Value::Array((0..count).map(|_| self.value(&schema["items"], key)).collect())
            }
            Some("integer") => json!(schema["minimum"].as_u64().unwrap_or(0).max(1) + 2),
            Some("number") => json!(1.5),
            Some("boolean") => json!(self.choices.below(2) == 0),
            Some("null") => Value::Null,
            _ => json!(text(key, schema["pattern"].as_str())),
        }
    }

    fn object(&mut self, schema: &Value, key: &str) -> Value {
        let mut out = Map::new();
        let required =
            |name: &str| schema["required"].as_array().is_some_and(|list| list.iter().any(|one| one == name));
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let written = match self.fill {
                Fill::All => true,
                Fill::Some => self.choices.below(2) == 0,
                Fill::None => false,
            };
            if written || required(name) {
                out.insert(name.clone(), self.value(property, name));
            }
        }
        let rest = &schema["additionalProperties"];
        if rest.is_object() {
            out.insert(text(&format!("{key} key"), None).to_owned(), self.value(rest, key));
        }
        Value::Object(out)
    }
}

/// A text the reader takes for such a key.
fn text(key: &str, pattern: Option<&str>) -> &'static str {
    match (key, pattern) {
        ("until", _) => "2027-03-31",
        ("name", Some(_)) => "support-1",
        (_, Some(pattern)) if pattern.contains("clear") => "mask:email",
        (_, Some(pattern)) if pattern.contains("ms") => "1h30m",
        (_, Some(pattern)) if pattern.contains('@') => "sam@acme.test",
        ("email" | "users" | "members", _) => "sam@acme.test",
        ("rule" | "levels key", _) => "self-approval",
        ("on", _) => "public.users.email",
        ("attributes key" | "as key", _) => "region",
        _ => "word",
    }
}

/// An error about the shape of a document: its code and what it says.
type Said = (u16, String);

/// What the reader says about each document.
fn structural(kind: &str, documents: &[Value]) -> Vec<Vec<Said>> {
    if kind == "project" {
        let alone =
            |document: &Value| shape(&check(&MemoryFiles::new().with("daam.yaml", document.to_string())));
        return documents.iter().map(|document| alone(document).into_values().flatten().collect()).collect();
    }
    let project = "kind: project\ndatabases: { word: { lock: l, policies: '*.yaml' } }\n";
    // Many files at once: a check has a cost of its own.
    let mut out = Vec::new();
    for chunk in documents.chunks(100) {
        let files = MemoryFiles::new().with("daam.yaml", project);
        let files = chunk.iter().enumerate().fold(files, |files, (index, document)| {
            files.with(format!("{index}.yaml"), document.to_string())
        });
        let mut said = shape(&check(&files));
        out.extend((0..chunk.len()).map(|index| said.remove(&format!("{index}.yaml")).unwrap_or_default()));
    }
    out
}

fn shape(checked: &Checked) -> BTreeMap<String, Vec<Said>> {
    // The readers' own rules: the document as such, rules by name, presets and verbs; and keys only a check misses.
    let of_readers = |code: u16| matches!(code, 100..=119 | 122 | 205 | 216 | 701 | 704);
    let found = checked.diagnostics.iter();
    let found = found.filter(|found| found.severity == Severity::Error && of_readers(found.code.number));
    let mut said: BTreeMap<String, Vec<Said>> = BTreeMap::new();
    for found in found {
        let text = format!("{} {}", found.message, found.help.as_deref().unwrap_or_default());
        let path = checked.sources.path(found.at.source).to_owned();
        said.entry(path).or_default().push((found.code.number, text));
    }
    said
}

/// Documents of a kind: with all keys, with none that may be left out, and with some.
fn documents(schema: &Value, count: u64) -> Vec<Value> {
    let fills = [Fill::All, Fill::None].into_iter().chain(std::iter::repeat(Fill::Some));
    let many = (0..count).zip(fills).map(|(seed, fill)| {
        let choices = Choices(seed * 7919 + 17);
        Generator { root: schema, choices, fill }.value(schema, "")
    });
    many.collect()
}

/// The place of every value in a document.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                places(field, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), out);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{index}"), out);
            }
        }
        _ => {}
    }
}

/// The document changed in one place, in every way.
fn changes(document: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    places(document, "", &mut all);
    let replaced = |at: &str, value: Value| {
        let mut changed = document.clone();
        *changed.pointer_mut(at).unwrap() = value;
        changed
    };
    let mut out = Vec::new();
    for at in all {
        let now = document.pointer(&at).unwrap();
        for value in [
            Value::Null,
            json!(UNKNOWN),
            json!(""),
            json!(true),
            json!(0),
            json!(-1),
            json!(7),
            json!(129),
            json!(1.5),
            json!(5_000_000_000_u64),
            json!([]),
            json!([UNKNOWN]),
            json!([[]]),
            json!({}),
            json!({ UNKNOWN: 1 }),
        ] {
            out.push(replaced(&at, value));
        }
        if let Value::Object(fields) = now {
            out.push(replaced(&at, with(fields, UNKNOWN, json!(1))));
            out.extend(fields.keys().map(|key| replaced(&at, without(fields, key))));
        }
        if let Value::Array(items) = now {
            let longer: Vec<Value> = items.iter().cloned().chain([Value::Null]).collect();
            out.push(replaced(&at, Value::Array(longer)));
        }
    }
    out
}

fn with(fields: &Map<String, Value>, key: &str, value: Value) -> Value {
    let mut fields = fields.clone();
    fields.insert(key.to_owned(), value);
    Value::Object(fields)
}

fn without(fields: &Map<String, Value>, key: &str) -> Value {
    let mut fields = fields.clone();
    fields.remove(key);
    Value::Object(fields)
}

/// What only the reader refuses: by code, and words of the message.
const STRICTER: [(u16, &str); 3] = [
    // What a key beside another one means.
    (113, "narrows nothing: everyone is meant already"),
    (108, "needs the key `as`"),
    // Whether another file is there.
    (108, "has no `kind: scope` document"),
];

#[test]
fn a_document_the_reader_accepts_is_never_refused_by_its_schema() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unlisted: BTreeMap<String, String> = BTreeMap::new();
    let mut wider: BTreeMap<String, String> = BTreeMap::new();
    for (kind, (schema, validator)) in &kinds() {
        let sound = documents(schema, 8).into_iter();
        let mut all: Vec<Value> =
            sound.flat_map(|document| [changes(&document), vec![document]].concat()).collect();
        all.retain(|document| document["kind"] == kind.as_str());
        for (document, found) in all.iter().zip(structural(kind, &all)) {
            let valid = validator.is_valid(document);
            *seen.entry(if valid { "valid" } else { "invalid" }).or_default() += 1;
            match found.first() {
                None if !valid => {
                    let why = validator.iter_errors(document).next().map(|error| error.to_string());
                    wider.entry(why.unwrap()).or_insert_with(|| format!("{kind}: {document}"));
                }
                Some((code, text)) if valid => {
                    let listed = STRICTER.iter().any(|(number, part)| number == code && text.contains(part));
                    if !listed {
                        unlisted
                            .entry(format!("{code} {text}"))
                            .or_insert_with(|| format!("{kind}: {document}"));
                    }
                }
                _ => {}
            }
        }
    }
    assert!(wider.is_empty(), "schemas refuse what readers accept: {wider:#?}");
    assert!(unlisted.is_empty(), "readers refuse what schemas accept: {unlisted:#?}");
    assert!(seen["valid"] >= 500 && seen["invalid"] >= 10_000, "{seen:?}");
}

#[test]
fn every_key_a_reader_knows_is_in_its_schema_and_the_other_way_round() {
    let mut mappings = BTreeSet::new();
    for (kind, (schema, _)) in &kinds() {
        for document in documents(schema, 12) {
            let mut all = Vec::new();
            places(&document, "", &mut all);
            for at in all {
                let Some(Value::Object(fields)) = document.pointer(&at) else { continue };
                let mut changed = document.clone();
                *changed.pointer_mut(&at).unwrap() = with(fields, UNKNOWN, json!(1));
                let told = structural(kind, &[changed])
                    .into_iter()
                    .flatten()
                    .find(|(code, text)| *code == 103 && text.contains(UNKNOWN));
                let Some((_, text)) = told else { continue };
                let reader: BTreeSet<String> = text
                    .split("its keys are")
                    .nth(1)
                    .unwrap_or_default()
                    .split('`')
                    .skip(1)
                    .step_by(2)
                    .map(str::to_owned)
                    .collect();
                let path: Vec<&str> = at.split('/').skip(1).collect();
                let known = keys_at(schema, schema, &path);
                assert_eq!(known, reader, "{kind} {at}: {text}");
                mappings.insert(format!("{kind} {text}"));
            }
        }
    }
    assert!(mappings.len() >= 20, "{mappings:#?}");
}

/// The keys a schema knows in the mapping at that place.
fn keys_at<'s>(root: &'s Value, schema: &'s Value, path: &[&str]) -> BTreeSet<String> {
    if let Some(target) = schema["$ref"].as_str() {
        return keys_at(root, root.pointer(target.trim_start_matches('#')).unwrap(), path);
    }
    let options = ["anyOf", "oneOf"].iter().filter_map(|key| schema[*key].as_array()).flatten();
    let mut keys: BTreeSet<String> = options.flat_map(|option| keys_at(root, option, path)).collect();
    let Some((step, rest)) = path.split_first() else {
        keys.extend(schema["properties"].as_object().into_iter().flat_map(Map::keys).cloned());
        return keys;
    };
    let below = match &schema["properties"][*step] {
        Value::Null if schema["items"].is_object() => &schema["items"],
        Value::Null => &schema["additionalProperties"],
        property => property,
    };
    keys.extend(keys_at(root, below, rest));
    keys
}
