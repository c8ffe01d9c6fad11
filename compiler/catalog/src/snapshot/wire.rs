//! The serialised structs.

use crate::catalog::{FunctionKind, Privilege, RelationKind, RowClass, SearchPath, Volatility};
use crate::data_type::TypeClass;
use crate::user_type::CastContext;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Snapshot {
    pub(crate) version: u32,
    pub(crate) server_version: u32,
    pub(crate) relations: Vec<WireRelation>,
    pub(crate) functions: Vec<WireFunction>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) types: Vec<WireType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) operators: Vec<WireOperator>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) casts: Vec<WireCast>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) system: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) captured: Option<String>,
}

impl Snapshot {
    /// One of nothing at all.
    pub(crate) fn empty() -> Self {
        Self {
            version: super::VERSION,
            server_version: 0,
            relations: Vec::new(),
            functions: Vec::new(),
            types: Vec::new(),
            operators: Vec::new(),
            casts: Vec::new(),
            system: None,
            captured: None,
        }
    }
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
    pub(crate) scans: Vec<WireName>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) calls: Vec<WireFunctionName>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) security_barrier: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) security_invoker: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) public: Vec<WirePrivilege>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) triggers: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) rules: Vec<WirePrivilege>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) row_security: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) indexes: Vec<Vec<String>>,
    #[serde(default, skip_serializing_if = "is_small")]
    pub(crate) size: WireRowClass,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) security_label: Option<String>,
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
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) leakproof: bool,
    pub(crate) returns: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) returns_set: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) extension: Option<String>,
    #[serde(default, skip_serializing_if = "is_function")]
    pub(crate) kind: WireFunctionKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parameters: Option<WireParameters>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) search_path: Option<WireSearchPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) untrusted: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reaches: Option<String>,
}

/// Absent where every argument is given and none has a name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireParameters {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) names: Vec<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) defaults: usize,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) variadic: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireFunctionName {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireType {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) definition: WireDefinition,
    /// Absent where it is what the kind of type usually has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) category: Option<char>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) preferred: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) extension: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) enum WireDefinition {
    Enum(Vec<String>),
    Domain {
        base: String,
        #[serde(default, skip_serializing_if = "is_false")]
        not_null: bool,
    },
    Composite(Vec<WireField>),
    Range(String),
    Base,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireField {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) sql: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireOperator {
    pub(crate) schema: String,
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) left: Option<String>,
    pub(crate) right: String,
    pub(crate) result: String,
    pub(crate) function: WireFunctionName,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireCast {
    pub(crate) from: String,
    pub(crate) to: String,
    #[serde(with = "ContextForm")]
    pub(crate) context: CastContext,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) function: Option<WireFunctionName>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct WireRowClass(#[serde(with = "RowClassForm")] pub(crate) RowClass);

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct WireFunctionKind(#[serde(with = "FunctionKindForm")] pub(crate) FunctionKind);

#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct WireSearchPath(#[serde(with = "SearchPathForm")] pub(crate) SearchPath);

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

#[derive(Serialize, Deserialize)]
#[serde(remote = "CastContext", rename_all = "snake_case")]
enum ContextForm {
    Implicit,
    Assignment,
    Explicit,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RowClass", rename_all = "snake_case")]
enum RowClassForm {
    Empty,
    Small,
    Medium,
    Large,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "FunctionKind", rename_all = "snake_case")]
enum FunctionKindForm {
    Function,
    Procedure,
    Aggregate,
    Window,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SearchPath", rename_all = "snake_case")]
enum SearchPathForm {
    Callers,
    Pinned,
}

fn is_function(kind: &WireFunctionKind) -> bool {
    kind.0 == FunctionKind::Function
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature `skip_serializing_if` asks for")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn is_small(class: &WireRowClass) -> bool {
    class.0 == RowClass::Small
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature `skip_serializing_if` asks for")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// `lock.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockFile {
    pub(crate) version: u32,
    pub(crate) server_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) system: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) captured: Option<String>,
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) types: Vec<WireType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) operators: Vec<WireOperator>,
}

impl SchemaFile {
    pub(crate) fn new(schema: &str) -> Self {
        Self {
            version: super::VERSION,
            schema: schema.to_owned(),
            relations: Vec::new(),
            functions: Vec::new(),
            types: Vec::new(),
            operators: Vec::new(),
        }
    }

    /// Whether everything in it belongs to its schema.
    pub(crate) fn is_pure(&self) -> bool {
        self.relations.iter().all(|relation| relation.schema == self.schema)
            && self.functions.iter().all(|function| function.schema == self.schema)
            && self.types.iter().all(|user_type| user_type.schema == self.schema)
            && self.operators.iter().all(|operator| operator.schema == self.schema)
    }
}

/// The casts of the lock, which belong to no schema.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CastFile {
    pub(crate) version: u32,
    pub(crate) casts: Vec<WireCast>,
}

/// What says in which version it was written.
pub(crate) trait Versioned {
    fn version(&self) -> u32;
}

impl Versioned for LockFile {
    fn version(&self) -> u32 {
        self.version
    }
}

impl Versioned for SchemaFile {
    fn version(&self) -> u32 {
        self.version
    }
}

impl Versioned for CastFile {
    fn version(&self) -> u32 {
        self.version
    }
}
