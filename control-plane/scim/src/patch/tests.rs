//! Operations as the RFC has them, and as Okta and Microsoft Entra send them.

use super::*;
use crate::schema::{GROUP, USER};
use serde_json::json;

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

fn ana() -> Object {
    object(json!({
        "userName": "ana", "active": true, "title": "dba", "name": { "givenName": "Ana", "familyName": "O" },
        "emails": [{ "value": "ana@x.org", "type": "work", "primary": true }],
    }))
}

fn operation(op: &str, path: &str, value: Value) -> Value {
    let mut operation = json!({ "op": op, "path": path });
    operation["value"] = value;
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation] })
}

fn done(resource: &Object, request: &Value) -> Object {
    patch(&USER, resource, request).unwrap_or_else(|error| panic!("{request}: {error}"))
}

fn refused(request: &Value) -> Kind {
    patch(&USER, &ana(), request).map(|done| format!("{done:?}")).expect_err(&request.to_string()).kind()
}

#[test]
fn access_ends_however_it_is_said() {
    let okta = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "value": { "active": false } }] });
    let entra = operation("Replace", "active", json!("False"));
    let urn = operation("replace", "urn:ietf:params:scim:schemas:core:2.0:User:active", json!(false));
    let lower = json!({ "operations": [{ "op": "Add", "path": "Active", "value": "false" }] });
    for request in [okta, entra, urn, lower] {
        assert_eq!(done(&ana(), &request)["active"], false, "{request}");
    }
}

#[test]
fn values_are_set_added_and_removed() {
    let renamed = done(&ana(), &operation("replace", "name.givenName", json!("Anna")));
    assert_eq!(renamed["name"], json!({ "givenName": "Anna", "familyName": "O" }));
    let merged = done(&ana(), &operation("replace", "name", json!({ "familyName": "P" })));
    assert_eq!(merged["name"], json!({ "givenName": "Ana", "familyName": "P" }));
    // Entra, without a path and with dots in names.
    let dotted =
        json!({ "Operations": [{ "op": "Add", "value": { "name.familyName": "Q", "title": "cto" } }] });
    let dotted = done(&ana(), &dotted);
    assert_eq!((&dotted["name"]["familyName"], &dotted["title"]), (&json!("Q"), &json!("cto")));
    assert!(!done(&ana(), &operation("remove", "title", Value::Null)).contains_key("title"));
    assert!(!done(&ana(), &operation("replace", "title", json!(""))).contains_key("title"), "empty is none");

    let home = json!([{ "value": "a@home.org", "type": "home", "primary": true }]);
    let added = done(&ana(), &operation("add", "emails", home.clone()));
    assert_eq!(added["emails"][0]["primary"], false, "the new primary takes over");
    assert_eq!(
        done(&added, &operation("add", "emails", home.clone())),
        added,
        "the same again changes nothing"
    );
    assert_eq!(done(&ana(), &operation("replace", "emails", home))["emails"].as_array().unwrap().len(), 1);
    // Entra, before and after there is a work address.
    let work = operation("Replace", r#"emails[type eq "work"].value"#, json!("new@x.org"));
    assert_eq!(done(&ana(), &work)["emails"][0]["value"], "new@x.org");
    let mut bare = ana();
    bare.remove("emails");
    assert_eq!(done(&bare, &work)["emails"], json!([{ "type": "work", "value": "new@x.org" }]));
    let gone = operation("remove", r#"emails[type eq "work"]"#, Value::Null);
    assert!(!done(&ana(), &gone).contains_key("emails"));
    // Another schema's attributes are not kept here.
    let foreign = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
    assert_eq!(done(&ana(), &operation("add", foreign, json!("x"))), ana());
}

#[test]
fn removing_members_never_removes_everybody_by_accident() {
    let group = object(
        json!({ "displayName": "dba", "members": [{ "value": "1" }, { "value": "2" }, { "value": "3" }] }),
    );
    let ids = |group: &Object| -> Vec<String> {
        let members = group.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
        members.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect()
    };
    let after = |request: Value| ids(&patch(&GROUP, &group, &request).unwrap());
    assert_eq!(after(operation("Remove", "members", json!([{ "value": "2" }]))), ["1", "3"]);
    assert_eq!(after(operation("remove", r#"members[value eq "2"]"#, Value::Null)), ["1", "3"]);
    assert_eq!(after(operation("remove", r#"members[value eq "9"]"#, Value::Null)), ["1", "2", "3"]);
    assert_eq!(
        after(operation("add", "members", json!([{ "value": "3" }, { "value": "4" }]))),
        ["1", "2", "3", "4"]
    );
    assert_eq!(after(operation("replace", "members", json!([{ "value": "4" }]))), ["4"]);
    assert!(after(operation("remove", "members", Value::Null)).is_empty());
    let okta =
        json!({ "Operations": [{ "op": "replace", "value": { "id": "g", "displayName": "admins" } }] });
    assert_eq!(patch(&GROUP, &group, &okta).unwrap()["displayName"], "admins");
}

#[test]
fn what_cannot_be_is_refused_whole() {
    assert_eq!(refused(&operation("replace", "id", json!("x"))), Kind::Mutability);
    assert_eq!(refused(&operation("add", "groups", json!([{ "value": "x" }]))), Kind::Mutability);
    assert_eq!(refused(&operation("replace", "nothing", json!("x"))), Kind::InvalidPath);
    assert_eq!(refused(&operation("replace", "emails[", json!("x"))), Kind::InvalidPath);
    assert_eq!(refused(&operation("replace", "active", json!("maybe"))), Kind::InvalidValue);
    assert_eq!(refused(&operation("remove", "userName", Value::Null)), Kind::InvalidValue);
    assert_eq!(refused(&operation("replace", r#"emails[type ne "work"].value"#, json!("x"))), Kind::NoTarget);
    assert_eq!(refused(&json!({ "Operations": [{ "op": "remove" }] })), Kind::NoTarget);
    assert_eq!(refused(&json!({ "Operations": [] })), Kind::InvalidSyntax);
    assert_eq!(refused(&json!({ "Operations": [{ "op": "frob", "path": "title" }] })), Kind::InvalidSyntax);
    assert_eq!(refused(&json!([])), Kind::InvalidSyntax);
    let many = vec![json!({ "op": "remove", "path": "title" }); 1001];
    assert_eq!(refused(&json!({ "Operations": many })), Kind::InvalidSyntax);
    let half = json!({ "Operations": [
        { "op": "replace", "path": "title", "value": "x" }, { "op": "replace", "path": "id", "value": "x" },
    ] });
    assert_eq!(refused(&half), Kind::Mutability);
}
