//! Reading the upstream database's catalogue: relations, columns, keys, views, functions, what PUBLIC may do.
//!
//! The result is a [`FullCatalog`], which knows everything and can be given to nobody outside this process: it has
//! no file form. Only the scope filter turns it into a [`crate::scope::ScopedCatalog`], and only that can be
//! reported or enforced on. Left out: system schemas, temporary relations, relations of extensions, and whatever else
//! of an extension no column's type has to do with (except SECURITY DEFINER functions, which reach further than the
//! session may).

mod assemble;
mod bodies;
mod extensions;
pub mod privileges;
mod queries;
mod type_class;
mod user_types;
mod views;

pub(crate) use extensions::used_types;

pub(crate) use queries::STEERABLE_TRIGGERS;

use daam_catalog::{Catalog, RelationName, Scope};
use daam_enforce::Objects;
use std::collections::BTreeSet;
use tokio_postgres::{Client, IsolationLevel};

/// Why the catalogue could not be read.
#[derive(Debug, thiserror::Error)]
pub enum IntrospectError {
    /// A catalogue query failed.
    #[error("could not read the {what} of the database")]
    Query {
        /// What was being read.
        what: &'static str,
        /// The server's answer.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The catalogue holds something we cannot represent.
    #[error("the database has a {what} whose name is not usable")]
    Name {
        /// What has the name.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        source: daam_catalog::NameError,
    },
}

/// Everything in the database, whatever the scope says.
#[derive(Debug, Clone)]
pub struct FullCatalog {
    pub(crate) catalog: Catalog,
    /// Sequences that belong to a column (serial, identity): part of their table.
    pub(crate) owned_sequences: BTreeSet<RelationName>,
    /// Which very objects these are.
    pub(crate) objects: Objects,
}

impl FullCatalog {
    /// Reads the catalogue in one snapshot. The connection's `search_path` must be `pg_catalog`.
    pub async fn read(client: &mut Client) -> Result<Self, IntrospectError> {
        let failed = |source| IntrospectError::Query { what: "catalogue", source };
        let transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await
            .map_err(failed)?;
        transaction.batch_execute("SET LOCAL search_path = pg_catalog").await.map_err(failed)?;
        let facts = queries::Facts::read(&transaction).await?;
        transaction.rollback().await.map_err(failed)?;
        assemble::assemble(&facts)
    }

    /// Names of all relations, sorted. For local output only.
    pub fn relation_names(&self) -> impl Iterator<Item = &RelationName> {
        self.catalog.relations.keys()
    }

    /// The whole catalogue. For local output only.
    pub fn unfiltered(&self) -> &Catalog {
        &self.catalog
    }

    /// Which very objects the names stand for.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// What the scope leaves of it.
    pub fn within(&self, scope: &Scope) -> crate::scope::ScopedCatalog {
        crate::scope::ScopedCatalog::new(self, scope)
    }
}
