//! JSON Schemas of the documents, for editors.
//!
//! Editors complete and underline with them; the compiler's own readers stay the judge, since a schema cannot say
//! where a value stands or look a name up. The shapes here mirror the readers and are never read themselves. A key
//! that may be left out may not be null: the language has no null.

#![expect(dead_code, reason = "the fields exist for the derived schemas only")]

mod classification;
mod lint;
mod scalar;
mod scenario;

use crate::syntax::project::built_in;
use classification::Classification;
use lint::{Lint, Waiver};
use scalar::{Duration, Email, Null, OneOrMany, Scalar, Text};
use scenario::TestDocument;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;
use std::collections::BTreeMap;

/// File name → schema.
pub fn schemas() -> BTreeMap<&'static str, Value> {
    let mut out = BTreeMap::new();
    out.insert("policy.schema.json", schema::<PolicyDocument>());
    out.insert("request-ceiling.schema.json", schema::<CeilingDocument>());
    out.insert("scope.schema.json", schema::<ScopeDocument>());
    out.insert("group.schema.json", schema::<GroupDocument>());
    out.insert("directory.schema.json", schema::<DirectoryDocument>());
    out.insert("test.schema.json", schema::<TestDocument>());
    out.insert("project.schema.json", schema::<ProjectDocument>());
    out
}

fn schema<T: JsonSchema>() -> Value {
    let generator: SchemaGenerator = SchemaSettings::draft2020_12().into_generator();
    without_null(generator.into_root_schema_for::<T>().to_value())
}

