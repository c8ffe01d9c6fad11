//! The catalogue: relations, columns and functions of one database.
//!
//! Two sources make one: the agent's introspection, and the schema lock in the repository. The order of
//! everything is fixed (`BTreeMap`), so equal databases give equal catalogues.

use crate::data_type::DataType;
use crate::name::{FunctionName, Identifier, RelationName};
use std::collections::{BTreeMap, BTreeSet};

/// `server_version_num`, e.g. 150018.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ServerVersion(pub u32);

impl ServerVersion {
    /// The major version, e.g. 15.
    pub fn major(self) -> u32 {
        self.0 / 10_000
    }
}

/// Everything policies can talk about in one database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    /// The server it was read from.
    pub server: ServerVersion,
    /// User relations; system schemas never appear.
    pub relations: BTreeMap<RelationName, Relation>,
    /// User functions and procedures; system schemas never appear.
    pub functions: BTreeMap<FunctionName, Function>,
}

impl Catalog {
    /// The relation of that name.
    pub fn relation(&self, name: &RelationName) -> Option<&Relation> {
        self.relations.get(name)
    }
}

/// What kind of relation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RelationKind {
    /// An ordinary table.
    Table,
    /// A partitioned table.
    PartitionedTable,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// A foreign table.
    ForeignTable,
}

impl RelationKind {
    /// Whether rows can be written directly.
    pub fn is_writable(self) -> bool {
        !matches!(self, Self::MaterializedView)
    }
}

/// A privilege as GRANT names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Privilege {
    /// SELECT.
    Select,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// TRUNCATE.
    Truncate,
    /// EXECUTE (functions).
    Execute,
}

/// A table, view or the like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its name.
    pub name: RelationName,
    /// Its kind.
    pub kind: RelationKind,
    /// The role that owns it.
    pub owner: Identifier,
    /// Columns in attribute order.
    pub columns: Vec<Column>,
    /// Columns of the primary key, empty when there is none.
    pub primary_key: Vec<Identifier>,
    /// Column sets of the other unique constraints and indexes without expressions.
    pub unique: Vec<Vec<Identifier>>,
    /// Foreign keys that leave this relation.
    pub foreign_keys: Vec<ForeignKey>,
    /// Partitioned or inherited parents.
    pub parents: Vec<RelationName>,
    /// For views: the base columns the definition reads (transitively through other views).
    pub reads: BTreeSet<ColumnRef>,
    /// What PUBLIC may do with it.
    pub public: BTreeSet<Privilege>,
    /// Whether user triggers exist on it.
    pub triggers: bool,
    /// The comment, if any.
    pub comment: Option<String>,
}

impl Relation {
    /// The column of that name.
    pub fn column(&self, name: &Identifier) -> Option<&Column> {
        self.columns.iter().find(|column| &column.name == name)
    }
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignKey {
    /// Referencing columns, in key order.
    pub columns: Vec<Identifier>,
    /// The referenced relation.
    pub references: RelationName,
    /// Referenced columns, in key order.
    pub referenced: Vec<Identifier>,
}

/// A column of a relation, from outside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnRef {
    /// The relation.
    pub relation: RelationName,
    /// Its column.
    pub column: Identifier,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: Identifier,
    /// Its type.
    pub data_type: DataType,
    /// NOT NULL.
    pub not_null: bool,
    /// Whether a default exists (including identity and serial).
    pub has_default: bool,
    /// Generated or identity.
    pub generated: Generated,
    /// The sequence its default or identity uses.
    pub sequence: Option<RelationName>,
    /// The comment, if any.
    pub comment: Option<String>,
}

/// How a column gets its value when the writer gives none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Generated {
    /// An ordinary column.
    No,
    /// `GENERATED … AS IDENTITY`.
    Identity,
    /// `GENERATED ALWAYS AS (expression)`: the columns of the same relation the expression reads.
    From(Vec<Identifier>),
}

/// How often a function may give another answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Volatility {
    /// IMMUTABLE.
    Immutable,
    /// STABLE.
    Stable,
    /// VOLATILE.
    Volatile,
}

/// A function, procedure, aggregate or window function of a user schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Name and argument types.
    pub name: FunctionName,
    /// The role that owns it.
    pub owner: Identifier,
    /// Its volatility.
    pub volatility: Volatility,
    /// SECURITY DEFINER: it reads with its owner's rights, whatever the caller may see.
    pub security_definer: bool,
    /// Whether PUBLIC may execute it.
    pub public_execute: bool,
    /// Its result type as `format_type` prints it.
    pub returns: String,
    /// Whether it returns a set.
    pub returns_set: bool,
}
