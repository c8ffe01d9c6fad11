//! The API's description, OpenAPI 3.1: from the route table, which says who may and how much, and from the very types
//! that requests are read by and answers written from. A route of the API without an entry in `operations` fails the
//! suite, and so does a committed description that is not current.

use crate::guard::Who;
use crate::list;
use crate::routes::{Route, Surface, table};
use daam_api::v1::Problem;
use operations::{Body, Operation, every};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

mod operations;

/// Where it is served.
pub(crate) const PATH: &str = "/v1/openapi.json";

/// The whole description.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let problem = schemas.subschema_for::<Problem>().to_value();
    let operations = every();
    let mut paths: Map<String, Value> = Map::new();
    for route in table().into_iter().filter(|route| route.surface == Surface::Api) {
        let Some(operation) = operations.iter().find(|known| known.is_of(&route)) else { continue };
        let described = described(&route, operation, &mut schemas);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(route.method.to_ascii_lowercase(), described);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "daam control plane",
            "version": "1",
            "description": "People, agents and published bundles of an organization. Every refusal is an RFC 9457 \
                            problem with a stable `code`; `detail` says what would be allowed.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
            "responses": { "Problem": {
                "description": "Refused.",
                "content": { "application/problem+json": { "schema": problem } },
            } },
        },
    })
}

/// Routes of the API that nothing describes.
pub fn undescribed() -> Vec<Route> {
    let operations = every();
    let api = table().into_iter().filter(|route| route.surface == Surface::Api);
    api.filter(|route| !operations.iter().any(|known| known.is_of(route))).collect()
}

fn described(route: &Route, operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = names(route.path)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    parameters.extend(operation.queries.iter().map(|(name, schema, about)| {
        json!({ "name": name, "in": "query", "required": false, "description": about, "schema": schema })
    }));
    if operation.lists {
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": list::MOST });
        let about = "Most items; the rest is where the answer's `Link` says";
        parameters.push(json!({ "name": "limit", "in": "query", "required": false, "description": about, "schema": limit }));
        let about = "Where to go on: from the `Link` of the last answer";
        parameters.push(json!({ "name": "cursor", "in": "query", "required": false, "description": about, "schema": { "type": "string" } }));
    }
    if route.method == "POST" && matches!(route.who, Who::User | Who::Overseer | Who::Admin) {
        let key = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" });
        let about = "The same request with the same key is done once, for a day";
        parameters.push(json!({ "name": "Idempotency-Key", "in": "header", "required": false, "description": about, "schema": key }));
    }
    let (status, answer) = &operation.answer;
    let mut success = json!({ "description": "Done." });
    add_content(&mut success, answer, schemas);
    let mut described = json!({
        "operationId": identifier(route),
        "summary": operation.summary,
        "description": format!("For {}.", route.who.name()),
        "parameters": parameters,
        "responses": { status.to_string(): success, "default": { "$ref": "#/components/responses/Problem" } },
    });
    let Some(object) = described.as_object_mut() else { return described };
    if route.who == Who::Anyone {
        object.insert("security".to_owned(), json!([]));
    } else {
        object.insert("security".to_owned(), json!([{ "bearer": [] }]));
    }
    if !matches!(operation.request, Body::None) {
        let mut body = json!({ "required": true });
        add_content(&mut body, &operation.request, schemas);
        object.insert("requestBody".to_owned(), body);
    }
    described
}

fn add_content(to: &mut Value, body: &Body, schemas: &mut SchemaGenerator) {
    let content = match body {
        Body::None => return,
        Body::Json(schema) => json!({ "application/json": { "schema": schema(schemas).to_value() } }),
        Body::Raw(media) => json!({ (*media): {} }),
    };
    if let Some(object) = to.as_object_mut() {
        object.insert("content".to_owned(), content);
    }
}

/// Names in braces.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn identifier(route: &Route) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let path: String = route.path.chars().map(plain).collect();
    let words = path.split('-').filter(|word| !word.is_empty());
    let words: Vec<String> =
        std::iter::once(route.method.to_ascii_lowercase()).chain(words.map(str::to_owned)).collect();
    words.join("-")
}
