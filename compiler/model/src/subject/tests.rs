//! Typing of attributes, and groups that Git decides.

use super::*;

#[test]
fn values_are_taken_only_as_the_declared_type() {
    use AttributeType as T;
    use RawAttribute as R;
    let uuid = "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11";
    let accepted = [
        (T::Text, R::Text("eu"), AttributeValue::Text("eu".into())),
        (T::Uuid, R::Text(uuid), AttributeValue::Uuid(uuid.to_lowercase())),
        (T::Integer, R::Integer(7), AttributeValue::Integer(7)),
        (T::Integer, R::Text("-7"), AttributeValue::Integer(-7)),
        (T::Boolean, R::Boolean(true), AttributeValue::Boolean(true)),
        (T::Boolean, R::Text("false"), AttributeValue::Boolean(false)),
    ];
    for (kind, raw, value) in accepted {
        assert_eq!(value.kind(), kind);
        assert_eq!(AttributeValue::typed(kind, raw), Ok(value));
    }
    let refused = [
        (T::Text, R::Integer(1)),
        (T::Text, R::Text("a\0b")),
        (T::Uuid, R::Text("1234")),
        (T::Integer, R::Text("1.5")),
        (T::Integer, R::Boolean(true)),
        (T::Boolean, R::Integer(1)),
        (T::Boolean, R::Text("yes")),
    ];
    for (kind, raw) in refused {
        assert_eq!(AttributeValue::typed(kind, raw), Err(AttributeError { expected: kind }));
    }
}

#[test]
fn a_refused_value_is_not_repeated_in_the_message() {
    let error = AttributeValue::from_text(AttributeType::Integer, "secret").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the value is not of type `integer`, which the project declares; a whole number of 64 bits is accepted"
    );
}

#[test]
fn type_names_read_back() {
    for kind in [AttributeType::Text, AttributeType::Uuid, AttributeType::Integer, AttributeType::Boolean] {
        assert_eq!(AttributeType::from_name(kind.as_str()), Some(kind));
    }
    assert_eq!(AttributeType::from_name("varchar"), None);
}

#[test]
fn git_decides_membership_of_the_groups_it_defines_and_of_no_other() {
    let defined = BTreeMap::from([
        ("dba".to_owned(), BTreeSet::from(["ann@acme.test".to_owned()])),
        ("audit".to_owned(), BTreeSet::from(["sam@acme.test".to_owned()])),
    ]);
    let sam = Subject::new("1", "Sam@Acme.test").in_groups(["dba", "support"]);
    let groups = sam.with_defined_groups(&defined).groups;
    assert_eq!(groups, BTreeSet::from(["audit".to_owned(), "support".to_owned()]));
}

#[test]
fn nobody_is_meant_by_an_empty_address() {
    assert!(!Subject::default().has_email(""));
    assert!(Subject::new("1", "A@b.test").has_email("a@B.test"));
}

#[test]
fn look_alike_letters_are_other_addresses() {
    assert!(!Subject::new("1", "mar\u{212a}@b.test").has_email("mark@b.test"));
}

#[test]
fn undeclared_and_mistyped_attributes_are_absent() {
    let declared = BTreeMap::from([("region".to_owned(), AttributeType::Text)]);
    let subject = Subject::new("1", "a@b.test")
        .with_attribute("region", AttributeValue::Integer(1))
        .with_attribute("other", AttributeValue::Text("x".into()));
    assert!(subject.with_declared_attributes(&declared).attributes.is_empty());
}
