//! Compiled databases as bytes, so that a question about thousands of policies need not check them all again.
//!
//! For the same build of the same program only: the bytes have no version, and whoever keeps them has to know that the
//! files they were made from are still the same. Test cases are not among them, and nothing is ever built or judged
//! from them. Names and patterns are read as strictly as in policies; bytes that are anything else are refused whole.

use crate::compile::CompiledDatabase;
use crate::compiled::CompiledPolicies;
use daam_catalog::{Catalog, Scope};
use daam_model::PolicySet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why bytes are not compiled databases.
#[derive(Debug, thiserror::Error)]
#[error("these are not the compiled databases of this program")]
pub struct StoredError(#[from] postcard::Error);

/// The halves of a database lie apart, so that both are read at the same time.
#[derive(Serialize, Deserialize)]
struct Halves<'a> {
    name: &'a str,
    policies: &'a [u8],
    schema: &'a [u8],
}

/// As bytes.
pub fn to_bytes(databases: &BTreeMap<String, CompiledDatabase>) -> Result<Vec<u8>, StoredError> {
    let halves: Result<Vec<_>, StoredError> = databases
        .iter()
        .map(|(name, database)| {
            let policies: &PolicySet = &database.policies;
            let schema = (&*database.catalog, &database.scope);
            Ok((name, postcard::to_stdvec(policies)?, postcard::to_stdvec(&schema)?))
        })
        .collect();
    let halves = halves?;
    let halves: Vec<Halves<'_>> =
        halves.iter().map(|(name, policies, schema)| Halves { name, policies, schema }).collect();
    Ok(postcard::to_stdvec(&halves)?)
}

/// What [`to_bytes`] made.
pub fn from_bytes(bytes: &[u8]) -> Result<BTreeMap<String, CompiledDatabase>, StoredError> {
    let halves: Vec<Halves<'_>> = postcard::from_bytes(bytes)?;
    let mut databases = BTreeMap::new();
    for Halves { name, policies, schema } in halves {
        let (policies, schema) = std::thread::scope(|scope| {
            let other = std::thread::Builder::new().spawn_scoped(scope, || read_schema(schema));
            let policies = postcard::from_bytes::<PolicySet>(policies);
            let schema =
                other.ok().and_then(|thread| thread.join().ok()).unwrap_or_else(|| read_schema(schema));
            (policies, schema)
        });
        let (catalog, scope) = schema?;
        let database = CompiledDatabase {
            policies: CompiledPolicies::from(policies?),
            catalog: Arc::new(catalog),
            scope,
            scenarios: Vec::new(),
        };
        databases.insert(name.to_owned(), database);
    }
    Ok(databases)
}

fn read_schema(bytes: &[u8]) -> Result<(Catalog, Scope), postcard::Error> {
    postcard::from_bytes(bytes)
}
