//! JSON Schemas of the documents, for editors.
//!
//! Editors complete and underline with them; the compiler's own readers stay the judge, since a schema cannot say
//! where a value stands or look a name up. The shapes here mirror the readers and are never read themselves. A key
//! that may be left out may not be null: the language has no null.

#![expect(dead_code, reason = "the fields exist for the derived schemas only")]

mod classification;

use classification::Classification;
mod lint;

use lint::{Lint, Waiver};
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

/// Either one value or a list of them.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum PolicyKind {
    Policy,
}

/// What a group of people may do and see in one database.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "daam policy")]
struct PolicyDocument {
    kind: PolicyKind,
    /// Unique within the database.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"))]
    name: String,
    /// A database of `daam.yaml`.
    database: String,
    /// For readers.
    description: Option<String>,
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
    database: String,
    /// For readers.
    description: Option<String>,
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
    rows: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Subjects {
    /// Everyone with an identity in the organization.
    everyone: Option<bool>,
    groups: Option<Vec<String>>,
    /// E-mail addresses.
    users: Option<Vec<String>>,
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
    groups: Vec<String>,
    #[schemars(range(min = 1, max = 10))]
    count: Option<u32>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Reason {
    Required,
    Optional,
}

/// A number with a unit, e.g. `30s`, `15m`, `8h`.
#[derive(JsonSchema)]
struct Duration(#[schemars(regex(pattern = r"^([0-9]+(d|h|m|s|ms))+$"))] String);

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Grant {
    /// Relations, `schema.table` with `*` inside a segment.
    on: Option<OneOrMany>,
    allow: Option<Vec<Verb>>,
    /// Narrows a verb to columns.
    columns: Option<Columns>,
    /// SQL over this relation's columns and `subject.<attribute>`; adds up over policies.
    rows: Option<String>,
    /// As `rows`, but holds over every policy.
    restrict: Option<String>,
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
    select: Option<Vec<String>>,
    insert: Option<Vec<String>>,
    update: Option<Vec<String>>,
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
#[schemars(untagged)]
enum Scalar {
    Text(String),
    Number(f64),
    Boolean(bool),
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
    paths: Vec<OneOrMany>,
    with: Mask,
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
    database: String,
    description: Option<String>,
    /// Relations, `schema.table` with `*` inside a segment; an empty list serves nothing.
    scope: Vec<String>,
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
    name: String,
    description: Option<String>,
    /// E-mail addresses.
    members: Vec<String>,
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
    description: Option<String>,
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
    lock: String,
    /// How old the lock may be before `check` warns, e.g. `30d`.
    lock_max_age: Option<String>,
    /// The scope file; without one everything is in scope.
    scope: Option<String>,
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

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum TestKind {
    Test,
}

/// Expectations about who sees what.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "daam test")]
struct TestDocument {
    kind: TestKind,
    database: String,
    description: Option<String>,
    cases: Vec<Case>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Case {
    name: String,
    /// Who asks: `email`, `groups`, and declared attributes.
    r#as: Option<BTreeMap<String, Value>>,
    /// Requestable policies that are active.
    requests: Option<Vec<String>>,
    /// By relation, `schema.table`.
    expect: Option<BTreeMap<String, Expectation>>,
    who_can: Option<WhoCan>,
    /// A statement on real rows; needs a server.
    sql: Option<String>,
    returns: Option<Vec<Vec<Value>>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Expectation {
    select: Option<Access>,
    insert: Option<Access>,
    update: Option<Access>,
    delete: Option<Access>,
    truncate: Option<Access>,
    /// The filter, with the subject's values; `false` for no row, `true` for all.
    rows: Option<String>,
    /// By column; `*` is every column that is not named.
    columns: Option<BTreeMap<String, Sight>>,
    /// Exactly the policies that decide.
    reason: Option<OneOrMany>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Access {
    Allow,
    Deny,
    Request,
}

/// `clear`, `deny` or `mask:<preset>`.
#[derive(JsonSchema)]
struct Sight(#[schemars(regex(pattern = r"^(clear|deny|mask:[a-z_]+)$"))] String);

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct WhoCan {
    /// A relation or a column.
    select: Option<String>,
    insert: Option<String>,
    update: Option<String>,
    delete: Option<String>,
    truncate: Option<String>,
    unmasked: Option<bool>,
    /// `group:…`, `user:…` or `everyone`.
    exactly: Vec<String>,
}
