//! What is found, what is refused, and that nothing else happens.

use super::*;
use crate::Object;
use crate::eval::matches;
use crate::schema::{GROUP, USER};
use proptest::prelude::*;
use serde_json::json;

fn ana() -> Object {
    let user = json!({
        "id": "1", "userName": "Ana@x.org", "active": true, "displayName": "Ana \"A\" O'Neill",
        "name": { "familyName": "O'Neill" },
        "emails": [{ "value": "ana@x.org", "type": "work", "primary": true }, { "value": "a@home.org", "type": "home" }],
        "meta": { "lastModified": "2027-01-15T08:00:00Z" },
    });
    user.as_object().unwrap().clone()
}

fn finds(filter: &str) -> bool {
    matches(&parse(filter, &USER).unwrap_or_else(|error| panic!("{filter}: {error}")), &ana())
}

#[test]
fn what_is_asked_for_is_found() {
    for filter in [
        r#"userName eq "ana@X.ORG""#,
        r#"USERNAME EQ "ana@x.org""#,
        r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "ANA""#,
        "active eq true",
        r#"active eq "True""#,
        "title eq null",
        "not (title pr)",
        "name.familyName pr and active eq true",
        r#"emails eq "ana@x.org""#,
        r#"emails[type eq "work" and value co "@x.org"]"#,
        r#"emails[type eq "work"].value eq "ana@x.org""#,
        r#"emails.type eq "home""#,
        r#"displayName eq "Ana \"A\" O'Neill""#,
        r#"title eq "x" or (userName ew "x.org" and not (active eq false))"#,
        r#"title eq "x" and active eq true or userName pr"#,
        r#"meta.lastModified gt "2027-01-01T00:00:00Z""#,
        r#"title ne "x""#,
        r#"id eq "1""#,
    ] {
        assert!(finds(filter), "{filter}");
    }
    for filter in [
        r#"userName eq "ana""#,
        r#"emails[type eq "home" and value co "@x.org"]"#,
        r#"emails[type eq "home"].value eq "ana@x.org""#,
        "active eq false",
        "title pr",
        r#"userName eq "x' OR 1=1 --""#,
        "active ne true",
        r#"title sw "x" or active eq false"#,
        r#"externalId eq "x""#,
    ] {
        assert!(!finds(filter), "{filter}");
    }
}

#[test]
fn what_is_not_a_filter_is_refused_and_says_so() {
    for filter in [
        "",
        "userName",
        "userName eq",
        r#"userName eq "x"#,
        r#"userName eq "x") or (1=1"#,
        r#"userName eq "x" userName eq "y""#,
        r#"userName like "x""#,
        r#"password eq "x""#,
        "nickname pr",
        r#"emails[type eq "work""#,
        r#"emails[[type eq "work"]]"#,
        "active gt true",
        "not active pr",
        "userName eq 'x'",
        r#"urn:other:User:userName eq "x""#,
        r#"name[familyName eq "x"] eq"#,
        "()",
        "userName eq \"\u{0}\"",
    ] {
        let refused = parse(filter, &USER).map(|found| format!("{found:?}")).expect_err(filter);
        assert_eq!(refused.kind(), Kind::InvalidFilter, "{filter}");
    }
    assert!(parse(r#"members[value eq "1"]"#, &GROUP).is_ok());
}

#[test]
fn size_and_depth_are_bounded() {
    let wide = |n: usize| vec!["active eq true"; n].join(" or ");
    assert!(parse(&wide(200), &USER).is_ok());
    assert!(parse(&wide(300), &USER).is_err());
    let deep = |n: usize| format!("{}active eq true{}", "(".repeat(n), ")".repeat(n));
    assert!(parse(&deep(20), &USER).is_ok());
    assert!(parse(&deep(100), &USER).is_err());
    assert!(parse(&deep(4000), &USER).is_err());
    assert!(parse(&format!("userName eq \"{}\"", "x".repeat(9000)), &USER).is_err());
    assert!(parse(&"not (".repeat(1000), &USER).is_err());
}

#[test]
fn a_filter_tells_what_can_be_looked_up() {
    let filter = |text| parse(text, &USER).unwrap();
    for (text, lookup) in [
        (r#"userName eq "a""#, Some(Lookup::Unique("a"))),
        (r#"active eq true and userName eq "a""#, Some(Lookup::Unique("a"))),
        (r#"active eq "False" and title eq "x""#, Some(Lookup::Active(false))),
        (r#"active eq "no""#, None),
        (r#"emails eq "a""#, Some(Lookup::Email("a"))),
        (r#"emails[type eq "work"].value eq "a""#, Some(Lookup::Email("a"))),
        (r#"emails[type eq "work" and value eq "a"] and id eq "1""#, Some(Lookup::Id("1"))),
        (r#"emails[type eq "work" or value eq "a"]"#, None),
        (r#"emails[not (value eq "a")]"#, None),
        (r#"externalId eq "a" and emails.value eq "b""#, Some(Lookup::ExternalId("a"))),
        (r#"externalId ne "a""#, None),
        ("id eq null", None),
        (r#"displayName eq "a""#, None),
        (r#"userName eq "a" or active eq true"#, None),
        (r#"not (userName eq "a")"#, None),
    ] {
        assert_eq!(filter(text).lookup(&USER), lookup, "{text}");
    }
    let group = |text| parse(text, &GROUP).unwrap();
    assert_eq!(group(r#"displayName eq "a""#).lookup(&GROUP), Some(Lookup::Unique("a")));
    assert_eq!(group(r#"members[value eq "1"]"#).lookup(&GROUP), Some(Lookup::Member("1")));
    assert_eq!(group(r#"members eq "1""#).lookup(&GROUP), Some(Lookup::Member("1")));
}

proptest! {
    #[test]
    fn no_text_makes_it_fail(text in r#"[ ()\[\]"a-zA-Z.:0-9\\]{0,80}"#) {
        let _ = parse(&text, &USER).map(|filter| matches(&filter, &ana()));
        let _ = parse_path(&text, &USER);
    }

    #[test]
    fn words_in_any_order_do_not_either(words in prop::collection::vec(prop::sample::select(vec![
        "userName", "eq", "\"x\"", "(", ")", "not", "and", "or", "emails", "[", "]", "type", "pr", ".value", "true", "null",
    ]), 0..24)) {
        let text = words.join(" ");
        let _ = parse(&text, &USER).map(|filter| matches(&filter, &ana()));
        let _ = parse_path(&text, &USER);
    }
}
