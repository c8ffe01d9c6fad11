//! The schema lock: a catalogue as a directory that merges well.
//!
//! `lock.json` names the server and one file per schema with its digest; each schema file is canonical,
//! pretty-printed JSON, and so is the one of the casts, which belong to no schema. Pure: file names and texts in
//! and out, the caller reads and writes. Refused: files that were edited by hand, that are missing, or that nobody
//! listed, since a lock that lies hides columns from review.

use crate::catalog::{Catalog, RowClass, ServerVersion};
use crate::parallel;
use crate::snapshot::wire::{CastFile, LockFile, LockedFile, SchemaFile, Snapshot, Versioned, WireCast};
use crate::snapshot::{SnapshotError, VERSION};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The name of the file that lists the others.
pub const LOCK_FILE: &str = "lock.json";

/// The name of the file with the casts; absent where there are none.
const CAST_FILE: &str = "casts.json";

/// Why a directory is not a schema lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// No `lock.json`.
    #[error("`{LOCK_FILE}` is missing; `daam schema pull` writes one")]
    NoLock,
    /// A file that is not of the expected shape.
    #[error("`{file}` is not readable; run `daam schema pull` again")]
    Shape {
        /// The file.
        file: String,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// Written by another version of the tool.
    #[error("`{file}` has version {found}; only version {VERSION} is accepted, run `daam schema pull` again")]
    Version {
        /// The file.
        file: String,
        /// The version it says.
        found: u32,
    },
    /// Listed but absent.
    #[error("`{0}` is listed in `{LOCK_FILE}` but missing; run `daam schema pull` again")]
    Missing(String),
    /// Present but not listed.
    #[error("`{0}` is not listed in `{LOCK_FILE}`; remove it or run `daam schema pull` again")]
    Unlisted(String),
    /// Listed twice.
    #[error("`{0}` is listed twice in `{LOCK_FILE}`; run `daam schema pull` again")]
    ListedTwice(String),
    /// The digest does not match.
    #[error(
        "`{0}` does not have the digest `{LOCK_FILE}` records; it was edited by hand or merged, run `daam schema pull` again"
    )]
    Edited(String),
    /// An object of another schema than the file is for.
    #[error("`{file}` is for the schema `{schema}` but contains objects of another")]
    Foreign {
        /// The file.
        file: String,
        /// The schema it is for.
        schema: String,
    },
    /// The content is not a catalogue.
    #[error("the schema lock is not a valid catalogue")]
    Catalogue(#[source] SnapshotError),
}

/// The files of a catalogue: `lock.json`, one per schema, and one of casts.
pub fn to_files(catalog: &Catalog) -> BTreeMap<String, String> {
    let snapshot = Snapshot::from(catalog);
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    if !snapshot.casts.is_empty() {
        files.insert(CAST_FILE.to_owned(), pretty(&CastFile { version: VERSION, casts: snapshot.casts }));
    }
    let mut schemas = Schemas::default();
    snapshot.relations.into_iter().for_each(|it| schemas.file(&it.schema).relations.push(it));
    snapshot.functions.into_iter().for_each(|it| schemas.file(&it.schema).functions.push(it));
    snapshot.types.into_iter().for_each(|it| schemas.file(&it.schema).types.push(it));
    snapshot.operators.into_iter().for_each(|it| schemas.file(&it.schema).operators.push(it));
    files.extend(schemas.0.values().map(|schema| (file_name(&schema.schema), pretty(schema))));
    let listed =
        files.iter().map(|(name, text)| LockedFile { name: name.clone(), sha256: digest(text) }).collect();
    let lock = LockFile {
        version: VERSION,
        server_version: snapshot.server_version,
        system: snapshot.system,
        captured: snapshot.captured,
        files: listed,
    };
    files.insert(LOCK_FILE.to_owned(), pretty(&lock));
    files
}

/// The files of the schemas while objects are sorted into them.
#[derive(Default)]
struct Schemas(BTreeMap<String, SchemaFile>);

impl Schemas {
    fn file(&mut self, schema: &str) -> &mut SchemaFile {
        self.0.entry(schema.to_owned()).or_insert_with_key(|name| SchemaFile::new(name))
    }
}

