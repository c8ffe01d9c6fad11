//! A line of any content: no record, or the very line that record writes.

use daam_audit::{Record, Verifier};

pub(crate) fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut verifier = Verifier::new();
    for line in text.lines() {
        if let Ok(record) = Record::parse_public(line) {
            assert_eq!(record.line(), line, "a record has two forms");
            let public = record.line_without_detail();
            assert_eq!(Record::parse_public(&public).map(|read| read.hash()), Ok(record.hash()));
        }
        let before = verifier.end().cloned();
        if verifier.line(line).is_err() {
            assert_eq!(verifier.end(), before.as_ref(), "what is refused changes nothing");
        }
    }
}
