//! The directory: who exists, in which groups, with which attributes.
//!
//! The control plane sends it whole and versioned. An older version than the one held is ignored. An attribute
//! that the bundle does not declare, or whose value has another type, is absent for policies, so a filter over
//! it is false. A group that the signed bundle defines itself cannot be joined through the directory.

use daam_api::link::DirectoryUser;
use daam_model::{AttributeType, AttributeValue, PolicySet, Subject};
use std::collections::BTreeMap;

/// One version of the directory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Directory {
    version: u64,
    users: BTreeMap<String, Entry>,
}

/// A person in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Stable id.
    pub id: String,
    /// E-mail, lower case.
    pub email: String,
    /// Without any access.
    pub disabled: bool,
    user: DirectoryUser,
}

impl Directory {
    /// Takes an update as it came.
    pub fn new(version: u64, users: Vec<DirectoryUser>) -> Self {
        let users = users.into_iter().map(|user| (user.id.clone(), Entry::new(user))).collect();
        Self { version, users }
    }

    /// This with what changed; none if that is not what it is to be known by.
    pub fn changed(&self, version: u64, users: Vec<DirectoryUser>, digest: &str) -> Option<Self> {
        let mut next = Self { version, users: self.users.clone() };
        next.users.extend(users.into_iter().map(|user| (user.id.clone(), Entry::new(user))));
        (next.digest() == digest).then_some(next)
    }

    /// What it is known by.
    pub fn digest(&self) -> String {
        let entries: Vec<_> =
            self.users.values().map(|entry| daam_api::directory::entry(&entry.user)).collect();
        daam_api::directory::whole(entries.iter())
    }

    /// The version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many people it lists.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether it lists nobody.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// The person of that id.
    pub fn user(&self, id: &str) -> Option<&Entry> {
        self.users.get(id)
    }

    /// The people as they came, for the copy on disk.
    pub fn to_wire(&self) -> Vec<DirectoryUser> {
        self.users.values().map(|entry| entry.user.clone()).collect()
    }
}

impl Entry {
    fn new(user: DirectoryUser) -> Self {
        Self { id: user.id.clone(), email: user.email.to_lowercase(), disabled: user.disabled, user }
    }

    /// The person as policies see them.
    pub fn subject(&self, policies: &PolicySet) -> Subject {
        let from_directory = self.user.groups.iter().filter(|group| !policies.groups.contains_key(*group));
        let from_bundle = policies
            .groups
            .iter()
            .filter(|(_, members)| members.contains(&self.email))
            .map(|(group, _)| group);
        let attributes = policies
            .attributes
            .iter()
            .filter_map(|(name, kind)| Some((name.clone(), typed(self.user.attributes.get(name)?, *kind)?)))
            .collect();
        Subject {
            id: self.id.clone(),
            email: self.email.clone(),
            groups: from_directory.chain(from_bundle).cloned().collect(),
            attributes,
        }
    }
}

fn typed(value: &serde_json::Value, kind: AttributeType) -> Option<AttributeValue> {
    match kind {
        AttributeType::Text => value.as_str().map(|text| AttributeValue::Text(text.to_owned())),
        AttributeType::Integer => value.as_i64().map(AttributeValue::Integer),
        AttributeType::Boolean => value.as_bool().map(AttributeValue::Boolean),
        AttributeType::Uuid => {
            let id = uuid::Uuid::try_parse(value.as_str()?).ok()?;
            Some(AttributeValue::Uuid(id.hyphenated().to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeSet;

    fn alice() -> Entry {
        Entry::new(DirectoryUser {
            id: "u1".into(),
            email: "Alice@Example.com".into(),
            disabled: false,
            groups: BTreeSet::from(["support".into(), "owners".into()]),
            attributes: BTreeMap::from([
                ("region".into(), json!("eu")),
                ("level".into(), json!("3")),
                ("team".into(), json!("6F9619FF-8B86-D011-B42D-00C04FC964FF")),
                ("undeclared".into(), json!(1)),
            ]),
        })
    }

    fn policies() -> PolicySet {
        PolicySet {
            attributes: BTreeMap::from([
                ("region".into(), AttributeType::Text),
                ("level".into(), AttributeType::Integer),
                ("team".into(), AttributeType::Uuid),
            ]),
            groups: BTreeMap::from([("owners".into(), BTreeSet::from(["bob@example.com".into()]))]),
            ..PolicySet::default()
        }
    }

    #[test]
    fn only_declared_attributes_of_the_declared_type_count() {
        let subject = alice().subject(&policies());
        let names: Vec<&str> = subject.attributes.keys().map(String::as_str).collect();
        assert_eq!(names, ["region", "team"]);
        assert_eq!(
            subject.attributes.get("team"),
            Some(&AttributeValue::Uuid("6f9619ff-8b86-d011-b42d-00c04fc964ff".into()))
        );
    }

    #[test]
    fn a_change_counts_only_if_it_arrives_at_what_it_is_to_be_known_by() {
        let person = |id: &str, disabled| DirectoryUser {
            id: id.into(),
            email: format!("{id}@example.com"),
            disabled,
            groups: BTreeSet::new(),
            attributes: BTreeMap::new(),
        };
        let held = Directory::new(3, vec![person("a", false), person("b", false)]);
        let wanted = Directory::new(4, vec![person("a", true), person("b", false), person("c", false)]);
        let change = vec![person("c", false), person("a", true)];
        assert_eq!(held.changed(4, change.clone(), &wanted.digest()), Some(wanted.clone()));
        assert_eq!(held.changed(4, change, &held.digest()), None);
        let other = Directory::new(3, vec![person("a", false)]);
        assert_eq!(other.changed(4, vec![person("a", true), person("c", false)], &wanted.digest()), None);
    }

    #[test]
    fn a_group_the_bundle_defines_cannot_be_joined_through_the_directory() {
        let subject = alice().subject(&policies());
        assert_eq!(subject.groups, BTreeSet::from(["support".to_owned()]));
        assert_eq!(subject.email, "alice@example.com");
    }
}
