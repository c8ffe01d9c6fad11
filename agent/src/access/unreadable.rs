//! A list of access that cannot be read. It counts as an empty one: it may be the one that revokes, and what it says in a
//! part that can be read may be changed by the part that cannot.

use super::judge::is_id;
use serde_json::Value;
use std::collections::BTreeSet;

/// What is known of such a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// Its version, as far as it has one.
    pub version: Option<u64>,
    /// The grants it seems to have.
    pub ids: BTreeSet<String>,
    /// What is wrong with it.
    pub why: String,
}

impl Unreadable {
    /// Looks at a message that could not be read; none if it is about something else.
    pub fn of(text: &str, why: &serde_json::Error) -> Option<Self> {
        let message: Value = serde_json::from_str(text).ok()?;
        if !matches!(message.get("type")?.as_str()?, "access_update" | "access_replaced") {
            return None;
        }
        let grants = message.get("grants").and_then(Value::as_array);
        let ids = grants.into_iter().flatten().filter_map(|grant| grant.get("id")?.as_str());
        Some(Self {
            version: message.get("version").and_then(Value::as_u64),
            ids: ids.filter(|id| is_id(id)).map(str::to_owned).collect(),
            why: format!("the list it came in cannot be read, so nothing of it is in force: {why}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daam_api::link::ToAgent;

    fn of(text: &str) -> Option<Unreadable> {
        Unreadable::of(text, &serde_json::from_str::<ToAgent>(text).unwrap_err())
    }

    #[test]
    fn a_list_with_an_unknown_field_is_known_for_what_it_is() {
        let found = of(
            r#"{"type":"access_update","version":4,"grants":[{"id":"r1","standing":true},{"id":"\u001b"}]}"#,
        );
        let found = found.unwrap();
        assert_eq!((found.version, found.ids), (Some(4), BTreeSet::from(["r1".to_owned()])));
        assert!(found.why.contains("cannot be read"), "{}", found.why);
        assert_eq!(of(r#"{"type":"access_update"}"#).map(|found| found.version), Some(None));
        assert_eq!(of(r#"{"type":"access_grant","version":4}"#), None);
        assert_eq!(of("[]"), None);
    }
}
