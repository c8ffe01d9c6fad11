//! What the server can do, as clients ask for it.

use crate::schema::{Attribute, Mutability, Schema, Type};
use serde_json::{Value, json};

const MESSAGES: &str = "urn:ietf:params:scim:schemas:core:2.0";

/// `/ServiceProviderConfig`.
pub fn service(base: &str) -> Value {
    let no = json!({ "supported": false });
    json!({
        "schemas": [format!("{MESSAGES}:ServiceProviderConfig")],
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": crate::list::MOST },
        "changePassword": no,
        "sort": no,
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "a SCIM token of the organization, in the `Authorization` header",
            "primary": true,
        }],
        "meta": { "resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig") },
    })
}

/// One of `/ResourceTypes`.
pub fn resource_type(schema: &Schema, base: &str) -> Value {
    json!({
        "schemas": [format!("{MESSAGES}:ResourceType")],
        "id": schema.name,
        "name": schema.name,
        "endpoint": schema.endpoint,
        "schema": schema.id,
        "meta": { "resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{}", schema.name) },
    })
}

/// One of `/Schemas`.
pub fn schema(schema: &Schema, base: &str) -> Value {
    json!({
        "schemas": [format!("{MESSAGES}:Schema")],
        "id": schema.id,
        "name": schema.name,
        "description": schema.name,
        "attributes": schema.attributes.iter().map(|one| attribute(one, schema.unique)).collect::<Vec<_>>(),
        "meta": { "resourceType": "Schema", "location": format!("{base}/Schemas/{}", schema.id) },
    })
}

fn attribute(attribute: &Attribute, unique: &str) -> Value {
    let kind = match attribute.kind {
        Type::Text => "string",
        Type::Boolean => "boolean",
        Type::Reference(_) => "reference",
        Type::DateTime => "dateTime",
        Type::Complex(_) => "complex",
    };
    let mutability = match attribute.mutability {
        Mutability::ReadWrite => "readWrite",
        Mutability::Immutable => "immutable",
        Mutability::ReadOnly => "readOnly",
    };
    let mut described = json!({
        "name": attribute.name,
        "type": kind,
        "multiValued": attribute.multi,
        "description": attribute.about,
        "required": attribute.required,
        "caseExact": attribute.case_exact,
        "mutability": mutability,
        "returned": "default",
        "uniqueness": if attribute.name == unique { "server" } else { "none" },
    });
    if let Some(object) = described.as_object_mut() {
        match attribute.kind {
            Type::Complex(subs) => {
                let subs: Vec<Value> = subs.iter().map(|sub| self::attribute(sub, "")).collect();
                object.insert("subAttributes".to_owned(), subs.into());
            }
            Type::Reference(types) => drop(object.insert("referenceTypes".to_owned(), json!(types))),
            _ => {}
        }
    }
    described
}

/// Several of them.
pub fn list(resources: &[Value]) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": resources.len(),
        "startIndex": 1,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })
}
