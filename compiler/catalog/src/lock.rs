//! The schema lock: a catalogue as a directory that merges well.
//!
//! `lock.json` names the server version and one file per schema with its digest; each schema file is canonical,
//! pretty-printed JSON. Pure: file names and texts in and out, the caller reads and writes. Refused: files that
//! were edited by hand, that are missing, or that nobody listed, since a lock that lies hides columns from
//! review.

use crate::catalog::Catalog;
use crate::snapshot::wire::{LockFile, LockedFile, SchemaFile, Snapshot};
use crate::snapshot::{SnapshotError, VERSION};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The name of the file that lists the others.
pub const LOCK_FILE: &str = "lock.json";

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

/// The files of a catalogue: `lock.json` and one per schema.
pub fn to_files(catalog: &Catalog) -> BTreeMap<String, String> {
    let mut schemas: BTreeMap<String, SchemaFile> = BTreeMap::new();
    let snapshot = Snapshot::from(catalog);
    for relation in snapshot.relations {
        let schema = schemas.entry(relation.schema.clone()).or_insert_with_key(|name| SchemaFile::new(name));
        schema.relations.push(relation);
    }
    for function in snapshot.functions {
        let schema = schemas.entry(function.schema.clone()).or_insert_with_key(|name| SchemaFile::new(name));
        schema.functions.push(function);
    }
    let mut files: BTreeMap<String, String> =
        schemas.values().map(|schema| (file_name(&schema.schema), pretty(schema))).collect();
    let listed =
        files.iter().map(|(name, text)| LockedFile { name: name.clone(), sha256: digest(text) }).collect();
    let lock = LockFile { version: VERSION, server_version: snapshot.server_version, files: listed };
    files.insert(LOCK_FILE.to_owned(), pretty(&lock));
    files
}

/// Reads what [`to_files`] wrote. Files that are not JSON by name are none of its business.
pub fn from_files(files: &BTreeMap<String, String>) -> Result<Catalog, LockError> {
    let lock: LockFile = parse(LOCK_FILE, files.get(LOCK_FILE).ok_or(LockError::NoLock)?)?;
    check_version(LOCK_FILE, lock.version)?;
    let mut listed = BTreeSet::new();
    let mut relations = Vec::new();
    let mut functions = Vec::new();
    for LockedFile { name, sha256 } in lock.files {
        let text = files.get(&name).ok_or_else(|| LockError::Missing(name.clone()))?;
        if digest(text) != sha256 {
            return Err(LockError::Edited(name));
        }
        let schema: SchemaFile = parse(&name, text)?;
        check_version(&name, schema.version)?;
        if file_name(&schema.schema) != name || !schema.is_pure() {
            return Err(LockError::Foreign { file: name, schema: schema.schema });
        }
        relations.extend(schema.relations);
        functions.extend(schema.functions);
        if !listed.insert(name.clone()) {
            return Err(LockError::ListedTwice(name));
        }
    }
    let is_json = |name: &&String| name.strip_suffix(".json").is_some();
    let unlisted = |name: &&String| name.as_str() != LOCK_FILE && !listed.contains(*name);
    if let Some(name) = files.keys().filter(is_json).find(unlisted) {
        return Err(LockError::Unlisted(name.clone()));
    }
    let snapshot = Snapshot { version: VERSION, server_version: lock.server_version, relations, functions };
    Catalog::try_from(snapshot).map_err(LockError::Catalogue)
}

/// A digest of everything policies depend on: equal for equal databases, whatever the order of keys and
/// constraints, the comments, or the minor version of the server.
pub fn fingerprint(catalog: &Catalog) -> String {
    let mut catalog = catalog.clone();
    catalog.server.0 = catalog.server.major();
    for relation in catalog.relations.values_mut() {
        relation.unique.sort();
        relation.foreign_keys.sort();
        relation.parents.sort();
        relation.comment = None;
        for column in &mut relation.columns {
            column.comment = None;
        }
    }
    digest(&compact(&Snapshot::from(&catalog)))
}

fn check_version(file: &str, found: u32) -> Result<(), LockError> {
    if found == VERSION { Ok(()) } else { Err(LockError::Version { file: file.to_owned(), found }) }
}

fn parse<'a, T: serde::Deserialize<'a>>(file: &str, text: &'a str) -> Result<T, LockError> {
    serde_json::from_str(text).map_err(|source| LockError::Shape { file: file.to_owned(), source })
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
    for byte in Sha256::digest(text.replace("\r\n", "\n").as_bytes()) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// A file name every file system keeps apart: anything but lower-case letters, digits, `_` and `-` is escaped,
/// and so is a schema that would collide with `lock.json`.
fn file_name(schema: &str) -> String {
    let mut out = String::new();
    for byte in schema.bytes() {
        let plain = byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        if plain && !(out.is_empty() && schema == "lock") {
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
