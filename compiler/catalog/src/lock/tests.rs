//! The lock directory keeps everything and notices every edit.

use super::*;
use crate::catalog::{Relation, RelationKind};
use crate::name::{Identifier, RelationName};
use crate::snapshot::tests::any_catalog;
use crate::user_type::{UserType, UserTypeKind};
use proptest::prelude::*;

fn catalog(names: &[(&str, &str)]) -> Catalog {
    let relation = |(schema, name): &(&str, &str)| {
        let name = RelationName::stored(*schema, *name).unwrap();
        let owner = Identifier::stored("app").unwrap();
        (name.clone(), Relation::new(name, RelationKind::Table, owner))
    };
    Catalog { relations: names.iter().map(relation).collect(), ..Catalog::default() }
}

proptest! {
    #[test]
    fn a_catalogue_survives_its_lock(catalog in any_catalog()) {
        let files = to_files(&catalog);
        prop_assert_eq!(&from_files(&files).unwrap(), &catalog);
        prop_assert_eq!(to_files(&from_files(&files).unwrap()), files);
    }

    #[test]
    fn equal_catalogues_have_equal_fingerprints_and_others_do_not(a in any_catalog(), b in any_catalog()) {
        prop_assert_eq!(fingerprint(&a), fingerprint(&a.clone()));
        if a.relations.keys().ne(b.relations.keys()) {
            prop_assert_ne!(fingerprint(&a), fingerprint(&b));
        }
    }

    #[test]
    fn any_edited_character_is_noticed(catalog in any_catalog(), at in any::<prop::sample::Index>()) {
        let mut files = to_files(&catalog);
        let names: Vec<String> = files.keys().filter(|name| *name != LOCK_FILE).cloned().collect();
        if names.is_empty() { return Ok(()); }
        let file = files.get_mut(&names[at.index(names.len())]).unwrap();
        let mut chars: Vec<char> = file.chars().collect();
        let index = at.index(chars.len());
        chars[index] = if chars[index] == 'x' { 'y' } else { 'x' };
        *file = chars.into_iter().collect();
        prop_assert!(matches!(from_files(&files), Err(LockError::Edited(_))));
    }
}

#[test]
fn there_is_one_file_per_schema_and_one_that_lists_them() {
    let files = to_files(&catalog(&[("public", "a"), ("public", "b"), ("hr", "c")]));
    assert_eq!(files.keys().collect::<Vec<_>>(), ["hr.json", "lock.json", "public.json"]);
    assert!(files.values().all(|text| text.ends_with("}\n")));
}

#[test]
fn schema_names_never_collide_on_disk() {
    let files = to_files(&catalog(&[
        ("lock", "a"),
        ("HR", "b"),
        ("hr", "c"),
        ("../up", "d"),
        ("a.b", "e"),
        ("casts", "f"),
    ]));
    let names: Vec<&String> = files.keys().collect();
    assert_eq!(
        names,
        [
            "%2E%2E%2Fup.json",
            "%48%52.json",
            "%63asts.json",
            "%6Cock.json",
            "a%2Eb.json",
            "hr.json",
            "lock.json"
        ]
    );
    assert!(from_files(&files).is_ok());
}

#[test]
fn line_endings_of_the_checkout_do_not_count() {
    let original = catalog(&[("public", "a")]);
    let files =
        to_files(&original).into_iter().map(|(name, text)| (name, text.replace('\n', "\r\n"))).collect();
    assert_eq!(from_files(&files).unwrap(), original);
}

#[test]
fn a_lock_with_missing_unlisted_or_foreign_files_is_refused() {
    let files = to_files(&catalog(&[("public", "a"), ("hr", "b")]));
    let mut missing = files.clone();
    missing.remove("hr.json");
    assert!(matches!(from_files(&missing), Err(LockError::Missing(name)) if name == "hr.json"));
    let mut unlisted = files.clone();
    unlisted.insert("extra.json".into(), "{}".into());
    assert!(matches!(from_files(&unlisted), Err(LockError::Unlisted(name)) if name == "extra.json"));
    let mut no_lock = files.clone();
    no_lock.remove(LOCK_FILE);
    assert!(matches!(from_files(&no_lock), Err(LockError::NoLock)));
    let mut readme = files.clone();
    readme.insert("README.md".into(), "about".into());
    assert!(from_files(&readme).is_ok());
}

#[test]
fn a_file_for_another_schema_is_refused_even_with_the_right_digest() {
    let mut files = to_files(&catalog(&[("public", "a")]));
    let text = files.remove("public.json").unwrap();
    files.insert("hr.json".into(), text);
    let lock = files.get_mut(LOCK_FILE).unwrap();
    *lock = lock.replace("public.json", "hr.json");
    assert!(matches!(from_files(&files), Err(LockError::Foreign { .. })));
}

#[test]
fn other_versions_are_refused() {
    let mut files = to_files(&catalog(&[]));
    let lock = files.get_mut(LOCK_FILE).unwrap();
    *lock = lock.replace("\"version\": 2", "\"version\": 1");
    assert!(matches!(from_files(&files), Err(LockError::Version { found: 1, .. })));
    files.insert(LOCK_FILE.to_owned(), r#"{"version": 3, "shards": []}"#.to_owned());
    assert!(matches!(from_files(&files), Err(LockError::Version { found: 3, .. })));
}

#[test]
fn a_fingerprint_ignores_order_comments_and_the_minor_version() {
    let mut original = catalog(&[("public", "a")]);
    original.server.0 = 150_001;
    let mut other = original.clone();
    other.server.0 = 150_018;
    for relation in other.relations.values_mut() {
        relation.comment = Some("new".into());
    }
    other.captured = Some("2026-11-22".into());
    other.system = Some(system_hash("7412345678901234567"));
    for relation in other.relations.values_mut() {
        relation.size = RowClass::Large;
    }
    assert_eq!(fingerprint(&original), fingerprint(&other));
    let mood = RelationName::stored("public", "mood").unwrap();
    let mut typed = original.clone();
    typed.types.insert(mood, UserType::new(UserTypeKind::Enum { labels: vec!["good".into()] }));
    assert_ne!(fingerprint(&original), fingerprint(&typed));
    other.server.0 = 160_001;
    assert_ne!(fingerprint(&original), fingerprint(&other));
}