/// Reads what [`to_files`] wrote. Files that are not JSON by name are none of its business.
///
/// The files are read side by side: each holds one schema whole, so nothing in one depends on another.
pub fn from_files<T: AsRef<str>>(files: &BTreeMap<String, T>) -> Result<Catalog, LockError> {
    let lock: LockFile = parse(LOCK_FILE, files.get(LOCK_FILE).ok_or(LockError::NoLock)?.as_ref())?;
    let mut listed = BTreeSet::new();
    let mut parts = Vec::with_capacity(lock.files.len());
    for LockedFile { name, sha256 } in &lock.files {
        let text = files.get(name).ok_or_else(|| LockError::Missing(name.clone()))?.as_ref();
        if !listed.insert(name.clone()) {
            return Err(LockError::ListedTwice(name.clone()));
        }
        parts.push((name.as_str(), text, sha256.as_str()));
    }
    let is_json = |name: &&String| name.strip_suffix(".json").is_some();
    let unlisted = |name: &&String| name.as_str() != LOCK_FILE && !listed.contains(*name);
    if let Some(name) = files.keys().filter(is_json).find(unlisted) {
        return Err(LockError::Unlisted(name.clone()));
    }
    let read =
        parallel::map_large(&parts, parallel::threads(), |(name, text, sha256)| part(name, text, sha256));
    let mut catalog = Catalog {
        server: ServerVersion(lock.server_version),
        system: lock.system,
        captured: lock.captured,
        ..Catalog::default()
    };
    for part in read {
        // Schemas are kept apart by their files, so nothing is in two parts.
        let mut part = part?;
        catalog.relations.append(&mut part.relations);
        catalog.functions.append(&mut part.functions);
        catalog.types.append(&mut part.types);
        catalog.operators.append(&mut part.operators);
        catalog.casts.append(&mut part.casts);
    }
    Ok(catalog)
}

/// What one file of a lock adds to the catalogue.
fn part(name: &str, text: &str, sha256: &str) -> Result<Catalog, LockError> {
    if digest(text) != sha256 {
        return Err(LockError::Edited(name.to_owned()));
    }
    let mut snapshot = Snapshot::empty();
    if name == CAST_FILE {
        snapshot.casts = read_casts(text)?;
    } else {
        let schema = read_schema(name, text)?;
        snapshot.relations = schema.relations;
        snapshot.functions = schema.functions;
        snapshot.types = schema.types;
        snapshot.operators = schema.operators;
    }
    Catalog::try_from(snapshot).map_err(LockError::Catalogue)
}

fn read_casts(text: &str) -> Result<Vec<WireCast>, LockError> {
    Ok(parse::<CastFile>(CAST_FILE, text)?.casts)
}

fn read_schema(name: &str, text: &str) -> Result<SchemaFile, LockError> {
    let schema: SchemaFile = parse(name, text)?;
    if file_name(&schema.schema) == name && schema.is_pure() {
        Ok(schema)
    } else {
        Err(LockError::Foreign { file: name.to_owned(), schema: schema.schema })
    }
}

/// A digest of everything policies depend on: equal for equal databases, whatever the order of keys and
/// constraints, the comments and labels, indexes and sizes, the day, or the minor version of the server. Which
/// cluster it is does not count either: a copy of a database is the same to a policy.
pub fn fingerprint(catalog: &Catalog) -> String {
    let mut catalog = catalog.clone();
    catalog.server.0 = catalog.server.major();
    catalog.system = None;
    catalog.captured = None;
    for relation in catalog.relations.values_mut() {
        relation.unique.sort();
        relation.foreign_keys.sort();
        relation.parents.sort();
        relation.indexes.clear();
        relation.size = RowClass::default();
        relation.comment = None;
        for column in &mut relation.columns {
            column.comment = None;
            column.security_label = None;
        }
    }
    digest(&compact(&Snapshot::from(&catalog)))
}

/// What a lock keeps of what identifies a database: enough to notice another one, and no number to look for.
pub fn system_hash(identifier: &str) -> String {
    digest(&format!("daam-system-v1\0{identifier}"))
}

/// Reads a file of this version; one of another version may hold anything, and its remedy is known.
fn parse<'a, T: serde::Deserialize<'a> + Versioned>(file: &str, text: &'a str) -> Result<T, LockError> {
    let found = match serde_json::from_str::<T>(text) {
        Ok(value) if value.version() == VERSION => return Ok(value),
        Ok(value) => value.version(),
        Err(source) => match serde_json::from_str::<AnyVersion>(text) {
            Ok(AnyVersion { version }) if version != VERSION => version,
            _ => return Err(LockError::Shape { file: file.to_owned(), source }),
        },
    };
    Err(LockError::Version { file: file.to_owned(), found })
}

#[derive(serde::Deserialize)]
struct AnyVersion {
    version: u32,
}

/// Serialising plain structs of strings, numbers and lists cannot fail; an empty text is refused when read.
fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

fn compact(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Line endings do not count: version control may rewrite them.
fn digest(text: &str) -> String {
    let mut out = String::with_capacity(64);
    let plain =
        if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) };
    for byte in Sha256::digest(plain.as_bytes()) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// A file name every file system keeps apart: anything but lower-case letters, digits, `_` and `-` is escaped,
/// and so is a schema that would collide with `lock.json` or `casts.json`.
fn file_name(schema: &str) -> String {
    let mut out = String::new();
    for byte in schema.bytes() {
        let plain = byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        if plain && !(out.is_empty() && matches!(schema, "lock" | "casts")) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out.push_str(".json");
    out
}

#[cfg(test)]
mod tests;
