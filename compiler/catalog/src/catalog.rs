//! The catalogue: relations, columns and functions of one database.
//!
//! Two sources make one: the agent's introspection, and the schema lock in the repository. The order of
//! everything is fixed (`BTreeMap`), so equal databases give equal catalogues.

use crate::data_type::DataType;
use crate::name::{FunctionName, Identifier, RelationName};
use crate::pattern::RelationPattern;
use crate::user_type::{UserCast, UserOperator, UserType};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// `server_version_num`, e.g. 150018.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct ServerVersion(pub u32);

impl ServerVersion {
    /// The major version, e.g. 15.
    pub fn major(self) -> u32 {
        self.0 / 10_000
    }
}

/// Everything policies can talk about in one database.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Catalog {
    /// The server it was read from.
    pub server: ServerVersion,
    /// User relations; system schemas never appear.
    pub relations: BTreeMap<RelationName, Relation>,
    /// User functions and procedures; system schemas never appear. Functions of extensions only where their types
    /// are used.
    pub functions: BTreeMap<FunctionName, Function>,
    /// User types, without those PostgreSQL makes itself (arrays, row types of tables, multiranges).
    pub types: BTreeMap<RelationName, UserType>,
    /// User operators.
    pub operators: BTreeSet<UserOperator>,
    /// Casts that are not PostgreSQL's own.
    pub casts: BTreeSet<UserCast>,
    /// A hash of the server's system identifier and the database's number: which one it is, without saying so.
    pub system: Option<String>,
    /// The day it was read, `YYYY-MM-DD`; kept by the lock alone.
    pub captured: Option<String>,
}

impl Catalog {
    /// The relation of that name.
    pub fn relation(&self, name: &RelationName) -> Option<&Relation> {
        self.relations.get(name)
    }
}

/// What kind of relation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// What to call it, in SQL's own words.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::PartitionedTable => "partitioned table",
            Self::View => "view",
            Self::MaterializedView => "materialized view",
            Self::ForeignTable => "foreign table",
        }
    }

    /// Whether rows can be written directly.
    pub fn is_writable(self) -> bool {
        !matches!(self, Self::MaterializedView)
    }
}

/// A privilege as GRANT names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// For views: the base columns the definition reads, through other views, and through functions as far as
    /// PostgreSQL knows what those read.
    pub reads: BTreeSet<ColumnRef>,
    /// For views: relations it reads without reading any of their columns, e.g. to count their rows.
    pub scans: BTreeSet<RelationName>,
    /// For views: the functions it calls, directly or not, that run with other rights than those of who reads it.
    pub calls: BTreeSet<FunctionName>,
    /// For views: with whose rights it reads, and in which order it filters.
    pub view: ViewOptions,
    /// What PUBLIC may do with it.
    pub public: BTreeSet<Privilege>,
    /// Whether user triggers exist on it.
    pub triggers: bool,
    /// What of writing to it is rewritten by rules (`CREATE RULE`), its own or those of what it reads: rules read with
    /// their owner's rights, and can answer with rows.
    pub rules: BTreeSet<Privilege>,
    /// Whether PostgreSQL's own row security is switched on for it.
    pub row_security: bool,
    /// The leading plain columns of every index over all rows.
    pub indexes: Vec<Vec<Identifier>>,
    /// Roughly how many rows it has.
    pub size: RowClass,
    /// The comment, if any.
    pub comment: Option<String>,
}

/// How a view was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ViewOptions {
    /// `security_barrier`: conditions of a query are not moved below those of the view.
    pub security_barrier: bool,
    /// `security_invoker`: it reads with the rights of who reads it, not with its owner's.
    pub security_invoker: bool,
}

/// Roughly how many rows a relation has, by the server's own estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum RowClass {
    /// None.
    Empty,
    /// Fewer than ten thousand, or never estimated.
    #[default]
    Small,
    /// Fewer than a million.
    Medium,
    /// More.
    Large,
}

impl Relation {
    /// A relation that has nothing yet.
    pub fn new(name: RelationName, kind: RelationKind, owner: Identifier) -> Self {
        Self {
            name,
            kind,
            owner,
            columns: Vec::new(),
            primary_key: Vec::new(),
            unique: Vec::new(),
            foreign_keys: Vec::new(),
            parents: Vec::new(),
            reads: BTreeSet::new(),
            scans: BTreeSet::new(),
            calls: BTreeSet::new(),
            view: ViewOptions::default(),
            public: BTreeSet::new(),
            triggers: false,
            rules: BTreeSet::new(),
            row_security: false,
            indexes: Vec::new(),
            size: RowClass::default(),
            comment: None,
        }
    }