/// An optional key is one that may be missing; `null` is refused wherever it stands.
fn without_null(value: Value) -> Value {
    let null = |value: &Value| value == "null" || value.get("type").is_some_and(|kind| kind == "null");
    match value {
        Value::Object(fields) => {
            let mut out = serde_json::Map::new();
            for (key, field) in fields {
                match (key.as_str(), field) {
                    ("type" | "anyOf", Value::Array(mut list)) => {
                        list.retain(|entry| !null(entry));
                        match list.as_mut_slice() {
                            [Value::Object(only)] if key == "anyOf" => {
                                out.append(
                                    &mut without_null(Value::Object(only.clone()))
                                        .as_object()
                                        .cloned()
                                        .unwrap_or_default(),
                                );
                            }
                            [only] => drop(out.insert(key, without_null(only.take()))),
                            _ => drop(out.insert(key, without_null(Value::Array(list)))),
                        }
                    }
                    (_, field) => drop(out.insert(key, without_null(field))),
                }
            }
            Value::Object(out)
        }
        Value::Array(list) => Value::Array(list.into_iter().map(without_null).collect()),
        other => other,
    }
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum PolicyKind {
    Policy,
}

/// What a group of people may do and see in one database.
#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    title = "daam policy",
    extend("oneOf" = [{ "required": ["subjects"] }, { "required": ["request"] }])
)]
struct PolicyDocument {
    kind: PolicyKind,
    /// Unique within the database.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"))]
    name: String,
    /// A database of `daam.yaml`.
    database: Text,
    /// For readers.
    description: Option<Text>,
    /// Whom it concerns. Either this or `request`.
    subjects: Option<Subjects>,
    /// Present when access is asked for instead of held.
    request: Option<Request>,
    grants: Option<Vec<Grant>>,
    masks: Option<Vec<MaskRule>>,
    session: Option<Session>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum CeilingKind {
    RequestCeiling,
}

/// The most that people may ask for although no policy names it. It grants nothing by itself.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "daam request ceiling")]
struct CeilingDocument {
    kind: CeilingKind,
    /// Unique within the database, among policies too.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"))]
    name: String,
    /// A database of `daam.yaml`.
    database: Text,
    /// For readers.
    description: Option<Text>,
    request: Request,
    /// What may be asked for.
    grants: Vec<CeilingGrant>,
    /// The weakest mask of each column: what is asked for is masked at least as strongly.
    masks: Option<Vec<MaskRule>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct CeilingGrant {
    /// Relations, `schema.table` with `*` inside a segment.
    on: OneOrMany,
    allow: Vec<Verb>,
    /// Narrows a verb to columns.
    columns: Option<Columns>,
    /// SQL over this relation's columns and `subject.<attribute>`: no other rows can be asked for.
    rows: Option<Text>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
struct Subjects {
    /// Everyone with an identity in the organization.
    everyone: Option<bool>,
    groups: Option<Vec<Text>>,
    /// E-mail addresses.
    users: Option<Vec<Email>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Request {
    /// Who may ask.
    who: Subjects,
    approvers: Approvers,
    /// At most 24 hours.
    max_duration: Duration,
    reason: Option<Reason>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Approvers {
    #[schemars(length(min = 1))]
    groups: Vec<Text>,
    #[schemars(range(min = 1, max = 10))]
    count: Option<u32>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Reason {
    Required,
    Optional,
}

#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend(
        "anyOf" = [{ "required": ["on"] }, { "required": ["functions"] }],
        "dependentRequired" = { "on": ["allow"], "allow": ["on"] }
    )
)]
struct Grant {
    /// Relations, `schema.table` with `*` inside a segment.
    on: Option<OneOrMany>,
    allow: Option<Vec<Verb>>,
    /// Narrows a verb to columns.
    columns: Option<Columns>,
    /// SQL over this relation's columns and `subject.<attribute>`; adds up over policies.
    rows: Option<Text>,
    /// As `rows`, but holds over every policy.
    restrict: Option<Text>,
    /// Functions that may be called, `schema.name`.
    functions: Option<OneOrMany>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Verb {
    Select,
    Insert,
    Update,
    Delete,
    Truncate,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Columns {
    select: Option<Vec<Text>>,
    insert: Option<Vec<Text>>,
    update: Option<Vec<Text>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct MaskRule {
    /// Columns, `schema.table.column` with `*` inside a segment.
    on: OneOrMany,
    with: Mask,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Mask {
    Named(Preset),
    Shaped(Box<Shaped>),
    /// The preset `null`, as YAML reads the word.
    Nothing(Null),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Preset {
    Null,
    Redact,
    Hash,
    CreditCard,
    Ssn,
    Phone,
    Name,
    Email,
    Domain,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Shaped {
    Constant(Scalar),
    Truncate(Unit),
    Bucket(#[schemars(range(min = 1))] u64),
    Round(#[schemars(range(min = 1))] u64),
    Network(#[schemars(range(max = 128))] u8),
    Partial(Partial),
    Json(Json),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Unit {
    Hour,
    Day,
    Month,
    Quarter,
    Year,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Partial {
    prefix: Option<u32>,
    suffix: Option<u32>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Json {
    /// Keys joined by dots, or a list of keys.
    #[schemars(length(min = 1))]
    paths: Vec<JsonPath>,
    with: Mask,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum JsonPath {
    Dotted(#[schemars(regex(pattern = r"^[^.]+(\.[^.]+)*$"))] String),
    Keys(#[schemars(length(min = 1))] Vec<Text>),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Session {
    max_duration: Option<Duration>,
    idle_timeout: Option<Duration>,
    statement_timeout: Option<Duration>,
    read_only: Option<bool>,
    procedural: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum ScopeKind {
    Scope,
}

/// The allowlist of one database: what an agent serves of it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "daam scope")]
struct ScopeDocument {
    kind: ScopeKind,
    database: Text,
    description: Option<Text>,
    /// Relations, `schema.table` with `*` inside a segment; an empty list serves nothing.
    scope: Vec<Text>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum GroupKind {
    Group,
}

/// Membership that the repository, not the directory, decides.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "daam group")]
struct GroupDocument {
    kind: GroupKind,
    name: Text,
    description: Option<Text>,
    /// E-mail addresses.
    members: Vec<Email>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum DirectoryKind {
    Directory,
}

/// The groups of the identity provider, so that a mistyped one is found.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "daam directory")]
struct DirectoryDocument {
    kind: DirectoryKind,
    description: Option<Text>,
    /// Groups and how many members they have.
    groups: BTreeMap<String, u64>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum ProjectKind {
    Project,
}

/// The databases of a project and the attributes of people.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "daam project")]
struct ProjectDocument {
    kind: ProjectKind,
    #[schemars(extend(
        "propertyNames" = { "pattern": "^[a-z][a-z0-9_]*$", "not": { "enum": built_in().collect::<Vec<_>>() } }
    ))]
    attributes: Option<BTreeMap<String, AttributeType>>,
    databases: BTreeMap<String, Database>,
    lint: Option<Lint>,
    /// Findings of rules that guard exposure, accepted for a time.
    waivers: Option<Vec<Waiver>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum AttributeType {
    Text,
    Uuid,
    Integer,
    Boolean,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Database {
    /// The directory of the schema lock.
    lock: Text,
    /// How old the lock may be before `check` warns, e.g. `30d`.
    lock_max_age: Option<Duration>,
    /// The scope file; without one everything is in scope.
    scope: Option<Text>,
    /// Globs of policy files.
    policies: OneOrMany,
    /// Globs of test files.
    tests: Option<OneOrMany>,
    /// What columns hold, where their names do not tell.
    classification: Option<Vec<Classification>>,
    /// Whether every readable column has to be classified.
    strict_classification: Option<bool>,
    /// Writes have to be asked for.
    protected: Option<bool>,
}
