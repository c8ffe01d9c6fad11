//! The form by example, and what holds for any file.

use super::*;
use proptest::prelude::*;
use std::fmt::Write as _;

#[track_caller]
fn becomes(written: &str, wanted: &str) {
    assert_eq!(format(written).as_deref(), Ok(wanted), "\n{}", format(written).unwrap_or_default());
    assert_eq!(format(wanted).as_deref(), Ok(wanted));
}

#[test]
fn white_space_indentation_and_order_are_put_right() {
    becomes(
        "\n\n# top\n\nname:   a  \ndatabase : shop\nkind: policy # what it is\t\n\n\n\ngrants:\n- on:   x # why \n  allow: [ select,update ]\n\n\n",
        "# top\n\nkind: policy # what it is\nname: a\ndatabase: shop\n\ngrants:\n  - on: x # why\n    allow: [select, update]\n",
    );
}

#[test]
fn comments_stay_with_what_they_are_about() {
    becomes(
        "kind: policy\n# of masks\nmasks:\n    # of the first\n    -   on: a\n        # of with\n        with: b\n        # at its end\n    # at the end of masks\n# of grants\ngrants: # why\n- on: c\n  # deep\n# tail\n",
        "kind: policy\n# of grants\ngrants: # why\n  - on: c\n    # deep\n# of masks\nmasks:\n  # of the first\n  - on: a\n    # of with\n    with: b\n    # at its end\n  # at the end of masks\n# tail\n",
    );
    becomes(
        "a: [ x, # one\n  y ]  # all\nb:\n- # dash\n  c: 1\n",
        "a: # all\n  - x # one\n  - y\nb:\n  # dash\n  - c: 1\n",
    );
}

#[test]
fn texts_over_several_lines_keep_what_they_say() {
    becomes(
        "kind: policy\ndescription: |  # long\n     a  \n\n\n       b\n\n\nname: \"x\n\n\n   y\"\nother: plain\n     text\n",
        "kind: policy\n\nname: \"x\n\n\n  y\"\ndescription: | # long\n  a  \n\n\n    b\nother: plain\n  text\n",
    );
    becomes("a: |+\n  x\n\n\nb: >-\n    y\n    z\n", "a: |+\n  x\n\n\nb: >-\n  y\n  z\n");
    becomes("a: |2\n    x\n  y\n", "a: |2\n    x\n  y\n");
}

#[test]
fn brackets_stay_while_they_fit() {
    let long = "x".repeat(60);
    becomes("a: {b: 1,c: [], d: {}}\n", "a: { b: 1, c: [], d: {} }\n");
    becomes(&format!("a: [{long}, {long}]\n"), &format!("a:\n  - {long}\n  - {long}\n"));
    becomes(
        &format!("a: [{{ on: {long}, allow: [s], b: {long} }}]\n"),
        &format!("a:\n  - on: {long}\n    allow: [s]\n    b: {long}\n"),
    );
    becomes("a:\n  - [b,c]\n  - - d\n    - e\n  -\n    - f\n", "a:\n  - [b, c]\n  - - d\n    - e\n  - - f\n");
}

#[test]
fn quotes_go_where_nobody_needs_them() {
    becomes(
        "a: 'b'\n'c': \"no\"\nd: '*.*.x'\ne: [\"f g\", 'h: i']\n",
        "a: b\nc: \"no\"\nd: \"*.*.x\"\ne: [f g, \"h: i\"]\n",
    );
}

#[test]
fn one_blank_line_stands_between_documents() {
    becomes(
        "---\nname: a\nkind: policy\n---\n{ name: b, kind: policy }\n\n\n--- # third\nname: c\nkind: policy\n...\n",
        "kind: policy\nname: a\n\n---\n{ name: b, kind: policy }\n\n--- # third\nkind: policy\nname: c\n",
    );
}

#[test]
fn what_is_not_readable_is_refused_with_its_line() {
    let refused = format("kind: policy\nname: [a\n");
    assert!(matches!(refused, Err(FormatError::Unreadable { .. })), "{refused:?}");
    assert!(format("a: 1\na: 2\n").is_err_and(|error| error.to_string().starts_with("line 2: ")));
    assert_eq!(format("").as_deref(), Ok(""));
    assert_eq!(format("# only\n\n\n# this").as_deref(), Ok("# only\n\n# this\n"));
}

/// Files put together from pieces that go together often enough.
fn files() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        "[a-z]{1,8}",
        "'[a-z ]{0,6}'",
        "\"[a-z:#é]{0,6}\"",
        Just("\"no\"".to_owned()),
        Just("12".to_owned()),
        Just("region = subject.region".to_owned()),
        Just(String::new()),
    ];
    let flow = proptest::collection::vec(scalar.clone(), 0..4).prop_map(|items| {
        format!("[ {} ]", items.into_iter().filter(|item| !item.is_empty()).collect::<Vec<_>>().join(","))
    });
    let leaf = prop_oneof![3 => scalar, 1 => flow, 1 => Just("|\n     long\n\n      text".to_owned()), 1 => Just("{x: 1,  y: [a]}".to_owned())];
    let comment = prop_oneof![3 => Just(String::new()), 1 => "  # [a-z#: ]{0,6}"];
    let line = (0_usize..4, any::<bool>(), "[a-z]{1,3}", leaf, comment, 0_u8..8);
    proptest::collection::vec(line, 1..14).prop_map(|lines| {
        let mut text = String::new();
        for (number, (depth, item, key, value, comment, extra)) in lines.into_iter().enumerate() {
            let pad = "  ".repeat(depth);
            match extra {
                0 => text.push('\n'),
                1 => writeln!(text, "{pad}# own {number}").unwrap(),
                2 => writeln!(text, "{pad} # odd {number}").unwrap(),
                3 if depth == 0 => text.push_str("---\n"),
                _ => {}
            }
            let dash = if item { "- " } else { "" };
            let value = value.replace('\n', &format!("\n{pad}  "));
            let comment = if value.contains('\n') { String::new() } else { comment };
            writeln!(text, "{pad}{dash}{key}{number}: {value}{comment}").unwrap();
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_formatted_file_says_the_same_with_the_same_comments_and_stays(text in files()) {
        let Ok(before) = read(&text) else { return Ok(()) };
        let once = format(&text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
        prop_assert!(same_documents(&before, &read(&once).unwrap()));
        prop_assert_eq!(comments(&text, &tree(&text).unwrap()), comments(&once, &tree(&once).unwrap()));
        prop_assert_eq!(format(&once), Ok(once));
    }

    #[test]
    fn whatever_the_text_nothing_panics_and_twice_is_once(text in "[-:{}\\[\\],&*!|>'\"%@#?a-c \n\u{e9}]{0,60}") {
        if let Ok(once) = format(&text) {
            prop_assert_eq!(format(&once), Ok(once));
        }
    }
}
