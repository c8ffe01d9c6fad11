//! What a resource means for the directory, and how it looks to clients.

use crate::Object;
use crate::canonical::{canonical, complete, is_primary};
use crate::error::{Kind, ScimError, shown};
use crate::schema::{GROUP, Schema, USER};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A person, as far as the directory goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// What they sign in with.
    pub user_name: String,
    /// What the directory knows them by.
    pub email: String,
    /// Whether they have access.
    pub active: bool,
}

/// What the server says of a resource.
#[derive(Debug, Clone)]
pub struct Meta {
    /// The id.
    pub id: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it was changed, RFC 3339.
    pub changed: String,
    /// Where it is.
    pub location: String,
}

/// Reads a whole user.
pub fn user(sent: &Value) -> Result<Object, ScimError> {
    let mut read = canonical(&USER, sent)?;
    complete(&USER, &read)?;
    // Not to say it is to have access.
    read.entry("active").or_insert(Value::Bool(true));
    Ok(read)
}

/// Reads a whole group.
pub fn group(sent: &Value) -> Result<Object, ScimError> {
    let read = canonical(&GROUP, sent)?;
    complete(&GROUP, &read)?;
    Ok(read)
}

/// What a user means. The address is the primary one, else the `work` one, else the first, else a `userName` that is
/// one.
pub fn person(user: &Object) -> Result<Person, ScimError> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let user_name = user.get("userName").and_then(Value::as_str).unwrap_or_default().to_owned();
    let emails = user.get("emails").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let work = |value: &&Value| text(value, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("work"));
    let chosen = emails
        .iter()
        .find(|value| is_primary(value))
        .or_else(|| emails.iter().find(work))
        .or_else(|| emails.first())
        .and_then(|value| text(value, "value"))
        .or_else(|| user_name.contains('@').then(|| user_name.clone()));
    let Some(email) = chosen else {
        let detail = format!(
            "`{}` has no e-mail address; `emails`, or a `userName` that is one, says it",
            shown(&user_name)
        );
        return Err(ScimError::new(Kind::InvalidValue, detail));
    };
    // Access that somebody took the mark of is no access.
    let active = user.get("active").and_then(Value::as_bool).unwrap_or(false);
    Ok(Person { user_name, email: email.to_ascii_lowercase(), active })
}

/// A user of the directory that no client has described.
pub fn undescribed(email: &str) -> Object {
    let mut user = Object::new();
    user.insert("userName".to_owned(), email.into());
    user.insert("emails".to_owned(), json!([{ "value": email, "primary": true }]));
    user
}

/// A group's name.
pub fn group_name(group: &Object) -> String {
    group.get("displayName").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Ids of a group's members.
pub fn members(group: &Object) -> Result<BTreeSet<String>, ScimError> {
    let members = group.get("members").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let id = |member: &Value| {
        let value = member.get("value").and_then(Value::as_str).map(str::to_owned);
        let named = value.or_else(|| {
            let place = member.get("$ref").and_then(Value::as_str)?;
            place.rsplit('/').next().map(str::to_owned)
        });
        named.ok_or_else(|| ScimError::new(Kind::InvalidValue, "a member is named by `value`, a user's id"))
    };
    members.iter().map(id).collect()
}

/// The whole answer for a resource, its `ETag` in it.
pub fn rendered(schema: &Schema, mut resource: Object, meta: &Meta) -> Object {
    resource.insert("schemas".to_owned(), json!([schema.id]));
    resource.insert("id".to_owned(), meta.id.as_str().into());
    // Over everything that is said but when, so that two changes within a second are two versions.
    let text = serde_json::to_string(&resource).unwrap_or_default();
    let digest = Sha256::digest(text.as_bytes());
    let short = digest.iter().take(12).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let Meta { created, changed, location, .. } = meta;
    resource.insert(
        "meta".to_owned(),
        json!({
            "resourceType": schema.name,
            "created": created,
            "lastModified": changed,
            "location": location,
            "version": format!("W/\"{short}\""),
        }),
    );
    resource
}

/// The version in an answer.
pub fn version(rendered: &Object) -> Option<&str> {
    rendered.get("meta")?.get("version")?.as_str()
}

/// Whether a condition such as `If-Match` names a version; `*` names any.
pub fn names_version(condition: &str, version: &str) -> bool {
    let plain = |text: &str| text.trim().trim_start_matches("W/").to_owned();
    condition.trim() == "*" || condition.split(',').any(|one| plain(one) == plain(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_primary_one_or_what_comes_nearest() {
        let email = |sent: Value| person(&user(&sent).unwrap()).map(|person| person.email);
        let emails = json!([{ "value": "A@x.org", "type": "home" }, { "value": "b@x.org", "type": "work" }]);
        assert_eq!(email(json!({ "userName": "u", "emails": emails })), Ok("b@x.org".to_owned()));
        let emails = json!([{ "value": "a@x.org" }, { "value": "B@x.org", "primary": true }]);
        assert_eq!(email(json!({ "userName": "u@y.org", "emails": emails })), Ok("b@x.org".to_owned()));
        assert_eq!(email(json!({ "userName": "U@y.org" })), Ok("u@y.org".to_owned()));
        assert_eq!(email(json!({ "userName": "u" })).unwrap_err().kind(), Kind::InvalidValue);
        assert_eq!(user(&json!({ "displayName": "x" })).unwrap_err().kind(), Kind::InvalidValue);
    }

    #[test]
    fn access_is_given_by_default_and_not_by_accident() {
        let active = |user: &Object| person(user).unwrap().active;
        let mut sent = user(&json!({ "userName": "u@x.org" })).unwrap();
        assert!(active(&sent));
        assert!(!active(&user(&json!({ "userName": "u@x.org", "active": "False" })).unwrap()));
        sent.remove("active");
        assert!(!active(&sent), "whose mark of access was removed has none");
        assert!(user(&json!({ "userName": "u@x.org", "active": "no" })).is_err());
    }

    #[test]
    fn a_condition_names_versions_weak_or_not() {
        for condition in ["W/\"a\"", "\"a\"", "\"b\", W/\"a\"", "*"] {
            assert!(names_version(condition, "W/\"a\""), "{condition}");
        }
        assert!(!names_version("\"b\"", "W/\"a\""));
    }
}
