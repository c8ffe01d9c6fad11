//! Errors and notices, literally.

use super::*;

#[test]
fn one_field_changes_and_every_other_byte_stays() {
    let body = b"SERROR\0VERROR\0C42703\0Mcolumn \xe9 \xffdoes not exist\0P15\0?new\0Fparse.c\0\0";
    let mut report = Report::parse(body).unwrap();
    assert_eq!((report.code(), report.error_position(), report.is_fatal()), ("42703", Some(15), false));
    assert_eq!(&report.to_error()[5..], body);
    report.set(b'P', b"7".to_vec());
    assert_eq!(
        &report.to_error()[5..],
        b"SERROR\0VERROR\0C42703\0Mcolumn \xe9 \xffdoes not exist\0P7\0?new\0Fparse.c\0\0"
    );
}

#[test]
fn a_report_of_ours_has_all_it_was_given() {
    let report = Report::error("42501", "no").detail("d".to_owned()).hint(None).position(Some(3));
    assert_eq!(&report.to_error()[..], b"E\0\0\0\x24SERROR\0VERROR\0C42501\0Mno\0Dd\0P3\0\0");
    assert_eq!(Report::notice("hi").to_notice().first(), Some(&b'N'));
    assert!(Report::fatal("57P01", "out").is_fatal());
}

#[test]
fn broken_reports_are_errors() {
    assert_eq!(Report::parse(b"SERROR\0"), Err(DecodeError::Short));
    assert_eq!(Report::parse(b"SERROR"), Err(DecodeError::Unterminated));
    assert_eq!(Report::parse(b"\0x"), Err(DecodeError::Trailing));
}