    /// For views: the relations it is made from, some of them several times.
    pub fn sources(&self) -> impl Iterator<Item = &RelationName> {
        self.reads.iter().map(|read| &read.relation).chain(&self.scans)
    }

    /// The column of that name.
    pub fn column(&self, name: &Identifier) -> Option<&Column> {
        self.columns.iter().find(|column| &column.name == name)
    }
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Referencing columns, in key order.
    pub columns: Vec<Identifier>,
    /// The referenced relation.
    pub references: RelationName,
    /// Referenced columns, in key order.
    pub referenced: Vec<Identifier>,
}

/// A column of a relation, from outside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ColumnRef {
    /// The relation.
    pub relation: RelationName,
    /// Its column.
    pub column: Identifier,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Its security labels, as `provider: label`.
    pub security_label: Option<String>,
}

impl Column {
    /// A nullable column without default.
    pub fn new(name: Identifier, data_type: DataType) -> Self {
        Self {
            name,
            data_type,
            not_null: false,
            has_default: false,
            generated: Generated::No,
            sequence: None,
            comment: None,
            security_label: None,
        }
    }
}

/// How a column gets its value when the writer gives none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Generated {
    /// An ordinary column.
    No,
    /// `GENERATED … AS IDENTITY`.
    Identity,
    /// `GENERATED ALWAYS AS (expression)`: the columns of the same relation the expression reads.
    From(Vec<Identifier>),
}

/// How often a function may give another answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Volatility {
    /// IMMUTABLE.
    Immutable,
    /// STABLE.
    Stable,
    /// VOLATILE.
    Volatile,
}

/// What kind of routine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum FunctionKind {
    /// A function.
    #[default]
    Function,
    /// A procedure, which only `CALL` reaches.
    Procedure,
    /// An aggregate.
    Aggregate,
    /// A window function.
    Window,
}

/// How a function may be called, beyond the types of its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Parameters {
    /// The names of its arguments, those without a name empty; nothing where none has one.
    pub names: Vec<String>,
    /// How many arguments, from the last, may be left out.
    pub defaults: usize,
    /// Whether the last one takes any number of values.
    pub variadic: bool,
}

/// Where a function looks for names that have no schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SearchPath {
    /// Where its caller says.
    Callers,
    /// Where its definition says.
    Pinned,
}

/// A function, procedure, aggregate or window function of a user schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// LEAKPROOF: it says nothing about its arguments but by its result.
    pub leakproof: bool,
    /// Its result type as `format_type` prints it.
    pub returns: String,
    /// Whether it returns a set.
    pub returns_set: bool,
    /// The extension it belongs to.
    pub extension: Option<Identifier>,
    /// What kind of routine it is.
    pub kind: FunctionKind,
    /// How it may be called.
    pub parameters: Parameters,
    /// Where it looks for names; known of SECURITY DEFINER functions, and of those a row filter may call.
    pub search_path: Option<SearchPath>,
    /// Its language, if that is one in which a function can do anything on the server.
    pub untrusted: Option<String>,
    /// What its body does, with its caller's rights, that a statement may not, in words: `runs text as SQL`, or which
    /// function with its owner's rights it calls.
    pub reaches: Option<String>,
}

impl Function {
    /// A volatile function that returns nothing, with its caller's rights.
    pub fn new(name: FunctionName, owner: Identifier) -> Self {
        Self {
            name,
            owner,
            volatility: Volatility::Volatile,
            security_definer: false,
            public_execute: false,
            leakproof: false,
            returns: "void".to_owned(),
            returns_set: false,
            extension: None,
            kind: FunctionKind::Function,
            parameters: Parameters::default(),
            search_path: None,
            untrusted: None,
            reaches: None,
        }
    }

    /// Whether a pattern of a policy names it. A wildcard never means a function of an extension: who writes
    /// `public.*` thinks of their own, and an upgrade of the extension would add to it.
    pub fn is_meant_by(&self, pattern: &RelationPattern) -> bool {
        let own = self.extension.is_none() || self.security_definer || pattern.literal().is_some();
        own && pattern.matches_parts(&self.name.schema, &self.name.name)
    }
}
