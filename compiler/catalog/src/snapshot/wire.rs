//! The serialised structs, and how a catalogue becomes them.

use crate::catalog::{
    Catalog, Column, ColumnRef, ForeignKey, Function, Generated, Privilege, Relation, RelationKind,
    Volatility,
};
use crate::data_type::TypeClass;
use crate::name::{FunctionName, Identifier, RelationName};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Snapshot {
    pub(crate) version: u32,
    pub(crate) server_version: u32,
    pub(crate) relations: Vec<WireRelation>,
    pub(crate) functions: Vec<WireFunction>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireName {
    pub(crate) schema: String,
    pub(crate) name: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireRelation {
    pub(crate) schema: String,
    pub(crate) name: String,
    #[serde(with = "KindForm")]
    pub(crate) kind: RelationKind,
    pub(crate) owner: String,
    pub(crate) columns: Vec<WireColumn>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) primary_key: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unique: Vec<Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) foreign_keys: Vec<WireForeignKey>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parents: Vec<WireName>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) reads: Vec<WireColumnRef>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) public: Vec<WirePrivilege>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) triggers: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireForeignKey {
    pub(crate) columns: Vec<String>,
    pub(crate) references: WireName,
    pub(crate) referenced: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireColumnRef {
    pub(crate) schema: String,
    pub(crate) relation: String,
    pub(crate) column: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireColumn {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) sql: String,
    #[serde(with = "ClassForm")]
    pub(crate) class: TypeClass,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) not_null: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) has_default: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) identity: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) generated_from: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sequence: Option<WireName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireFunction {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) owner: String,
    #[serde(with = "VolatilityForm")]
    pub(crate) volatility: Volatility,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) security_definer: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) public_execute: bool,
    pub(crate) returns: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) returns_set: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct WirePrivilege(#[serde(with = "PrivilegeForm")] pub(crate) Privilege);

#[derive(Serialize, Deserialize)]
#[serde(remote = "RelationKind", rename_all = "snake_case")]
enum KindForm {
    Table,
    PartitionedTable,
    View,
    MaterializedView,
    ForeignTable,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Privilege", rename_all = "snake_case")]
enum PrivilegeForm {
    Select,
    Insert,
    Update,
    Delete,
    Truncate,
    Execute,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Volatility", rename_all = "snake_case")]
enum VolatilityForm {
    Immutable,
    Stable,
    Volatile,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TypeClass", rename_all = "snake_case")]
enum ClassForm {
    Text,
    Uuid,
    Integer,
    Numeric,
    Float,
    Boolean,
    Date,
    Timestamp,
    #[serde(rename = "timestamptz")]
    TimestampTz,
    Time,
    Inet,
    Cidr,
    Json,
    Jsonb,
    Bytea,
    Array,
    Enum,
    Domain,
    Other,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature `skip_serializing_if` asks for")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl From<&Catalog> for Snapshot {
    fn from(catalog: &Catalog) -> Self {
        Self {
            version: super::VERSION,
            server_version: catalog.server.0,
            relations: catalog.relations.values().map(WireRelation::from).collect(),
            functions: catalog.functions.values().map(WireFunction::from).collect(),
        }
    }
}

impl From<&RelationName> for WireName {
    fn from(name: &RelationName) -> Self {
        Self { schema: text(&name.schema), name: text(&name.name) }
    }
}

impl From<&Relation> for WireRelation {
    fn from(relation: &Relation) -> Self {
        Self {
            schema: text(&relation.name.schema),
            name: text(&relation.name.name),
            kind: relation.kind,
            owner: text(&relation.owner),
            columns: relation.columns.iter().map(WireColumn::from).collect(),
            primary_key: texts(&relation.primary_key),
            unique: relation.unique.iter().map(|columns| texts(columns)).collect(),
            foreign_keys: relation.foreign_keys.iter().map(WireForeignKey::from).collect(),
            parents: relation.parents.iter().map(WireName::from).collect(),
            reads: relation.reads.iter().map(WireColumnRef::from).collect(),
            public: relation.public.iter().copied().map(WirePrivilege).collect(),
            triggers: relation.triggers,
            comment: relation.comment.clone(),
        }
    }
}

impl From<&ForeignKey> for WireForeignKey {
    fn from(key: &ForeignKey) -> Self {
        Self {
            columns: texts(&key.columns),
            references: WireName::from(&key.references),
            referenced: texts(&key.referenced),
        }
    }
}

impl From<&ColumnRef> for WireColumnRef {
    fn from(read: &ColumnRef) -> Self {
        Self {
            schema: text(&read.relation.schema),
            relation: text(&read.relation.name),
            column: text(&read.column),
        }
    }
}

impl From<&Column> for WireColumn {
    fn from(column: &Column) -> Self {
        Self {
            name: text(&column.name),
            sql: column.data_type.sql.clone(),
            class: column.data_type.class,
            not_null: column.not_null,
            has_default: column.has_default,
            identity: column.generated == Generated::Identity,
            generated_from: match &column.generated {
                Generated::From(reads) => Some(texts(reads)),
                Generated::No | Generated::Identity => None,
            },
            sequence: column.sequence.as_ref().map(WireName::from),
            comment: column.comment.clone(),
        }
    }
}

impl From<&Function> for WireFunction {
    fn from(function: &Function) -> Self {
        let FunctionName { schema, name, arguments } = &function.name;
        Self {
            schema: text(schema),
            name: text(name),
            arguments: arguments.clone(),
            owner: text(&function.owner),
            volatility: function.volatility,
            security_definer: function.security_definer,
            public_execute: function.public_execute,
            returns: function.returns.clone(),
            returns_set: function.returns_set,
        }
    }
}

fn text(name: &Identifier) -> String {
    name.as_str().to_owned()
}

fn texts(names: &[Identifier]) -> Vec<String> {
    names.iter().map(text).collect()
}

/// `lock.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockFile {
    pub(crate) version: u32,
    pub(crate) server_version: u32,
    pub(crate) files: Vec<LockedFile>,
}

/// One line of `lock.json`. A list rather than a map, so that a file listed twice is seen.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockedFile {
    pub(crate) name: String,
    pub(crate) sha256: String,
}

/// One schema of the lock.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SchemaFile {
    pub(crate) version: u32,
    pub(crate) schema: String,
    pub(crate) relations: Vec<WireRelation>,
    pub(crate) functions: Vec<WireFunction>,
}

impl SchemaFile {
    pub(crate) fn new(schema: &str) -> Self {
        Self {
            version: super::VERSION,
            schema: schema.to_owned(),
            relations: Vec::new(),
            functions: Vec::new(),
        }
    }

    /// Whether everything in it belongs to its schema.
    pub(crate) fn is_pure(&self) -> bool {
        self.relations.iter().all(|relation| relation.schema == self.schema)
            && self.functions.iter().all(|function| function.schema == self.schema)
    }
}
